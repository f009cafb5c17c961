"""Made-up streams of votes for ``benchmarks.detection``: what may go on in the months of a brand."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

TICKS_PER_DAY = 288
TICKS_PER_HOUR = 12
LEVELS = 12  # a made-up scorer says one of so many probabilities
CHUNK = 8_000_000  # members of threads made at once: bounds the memory
HASH = 2_654_435_761

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How votes come about. ``share`` 0..1 and ``per_day`` are means; ``swing`` and ``weekend`` are relative.

    ``thread`` is the mean size (geometric) of a conversation, of which ``same`` say what the first one said; the others
    speak for themselves. They come within ``thread_ticks`` on average. ``bursty``: the flow of every hour is multiplied
    by Gamma(1), and by day and night. ``mood`` is how much the share of a whole day varies by chance, relative to it.
    ``course`` multiplies the share, by the tick.
    """

    share: float
    per_day: float
    thread: float = 1.0
    same: float = 0.0
    thread_ticks: float = TICKS_PER_HOUR
    swing: float = 0.0
    weekend: float = 0.0
    mood: float = 0.0
    bursty: bool = False
    course: Callable[[Ints], Floats] | None = None


@dataclass(frozen=True, slots=True)
class Votes:
    """How many votes of each level (x, 0..1) came: ``counts`` by level, brand and tick."""

    levels: tuple[float, ...]
    counts: NDArray[np.uint16]

    def in_order(self, brand: int) -> tuple[Ints, Floats]:
        """The ticks and x of the votes of a brand, one by one; within a tick in an order without meaning."""
        each = self.counts[:, brand, :].astype(np.int64).T.ravel()
        cell = np.repeat(np.arange(each.size), each)
        ticks, level = cell // len(self.levels), cell % len(self.levels)
        key = np.arange(cell.size, dtype=np.int64) * HASH % 2**32
        order = np.lexsort((key, ticks))
        return ticks[order], np.asarray(self.levels)[level[order]]


def truth(world: World, brands: int, ticks: int, rng: np.random.Generator) -> Votes:
    """Votes of 0 and 1: what the mentions really tell of."""
    shares, rates = _shares(world, brands, ticks, rng), _rates(world, brands, ticks, rng)
    if world.thread <= 1.0:
        number = rng.poisson(rates)
        negative = rng.binomial(number, shares)
        return _labels(number, negative)
    number, negative = np.zeros((brands, ticks), np.uint16), np.zeros((brands, ticks), np.uint16)
    at_once = max(1, int(CHUNK / (world.per_day * ticks / TICKS_PER_DAY)))
    for first in range(0, brands, at_once):
        last = min(brands, first + at_once)
        number[first:last], negative[first:last] = _threads(world, rates[first:last], shares[first:last], rng)
    return _labels(number, negative)


