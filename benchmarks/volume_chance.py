"""What the volume channel makes of chance: false alarms, power and cost, by simulation of made-up brands.

``python -m benchmarks.volume_chance [--quick] [--json]``. Seeds are fixed: the same figures everywhere but the times.

The shipped code looks at every tick of five minutes of 60 days, and rests for 24 hours after an alert. Brands:

- ``poisson``: independent mentions; ``days``: the same with nights, when a fifth of the noon's is said, and weekends,
  when half is said
- ``threads``: conversations of three on average (geometric), the answers an hour later on average
- ``15 %``, ``35 %``: days, nights and weekends; the flow wanders besides, by so much (standard deviation of its
  logarithm, correlation 1/e after eight hours), and each tick has its own luck (Gamma, standard deviation 30 %)
- ``bursts``: 15 % and once a day on average, at any time, something happens: the flow of the hour is that much higher,
  Pareto (exponent 1.5, at least once the usual), and dies away with 30 minutes

Each brand is also looked at in other worlds, which branch off from the third week on, every few days at any hour: the
flow is so many times the usual one (of that hour) for some time. Found is a new alert meanwhile; a brand that rests
from another one misses it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from listener.alerts.detection import volume

SEED = 20260302
DAYS, BRANDS = 60, 30
QUICK_DAYS, QUICK_BRANDS = 42, 2
THETAS = (6.0, 7.0)  # ticket and page
COOLDOWN_TICKS = volume.TICKS_PER_DAY
WEEK = 7 * volume.TICKS_PER_DAY
MONTH_TICKS = 365.25 / 12 * volume.TICKS_PER_DAY
FIRST = 20_513 * volume.TICKS_PER_DAY  # a Monday, midnight (UTC)
THREAD = 3.0
BRANCH_FROM, BRANCH_EVERY = 2 * WEEK, 5 * volume.TICKS_PER_DAY

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class World:
    """Made-up brands of one kind, with so many negative mentions a day."""

    kind: str
    per_day: float


@dataclass(frozen=True, slots=True)
class Shock:
    """So many times as much for so many ticks."""

    times: float
    ticks: int

    @property
    def name(self) -> str:
        """In words."""
        return f"x{self.times:g} for {self.ticks / volume.TICKS_PER_HOUR:g} h"


WORLDS = tuple(
    World(kind, per_day)
    for kinds, rates in (
        (("poisson", "days", "threads"), (0.5, 2.0, 20.0, 200.0, 2000.0)),
        (("15 %", "35 %", "bursts"), (100.0, 1000.0, 5000.0, 30000.0)),
    )
    for kind in kinds
    for per_day in rates
)
SHOCKS = (Shock(5.0, 24), Shock(10.0, 12), Shock(3.0, 576))
SHOCKED = ("days", "15 %", "35 %")


def flow(world: World, ticks: int, rng: np.random.Generator) -> Rates:
    """How many mentions of a brand (or beginnings of threads) are due in each tick."""
    rates = np.full(ticks, world.per_day / volume.TICKS_PER_DAY)
    if world.kind in {"poisson", "threads"}:
        return rates / (THREAD if world.kind == "threads" else 1.0)
    at = np.arange(ticks)
    week = np.where(at // volume.TICKS_PER_DAY % 7 >= 5, 0.5, 1.0) * (7 / 6)
    rates *= week * (1 - 2 / 3 * np.cos(2 * np.pi * at / volume.TICKS_PER_DAY))
    if world.kind == "days":
        return rates
    wander, keep = 0.35 if world.kind == "35 %" else 0.15, np.exp(-1 / (8 * volume.TICKS_PER_HOUR))
    log, course = wander * rng.normal(), []
    for step in (wander * np.sqrt(1 - keep * keep) * rng.normal(size=ticks)).tolist():
        course.append(log)
        log = keep * log + step
    rates = rates * np.exp(np.array(course) - wander**2 / 2) * rng.gamma(1 / 0.09, 0.09, ticks)
    if world.kind == "bursts":
        begun = np.flatnonzero(rng.random(ticks) < 1 / volume.TICKS_PER_DAY)
        for tick, size in zip(begun.tolist(), (rng.pareto(1.5, len(begun)) + 1).tolist(), strict=True):
            fading = np.exp(-np.arange(3 * volume.TICKS_PER_HOUR) / 6)[: ticks - tick]
            rates[tick : tick + len(fading)] += rates[tick] * size * fading
    return rates


def mentions(world: World, rates: Rates, rng: np.random.Generator) -> Counts:
    """How many are counted in each tick."""
    counts = rng.poisson(rates)
    if world.kind != "threads":
        return counts
    begun = np.repeat(np.arange(len(counts)), counts)
    begun = np.repeat(begun, rng.geometric(1 / THREAD, len(begun)) - 1)
    answers = begun + rng.exponential(volume.TICKS_PER_HOUR, len(begun)).astype(np.int64)
    return counts + np.bincount(answers[answers < len(counts)], minlength=len(counts))


def watch(state: volume.Volume, counts: Sequence[int], first: int) -> Iterator[tuple[volume.Volume, float]]:
    """Every tick's state and score, as listener sees them."""
    for tick, count in enumerate(counts, first):
        state = volume.observe(state, tick, {tick: count} if count else {})
        yield state, volume.score(state) or 0.0


