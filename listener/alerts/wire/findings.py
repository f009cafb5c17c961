"""The parts of what we say on the wire: figures, proofs, links, words. Each class is part of the contract. Pure."""

from datetime import UTC, datetime
from typing import Annotated, Literal, overload

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from listener.alerts.detection.decompose import Decomposition
from listener.alerts.detection.market import Market
from listener.alerts.detection.proof import Proof
from listener.domain import Channel, Resolution, Strength

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


class Payload(BaseModel):
    """What all have in common: frozen, and open to what is added later."""

    # Readers of the same major version must ignore what a newer writer adds.
    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class Period(Payload):
    """The stretch of time that was judged, half-open."""

    start_at: Time
    end_at: Time


class Link(Payload):
    """A mention to read first."""

    id: str
    url: str = Field(description="Where it was said: http or https, or empty when the source gives no link")
    source: str = ""


class Words(Payload):
    """The same alert for people."""

    title: str
    body: str


class RateFindings(Payload):
    """How fast perception moves against what is usual, within the hour or the day."""

    per: Literal["hour", "day"]
    points: float | None = Field(default=None, description="Negative: it falls; null: nobody spoke")
    low: float | None = Field(default=None, description="Lower bound, 95 %")
    high: float | None = Field(default=None, description="Upper bound, 95 %")
    threshold: float = Field(description="A fall of so many points is too fast")
    implied: bool = Field(description="Whether the threshold follows from the budget; otherwise it is the user's")


class StrengthFindings(Payload):
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


class PartFindings(Payload):
    """One source, language or topic: its part in the change of the share."""

    key: str
    mix: float = Field(description="By being heard more or less")
    within: float = Field(description="By becoming worse or better")
    weight_before: float
    weight_after: float
    mean_before: float | None = None
    mean_after: float | None = None


class ChangeFindings(Payload):
    """A change of the share, exactly taken apart: change = mix + within."""

    before: float | None = None
    after: float | None = None
    change: float | None = None
    mix: float
    within: float
    parts: tuple[PartFindings, ...]


class WeightFindings(Payload):
    """What one mention added to the evidence."""

    id: str
    share: float = Field(description="Part of all that was added")


class ProofFindings(Payload):
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
    loudest_share: Share = Field(description="What part of the evidence the three loudest authors made up")
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


class MarketFindings(Payload):
    """Whether the competitors move at the same time."""

    verdict: Literal["whole_market", "own", "unknown"]
    moving: tuple[str, ...]
    still: tuple[str, ...]
    unknown: tuple[str, ...]
    reason: str


class Findings(Payload):
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


def strength_findings(strength: Strength) -> StrengthFindings:
    """The figures that decided, for the wire."""
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


def proof_findings(proof: Proof) -> ProofFindings:
    """The proof, for the wire: counts and parts, no authors."""
    return ProofFindings(
        replay_key=proof.replay_key,
        since=proof.since_at,
        voices=proof.voices,
        repeats=proof.repeats,
        authors=proof.authors,
        without_authors=proof.loudest,
        loudest_share=proof.loudest_share,
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


def market_findings(market: Market) -> MarketFindings:
    """The competitors, for the wire."""
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


class ArticleFindings(Payload):
    """What to answer: an article of the knowledge base that fits."""

    id: str
    title: str
    url: str = Field(default="", description="Where people read it; empty without an address")
    language: str = Field(description="ISO 639-1")
    similarity: Share = Field(description="How near its meaning is to what was said")
    reason: str = Field(description="Why it fits, in English")


class PastFindings(Payload):
    """An alert of the past that was about the same, and how it ended."""

    alert_id: str
    brand: str
    started_at: Time
    ended_at: Time | None = None
    resolution: Resolution | None = None
    similarity: Share
    cause: str = Field(default="", description="What people said that it was")
    helped: str = Field(default="", description="... and what helped")
    resolved_by: str = ""


class AnswerFindings(Payload):
    """How to answer. ``seq`` is to be sent along: an answer to less than what is known by then is refused."""

    seq: int
    topic: str = Field(default="", description="MQTT topic that takes a command (see command.json)")
    links: dict[str, str] = Field(
        default={}, description="By action (ack, snooze, resolve, silence): an address to open"
    )
