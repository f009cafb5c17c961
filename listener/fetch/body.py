"""Read a body piece by piece, undo its content encodings, and stop before it hurts.

Limits hold for what comes off the wire and for what comes out of every layer, since 1.8 KB of gzip in gzip inflate to
1 GiB. Written on ``zlib`` because the decoder of httpx2 takes a gzip body that was cut off for a whole one.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence

from listener.errors import FetchError

MOST_ENCODINGS = 2
PIECE_BYTES = 64 * 1024
RATIO_FROM_BYTES = 1024 * 1024
MOST_RATIO = 200
MOST_MEMBERS = 1000
CHUNKS_PER_TURN = 64
GZIP_MAGIC = b"\x1f\x8b"

_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}", re.ASCII)


def codings_of(header: str | None, *, host: str) -> tuple[str, ...]:
    """The content encodings in the order in which they were applied; raise FetchError on those that we do not undo."""
    if header is None:
        return ()
    names = [name.strip().lower() for name in header.split(",")]
    codings = []
    for name in names:
        if name == "identity":
            continue
        if name not in _CODINGS:
            # Only what looks like a name is shown: a server could send our own secrets back to us.
            named = f"content encoding {name!r}" if _NAME.fullmatch(name) else "an empty or malformed content encoding"
            raise FetchError(f"{host}: {named}; gzip and deflate are understood")
        codings.append(_CODINGS[name])
    if len(codings) > MOST_ENCODINGS:
        raise FetchError(f"{host}: {len(codings)} content encodings, at most {MOST_ENCODINGS} are undone")
    return tuple(codings)


class Inflater:
    """Undoes one content encoding in pieces of at most 64 KiB; RFC 1950 to 1952.

    gzip may have several members, and garbage after the last. ``deflate`` is zlib as the standard says, or the bare
    stream that some servers send. Raises FetchError on corrupt data and above ``limit`` bytes of output.
    """

    def __init__(self, coding: str, *, limit: int, host: str) -> None:
        self._gzip = coding == "gzip"
        self._limit = limit
        self._host = host
        self._name = coding
        self._waiting = b""  # the first two bytes of a stream tell what it is
        self._stream: zlib._Decompress | None = None
        self._members = 0
        self._done = False
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds to the output."""
        data = self._waiting + data
        self._waiting = b""
        while data and not self._done:
            if self._stream is None:
                if len(data) < len(GZIP_MAGIC):
                    self._waiting = data
                    return
                self._open(data)
                if self._stream is None:
                    return
            yield from self._inflate(self._stream, data)
            data = self._stream.unused_data
            if not self._stream.eof:
                return
            self._stream = None
            self._done = not self._gzip

    def finish(self) -> None:
        """Raise FetchError when the input ended before the encoded stream did."""
        cut_off = self._stream is not None or (bool(self._waiting) and not self._members)
        if cut_off:
            raise FetchError(f"{self._host}: the body is truncated: its {self._name} stream does not end")

    def _open(self, data: bytes) -> None:
        if self._gzip and self._members and not data.startswith(GZIP_MAGIC):
            self._done = True  # garbage after the last member
            return
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise FetchError(f"{self._host}: more than {MOST_MEMBERS} gzip members")
        if self._gzip:
            wbits = zlib.MAX_WBITS | 16
        else:
            has_zlib_header = data[0] & 0x0F == zlib.DEFLATED and (data[0] << 8 | data[1]) % 31 == 0
            wbits = zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS
        self._stream = zlib.decompressobj(wbits)

    def _inflate(self, stream: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = stream.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise FetchError(f"{self._host}: the body is no valid {self._name} stream") from None
            if piece:
                self._size += len(piece)
                if self._size > self._limit:
                    raise _too_large(self._host, self._limit)
                yield piece
            data = stream.unconsumed_tail
            if stream.eof or (not data and len(piece) < PIECE_BYTES):
                return


async def read_body(
    chunks: AsyncIterator[bytes], *, codings: Sequence[str], limit: int, host: str, cut: bool = False
) -> bytes:
    """The decoded body, at most ``limit`` bytes; raise FetchError when it is larger, corrupt or a bomb.

    With ``cut`` a larger body is cut at the limit instead (robots.txt: RFC 9309, 2.5).
    """
    layers = [Inflater(coding, limit=limit + PIECE_BYTES, host=host) for coding in reversed(codings)]
    received, count, body = 0, 0, bytearray()
    async for chunk in chunks:
        received += len(chunk)
        for piece in _through(layers, chunk):
            body += piece
            if len(body) > max(RATIO_FROM_BYTES, MOST_RATIO * received):
                raise FetchError(f"{host}: the body expands more than {MOST_RATIO}-fold")
            if len(body) > limit:
                break
        if max(received, len(body)) > limit:
            if cut:
                return bytes(body[:limit])
            raise _too_large(host, limit)
        count += 1
        if count % CHUNKS_PER_TURN == 0:
            await asyncio.sleep(0)  # a body in thousands of tiny chunks may not hold the loop
    for layer in layers:
        layer.finish()
    return bytes(body)


def _through(layers: Sequence[Inflater], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].feed(data):
        yield from _through(layers[1:], piece)


def _too_large(host: str, limit: int) -> FetchError:
    return FetchError(f"{host}: the body is larger than {limit} bytes")
