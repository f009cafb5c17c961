"""Events, responses and policies for tests of who is told, and a small world that keeps them as the store would."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from listener.alerts.oncall.dispatch import dispatch
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.respond import respond
from listener.alerts.oncall.rounds import Dispatched, Known, Message, Round
from listener.alerts.oncall.storm import Bucket, Limits
from listener.domain import (
    Act,
    Action,
    AlertState,
    Brief,
    Event,
    Hold,
    Outcome,
    Reason,
    Response,
    Severity,
    Silence,
    Via,
    stable_id,
)
from tests.alerting import alert
from tests.mentions import NOW

LIMITS = Limits(burst=5, per_hour=10.0, update=timedelta(minutes=5))
MINUTE = timedelta(minutes=1)


def event(brand: str = "acme", **changes: Any) -> Event:
    """A page that has just been decided."""
    rule = changes.get("rule", "deterioration")
    values: dict[str, Any] = {
        "alert_id": stable_id("alert", brand, rule),
        "seq": 1,
        "brand": brand,
        "rule": rule,
        "severity": Severity.CRITICAL,
        "reason": Reason.FIRST,
        "state": AlertState.FIRING,
        "payload": {"type": "alert", "observed": 0.5, "channels": ["evidence"], "text": {}},
        "decided_at": NOW,
    }
    return Event(**{**values, **changes})


def policy(*receivers: str, **tables: Any) -> Policy:
    """A policy over these receivers, ``mqtt`` where none is named."""
    return Policy(receivers={name: ReceiverKind() for name in receivers or ("mqtt",)}, **tables)


@dataclass
class World:
    """What the store keeps between rounds, with a clock that the test moves."""

    policy: Policy = field(default_factory=policy)
    limits: Limits = LIMITS
    now: datetime = NOW
    open: dict[str, Event] = field(default_factory=dict)
    briefs: dict[str, Brief] = field(default_factory=dict)
    responses: dict[str, Response] = field(default_factory=dict)
    newest: dict[str, Event] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)
    pending: dict[str, frozenset[str]] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    def decide(self, *events: Event) -> None:
        """The rules have decided these."""
        for one in events:
            self.rows += 1
            kept = replace(one, row=self.rows, decided_at=self.now)
            self.open[kept.id] = kept
            if kept.state is AlertState.FIRING:
                self.newest[kept.alert_id] = kept
            before = self.briefs.get(kept.alert_id)
            self.briefs[kept.alert_id] = Brief(
                alert_id=kept.alert_id,
                brand=kept.brand,
                rule=kept.rule,
                severity=kept.severity,
                state=kept.state,
                seq=kept.seq,
                started_at=before.started_at if before else self.now,
                ended_at=self.now if kept.state is AlertState.RESOLVED else None,
            )

    def fire(self, *brands: str, **changes: Any) -> None:
        """Pages of these brands."""
        self.decide(*(event(brand, **changes) for brand in brands))

    def worsen(self, brand: str, seq: int, **changes: Any) -> None:
        self.decide(event(brand, seq=seq, reason=Reason.WORSENED, **changes))

    def resolve(self, brand: str, seq: int, **changes: Any) -> None:
        self.decide(event(brand, seq=seq, reason=Reason.RESOLVED, state=AlertState.RESOLVED, **changes))

    def answer(self, act: Act = Act.ACK, brand: str = "acme", *, minutes: float | None = None) -> Outcome:
        """Somebody answers the newest event of a brand's alert; what became of it."""
        brief = self.briefs[stable_id("alert", brand, "deterioration")]
        known = alert(brand=brand, severity=brief.severity, state=brief.state, seq=brief.seq)
        action = Action(
            id="a",
            target=brief.alert_id,
            act=act,
            seq=brief.seq,
            by="mari",
            via=Via.CLI,
            at=self.now,
            minutes=minutes,
            assignee="jaan",
        )
        escalation = self.policy.escalation(brand, brief.severity)
        ack_minutes = None if escalation is None else escalation.ack_minutes
        before = self.responses.get(brief.alert_id)
        found = respond(action, alert=known, response=before, now=self.now, ack_minutes=ack_minutes)
        self.responses[brief.alert_id] = replace(found.response, alert_id=brief.alert_id)
        return found.outcome

    def round(self, after: timedelta = timedelta(), *, held: bool = True) -> Dispatched:
        """One round; what it decides is kept. Without ``held`` it is not asked whether a hold has ended."""
        self.now += after
        new = {one.alert_id for one in self.open.values() if one.hold is None}
        waiting = sorted(self.open.values(), key=lambda one: one.row)
        found = dispatch(
            Round(
                now=self.now,
                events=[one for one in waiting if held or one.alert_id in new],
                known={
                    alert_id: Known(brief=brief, response=self.responses.get(alert_id), event=self.newest.get(alert_id))
                    for alert_id, brief in self.briefs.items()
                },
                policy=self.policy,
                reach=lambda names: self.policy.reach(names, self.now),
                limits=self.limits,
                pending=self.pending,
                silences=self.silences,
                buckets=self.buckets,
            )
        )
        for key, outcome in found.outcomes.items():
            self.outcomes[key] = outcome
            del self.open[key]
        for key, hold in found.holds.items():
            self.open[key] = replace(self.open[key], hold=hold)
        self.responses |= {one.alert_id: one for one in found.responses}
        self.buckets = dict(found.buckets)
        return found

    def response(self, brand: str = "acme", rule: str = "deterioration") -> Response:
        return self.responses[stable_id("alert", brand, rule)]

    def holds(self) -> set[Hold | None]:
        return {one.hold for one in self.open.values()}


def told(found: Dispatched) -> list[tuple[str, str, str]]:
    """Receiver, reason and brand of each message about one alert, in order."""
    return [
        (one.receiver, tell.reason.value, tell.event.brand)
        for one in found.messages
        if one.bundle is None
        for tell in one.tells
    ]


def bundles(found: Dispatched) -> list[Message]:
    """The messages about several alerts."""
    return [one for one in found.messages if one.bundle is not None]


def named(messages: Sequence[Message]) -> set[str]:
    """The brands that messages name."""
    return {tell.event.brand for one in messages for tell in one.tells}
