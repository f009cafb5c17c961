"""Detection by evidence for many made-up brands at once, with numpy; ``plain`` is the same with the shipped functions.

Both follow production: what is usual is learned anew every six hours, a ticket asks for a tenth of the evidence of a
page, both only while the budget burns, an alert ends after two hours of calm, evidence is gathered anew then, and a
breach within a day of the end belongs to the same alert.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks._detection_streams import TICKS_PER_DAY, Floats, Ints, Votes
from listener.alerts import budget, evidence
from listener.alerts.budget import BASELINE_BLOCKS, BLOCK_TICKS, BLOCKS_A_DAY, LEFT_OUT_BLOCKS

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
    fleet_deff: float | None = None
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
        self.wealth = np.zeros((brands, len(evidence.AIMS)))
        self.lead = np.zeros_like(self.wealth)
        self.since = np.zeros(self.wealth.shape, int)
        self.events: list[list[Event]] = [[] for _ in range(brands)]
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
        deff = self._design_effect(number, total, first, mean, variance)
        known = count + budget.WEAK_MENTIONS
        guess = (sum_x + budget.WEAK_MENTIONS * fleet) / known
        at_most = guess + budget.KNOWN * np.sqrt(guess * (1 - guess) * deff / (known + 1))
        times = np.minimum(allowance.ratio * mean, 1 - (1 - mean) / allowance.ratio)
        allowed = np.minimum(np.maximum.reduce([times, mean + allowance.points, at_most]), budget.BUDGET_MAX)
        if allowance.budget is not None:
            allowed = np.full(mean.shape, allowance.budget)
        days = (last - first - np.argmax(kept, 1)) / BLOCKS_A_DAY
        per_day = np.where(kept.any(1) & (days > 0), count / np.maximum(days, 1e-9), 0.0)
        b = np.clip(allowed, evidence.BUDGET_MIN, evidence.BUDGET_MAX)[:, None]
        aims = np.asarray(evidence.AIMS)
        stakes = (np.minimum(aims * b, (1 + b) / 2) - b) / (b * (1 - b))
        more = (deff - 1)[:, None] if rules.tempered else 0.0
        tempers = 1 + more * (1 + evidence.SKEW * (aims - 1))
        over = np.asarray(self.votes.levels)[None, :] - b
        return Learned(b[:, 0], deff, per_day, np.log1p(stakes[:, None] * over[:, :, None]) / tempers[:, None])

    def _design_effect(self, number: Floats, total: Floats, first: int, mean: Floats, variance: Floats) -> Floats:
        believed = 1.0 if self.rules.fleet_deff is None else self.rules.fleet_deff
        weight = budget.DEFF_MENTIONS if self.rules.fleet_deff is None else budget.DEFF_EVENTS / variance
        found = np.ones(mean.shape)
        if not number.shape[1]:
            return np.maximum(found, believed)
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
        for brand in np.nonzero((self.state == WARNED) | (self.state == PAGED))[0]:
            self._look_ahead(brand, first, last, known.budget[brand])
        for at in range(BLOCK_TICKS):
            tick = first + at
            spoke = self.spoke[:, tick][:, None]
            self.since = np.where(spoke & (self.lead <= 0), tick, self.since)
            self.lead = np.where(spoke, np.maximum(self.lead, 0) + growth[at], self.lead)
            self.wealth = np.where(spoke, np.minimum((1 + self.wealth) * factor[at], WEALTH_MAX), self.wealth)
            for brand in np.nonzero(self.ends == tick)[0]:
                self._end(brand, tick)
            have = self.wealth.mean(1)
            enough = (have >= limits[:, at] / TICKET) & (self.state == CALM)
            enough |= (have >= limits[:, at]) & (self.state == WARNED)
            for brand in np.nonzero(enough)[0]:
                self._breach(brand, tick, last, page=have[brand] >= limits[brand, at], allowed=known.budget[brand])
        firing = (self.state > CALM) & (self.state < DONE)
        for brand in np.nonzero(firing)[0]:
            began = self.began[brand] // BLOCK_TICKS
            if block - began <= budget.LEFT_OUT_AFTER_ALERT_BLOCKS:
                self.left_out[brand, began : block + 1] = True

    def _breach(self, brand: int, tick: int, last: int, *, page: bool, allowed: float) -> None:
        if self.rules.gate and not self._burning(brand, tick, allowed):
            return
        if self.state[brand] == CALM:
            self.events[brand].append(Event(tick, "ticket"))
            self.state[brand] = WARNED
            self.calm_for[brand] = 0
            self.began[brand] = self.since[brand, np.argmax(self.lead[brand])]
            self._look_ahead(brand, tick + 1, last, allowed)
        if page:
            self.events[brand].append(Event(tick, "page"))
            self.state[brand] = DONE if self.rules.once else PAGED
            if self.rules.once:
                self.ends[brand] = -1

    def _burning(self, brand: int, tick: int, allowed: float) -> bool:
        seen = []
        for ticks in (12, TICKS_PER_DAY):
            since = max(0, tick + 1 - ticks)
            number = int(self.number[brand, tick + 1] - self.number[brand, since])
            total = float(self.total[brand, tick + 1] - self.total[brand, since])
            seen += [number, total / max(number, 1)]
        return budget.burning(*seen, allowed)

    def _end(self, brand: int, tick: int) -> None:
        self.events[brand].append(Event(tick, "end"))
        self.wealth[brand] = self.lead[brand] = 0
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


def calm(when: Ints, running: Floats, ticks: Ints, allowed: float) -> tuple[NDBool, NDBool]:
    """At the end of each of ``ticks``: whether `budget.recovered` holds, and whether nobody has spoken for long."""
    upto = np.searchsorted(when, ticks, side="right")
    young = upto - np.searchsorted(when, ticks - budget.RECENT_SECS // budget.TICK_SECS, side="left")
    recent = np.minimum(np.minimum(upto, budget.RECENT_VOTES), np.maximum(budget.RECENT_VOTES_MIN, young))
    two = upto - np.searchsorted(when, ticks - 24, side="right")
    mean_recent = (running[upto] - running[upto - recent]) / np.maximum(recent, 1)
    mean_two = (running[upto] - running[upto - two]) / np.maximum(two, 1)
    within = (recent > 0) & (mean_recent < allowed) & ((two == 0) | (mean_two < allowed))
    return within, upto == np.searchsorted(when, ticks - STALE_TICKS, side="right")


def plain(votes: Votes, brand: int, first_tick: int, rules: Rules) -> list[Event]:
    """What the shipped functions make of one brand, vote by vote."""
    when, x = votes.in_order(brand)
    events: list[Event] = []
    left_out: set[int] = set()
    state, began, calm_for, position = CALM, 0, 0, int(np.searchsorted(when, first_tick))
    wealth = evidence.start(first_tick)
    blocks = np.unique(when // BLOCK_TICKS).tolist()
    sums = {one: x[np.searchsorted(when, one * BLOCK_TICKS) : np.searchsorted(when, (one + 1) * BLOCK_TICKS)] for one in blocks}
    for tick in range(first_tick, votes.counts.shape[2] // BLOCK_TICKS * BLOCK_TICKS):
        block = tick // BLOCK_TICKS
        if tick % BLOCK_TICKS == 0:
            past = [budget.Block(one, len(sums[one]), sums[one].sum(), (sums[one] ** 2).sum(), one in left_out) for one in blocks if one < block]
            usual = budget.usual(past, now_block=block, fleet_mean=budget.FLEET_SHARE, allowance=rules.allowance, fleet_deff=rules.fleet_deff)
            bets = evidence.bets(usual.budget, usual.deff)
        upto = int(np.searchsorted(when, tick, side="right"))
        if upto > position:
            wealth = evidence.add(wealth, bets, tick, [(float(one), 1.0) for one in x[position:upto]])
            position = upto
        seen = []
        for ticks in (12, 24, TICKS_PER_DAY):
            some = x[int(np.searchsorted(when, tick - ticks, side="right")) : upto]
            seen.append((len(some), float(some.mean()) if len(some) else 0.0))
        hour, two, day = seen
        if state:
            ages = ((tick - when[max(0, upto - 30) : upto]) * budget.TICK_SECS)[::-1].tolist()
            recent = budget.recent_votes(ages)
            within = budget.recovered(recent, float(x[upto - recent : upto].mean()) if recent else 0.0, *two, usual.budget)
            calm_for = calm_for + 1 if within else 0
            if tick > began_at and (calm_for > CALM_TICKS or not np.any(when[:upto] > tick - STALE_TICKS)):
                events.append(Event(tick, "end"))
                state, wealth = CALM, evidence.start(tick + 1)
        ...
    return events
