"""A slow fall over weeks, that no page will ever see, for the digest of the day. Pure.

The last four weeks are held against the eight weeks before. Blocks of alerts are not left out here: a sequence of
alerts is a fall too. To leave them out of the later stretch would hide it, to leave them out of the earlier one would
make a fall of what is as bad as before.

**Evidence.** Let the earlier stretch have n mentions x (0..1) and the later one m, independent, with the mean
shares p and q; the null is q <= p + margin. Choose a level t and a stake S >= 0 without looking at any x and take

    E = product over earlier x of (1 - S/n (x - t))  times  product over later x of (1 + S/m (x - t - margin)).

The mean of the n + m expected factors is 1 + S (q - p - margin) / (n + m) <= 1, and the product of independent
factors is, in expectation, the product of their expectations, which is at most their mean to the power n + m. So E is
at most 1 on average under the null whatever p is: an e-value for two samples (of the kind of Turner, Ly and Gruenwald,
arXiv 2106.02693, as a bet). So is the mean of several E, over levels fixed in advance; a level that is off costs a
little power. Only sums over blocks are kept: for x between 0 and 1, x ln f(1) + (1 - x) ln f(0) <= ln f(x), and the
left side is what is added up; it is exact where x is 0 or 1.

It is valid at one look: look once a day at a fixed time and take today's, never the highest of several days.

Where mentions are not independent, n and m are divided by the design effect. That part has no theorem behind it, only
the simulations of ``benchmarks.drift``. It is measured over blocks, days and weeks, and the largest counts: what moves
a whole week moves its blocks alike. Second differences (each stretch against the mean of its neighbours) keep the drift
itself out of it; a step is in two of them, so the two largest are left out. And it is uncertain itself: a difference of
so many standard errors is worth as many as are equally improbable when the error is known, as with Student's t (Wallace
1959), before anybody bets on it.

**Many brands.** e-BH (Wang and Ramdas, arXiv 2009.02824) selects of all brands those of which at most a share of
``alpha`` is there by chance, however the brands depend on each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from listener.alerts.detection.budget import BLOCKS_A_DAY, VARIANCE_MIN, Block
from listener.alerts.detection.evidence import log_mean
from listener.alerts.detection.intervals import wilson

DEFF_BLOCKS = 4.0  # blocks' worth of belief that mentions are independent
WEEK_BLOCKS = 7 * BLOCKS_A_DAY
RECENT_BLOCKS = 4 * WEEK_BLOCKS
BEFORE_BLOCKS = 8 * WEEK_BLOCKS
HISTORY_BLOCKS = RECENT_BLOCKS + BEFORE_BLOCKS  # what `drift` looks at
BEFORE_BLOCKS_MIN = 2 * WEEK_BLOCKS  # since the first mention
MENTIONS_MIN = 20.0  # in each stretch
MARGIN = 0.01
ALPHA = 0.1
LEVELS = (0.04, 0.13, 0.33, 0.66)  # usual shares: the nearest one decides, and the others cost ln 4 at most
AIM = 4.0  # by how many standard errors the shares differ if the bet is right: e^8, enough for one of 200 brands
STAKE_MAX = 0.9  # of what would be lost in one mention
FREEDOM = 36 / 70  # of a second difference: neighbours have parts in common
STEP_TERMS = 2  # second differences that a step is in
T_MIN = 0.01  # below it there is nothing to doubt
WEEKS_TELL = 3.0  # so many times the design effect of days, and weeks are what varies: there are few
Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The mentions of some weeks: how many (``count``), the sum of their x, and when they were on average (block)."""

    count: float
    total: float
    at_block: float

    @property
    def share(self) -> float:
        """Of negative mentions, 0..1."""
        return self.total / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The design effect, at least 1, and how sure it is: the degrees of freedom that it rests on."""

    deff: float = 1.0
    freedom: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A brand's slow change.

    ``evidence`` is the natural logarithm of the e-value, None where the history is too short to say. Shares, and the
    ``change`` between them with its bounds ``low`` and ``high`` (95 %), are 0..1, higher is worse; None where nobody
    spoke. ``per_week`` is the change a week, between the middles of the two stretches.
    """

    evidence: float | None
    before: float | None
    recent: float | None
    before_count: float
    recent_count: float
    change: float | None = None
    low: float | None = None
    high: float | None = None
    per_week: float | None = None
    deff: float = 1.0
    margin: float = MARGIN
    reason: str


INDEPENDENT = Spread()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestEntry:
    """One brand in the digest of the day: ``rank`` 1 is the surest; ``limit`` is the evidence (ln) that was needed."""

    rank: int
    brand: str
    drift: Drift
    limit: float


