"""What we say on the wire: versioned JSON, the same for every receiver. Pure.

The models are the contract: ``schemas/*.json`` are made from them and shipped, and readers parse with them. Fields may
be added within ``listener/v1``, so readers ignore what they do not know; nothing is renamed, retyped or taken away.
Neither authors nor texts of mentions are sent: an id and a link lead there, for who may read them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, overload

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from listener.alerts import texts
from listener.alerts.decompose import Decomposition
from listener.alerts.market import Market
from listener.alerts.proof import Proof
from listener.alerts.proof_texts import sentences
from listener.alerts.record import RECORD, Record
from listener.domain import (
    Alert,
    AlertState,
    Channel,
    Condition,
    Evidence,
    Reason,
    Resolution,
    Severity,
    Signal,
    Strength,
)

SCHEMA = "listener/v1"
LINKS_MAX = 5  # what a person reads at night; the rest is in the store
URL_CHARS_MAX = 2000
PARTS_MAX = 8  # groups of a decomposition that are told


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


class RateFindings(_Payload):
    """How fast perception moves against what is usual, within the hour or the day."""

    per: Literal["hour", "day"]
    points: float | None = Field(default=None, description="Negative: it falls; null: nobody spoke")
    low: float | None = Field(default=None, description="Lower bound, 95 %")
    high: float | None = Field(default=None, description="Upper bound, 95 %")
    threshold: float = Field(description="A fall of so many points is too fast")
    implied: bool = Field(description="Whether the threshold follows from the budget; otherwise it is the user's")


class StrengthFindings(_Payload):
    """How sure, and how bad: the numbers that decide."""

    evidence: float = Field(description="Natural logarithm of the evidence that the budget is overspent")
    evidence_limit: float = Field(description="Natural logarithm of the evidence that wakes somebody")
    budget: Share = Field(description="Share of negative experiences that is allowed")
    burn_hour: float | None = Field(default=None, description="1 uses the budget just up; null: nobody spoke")
    burn_day: float | None = None
    burn_recent: float | None = Field(default=None, description="... by the newest mentions, at most 30")
    budget_gone_hours: float | None = Field(default=None, description="Until the month's budget is gone at this pace")
    volume_score: float | None = Field(default=None, description="How unusual the number of negative mentions is")
    volume_limit: float
    volume_seen: float = Field(description="Negative mentions in the last three hours")
    volume_usual: float = Field(description="... and how many are usual")
    design_effect: float = Field(description="How many times more mentions vary than independent ones would")
    false_alarms_per_month: float = Field(description="How often chance may wake somebody for this brand")
    rates: tuple[RateFindings, ...]


class PartFindings(_Payload):
    """One source, language or topic: its part in the change of the share."""

    key: str
    mix: float = Field(description="By being heard more or less")
    within: float = Field(description="By becoming worse or better")
    weight_before: float
    weight_after: float
    mean_before: float | None = None
    mean_after: float | None = None


class ChangeFindings(_Payload):
    """A change of the share, exactly taken apart: change = mix + within."""

    before: float | None = None
    after: float | None = None
    change: float | None = None
    mix: float
    within: float
    parts: tuple[PartFindings, ...]


class WeightFindings(_Payload):
    """What one mention added to the evidence."""

    id: str
    share: float = Field(description="Part of all that was added")


class ProofFindings(_Payload):
    """What the alert hangs on; `listener explain ALERT` does it all again."""

    replay_key: str
    since: Time
    voices: Count
    repeats: Count = Field(description="Mentions that repeat an author or a conversation, and were not counted")
    authors: Count
    without_authors: int | None = Field(
        default=None,
        description="Without so many of the loudest authors it would not fire; null: not even without five",
    )
    broad: bool
    budget_still_firing: float | None = Field(
        default=None, description="The largest budget at which it would still fire"
    )
    false_alarms_still_firing: float | None = Field(
        default=None, description="The smallest budget of false alarms a month at which it would still fire"
    )
    source: ChangeFindings
    language: ChangeFindings
    topic: ChangeFindings
    top: tuple[WeightFindings, ...]


class MarketFindings(_Payload):
    """Whether the competitors move at the same time."""

    verdict: Literal["whole_market", "own", "unknown"]
    moving: tuple[str, ...]
    still: tuple[str, ...]
    unknown: tuple[str, ...]
    reason: str


class Findings(_Payload):
    """The numbers: always what was observed and what was expected."""

    observed: Share | None = Field(default=None, description="Share of negative mentions in the window")
    expected: Share | None = Field(default=None, description="The share that is usual")
    low: Share | None = Field(default=None, description="Lower bound of what was observed, allowing for chance")
    high: Share | None = Field(default=None, description="Upper bound of what was observed, allowing for chance")
    mentions: Count = Field(default=0, description="Mentions in the window")
    perception: Perception | None = Field(default=None, description="-100..100 in the window; null: nobody spoke")
    perception_before: Perception | None = Field(default=None, description="-100..100 that is usual")
    window: Period | None = None
    negative: Count = Field(default=0, description="Negative mentions in the window")
    channels: tuple[Channel, ...] = Field(default=(), description="What of the rule is breached")
    onset: Time | None = Field(default=None, description="When it began")
    strength: StrengthFindings | None = None


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
    resolution: Resolution | None = Field(
        default=None, description="How it ended; only recovered says that it is better"
    )
    reopened: Count = Field(default=0, description="How many times it fired again soon after its end")
    proof: ProofFindings | None = None
    market: MarketFindings | None = None
    evidence: tuple[Link, ...] = ()
    text: dict[str, Words] = Field(description="By language (ISO 639-1): en and et")


class StatePayload(Findings):
    """How a brand stands now: retained, so that who connects late knows too."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["state"] = "state"
    brand: str
    title: str = Field(description="The brand's name for people")
    state: Literal["ok", "blind", "warning", "critical"] = Field(
        description="The loudest alert that fires; blind: none does, and the brand's sources fail"
    )
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
    alert: Alert,
    reason: Reason,
    *,
    title: str,
    evidence: Sequence[Evidence],
    now: datetime,
    names: Mapping[str, str] | None = None,
) -> AlertPayload:
    """The event that tells of ``alert`` after a transition. ``title`` and ``names`` are brands' names for people."""
    signal = alert.signal
    record = record_of(alert)
    proof = None if record is None else record.proof
    told = texts.Told(
        alert=alert,
        reason=reason,
        title=title,
        proven={} if proof is None else sentences(proof),
        market=None if record is None else record.market,
        names=names or {},
    )
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
        resolution=alert.resolution,
        reopened=alert.reopened,
        proof=None if proof is None else _proof(proof),
        market=None if record is None or record.market is None else _market(record.market),
        evidence=tuple(_link(one) for one in evidence[:LINKS_MAX]),
        text={
            language: Words(title=words.title, body=words.body) for language, words in texts.alert_words(told).items()
        },
        **_findings(signal),
    )


