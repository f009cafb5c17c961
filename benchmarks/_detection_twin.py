"""Detection by evidence for many made-up brands at once, with numpy; ``plain`` is the same with the shipped functions.

Both follow production: what is usual is learned anew every six hours, a ticket asks for a tenth of the evidence of a
page, both only while the budget burns, an alert ends after two hours of calm, evidence is gathered anew then, and a
breach within a day of the end belongs to the same alert. What a page tells of does not become usual; what only a ticket
tells of does: tickets are mostly chance, and to leave out what chance made bad would make the usual too good.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._detection_streams import TICKS_PER_DAY, Flags, Floats, Ints, Votes
from listener.alerts.detection import budget, evidence
from listener.alerts.detection.budget import BASELINE_BLOCKS, BLOCK_TICKS, BLOCKS_A_DAY, LEFT_OUT_BLOCKS

HISTORY_TICKS = (BASELINE_BLOCKS + LEFT_OUT_BLOCKS) * BLOCK_TICKS
MONTH_TICKS = 30 * TICKS_PER_DAY
REOPEN_TICKS = TICKS_PER_DAY
CALM_TICKS = 24
STALE_TICKS = 3 * TICKS_PER_DAY
TICKET = 10.0  # a ticket asks for so many times less evidence
CALM, WARNED, PAGED, DONE = 0, 1, 2, 3
WEALTH_MAX = 1e250


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is judged, and what is taken away to see what it is worth."""

    false_alarms: float = 0.5
    allowance: budget.Allowance = field(default_factory=budget.Allowance)
    gate: bool = True
    tempered: bool = True
    fleet_deff: float = budget.FLEET_DEFF
    once: bool = False  # a brand is done with its first page


@dataclass(slots=True)
class Event:
    """What came of a brand at a tick: ``kind`` is ticket, page or end."""

    tick: int
    kind: str


@dataclass(frozen=True, slots=True)
class Learned:
    """`budget.Usual` of every brand, and what its bettors win by a vote of each level: [brand, level, bettor]."""

    budget: Floats
    deff: Floats
    per_day: Floats
    gains: Floats
    mean: Floats
    sharpness: Floats


