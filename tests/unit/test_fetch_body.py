"""Bodies: decoded whatever the pieces, never larger than the limit, and never silently cut off."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import FetchError
from listener.fetch.body import MOST_MEMBERS, codings_of, read_body

HOST = "site.test"
MIB = 1024 * 1024


def read(wire: bytes, *codings: str, limit: int = 10 * MIB, step: int = 65536, cut: bool = False) -> bytes:
    """The body that ``wire``, arriving in pieces of ``step`` bytes, decodes to."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(wire), step):
            yield wire[start : start + step]

    return asyncio.run(read_body(pieces(), codings=codings, limit=limit, host=HOST, cut=cut))


def raw_deflate(data: bytes) -> bytes:
    """The bare stream that some servers call deflate."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@given(
    st.binary(max_size=5000),
    st.lists(st.sampled_from(["gzip", "deflate"]), max_size=2),
    st.integers(min_value=1, max_value=700),
)
def test_what_was_packed_is_what_is_read(data: bytes, codings: Sequence[str], step: int) -> None:
    """However the wire cuts it."""
    wire = data
    for coding in codings:
        wire = PACK[coding](wire)
    assert read(wire, *codings, step=step) == data


@given(st.binary(max_size=3000), st.integers(min_value=1, max_value=50))
def test_bare_deflate_is_read(data: bytes, step: int) -> None:
    """RFC 1951 without the RFC 1950 wrapper."""
    assert read(raw_deflate(data), "deflate", step=step) == data


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(min_value=1, max_value=40))
def test_all_gzip_members_are_read(parts: list[bytes], step: int) -> None:
    """RFC 1952, 2.2: members simply follow each other."""
    assert read(b"".join(map(gzip.compress, parts)), "gzip", step=step) == b"".join(parts)


@pytest.mark.parametrize("tail", [b"\n", b"\x1f", b"garbage", bytes(1000)])
@pytest.mark.parametrize("step", [1, 65536])
def test_garbage_after_the_stream_is_fine(tail: bytes, step: int) -> None:
    """As browsers see it."""
    assert read(gzip.compress(b"hello") + tail, "gzip", step=step) == b"hello"
    assert read(zlib.compress(b"hello") + tail, "deflate", step=step) == b"hello"


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_cut_off_stream_is_an_error(data: bytes, draw: st.DataObject) -> None:
    """Half a feed must not look like a whole one."""
    wire = gzip.compress(data)
    end = draw.draw(st.integers(min_value=1, max_value=len(wire) - 1))
    with pytest.raises(FetchError, match="truncated"):
        read(wire[:end], "gzip")


def test_an_empty_body_needs_no_stream() -> None:
    """Servers label an empty answer like any other."""
    assert read(b"", "gzip") == b""


@given(st.binary(min_size=2, max_size=200))
def test_corrupt_streams_are_errors(data: bytes) -> None:
    """Whatever arrives, it is a body or a FetchError."""
    for coding in ("gzip", "deflate"):
        try:
            read(data, coding)
        except FetchError as error:
            assert HOST in str(error)  # noqa: PT017 -- most inputs raise, a few happen to be valid


@pytest.mark.parametrize("codings", [(), ("gzip",), ("deflate",), ("gzip", "gzip")])
def test_the_limit_is_exact(codings: tuple[str, ...]) -> None:
    """As many decoded bytes as allowed pass, and not one more."""
    limit = 100_000
    fits, over = (bytes(range(250)) * 400)[:limit], bytes(limit + 1)
    for coding in codings:
        fits, over = PACK[coding](fits), PACK[coding](over)
    assert len(read(fits, *codings, limit=limit)) == limit
    with pytest.raises(FetchError, match="larger than 100000 bytes"):
        read(over, *codings, limit=limit)


def test_a_bomb_stops_at_the_ratio() -> None:
    """200-fold is the most after the first MiB, long before the limit."""
    with pytest.raises(FetchError, match="200-fold"):
        read(gzip.compress(bytes(9 * MIB)), "gzip")


def test_a_small_page_may_compress_well() -> None:
    """Below a MiB no ratio is suspicious."""
    assert len(read(gzip.compress(bytes(MIB)), "gzip")) == MIB


def test_an_inner_layer_is_limited_too() -> None:
    """A megabyte of empty members inflates to nothing, but costs time and an inner layer of any size."""
    nothing = gzip.compress(gzip.compress(b"") * 600_000)
    with pytest.raises(FetchError, match="gzip members"):
        read(nothing, "gzip", "gzip")
    with pytest.raises(FetchError, match="larger than"):
        read(gzip.compress(gzip.compress(b"x") + bytes(9 * MIB)), "gzip", "gzip", limit=MIB)


def test_too_many_members() -> None:
    """Each member costs a new decoder."""
    assert read(gzip.compress(b"x") * MOST_MEMBERS, "gzip") == b"x" * MOST_MEMBERS
    with pytest.raises(FetchError, match="gzip members"):
        read(gzip.compress(b"x") * (MOST_MEMBERS + 1), "gzip")


@pytest.mark.parametrize("codings", [(), ("gzip",)])
def test_cutting_keeps_the_beginning(codings: tuple[str, ...]) -> None:
    """robots.txt: the first 500 KiB count, the rest is not read."""
    data = bytes(range(256)) * 40
    wire = gzip.compress(data) if codings else data
    assert read(wire, *codings, limit=1000, step=100, cut=True) == data[:1000]


async def test_a_torrent_of_tiny_chunks_leaves_room_for_others() -> None:
    """Chunks that are already here never wait, so that without a pause nobody else would get a turn."""
    turns = 0

    async def tiny() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b"x"

    async def neighbour() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(neighbour())
    assert len(await read_body(tiny(), codings=(), limit=MIB, host=HOST)) == 10_000
    other.cancel()
    assert turns > 100


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        (None, ()),
        ("identity", ()),
        ("gzip", ("gzip",)),
        ("GZIP", ("gzip",)),
        ("x-gzip", ("gzip",)),
        ("deflate, gzip", ("deflate", "gzip")),
        ("identity, gzip", ("gzip",)),
    ],
)
def test_known_encodings(header: str | None, codings: tuple[str, ...]) -> None:
    """Names are case-insensitive and x-gzip is gzip (RFC 9110, 8.4.1)."""
    assert codings_of(header, host=HOST) == codings


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("", "empty or malformed"),
        ("gzip,", "empty or malformed"),
        ("br", "'br'"),
        ("zstd", "'zstd'"),
        ("gzip, gzip, gzip", "3 content encodings"),
        ("Bearer secret-token-of-the-operator", "empty or malformed"),
    ],
)
def test_other_encodings_are_named_unless_they_could_be_secrets(header: str, named: str) -> None:
    """An echo of our own header is not repeated in the error."""
    with pytest.raises(FetchError) as caught:
        codings_of(header, host=HOST)
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
