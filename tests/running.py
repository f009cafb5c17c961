"""The units of work with a source, a model and a receiver that do what the test says, and a clock that it moves."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import PrivateAttr

from listener.alerts.rules import Blind, Deterioration, HighRisk
from listener.config import Brand, Thresholds
from listener.domain import Assessment, Checkpoint, Notification, Page, PollResult, RawMention
from listener.errors import DeliveryError, ScoringError, SourceError
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher, compile_brand
from listener.metrics import Metrics
from listener.pipeline import Parts, poll, refresh, score
from listener.protocols import Fetch, Languages
from listener.sentiment.scorer import on_thread
from listener.sources.base import BaseSource
from listener.store import Database
from tests.mentions import NOW, assessment


class Scripted(BaseSource):
    """A source whose next polls are written down."""

    _script: list[PollResult | SourceError] = PrivateAttr(default_factory=list)
    _seen: list[Checkpoint] = PrivateAttr(default_factory=list)

    def items(self, page: Page) -> Iterable[Any]:
        return ()

    def mention(self, item: Any) -> RawMention:
        raise AssertionError(item)

    async def poll(self, fetch: Fetch, checkpoint: Checkpoint) -> PollResult:
        self._seen.append(checkpoint)
        step = self._script.pop(0)
        if isinstance(step, SourceError):
            raise step
        return step


class Words:
    """A model that reads one word, and keeps the languages that it was told."""

    def __init__(self) -> None:
        self.told: list[str | None] = []

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        self.told += languages or []
        if any("poison" in text for text in texts):
            raise ScoringError("poison")
        return [assessment(0.95 if "awful" in text else 0.05) for text in texts]


@dataclass
class Inbox:
    """A receiver that keeps what it is handed, and may refuse."""

    connected: bool = True
    refusals: list[DeliveryError] = field(default_factory=list)
    taken: list[Notification] = field(default_factory=list)

    async def deliver(self, notification: Notification) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(notification)


@dataclass
class Bench:
    """One set of parts with a clock that the test moves."""

    parts: Parts
    source: Scripted
    inbox: Inbox
    clock: list[datetime]

    def script(self, *steps: PollResult | SourceError) -> None:
        self.source._script.extend(steps)

    async def polled(self, after: timedelta = timedelta()) -> str:
        self.clock[0] += after
        return (await poll(self.parts, "forum")).outcome

    async def work(self) -> None:
        while await score(self.parts):
            pass
        while await refresh(self.parts):
            pass


@asynccontextmanager
async def bench(database: Database) -> AsyncIterator[Bench]:
    clock = [NOW]
    source = Scripted(name="forum", interval_secs=60)
    inbox = Inbox()
    async with on_thread(Words) as scorer:
        parts = Parts(
            database=database,
            metrics=Metrics(),
            fetcher=Fetcher(FetchPolicy(user_agent="test")),
            sources={"forum": source},
            brands={"bolt": Brand(names=("Bolt",), thresholds=Thresholds(budget=0.25))},
            matcher=Matcher([compile_brand("bolt", ["Bolt"])]),
            identify=lambda _: "en",
            scorer=scorer,
            rules={"bolt": [Deterioration(name="deterioration"), HighRisk(name="high_risk"), Blind(name="blind")]},
            receivers={"inbox": inbox},
            now=lambda: clock[0],
            random=lambda: 0.5,
        )
        yield Bench(parts=parts, source=source, inbox=inbox, clock=clock)


def said(*texts: str, start: int = 0, at: datetime = NOW) -> tuple[RawMention, ...]:
    return tuple(
        RawMention(external_id=str(number), url=f"https://forum.example/{number}", text=text, published_at=at)
        for number, text in enumerate(texts, start)
    )


def result(*texts: str, start: int = 0, **changes: Any) -> PollResult:
    return PollResult(mentions=said(*texts, start=start), checkpoint=Checkpoint(since_at=NOW), **changes)


async def turned(at: Bench) -> None:
    """Thirty customers complain."""
    at.script(result(*(f"Bolt was awful today, number {number}" for number in range(30))))
    await at.polled()
    await at.work()
    at.clock[0] += timedelta(minutes=5)
