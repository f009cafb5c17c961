"""What ``benchmarks.detection`` measures of simulated months, and how it prints that."""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks._detection_streams import TICKS_PER_DAY, Scorer, World, read_by, step, truth
from benchmarks._detection_twin import HISTORY_TICKS, MONTH_TICKS, REOPEN_TICKS, Event, Rules, Twin

FLOWS = (5, 50, 500, 5000)
BRANDS = {5: 1000, 50: 1000, 500: 500, 5000: 200}  # whose months are judged
DELAYED = {5: 300, 50: 300, 500: 300, 5000: 100}  # brands whose trouble is timed
PATIENCE_DAYS = {5: 60, 50: 40, 500: 14, 5000: 7}
WARM_TICKS = 3 * TICKS_PER_DAY + 100  # the evidence has run for a while when trouble begins
SOON_HOURS = 72
Z95 = 1.959964

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Scale:
    """How many brands are simulated: one ``part``-th of the full number."""

    part: int = 1

    def of(self, brands: int) -> int:
        """So many instead of ``brands``."""
        return max(10, brands // self.part)

    def less(self) -> "Scale":
        """Half of it, for what takes long."""
        return Scale(2 * self.part)


def seeded(*what: object) -> np.random.Generator:
    """Random numbers that depend on nothing but what they are for."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def alarms(
    scale: Scale,
    name: str,
    world: World,
    rules: Rules,
    flows: Sequence[int] = FLOWS,
    scorer: Scorer | None = None,
) -> Row:
    """Pages and tickets a brand and month where nothing happens, by the number of mentions a day."""
    row = {"world": name, "share": f"{world.share:.3g}"}
    for flow in flows:
        brands = scale.of(BRANDS[flow])
        votes = truth(
            replace(world, per_day=flow), brands, HISTORY_TICKS + MONTH_TICKS, seeded(name, world.share, flow)
        )
        if scorer is not None:
            votes = read_by(scorer, votes, seeded(name, flow), risk=rules.allowance.calibrated)
        row[f"{flow}/day"] = rates(Twin(votes, rules).run(HISTORY_TICKS))
    return row


def rates(found: Sequence[Sequence[Event]]) -> str:
    """Pages a brand with their interval, and tickets."""
    tickets, pages = counted(found)
    return f"{interval(pages, len(found))} ({tickets / len(found):.2f})"


def counted(found: Iterable[Sequence[Event]]) -> tuple[int, int]:
    """How many tickets and pages there were."""
    kinds = [one.kind for events in found for one in merged(events)]
    return kinds.count("ticket"), kinds.count("page")


def merged(events: Sequence[Event]) -> list[Event]:
    """Tickets and pages without those that belong to the same alert again: it pages once."""
    kept: list[Event] = []
    end, paged = -math.inf, False
    for one in events:
        if one.kind == "end":
            end = one.tick
        elif one.kind == "ticket":
            if one.tick - end > REOPEN_TICKS:
                kept.append(one)
                paged = False
        elif not paged:
            kept.append(one)
            paged = True
    return kept


def most_in_a_day(ticks: Sequence[int]) -> int:
    """The most of ``ticks`` (ascending) within 24 hours."""
    return max((sum(1 for other in ticks if one <= other < one + TICKS_PER_DAY) for one in ticks), default=0)


def interval(count: int, brands: int) -> str:
    """A rate per brand-month with its 95 % interval (Poisson, by Wilson and Hilferty)."""
    low = 0.0 if not count else count * (1 - 1 / (9 * count) - Z95 / (3 * math.sqrt(count))) ** 3
    above = count + 1
    high = above * (1 - 1 / (9 * above) + Z95 / (3 * math.sqrt(above))) ** 3
    return f"{count / brands:.3f} [{low / brands:.3f}, {high / brands:.3f}]"


def delays(
    scale: Scale,
    world: World,
    times: float,
    rules: Rules | None = None,
    scorer: Scorer | None = None,
    *,
    risk: bool = False,
) -> Row:
    """From a step of the share to the page and the ticket."""
    flow = int(world.per_day)
    begins = HISTORY_TICKS + WARM_TICKS
    brands = scale.of(DELAYED[flow])
    ticks = begins - begins % TICKS_PER_DAY + PATIENCE_DAYS[flow] * TICKS_PER_DAY
    votes = truth(
        replace(world, course=step(begins, times)),
        brands,
        ticks,
        seeded(flow, times, world.thread, world.swing, world.weekend, world.mood),
    )
    if scorer is not None:
        votes = read_by(scorer, votes, seeded(flow, times), risk=risk)
    twin = Twin(votes, replace(rules or Rules(), once=True))
    found = twin.run(HISTORY_TICKS)
    quiet = [brand for brand in range(brands) if not _open(found[brand], begins)]
    row = {}
    for kind in ("page", "ticket"):
        firsts = [
            next((one.tick for one in found[brand] if one.kind == kind and one.tick >= begins), None) for brand in quiet
        ]
        row[kind] = timed(firsts, twin.number[quiet], begins)
    return row


def timed(firsts: Sequence[int | None], number: NDArray[np.int32], begins: int) -> str:
    """Of detections at ``firsts``: how many within 72 hours, median hours, median mentions (``number`` counts them)."""
    hours, mentions = [], []
    for brand, first in enumerate(firsts):
        hours.append(math.inf if first is None else (first + 1 - begins) / 12)
        mentions.append(math.inf if first is None else float(number[brand, first + 1] - number[brand, begins]))
    soon = np.mean([one <= SOON_HOURS for one in hours])
    middle = float(np.median(hours))
    if math.isinf(middle):
        return f"{soon:.0%}"
    return f"{soon:.0%}, {middle:.1f} h, {np.median(mentions):.0f}"


def print_table(rows: Sequence[Row]) -> None:
    """A table in Markdown; a column that a row lacks is empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(row.get(name, "") for name in columns) + " |")


def _open(events: Sequence[Event], tick: int) -> bool:
    """Whether an alert was open at the start of ``tick``."""
    before = [one.kind for one in events if one.tick < tick]
    return bool(before) and before[-1] != "end"
