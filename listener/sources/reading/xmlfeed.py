"""RSS 0.9x to 2.0, RDF (RSS 1.0), Atom 0.3 and 1.0: from bytes to entries.

Read with lxml, which recovers from broken markup; feedparser stands behind it for what is no XML at all. A ready-made
reader does not stand before it: fastfeedparser 0.6 loses XHTML, base64 and mixed content, cuts a text at its first
undeclared entity and turns a date that is none into one of the current month; and two readers name some items by
different ids, so that a feed would bring its old items anew on the day that it is read by the other one.
"""

import base64
import calendar
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from html import escape, unescape
from html.entities import html5
from itertools import islice
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urljoin

import feedparser
from lxml import etree

from listener.errors import ParseError
from listener.sources.reading.encoding import decode_document
from listener.sources.reading.times import from_unix, parse_time

ENTRIES_MAX: Final = 20_000  # of one document; the caller keeps the newest
FALLBACK_CHARS_MAX: Final = 2 * 1024 * 1024  # feedparser reads about 1 to 3 MB a second
# What feedparser raises on markup that is broken enough, although it means to raise nothing.
_FEEDPARSER_SLIPS = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
_ENTITY_CHARS_MAX = 200
_AUTHOR_CHARS_MAX = 300  # of one that is taken apart: the patterns below are quadratic
_PROLOG_STEPS_MAX = 200

_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE(?P<doctype>[^\[>]*(?:\[.*?\]\s*)?)>)", re.DOTALL)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s>/]", re.IGNORECASE)
_ENTITY = re.compile(r"""<!ENTITY\s+(?P<name>%|[\w.:-]+)\s+(?:"(?P<value>[^"]*)"|'(?P<other>[^']*)')?""")
_CHARACTER = re.compile(r"&#(?:\d+|x[0-9a-fA-F]+);")
_AMPERSAND = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&(?P<name>[\w.:-]{1,40};)?(?P<code>#)?", re.DOTALL
)
_OF_XML = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"

# Whose element it is. RSS has no namespace or, in version 1.0 and by mistake, one of its own.
_NAMESPACES: Mapping[str, str] = MappingProxyType({
    "www.w3.org/2005/atom": "atom", "purl.org/atom/ns#": "atom", "purl.org/dc/elements/1.1": "dc",
    "purl.org/dc/elements/1.0": "dc", "purl.org/dc/terms": "dc", "purl.org/rss/1.0/modules/content": "content",
    "www.itunes.com/dtds/podcast-1.0.dtd": "itunes", "search.yahoo.com/mrss": "media",
    "purl.org/syndication/thread/1.0": "thr",
})  # fmt: skip
_RSS_NAMESPACE = re.compile(
    r"purl\.org/rss/|purl\.org/net/rss|backend\.userland\.com/|my\.netscape\.com/|channel\.netscape|blogs\.law\.harvard"
)
_PREFIXES = frozenset({"atom", "dc", "content", "itunes", "media", "thr"})

# Where a field may stand, the best place first.
_TITLE = ("rss:title", "atom:title", "dc:title", "media:title", "itunes:title")
_TEXT = ("content:encoded", "rss:encoded", "atom:content", "rss:content", "rss:description", "atom:summary",
         "rss:summary", "dc:description", "itunes:summary", "media:description")  # fmt: skip
_ID = ("rss:guid", "atom:id", "rss:id")
_AUTHOR = ("dc:creator", "rss:author", "atom:author", "dc:author", "itunes:author", "rss:creator", "media:credit")
_PUBLISHED = ("rss:pubdate", "atom:published", "atom:issued", "rss:published", "dc:date", "dc:issued", "dc:created",
              "atom:created", "rss:date")  # fmt: skip
