"""What the digest and the mark "whole market" are worth: false discoveries, power, and mistakes, by simulation.

``python -m benchmarks.drift [--quick] [--json]``. Seeds are fixed: the same figures everywhere.

Digest: fleets of 20 and 200 brands are drawn from pools of simulated brands (12 weeks, usual share 5, 15 or 30 %). Of
those that drift the share doubles evenly over the last eight weeks. ``iid``: independent mentions; ``threads``: three
mentions a conversation on average, four in five of one opinion, hours apart; ``days`` and ``weeks``: the share of a day
(week) is 30 % (20 %) off, up or down, and comes back: nothing drifts, but the mentions of that time are bad together.

Market: a brand with a usual share of 15 % is judged at the moment of its own alert (evidence for half a false alarm a
month) and a day later, beside competitors with as many mentions, who are calm or have the same shock.
"""

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from listener.alerts.detection import evidence, volume
from listener.alerts.detection.budget import BLOCK_TICKS, BLOCKS_A_DAY, Allowance, Block, usual
from listener.alerts.detection.drift import BEFORE_BLOCKS, RECENT_BLOCKS, Drift, digest, drift
from listener.alerts.detection.market import Neighbour, market

SEED = 20260301
SHARES = (0.05, 0.15, 0.3)
RATES = (5, 50, 500)
KINDS = ("iid", "threads", "days", "weeks")
WEEKS_BLOCKS = 7 * BLOCKS_A_DAY
FALL_BLOCKS = 8 * WEEKS_BLOCKS
THREAD, SAME, DELAY_SECS = 3, 0.8, 7200.0

TICKS_A_DAY = volume.TICKS_PER_DAY
HISTORY_DAYS = 29
VOLUME_DAYS = 8  # before the evidence begins
CALM_DAYS, LOOK_TICKS = 8, TICKS_A_DAY // 2
CRISIS_DAYS = 6  # how long the brand's own alert may take
SHOCKS = (2.0, 3.0)
COMPETITORS = (1, 2, 5)
TICK = timedelta(seconds=volume.TICK_SECS)
DAY = timedelta(hours=24)
ZERO_AT = datetime(2026, 3, 2, tzinfo=UTC)

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


def mentions(
    rng: np.random.Generator, per_bin: float, shares: Shares, kind: str, bin_secs: float
) -> tuple[Counts, Counts]:
    """How many mentions, and how many negative, in each bin."""
    bins = len(shares)
    if kind != "threads":
        count = rng.poisson(per_bin, bins)
        return count, rng.binomial(count, shares)
    started = np.repeat(np.arange(bins), rng.poisson(per_bin / THREAD, bins))
    sizes = rng.geometric(1 / THREAD, len(started))
    first = np.repeat(rng.random(len(started)) < shares[started], sizes)
    at = np.repeat(started, sizes)
    opening = np.zeros(len(at), bool)
    opening[np.cumsum(sizes) - sizes] = True
    begun = at + rng.random(len(at))
    later = (begun + rng.exponential(DELAY_SECS / bin_secs, len(at))).astype(int)
    own = rng.random(len(at)) < shares[at]
    negative = np.where(opening | (rng.random(len(at)) < SAME), first, own)
    at = np.where(opening, at, later)
    inside = at < bins
    return np.bincount(at[inside], minlength=bins), np.bincount(at[inside & negative], minlength=bins)


# --- the digest ---


