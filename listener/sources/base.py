'''What every source type derives from. The class *is* the schema of its configuration.

A new source is one file of about 40 lines that says how to ask, how to split an answer, and how to read one item; the
template below does the rest: paging, the checkpoint and its overlap, bad items, changed sites, bounds. For example::

    class Forum(HttpSource):
        """Poll a Discourse forum for posts that contain ``query``."""

        host: str
        query: str

        def request(self, since: datetime | None) -> Request:
            """Ask for posts after ``since``, newest first."""
            after = f" after:{since:%Y-%m-%d}" if since else ""
            url = f"https://{self.host}/search.json"
            return Request(url=url, accept=Accept.JSON, params={"q": f"{self.query}{after} order:latest"})

        def items(self, page: Page) -> Iterable[Any]:
            """The posts; a missing list means that the site has changed."""
            return loads(page.body)["posts"]

        def mention(self, item: Any) -> RawMention:
            """Read one post."""
            return RawMention(
                external_id=str(item["id"]),
                url=f"https://{self.host}/p/{item['id']}",
                text=item["blurb"],
                author=item.get("username"),
                published_at=parse_time(item["created_at"]),
            )

Register it under its own name with the entry point group ``listener.sources``. A secret is a field of type
``pydantic.SecretStr``: the loader fills it from the environment or from ``<field>_file``, and it is never printed.
'''

import asyncio
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from listener.domain import Checkpoint, Page, PollResult, RawMention, Rejected, Request
from listener.errors import ParseError, SourceError
from listener.protocols import Fetch
from listener.sources.reading.encoding import storable

# What reading one item of a stranger's page may raise. Anything else is a bug of the plug-in, and crashes its poll.
ITEM_ERRORS: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

ITEMS_MAX: Final = 2000  # of one page; a page with more is hostile or broken
PARSE_SECS: Final = 30.0  # of one page
PAGE_BYTES_KEPT: Final = 256 * 1024  # of a page that could not be read
TEXT_CHARS_MAX: Final = 100_000
NAME_CHARS_MAX: Final = 2_000  # of ids, links, titles and authors
_PROBLEM_CHARS_MAX: Final = 200
_LANG = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one page held: the items that could be read, in the page's order, and those that could not."""

    mentions: tuple[RawMention, ...] = ()
    rejected: tuple[Rejected, ...] = ()