def drift(blocks: Sequence[Block], *, now_block: int, margin: float = MARGIN) -> Drift:
    """How the four weeks before ``now_block`` differ from the eight before those.

    A rise of the share by ``margin`` (0..0.5) or less is no drift.
    """
    border = now_block - RECENT_BLOCKS
    spoken = sorted(
        (one for one in blocks if one.count and border - BEFORE_BLOCKS <= one.index < now_block),
        key=lambda one: one.index,
    )
    earlier = [one for one in spoken if one.index < border]
    later = [one for one in spoken if one.index >= border]
    before, recent = _stretch(earlier), _stretch(later)
    if before is None or recent is None:
        return Drift(
            evidence=None,
            before=before.share if before else None,
            recent=recent.share if recent else None,
            before_count=before.count if before else 0.0,
            recent_count=recent.count if recent else 0.0,
            margin=margin,
            reason="Nobody spoke in the last four weeks, or in the eight before.",
        )
    spread = measure(earlier, later)
    known = earlier[0].index <= border - BEFORE_BLOCKS_MIN and min(before.count, recent.count) >= MENTIONS_MIN
    evidence = log_evidence(before, recent, margin=margin, spread=spread) if known else None
    low, high = _interval(before, recent, spread.deff)
    change = recent.share - before.share
    per_week = change * WEEK_BLOCKS / (recent.at_block - before.at_block)
    weeks = math.ceil((border - earlier[0].index) / WEEK_BLOCKS)
    return Drift(
        evidence=evidence,
        before=before.share,
        recent=recent.share,
        before_count=before.count,
        recent_count=recent.count,
        change=change,
        low=low,
        high=high,
        per_week=per_week,
        deff=spread.deff,
        margin=margin,
        reason=(
            f"{recent.share:.1%} of the {recent.count:,.0f} mentions of the last four weeks are negative; "
            f"it was {before.share:.1%} of {before.count:,.0f} in the {weeks} weeks before: {100 * change:+.1f} points "
            f"(95 %: {100 * low:+.1f} to {100 * high:+.1f}), {100 * per_week:+.2f} a week; {_odds(evidence)}."
        ),
    )


def log_evidence(before: Stretch, recent: Stretch, *, margin: float = MARGIN, spread: Spread = INDEPENDENT) -> float:
    """The natural logarithm of the e-value against "the share rose by ``margin`` at most" (see above)."""
    deff = spread.deff * _doubt(before, recent, margin, spread)
    n, m = before.count / deff, recent.count / deff
    bad, worse = before.total / deff, recent.total / deff
    found = []
    for usual in LEVELS:
        level = min(usual, 0.99 - margin)
        above = level + margin
        affordable = STAKE_MAX * min(n / (1 - level), m / above)
        error = math.sqrt(level * (1 - level) * (1 / n + 1 / m))
        stake = min(AIM / error, affordable)
        less, more = stake / n, stake / m
        found.append(
            bad * math.log1p(-less * (1 - level))
            + (n - bad) * math.log1p(less * level)
            + worse * math.log1p(more * (1 - above))
            + (m - worse) * math.log1p(-more * above)
        )
    return log_mean(found)


def measure(earlier: Sequence[Block], later: Sequence[Block]) -> Spread:
    """How many times more the shares vary than those of independent mentions would.

    Of blocks, days and weeks the scale that varies most. The blocks are in the order of time, and none is empty.
    """
    both = [*earlier, *later]
    inside = math.fsum(_variance(part) * math.fsum(one.count for one in part) for part in (earlier, later) if part)
    variance = max(inside / math.fsum(one.count for one in both), VARIANCE_MIN) if both else VARIANCE_MIN
    blocks, days, weeks = (_roughness(both, scale, variance) for scale in (1, BLOCKS_A_DAY, WEEK_BLOCKS))
    shorter = max(blocks.deff, days.deff, 1.0)
    tells = weeks if weeks.deff > WEEKS_TELL * shorter else days
    return Spread(deff=max(shorter, weeks.deff), freedom=tells.freedom)


def e_bh(log_e: Mapping[str, float], *, alpha: float = ALPHA) -> tuple[str, ...]:
    """The brands that e-BH selects, the strongest first: the k best, for the largest k with e_(k) >= K / (alpha k).

    ``log_e`` holds the natural logarithms of the e-values of all K brands that were looked at.
    """
    ranked = sorted(log_e, key=lambda brand: (-log_e[brand], brand))
    selected = max(
        (k for k, brand in enumerate(ranked, 1) if log_e[brand] >= _needed(k, len(ranked), alpha)), default=0
    )
    return tuple(ranked[:selected])