def brand(rng: np.random.Generator, per_day: float, share: float, times: float, kind: str) -> Drift:
    """What is said of one brand whose share has become ``times`` as high over the last eight weeks."""
    bins = BEFORE_BLOCKS + RECENT_BLOCKS
    shares = share * (1 + (times - 1) * np.clip((np.arange(bins) - bins + FALL_BLOCKS) / FALL_BLOCKS, 0, 1))
    if kind in {"days", "weeks"}:
        length, swing = (BLOCKS_A_DAY, 0.3) if kind == "days" else (WEEKS_BLOCKS, 0.2)
        shares = shares * (1 + swing * np.repeat(rng.choice((-1.0, 1.0), bins // length), length))
    count, negative = mentions(rng, per_day / BLOCKS_A_DAY, np.minimum(shares, 0.95), kind, 21600.0)
    pairs = enumerate(zip(count.tolist(), negative.tolist(), strict=True))
    return drift([Block(index, n, k, k) for index, (n, k) in pairs if n], now_block=bins)


def false_discoveries(
    rng: np.random.Generator, nulls: Sequence[Drift], falls: Sequence[Drift], *, brands: int, part: float, fleets: int
) -> dict[str, Any]:
    """Many fleets of brands, ``part`` of them drifting."""
    falling = round(brands * part)
    shares, found = [], 0
    for _ in range(fleets):
        fleet = {f"fall {at}": falls[at] for at in rng.choice(len(falls), falling, replace=False)}
        fleet |= {f"null {at}": nulls[at] for at in rng.choice(len(nulls), brands - falling, replace=False)}
        chosen = Counter(entry.brand.partition(" ")[0] for entry in digest(fleet))
        shares.append(chosen["null"] / max(chosen.total(), 1))
        found += chosen["fall"]
    return {
        "brands": brands,
        "drifting": falling,
        "false_share": float(np.mean(shares)),
        "false_share_se": float(np.std(shares) / math.sqrt(fleets)),
        "found": found / (fleets * falling) if falling else None,
    }


def measure_digest(*, quick: bool) -> dict[str, Any]:
    """False discoveries by fleet, and power by size of the fall."""
    rng = np.random.default_rng(SEED)
    size, fleets, falls_size = (60, 20, 30) if quick else (3000, 400, 200)
    fleet_sizes = (20,) if quick else (20, 200)
    rows, power = [], []
    for kind in KINDS:
        for per_day in RATES:
            nulls = [brand(rng, per_day, SHARES[at % 3], 1.0, kind) for at in range(size)]
            falls = [brand(rng, per_day, SHARES[at % 3], 2.0, kind) for at in range(falls_size)]
            for brands in fleet_sizes:
                for part in (0.0, 0.1, 0.5):
                    row = false_discoveries(rng, nulls, falls, brands=brands, part=part, fleets=fleets)
                    rows.append({"kind": kind, "per_day": per_day, **row})
            above = float(np.mean([math.exp(min(one.evidence or 0.0, 50.0)) for one in nulls]))
            for times in (1.25, 1.5, 2.0):
                found = [brand(rng, per_day, 0.15, times, kind) for _ in range(falls_size)]
                power.append({"kind": kind, "per_day": per_day, "times": times, "e_under_null": above} | _power(found))
    return {"false_discoveries": rows, "power": power}


def _power(found: Sequence[Drift]) -> dict[str, Any]:
    """How many would be the only one that a fleet of 20 (200) selects, and what a person reads."""
    sure = np.array([one.evidence if one.evidence is not None else -math.inf for one in found])
    return {
        "found_of_20": float(np.mean(sure >= math.log(20 / 0.1))),
        "found_of_200": float(np.mean(sure >= math.log(200 / 0.1))),
        "evidence_median": float(np.median(sure)),
        "deff": float(np.mean([one.deff for one in found])),
        "change": float(np.mean([one.change or 0.0 for one in found])),
    }


# --- the market ---


@dataclass(frozen=True, slots=True)
class Walk:
    """One brand over time: counts a tick, what is usual of it, and when its shock begins (tick)."""

    count: list[int]
    negative: list[int]
    known: Neighbour
    begins: int

    def bet(self) -> evidence.Bets:
        """What is staked on it."""
        return evidence.bets(self.known.budget, self.known.deff)


def walk(rng: np.random.Generator, name: str, per_day: float, times: float, kind: str, days: float) -> Walk:
    """29 days of history, and ``days`` more with ``times`` the usual share."""
    begins = HISTORY_DAYS * TICKS_A_DAY
    shares = np.full(begins + round(days * TICKS_A_DAY), 0.15)
    shares[begins:] *= times
    count, negative = mentions(rng, per_day / TICKS_A_DAY, shares, kind, volume.TICK_SECS)
    ended = begins // BLOCK_TICKS
    sums = [one[:begins].reshape(ended, BLOCK_TICKS).sum(1).tolist() for one in (count, negative)]
    blocks = [Block(index, n, k, k) for index, (n, k) in enumerate(zip(*sums, strict=True)) if n]
    past = usual(blocks, now_block=ended, fleet_mean=0.15, allowance=Allowance())
    known = Neighbour(
        brand=name,
        evidence=0.0,
        onset_at=None,
        mean_24h=None,
        count_24h=0.0,
        usual=past.mean,
        budget=past.budget,
        volume=None,
        deff=past.deff,
    )
    return Walk(count=count.tolist(), negative=negative.tolist(), known=known, begins=begins)


def states(one: Walk, ticks: Iterable[int]) -> list[Neighbour]:
    """How the brand stands at the end of each of these ticks (ascending)."""
    bet, wealth = one.bet(), evidence.start(one.begins)
    counts = volume.observe(volume.start(), one.begins - VOLUME_DAYS * TICKS_A_DAY, {})
    at = one.begins
    found = []
    for tick in ticks:
        negative = {each: one.negative[each] for each in range(counts.now_tick, tick + 1) if one.negative[each]}
        counts = volume.observe(counts, tick + 1, negative)
        for each in range(at, tick + 1):
            if one.count[each]:
                wealth = evidence.add(wealth, bet, each, _values(one, each))
        at = tick + 1
        n, k = sum(one.count[at - TICKS_A_DAY : at]), sum(one.negative[at - TICKS_A_DAY : at])
        found.append(
            replace(
                one.known,
                evidence=evidence.evidence(wealth),
                onset_at=ZERO_AT + evidence.onset(wealth) * TICK,
                mean_24h=k / n if n else None,
                count_24h=n,
                volume=volume.score(counts),
            )
        )
    return found


def alerted(one: Walk, per_day: float) -> tuple[int, int] | None:
    """The tick of the alert and the onset that it tells of; None if none comes."""
    bet, wealth = one.bet(), evidence.start(one.begins)
    limit = evidence.needed(min(30 * per_day, 30 * TICKS_A_DAY), 0.5)
    for tick in range(one.begins, len(one.count) - TICKS_A_DAY):
        if one.count[tick]:
            wealth = evidence.add(wealth, bet, tick, _values(one, tick))
            if evidence.evidence(wealth) >= limit:
                return tick, evidence.onset(wealth)
    return None


def _values(one: Walk, tick: int) -> tuple[tuple[float, float], tuple[float, float]]:
    bad = one.negative[tick]
    return (1.0, bad), (0.0, one.count[tick] - bad)


Look = tuple[int, Neighbour]  # the tick, and how the brand stood at its end


@dataclass(frozen=True, slots=True)
class Crisis:
    """An alert of the brand: its tick, the onset that it tells of, and how others with the same shock stood.

    ``others`` has for each competitor the look at the alert, and the one a day later.
    """

    tick: int
    onset: int
    others: list[tuple[Look, Look]]


def calm(rng: np.random.Generator, per_day: float, kind: str, runs: int) -> list[Look]:
    """Competitors of whom nothing is wrong, every twelve hours."""
    pool: list[Look] = []
    for _ in range(runs):
        one = walk(rng, "calm", per_day, 1.0, kind, CALM_DAYS)
        looks = range(one.begins + 2 * TICKS_A_DAY, len(one.count), LOOK_TICKS)
        pool.extend(zip(looks, states(one, looks), strict=True))
    return pool


def crisis(rng: np.random.Generator, per_day: float, times: float, kind: str) -> Crisis | None:
    """One shock that all have; None if the brand's own alert does not come in time."""
    own = alerted(walk(rng, "own", per_day, times, kind, CRISIS_DAYS), per_day)
    if own is None:
        return None
    tick, onset = own
    looks = (tick, tick + TICKS_A_DAY)
    others: list[tuple[Look, Look]] = []
    for at in range(max(COMPETITORS)):
        now, later = states(walk(rng, f"c{at}", per_day, times, kind, CRISIS_DAYS), looks)
        others.append(((looks[0], now), (looks[1], later)))
    return Crisis(tick=tick, onset=onset, others=others)


def measure_market(*, quick: bool) -> list[dict[str, Any]]:
    """Own crises and common shocks, iid and in threads."""
    rng = np.random.default_rng(SEED + 1)
    runs, calm_runs, draws = (4, 3, 100) if quick else (60, 40, 4000)
    rows: list[dict[str, Any]] = []
    for kind in ("iid", "threads"):
        for per_day in (50, 500):
            pool = calm(rng, per_day, kind, calm_runs)
            recent = [
                state.onset_at is not None and state.onset_at >= ZERO_AT + tick * TICK - DAY for tick, state in pool
            ]
            high = [state.evidence >= math.log(10) for _, state in pool]
            for times in SHOCKS:
                tried = (crisis(rng, per_day, times, kind) for _ in range(runs))
                crises = [one for one in tried if one is not None]
                if not crises:
                    continue
                hours = [(one.tick - HISTORY_DAYS * TICKS_A_DAY) / volume.TICKS_PER_HOUR for one in crises]
                cell = {
                    "kind": kind,
                    "per_day": per_day,
                    "times": times,
                    "calm_above_10": float(np.mean(np.array(high) & np.array(recent))),
                    "alerted": len(crises) / runs,
                    "alert_hours_median": float(np.median(hours)),
                }
                rows.extend(cell | row for row in _verdicts(rng, pool, crises, draws))
    return rows


def _verdicts(
    rng: np.random.Generator, pool: Sequence[Look], crises: Sequence[Crisis], draws: int
) -> Iterator[dict[str, Any]]:
    """Verdicts beside calm competitors, and beside those with the same shock."""
    for competitors in COMPETITORS:
        for later in (False, True):
            own, shock = Counter[str](), Counter[str]()
            waited = TICKS_A_DAY if later else 0
            for _ in range(draws):
                one = crises[int(rng.integers(len(crises)))]
                picked = [pool[at] for at in rng.choice(len(pool), competitors, replace=False)]
                own[_verdict(one.tick + waited - one.onset, picked)] += 1
            for one in crises:
                looks = [pair[later] for pair in one.others]
                for first in range(0, len(looks) - competitors + 1, competitors):
                    some = looks[first : first + competitors]
                    shock[_verdict(one.tick + waited - one.onset, some)] += 1
            yield {"competitors": competitors, "days": int(later), "own": _parts(own), "common": _parts(shock)}


def _verdict(passed: int, picked: Sequence[Look]) -> str:
    """The verdict for a crisis that began ``passed`` ticks before the tick at which each state was taken."""
    now = ZERO_AT
    moved = []
    for tick, state in picked:
        assert state.onset_at is not None
        moved.append(replace(state, onset_at=now + (state.onset_at - ZERO_AT) - tick * TICK))
    return market(now - passed * TICK, moved, now=now).verdict


def _parts(verdicts: Counter[str]) -> dict[str, float]:
    return {name: verdicts[name] / verdicts.total() for name in ("whole_market", "own", "unknown")}


# --- printing ---


def measure(*, quick: bool) -> dict[str, Any]:
    """All figures."""
    begun = time.perf_counter()
    document = {"machine": machine(), **measure_digest(quick=quick), "market": measure_market(quick=quick)}
    return {**document, "seconds": round(time.perf_counter() - begun)}


def show(document: Mapping[str, Any]) -> None:
    """Print the tables."""
    print(document["machine"])
    print(
        "\nFalse discoveries: mean share of the selected brands that do not drift (alpha 0.1); found: of those that do"
    )
    print(f"{'':10}{'per day':>8}{'brands':>8}{'drifting':>10}{'false':>9}{'+-':>8}{'found':>8}")
    for row in document["false_discoveries"]:
        found = "" if row["found"] is None else f"{row['found']:.0%}"
        print(
            f"{row['kind']:10}{row['per_day']:8}{row['brands']:8}{row['drifting']:10}{row['false_share']:9.4f}"
            f"{row['false_share_se']:8.4f}{found:>8}"
        )
    print(
        "\nPower: share 15 %, so many times as high after eight weeks; the only one that drifts in a fleet of 20 or 200"
    )
    print(
        f"{'':10}{'per day':>8}{'times':>7}{'of 20':>8}{'of 200':>8}{'ln e':>8}{'points':>8}{'deff':>7}{'e, null':>10}"
    )
    for row in document["power"]:
        print(
            f"{row['kind']:10}{row['per_day']:8}{row['times']:7}{row['found_of_20']:8.0%}{row['found_of_200']:8.0%}"
            f"{row['evidence_median']:8.1f}{100 * row['change']:8.1f}{row['deff']:7.2f}{row['e_under_null']:10.2g}"
        )
    print("\nMarket: verdicts whole market / own / unknown (%), days after the alert; calm: how often a calm")
    print("competitor has evidence of more than 10 : 1 that began within a day, which is therefore not asked for")
    print(
        f"{'':10}{'per day':>8}{'shock':>7}{'rivals':>8}{'days':>7}{'calm':>7}{'alerted':>9}{'median h':>10}"
        f"{'a crisis of its own':>24}{'a common shock':>24}"
    )
    for row in document["market"]:
        own, common = (" / ".join(f"{100 * part:.1f}" for part in row[key].values()) for key in ("own", "common"))
        print(
            f"{row['kind']:10}{row['per_day']:8}{row['times']:7}{row['competitors']:8}{row['days']:7}"
            f"{row['calm_above_10']:7.0%}{row['alerted']:9.0%}{row['alert_hours_median']:10.1f}{own:>24}{common:>24}"
        )
    print(f"\n{document['seconds']} s")


def main() -> None:
    """Print the tables, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: whether it runs, not what it says")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    document = measure(quick=options.quick)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
