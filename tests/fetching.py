"""A fetcher for tests: it polls a server on loopback, and time passes at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from listener.domain import Accept, Checkpoint, Request
from listener.fetch import Fetcher, FetchPolicy, SourceFetch

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
POLICY = FetchPolicy(
    user_agent="listener/test (+https://listener.test)",
    host_interval_secs=0.0,
    page_interval_secs=0.0,
    allow_private_hosts=frozenset({"127.0.0.1", "localhost"}),
)


@dataclass
class Time:
    """A clock that jumps when somebody sleeps."""

    at: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """The date."""
        return NOW + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        """The seconds."""
        return self.at

    async def sleep(self, secs: float) -> None:
        """Let the time pass at once."""
        self.slept.append(secs)
        self.at += secs
        await asyncio.sleep(0)


@asynccontextmanager
async def fetcher(time: Time | None = None, **policy: Any) -> AsyncIterator[Fetcher]:
    """A fetcher that waits for nothing and draws a half."""
    time = time or Time()
    opened = Fetcher(
        replace(POLICY, **policy), now=time.now, monotonic=time.monotonic, sleep=time.sleep, draw=lambda: 0.5
    )
    async with opened:
        yield opened


def poll(fetch: Fetcher, checkpoint: Checkpoint | None = None, source: str = "blog", **options: Any) -> SourceFetch:
    """One poll of a source."""
    return fetch.for_source(source, checkpoint or Checkpoint(), now=fetch.now(), **options)


def feed(url: str, **fields: Any) -> Request:
    """A request for a feed."""
    return Request(url=url, accept=Accept.FEED, **fields)


def page(url: str) -> Request:
    """A request for a page."""
    return Request(url=url, accept=Accept.PAGE)


def after(fetched: SourceFetch) -> Checkpoint:
    """What the pipeline stores after a poll."""
    return Checkpoint(validators=fetched.validators, refreshed_at=fetched.refreshed_at)
