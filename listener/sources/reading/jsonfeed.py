"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/): from bytes to entries."""

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urljoin

from listener.errors import ParseError
from listener.sources.reading.jsontext import loads
from listener.sources.reading.times import parse_time
from listener.sources.reading.xmlfeed import Entry


def read_json_feed(body: bytes, *, url: str) -> list[Entry | ValueError]:
    """The entries of the document, in its order; an item that is none is the error that says so.

    Raises ParseError when the document is not a JSON Feed.
    """
    document = loads(body)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise ParseError("the document is JSON, but not a JSON Feed: it has no list `items`")
    lang = _text(document.get("language"))
    return [_entry(item, url, lang) for item in document["items"]]


def _entry(item: Any, url: str, feed_lang: str | None) -> Entry | ValueError:
    if not isinstance(item, Mapping):
        return ValueError(f"an item is an object, not {type(item).__name__}")
    link = _text(item.get("url")) or _text(item.get("external_url"))
    plain = _text(item.get("content_text")) or _text(item.get("summary"))
    title = _text(item.get("title"))
    return Entry(
        id=_text(item.get("id")),
        link=_absolute(link, url) if link else None,
        title=escape(title, quote=False) if title else None,  # both are plain text by the standard
        text=_text(item.get("content_html")) or (escape(plain, quote=False) if plain else None),
        author=_author(item),
        published_at=_time(item.get("date_published")),
        updated_at=_time(item.get("date_modified")),
        lang=_text(item.get("language")) or feed_lang,
    )


def _text(value: Any) -> str | None:
    """A string as it is, a number as a string ("must be a string, but readers coerce numbers"), else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _author(item: Mapping[str, Any]) -> str | None:
    """The first author who has a name; version 1.0 has a single ``author``."""
    authors = item.get("authors")
    for author in (*(authors if isinstance(authors, list) else ()), item.get("author")):
        name = _text(author.get("name")) if isinstance(author, Mapping) else None
        if name:
            return name
    return None


def _absolute(link: str, url: str) -> str:
    try:
        return urljoin(url, link)
    except ValueError:
        return link


def _time(value: Any) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