class Alerts:
    """The ticks at which an alert begins."""

    def __init__(self, theta: float, last: int | None = None) -> None:
        self.theta = theta
        self.ticks: list[int] = [] if last is None else [last]

    def see(self, tick: int, score: float) -> bool:
        """Whether one begins."""
        begins = score >= self.theta and (not self.ticks or tick - self.ticks[-1] >= COOLDOWN_TICKS)
        if begins:
            self.ticks.append(tick)
        return begins


def shocked(
    shock: Shock, state: volume.Volume, counts: Counts, extra: Counts, first: int, last: Mapping[float, int | None]
) -> dict[float, int | None]:
    """After how many ticks each theta has an alert in a world with more mentions; None: not while it lasts."""
    found: dict[float, int | None] = dict.fromkeys(THETAS)
    alerts = {theta: Alerts(theta, last[theta]) for theta in THETAS}
    branch = (counts[: shock.ticks] + extra[: shock.ticks]).tolist()
    for at, (_, score) in enumerate(watch(state, branch, FIRST + first)):
        for theta, each in alerts.items():
            if each.see(first + at, score) and found[theta] is None:
                found[theta] = at + 1
        if None not in found.values():
            break
    return found


def simulate(world: World, number: int, days: int, brands: int) -> dict[str, Any]:
    """Episodes of false alarms, and what is found of each shock."""
    ticks = days * volume.TICKS_PER_DAY
    episodes: dict[float, list[int]] = {theta: [] for theta in THETAS}
    delays: dict[tuple[Shock, float], list[int | None]] = {(shock, theta): [] for shock in SHOCKS for theta in THETAS}
    for brand in range(brands):
        rng = np.random.default_rng([SEED, number, brand])
        rates = flow(world, ticks, rng)
        counts = mentions(world, rates, rng)
        begins: set[int] = set()
        if world.kind in SHOCKED:
            start = np.arange(BRANCH_FROM, ticks - 2 * BRANCH_EVERY, BRANCH_EVERY)
            begins = set((start + rng.integers(0, BRANCH_EVERY, len(start))).tolist())
        alerts = {theta: Alerts(theta) for theta in THETAS}
        state = volume.start()
        for tick, (after, score) in enumerate(watch(state, counts.tolist(), FIRST)):
            if tick in begins:
                last = {theta: each.ticks[-1] if each.ticks else None for theta, each in alerts.items()}
                for shock in SHOCKS:
                    extra = rng.poisson((shock.times - 1) * rates[tick : tick + shock.ticks])
                    for theta, delay in shocked(shock, state, counts[tick:], extra, tick, last).items():
                        delays[shock, theta].append(delay)
            state = after
            for each in alerts.values():
                each.see(tick, score)
        for theta, each in alerts.items():
            episodes[theta] += each.ticks
    first_months, months = brands * (WEEK - volume.LEARNING_TICKS) / MONTH_TICKS, brands * (ticks - WEEK) / MONTH_TICKS
    return {
        **asdict(world),
        "months": round(months, 1),
        "episodes_per_month": {
            f"{theta:g}": round(sum(tick >= WEEK for tick in found) / months, 3) for theta, found in episodes.items()
        },
        "first_week_episodes_per_month": {
            f"{theta:g}": round(sum(tick < WEEK for tick in found) / first_months, 3)
            for theta, found in episodes.items()
        },
        "power": [
            {"shock": shock.name, "theta": theta, **power(found)} for (shock, theta), found in delays.items() if found
        ],
    }


def power(found: Sequence[int | None]) -> dict[str, Any]:
    """Of how many shocks there was an alert, and after how many minutes."""
    delays = [delay * volume.TICK_SECS / 60 for delay in found if delay is not None]
    return {
        "shocks": len(found),
        "found_share": round(len(delays) / len(found), 3),
        "delay_median_minutes": statistics.median(delays) if delays else None,
    }


