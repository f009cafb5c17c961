"""What the demo's site answers with: an Atom feed (RFC 4287), reviews in JSON, pages for people, 304 (RFC 9110, 13)."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from html import escape
from typing import Any
from xml.etree import ElementTree as ET

from fastapi import Request, Response

from listener.demo.story import Item

_PATHS = {"feed": "post", "reviews": "review"}
_STYLE = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}p.by{color:#666}"


def atom(entries: Sequence[Item], *, url: str) -> bytes:
    """An Atom document of the entries, in the order given."""
    feed = ET.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": "et"})
    _add(feed, "id", f"{url}/feed.xml")
    _add(feed, "title", "Kiirkotist räägitakse")
    _add(feed, "updated", _iso(max((item.changed_at for item in entries), default=datetime.fromtimestamp(0, UTC))))
    ET.SubElement(feed, "link", {"rel": "self", "type": "application/atom+xml", "href": f"{url}/feed.xml"})
    for item in entries:
        entry = ET.SubElement(feed, "entry", {"xml:lang": item.row.lang})
        _add(entry, "id", f"tag:kiirkott.example,2026:{item.row.id}")
        _add(entry, "title", item.row.title or "")
        ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": _link(item, url)})
        _add(ET.SubElement(entry, "author"), "name", item.row.author)
        _add(entry, "published", _iso(item.published_at))
        _add(entry, "updated", _iso(item.edited_at or item.published_at))
        _add(entry, "content", _html(item.text), type="html")
    document: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def review(item: Item, *, url: str) -> dict[str, Any]:
    """A review as the API gives it; ``language`` is left out where the site does not know it."""
    row = item.row
    answer = {
        "id": row.id,
        "url": _link(item, url),
        "title": row.title,
        "text": item.text,
        "rating": row.rating,
        "author": {"name": row.author},
        "created_at": _iso(item.published_at),
        "updated_at": _iso(item.changed_at),
    }
    return answer if row.untagged else {**answer, "language": row.lang}


def item_page(item: Item) -> str:
    """The page of one post or review, for people who follow the link in an alert."""
    row = item.row
    stars = f" · {'★' * row.rating}{'☆' * (5 - row.rating)}" if row.rating else ""
    edited = " · edited" if item.edited_at else ""
    heading = row.title or f"{row.author} on Kiirkott"
    by = f'{escape(row.author)} · <time datetime="{_iso(item.published_at)}">{item.published_at:%Y-%m-%d %H:%M}</time>'
    body = f'<h1>{escape(heading)}</h1><p class="by">{by}{stars}{edited}</p>{_html(item.text)}'
    return _page(heading, body, row.lang)


def front_page(items: Sequence[Item]) -> str:
    """What this site is."""
    return _page(
        "Kiirkott, the story",
        "<h1>Kiirkott, the story</h1>"
        "<p>This site belongs to the demonstration of listener. Kiirkott is an invented parcel network; its customers"
        f" and competitors are invented too. They have written {len(items)} posts and reviews so far; more appear as"
        " the story unfolds.</p>"
        '<ul><li><a href="/feed.xml">posts</a> (Atom)</li><li><a href="/api/reviews">reviews</a> (JSON)</li></ul>',
        "en",
    )


def conditional(request: Request, body: bytes | memoryview, media_type: str, items: Sequence[Item]) -> Response:
    """The body, or 304 when the client has it: by ETag, else by the last change, whose time is exact to a second."""
    content = bytes(body)
    changed_at = max((item.changed_at for item in items), default=None)
    headers = {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "cache-control": "no-cache"}
    if changed_at is not None:
        headers["last-modified"] = format_datetime(changed_at.astimezone(UTC), usegmt=True)
    if _has(request, headers["etag"], changed_at):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _has(request: Request, etag: str, changed_at: datetime | None) -> bool:
    """Whether the client's copy is the current one; If-None-Match rules out If-Modified-Since (RFC 9110, 13.1.3)."""
    if (known := request.headers.get("if-none-match")) is not None:
        return known.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}
    since = request.headers.get("if-modified-since")
    if since is None or changed_at is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    return moment.tzinfo is not None and changed_at.replace(microsecond=0) <= moment


def _page(title: str, body: str, lang: str) -> str:
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


def _html(text: str) -> str:
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in text.split("\n") if paragraph)


def _link(item: Item, url: str) -> str:
    return f"{url}/{_PATHS[item.row.place]}/{item.row.id}"


def _iso(moment: datetime) -> str:
    """RFC 3339 in UTC to the millisecond, cut, so that no date lies in the future."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _add(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