class Twin:
    """The months of many brands. ``events`` holds what came of each after ``run``."""

    def __init__(self, votes: Votes, rules: Rules) -> None:
        self.votes, self.rules = votes, rules
        levels = np.asarray(votes.levels)
        brands, ticks = votes.counts.shape[1:]
        self.ticks = ticks // BLOCK_TICKS * BLOCK_TICKS
        spoke = votes.counts.sum(0, dtype=np.int32)
        self.spoke = spoke > 0
        self.number = _running(spoke)
        self.total = _running(np.tensordot(levels, votes.counts, 1))
        ends = np.arange(0, self.ticks + 1, BLOCK_TICKS)
        self.block_n = np.diff(self.number[:, ends], axis=1).astype(float)
        self.block_x = np.diff(self.total[:, ends], axis=1)
        squares = np.tensordot(levels**2, votes.counts, 1)[:, : self.ticks]
        self.block_xx = squares.reshape(brands, -1, BLOCK_TICKS).sum(2)
        self.left_out = np.zeros(self.block_n.shape, bool)
        self.state = np.zeros(brands, int)
        self.began, self.calm_for = np.zeros(brands, int), np.zeros(brands, int)
        self.ends = np.full(brands, -1)
        self.wealth = np.ones((brands, len(evidence.AIMS)))
        self.lead = np.zeros(self.wealth.shape)
        self.since = np.zeros(self.wealth.shape, int)
        self.events: list[list[Event]] = [[] for _ in range(brands)]
        self.paths: list[Floats] | None = None  # the wealth of every brand by tick, if a list is put here
        self.known: dict[int, Learned] = {}  # by block, likewise
        self._in_order: dict[int, tuple[Ints, Floats]] = {}

    def run(self, first_tick: int) -> list[list[Event]]:
        """Judge every tick from ``first_tick`` (the start of a block) on."""
        self.since[:] = first_tick
        for block in range(first_tick // BLOCK_TICKS, self.ticks // BLOCK_TICKS):
            if (self.state == DONE).all():
                break
            self._block(block)
        return self.events

    def learned(self, block: int) -> Learned:
        """What is usual at the start of ``block``: the twin of `budget.usual` and `evidence.bets`."""
        rules, allowance = self.rules, self.rules.allowance
        first, last = max(0, block - LEFT_OUT_BLOCKS - BASELINE_BLOCKS), max(0, block - LEFT_OUT_BLOCKS)
        kept = ~self.left_out[:, first:last]
        number, total = self.block_n[:, first:last] * kept, self.block_x[:, first:last] * kept
        count, sum_x = number.sum(1), total.sum(1)
        prior, fleet = budget.FLEET_MENTIONS, budget.FLEET_SHARE
        mean = (sum_x + prior * fleet) / (count + prior)
        squares = (self.block_xx[:, first:last] * kept).sum(1)
        variance = np.maximum((squares + prior * fleet) / (count + prior) - mean**2, budget.VARIANCE_MIN)
        habits = self._habits(number, total, first, last, variance)
        deff = self._design_effect(number, total - number * habits(np.arange(first, last)), first, mean, variance)
        known = count + budget.WEAK_MENTIONS
        guess = (sum_x + budget.WEAK_MENTIONS * fleet) / known
        sharpness = np.ones(mean.shape)
        if allowance.calibrated:
            sharpness = np.clip(variance / (mean * (1 - mean)), budget.SHARPNESS_MIN, 1.0)
        at_most = guess + budget.KNOWN * np.sqrt(guess * (1 - guess) * deff * sharpness / (known + 1))
        swing = habits(np.array([block]))[:, 0] / sharpness
        share = np.clip(mean + swing, 0.0, 1.0)
        at_most = mean + (at_most - mean) / sharpness + swing
        times = np.minimum(allowance.ratio * share, 1 - (1 - share) / allowance.ratio)
        allowed = np.minimum(np.maximum.reduce([times, share + allowance.points, at_most]), budget.BUDGET_MAX)
        if allowance.budget is not None:
            allowed = np.full(mean.shape, allowance.budget)
        days = (last - first - np.argmax(number > 0, 1)) / BLOCKS_A_DAY if last else np.zeros(mean.shape)
        per_day = np.where(count > 0, count / np.maximum(days, 1e-9), 0.0)
        b = np.clip(mean + (allowed - mean) * sharpness, budget.BUDGET_MIN, budget.BUDGET_MAX)[:, None]
        aims = np.asarray(evidence.AIMS)
        stakes = (np.minimum(aims * b, (1 + b) / 2) - b) / (b * (1 - b))
        more = (deff - 1)[:, None] * rules.tempered
        tempers = 1 + more * (1 + evidence.SKEW * (aims - 1))
        over = np.asarray(self.votes.levels)[None, :] - b
        gains = np.log1p(stakes[:, None] * over[:, :, None]) / tempers[:, None]
        return Learned(b[:, 0], deff, per_day, gains, mean, sharpness)

    def _habits(
        self, number: Floats, total: Floats, first: int, last: int, variance: Floats
    ) -> Callable[[Ints], Floats]:
        blocks = np.arange(first, last)
        quarters = self._habit(number, total, blocks, BLOCKS_A_DAY, variance)
        freed = total - number * quarters[:, blocks % BLOCKS_A_DAY]
        days, starts = np.unique(blocks // BLOCKS_A_DAY, return_index=True)
        if len(days):
            number, freed = np.add.reduceat(number, starts, 1), np.add.reduceat(freed, starts, 1)
        weekdays = self._habit(number, freed, days, budget.DAYS_A_WEEK, variance)
        return lambda at: np.asarray(
            quarters[:, at % BLOCKS_A_DAY] + weekdays[:, at // BLOCKS_A_DAY % budget.DAYS_A_WEEK]
        )

    def _habit(self, number: Floats, total: Floats, index: Ints, period: int, variance: Floats) -> Floats:
        kinds = (index % period)[:, None] == np.arange(period)
        counts, totals = number @ kinds, total @ kinds
        mean = totals.sum(1, keepdims=True) / np.maximum(counts.sum(1, keepdims=True), 1)
        means = np.where(counts > 0, totals / np.maximum(counts, 1), mean)
        weight = budget.DEFF_EVENTS / variance
        within = ((total - number * means[:, index % period]) ** 2).sum(1) / variance
        by_chance = np.maximum(1, (within + weight * self.rules.fleet_deff) / (counts.sum(1) + weight))
        between = (counts * (means - mean) ** 2).sum(1) / variance
        kept = np.maximum(0, 1 - budget.SHRINK * (period - 1) * by_chance / np.maximum(between, 1e-12))
        kept *= counts.sum(1) >= budget.HABIT_MENTIONS
        return np.asarray(kept[:, None] * (means - mean))

    def _design_effect(self, number: Floats, total: Floats, first: int, mean: Floats, variance: Floats) -> Floats:
        believed, weight = self.rules.fleet_deff, budget.DEFF_EVENTS / variance
        if not number.shape[1]:
            return np.full(mean.shape, max(1.0, believed))
        found = np.ones(mean.shape)
        midnights = np.unique(np.r_[0, np.arange(-first % BLOCKS_A_DAY, number.shape[1], BLOCKS_A_DAY)])
        for starts in (np.arange(number.shape[1]), midnights):
            n, x = np.add.reduceat(number, starts, 1), np.add.reduceat(total, starts, 1)
            squares = (x - n * mean[:, None]) ** 2 / variance[:, None]
            mentions = n.sum(1) + weight
            deff = (squares.sum(1) + weight * believed) / mentions
            error = np.sqrt(((squares - deff[:, None] * n) ** 2).sum(1))
            by_chance = np.sqrt(2 * (n**2).sum(1))
            deff += budget.DEFF_MARGIN * np.maximum(0, error - by_chance) / mentions
            found = np.maximum(found, deff)
        return found

    def _block(self, block: int) -> None:
        known, first = self.learned(block), block * BLOCK_TICKS
        last = first + BLOCK_TICKS
        counts = self.votes.counts[:, :, first:last].astype(float)
        growth = np.einsum("lbt,blj->tbj", counts, known.gains)
        factor = np.exp(np.minimum(growth, 500.0))
        ticks = np.arange(first + 1, last + 1)
        day = self.number[:, ticks] - self.number[:, np.maximum(ticks - TICKS_PER_DAY, 0)]
        busy = np.maximum(np.maximum(known.per_day[:, None], day), 1.0)
        limits = np.maximum(MONTH_TICKS * -np.expm1(-busy / TICKS_PER_DAY) / self.rules.false_alarms, 10.0)
        for brand in _where((self.state == WARNED) | (self.state == PAGED)):
            lasts = block - self.began[brand] // BLOCK_TICKS
            if self.state[brand] == PAGED and lasts <= budget.LEFT_OUT_AFTER_ALERT_BLOCKS:
                self.left_out[brand, block] = True
            self._look_ahead(brand, first, last, known.budget[brand])
        for at in range(BLOCK_TICKS):
            tick = first + at
            spoke = self.spoke[:, tick][:, None]
            self.since = np.where(spoke & (self.lead <= 0), tick, self.since)
            self.lead = np.where(spoke, np.maximum(self.lead, 0) + growth[at], self.lead)
            self.wealth = np.where(spoke, np.minimum((1 + self.wealth) * factor[at], WEALTH_MAX), self.wealth)
            for brand in _where(self.ends == tick):
                self._end(brand, tick)
            have = self.wealth.mean(1)
            if self.paths is not None:
                self.paths.append(have)
                self.known[block] = known
            enough = (have >= limits[:, at] / TICKET) & (self.state == CALM)
            enough |= (have >= limits[:, at]) & (self.state == WARNED)
            for brand in _where(enough):
                self._breach(brand, tick, last, page=have[brand] >= limits[brand, at], known=known)

    def _breach(self, brand: int, tick: int, last: int, *, page: bool, known: Learned) -> None:
        if self.rules.gate and not self.burning(brand, tick, known):
            return
        if self.state[brand] == CALM:
            self.events[brand].append(Event(tick, "ticket"))
            self.state[brand] = WARNED
            self.calm_for[brand] = 0
            self.began[brand] = self.since[brand, np.argmax(self.lead[brand])]
            self._look_ahead(brand, tick + 1, last, known.budget[brand])
        if page:
            self.events[brand].append(Event(tick, "page"))
            self.left_out[brand, self.began[brand] // BLOCK_TICKS : tick // BLOCK_TICKS + 1] = True
            self.state[brand] = DONE if self.rules.once else PAGED
            if self.rules.once:
                self.ends[brand] = -1

    def burning(self, brand: int, tick: int, known: Learned) -> bool:
        """Whether the allowance of a brand burns at the end of a tick."""

        def share(mean: float) -> float:
            rise = (mean - known.mean[brand]) / known.sharpness[brand]
            return min(max(float(known.mean[brand] + rise), 0.0), 1.0)

        hour, day = self._mean(brand, tick, 12), self._mean(brand, tick, TICKS_PER_DAY)
        return budget.burning(hour[0], share(hour[1]), day[0], share(day[1]), share(known.budget[brand]))

    def _mean(self, brand: int, tick: int, ticks: int) -> tuple[int, float]:
        since = max(0, tick + 1 - ticks)
        number = int(self.number[brand, tick + 1] - self.number[brand, since])
        return number, float(self.total[brand, tick + 1] - self.total[brand, since]) / max(number, 1)

    def _end(self, brand: int, tick: int) -> None:
        self.events[brand].append(Event(tick, "end"))
        self.wealth[brand], self.lead[brand] = 1, 0
        self.since[brand] = tick
        self.state[brand] = CALM
        self.ends[brand] = -1

    def _look_ahead(self, brand: int, first: int, last: int, allowed: float) -> None:
        """Find the tick before ``last`` in which the alert ends."""
        if first >= last:
            return
        if brand not in self._in_order:
            when, x = self.votes.in_order(brand)
            self._in_order[brand] = when, np.r_[0.0, np.cumsum(x)]
        within, silent = calm(*self._in_order[brand], np.arange(first, last), allowed)
        for at in range(last - first):
            self.calm_for[brand] = self.calm_for[brand] + 1 if within[at] else 0
            if self.calm_for[brand] > CALM_TICKS or silent[at]:
                self.ends[brand] = first + at
                return


def _where(flags: Flags) -> list[int]:
    return [int(one) for one in np.nonzero(flags)[0]]


def _running(each: NDArray[Any]) -> NDArray[Any]:
    """Sums up to and without each tick."""
    return np.concatenate([np.zeros((len(each), 1), each.dtype), np.cumsum(each, axis=1, dtype=each.dtype)], axis=1)


def calm(when: Ints, running: Floats, ticks: Ints, allowed: float) -> tuple[Flags, Flags]:
    """At the end of each of ``ticks``: whether `budget.recovered` holds, and whether nobody has spoken for long."""
    upto = np.searchsorted(when, ticks, side="right")
    young = upto - np.searchsorted(when, ticks - budget.RECENT_SECS // budget.TICK_SECS, side="left")
    recent = np.minimum(np.minimum(upto, budget.RECENT_VOTES), np.maximum(budget.RECENT_VOTES_MIN, young))
    two = upto - np.searchsorted(when, ticks - 24, side="right")
    mean_recent = (running[upto] - running[upto - recent]) / np.maximum(recent, 1)
    mean_two = (running[upto] - running[upto - two]) / np.maximum(two, 1)
    within = (
        (recent > 0) & ((two >= budget.RECENT_VOTES) | (mean_recent < allowed)) & ((two == 0) | (mean_two < allowed))
    )
    return within, upto == np.searchsorted(when, ticks - STALE_TICKS, side="right")


def plain(votes: Votes, brand: int, first_tick: int, rules: Rules) -> list[Event]:
    """What the shipped functions make of one brand, vote by vote."""
    when, x = votes.in_order(brand)
    events: list[Event] = []
    left_out: set[int] = set()
    wealth = evidence.start(first_tick - 1)
    state, began, calm_for = CALM, 0, 0
    position = int(np.searchsorted(when, first_tick))
    for tick in range(first_tick, votes.counts.shape[2] // BLOCK_TICKS * BLOCK_TICKS):
        block = tick // BLOCK_TICKS
        if tick % BLOCK_TICKS == 0:
            usual = budget.usual(
                _blocks(when, x, block, left_out),
                now_block=block,
                fleet_mean=budget.FLEET_SHARE,
                allowance=rules.allowance,
                fleet_deff=rules.fleet_deff,
            )
        upto = int(np.searchsorted(when, tick, side="right"))
        if upto > position:
            bets = evidence.bets(usual.budget, usual.deff if rules.tempered else 1.0)
            wealth = evidence.add(wealth, bets, tick, [(float(one), 1.0) for one in x[position:upto]])
            position = upto
        hour, two, day = (
            _mean(x[int(np.searchsorted(when, tick - ticks, side="right")) : upto]) for ticks in (12, 24, TICKS_PER_DAY)
        )
        if state:
            ages = (tick - when[max(0, upto - 50) : upto])[::-1] * budget.TICK_SECS
            recent = _mean(x[upto - budget.recent_votes(ages.tolist()) : upto])
            calm_for = calm_for + 1 if budget.recovered(*recent, *two, usual.budget) else 0
            if calm_for > CALM_TICKS or not np.any(when[:upto] > tick - STALE_TICKS):
                events.append(Event(tick, "end"))
                state, wealth = CALM, evidence.start(tick)
        ticks_a_month = MONTH_TICKS * -math.expm1(-max(usual.per_day, day[0], 1.0) / TICKS_PER_DAY)
        missing = evidence.needed(ticks_a_month, rules.false_alarms) - evidence.evidence(wealth)
        level = PAGED if missing <= 0 else WARNED if missing <= math.log(TICKET) else CALM
        if level > state and not (rules.gate and not _burning(hour, day, usual)):
            if state == CALM:
                events.append(Event(tick, "ticket"))
                began, calm_for = evidence.onset(wealth), 0
            if level == PAGED:
                events.append(Event(tick, "page"))
                left_out.update(range(began // BLOCK_TICKS, block + 1))
            state = level
        if state == PAGED and block - began // BLOCK_TICKS <= budget.LEFT_OUT_AFTER_ALERT_BLOCKS:
            left_out.add(block)
    return events


def _blocks(when: Ints, x: Floats, until: int, left_out: set[int]) -> list[budget.Block]:
    found = []
    for index in range(max(0, until - budget.KEPT_BLOCKS), until):
        some = x[np.searchsorted(when, index * BLOCK_TICKS) : np.searchsorted(when, (index + 1) * BLOCK_TICKS)]
        if len(some):
            found.append(budget.Block(index, len(some), float(some.sum()), float((some**2).sum()), index in left_out))
    return found


def _burning(hour: tuple[int, float], day: tuple[int, float], usual: budget.Usual) -> bool:
    return budget.burning(
        hour[0],
        budget.share(hour[1], usual),
        day[0],
        budget.share(day[1], usual),
        budget.share(usual.budget, usual),
    )


def _mean(x: Floats) -> tuple[int, float]:
    return len(x), float(x.mean()) if len(x) else 0.0
