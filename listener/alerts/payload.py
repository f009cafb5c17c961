"""What we say on the wire: versioned JSON, the same for every receiver. Pure.

The models are the contract: ``schemas/*.json`` are made from them and shipped, and readers parse with them. Fields may
be added within ``listener/v1``, so readers ignore what they do not know; nothing is renamed, retyped or taken away.
Neither authors nor texts of mentions are sent: an id and a link lead there, for who may read them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from listener.alerts import texts
from listener.domain import Alert, AlertState, Condition, Evidence, Reason, Severity, Signal

SCHEMA = "listener/v1"
LINKS_MAX = 5  # what a person reads at night; the rest is in the store
URL_CHARS_MAX = 2000


def _utc(at: datetime) -> datetime:
    """In UTC and milliseconds: it prints with a Z."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _rounded(value: object) -> object:
    """Four decimals; they also take away what adding floats leaves above 1 or 100."""
    return round(value, 4) if isinstance(value, float) else value


TIME_SCHEMA = {"type": "string", "format": "date-time", "pattern": "Z$", "description": "UTC, RFC 3339, ends in Z"}
Time = Annotated[AwareDatetime, AfterValidator(_utc), WithJsonSchema(TIME_SCHEMA)]
Share = Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(_rounded)]
Perception = Annotated[float, Field(ge=-100.0, le=100.0), BeforeValidator(_rounded)]
Count = Annotated[int, Field(ge=0)]


class _Payload(BaseModel):
    # Readers of the same major version must ignore what a newer writer adds.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class Period(_Payload):
    """The stretch of time that was judged, half-open."""

    start_at: Time
    end_at: Time


class Link(_Payload):
    """A mention to read first."""

    id: str
    url: str = Field(description="Where it was said: http or https, or empty when the source gives no link")
    source: str = ""


class Words(_Payload):
    """The same alert for people."""

    title: str
    body: str


class Findings(_Payload):
    """The numbers: always what was observed and what was expected."""

    observed: Share | None = Field(default=None, description="Share of negative mentions in the window")
    expected: Share | None = Field(default=None, description="The share that is usual")
    low: Share | None = Field(default=None, description="Lower bound of what was observed, allowing for chance")
    high: Share | None = Field(default=None, description="Upper bound of what was observed, allowing for chance")
    mentions: Count = Field(default=0, description="Mentions in the window")
    perception: Perception | None = Field(default=None, description="-100..100 in the window; null: nobody spoke")
    perception_before: Perception | None = Field(default=None, description="-100..100 in the time before")
    window: Period | None = None


class AlertPayload(Findings):
    """An event of an alert: it began, it became worse, it ended. (``alert_id``, ``seq``) occurs once; drop repeats."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["alert"] = "alert"
    alert_id: str
    seq: int = Field(ge=1, description="Grows by one with each event of the alert")
    reason: Reason
    state: AlertState
    severity: Severity
    brand: str
    title: str = Field(description="The brand's name for people")
    rule: str
    started_at: Time
    ended_at: Time | None = None
    decided_at: Time
    explanation: str = Field(description="Why the rule says so, in English, with the numbers")
    evidence: tuple[Link, ...] = ()
    text: dict[str, Words] = Field(description="By language (ISO 639-1): en and et")


class StatePayload(Findings):
    """How a brand stands now: retained, so that who connects late knows too."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["state"] = "state"
    brand: str
    title: str = Field(description="The brand's name for people")
    state: Literal["ok", "warning", "critical"] = Field(description="The loudest alert that fires")
    condition: Condition = Field(description="What the rule sees now; unknown: too little was said, not all is well")
    rule: str | None = None
    since: Time | None = Field(default=None, description="Since when the alert fires; null when none does")
    alert_id: str | None = None
    seq: int | None = None
    decided_at: Time


