"""Feeds: RSS, Atom, RDF and JSON Feed, the one format that nearly every press site, blog and forum still speaks.

Options: ``url``, and ``username`` with ``password`` where the server asks for them (RFC 7617). An item is its guid
(Atom id, JSON Feed id), else its link, else a digest of title and date; its text is the content, else the summary.
"""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

from pydantic import Field, SecretStr, model_validator

from listener.domain import Accept, Page, RawMention, Request, stable_id
from listener.sources.base import ITEMS_MAX, HttpSource
from listener.sources.reading.encoding import charset_of
from listener.sources.reading.jsonfeed import read_json_feed
from listener.sources.reading.xmlfeed import Entry, read_xml_feed

PAUSE_SECS_MAX: Final = 24 * 3600.0
_HEAD_BYTES = 64 * 1024
_TTL = re.compile(rb"<ttl>\s*(\d{1,6})\s*</ttl>", re.IGNORECASE)  # minutes
_PERIOD = re.compile(rb"<sy:updatePeriod>\s*(hourly|daily|weekly|monthly|yearly)\s*</", re.IGNORECASE)
_FREQUENCY = re.compile(rb"<sy:updateFrequency>\s*(\d{1,4})\s*</", re.IGNORECASE)
_PERIOD_SECS = {"hourly": 3600, "daily": 86400, "weekly": 604800, "monthly": 2592000, "yearly": 31536000}
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)
_OLDEST = datetime.min.replace(tzinfo=UTC)


class Feed(HttpSource):
    """Poll one feed."""

    url: str = Field(pattern=r"^https?://", description="Address of the feed: RSS, Atom, RDF or JSON Feed.")
    username: str | None = Field(default=None, description="User name for basic authentication.")
    password: SecretStr | None = Field(default=None, description="Its password.")

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: give both, or neither")
        return self

    def request(self, since: datetime | None) -> Request:  # noqa: ARG002 -- a feed shows what it has
        """Ask for the document; a feed knows no ``since``."""
        headers = {}
        if self.username is not None and self.password is not None:
            login = f"{self.username}:{self.password.get_secret_value()}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(login).decode('ascii')}"
        return Request(url=self.url, accept=Accept.FEED, headers=headers)

    def items(self, page: Page) -> Sequence[Any]:
        """The entries, or ValueErrors in the place of JSON items that are none; the newest only, if there are too many.

        With each comes the id or link that no other entry shares: an id on all of them names none.
        """
        body = page.body.lstrip(b"\xef\xbb\xbf \t\r\n")
        entries: Sequence[Entry | ValueError]
        if body.startswith(b"{"):
            entries = read_json_feed(body, url=page.url)
        else:
            charset = charset_of(page.headers.get("content-type"))
            entries = read_xml_feed(page.body, url=page.url, charset=charset)
        if len(entries) > ITEMS_MAX:
            entries = sorted(entries, key=_time_of, reverse=True)
        names = [_names_of(entry) for entry in entries]
        uses = Counter(name for both in names for name in set(both))
        own = [next((name for name in both if uses[name] == 1), None) for both in names]
        return list(zip(entries, own, strict=True))

    def mention(self, item: Any) -> RawMention:
        """Read one entry."""
        entry, own_id = item
        if isinstance(entry, ValueError):
            raise entry
        date = entry.published_at or entry.updated_at
        edited = entry.updated_at if entry.updated_at != date else None
        digest = stable_id("entry", entry.title or entry.text or "", date.isoformat() if date else "")
        return RawMention(
            external_id=own_id or digest,
            url=entry.link or "",
            text=entry.text or "",
            title=entry.title,
            author=entry.author,
            published_at=date,
            edited_at=edited,
            lang=entry.lang,
            conversation=entry.conversation,
        )

    def pause_secs(self, page: Page) -> float | None:
        """The longest of ttl, syndication period and max-age, between the interval and a day."""
        head = page.body[:_HEAD_BYTES]
        asked: list[float] = []
        if found := _TTL.search(head):
            asked.append(60.0 * int(found.group(1)))
        if period := _PERIOD.search(head):
            frequency = _FREQUENCY.search(head)
            per_period = max(1, int(frequency.group(1))) if frequency else 1
            asked.append(_PERIOD_SECS[period.group(1).decode().lower()] / per_period)
        if age := _MAX_AGE.search(page.headers.get("cache-control", "")):
            asked.append(float(age.group(1)))
        return max(float(self.interval_secs), min(PAUSE_SECS_MAX, max(asked))) if asked else None


def _names_of(entry: Entry | ValueError) -> list[str]:
    """What may tell the entry from others, the better first."""
    return [] if isinstance(entry, ValueError) else [name for name in (entry.id, entry.link) if name]


def _time_of(entry: Entry | ValueError) -> datetime:
    """For sorting; entries without a time count as oldest."""
    return (isinstance(entry, Entry) and (entry.published_at or entry.updated_at)) or _OLDEST
