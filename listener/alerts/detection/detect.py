"""Does a brand's perception deteriorate? How it stands in, one explained finding out; nothing else is read. Pure."""

import math
from datetime import UTC, datetime, timedelta
from typing import Literal

from listener.alerts.detection import budget, evidence, volume
from listener.alerts.detection.intervals import Z95, wilson
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import (
    LEARNED_MENTIONS,
    Standing,
    evidence_of,
    knows,
    perception,
    streams_of,
    volume_score,
)
from listener.alerts.detection.sums import HOUR_TICKS, moment
from listener.domain import Channel, Condition, Rate, Severity, Signal, Strength, Sums

TICKET = math.log(10.0)  # a warning asks for a tenth of the evidence that a page asks for
HOUR_MENTIONS = 10  # with so many, the last hour is shown; with fewer the last day
VOLUME_TICKS = 36  # the longest stretch over which mentions are added up
VOLUME_CALM = 0.5  # of the score that wakes somebody: below it the number of mentions is calm
TICKS_PER_MONTH = 30 * 288
DAYS_PER_MONTH = 30


def detect(
    rule: Deterioration,
    *,
    brand: str,
    standing: Standing,
    now: datetime,
    firing: bool = False,
    blind: bool = False,
) -> Signal:
    """Judge how ``brand`` stands at ``now``.

    Until the brand has some history, only the number of mentions and single ones alert, unless its budget is set.
    Breached: there is evidence that the budget is overspent (or that perception falls too fast) and it still is, or
    negative mentions pile up. Critical wakes somebody: evidence that keeps the promise on false alarms, or both
    channels at once; a warning needs a tenth of that evidence. Calm: the newest mentions are within the budget.
    Unknown: neither. While an alert is ``firing`` calm comes first: what was gathered against the brand, and the last
    day, still count against it when the trouble is over. Blind: sources fail, so silence tells nothing; a breach is
    told all the same.
    """
    hour, day = standing.over_hours(1), standing.over_hours(24)
    recent = standing.latest(now)
    strength = _strength(rule, standing, hour, day, recent)
    shown, span = (hour, 1) if hour.n >= HOUR_MENTIONS else (day, 24)
    severity, channels = _breach(rule, standing, strength, hour, day)
    condition = _condition(standing, strength, day, recent, blind=blind)
    if severity and firing and condition is Condition.CALM:
        severity, channels = None, ()
    if severity:
        condition = Condition.BREACHED
    mean = budget.share(shown.x / shown.n, standing.usual) if shown.n else None
    # Of so many labelled mentions, each of its own, the share would be as sure.
    worth = shown.n * standing.usual.sharpness / strength.deff
    low, high = wilson(mean, worth) if mean is not None else (None, None)
    return Signal(
        brand=brand,
        rule=rule.name,
        condition=condition,
        severity=severity,
        reason=_sentence(mean, int(shown.n), span, condition, channels, standing, strength),
        observed=mean,
        expected=standing.usual.mean,
        low=low,
        high=high,
        mentions=int(shown.n),
        negative=int(shown.negative),
        perception=perception(shown.y / shown.n) if shown.n else None,
        perception_before=perception(standing.usual_rate.mean),
        window_start_at=now - timedelta(hours=span),
        window_end_at=now,
        channels=channels,
        onset_at=_onset(standing, channels) if severity else None,
        spoke_at=None if standing.spoke is None else datetime.fromtimestamp(standing.spoke, tz=UTC),
        position=standing.position,
        strength=strength,
    )


def _onset(standing: Standing, channels: tuple[Channel, ...]) -> datetime:
    """When it began: as the evidence tells it, or within the hours that the number of mentions is judged by."""
    if Channel.EVIDENCE in channels:
        return onset_of(standing)
    return moment(standing.tick - VOLUME_TICKS)


def onset_of(standing: Standing) -> datetime:
    """When the trouble began, as the stream tells it that has more evidence."""
    return moment(evidence.onset(max(streams_of(standing), key=evidence.evidence)))


