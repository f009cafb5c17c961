"""Findings, alerts, ballots and brands that are followed, for tests; ``changes`` replaces what a test turns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.decompose import Group
from listener.alerts.detection.detect import detect
from listener.alerts.detection.market import Market
from listener.alerts.detection.proof import Proof, prove
from listener.alerts.detection.record import RECENT, RECORD, Record
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Fleet, Standing
from listener.domain import (
    Alert,
    AlertState,
    Ballot,
    Channel,
    Condition,
    Frozen,
    Past,
    Rate,
    Severity,
    Signal,
    Strength,
    Vote,
)

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
RULE = Deterioration(name="deterioration", budget=0.25)
RATED = Deterioration(name="deterioration", budget=0.25, points_per_hour=20.0)
MARKET = Market(verdict="own", moving=(), still=("wolt",), unknown=(), reason="It is this brand's own: wolt did not.")


def strength(**changes: Any) -> Strength:
    """Evidence of 20,000 to 1 where 2,000 to 1 wakes somebody, and twice the budget."""
    values: dict[str, Any] = {
        "evidence": 9.903487552536127,
        "limit": 7.600902459542082,
        "budget": 0.3,
        "burn_hour": 2.0,
        "burn_day": 1.2,
        "burn_recent": 2.1,
        "gone_hours": 30.25,
        "volume": 3.5,
        "volume_limit": 7.0,
        "volume_seen": 36.0,
        "volume_usual": 12.5,
        "deff": 1.2,
        "false_alarms_per_month": 0.5,
        "ticks_per_month": 1000.0,
        "rates": (
            Rate(per="hour", threshold=8.0, implied=True, points=-60.0, low=-75.0, high=-45.0),
            Rate(per="day", threshold=8.0, implied=True, points=-12.0, low=-20.0, high=-4.0),
        ),
    }
    return Strength(**{**values, **changes})


def signal(**changes: Any) -> Signal:
    """A breach with all its numbers."""
    values: dict[str, Any] = {
        "brand": "acme",
        "rule": "deterioration",
        "condition": Condition.BREACHED,
        "severity": Severity.CRITICAL,
        "reason": "60% of 60 mentions in the last hour tell of a negative experience",
        "observed": 0.6,
        "expected": 0.2,
        "low": 0.44,
        "high": 0.75,
        "mentions": 60,
        "negative": 36,
        "perception": -48.0,
        "perception_before": 12.0,
        "window_start_at": NOW - timedelta(hours=1),
        "window_end_at": NOW,
        "channels": (Channel.EVIDENCE,),
        "onset_at": NOW - timedelta(minutes=50),
        "spoke_at": NOW,
        "position": 400,
        "strength": strength(),
    }
    return Signal(**{**values, **changes})


def alert(**changes: Any) -> Alert:
    """A critical alert that has just begun."""
    brand = changes.get("brand", "acme")
    values: dict[str, Any] = {
        "brand": brand,
        "rule": "deterioration",
        "severity": Severity.CRITICAL,
        "state": AlertState.FIRING,
        "started_at": NOW,
        "updated_at": NOW,
        "signal": signal(brand=brand),
    }
    return Alert(**{**values, **changes})


def ballot(number: int, at: datetime, *, bad: bool = False, **changes: Any) -> Ballot:
    """A voice of its own, bad or content."""
    values: dict[str, Any] = {
        "mention": f"m{number:05}",
        "source": "forum",
        "at": at,
        "risk": 0.9 if bad else 0.05,
        "negative": bad,
        "polarity": -0.8 if bad else 0.6,
        "author": f"a{number}",
    }
    return Ballot(**{**values, **changes})


def ballots(count: int, at: datetime, *, bad: int = 0, first: int = 0, every_secs: float = 0.0) -> list[Ballot]:
    """So many voices up to ``at``, of which ``bad`` are bad, evenly spread."""
    return [
        ballot(
            first + number,
            at - timedelta(seconds=every_secs * (count - 1 - number)),
            bad=(number + 1) * bad // count > number * bad // count,
        )
        for number in range(count)
    ]


def history(now: datetime, *, days: int = 20, per_day: int = 24, bad: int = 4) -> list[Ballot]:
    """What was usual until two days ago: of ``per_day`` voices a day ``bad`` were bad."""
    return [
        one
        for day in range(days)
        for one in ballots(
            per_day,
            now - timedelta(days=2 + day),
            bad=bad,
            first=10_000 + day * per_day,
            every_secs=86_400 / per_day,
        )
    ]


@dataclass
class Followed:
    """A brand whose voices are counted look by look, with what the store would keep of it."""

    rule: Deterioration = RULE
    standing: Standing | None = None
    ledger: list[Vote] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)

    def count(self, now: datetime, some: Sequence[Ballot] = (), **changes: Any) -> Standing:
        """One look."""
        needed = standings.needs_past(self.standing, some, rule=self.rule, now=now)
        past = self.past if needed else None
        counted = standings.count(
            self.standing, some, **{"rule": self.rule, "now": now, "fleet": Fleet(), "past": past, **changes}
        )
        self.standing = counted.standing
        self.ledger += counted.votes
        self.past = sums.joined(self.past, counted.added)
        return counted.standing

    def look(self, now: datetime, some: Sequence[Ballot] = (), *, blind: bool = False, **changes: Any) -> Signal:
        """One look, and what the rule finds."""
        standing = self.count(now, some, blind=blind, **changes)
        return detect(self.rule, brand="acme", standing=standing, now=now, blind=blind)

    def record(self, now: datetime, **changes: Any) -> Record:
        """What is kept of a decision made now."""
        assert self.standing is not None
        found = detect(self.rule, brand="acme", standing=self.standing, now=now)
        values: dict[str, Any] = {
            "decided_at": now,
            "signal": found,
            "rule": self.rule.model_dump(mode="json"),
            "standing": standings.as_json(self.standing),
            "origin": standings.origin_of(self.standing, sums.tick_of(found.onset_at or now)),
        }
        return Record(**{**values, **changes})

    def after(self, record: Record) -> list[Vote]:
        """The ledger's rows from the record's origin up to its decision."""
        return [one for one in self.ledger if record.origin.position < one.position <= record.signal.position]

    def recent(self, record: Record) -> list[Vote]:
        """The ledger's rows that the sums of the last day are made of."""
        since_at = record.decided_at - RECENT
        return [one for one in self.ledger if one.at >= since_at and one.position <= record.signal.position]


