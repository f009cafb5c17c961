"""The digest of a day: what changes too slowly to wake anybody, and what fires. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from listener.alerts.detection.drift import DigestEntry
from listener.alerts.wire.findings import Count, Payload, Share, Time, Words
from listener.alerts.words.digest_texts import digest_words
from listener.domain import Alert, Channel

LATE = timedelta(hours=6)


class DriftFindings(Payload):
    """One brand whose share of negative experiences rises slowly."""

    rank: int
    brand: str
    title: str = Field(description="The brand's name for people")
    before: Share = Field(description="Share of negative experiences in the eight weeks before")
    recent: Share = Field(description="... and in the last four")
    change: float
    low: float = Field(description="Lower bound of the change, 95 %")
    high: float
    per_week: float
    mentions: Count = Field(description="... of the last four weeks")
    evidence: float = Field(description="Natural logarithm of the e-value")
    explanation: str


class OpenAlert(Payload):
    """An alert that fires while the digest is made."""

    alert_id: str
    brand: str
    severity: str
    since: Time
    channels: tuple[Channel, ...]


class DigestPayload(Payload):
    """Once a day; ``day`` occurs once, drop repeats."""

    schema_name: Literal["listener/v1"] = Field(default="listener/v1", alias="schema")
    type: Literal["digest"] = "digest"
    day: str = Field(description="ISO 8601")
    at: Time
    looked_at: Count = Field(description="Brands with enough history to tell")
    alpha: float = Field(description="Share of the named brands that may be there by chance")
    drifting: tuple[DriftFindings, ...]
    open_alerts: tuple[OpenAlert, ...]
    text: dict[str, Words] = Field(description="By language (ISO 639-1): en and et")


def due_day(now: datetime, *, at: str, zone: ZoneInfo, made: str | None) -> date | None:
    """The day whose digest is to be made now: the newest one whose time has come, if it was not made yet.

    Where nobody ran then it is made up for within ``LATE``, over midnight, too; later it is no news, and the next one
    tells.
    """
    today = now.astimezone(zone).date()
    clock = time.fromisoformat(at)
    for day in (today, today - timedelta(days=1)):
        due_at = datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
        if due_at <= now < due_at + LATE:
            return day if made is None or made < day.isoformat() else None
    return None


def digest_payload(
    entries: Sequence[DigestEntry],
    *,
    looked_at: int,
    alpha: float,
    alerts: Sequence[Alert],
    titles: Mapping[str, str],
    day: date,
    now: datetime,
) -> DigestPayload:
    """The digest of ``day``: ``entries`` are ranked, ``alerts`` those that fire."""
    drifting = [
        DriftFindings(
            rank=one.rank,
            brand=one.brand,
            title=titles.get(one.brand, one.brand),
            before=one.drift.before or 0.0,
            recent=one.drift.recent or 0.0,
            change=round(one.drift.change or 0.0, 6),
            low=round(one.drift.low or 0.0, 6),
            high=round(one.drift.high or 0.0, 6),
            per_week=round(one.drift.per_week or 0.0, 6),
            mentions=int(one.drift.recent_count),
            evidence=round(one.drift.evidence or 0.0, 6),
            explanation=one.drift.reason,
        )
        for one in entries
    ]
    firing = sorted(alerts, key=lambda alert: (-alert.severity.rank, alert.started_at))
    return DigestPayload(
        day=day.isoformat(),
        at=now,
        looked_at=looked_at,
        alpha=alpha,
        drifting=tuple(drifting),
        open_alerts=tuple(
            OpenAlert(
                alert_id=one.id,
                brand=one.brand,
                severity=one.severity.value,
                since=one.started_at,
                channels=one.signal.channels,
            )
            for one in firing
        ),
        text={
            language: Words(title=words.title, body=words.body)
            for language, words in digest_words(entries, firing, titles=titles, now=now).items()
        },
    )