def page_limit(standing: Standing, rule: Deterioration, day: Sums) -> tuple[float, float]:
    """The evidence (ln) that wakes somebody, and the ticks a month in which anybody speaks of the brand.

    As many as four weeks tell of, or the last day, if it is busier: more looks need more evidence. Without a history
    every tick counts.
    """
    per_day = max(standing.usual.per_day, day.n)
    ticks = TICKS_PER_MONTH * (-math.expm1(-per_day / 288) if standing.usual.per_day else 1.0)
    return evidence.needed(ticks, rule.false_alarms_per_month), ticks


def _strength(rule: Deterioration, standing: Standing, hour: Sums, day: Sums, recent: tuple[int, float]) -> Strength:
    newest, mean_recent = recent
    limit, ticks = page_limit(standing, rule, day)
    seen, expected = volume.excess(standing.volume)
    usual = standing.usual
    allowed = budget.share(usual.budget, usual)
    implied = implied_fall(standing, allowed)
    return Strength(
        evidence=evidence_of(standing),
        limit=limit,
        budget=allowed,
        burn_hour=budget.burn(budget.share(hour.x / hour.n, usual), allowed) if hour.n else None,
        burn_day=budget.burn(budget.share(day.x / day.n, usual), allowed) if day.n else None,
        burn_recent=budget.burn(budget.share(mean_recent, usual), allowed) if newest else None,
        gone_hours=_gone_hours(standing, day, allowed),
        volume=volume_score(standing) if rule.volume else None,
        volume_limit=rule.volume_critical,
        volume_seen=seen,
        volume_usual=expected,
        deff=usual.deff,
        false_alarms_per_month=rule.false_alarms_per_month,
        ticks_per_month=ticks,
        rates=(
            _rate(standing, hour, "hour", rule.points_per_hour, implied),
            _rate(standing, day, "day", rule.points_per_day, implied),
        ),
    )


def _breach(
    rule: Deterioration, standing: Standing, strength: Strength, hour: Sums, day: Sums
) -> tuple[Severity | None, tuple[Channel, ...]]:
    """How severe, and by which channels; both at once are critical."""
    found: list[tuple[Channel, Severity]] = []
    if (
        knows(standing, rule)
        and strength.evidence >= strength.limit - TICKET
        and (_burning(standing, strength, hour, day) or _falling(rule, strength.rates))
    ):
        page = strength.evidence >= strength.limit
        found.append((Channel.EVIDENCE, Severity.CRITICAL if page else Severity.WARNING))
    if strength.volume is not None and strength.volume >= rule.volume_warning:
        page = strength.volume >= rule.volume_critical
        found.append((Channel.VOLUME, Severity.CRITICAL if page else Severity.WARNING))
    if not found:
        return None, ()
    critical = len(found) > 1 or found[0][1] is Severity.CRITICAL
    return Severity.CRITICAL if critical else Severity.WARNING, tuple(channel for channel, _ in found)


def _burning(standing: Standing, strength: Strength, hour: Sums, day: Sums) -> bool:
    return budget.burning(hour.n, _share(standing, hour), day.n, _share(standing, day), strength.budget)


def _share(standing: Standing, seen: Sums) -> float:
    """The share that the mean of x stands for; 0 where nobody spoke."""
    return budget.share(seen.x / seen.n, standing.usual) if seen.n else 0.0


def _falling(rule: Deterioration, rates: tuple[Rate, ...]) -> bool:
    """Whether perception falls faster, within the hour or the day, than the user's threshold."""
    return rule.fall_allowed is not None and any(
        not rate.implied and rate.points is not None and -rate.points >= rate.threshold for rate in rates
    )


def _condition(
    standing: Standing, strength: Strength, day: Sums, recent: tuple[int, float], *, blind: bool
) -> Condition:
    """What it is when nothing is breached; a brand that nobody has spoken of for a day is not calm."""
    if blind:
        return Condition.BLIND
    two = standing.over_hours(2)
    count, mean = recent
    many = strength.volume is not None and strength.volume >= VOLUME_CALM * strength.volume_limit
    within = budget.recovered(count, mean, two.n, two.x / two.n if two.n else 0.0, standing.usual.budget)
    return Condition.CALM if day.n and within and not many else Condition.UNKNOWN