def digest(drifts: Mapping[str, Drift], *, alpha: float = ALPHA) -> tuple[DigestEntry, ...]:
    """The brands that fall slowly, the surest first.

    Those whose history is too short to say are not counted as looked at. That is no choice by result: how much was said
    decides it, not what.
    """
    log_e = {brand: one.evidence for brand, one in drifts.items() if one.evidence is not None}
    chosen = e_bh(log_e, alpha=alpha)
    limit = _needed(max(len(chosen), 1), len(log_e), alpha) if log_e else 0.0
    return tuple(
        DigestEntry(rank=rank, brand=brand, drift=drifts[brand], limit=limit) for rank, brand in enumerate(chosen, 1)
    )


def _needed(k: int, brands: int, alpha: float) -> float:
    """ln(K / (alpha k))."""
    return math.log(brands / (alpha * k))


def _stretch(blocks: Sequence[Block]) -> Stretch | None:
    count = math.fsum(one.count for one in blocks)
    if not count:
        return None
    return Stretch(
        count=count,
        total=math.fsum(one.total for one in blocks),
        at_block=math.fsum(one.count * one.index for one in blocks) / count,
    )


def _variance(blocks: Sequence[Block]) -> float:
    """Of one mention's x."""
    count = math.fsum(one.count for one in blocks)
    mean = math.fsum(one.total for one in blocks) / count
    return math.fsum(one.squares for one in blocks) / count - mean * mean


def _roughness(blocks: Sequence[Block], scale: int, variance: float) -> Spread:
    """The mean chi² of second differences between stretches of ``scale`` blocks, drawn towards 1.

    A step is in two of them and is no noise: the two largest are left out, and so is what the two largest of so many
    come to by chance. The degrees of freedom are those of a multiple of chi² that varies as much (Satterthwaite).
    """
    sums: dict[int, tuple[float, float]] = {}
    newest = blocks[-1].index if blocks else 0
    for one in blocks:
        key = (newest - one.index) // scale
        count, total = sums.get(key, (0.0, 0.0))
        sums[key] = (count + one.count, total + one.total)
    parts = list(sums.values())
    chi2 = sorted(
        (a_total / a - 2 * b_total / b + c_total / c) ** 2 / (variance * (1 / a + 4 / b + 1 / c))
        for (a, a_total), (b, b_total), (c, c_total) in zip(parts, parts[1:], parts[2:], strict=False)
    )
    terms = len(chi2)
    if terms <= STEP_TERMS:
        return Spread(freedom=1.0)
    kept = chi2[:-STEP_TERMS]
    lost = [_chi2_quantile(1 - (at + 0.5) / terms) for at in range(STEP_TERMS)]
    mean = math.fsum(kept) / (terms - math.fsum(lost))
    mean_square = 3 * math.fsum(one * one for one in kept) / (3 * terms - math.fsum(one * one for one in lost))
    most = FREEDOM * terms
    varies = mean_square - mean * mean
    freedom = min(max(2 * most * mean * mean / varies, 1.0), most) if varies > 0 else most
    return Spread(deff=(mean * terms + DEFF_BLOCKS) / (terms + DEFF_BLOCKS), freedom=freedom)


def _chi2_quantile(probability: float) -> float:
    """Of chi² with one degree of freedom."""
    return NormalDist().inv_cdf((1 + probability) / 2) ** 2


def _doubt(before: Stretch, recent: Stretch, margin: float, spread: Spread) -> float:
    """By what to multiply a design effect for its uncertainty: (t / z)², z being as improbable as Student's t."""
    share = (before.total + recent.total) / (before.count + recent.count)
    variance = max(share * (1 - share), VARIANCE_MIN)
    error = math.sqrt(variance * spread.deff * (1 / before.count + 1 / recent.count))
    t = (recent.share - before.share - margin) / error
    if t < T_MIN or math.isinf(spread.freedom):
        return 1.0
    z = math.sqrt(spread.freedom * math.log1p(t * t / spread.freedom))
    z *= (8 * spread.freedom + 1) / (8 * spread.freedom + 3)
    return (t / z) ** 2


def _interval(before: Stretch, recent: Stretch, deff: float) -> tuple[float, float]:
    """Of the change, 95 % (Newcombe 1998, method 10: from Wilson's intervals of both shares)."""
    low_before, high_before = wilson(before.share, before.count / deff)
    low_recent, high_recent = wilson(recent.share, recent.count / deff)
    change = recent.share - before.share
    return (
        change - math.hypot(recent.share - low_recent, high_before - before.share),
        change + math.hypot(high_recent - recent.share, before.share - low_before),
    )


def _odds(evidence: float | None) -> str:
    if evidence is None:
        return "the history is too short for evidence"
    if evidence <= 0:
        return "no evidence of a fall"
    return f"evidence {math.exp(min(evidence, math.log(1e9))):,.0f} : 1"
