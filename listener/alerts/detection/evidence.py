"""Evidence that a brand overspends its budget, valid at every look. Pure.

A bettor starts with a wealth of 1 and bets, mention by mention, that the mean of x (0..1) is above the budget ``b``.
Whatever the mentions are, as long as the mean is at most b the bet is unfavourable: wealth does not grow on average,
so large wealth is evidence against "within budget" (e-values; Waudby-Smith and Ramdas, arXiv 2010.09686). Since
trouble may begin at any moment, a bettor starts anew at every tick and all their wealth is added up (e-SR); the first
time that the sum exceeds A comes, on average, no sooner than after A ticks if all is well (e-detectors; Shin, Ramdas,
Rinaldo, arXiv 2203.03532). Looking more often does not change that.

Several bettors aim at different sizes of trouble; the evidence is the mean of their wealth. ``deff``, the design
effect, tempers every bet where mentions are not independent (threads, moods of the day): the logarithm of what was
gained is divided by it, and by a little more for a far aim. A thread is all or nothing, so its gain is skewed, and the
further the aim, the more of the expected gain lies in few long threads. This has no theorem behind it, only the
simulations of ``benchmarks.detection``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

AIMS = (1.25, 1.5, 2.0, 3.0)  # times the budget: what the bettors bet on
BUDGET_MIN, BUDGET_MAX = 1e-4, 0.98
SKEW = 0.15  # per unit of aim: how much more than by deff - 1 a far aim is tempered


@dataclass(frozen=True, slots=True)
class Bets:
    """What the bettors stake per unit of (x - budget), and what the logarithm of each gain is divided by."""

    budget: float
    stakes: tuple[float, ...]
    tempers: tuple[float, ...]


@lru_cache(maxsize=65536)
def bets(budget: float, deff: float = 1.0) -> Bets:
    """The stakes that make the wealth of each aim grow fastest if it is right (Kelly), for 0 < ``budget`` < 1."""
    b = min(max(budget, BUDGET_MIN), BUDGET_MAX)
    aims = [min(aim * b, (1 + b) / 2) for aim in AIMS]
    more = max(0.0, deff - 1.0)
    return Bets(
        budget=b,
        stakes=tuple((aim - b) / (b * (1 - b)) for aim in aims),
        tempers=tuple(1.0 + more * (1.0 + SKEW * (aim - 1.0)) for aim in AIMS),
    )


@dataclass(frozen=True, slots=True)
class Wealth:
    """Where the bettors of one stream stand, in natural logarithms.

    ``tick`` is the open tick. ``carried`` is ln(1 + the sum over all earlier starts) when it opened, ``opened`` what
    this tick's mentions have multiplied it by. ``lead`` and ``since`` follow the one start that did best (CUSUM): the
    tick in which it began is the onset.
    """

    tick: int
    carried: tuple[float, ...]
    opened: tuple[float, ...]
    lead: tuple[float, ...]
    since: tuple[int, ...]


def start(tick: int) -> Wealth:
    """Nobody has bet yet."""
    none = (0.0,) * len(AIMS)
    return Wealth(tick=tick, carried=none, opened=none, lead=none, since=(tick,) * len(AIMS))


def add(wealth: Wealth, bet: Bets, tick: int, values: Iterable[tuple[float, float]]) -> Wealth:
    """Bet on ``values``, pairs of x (0..1) and how many mentions have it, that are counted in ``tick``.

    A tick before the open one counts as the open one. What is added in one tick may come in several calls.
    """
    carried, lead, since = wealth.carried, wealth.lead, wealth.since
    step = list(wealth.opened)
    if tick > wealth.tick:
        best = [done + gain for done, gain in zip(lead, step, strict=True)]
        carried = tuple([_softplus(done + gain) for done, gain in zip(carried, step, strict=True)])
        since = tuple([began if one > 0 else tick for one, began in zip(best, since, strict=True)])
        lead = tuple([one if one > 0 else 0.0 for one in best])
        step = [0.0] * len(step)
    else:
        tick = wealth.tick
    log1p, budget = math.log1p, bet.budget
    staked = tuple(enumerate(zip(bet.stakes, bet.tempers, strict=True)))
    for x, count in values:
        over = x - budget
        for index, (stake, temper) in staked:
            step[index] += count * log1p(stake * over) / temper
    return Wealth(tick=tick, carried=carried, opened=tuple(step), lead=lead, since=since)


def evidence(wealth: Wealth) -> float:
    """The natural logarithm of the evidence: of the bettors' mean wealth."""
    return log_mean([carried + step for carried, step in zip(wealth.carried, wealth.opened, strict=True)])


def onset(wealth: Wealth) -> int:
    """The tick in which the trouble began, as the bettor sees it who gained most."""
    best = [lead + step for lead, step in zip(wealth.lead, wealth.opened, strict=True)]
    return wealth.since[best.index(max(best))]


def log_mean(logarithms: list[float]) -> float:
    """Ln of the mean of what these are the logarithms of."""
    top = max(logarithms)
    return top + math.log(math.fsum([math.exp(one - top) for one in logarithms]) / len(logarithms))


def needed(ticks_per_month: float, false_alarms_per_month: float) -> float:
    """Ln A: the evidence at which false alarms cost no more than their budget, if all is well; never below ln 10.

    ``ticks_per_month`` counts only ticks in which somebody spoke: in the others nobody bets.
    """
    return math.log(max(ticks_per_month / false_alarms_per_month, 10.0))


def _softplus(x: float) -> float:
    """ln(1 + exp(x)) without overflow."""
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))
