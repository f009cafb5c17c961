"""What a round of telling begins from, and what comes of it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from listener.alerts.oncall.policy import Policy
from listener.alerts.oncall.storm import Bucket, Limits
from listener.alerts.words.told import DRILL
from listener.domain import AlertState, Brief, Bundle, Event, Hold, Reason, Response, Severity, Silence

__all__ = [
    "DRILL",
    "KINDS",
    "REMINDERS",
    "Dispatched",
    "Kind",
    "Known",
    "Message",
    "Outcome",
    "Round",
    "Tell",
]

REMINDERS: Final = frozenset({Reason.REPEAT, Reason.ESCALATED})

Kind = Literal["page", "ticket", "end", "reminder", "drill", "drill_end"]
KINDS: Final[tuple[Kind, ...]] = (
    "page",
    "ticket",
    "end",
    "reminder",
    "drill",
    "drill_end",
)  # in this order they go out
Outcome = Literal["told", "bundled", "unneeded", "superseded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An alert as it is now, what people did about it, and the newest event that said that it fires."""

    brief: Brief
    response: Response | None = None
    event: Event | None = None

    @property
    def firing(self) -> bool:
        """Whether it still fires."""
        return self.brief.state is AlertState.FIRING


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """One alert to be told of: to whom, why, and how people's response stands afterwards."""

    event: Event
    reason: Reason
    targets: tuple[str, ...]
    response: Response
    before: Response
    chain: Sequence[Event] = ()  # the events that this tells of
    minutes: int = 0  # since it was first told
    escalate: bool = False

    @property
    def kind(self) -> Kind:
        """What it is to the storm control, and with what it may stand in one message.

        A drill takes nothing from what is real, and a reminder nothing from what nobody has heard of.
        """
        if self.event.rule == DRILL:
            return "drill_end" if self.reason is Reason.RESOLVED else "drill"
        if self.reason is Reason.RESOLVED:
            return "end"
        if self.reason in REMINDERS:
            return "reminder"
        return "page" if self.event.severity is Severity.CRITICAL else "ticket"

    @property
    def key(self) -> str:
        """What this message is, once."""
        return f"{self.event.alert_id}:{self.event.seq}:{self.response.messages}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one receiver: about one alert, or, with ``bundle``, about several."""

    receiver: str
    tells: tuple[Tell, ...]
    bundle: Bundle | None = None
    holds: frozenset[Hold] = frozenset()
    alone: int = 0  # of a storm: how many were told one by one beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """All that is known when it is decided who is told.

    ``events`` are the open ones, in order; ``known`` the alerts of them and all whose response is open; ``pending`` by
    alert the receivers that still wait for a message of it; ``reach`` gives the receivers behind names now.
    """

    now: datetime
    events: Sequence[Event]
    known: Mapping[str, Known]
    policy: Policy
    reach: Callable[[Sequence[str]], tuple[str, ...]]
    limits: Limits
    pending: Mapping[str, frozenset[str]] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    buckets: Mapping[str, Bucket] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """What was decided: to be kept in one transaction. ``outcomes`` close events by id, ``holds`` mark the others."""

    messages: Sequence[Message]
    responses: Sequence[Response]
    outcomes: Mapping[str, Outcome]
    holds: Mapping[str, Hold]
    buckets: Mapping[str, Bucket]
