"""robots.txt (RFC 9309) with wildcards, crawl delays, and a memory of a day.

A file that says 4xx allows everything; one that cannot be had (5xx, time-out) forbids everything, as long as no earlier
copy is known, and for a month at most.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
from protego import Protego

from listener.errors import AccessDenied, FetchError
from listener.fetch.redirects import Origin

TOKEN = "listener"  # noqa: S105 -- RFC 9309 calls a crawler's name a product token
MOST_BYTES = 500 * 1024
FRESH_SECS = 24 * 3600.0
UNREACHABLE_SECS = 600.0  # until the next try at a file that could not be had
GIVEN_UP_SECS = 30 * 24 * 3600.0
MOST_DELAY_SECS = 60.0
KEPT_FILES = 256

_AGENT_LINE = re.compile(r"\s*user(?:-|\s+)?agent(?:\s*:|\s+|$)(?P<name>[^#]*)", re.IGNORECASE)
_PRODUCT = re.compile(r"[a-z_-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a robots.txt says to us; ``parsed`` None allows everything."""

    parsed: Protego | None = None

    def allow(self, url: httpx2.URL) -> bool:
        """Whether we may fetch ``url``: the longest match counts, and Allow wins ties."""
        return self.parsed is None or self.parsed.can_fetch(str(url), TOKEN)

    @property
    def delay_secs(self) -> float:
        """The gap that the site asks for (Crawl-delay, Request-rate; neither is in the RFC), at most a minute."""
        if self.parsed is None:
            return 0.0
        rate = self.parsed.request_rate(TOKEN)
        asked = max(self.parsed.crawl_delay(TOKEN) or 0.0, rate.seconds / rate.requests if rate else 0.0)
        return min(asked, MOST_DELAY_SECS)


ALLOW_ALL = Rules()


def parse(body: bytes) -> Rules:
    """Read a robots.txt of at most 500 KiB.

    The groups of other crawlers are merged under one name first: Protego copies every rule for each name of its group,
    so that a hostile file of 100 KB costs 30 s and gigabytes. Our own name counts as a whole word (RFC 9309, 2.2.1).
    """
    lines = []
    for line in body[:MOST_BYTES].decode("utf-8-sig", "replace").splitlines():
        agent = _AGENT_LINE.match(line)
        lines.append(line if agent is None else f"User-agent: {_whom(agent['name'].strip())}")
    return Rules(Protego.parse("\n".join(lines)))


def _whom(name: str) -> str:
    if name.startswith("*"):
        return "*"
    product = _PRODUCT.match(name)
    return TOKEN if product is not None and product.group().lower() == TOKEN else "somebody-else"


@dataclass(slots=True)
class _File:
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    rules: Rules | None = None
    until: float = float("-inf")
    unreachable_since: float | None = None
    problem: str = ""


class Robots:
    """The robots.txt files of all origins.

    ``read`` fetches one: it returns status and body, and raises FetchError when there is no answer and RateLimited when
    we are too fast. ``monotonic`` is in seconds.
    """

    def __init__(
        self, read: Callable[[httpx2.URL], Awaitable[tuple[int, bytes]]], *, monotonic: Callable[[], float]
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._files: dict[Origin, _File] = {}

    async def permit(self, url: httpx2.URL, origin: Origin) -> float:
        """The gap in seconds that the site wants between requests.

        Raises AccessDenied when robots.txt forbids ``url``, FetchError when it cannot be had.
        """
        file = self._file(origin)
        async with file.reading:  # one reads, the others wait for it
            if self._monotonic() >= file.until:
                await self._refresh(file, url)
        if file.rules is None:
            raise FetchError(f"{origin[1]}: robots.txt cannot be had ({file.problem}), so nothing may be fetched yet")
        if not file.rules.allow(url):
            raise AccessDenied(f"{origin[1]}: robots.txt does not allow {TOKEN} to fetch this page")
        return file.rules.delay_secs

    async def _refresh(self, file: _File, url: httpx2.URL) -> None:
        problem = ""
        try:
            status, body = await self._read(url.copy_with(path="/robots.txt", query=None, fragment=None))
        except FetchError as error:
            problem = str(error)
        else:
            if status >= 500:  # noqa: PLR2004 -- RFC 9309, 2.3.1.4
                problem = f"status {status}"
        now = self._monotonic()
        if problem:
            file.problem = problem
            file.unreachable_since = now if file.unreachable_since is None else file.unreachable_since
            file.until = now + UNREACHABLE_SECS
            if now - file.unreachable_since >= GIVEN_UP_SECS:
                file.rules = ALLOW_ALL
            return
        found = 200 <= status < 300  # noqa: PLR2004 -- what is neither found nor an error counts as not there
        file.rules = await asyncio.to_thread(parse, body) if found else ALLOW_ALL
        file.until = now + FRESH_SECS
        file.unreachable_since = None

    def _file(self, origin: Origin) -> _File:
        if origin not in self._files:
            if len(self._files) >= KEPT_FILES:  # redirects must not fill the memory: the oldest goes
                del self._files[next(iter(self._files))]
            self._files[origin] = _File()
        return self._files[origin]
