"""From a decision to the person on call and back: events, how people respond, what holds a notification back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from listener.domain.alerts import AlertState, Reason, Resolution, Severity
from listener.domain.identity import Frozen, stable_id


class Act(StrEnum):
    """What a person does about an alert."""

    ACK = "ack"  # I have seen it: stops repeats and the chain
    ASSIGN = "assign"  # it is that person's now
    SNOOZE = "snooze"  # remind me later if it still fires
    RESOLVE = "resolve"  # it is dealt with: the alert ends, and what was said until now counts no more
    SILENCE = "silence"  # tell nobody of this brand and rule for a while
    NOTE = "note"  # the cause, and what helped; also after the end


class Via(StrEnum):
    """The way by which an action came."""

    MQTT = "mqtt"
    HTTP = "http"
    LINK = "link"
    CLI = "cli"


class Outcome(StrEnum):
    """What became of an action."""

    DONE = "done"
    NOOP = "noop"  # it came too late to matter, and did no harm
    REFUSED = "refused"


class Hold(StrEnum):
    """Why nobody is told of an event now. What is held is kept, and told when the hold ends."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    QUIET_HOURS = "quiet_hours"
    INHIBITED = "inhibited"  # a page of the same brand says it already
    STORM = "storm"  # too many at once: it is named in the next message about all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What somebody asks for, as it came. ``target`` is an alert's id or a bundle's, then meant for all that it names.

    ``seq`` is the event that the person saw; ``minutes`` is for snooze and silence; ``assignee`` for assign;
    ``comment`` is the cause or any remark and ``helped`` what helped. ``id`` is the same when the same request comes
    twice.
    """

    id: str
    target: str
    act: Act
    seq: int | None
    by: str
    via: Via
    at: datetime
    minutes: float | None = None
    assignee: str | None = None
    comment: str | None = None
    helped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A timed, attributed mute by matchers: it mutes delivery, never detection. An empty matcher matches all."""

    id: str
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str = ""
    brand: str | None = None
    rule: str | None = None
    severity: Severity | None = None

    def matches(self, *, brand: str, rule: str, severity: Severity, at: datetime) -> bool:
        """Whether it mutes such an alert at ``at``."""
        return (
            self.starts_at <= at < self.ends_at
            and self.brand in (None, brand)
            and self.rule in (None, rule)
            and self.severity in (None, severity)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change of an alert that people are to be told of: kept in one transaction with the decision.

    ``payload`` is what is said (``listener.alerts.wire``), fixed at the decision. ``market`` has the brands that moved
    with this one, where the whole market did. ``row`` is its place in the order of decisions, 0 before it is kept.
    ``hold`` says why nobody was told of it yet.
    """

    alert_id: str
    seq: int
    brand: str
    rule: str
    severity: Severity
    reason: Reason
    state: AlertState
    payload: Frozen
    decided_at: datetime
    market: tuple[str, ...] = ()
    row: int = 0
    hold: Hold | None = None

    @property
    def id(self) -> str:
        """Stable: the same event is kept once."""
        return stable_id("event", self.alert_id, str(self.seq))


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """An alert without what it was decided from: enough to tell who has to hear of it."""

    alert_id: str
    brand: str
    rule: str
    severity: Severity
    state: AlertState
    seq: int
    started_at: datetime
    ended_at: datetime | None = None
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How people respond to one alert, and how far they were told of it.

    ``told_seq`` is the last event that was told while it fired (0: none), ``receivers`` whom, ``messages`` how often
    that event. ``step`` is the next step of the chain, due at ``next_at``, and ``repeats`` how often it was repeated
    since. ``escalated`` says that all of the chain was tried. An ack holds for the severity it was given at.
    """

    alert_id: str
    brand: str
    told_seq: int = 0
    told_at: datetime | None = None
    receivers: tuple[str, ...] = ()
    messages: int = 0
    step: int = 0
    repeats: int = 0
    next_at: datetime | None = None
    escalated: bool = False
    acked_at: datetime | None = None
    acked_by: str | None = None
    acked_severity: Severity | None = None
    assignee: str | None = None
    snoozed_until_at: datetime | None = None
    cause: str | None = None
    helped: str | None = None
    resolved_by: str | None = None
    closed: bool = False
    first_told_at: datetime | None = None
    first_acked_at: datetime | None = None


BundleKind = Literal["storm", "market", "held", "missed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One event that a bundle names."""

    alert_id: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One message about several alerts: a storm, a whole market, what was held back, what could not be delivered."""

    id: str
    kind: BundleKind
    at: datetime
    members: tuple[Member, ...]