def _rate(standing: Standing, seen: Sums, per: Literal["hour", "day"], threshold: float | None, implied: float) -> Rate:
    """The change of perception against the usual within the hour or the day, with its interval (95 %, for reading)."""
    usual = standing.usual_rate
    limit = threshold if threshold is not None else implied
    if not seen.n:
        return Rate(per=per, threshold=limit, implied=threshold is None)
    mean = seen.y / seen.n
    variance = max(seen.yy / seen.n - mean * mean, usual.sd * usual.sd / 4)
    error = math.sqrt(usual.deff * (variance / seen.n + usual.sd**2 / (usual.count + budget.FLEET_MENTIONS)))
    points, spread = perception(mean) - perception(usual.mean), 200.0 * Z95 * error
    return Rate(
        per=per,
        threshold=limit,
        implied=threshold is None,
        points=points,
        low=max(-200.0, points - spread),
        high=min(200.0, points + spread),
    )


def implied_fall(standing: Standing, allowed: float) -> float:
    """The fall of perception (points) that overspending the budget means, if those who turn say the worst.

    Of the mentions that were no negative experience, (b - p) / (1 - p) turn from their mean perception to -100.
    """
    p, b = standing.usual.mean, allowed
    turned = min(1.0, max(0.0, b - p) / max(1 - p, 1e-9))
    return max(0.1, turned * (perception(standing.usual_rate.mean) + 100.0))


def _gone_hours(standing: Standing, day: Sums, allowed: float) -> float | None:
    usual = standing.usual
    if not day.n or not usual.per_day:
        return None
    share = _share(standing, day)
    return budget.gone_in_hours(
        share,
        allowed,
        per_hour=day.n / 24,
        spent=usual.mean * usual.per_day * (DAYS_PER_MONTH - 1) + share * day.n,
        month_mentions=usual.per_day * DAYS_PER_MONTH,
    )


def _sentence(
    observed: float | None,
    mentions: int,
    span: int,
    condition: Condition,
    channels: tuple[Channel, ...],
    standing: Standing,
    strength: Strength,
) -> str:
    """One English sentence with the numbers that decided."""
    usual = f"{standing.usual.mean:.0%} is usual ({_basis(standing)}), {strength.budget:.0%} is the budget"
    if observed is None:
        return f"nobody has spoken for a day; {usual}"
    hours = "the last hour" if span == 1 else "the last day"
    numbers = f"{observed:.0%} of {mentions} mentions in {hours} tell of a negative experience"
    sure = f"the evidence is {odds(strength.evidence)}, {odds(strength.limit)} wakes somebody"
    parts = [numbers, usual, sure]
    if strength.volume is not None and channels:
        parts.append(
            f"{strength.volume_seen:.0f} negative mentions in 3 hours where {strength.volume_usual:.1f} are usual "
            f"(score {strength.volume:.1f}, {strength.volume_limit:.3g} wakes somebody)"
        )
    if condition is Condition.BLIND:
        parts.insert(0, "sources fail, so what is missing is not known")
    return "; ".join(parts)


def _basis(standing: Standing) -> str:
    count = standing.usual.count
    if not count:
        return "assumed, no history yet"
    few = "" if count >= LEARNED_MENTIONS else f", {LEARNED_MENTIONS} are needed to know"
    return f"from {count:.0f} earlier mentions{few}"


def odds(logarithm: float) -> str:
    """Evidence in words: its natural logarithm as "so many to 1"."""
    return f"{math.exp(min(logarithm, 60.0)):,.0f}:1" if logarithm >= math.log(10) else f"{math.exp(logarithm):.1f}:1"


def next_look(standing: Standing, now: datetime) -> datetime:
    """When the brand is to be looked at again though nothing new is said: its windows slide on."""
    if standing.spoke is None:
        return now + timedelta(hours=6)
    silent = now.timestamp() - standing.spoke
    if silent < 2 * HOUR_TICKS * budget.TICK_SECS:
        return now + timedelta(seconds=budget.TICK_SECS)
    return now + (timedelta(hours=1) if silent < 2 * 86400 else timedelta(hours=6))