_UPDATED = ("atom:updated", "atom:modified", "rss:updated", "dc:modified", "rss:lastbuilddate")
_MEDIA = ("media:title", "media:description", "media:credit")
_EMAIL_THEN_NAME = re.compile(r"[^\s()<>]+@[^\s()<>]+\s*\((?P<name>[^()]+)\)")
_NAME_THEN_EMAIL = re.compile(r"(?P<name>[^()<>]+?)\s*[(<](?:mailto:)?[^\s()<>]+@[^\s()<>]+[)>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a feed document, as written: absent parts are None; ``title`` and ``text`` may hold HTML.

    ``conversation`` is the id of the entry that starts its thread, which may be itself.
    """

    id: str | None = None
    link: str | None = None
    title: str | None = None
    text: str | None = None
    author: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    lang: str | None = None
    conversation: str | None = None


def read_xml_feed(body: bytes, *, url: str, charset: str | None) -> list[Entry]:
    """The entries of the document, in its order. Raises ParseError when it is no feed, or carries an entity bomb."""
    text = decode_document(body, charset)
    document = _feed_part(text)
    if document is not None:
        entries, whole = _read_tree(document, url)
        if entries or whole:
            return entries
    return _read_as_feedparser(text, url)


def _feed_part(text: str) -> str | None:
    """From the feed's own root element on, with entities resolved; None when there is no such element.

    What stands before it (declaration, comments, DOCTYPE, a server's warnings) is left out: nothing in it can expand.
    """
    entities: dict[str, str] = {}
    position = 0
    for _ in range(_PROLOG_STEPS_MAX):
        step = _PROLOG.match(text, position)
        if step is not None:
            entities |= _declared(step["doctype"] or "")
            position = step.end()
            continue
        root = _ROOT.match(text, position)
        if root is not None:
            return _resolve(text[position:], entities)
        position = text.find("<", position + 1)
        if position < 0:
            return None
    return None


def _declared(doctype: str) -> dict[str, str]:
    """The entities of a DOCTYPE that stand for a few characters. Raises ParseError for those that expand or fetch."""
    entities: dict[str, str] = {}
    for found in _ENTITY.finditer(doctype):
        value = found["value"] if found["value"] is not None else found["other"]
        literal = _CHARACTER.sub("", value or "")
        if found["name"] == "%" or value is None or "&" in literal or "%" in literal or len(value) > _ENTITY_CHARS_MAX:
            raise ParseError("the document declares entities that expand or are fetched; such a feed is not read")
        entities[f"{found['name']};"] = unescape(value)
    return entities


def _resolve(document: str, entities: Mapping[str, str]) -> str:
    """Named entities of HTML and of the DOCTYPE as characters, stray ampersands as ``&amp;``; CDATA stays as it is.

    An XML parser that recovers from an unknown entity drops the rest of the text.
    """

    def replacement(found: re.Match[str]) -> str:
        whole, name = found.group(), found["name"]
        if not whole.startswith("&") or name in _OF_XML or found["code"]:
            return whole
        value = entities.get(name or "", html5.get(name or ""))
        return f"&amp;{whole[1:]}" if value is None else escape(value, quote=False)

    return _AMPERSAND.sub(replacement, document)


def _read_tree(document: str, url: str) -> tuple[list[Entry], bool]:
    """The entries that lxml finds, and whether the document was whole, so that none found means that there are none."""
    parser = etree.XMLParser(
        recover=True, no_network=True, resolve_entities=False, load_dtd=False, remove_comments=True, remove_pis=True
    )
    root = etree.fromstring(document.encode(), parser, base_url=url)
    if root is None:
        return [], False
    channel_lang = _channel_lang(root)
    items = (item for item in root.iter("{*}item", "{*}entry") if _key(item.tag).startswith(("rss:", "atom:")))
    entries = [_entry(item, url, channel_lang) for item in islice(items, ENTRIES_MAX)]
    return _in_threads(entries, root.nsmap.values()), not len(parser.error_log)


@lru_cache(maxsize=1024)
def _key(tag: Any) -> str:
    """``owner:name`` of an element, both in lower case: the owner is its namespace, or its prefix if undeclared."""
    uri, _, name = str(tag).rpartition("}")
    prefix, _, local = name.rpartition(":")
    space = uri.strip("{ \t\r\n").lower().removeprefix("http://").removeprefix("https://").rstrip("/")
    if not space:
        owner = prefix.lower() if prefix.lower() in _PREFIXES else "" if prefix else "rss"
    else:
        owner = _NAMESPACES.get(space) or ("rss" if _RSS_NAMESPACE.match(space) else "")
    return f"{owner}:{local.lower()}"


def _channel_lang(root: Any) -> str | None:
    """The language that the feed claims for all of it."""
    for parent in (root, *root.iterchildren("{*}channel")):
        for child in parent.iterchildren("{*}language"):
            if _key(child.tag) in {"rss:language", "dc:language"} and child.text and child.text.strip():
                return str(child.text.strip())
    return None


def _entry(item: Any, url: str, channel_lang: str | None) -> Entry:
    """One entry from its direct children, and from Media RSS groups one level below."""
    parts: dict[str, list[Any]] = {}
    for child in item.iterchildren():
        key = _key(child.tag)
        parts.setdefault(key, []).append(child)
        if key == "media:group":
            for inner in child.iterchildren():
                if _key(inner.tag) in _MEDIA:
                    parts.setdefault(_key(inner.tag), []).append(inner)
    identity = _first(parts, _ID) or _clean(item.get(_RDF_ABOUT))
    lang = next(iter(item.xpath("ancestor-or-self::*/@xml:lang")[-1:]), None)
    own_lang = _first(parts, ("dc:language", "rss:language"))
    return Entry(
        id=identity,
        link=_link(parts, url),
        title=_first(parts, _TITLE),
        text=_first(parts, _TEXT),
        author=next((name for name in map(_author, _each(parts, _AUTHOR)) if name), None),
        published_at=_time(parts, _PUBLISHED),
        updated_at=_time(parts, _UPDATED),
        lang=own_lang or (str(lang) if lang else channel_lang),
        conversation=next((ref for ref in map(_ref, parts.get("thr:in-reply-to", ())) if ref), None),
    )


def _ref(element: Any) -> str | None:
    """The id of the entry that is replied to (RFC 4685, 3)."""
    return _clean(element.get("ref"))


def _in_threads(entries: list[Entry], namespaces: Iterable[str | None]) -> list[Entry]:
    """The entries with what starts their thread as ``conversation``, which so far is what they reply to.

    Replies to replies are followed up as far as this document shows them. In a feed that tells threads at all, an entry
    that replies to nothing starts one, since its replies may be in a later document. An id that several entries share
    names no thread. Elsewhere nothing is told for sure: RSS ``comments`` is a page, not what an item belongs to.
    """
    told = any(_key(f"{{{uri}}}ref") == "thr:ref" for uri in namespaces if uri)
    if not told and not any(entry.conversation for entry in entries):
        return entries
    uses = Counter(entry.id for entry in entries)
    above = {entry.id: entry.conversation or entry.id for entry in entries if entry.id and uses[entry.id] == 1}
    top_of: dict[str, str] = {}

    def top(at: str) -> str | None:
        passed = []
        while at in above and at not in top_of:  # what was passed is not passed again: linear, and out of every ring
            passed.append(at)
            top_of[at] = at
            at = above[at]
        found = top_of.get(at, at)
        top_of.update(dict.fromkeys(passed, found))
        return found if uses[found] <= 1 else None

    return [
        replace(entry, conversation=top(start) if (start := entry.conversation or entry.id) else None)
        for entry in entries
    ]


def _each(parts: Mapping[str, list[Any]], keys: Iterable[str]) -> Iterator[Any]:
    for key in keys:
        yield from parts.get(key, ())


def _clean(value: str | None) -> str | None:
    return (value or "").strip() or None


def _first(parts: Mapping[str, list[Any]], keys: Iterable[str]) -> str | None:
    """The first of these elements that says anything."""
    return next((value for value in map(_value, _each(parts, keys)) if value), None)


def _value(element: Any) -> str | None:
    """What an element says, as HTML: its text, the markup within it, or what its base64 stands for."""
    kind = (element.get("type") or "").strip().lower()
    if (element.get("mode") or "").strip().lower() == "base64" or kind == "base64" or _is_binary(kind):
        return _clean(_from_base64("".join(element.itertext())))
    children = list(element)
    if not children:
        return _clean(element.text)
    if kind == "xhtml" and len(children) == 1 and not (element.text or "").strip():
        element, children = children[0], list(children[0])  # the div is not part of the content (RFC 4287, 3.1.1.3)
    markup = "".join(etree.tostring(child, encoding="unicode") for child in children)
    return _clean(escape(element.text or "", quote=False) + markup)


def _is_binary(kind: str) -> bool:
    """Whether Atom has content of this media type in base64 (RFC 4287, 4.1.3.3)."""
    return "/" in kind and not kind.startswith("text/") and not kind.endswith(("+xml", "/xml"))


def _from_base64(value: str) -> str:
    try:
        return base64.b64decode(value, validate=False).decode("utf-8")
    except ValueError:
        return value


def _link(parts: Mapping[str, list[Any]], url: str) -> str | None:
    """The page of the item: RSS ``link``, Atom's alternate, or a guid that is one."""
    for element in _each(parts, ("rss:link", "atom:link")):
        href = element.get("href")
        relation = (element.get("rel") or "alternate").strip().lower()
        address = _clean(element.text) if href is None else _clean(href)
        if address and relation in {"alternate", "http://www.iana.org/assignments/relation/alternate"}:
            return _absolute(address, element, url)
    for element in parts.get("rss:guid", ()):
        address = _clean(element.text) or ""
        if address.startswith(("http://", "https://")) and element.get("isPermaLink", "true").lower() != "false":
            return address
    return None


def _absolute(address: str, element: Any, url: str) -> str:
    """The address against ``xml:base``, else against the page; line breaks within it are a layout's."""
    address = "".join(address.split())
    try:
        return urljoin(urljoin(url, str(element.base or "")), address)
    except ValueError:
        return address


def _author(element: Any) -> str | None:
    """Who wrote it: the name if there is one, else the address."""
    names = [child for child in element.iterchildren() if _key(child.tag) in {"atom:name", "rss:name"}]
    addresses = [child for child in element.iterchildren() if _key(child.tag) in {"atom:email", "rss:email"}]
    for child in (*names, *addresses):
        if value := _clean("".join(child.itertext())):
            return value
    value = _clean("".join(element.itertext()))
    if value is None or len(element) or len(value) > _AUTHOR_CHARS_MAX:
        return value
    found = _EMAIL_THEN_NAME.fullmatch(value) or _NAME_THEN_EMAIL.fullmatch(value)
    return found["name"].strip() if found else value


def _time(parts: Mapping[str, list[Any]], keys: Iterable[str]) -> datetime | None:
    """The first of these times that can be read; a feed with odd dates is still worth its texts."""
    for element in _each(parts, keys):
        try:
            return parse_time("".join(element.itertext()))
        except ValueError:
            continue
    return None


def _read_as_feedparser(text: str, url: str) -> list[Entry]:
    """What feedparser finds in a document that is no XML. Raises ParseError when that is not a feed either."""
    if len(text) > FALLBACK_CHARS_MAX:
        raise ParseError("the document is no well-formed feed, and too large to be mended")
    try:
        feed = feedparser.parse(
            io.BytesIO(text.encode()),  # a stream, never the text: feedparser would open one that is the name of a file
            response_headers={"content-type": "application/xml; charset=utf-8", "content-location": url},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except _FEEDPARSER_SLIPS as error:
        raise ParseError("the document is no well-formed feed, and cannot be mended") from error
    if not feed.get("version") and not feed.entries:
        raise ParseError("the document is not a feed")
    entries = [_entry_of(dict(found)) for found in feed.entries[:ENTRIES_MAX]]
    return _in_threads(entries, feed.get("namespaces", {}).values())


def _entry_of(found: Mapping[str, Any]) -> Entry:
    """The entry of a feedparser result."""
    replied = found.get("thr_in-reply-to")  # a text where somebody wrote one into the element
    content = next((part.get("value") for part in found.get("content", ()) if part.get("value")), None)
    return Entry(
        id=_clean(found.get("id")),
        link=_clean(found.get("link")),
        title=_clean(found.get("title")),
        text=_clean(content) or _clean(found.get("summary")),
        author=_clean(found.get("author_detail", {}).get("name") or found.get("author")),
        published_at=_struct_time(found.get("published_parsed")),
        updated_at=_struct_time(found.get("updated_parsed")),
        lang=_clean(found.get("language")),
        conversation=_clean(replied.get("ref")) if isinstance(replied, Mapping) else None,
    )


def _struct_time(value: Any) -> datetime | None:
    try:
        return from_unix(calendar.timegm(value)) if value else None
    except (ValueError, TypeError, OverflowError):
        return None