def followed(rule: Deterioration = RULE, *, now: datetime = NOW) -> Followed:
    """A brand with three quiet weeks behind it, about to be looked at."""
    brand = Followed(rule)
    brand.count(now - timedelta(hours=1), history(now))
    return brand


def turned(rule: Deterioration = RULE, *, now: datetime = NOW) -> Followed:
    """The same, and since half an hour thirty voices, nearly all of them bad."""
    brand = followed(rule, now=now)
    for minutes in range(25, -1, -5):
        at = now - timedelta(minutes=minutes)
        brand.count(at, ballots(5, at, bad=4, first=100 * minutes, every_secs=20))
    return brand


def proof_of(brand: Followed, record: Record) -> Proof:
    """What the record proves."""
    usual = [Group(key="forum", count=400.0, total=70.0), Group(key="reviews", count=80.0, total=10.0)]
    assert record.signal.strength is not None
    return prove(
        brand.after(record),
        before={"source": usual, "language": [], "topic": usual},
        since_at=record.signal.onset_at or record.decided_at,
        limit=record.signal.strength.limit,
        ticks_per_month=record.signal.strength.ticks_per_month,
        use_risk=True,
        origin=record.origin,
    )


def proof_document(market: Market | None = MARKET) -> Frozen:
    """A record with a proof as it is kept with an alert."""
    brand = turned()
    record = brand.record(NOW, market=market)
    document: Frozen = RECORD.dump_python(replace(record, proof=proof_of(brand, record)), mode="json")
    return document


def minutes(start: datetime, count: int, *, step: int = 5) -> Iterator[datetime]:
    """So many moments from ``start`` on."""
    return (start + timedelta(minutes=step * number) for number in range(count))
