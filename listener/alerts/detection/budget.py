"""What is usual for a brand, how much worse it may be, and how fast that allowance burns. Pure.

The usual is learned from blocks of six hours over four weeks; the last day and the times of alerts are left out, so
that a slow start of trouble does not become usual. A brand with little history is drawn towards the fleet. What the
quarter of the day and the day of the week do to a brand is part of its usual, as far as chance would not do the same.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

TICK_SECS = 300
BLOCK_TICKS = 72  # six hours: long enough to hold a thread, short enough that 28 days have many
BLOCKS_A_DAY = 4
DAYS_A_WEEK = 7
BASELINE_BLOCKS = 28 * BLOCKS_A_DAY
LEFT_OUT_BLOCKS = BLOCKS_A_DAY  # the last day
KEPT_BLOCKS = BASELINE_BLOCKS + LEFT_OUT_BLOCKS + 1
LEFT_OUT_AFTER_ALERT_BLOCKS = 14 * BLOCKS_A_DAY  # what has been bad for longer is what is usual now
FLEET_MENTIONS = 50.0  # how many mentions of its own outweigh what is usual for the fleet
FLEET_SHARE = 0.2  # of negative mentions, where there is no fleet either
WEAK_MENTIONS = 5.0  # how much the fleet tells when we ask how little is known of the brand itself
KNOWN = NormalDist().inv_cdf(0.9)  # the budget of a brand without history allows for a usual share that high
FLEET_DEFF = 3.0  # the design effect where there is no fleet: as of conversations of three
DEFF_EVENTS = 10.0  # divided by the variance of a mention: mentions' worth of belief in the fleet's design effect
DEFF_MARGIN = 2.0  # standard errors of the design effect, of those that independent mentions would not have
HABIT_MENTIONS = 2000.0  # with fewer, chance and habit cannot be told apart
SHRINK = 1.5  # how much of what looks like a habit must exceed what chance alone would show
VARIANCE_MIN = 1e-3
SHARPNESS_MIN = 0.1  # a scorer that is blunter tells nothing
BUDGET_MIN, BUDGET_MAX = 1e-4, 0.98
BURNING = 1.25  # an alert needs a burn rate of this now, not only in the past
BURNING_MENTIONS = 10  # what an hour must hold to tell how fast it burns
RECENT_VOTES, RECENT_VOTES_MIN, RECENT_SECS = 30, 8, 3 * 86400


@dataclass(frozen=True, slots=True)
class Block:
    """Six hours of votes: how many, and the sums of x and x² of the stream's values (0..1)."""

    index: int
    count: float
    total: float
    squares: float
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual of one stream: ``mean`` 0..1, drawn towards the fleet; ``budget`` what mean of x is still allowed.

    ``deff`` is the design effect: how many times more the blocks vary than independent mentions would. ``sd`` is that
    of one mention. ``count`` is how many mentions it rests on, ``per_day`` how many come a day. ``sharpness`` (0..1) is
    how much of a rise of the true share shows in the mean of x: all of it where x are labels, less where they are
    probabilities (see ``share``).
    """

    mean: float
    budget: float
    deff: float
    sd: float
    count: float
    per_day: float
    sharpness: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much worse than usual is allowed: ``ratio`` times and at least ``points`` (0..1) more; or the ``budget``.

    All of it is about the true share. ``calibrated``: x are calibrated probabilities of what is counted.
    """

    ratio: float = 1.25
    points: float = 0.02
    budget: float | None = None
    calibrated: bool = False