class BaseSource(BaseModel, ABC):
    """The options that every source has, and the reading of items that does not depend on where they come from.

    ``brands`` names the brands that every item is about (a brand's own review page); without it the brands' queries
    decide. ``lang`` is the language of the whole source (ISO 639), for items that do not tell theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1)
    enabled: bool = Field(default=True, description="Whether it is polled.")
    interval_secs: int = Field(default=600, ge=5, description="Seconds from one poll to the next.")
    brands: tuple[str, ...] = Field(
        default=(), description="Brands that every item is about; empty: the brands' names and queries decide."
    )
    lang: str | None = Field(default=None, description="Language of items that do not tell theirs (ISO 639-1).")

    @abstractmethod
    async def poll(self, fetch: Fetch, checkpoint: Checkpoint) -> PollResult:
        """Visit once, reading what came after ``checkpoint``. Raises SourceError when nothing could be read."""

    @abstractmethod
    def items(self, page: Page) -> Iterable[Any]:
        """Split the page into raw items; any of ITEM_ERRORS means that the site has changed."""

    @abstractmethod
    def mention(self, item: Any) -> RawMention:
        """Read one item; any of ITEM_ERRORS rejects this item alone."""

    def read(self, items: Iterable[Any]) -> Parsed:
        """Read every item; bad ones are set aside with their position and problem."""
        mentions: list[RawMention] = []
        rejected: list[Rejected] = []
        for position, item in enumerate(items):
            try:
                mentions.append(self._bounded(self.mention(item)))
            except ITEM_ERRORS as error:
                rejected.append(Rejected(position=position, problem=problem_of(error)))
        return Parsed(mentions=tuple(mentions), rejected=tuple(rejected))

    def parse(self, page: Page) -> Parsed:
        """All that one page holds. Raises ParseError when it cannot be split, or when none of its items can be read."""
        try:
            parsed = self.read(self.items(page))
        except ParseError as error:
            raise ParseError(str(error), page=page.body[:PAGE_BYTES_KEPT]) from error
        except ITEM_ERRORS as error:
            raise ParseError(
                f"the site has changed: no items found ({problem_of(error)})", page=page.body[:PAGE_BYTES_KEPT]
            ) from error
        if parsed.rejected and not parsed.mentions:
            raise ParseError(
                f"the site has changed: none of {len(parsed.rejected)} items could be read, "
                f"the first because: {parsed.rejected[0].problem}",
                page=page.body[:PAGE_BYTES_KEPT],
            )
        return parsed

    def _bounded(self, raw: RawMention) -> RawMention:
        """The mention within our limits: sizes, storable characters, only http(s) links, a plain language code.

        A link is shown to people, and ``javascript:`` is one too. A long id becomes its digest, so it stays an id.
        """
        lang = _LANG.fullmatch((raw.lang or self.lang or "").strip())
        return replace(
            raw,
            external_id=_bounded_id(raw.external_id),
            url=web_link(storable(raw.url.strip())),
            text=storable(raw.text[:TEXT_CHARS_MAX]),
            title=None if raw.title is None else storable(raw.title[:NAME_CHARS_MAX]),
            author=None if raw.author is None else storable(raw.author[:NAME_CHARS_MAX]).strip() or None,
            lang=lang.group(1).lower() if lang else None,
            conversation=_bounded_id(raw.conversation or "") or None,
        )


def _bounded_id(given: str) -> str:
    """The same for an item and for replies that name it, whatever its length."""
    known = storable(given.strip())
    return known if len(known) <= NAME_CHARS_MAX else f"sha256:{hashlib.sha256(known.encode()).hexdigest()}"


class HttpSource(BaseSource):
    """A source behind HTTP: a plug-in gives ``request``, ``items``, ``mention``, and ``next_request`` if it has any."""

    @property
    def max_pages(self) -> int:
        """How many pages one poll reads at most; what lies behind is left."""
        return 10

    @property
    def newest_first(self) -> bool:
        """Whether the site promises its order, so that a page older than the checkpoint is the last one of interest."""
        return False

    @abstractmethod
    def request(self, since: datetime | None) -> Request:
        """Ask for what was written after ``since``; None asks for whatever the site shows first."""

    def next_request(self, page: Page, request: Request) -> Request | None:  # noqa: ARG002 -- a hook with a default
        """Ask for the page after ``page``, the answer to ``request``; None when it was the last."""
        return None

    def pause_secs(self, page: Page) -> float | None:  # noqa: ARG002 -- a hook with a default
        """How long the site asks to be left alone; None when it does not say."""
        return None

    def read(self, items: Iterable[Any]) -> Parsed:
        """Read the first 2000 items; the rest is one rejection."""
        rest = iter(items)
        parsed = super().read(islice(rest, ITEMS_MAX))
        left_out = sum(1 for _ in rest)
        if not left_out:
            return parsed
        overflow = Rejected(position=ITEMS_MAX, problem=f"{left_out} more items than one page may have ({ITEMS_MAX})")
        return replace(parsed, rejected=(*parsed.rejected, overflow))

    async def poll(self, fetch: Fetch, checkpoint: Checkpoint) -> PollResult:
        """Visit once: every page until the last, the limit, a repeated page, or one older than the checkpoint.

        ``since`` overlaps the poll before by two intervals: identity and content decide what is new, times do not.
        When a page after the first fails, what was read is returned with the failure and the old checkpoint.
        """
        since = checkpoint.since_at and checkpoint.since_at - timedelta(seconds=2 * self.interval_secs)
        request: Request | None = self.request(since)
        mentions: dict[str, RawMention] = {}
        rejected: list[Rejected] = []
        newest_at, pause_secs, failure = checkpoint.since_at, None, None
        heads: set[tuple[str, ...]] = set()
        for number in range(self.max_pages):
            if request is None:
                break
            try:
                page = await fetch(request)
                if page.not_modified and number == 0:
                    return PollResult(
                        mentions=(), checkpoint=checkpoint, not_modified=True, pause_secs=self.pause_secs(page)
                    )
                parsed, following = await self._read_page(page, request)
            except SourceError as error:
                if number == 0:
                    raise
                failure = error
                break
            if number == 0:
                pause_secs = self.pause_secs(page)
            head = tuple(mention.external_id for mention in parsed.mentions[:5])
            if head and head in heads:
                break  # a server that ignores the page number answers the first page for ever
            heads.add(head)
            for mention in parsed.mentions:
                mentions.setdefault(mention.external_id, mention)
            rejected.extend(parsed.rejected)
            newest_at = newest(newest_at, parsed.mentions, page.fetched_at)
            if self.newest_first and since is not None and _all_before(parsed.mentions, since):
                break
            request = following and replace(following, conditional=False)
        return PollResult(
            mentions=tuple(mentions.values()),
            checkpoint=checkpoint if failure else replace(checkpoint, since_at=newest_at),
            rejected=tuple(rejected),
            pause_secs=pause_secs,
            failure=failure,
        )

    async def _read_page(self, page: Page, request: Request) -> tuple[Parsed, Request | None]:
        """Parse off the event loop, within the time limit, and find the request for the page after it."""
        try:
            async with asyncio.timeout(PARSE_SECS):
                return await asyncio.to_thread(self._parse_and_turn, page, request)
        except TimeoutError as error:
            raise ParseError(
                f"reading the page took longer than {PARSE_SECS:.0f} s", page=page.body[:PAGE_BYTES_KEPT]
            ) from error

    def _parse_and_turn(self, page: Page, request: Request) -> tuple[Parsed, Request | None]:
        parsed = self.parse(page)
        try:
            return parsed, self.next_request(page, request)
        except ITEM_ERRORS as error:
            raise ParseError(
                f"the site has changed: no next page found ({problem_of(error)})", page=page.body[:PAGE_BYTES_KEPT]
            ) from error


def problem_of(error: BaseException) -> str:
    """What was wrong with an item, in one short line."""
    text = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
    return storable(" ".join((text or type(error).__name__).split())[:_PROBLEM_CHARS_MAX])


def newest(known: datetime | None, mentions: Iterable[RawMention], now: datetime) -> datetime | None:
    """The newest time said, for the checkpoint; a date in the future must not hide what comes until then."""
    times = [mention.published_at for mention in mentions if mention.published_at and mention.published_at <= now]
    return max([*times, *([known] if known else [])], default=None)


def web_link(url: str) -> str:
    """The link if it is http(s) and not absurdly long, else an empty one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc and len(url) <= NAME_CHARS_MAX else ""


def _all_before(mentions: tuple[RawMention, ...], since: datetime) -> bool:
    """Whether every mention tells a time, and all of them lie before ``since``."""
    return bool(mentions) and all(mention.published_at and mention.published_at < since for mention in mentions)
