"""What a poll asks, what a site answers, and what was read of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from listener.domain.identity import EMPTY, Frozen, require_aware
from listener.errors import SourceError


class Accept(StrEnum):
    """What a request hopes for; decides the Accept header, the size limit, and whether robots.txt is asked."""

    FEED = "feed"
    JSON = "json"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request that a plug-in asks for.

    ``headers`` and ``url`` may carry secrets: neither is ever logged whole. ``conditional`` lets the fetcher add stored
    validators, so that the answer may be ``not_modified``; a plug-in sets it on the first page of a poll only.
    """

    url: str
    accept: Accept
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    conditional: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a server answered: ``body`` is decoded from its content encoding and capped; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime

    @property
    def not_modified(self) -> bool:
        """The server says 304: what we have is still what it has."""
        return self.status == 304  # noqa: PLR2004 -- RFC 9110, 15.4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """What a server gave to ask "has it changed?" with, kept byte for byte (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a source was read. Written in the same transaction as the mentions it covers.

    ``since_at`` is the newest ``published_at`` of completed polls; ``cursor`` is the plug-in's own (JSON values only);
    ``refreshed_at`` is the last fetch without validators, since some servers answer 304 for ever.
    """

    since_at: datetime | None = None
    cursor: Frozen = field(default_factory=lambda: EMPTY)
    validators: Mapping[str, Validator] = field(default_factory=dict)
    refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMention:
    """What the site said of one item, before we clean it.

    ``text`` and ``title`` may hold HTML. ``rating`` is on 0..1; ``reach`` counts people who may have seen it.
    ``conversation`` is the site's own id of the thread that the item belongs to, None when the site does not tell; an
    item that starts a thread which replies know by its id has that id, so that it and they are one conversation.
    Raises ValueError on an empty id, a missing text and title, and on naive times.
    """

    external_id: str
    url: str
    text: str
    title: str | None = None
    author: str | None = None
    published_at: datetime | None = None
    edited_at: datetime | None = None
    rating: float | None = None
    reach: int | None = None
    lang: str | None = None
    conversation: str | None = None

    def __post_init__(self) -> None:
        if not self.external_id.strip():
            raise ValueError("external_id is empty")
        if not self.text.strip() and not (self.title or "").strip():
            raise ValueError(f"item {self.external_id!r} has neither text nor title")
        require_aware("published_at", self.published_at)
        require_aware("edited_at", self.edited_at)
        if self.rating is not None and not 0.0 <= self.rating <= 1.0:
            raise ValueError(f"rating {self.rating} is not on 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One item that could not be read: its place in the page (from 0) and why. Counted, never fatal."""

    position: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What one visit to a source brought.

    ``checkpoint`` never points past a page that was not read: when a later page fails, the mentions before it are kept,
    ``failure`` says why, and ``checkpoint`` is the old one. ``pause_secs`` is how long the site asks to be left alone.
    """

    mentions: tuple[RawMention, ...]
    checkpoint: Checkpoint
    rejected: tuple[Rejected, ...] = ()
    not_modified: bool = False
    pause_secs: float | None = None
    failure: SourceError | None = None