def read_by(scorer: "Scorer", votes: Votes, rng: np.random.Generator, *, risk: bool) -> Votes:
    """What a scorer makes of true votes: its risk, or (``risk`` false) its label."""
    good, bad = votes.counts
    if not risk:
        passed = rng.binomial(bad, scorer.recall) + rng.binomial(good, scorer.false_positive)
        return _labels(good.astype(np.int64) + bad, passed)
    counts = np.zeros((len(scorer.levels), *good.shape), np.uint16)
    for said, chances in ((bad, scorer.of_bad), (good, scorer.of_good)):
        rest, mass = said.astype(np.int64), 1.0
        for level, chance in enumerate(chances):
            drawn = rng.binomial(rest, min(1.0, chance / mass)) if mass > 0 else rest
            counts[level] += drawn.astype(np.uint16)
            rest, mass = rest - drawn, mass - chance
    return Votes(scorer.levels, counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A scorer that is calibrated where the true share is the usual one.

    ``of_bad`` and ``of_good`` are the chances of each level, for negative and other mentions; ``recall`` and
    ``false_positive`` those of its label.
    """

    levels: tuple[float, ...] = (0.0, 1.0)
    of_bad: tuple[float, ...] = (0.0, 1.0)
    of_good: tuple[float, ...] = (1.0, 0.0)
    recall: float
    false_positive: float


def scorer_of(auc: float, share: float) -> Scorer:
    """A calibrated scorer of that area under the ROC curve; its label is set where as many pass as truly have it.

    The score is normal with variance 1, around d for negative mentions and around 0 for others.
    """
    normal = NormalDist()
    d = normal.inv_cdf(auc) * 2**0.5
    # Levels of equal mass in the mixture, found on a fine grid.
    grid = np.linspace(-6.0, 6.0 + d, 20_001)
    bad = np.diff([normal.cdf(x - d) for x in grid])
    good = np.diff([normal.cdf(x) for x in grid])
    mixture = np.cumsum(share * bad + (1 - share) * good)
    level = np.minimum((mixture * LEVELS).astype(int), LEVELS - 1)
    of_bad = np.bincount(level, bad, LEVELS) / bad.sum()
    of_good = np.bincount(level, good, LEVELS) / good.sum()
    posterior = share * of_bad / (share * of_bad + (1 - share) * of_good)
    cut = grid[1:][np.searchsorted(mixture, 1 - share)]
    return Scorer(
        levels=tuple(posterior.tolist()),
        of_bad=tuple(of_bad.tolist()),
        of_good=tuple(of_good.tolist()),
        recall=1 - normal.cdf(cut - d),
        false_positive=1 - normal.cdf(cut),
    )


def step(at_tick: int, times: float) -> Callable[[Ints], Floats]:
    """The share is multiplied from a tick on."""
    return lambda ticks: np.where(ticks >= at_tick, times, 1.0)


def pulse(from_tick: int, to_tick: int, times: float) -> Callable[[Ints], Floats]:
    """The share is multiplied for a while."""
    return lambda ticks: np.where((ticks >= from_tick) & (ticks < to_tick), times, 1.0)


def wave(from_tick: int, half_ticks: int, size: float) -> Callable[[Ints], Floats]:
    """The share is so much higher, then so much lower than usual, by turns."""
    return lambda ticks: np.where(
        ticks < from_tick, 1.0, 1.0 + size * (1 - 2 * ((ticks - from_tick) // half_ticks % 2))
    )


def ramp(at_tick: int, ticks_long: int, times: float) -> Callable[[Ints], Floats]:
    """The share rises linearly to so many times, and stays there."""
    return lambda ticks: 1.0 + (times - 1.0) * np.clip((ticks - at_tick) / ticks_long, 0.0, 1.0)


def _labels(number: NDArray[np.integer], negative: NDArray[np.integer]) -> Votes:
    counts = np.empty((2, *number.shape), np.uint16)
    counts[1] = negative
    counts[0] = number - counts[1]
    return Votes((0.0, 1.0), counts)


def _shares(world: World, brands: int, ticks: int, rng: np.random.Generator) -> Floats:
    at = np.arange(ticks)
    shares = np.full((brands, ticks), world.share)
    if world.swing:
        shares *= 1 + world.swing * np.sin(2 * np.pi * (at / TICKS_PER_DAY + rng.random((brands, 1))))
    if world.weekend:
        day = (at + rng.integers(0, 7 * TICKS_PER_DAY, (brands, 1))) // TICKS_PER_DAY % 7
        shares *= np.where(day >= 5, 1 + world.weekend, 1 - world.weekend * 2 / 5)
    if world.mood:
        shape = world.mood**-2
        days = rng.gamma(shape, 1 / shape, (brands, -(-ticks // TICKS_PER_DAY)))
        shares *= np.repeat(days, TICKS_PER_DAY, axis=1)[:, :ticks]
    if world.course is not None:
        shares *= world.course(at)
    return np.asarray(np.minimum(shares, 0.98))


def _rates(world: World, brands: int, ticks: int, rng: np.random.Generator) -> Floats:
    rates = np.full((brands, ticks), world.per_day / TICKS_PER_DAY)
    if world.bursty:
        hours = rng.gamma(1.0, 1.0, (brands, -(-ticks // TICKS_PER_HOUR)))
        rates *= np.repeat(hours, TICKS_PER_HOUR, axis=1)[:, :ticks]
        rates *= 1 + 0.8 * np.sin(2 * np.pi * (np.arange(ticks) / TICKS_PER_DAY + rng.random((brands, 1))))
    return rates


def _threads(
    world: World, rates: Floats, shares: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    brands, ticks = rates.shape
    begun = rng.poisson(rates / world.thread).ravel()
    cells = np.repeat(np.arange(begun.size), begun)
    sizes = rng.geometric(1 / world.thread, cells.size)
    chance = shares.ravel()
    said = rng.random(cells.size) < chance[cells]
    thread = np.repeat(np.arange(cells.size), sizes)
    first = np.zeros(thread.size, bool)
    first[np.cumsum(sizes) - sizes] = True
    later = np.where(first, 0, rng.exponential(world.thread_ticks, thread.size).astype(np.int64))
    cell = cells[thread]
    alike = first | (rng.random(thread.size) < world.same)
    negative = np.where(alike, said[thread], rng.random(thread.size) < chance[cell])
    inside = cell % ticks + later < ticks
    at = (cell + later)[inside]
    number = np.bincount(at, minlength=begun.size).reshape(brands, ticks)
    return number, np.bincount(at[negative[inside]], minlength=begun.size).reshape(brands, ticks)
