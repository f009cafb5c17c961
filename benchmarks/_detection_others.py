"""What detection by evidence is compared with: rules that look obvious, and evidence shared among topics."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks._detection_streams import TICKS_PER_DAY, Flags, Floats, Ints, Votes, World, step, truth
from benchmarks._detection_twin import HISTORY_TICKS, MONTH_TICKS, Rules, Twin
from listener.alerts.detection.budget import BLOCK_TICKS

Z99 = 2.575829
MENTIONS_MIN = 10
DEBOUNCE_TICKS = TICKS_PER_DAY
TOPICS = 5
NEVER = 1e-300  # false alarms a month: no alert comes, so that the wealth can be followed

Sums = Callable[[int], tuple[Floats, Floats]]
Rule = Callable[[Sums, Floats, Floats], Flags]


def _share(sums: Sums, ticks: int) -> Floats:
    number, negative = sums(ticks)
    return np.where(number >= MENTIONS_MIN, negative / np.maximum(number, 1), 0.0)


def _ratio(sums: Sums, usual: Floats, allowed: Floats) -> Flags:
    del allowed
    return _share(sums, 12) > 1.5 * usual


def _wilson(sums: Sums, usual: Floats, allowed: Floats) -> Flags:
    del usual
    number, negative = sums(12)
    n = np.maximum(number, 1)
    p = negative / n
    low = (p + Z99**2 / (2 * n) - Z99 * np.sqrt(p * (1 - p) / n + Z99**2 / (4 * n * n))) / (1 + Z99**2 / n)
    return (number > 0) & (low > allowed)


def _two_windows(sums: Sums, usual: Floats, allowed: Floats) -> Flags:
    del usual
    fast = (_share(sums, 12) >= 2 * allowed) & (_raw(sums, 3) >= 2 * allowed)
    slow = (_share(sums, 72) >= 1.5 * allowed) & (_raw(sums, 6) >= 1.5 * allowed)
    return np.asarray(fast | slow)


def _raw(sums: Sums, ticks: int) -> Floats:
    number, negative = sums(ticks)
    return negative / np.maximum(number, 1)


RULES: dict[str, Rule] = {
    "share of the last hour > 1.5 x usual": _ratio,
    "Wilson 99 % lower bound of the last hour > b": _wilson,
    "2 x b in 1 h and 15 min, or 1.5 x b in 6 h and 30 min": _two_windows,
}


def naive_alarms(rule: Rule, votes: Votes, first_tick: int) -> list[list[int]]:
    """The ticks from ``first_tick`` on in which the rule fires, by brand, with 24 hours of silence after each."""
    twin = Twin(votes, Rules())
    found: list[list[int]] = [[] for _ in range(votes.counts.shape[1])]
    for block in range(first_tick // BLOCK_TICKS, twin.ticks // BLOCK_TICKS):
        known = twin.learned(block)
        ends = np.arange(block * BLOCK_TICKS, (block + 1) * BLOCK_TICKS) + 1

        def sums(ticks: int, ends: Ints = ends) -> tuple[Floats, Floats]:
            since = np.maximum(ends - ticks, 0)
            return twin.number[:, ends] - twin.number[:, since], twin.total[:, ends] - twin.total[:, since]

        for brand, at in zip(*np.nonzero(rule(sums, known.mean[:, None], known.budget[:, None])), strict=True):
            tick = int(ends[at]) - 1
            if tick >= first_tick and (not found[brand] or tick - found[brand][-1] >= DEBOUNCE_TICKS):
                found[brand].append(tick)
    return found


def by_topic(
    flow: int, brands: int, touched: int, times: float, rng: np.random.Generator, begins: int, days: int
) -> tuple[dict[str, list[int | None]], Twin]:
    """First pages with one stream, and with the evidence shared: half for the brand, half among its five topics.

    ``touched`` of the topics have ``times`` the usual share from the tick ``begins`` on.
    """
    ticks = HISTORY_TICKS + days * TICKS_PER_DAY
    world = World(share=0.15, per_day=flow / TOPICS)
    troubled = replace(world, course=step(begins, times))
    parts = [truth(troubled if topic < touched else world, brands, ticks, rng) for topic in range(TOPICS)]
    whole = Votes(parts[0].levels, np.sum([one.counts for one in parts], axis=0, dtype=np.uint16))
    twins = [Twin(one, Rules(false_alarms=NEVER)) for one in (whole, *parts)]
    for twin in twins:
        twin.paths = []
        twin.run(HISTORY_TICKS)
    paths = [np.asarray(twin.paths) for twin in twins]
    shared = 0.5 * paths[0] + 0.5 * np.mean(paths[1:], axis=0)
    found = {
        "the brand alone": _first_pages(paths[0], twins[:1], flow),
        "shared with topics": _first_pages(shared, twins, flow),
    }
    return found, twins[0]


def _first_pages(wealth: Floats, twins: list[Twin], flow: int) -> list[int | None]:
    limit = MONTH_TICKS * -np.expm1(-flow / TICKS_PER_DAY) / Rules().false_alarms
    found: list[int | None] = []
    for brand in range(wealth.shape[1]):
        ticks = (int(at) + HISTORY_TICKS for at in np.nonzero(wealth[:, brand] >= limit)[0])
        found.append(
            next(
                (t for t in ticks if any(one.burning(brand, t, one.known[t // BLOCK_TICKS]) for one in twins)),
                None,
            )
        )
    return found
