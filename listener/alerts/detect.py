"""Does a brand's perception deteriorate? Windows in, one explained finding out; nothing else is read.

The statistics here are a first, plain version: one interval, looked at again at every tick. Looking again and again
until the interval clears the limit (optional stopping) raises more false alarms than ``confidence`` suggests; evidence
that stays valid at every look replaces it behind the same function.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist

from listener.alerts.rules import NegativeShare
from listener.domain import Condition, Severity, Signal, Window

PRIOR_SHARE = 0.2  # what a brand without history is taken to be like
PRIOR_MENTIONS = 20  # how many mentions of its own history outweigh that
SHARE_MIN = 0.05  # a smaller usual share is taken for this: twice next to nothing is nothing to wake for
RECENT_SECS = 86400  # the last day is left out of the baseline: a slow start of trouble must not become usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Windows of one brand added up. ``perception`` is -100..100, None when nobody spoke."""

    mentions: int
    negative: int
    perception: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual for a brand: the negative share (0..1), the perception, and in words where it comes from."""

    share: float
    perception: float | None
    basis: str


def detect(
    rule: NegativeShare,
    *,
    brand: str,
    recent: Sequence[Window],
    baseline: Sequence[Window],
    usual_share: float | None = None,
    now: datetime,
) -> Signal:
    """Judge the share of negative mentions in the last ``window_secs`` against what is usual for the brand.

    ``recent`` are fine windows that cover the rule's window, ``baseline`` coarse ones that cover ``baseline_secs``;
    both may hold more than is asked for, and gaps mean that nobody spoke. The fine window that holds the first instant
    counts whole. ``usual_share`` (0..1) is the user's own figure.

    Breached: even the lower Wilson bound (``confidence``, two-sided) is above the limit of a warning, or of a critical
    alert. Calm: enough was said, and the share itself is below the limit. Unknown: too little was said, or the share is
    above the limit but chance could explain it.
    """
    start_at = now - timedelta(seconds=rule.window_secs)
    seen = add_up([window for window in recent if window.end_at > start_at and window.start_at < now])
    usual = usual_of(rule, baseline, usual_share=usual_share, now=now)
    low, high = wilson(seen.negative, seen.mentions, rule.confidence) if seen.mentions else (None, None)
    condition, severity = judge(rule, seen, low=low, expected=usual.share)
    return Signal(
        brand=brand,
        rule=rule.name,
        condition=condition,
        severity=severity,
        reason=explain(rule, seen, usual, low=low, condition=condition, severity=severity),
        observed=seen.negative / seen.mentions if seen.mentions else None,
        expected=usual.share,
        low=low,
        high=high,
        mentions=seen.mentions,
        perception=seen.perception,
        perception_before=usual.perception,
        window_start_at=start_at,
        window_end_at=now,
    )


def judge(
    rule: NegativeShare, seen: Totals, *, low: float | None, expected: float
) -> tuple[Condition, Severity | None]:
    """Compare what was seen with the limits; a window with fewer than ``mentions_min`` mentions is not judged."""
    if low is None or seen.mentions < rule.mentions_min:
        return Condition.UNKNOWN, None
    if low > limit(expected, rule.ratio_critical):
        return Condition.BREACHED, Severity.CRITICAL
    if low > limit(expected, rule.ratio):
        return Condition.BREACHED, Severity.WARNING
    calm = seen.negative / seen.mentions < limit(expected, rule.ratio)
    return (Condition.CALM if calm else Condition.UNKNOWN), None


def limit(expected: float, ratio: float) -> float:
    """The share (0..1) that ``ratio`` allows for: it grows with both, and is below 1 whenever ``expected`` is.

    For a small usual share it is ``ratio`` times that. Where that is out of reach it is the mirror: the others have
    become ``ratio`` times fewer, so that a brand with a usual share of 60 % can breach too.
    """
    return min(ratio * max(expected, SHARE_MIN), 1 - (1 - expected) / ratio)


def usual_of(rule: NegativeShare, baseline: Sequence[Window], *, usual_share: float | None, now: datetime) -> Usual:
    """What is usual: the user's figure, or the share of the baseline drawn towards the prior where history is thin.

    The last day is left out; a brand with fewer than ``PRIOR_MENTIONS`` mentions before it is compared with all that
    came before the rule's window. The share is the mean of the beta posterior, (k + 0.2 * 20) / (n + 20).
    """
    oldest = now - timedelta(seconds=rule.baseline_secs)
    past = add_up(_between(baseline, oldest, now - timedelta(seconds=max(RECENT_SECS, rule.window_secs))))
    if past.mentions < PRIOR_MENTIONS:
        past = add_up(_between(baseline, oldest, now - timedelta(seconds=rule.window_secs)))
    if usual_share is not None:
        return Usual(share=usual_share, perception=past.perception, basis="as configured")
    share = (past.negative + PRIOR_SHARE * PRIOR_MENTIONS) / (past.mentions + PRIOR_MENTIONS)
    history = f"from {past.mentions} earlier mentions" if past.mentions else "assumed, there is no history yet"
    return Usual(share=share, perception=past.perception, basis=history)


def add_up(windows: Sequence[Window]) -> Totals:
    """Sum windows of one brand."""
    mentions = sum(window.volume for window in windows)
    polarity_sum = math.fsum(window.polarity_sum for window in windows)
    return Totals(
        mentions=mentions,
        negative=sum(window.negative for window in windows),
        perception=100 * polarity_sum / mentions if mentions else None,
    )


def wilson(negative: int, mentions: int, confidence: float) -> tuple[float, float]:
    """Bounds of a share at ``confidence``, two-sided, for ``mentions`` > 0 (Wilson 1927; Brown, Cai, DasGupta 2001)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, z2 = negative / mentions, z * z / mentions
    centre = share + z2 / 2
    spread = math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return max(0.0, (centre - spread) / (1 + z2)), min(1.0, (centre + spread) / (1 + z2))


def explain(
    rule: NegativeShare,
    seen: Totals,
    usual: Usual,
    *,
    low: float | None,
    condition: Condition,
    severity: Severity | None,
) -> str:
    """One English sentence with the numbers that decided."""
    expected = f"{usual.share:.0%} is usual ({usual.basis})"
    if low is None or seen.mentions < rule.mentions_min:
        return (
            f"{seen.mentions} mentions in the window are too few to judge ({rule.mentions_min} are needed); {expected}"
        )
    ratio = rule.ratio_critical if severity is Severity.CRITICAL else rule.ratio
    numbers = f"{seen.negative} of {seen.mentions} mentions are negative ({seen.negative / seen.mentions:.0%})"
    bound = f"the limit is {limit(usual.share, ratio):.0%}"
    match condition:
        case Condition.BREACHED:
            return f"{numbers}, at least {low:.0%} at {rule.confidence:.4g} confidence; {expected}, {bound}"
        case Condition.CALM:
            return f"{numbers}; {expected}, {bound}"
        case Condition.UNKNOWN:
            return f"{numbers}, which chance could explain (at least {low:.0%}); {expected}, {bound}"


def _between(windows: Sequence[Window], start_at: datetime, end_at: datetime) -> list[Window]:
    """The windows that lie wholly in [``start_at``, ``end_at``)."""
    return [window for window in windows if window.start_at >= start_at and window.end_at <= end_at]
