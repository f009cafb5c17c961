"""What the HTTP API takes and gives: the models behind its OpenAPI document."""

from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from listener.alerts.wire.findings import Share, Time
from listener.alerts.wire.oncall import NOTE_OR_SEQ, SEQ_MAX, Comment, Name
from listener.domain import Act, Alert, AlertState, Outcome, Reason, Resolution, Response, Severity, Silence, Via
from listener.store.actions import Handled
from listener.store.sendings import Sending
from listener.web.acting import Acting

MINUTES_MAX = 60 * 24 * 30


class View(BaseModel):
    """What is given."""

    model_config = ConfigDict(frozen=True)


class Body(BaseModel):
    """What is taken: unknown fields are faults, and no value comes back in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AnswerBody(Body):
    """What a person does about an alert: a command as over MQTT; who they are, their token says."""

    model_config = ConfigDict(json_schema_extra=NOTE_OR_SEQ)

    action: Act = Act.ACK
    seq: int | None = Field(default=None, ge=1, le=SEQ_MAX, description="The event that was seen; a note needs none")
    minutes: float | None = Field(default=None, gt=0.0, le=MINUTES_MAX, description="For snooze and silence")
    assignee: Name | None = Field(default=None, description="For assign")
    comment: Comment | None = Field(default=None, description="The cause, or any remark")
    helped: Comment | None = Field(default=None, description="What helped")
    at: AwareDatetime | None = Field(default=None, description="When it was decided, if known")

    @model_validator(mode="after")
    def _names_an_event(self) -> Self:
        if self.seq is None and self.action is not Act.NOTE:
            raise ValueError("seq is missing: which event was seen?")
        return self


class SilenceBody(Body):
    """A mute: at least one matcher, or ``everything``; and an end."""

    brand: Name | None = None
    rule: Name | None = None
    severity: Severity | None = None
    everything: bool = Field(default=False, description="Mute all brands and rules: needs to be said")
    minutes: float | None = Field(default=None, gt=0.0, le=MINUTES_MAX, description="How long, from starts_at")
    starts_at: AwareDatetime | None = Field(default=None, description="null: now")
    ends_at: AwareDatetime | None = Field(default=None, description="Instead of minutes")
    comment: Comment = ""


class ActionView(View):
    """An action and what became of it; ``outcome`` is null while it waits."""

    id: str
    target: str = Field(description="The alert's or the bundle's id")
    action: Act
    seq: int | None
    by: str
    via: Via
    at: Time
    minutes: float | None
    assignee: str | None
    comment: str | None
    helped: str | None
    outcome: Outcome | None
    explanation: str | None
    handled_at: Time | None


class ResponseView(View):
    """How people respond, and how far they were told."""

    told_at: Time | None
    receivers: tuple[str, ...]
    repeats: int
    escalated: bool
    acked_at: Time | None
    acked_by: str | None
    acked_severity: Severity | None
    assignee: str | None
    snoozed_until_at: Time | None
    cause: str | None
    helped: str | None
    resolved_by: str | None


class SendingView(View):
    """One notification to one receiver."""

    seq: int
    repeat: int
    receiver: str
    reason: Reason
    outcome: Literal["sent", "dead", "retried", "waiting"]
    decided_at: Time
    sent_at: Time | None
    dead_at: Time | None
    attempts: int
    error: str | None


class AlertView(View):
    """One alert; ``response`` is null until somebody was told or has answered."""

    id: str
    brand: str
    title: str = Field(description="The brand's name for people")
    rule: str
    severity: Severity
    state: AlertState
    seq: int
    started_at: Time
    updated_at: Time
    ended_at: Time | None
    resolution: Resolution | None
    reopened: int
    explanation: str
    observed: Share | None
    expected: Share | None
    response: ResponseView | None


class AlertDetail(AlertView):
    """One alert, who did what about it, and what was sent of it."""

    actions: tuple[ActionView, ...]
    notifications: tuple[SendingView, ...]


class SilenceView(View):
    """One silence."""

    id: str
    starts_at: Time
    ends_at: Time
    active: bool
    created_by: str
    comment: str
    brand: str | None
    rule: str | None
    severity: Severity | None


def action_view(one: Handled) -> ActionView:
    """An action for the wire."""
    action = one.action
    return ActionView(
        id=action.id,
        target=action.target,
        action=action.act,
        seq=action.seq,
        by=action.by,
        via=action.via,
        at=action.at,
        minutes=action.minutes,
        assignee=action.assignee,
        comment=action.comment,
        helped=action.helped,
        outcome=one.outcome,
        explanation=one.explanation,
        handled_at=one.handled_at,
    )


def alert_view(acting: Acting, alert: Alert, response: Response | None) -> AlertView:
    """An alert for the wire."""
    return AlertView(
        id=alert.id,
        brand=alert.brand,
        title=acting.title(alert.brand),
        rule=alert.rule,
        severity=alert.severity,
        state=alert.state,
        seq=alert.seq,
        started_at=alert.started_at,
        updated_at=alert.updated_at,
        ended_at=alert.ended_at,
        resolution=alert.resolution,
        reopened=alert.reopened,
        explanation=alert.signal.reason,
        observed=alert.signal.observed,
        expected=alert.signal.expected,
        response=None if response is None else response_view(response),
    )


def response_view(response: Response) -> ResponseView:
    """A response for the wire."""
    return ResponseView(
        told_at=response.told_at,
        receivers=response.receivers,
        repeats=response.repeats,
        escalated=response.escalated,
        acked_at=response.acked_at,
        acked_by=response.acked_by,
        acked_severity=response.acked_severity,
        assignee=response.assignee,
        snoozed_until_at=response.snoozed_until_at,
        cause=response.cause,
        helped=response.helped,
        resolved_by=response.resolved_by,
    )


def sending_view(one: Sending) -> SendingView:
    """A notification for the wire."""
    return SendingView(
        seq=one.seq,
        repeat=one.repeat,
        receiver=one.receiver,
        reason=one.reason,
        outcome=one.outcome,
        decided_at=one.decided_at,
        sent_at=one.sent_at,
        dead_at=one.dead_at,
        attempts=one.attempts,
        error=one.error,
    )


def silence_view(acting: Acting, silence: Silence) -> SilenceView:
    """A silence for the wire."""
    return SilenceView(
        id=silence.id,
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        active=silence.starts_at <= acting.clock() < silence.ends_at,
        created_by=silence.created_by,
        comment=silence.comment,
        brand=silence.brand,
        rule=silence.rule,
        severity=silence.severity,
    )