def cost() -> dict[str, Any]:
    """How long one brand takes, in the quickest of several rounds: what the others add is other work's."""
    rng = np.random.default_rng(SEED)
    busy = volume.observe(volume.start(), FIRST, {})
    now = FIRST + WEEK
    busy = volume.observe(busy, now, dict(enumerate(rng.poisson(5, WEEK).tolist(), FIRST)))
    quiet = volume.observe(busy, now + 2 * volume.TICKS_PER_DAY, {})
    open_hour = volume.observe(volume.start(), FIRST, {}, settle_ticks=12)
    open_hour = volume.observe(open_hour, now, dict(enumerate(rng.poisson(5, WEEK).tolist(), FIRST)), settle_ticks=12)
    quiet_now = quiet.now_tick
    return {
        "observe_microseconds": micros(lambda: volume.observe(busy, now + 1, {now + 1: 5})),
        "observe_empty_tick_microseconds": micros(lambda: volume.observe(quiet, quiet_now + 1, {})),
        "score_microseconds": micros(lambda: volume.score(busy)),
        "score_open_hour_microseconds": micros(lambda: volume.score(open_hour)),
        "score_silence_microseconds": micros(lambda: volume.score(quiet)),
        "observe_after_28_days_microseconds": micros(lambda: volume.observe(busy, now + 28 * 288, {}), 3),
        "observe_after_10_years_microseconds": micros(lambda: volume.observe(busy, now + 3650 * 288, {}), 3),
        "state_json_bytes": len(json.dumps(volume.as_json(busy))),
    }


def sizes() -> dict[str, float]:
    """The smallest bursts that are heard: in silence, and after another burst (x10 for an hour at 5 a tick)."""
    silent = volume.observe(volume.observe(volume.start(), FIRST, {}), FIRST + WEEK, {})
    heard = {
        name: next(many for many in range(1, 100) if loudest(silent, [many]) >= theta)
        for name, theta in zip(("ticket", "page"), THETAS, strict=True)
    }
    usual = np.random.default_rng(SEED).poisson(5, 9 * WEEK).tolist()
    hour = volume.TICKS_PER_HOUR
    found: dict[str, float] = {f"{name}_at_once_in_silence": many for name, many in heard.items()}
    for name, burst in (
        ("without_an_earlier", 0),
        ("a_day_after", 1),
        ("two_weeks_after", 14),
        ("six_weeks_after", 42),
    ):
        counts = usual[: (3 * 7 + burst) * volume.TICKS_PER_DAY + 12 * hour]
        if burst:
            counts[21 * volume.TICKS_PER_DAY + 10 * hour : 21 * volume.TICKS_PER_DAY + 11 * hour] = [50] * hour
        *_, (state, _) = watch(volume.start(), counts, FIRST)
        found[f"page_for_times_usual_{name}"] = next(
            times / 10 for times in range(10, 500) if loudest(state, [round(times / 2)] * hour) >= 7
        )
    return found


def loudest(state: volume.Volume, counts: Sequence[int]) -> float:
    """The highest score while so many are counted."""
    return max(score for _, score in watch(state, counts, state.now_tick + 1))


def micros(call: Callable[[], object], number: int = 3000) -> float:
    """Microseconds a call."""
    rounds = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(number):
            call()
        rounds.append((time.perf_counter() - begun) / number)
    return round(1e6 * min(rounds), 1)


def measure(*, quick: bool) -> dict[str, Any]:
    """All figures."""
    begun = time.perf_counter()
    days, brands = (QUICK_DAYS, QUICK_BRANDS) if quick else (DAYS, BRANDS)
    document: dict[str, Any] = {"machine": machine(), "days": days, "brands": brands, "sizes": sizes(), "cost": cost()}
    document["worlds"] = [simulate(world, number, days, brands) for number, world in enumerate(WORLDS)]
    return {**document, "seconds": round(time.perf_counter() - begun)}


def show(document: Mapping[str, Any]) -> None:
    """Print the tables."""
    print(document["machine"])
    print(f"\n{document['brands']} brands of each kind, {document['days']} days. False episodes a month, 24 h of rest")
    print(f"{'':10}{'per day':>9}{'months':>8}{'theta 6':>9}{'theta 7':>9}   first week: {'6':>8}{'7':>9}")
    for row in document["worlds"]:
        late, early = row["episodes_per_month"].values(), row["first_week_episodes_per_month"].values()
        print(
            f"{row['kind']:10}{row['per_day']:9g}{row['months']:8.0f}{''.join(f'{each:9.2f}' for each in late)}"
            f"{'':12}{''.join(f'{each:9.2f}' for each in early)}"
        )
    print("\nFound of what is so many times the usual (median delay in minutes)")
    print(f"{'':10}{'per day':>9}  {'':14}{'shocks':>8}{'theta 6':>16}{'theta 7':>16}")
    for row in document["worlds"]:
        for low, high in zip(row["power"][::2], row["power"][1::2], strict=True):
            cells = [f"{each['found_share']:.0%}{_minutes(each['delay_median_minutes'])}" for each in (low, high)]
            print(
                f"{row['kind']:10}{row['per_day']:9g}  {low['shock']:14}{low['shocks']:8}{cells[0]:>16}{cells[1]:>16}"
            )
    print()
    for name, value in (document["sizes"] | document["cost"]).items():
        print(f"{name:42}{value:10.8g}")
    print(f"\n{document['seconds']} s")


def _minutes(delay: float | None) -> str:
    return "" if delay is None else f" ({delay:.0f})"


def main() -> None:
    """Print the tables, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few brands: whether it runs, not what it says")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    document = measure(quick=options.quick)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