def usual(
    blocks: Sequence[Block],
    *,
    now_block: int,
    fleet_mean: float,
    allowance: Allowance,
    fleet_deff: float = FLEET_DEFF,
) -> Usual:
    """What is usual at the start of ``now_block``, from the blocks of the 28 days that ended a day before it.

    ``fleet_deff`` is the design effect of all brands together: few mentions cannot tell their own.
    """
    first = now_block - LEFT_OUT_BLOCKS - BASELINE_BLOCKS
    past = [one for one in blocks if first <= one.index < now_block - LEFT_OUT_BLOCKS and not one.left_out]
    count = math.fsum(one.count for one in past)
    total = math.fsum(one.total for one in past)
    squares = math.fsum(one.squares for one in past)
    mean = (total + FLEET_MENTIONS * fleet_mean) / (count + FLEET_MENTIONS)
    variance = max((squares + FLEET_MENTIONS * fleet_mean) / (count + FLEET_MENTIONS) - mean * mean, VARIANCE_MIN)
    certain = max(mean * (1 - mean), VARIANCE_MIN)  # the variance if x were labels
    sharpness = min(max(variance / certain, SHARPNESS_MIN), 1.0) if allowance.calibrated else 1.0
    habits = _habits(past, variance, fleet_deff)
    freed = [(one.index, one.count, one.total - one.count * habits.at(one.index)) for one in past]
    deff = _design_effect(freed, mean, variance, fleet_deff)
    at_most = _at_most(total, count, fleet_mean, deff * sharpness)
    swing = habits.at(now_block) / sharpness
    known_share = min(max(mean + swing, 0.0), 1.0)
    share_at_most = mean + (at_most - mean) / sharpness + swing
    allowed_share = allowance.budget or allowed(allowance, known_share, share_at_most)
    days = (now_block - LEFT_OUT_BLOCKS - past[0].index) / BLOCKS_A_DAY if past else 0.0
    return Usual(
        mean=mean,
        budget=min(max(mean + (allowed_share - mean) * sharpness, BUDGET_MIN), BUDGET_MAX),
        deff=deff,
        sd=math.sqrt(variance),
        count=count,
        per_day=count / days if days else 0.0,
        sharpness=sharpness,
    )