class StatusPayload(_Payload):
    """Whether a daemon is there: birth and goodbye by itself, last will by the broker."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["status"] = "status"
    instance: str
    state: Literal["online", "offline"]
    reason: Literal["started", "stopped", "lost"] = Field(description="lost: the broker has not heard of it in time")
    version: str
    at: Time | None = Field(default=None, description="null in the last will, which is written before it happens")


class HeartbeatPayload(_Payload):
    """A sign of life, once a minute."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["heartbeat"] = "heartbeat"
    instance: str
    at: Time


def alert_payload(
    alert: Alert, reason: Reason, *, title: str, evidence: Sequence[Evidence], now: datetime
) -> AlertPayload:
    """The event that tells of ``alert`` after a transition. ``title`` is the brand's name for people."""
    signal = alert.signal
    return AlertPayload(
        alert_id=alert.id,
        seq=alert.seq,
        reason=reason,
        state=alert.state,
        severity=alert.severity,
        brand=alert.brand,
        title=title,
        rule=alert.rule,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        decided_at=now,
        explanation=signal.reason,
        evidence=tuple(_link(one) for one in evidence[:LINKS_MAX]),
        text={
            language: Words(title=words.title, body=words.body)
            for language, words in texts.alert_words(alert, reason, title=title).items()
        },
        **_findings(signal),
    )


def state_payload(brand: str, *, title: str, alerts: Sequence[Alert], signal: Signal, now: datetime) -> StatePayload:
    """How a brand stands: the loudest of its firing ``alerts`` (others are ignored), and the numbers of ``signal``."""
    firing = [alert for alert in alerts if alert.state is AlertState.FIRING and alert.severity is not Severity.INFO]
    loudest = max(firing, key=lambda alert: (alert.severity.rank, -alert.started_at.timestamp()), default=None)
    return StatePayload(
        brand=brand,
        title=title,
        state="ok" if loudest is None else "critical" if loudest.severity is Severity.CRITICAL else "warning",
        condition=signal.condition,
        rule=None if loudest is None else loudest.rule,
        since=None if loudest is None else loudest.started_at,
        alert_id=None if loudest is None else loudest.id,
        seq=None if loudest is None else loudest.seq,
        decided_at=now,
        **_findings(signal),
    )


def birth_payload(instance: str, *, version: str, now: datetime) -> StatusPayload:
    """We are there."""
    return StatusPayload(instance=instance, state="online", reason="started", version=version, at=now)


def goodbye_payload(instance: str, *, version: str, now: datetime) -> StatusPayload:
    """We stop in good order."""
    return StatusPayload(instance=instance, state="offline", reason="stopped", version=version, at=now)


def will_payload(instance: str, *, version: str) -> StatusPayload:
    """What the broker says for us when we vanish."""
    return StatusPayload(instance=instance, state="offline", reason="lost", version=version)


def same_news(one: StatePayload, other: StatePayload) -> bool:
    """Whether two states say the same of a brand, though looked at at different times."""
    return one.model_copy(update={"decided_at": other.decided_at, "window": other.window}) == other


def as_json(payload: BaseModel) -> dict[str, Any]:
    """The payload as JSON values, with the names that go over the wire."""
    return payload.model_dump(mode="json", by_alias=True)


def _findings(signal: Signal) -> dict[str, Any]:
    return {
        "observed": signal.observed,
        "expected": signal.expected,
        "low": signal.low,
        "high": signal.high,
        "mentions": signal.mentions,
        "perception": signal.perception,
        "perception_before": signal.perception_before,
        "window": Period(start_at=signal.window_start_at, end_at=signal.window_end_at),
    }


def _link(evidence: Evidence) -> Link:
    """A link that a person may click: a site's own address can be anything, also ``javascript:``."""
    usable = evidence.url.lower().startswith(("http://", "https://")) and len(evidence.url) <= URL_CHARS_MAX
    return Link(id=evidence.id, url=evidence.url if usable else "", source=evidence.source)
