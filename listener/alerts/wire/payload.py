"""What we say on the wire: versioned JSON, the same for every receiver. Pure.

The models are the contract: ``schemas/*.json`` are made from them and shipped, and readers parse with them. Fields may
be added within ``listener/v1``, so readers ignore what they do not know; nothing is renamed, retyped or taken away.
Neither authors nor texts of mentions are sent: an id and a link lead there, for who may read them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from listener.alerts.detection.record import RECORD, Record
from listener.alerts.wire.findings import (
    AnswerFindings,
    ArticleFindings,
    Count,
    Findings,
    Link,
    MarketFindings,
    PastFindings,
    Payload,
    Period,
    ProofFindings,
    Time,
    Words,
    market_findings,
    proof_findings,
    strength_findings,
)
from listener.alerts.words import texts
from listener.alerts.words.oncall_texts import drill
from listener.alerts.words.proof_texts import sentences
from listener.domain import (
    Alert,
    AlertState,
    Channel,
    Condition,
    Evidence,
    Reason,
    Resolution,
    Response,
    Severity,
    Signal,
)

SCHEMA = "listener/v1"
LINKS_MAX = 5  # what a person reads at night; the rest is in the store
URL_CHARS_MAX = 2000


class AlertPayload(Findings):
    """An event of an alert: it began, it became worse, it ended.

    (``alert_id``, ``seq``, ``repeat``) occurs once; drop what comes again.
    """

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["alert"] = "alert"
    alert_id: str
    seq: int = Field(ge=1, description="Grows by one with each event of the alert")
    repeat: Count = Field(default=0, description="How many times this event was told before, since nobody answered")
    escalate: bool = Field(default=False, description="Nobody has answered and nobody is asked again: take it further")
    drill: bool = Field(default=False, description="A drill: nothing has happened")
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
    articles: tuple[ArticleFindings, ...] = Field(default=(), description="What to answer, the best first")
    past: tuple[PastFindings, ...] = Field(default=(), description="Alerts that were about the same, the nearest first")
    answer: AnswerFindings | None = Field(default=None, description="How to answer; null when there is nothing to")
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
    instance: str = Field(default="", description="The daemon that says so")
    acked_at: Time | None = Field(default=None, description="Since when somebody is on it")
    acked_by: str | None = None
    assignee: str | None = None
    snoozed_until: Time | None = None
    escalate: bool = Field(default=False, description="Nobody has answered and nobody is asked again: take it further")
    decided_at: Time


class StatusPayload(Payload):
    """Whether a daemon is there: birth and goodbye by itself, last will by the broker."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["status"] = "status"
    instance: str
    state: Literal["online", "offline"]
    reason: Literal["started", "stopped", "lost"] = Field(description="lost: the broker has not heard of it in time")
    version: str
    at: Time | None = Field(default=None, description="null in the last will, which is written before it happens")


class HeartbeatPayload(Payload):
    """A sign of life, once a minute."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["heartbeat"] = "heartbeat"
    instance: str
    at: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person said who ended an alert by hand: at its end, and when it comes back."""

    by: str | None = None
    cause: str | None = None
    helped: str | None = None


def alert_payload(
    alert: Alert,
    reason: Reason,
    *,
    title: str,
    evidence: Sequence[Evidence],
    now: datetime,
    names: Mapping[str, str] | None = None,
    articles: Sequence[ArticleFindings] = (),
    past: Sequence[PastFindings] = (),
    said: Said | None = None,
    links: bool = False,
) -> AlertPayload:
    """The event that tells of ``alert`` after a transition. ``title`` and ``names`` are brands' names for people.

    ``said`` is what people said at the end, the last one where it has come back; ``links`` whether links to answer come
    with it.
    """
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
        articles=[one.title for one in articles],
        past=None if not past else _past(past[0], names or {}),
        by=None if said is None else said.by,
        cause=None if said is None else said.cause,
        helped=None if said is None else said.helped,
        links=links,
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
        proof=None if proof is None else proof_findings(proof),
        market=None if record is None or record.market is None else market_findings(record.market),
        evidence=tuple(_link(one) for one in evidence[:LINKS_MAX]),
        articles=tuple(articles),
        past=tuple(past),
        text={
            language: Words(title=words.title, body=words.body) for language, words in texts.alert_words(told).items()
        },
        **_findings(signal),
    )


def as_drill(payload: AlertPayload) -> AlertPayload:
    """The payload, marked as a drill in all that people read of it."""
    words = drill({language: text.model_dump() for language, text in payload.text.items()})
    text = {language: Words.model_validate(one) for language, one in words.items()}
    return payload.model_copy(update={"drill": True, "text": text})


def _past(one: PastFindings, names: Mapping[str, str]) -> Mapping[str, str]:
    brand = names.get(one.brand, one.brand)
    return texts.past_words(brand=brand, started_at=one.started_at, cause=one.cause, helped=one.helped)


def record_of(alert: Alert) -> Record | None:
    """What was kept of the decision that people were last told of; None for rules that keep none."""
    return None if alert.proof is None else RECORD.validate_python(alert.proof)


def state_payload(
    brand: str,
    *,
    title: str,
    alerts: Sequence[Alert],
    signal: Signal,
    blind: bool = False,
    now: datetime,
    responses: Mapping[str, Response] | None = None,
) -> StatePayload:
    """How a brand stands: the loudest of its firing ``alerts`` (others are ignored), and the numbers of ``signal``.

    An alert that only says that the brand cannot be heard makes it ``blind``, not ``warning``. ``responses`` are those
    of the alerts, by id.
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
        **_response(None if loudest is None else (responses or {}).get(loudest.id)),
        **_findings(signal),
    )


def _response(response: Response | None) -> dict[str, Any]:
    if response is None:
        return {}
    return {
        "acked_at": response.acked_at,
        "acked_by": response.acked_by,
        "assignee": response.assignee,
        "snoozed_until": response.snoozed_until_at,
        "escalate": response.escalated and response.acked_at is None,
    }


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
        "strength": None if signal.strength is None else strength_findings(signal.strength),
    }


def _link(evidence: Evidence) -> Link:
    """A link that a person may click: a site's own address can be anything, also ``javascript:``."""
    usable = evidence.url.lower().startswith(("http://", "https://")) and len(evidence.url) <= URL_CHARS_MAX
    return Link(id=evidence.id, url=evidence.url if usable else "", source=evidence.source)
