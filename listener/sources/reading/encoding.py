"""Bytes to text when several places claim an encoding, and some of them lie."""

import codecs
import re
from collections.abc import Iterator

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITHOUT_MARK = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""^\s*<\?xml[^<>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_CHARSET = re.compile(r"""\bcharset\s*=\s*["']?([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE)
# Python also calls "idna", "punycode" and "unicode_escape" encodings: no document is written in them, and some of them
# take quadratic time.
_OF_DOCUMENTS = re.compile(r"ascii|utf|iso|latin|cp\d|koi8|big5|gb|hz|euc|shift_jis|johab|mac|tis|kz|ptcp")
# What pages call these is, in truth, the larger set (WHATWG Encoding Standard, 4.2).
_LARGER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "iso8859-9": "cp1254"}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def charset_of(content_type: str | None) -> str | None:
    """The ``charset`` of a Content-Type header (RFC 9110, 8.3.1), if it has one."""
    found = _CHARSET.search(content_type or "")
    return found.group(1) if found else None


def codec_of(name: str) -> str | None:
    """Python's name of the encoding; None for names that are unknown or that no document is written in."""
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return _LARGER.get(codec, codec) if _OF_DOCUMENTS.match(codec) else None


def decode_document(body: bytes, charset: str | None = None) -> str:
    """The text of an XML document, without characters that XML 1.0 forbids (section 2.2); never fails.

    A byte order mark wins, then UTF-8 when the bytes are valid UTF-8 beyond ASCII (by accident they are not), then the
    HTTP ``charset``, the XML declaration and Windows-1252, the first that fits (RFC 7303, 3, but for liars).
    """
    for codec in _candidates(body, charset):
        try:
            text = body.decode(codec)
        except UnicodeError:
            continue
        return _FORBIDDEN.sub("", text)
    return _FORBIDDEN.sub("", body.decode("utf-8", errors="replace"))


def _candidates(body: bytes, charset: str | None) -> Iterator[str]:
    """Encodings to try, the most believable first."""
    yield from (codec for mark, codec in _BOMS if body.startswith(mark))
    yield from (codec for mark, codec in _WITHOUT_MARK if body.startswith(mark))
    if not body.isascii():
        yield "utf-8"
    declared = _DECLARED.match(body[:1024])
    for name in (charset, declared.group(1).decode("ascii") if declared else None):
        codec = codec_of(name) if name else None
        if codec is not None and not codec.startswith(("utf-16", "utf-32")):  # with these the bytes above had matched
            yield codec
    yield "cp1252"


def storable(text: str) -> str:
    """The text without what databases and JSON refuse: NUL and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")
