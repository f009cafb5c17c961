"""Encodings, JSON and times from strangers: what can be read is, and what cannot is refused for a reason."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.config.zones import zone_of
from listener.errors import ParseError
from listener.sources.reading.encoding import charset_of, codec_of, decode_document, storable
from listener.sources.reading.jsontext import loads
from listener.sources.reading.mapping import find_one
from listener.sources.reading.times import from_unix, parse_time

TEXT = "Jõe äärne, õunad, ž и слово"


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), "iso-8859-1"),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-32"), "utf-8"),
        (TEXT.encode(), "iso-8859-1"),  # the server lies
        (b'<?xml version="1.0" encoding="windows-1252"?>' + TEXT.encode(), None),  # the document lies
        (("<" + TEXT).encode("utf-16-le"), None),  # no mark
        (("<" + TEXT).encode("utf-16-be"), "utf-8"),
    ],
)
def test_decoding_unicode(body: bytes, charset: str | None) -> None:
    assert (charset, decode_document(body, charset)[-len(TEXT) :]) == (charset, TEXT)


@pytest.mark.parametrize("codec", ["iso-8859-15", "cp1257", "iso-8859-13", "cp1252"])
def test_decoding_what_the_server_or_the_document_declares(codec: str) -> None:
    estonian = "Jõe äärne, õunad, žürii šokk"
    declared = f"<?xml version='1.0' encoding='{codec}'?>{estonian}"
    assert decode_document(estonian.encode(codec), codec) == estonian
    assert decode_document(declared.encode(codec)) == declared
    assert decode_document(declared.replace(codec, "utf-8").encode(codec), codec).endswith(estonian)


@pytest.mark.parametrize("name", ["idna", "punycode", "unicode_escape", "hex", "rot13", "no-such", "a\0b", ""])
def test_what_is_no_encoding_of_documents_is_not_used(name: str) -> None:
    assert codec_of(name) is None
    assert decode_document("õ".encode(), name) == "õ"


@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "shift_jis", "utf-7", "gb2312", "utf-16", "bogus"]))
def test_decoding_never_fails_and_leaves_nothing_that_xml_forbids(body: bytes, charset: str | None) -> None:
    text = decode_document(body, charset)
    text.encode()
    assert "\0" not in text
    assert "\ufffe" not in text


def test_charset_of_a_content_type() -> None:
    assert charset_of('text/xml; Charset="iso-8859-1"; x=y') == "iso-8859-1"
    assert charset_of("text/xml") is charset_of(None) is None


@given(st.text(alphabet=st.characters(), max_size=50))
def test_storable_text_can_be_written(text: str) -> None:
    assert "\0" not in storable(text).encode().decode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"  <!DOCTYPE html><p>Blocked", "HTML or XML was served"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'{"a": 1} trailing', "Extra data"),
        (b"\xff\xff\xff", "not JSON"),
        (b"[" * 101 + b"]" * 101, "deeper than 100"),
        (b'{"a":' * 200_000, "deeper than 100"),
    ],
)
def test_what_is_not_json_says_what_it_is(body: bytes, why: str) -> None:
    with pytest.raises(ParseError, match=why):
        loads(body)


def test_json_at_the_limits() -> None:
    assert loads(b"[" * 100 + b"]" * 100)
    assert loads('\ufeff{"õ": 1}'.encode()) == {"õ": 1}
    assert loads('{"õ": 1}'.encode("utf-16")) == {"õ": 1}
    assert loads(b"[" + b"9" * 40 + b"]") == [10**40 - 1]
    assert loads(b"[" + b"9" * 100_000 + b"]") == ["9" * 100_000]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00"),
        ("2026-11-20T10:00:00.123456789+02:00", "2026-11-20T08:00:00.123456"),
        ("2026-11-20", "2026-11-20T00:00:00"),
        ("20261120T100000Z", "2026-11-20T10:00:00"),
        ("Fri, 20 Nov 2026 10:00:00 +0200", "2026-11-20T08:00:00"),
        ("Fri, 20 Nov 2026 10:00:00 EET", "2026-11-20T08:00:00"),
        ("20 Nov 26 10:00 PST", "2026-11-20T18:00:00"),
        ("  Fri, 20 Nov 2026 10:00:00 GMT\n", "2026-11-20T10:00:00"),
        ("November 20, 2026 10:00", "2026-11-20T10:00:00"),
        ("20 Nov 2026 10:00 PM", "2026-11-20T22:00:00"),
    ],
)
def test_times(text: str, time: str) -> None:
    assert parse_time(text) == datetime.fromisoformat(time).replace(tzinfo=UTC)


def test_a_time_without_a_zone_is_in_the_one_that_is_given() -> None:
    assert parse_time("2026-07-01 12:00", ZoneInfo("Europe/Tallinn")) == datetime(2026, 7, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", " ", "yesterday", "garbage", "10:00", "20 Nov", "November 2026", "Friday", "0001-01-01", "2026-02-30",
     "9999-12-31T23:59:59-12:00", "20 Nov 2026 10:00 XYZ", "1" * 99, "9" * 5000, "1/2/3/4/5", "9" * 20 + "-1-1"],
)  # fmt: skip
def test_what_is_no_time_is_refused_and_never_becomes_today(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the texts are many libraries'
        parse_time(text)


@given(st.text(alphabet="0123456789 -:/+TZ.,JanFebGMTESTPMAM", max_size=40))
def test_times_fail_in_one_way_only(text: str) -> None:
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert moment.tzinfo is UTC
    assert 1969 <= moment.year <= 2200


@pytest.mark.parametrize("seconds", [1e300, -1e300, -86400.0 * 400, 253402300800.0])
def test_unix_times_out_of_range(seconds: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the texts are many libraries'
        from_unix(seconds)


def test_paths() -> None:
    record = {"user": {"name": "Ann"}, "a.b": 1, "list": [{"x": 2}], "user-id": 7}
    assert find_one("user.name", record) == "Ann"
    assert find_one("a.b", record) == 1
    assert find_one("$.list[0].x", record) == 2
    assert find_one("$['user-id']", record) == find_one("user-id", record) == 7
    assert find_one("user.name.first", record) is find_one("$.no", record) is None


@pytest.mark.parametrize("name", ["Europe/Talin", "", "../../etc/passwd", "a\0b"])
def test_zones_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone_of(name)
