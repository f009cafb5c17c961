"""Can a brand be heard at all? Where its sources fail, silence is no good news. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from listener.alerts.detection.rules import Blind
from listener.domain import Channel, Condition, Severity, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """A source of a brand: how often it is polled, and since when it fails, if it does."""

    source: str
    interval_secs: float
    failing_since_at: datetime | None = None


def deaf(ears: Sequence[Ear], rule: Blind, now: datetime) -> tuple[Ear, ...]:
    """The sources that have failed for so long that something may have been missed."""
    return tuple(
        one
        for one in ears
        if one.failing_since_at is not None
        and (now - one.failing_since_at).total_seconds() >= max(rule.after_secs, rule.intervals * one.interval_secs)
    )


def is_blind(ears: Sequence[Ear], failing: Sequence[Ear], shares: Mapping[str, float], rule: Blind) -> bool:
    """Whether the ``failing`` ones bring so much of what is heard of the brand that it must be called blind.

    ``shares`` says how much each source brought (any unit). While nothing was heard yet, every source counts the same.
    """
    if not failing:
        return False
    total = math.fsum(shares.get(one.source, 0.0) for one in ears)
    lost = math.fsum(shares.get(one.source, 0.0) for one in failing)
    return lost >= rule.share * total if total else len(failing) >= rule.share * len(ears)


def blindness(
    rule: Blind, *, brand: str, ears: Sequence[Ear], failing: Sequence[Ear], blind: bool, now: datetime
) -> Signal:
    """The finding: breached while the brand is blind, calm as soon as it is not."""
    since_at = min((one.failing_since_at for one in failing if one.failing_since_at is not None), default=now)
    names = ", ".join(sorted(one.source for one in failing))
    reason = (
        f"{len(failing)} of {len(ears)} sources fail ({names}), the first since {since_at:%Y-%m-%d %H:%M} UTC: what "
        "customers say there is not heard, and silence is no good news"
        if failing
        else f"all {len(ears)} sources can be heard"
    )
    return Signal(
        brand=brand,
        rule=rule.name,
        condition=Condition.BREACHED if blind else Condition.CALM,
        severity=Severity.WARNING if blind else None,
        reason=reason,
        observed=None,
        expected=None,
        window_start_at=min(since_at, now - timedelta(seconds=1)),
        window_end_at=now,
        channels=(Channel.SOURCES,) if blind else (),
        onset_at=since_at if blind else None,
        sources=tuple(sorted(one.source for one in failing)),
    )