def record_of(alert: Alert) -> Record | None:
    """What was kept of the decision that people were last told of; None for rules that keep none."""
    return None if alert.proof is None else RECORD.validate_python(alert.proof)


def state_payload(
    brand: str, *, title: str, alerts: Sequence[Alert], signal: Signal, blind: bool = False, now: datetime
) -> StatePayload:
    """How a brand stands: the loudest of its firing ``alerts`` (others are ignored), and the numbers of ``signal``.

    An alert that only says that the brand cannot be heard makes it ``blind``, not ``warning``.
    """
    firing = [
        alert
        for alert in alerts
        if alert.state is AlertState.FIRING
        and alert.severity is not Severity.INFO
        and Channel.SOURCES not in alert.signal.channels
    ]
    calm: Literal["ok", "blind"] = "blind" if blind else "ok"
    loudest = max(firing, key=lambda alert: (alert.severity.rank, -alert.started_at.timestamp()), default=None)
    return StatePayload(
        brand=brand,
        title=title,
        state=calm if loudest is None else "critical" if loudest.severity is Severity.CRITICAL else "warning",
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
        "negative": signal.negative,
        "channels": signal.channels,
        "onset": signal.onset_at,
        "strength": None if signal.strength is None else _strength(signal.strength),
    }


def _strength(strength: Strength) -> StrengthFindings:
    return StrengthFindings(
        evidence=_short(strength.evidence),
        evidence_limit=_short(strength.limit),
        budget=strength.budget,
        burn_hour=_short(strength.burn_hour),
        burn_day=_short(strength.burn_day),
        burn_recent=_short(strength.burn_recent),
        budget_gone_hours=_short(strength.gone_hours),
        volume_score=_short(strength.volume),
        volume_limit=strength.volume_limit,
        volume_seen=strength.volume_seen,
        volume_usual=_short(strength.volume_usual),
        design_effect=_short(strength.deff),
        false_alarms_per_month=strength.false_alarms_per_month,
        rates=tuple(
            RateFindings(
                per=rate.per,
                points=_short(rate.points),
                low=_short(rate.low),
                high=_short(rate.high),
                threshold=_short(rate.threshold),
                implied=rate.implied,
            )
            for rate in strength.rates
        ),
    )


def _proof(proof: Proof) -> ProofFindings:
    return ProofFindings(
        replay_key=proof.replay_key,
        since=proof.since_at,
        voices=proof.voices,
        repeats=proof.repeats,
        authors=proof.authors,
        without_authors=proof.loudest,
        broad=proof.broad,
        budget_still_firing=_short(proof.counterfactual.budget),
        false_alarms_still_firing=proof.counterfactual.false_alarms_per_month,
        source=_change(proof.source),
        language=_change(proof.language),
        topic=_change(proof.topic),
        top=tuple(WeightFindings(id=one.mention, share=_short(one.share)) for one in proof.top),
    )


def _change(found: Decomposition) -> ChangeFindings:
    return ChangeFindings(
        before=_short(found.mean_before),
        after=_short(found.mean_after),
        change=_short(found.change),
        mix=_short(found.mix),
        within=_short(found.within),
        parts=tuple(
            PartFindings(
                key=part.key,
                mix=_short(part.mix),
                within=_short(part.within),
                weight_before=_short(part.weight_before),
                weight_after=_short(part.weight_after),
                mean_before=_short(part.mean_before),
                mean_after=_short(part.mean_after),
            )
            for part in found.parts[:PARTS_MAX]
        ),
    )


def _market(market: Market) -> MarketFindings:
    return MarketFindings(
        verdict=market.verdict,
        moving=market.moving,
        still=market.still,
        unknown=market.unknown,
        reason=market.reason,
    )


@overload
def _short(value: float) -> float: ...
@overload
def _short(value: None) -> None: ...
def _short(value: float | None) -> float | None:
    """Six decimals: what is told is for reading; what decided is in the database, to the last bit."""
    return None if value is None else round(value, 6)


def _link(evidence: Evidence) -> Link:
    """A link that a person may click: a site's own address can be anything, also ``javascript:``."""
    usable = evidence.url.lower().startswith(("http://", "https://")) and len(evidence.url) <= URL_CHARS_MAX
    return Link(id=evidence.id, url=evidence.url if usable else "", source=evidence.source)
