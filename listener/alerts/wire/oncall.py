"""What we say besides alerts, and what we are told: several alerts in one message, actions, the watchdog, a test."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from listener.alerts.wire.findings import AnswerFindings, Payload, Share, Time, Words
from listener.domain import Act, AlertState, BundleKind, Outcome, Reason, Resolution, Severity, Via

COMMENT_CHARS_MAX = 4000
NAME_CHARS_MAX = 100
SEQ_MAX = 10**9
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX)]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, max_length=COMMENT_CHARS_MAX)]


class BundleMember(Payload):
    """One alert that a bundle names."""

    alert_id: str
    seq: int
    brand: str
    title: str = Field(description="The brand's name for people")
    rule: str
    severity: Severity
    reason: Reason
    state: AlertState = Field(description="When the bundle was made")
    started_at: Time
    ended_at: Time | None = None
    resolution: Resolution | None = None
    observed: Share | None = None
    expected: Share | None = None
    drill: bool = Field(default=False, description="A drill: nothing has happened")
    acked_by: str | None = Field(default=None, description="Who is on it; null when nobody is, or it is over")
    assignee: str | None = Field(default=None, description="Whose it is; null when nobody's, or it is over")


class BundlePayload(Payload):
    """One message about several alerts. ``bundle_id`` and ``repeat`` occur once; drop what comes again.

    ``storm``: too many at once, the worst were told one by one. ``market``: brands that moved together. ``held``: what
    waited for the end of quiet hours, a maintenance or a silence, or was answered before it was told. ``missed``: what
    could not be delivered in time.
    Only ``missed`` may name drills beside what is real.
    """

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["bundle"] = "bundle"
    kind: BundleKind
    bundle_id: str
    repeat: int = Field(default=0, ge=0)
    escalate: bool = False
    drill: bool = Field(default=False, description="All of it are drills: nothing has happened")
    severity: Severity = Field(description="The loudest of those that still ask for somebody")
    at: Time
    alerts: tuple[BundleMember, ...] = Field(description="The worst first")
    answer: AnswerFindings | None = None
    text: dict[str, Words] = Field(description="By language (ISO 639-1): en and et")


class WatchdogPayload(Payload):
    """All is well with this daemon, as far as the rules' last look: alarm when it does not come."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["watchdog"] = "watchdog"
    instance: str
    at: Time
    evaluated_at: Time = Field(description="When the rules last looked")
    every_secs: float = Field(description="When to expect the next one")
    text: dict[str, Words]


class TestPayload(Payload):
    """Somebody tries a receiver out."""

    __test__ = False  # no test for pytest

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["test"] = "test"
    instance: str
    receiver: str
    at: Time
    text: dict[str, Words]


class ActionPayload(Payload):
    """What became of an action, whichever way it came."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["action"] = "action"
    target: str = Field(description="The alert's or the bundle's id")
    action: Act
    seq: int | None = None
    by: str
    via: Via
    at: Time
    outcome: Outcome
    explanation: str


# A note answers no event in particular; everything else says which one was seen.
NOTE_OR_SEQ: JsonDict = {
    "if": {"properties": {"action": {"const": Act.NOTE.value}}, "required": ["action"]},
    "else": {"required": ["seq"], "properties": {"seq": {"type": "integer"}}},
}


class Command(Payload):
    """What a subscriber sends: an action, the event it answers, and who it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=NOTE_OR_SEQ)

    action: Act = Act.ACK
    seq: int | None = Field(default=None, ge=1, le=SEQ_MAX, description="The event that was seen; a note needs none")
    by: Name
    minutes: float | None = Field(default=None, gt=0.0, le=60 * 24 * 30, description="For snooze and silence")
    assignee: Name | None = Field(default=None, description="For assign")
    comment: Comment | None = Field(default=None, description="The cause, or any remark")
    helped: Comment | None = Field(default=None, description="What helped")
    at: datetime | None = Field(default=None, description="When it was decided, if known")

    @model_validator(mode="after")
    def _names_an_event(self) -> Self:
        if self.seq is None and self.action is not Act.NOTE:
            raise ValueError("seq is missing: which event was seen?")
        return self
