"""The units of work with a source, a model and a receiver that do what the test says, and a clock that it moves."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import PrivateAttr

from listener.alerts.detection.rules import Blind, Deterioration, HighRisk, Rule
from listener.alerts.oncall.events import event_of
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import StatePayload, alert_payload, as_json
from listener.config import Brand
from listener.domain import (
    Act,
    Action,
    Alert,
    AlertState,
    Assessment,
    Checkpoint,
    Notification,
    Page,
    PollResult,
    RawMention,
    Reason,
    Resolution,
    Severity,
    Via,
    stable_id,
)
from listener.errors import DeliveryError, ScoringError, SourceError
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher, compile_brand
from listener.metrics import Metrics
from listener.pipeline import Evaluation, Parts, act, deliver, evaluate, poll, refresh, score, tell
from listener.protocols import Fetch, Languages
from listener.sentiment.scorer import on_thread
from listener.sources.base import BaseSource
from listener.store import Database, actions, alerts, events
from tests import alerting
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

    async def heard(self, *mentions: RawMention) -> None:
        """The source brings these, and the model reads them."""
        self.script(PollResult(mentions=mentions, checkpoint=Checkpoint(since_at=NOW)))
        assert await self.polled() == "ok"
        while await score(self.parts):  # the windows are not refreshed: nothing here reads them, and it is slow
            pass

    async def look(self, after: timedelta = timedelta()) -> Evaluation:
        """The rules look, and whoever is to be told is."""
        self.clock[0] += after
        found = await evaluate(self.parts)
        await tell(self.parts)
        return found


def state_of(evaluation: Evaluation, brand: str = "bolt") -> StatePayload:
    """How the brand stands."""
    (found,) = (state for state in evaluation.states if state.brand == brand)
    return found


MINUTE = timedelta(minutes=1)
TICK = timedelta(minutes=5)
HOUR = timedelta(hours=1)
RULES: Sequence[Rule] = (
    Deterioration(name="deterioration", budget=0.25),
    HighRisk(name="high_risk"),
    Blind(name="blind"),
)


@asynccontextmanager
async def bench(database: Database) -> AsyncIterator[Bench]:
    """Bolt is watched, its competitor Wolt is followed."""
    clock = [NOW]
    source = Scripted(name="forum", interval_secs=60)
    inbox = Inbox()
    async with on_thread(Words) as scorer:
        parts = Parts(
            database=database,
            metrics=Metrics(),
            fetcher=Fetcher(FetchPolicy(user_agent="test")),
            sources={"forum": source},
            brands={
                "bolt": Brand(names=("Bolt",), competitors=("wolt",)),
                "wolt": Brand(names=("Wolt",), alerts=False),
            },
            matcher=Matcher([compile_brand("bolt", ["Bolt"]), compile_brand("wolt", ["Wolt"])]),
            identify=lambda _: "en",
            scorer=scorer,
            rules={"bolt": RULES, "wolt": RULES},
            receivers={"inbox": inbox},
            policy=Policy(receivers={"inbox": ReceiverKind()}),
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


def voices(
    brand: str, count: int, *, bad: int, at: datetime, start: int, every: timedelta = timedelta()
) -> tuple[RawMention, ...]:
    """So many customers up to ``at``, of whom ``bad`` complain, evenly spread; each has a name."""
    return tuple(
        RawMention(
            external_id=f"{brand}-{start + number}",
            url=f"https://forum.example/{brand}/{start + number}",
            text=f"{brand} {'was awful' if _is_bad(number, bad, count) else 'was fine'} on ride {start + number}",
            author=f"customer {start + number}",
            published_at=at - (count - 1 - number) * every,
        )
        for number in range(count)
    )


def _is_bad(number: int, bad: int, count: int) -> bool:
    return (number + 1) * bad // count > number * bad // count


async def usual(at: Bench, brand: str = "Bolt") -> None:
    """Three weeks in which one customer in ten complains, counted."""
    past = voices(brand, 400, bad=40, at=at.clock[0] - timedelta(days=2), start=0, every=timedelta(hours=1))
    await at.heard(*past)
    await at.look()


async def turns(at: Bench, brand: str = "Bolt", *, start: int = 1000) -> None:
    """Thirty customers speak within half an hour, twenty-four of them complain."""
    await at.heard(*voices(brand, 30, bad=24, at=at.clock[0], start=start, every=MINUTE))


async def told(at: Bench) -> list[dict[str, Any]]:
    """What the receiver was handed until now."""
    await tell(at.parts)
    while await deliver(at.parts, "inbox"):
        pass
    return [dict(one.payload) for one in at.inbox.taken]


async def turned(at: Bench) -> None:
    """Sixty customers complain."""
    at.script(result(*(f"Bolt was awful today, number {number}" for number in range(60))))
    await at.polled()
    await at.work()
    at.clock[0] += timedelta(minutes=5)


# ----------------------------------------------------------------------------------------------- as if the rules looked


async def decided(at: Bench, *brands: str, market: Sequence[str] = (), **changes: Any) -> list[Alert]:
    """As if the rules had just decided that these fire, each with its event."""
    found = []
    async with at.parts.database.writing() as connection:
        for brand in brands:
            one = alerting.alert(brand=brand, **{"started_at": at.clock[0], "updated_at": at.clock[0], **changes})
            await _decide(at, connection, one, Reason.FIRST, [other for other in market if other != brand])
            found.append(one)
    return found


async def worsened(at: Bench, before: Alert) -> Alert:
    """It has become critical."""
    one = replace(before, severity=Severity.CRITICAL, seq=before.seq + 1, updated_at=at.clock[0])
    async with at.parts.database.writing() as connection:
        await _decide(at, connection, one, Reason.WORSENED)
    return one


async def ended(at: Bench, *before: Alert) -> list[Alert]:
    """The rules have seen that these are over."""
    now = at.clock[0]
    found = [
        replace(
            one,
            state=AlertState.RESOLVED,
            seq=one.seq + 1,
            updated_at=now,
            ended_at=now,
            resolution=Resolution.RECOVERED,
        )
        for one in before
    ]
    async with at.parts.database.writing() as connection:
        for one in found:
            await _decide(at, connection, one, Reason.RESOLVED)
    return found


async def _decide(at: Bench, connection: Any, one: Alert, reason: Reason, market: Sequence[str] = ()) -> None:
    payload = alert_payload(one, reason, title=at.parts.title(one.brand), evidence=(), now=at.clock[0])
    event = event_of(one, reason, payload=as_json(payload), now=at.clock[0], market=market)
    await alerts.write(connection, at.parts.database.dialect, one)
    await events.write(connection, at.parts.database.dialect, [event])


async def asked(at: Bench, target: str, do: Act = Act.ACK, *, seq: int | None = 1, **changes: Any) -> Action:
    """Somebody asks for something; nobody has handled it."""
    known = stable_id("action", do.value, target)
    values: dict[str, Any] = {"id": known, "by": "mari", "via": Via.CLI, "at": at.clock[0]}
    action = Action(target=target, act=do, seq=seq, **{**values, **changes})
    await actions.put(at.parts.database, action)
    return action


async def answered(at: Bench, target: str, do: Act = Act.ACK, *, seq: int | None = 1, **changes: Any) -> ActionPayload:
    """Somebody asks for something, and it is handled; what became of it."""
    await asked(at, target, do, seq=seq, **changes)
    (found,) = await act(at.parts)
    return found