@dataclass(frozen=True, slots=True)
class _Habits:
    """By how much the mean of x differs from the usual, by the quarter of the day and the day of the week (UTC)."""

    quarters: Sequence[float]
    weekdays: Sequence[float]

    def at(self, block: int) -> float:
        return self.quarters[block % BLOCKS_A_DAY] + self.weekdays[block // BLOCKS_A_DAY % DAYS_A_WEEK]


Part = tuple[int, float, float]  # of the past: its number, how many mentions, the sum of x


def _habits(past: Sequence[Block], variance: float, fleet_deff: float) -> _Habits:
    """Habits learned from the past, the quarters first: what they explain is taken out before the days are compared."""
    parts = [(one.index, one.count, one.total) for one in past]
    quarters = _habit(parts, BLOCKS_A_DAY, variance, fleet_deff)
    freed = [(index, count, total - count * quarters[index % BLOCKS_A_DAY]) for index, count, total in parts]
    return _Habits(quarters, _habit(_by_day(freed), DAYS_A_WEEK, variance, fleet_deff))


def _habit(parts: Sequence[Part], period: int, variance: float, fleet_deff: float) -> list[float]:
    """By how much each of ``period`` kinds of parts differs from all, drawn towards 0 (James and Stein).

    What is left of the differences is what exceeds chance, measured by how much parts of the same kind differ.
    """
    counts, totals = [0.0] * period, [0.0] * period
    for index, count, total in parts:
        counts[index % period] += count
        totals[index % period] += total
    if sum(counts) < HABIT_MENTIONS:
        return [0.0] * period
    mean = math.fsum(totals) / math.fsum(counts)
    means = [total / count if count else mean for count, total in zip(counts, totals, strict=True)]
    weight = DEFF_EVENTS / variance
    within = math.fsum((total - count * means[index % period]) ** 2 for index, count, total in parts) / variance
    by_chance = max(1.0, (within + weight * fleet_deff) / (math.fsum(counts) + weight))
    between = math.fsum(count * (one - mean) ** 2 for count, one in zip(counts, means, strict=True)) / variance
    kept = max(0.0, 1.0 - SHRINK * (period - 1) * by_chance / between) if between else 0.0
    return [kept * (one - mean) for one in means]


def _by_day(parts: Sequence[Part]) -> list[Part]:
    days: dict[int, tuple[float, float]] = {}
    for index, more, total in parts:
        count, before = days.get(index // BLOCKS_A_DAY, (0.0, 0.0))
        days[index // BLOCKS_A_DAY] = count + more, before + total
    return [(day, count, total) for day, (count, total) in days.items()]


def design_effect(blocks: Sequence[Block], mean: float, variance: float, fleet_deff: float = FLEET_DEFF) -> float:
    """How many times more the totals of blocks, or of days, vary than those of independent mentions would; at least 1.

    Kish's design effect, measured: squared deviations are summed up before they are divided, so that the busy blocks,
    in which the long threads are, weigh most. A few long threads decide it; where they do, it is uncertain, and its
    standard error is added.
    """
    return _design_effect([(one.index, one.count, one.total) for one in blocks], mean, variance, fleet_deff)


def _design_effect(parts: Sequence[Part], mean: float, variance: float, fleet_deff: float) -> float:
    return max(1.0, *(_overdispersed(some, mean, variance, fleet_deff) for some in (parts, _by_day(parts))))


def _overdispersed(parts: Sequence[Part], mean: float, variance: float, fleet_deff: float) -> float:
    weight = DEFF_EVENTS / variance
    squares = [(total - count * mean) ** 2 / variance for _, count, total in parts]
    mentions = math.fsum(count for _, count, _ in parts) + weight
    deff = (math.fsum(squares) + weight * fleet_deff) / mentions
    error = math.sqrt(math.fsum((one - deff * count) ** 2 for one, (_, count, _) in zip(squares, parts, strict=True)))
    by_chance = math.sqrt(2.0 * math.fsum(count * count for _, count, _ in parts))
    return deff + DEFF_MARGIN * max(0.0, error - by_chance) / mentions


def allowed(allowance: Allowance, mean: float, at_most: float) -> float:
    """The budget share for a usual ``mean`` that may be as high as ``at_most``, where little is known of the brand.

    Where ``ratio`` times the usual is out of reach it is the mirror: the others have become ``ratio`` times fewer.
    """
    times = min(allowance.ratio * mean, 1 - (1 - mean) / allowance.ratio)
    return min(max(times, mean + allowance.points, at_most), BUDGET_MAX)


def share(mean: float, usual: Usual) -> float:
    """The true share (0..1) that a mean of x stands for, for reading and for the burn rate.

    Of calibrated probabilities, those of negative mentions exceed those of the others by Var(x) / (mean (1 - mean)) on
    average: by so much the mean rises when all turn negative. A scorer that says 0.6 and 0.1 where it was calibrated
    goes on to say so when the share has doubled; so the mean alone would tell of half the rise.
    """
    return min(max(usual.mean + (mean - usual.mean) / usual.sharpness, 0.0), 1.0)


def burn(mean: float, budget: float) -> float:
    """How fast the allowance is used up: 1 uses it just up, 2 in half the time."""
    return mean / budget


def burning(count_1h: float, mean_1h: float, count_24h: float, mean_24h: float, budget: float) -> bool:
    """Whether it burns at 1.25 times the allowed pace or faster: in the last day, or the last hour, if enough spoke.

    Where the budget is so high that 1.25 times as much is out of reach, the others have become 1.25 times fewer.
    """
    limit = min(BURNING * budget, 1 - (1 - budget) / BURNING)
    return (count_1h >= BURNING_MENTIONS and mean_1h >= limit) or (count_24h > 0 and mean_24h >= limit)


def recovered(count_recent: float, mean_recent: float, count_2h: float, mean_2h: float, budget: float) -> bool:
    """Whether the brand is within its budget again: by the last two hours and, if few spoke, by its recent votes too.

    An alert resolves when this has held for two hours. Without recent votes nothing tells that it is over. Where more
    speak in two hours than are recent, the recent ones are the last minutes, and would swing by chance.
    """
    if not count_recent or (count_2h and burn(mean_2h, budget) >= 1):
        return False
    return count_2h >= RECENT_VOTES or burn(mean_recent, budget) < 1


def recent_votes(ages_secs: Sequence[float]) -> int:
    """How many of the newest votes are recent, given their ages, the newest first.

    They are the last 30, of those the ones of the last three days, but eight of them in any case, if there are eight.
    """
    young = bisect_right(ages_secs, RECENT_SECS)
    return min(len(ages_secs), RECENT_VOTES, max(RECENT_VOTES_MIN, young))


def gone_in_hours(mean: float, budget: float, *, per_hour: float, spent: float, month_mentions: float) -> float | None:
    """In how many hours the month's budget is used up at this pace; None when it is not, 0 when it already is.

    The month's budget is ``budget`` times the mentions of 30 usual days; ``spent`` of it (in the same unit) is gone.
    """
    left = budget * month_mentions - spent
    if left <= 0:
        return 0.0
    pace = mean * per_hour
    return left / pace if pace > 0 and mean > budget else None


def _at_most(total: float, count: float, fleet_mean: float, deff: float) -> float:
    """An upper bound (90 %, one-sided) of the usual mean, of what the brand's own history tells."""
    n = count + WEAK_MENTIONS
    mean = (total + WEAK_MENTIONS * fleet_mean) / n
    return mean + KNOWN * math.sqrt(mean * (1 - mean) * deff / (n + 1))
