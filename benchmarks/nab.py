"""The volume channel on the tweet counts of the Numenta Anomaly Benchmark, beside other detectors' results.

    python -m benchmarks.nab --data DIR [--thin] [--json]

DIR holds ``Twitter_volume_*.csv`` (timestamp,value: mentions per 5 minutes) and NAB's ``combined_windows.json``, and
may hold ``peers/*.csv.gz``: for each series, the scores of other detectors row by row, a column each. Every detector
fires once its score reaches a threshold, and then not for 24 hours, as listener does; one threshold serves all series.
The prototype of the channel runs beside it, and with ``--thin`` both run on the same series of smaller brands, too:
each mention is kept with such a probability that 0.4 or 1.5 a tick remain, five times (fixed seeds).

What ``--json`` prints:

- ``machine``, ``microseconds_per_row`` (of listener), ``series``: rows, windows and scored_months of each
- ``operating_points``: a point for every theta of the grid, 6 (ticket) and 7 (page) among them; ``best``: one of them
- ``by_series``: the points of 6 and 7 for each series
- ``leave_one_out``: theta of the grid chosen on the other series, scored on the one left out, added up
- ``chance``: firing every 36 hours whatever is said, the mean of all phases
- ``peers``: for each the ``best`` point in hindsight, ``leave_one_out``, and ``at_equal_false_positives``: for our
  theta 6 and 7, its best point with at most as many false-positive episodes as we have, null when it has none; and
  ``listener_at_its_false_positives``: our best point with at most as many episodes as the peer's best has
- ``ahead``: by comparison, the peers that score more than listener
- ``prototype``: its points of theta 6 and 7, ``best`` and ``leave_one_out``
- ``labelled_instants``: firing exactly there, and never elsewhere
- ``equal_false_positives``: for limits on the episodes a month, the best points of ``listener`` and ``prototype``, on
  the series as they are (``mentions_per_tick`` null) and with ``--thin`` on the thinned ones

A point has theta, score, reward_low_fp, reward_low_fn (NAB's profiles), found, windows, false_episodes_per_month (per
brand-month after probation), false_points, and delay_median_minutes (from the labelled instant; negative is early).
A false-positive episode is a detection outside all windows, or several with no more than 12 hours between them.
"""

import argparse
import csv
import gzip
import json
import math
import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._nab_scoring import LOW_FN, LOW_FP, Outcome, Row, Scores, Series, best, leave_one_out, outcome, sweep
from benchmarks.machine import machine
from listener.alerts.detection import volume

SHIPPED = (6.0, 7.0)  # ticket and page
GRID = tuple(at / 2 for at in range(6, 25))  # 3 to 12
PEER_THRESHOLDS_MAX = 600
CHANCE_SECS = 36 * 3600
EPISODES_MAX = (1.0, 1.5, 2.0, 3.0, 4.0)  # a month
FINE_GRID = tuple(at / 10 for at in range(20, 201))  # 2 to 20
THIN = (0.4, 1.5)  # mentions a tick
THIN_SEEDS = range(5)


def read(folder: Path) -> list[Series]:
    """All series of a folder, by name."""
    labels = json.loads((folder / "combined_windows.json").read_text())
    found = []
    for path in sorted(folder.glob("Twitter_volume_*.csv")):
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        times = [_unix(row["timestamp"]) for row in rows]
        windows = [
            (times.index(_unix(left)), times.index(_unix(right))) for left, right in labels[f"realTweets/{path.name}"]
        ]
        found.append(
            Series(
                name=path.stem.removeprefix("Twitter_volume_"),
                times=tuple(times),
                values=tuple(int(float(row["value"])) for row in rows),
                windows=tuple(sorted(windows)),
            )
        )
    return found


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).replace(tzinfo=UTC).timestamp()


def read_peers(folder: Path, series: Sequence[Series]) -> dict[str, Scores]:
    """The scores of the detectors that have some for every series."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for each in series:
        path = folder / "peers" / f"{each.name}.csv.gz"
        if not path.exists():
            return {}
        with gzip.open(path, "rt", newline="") as lines:
            rows = list(csv.DictReader(lines))
        for name in rows[0].keys() - {"timestamp", "null"}:
            found.setdefault(name, {})[each.name] = np.array([float(row[name]) for row in rows])
    return {name: scores for name, scores in sorted(found.items()) if len(scores) == len(series)}


def our_scores(series: Series) -> NDArray[np.float64]:
    """What listener.alerts.detection.volume says after each row; 0 while it is still learning."""
    state, scores = volume.start(), []
    for at, count in zip(series.times, series.values, strict=True):
        tick = int(at) // volume.TICK_SECS
        state = volume.observe(state, tick, {tick: count})
        scores.append(volume.score(state) or 0.0)
    return np.array(scores)


def prototype_scores(series: Series) -> NDArray[np.float64]:
    """The first design: mean excess, over 5 min, 15 min, 1 h and 3 h, of what is usual in a week."""
    keep_day, keep_week = 0.5 ** (1 / 288), 0.5 ** (1 / (7 * 288))
    keep_hour = 0.5 ** (1 / (7 * 12))
    windows = (1, 3, 12, 36)
    hours = [[0.0, 0.0] for _ in range(24)]  # counts, level at the time
    level = level_weight = spread = spread_weight = scale_weight = 0.0
    scales = [0.0] * len(windows)
    past = deque([(0.0, 0.0)] * max(windows), maxlen=max(windows))
    scores = []
    for row, (at, count) in enumerate(zip(series.times, series.values, strict=True)):
        hour = hours[int(at) // 3600 % 24]
        flat = level / level_weight if level_weight else float(count)
        weight = hour[1] + 6 * flat
        profile = max((hour[0] + 6 * flat) / weight, 1e-3) if weight else 1.0
        usual = flat * profile
        past.append((count - usual, usual))
        newest = list(past)
        total = 0.0
        for i, window in enumerate(windows):
            more = sum(excess for excess, _ in newest[-window:])
            chance = sum(due for _, due in newest[-window:]) + window
            total += more / math.sqrt(max(scales[i] / scale_weight if scale_weight else 0.0, chance))
            scales[i] = scales[i] * keep_week + more * more
        scores.append(total / len(windows) if row >= 288 else 0.0)
        scale_weight = scale_weight * keep_week + 1
        over = max(0.0, spread / spread_weight) if spread_weight else 0.0
        learned = min(float(count), usual + 3 * math.sqrt(usual + over * usual * usual) + 1)
        spread = spread * keep_day + (learned - usual) ** 2 - usual
        spread_weight = spread_weight * keep_day + usual * usual
        level, level_weight = level * keep_day + learned / profile, level_weight * keep_day + 1
        hour[:] = hour[0] * keep_hour + learned, hour[1] * keep_hour + flat
    return np.array(scores)


def thinned(series: Series, per_tick: float, seed: int) -> Series:
    """The same company, less talked about: each mention is kept or not."""
    values = np.array(series.values)
    rng = np.random.default_rng([seed, *series.name.encode()])
    kept = rng.binomial(values, min(1.0, per_tick / max(per_tick, float(values.mean()))))
    return replace(series, name=f"{series.name} {seed}", values=tuple(int(count) for count in kept))


def compare(series: Sequence[Series], per_tick: float | None) -> list[dict[str, Any]]:
    """Listener and prototype, each with its best threshold for every limit on false positives."""
    found = {}
    for name, detector in (("listener", our_scores), ("prototype", prototype_scores)):
        found[name] = sweep(series, {each.name: detector(each) for each in series}, FINE_GRID)
    return [
        {"mentions_per_tick": per_tick, "episodes_max": limit}
        | {name: row_point(best(rows, episodes_max=limit)) for name, rows in found.items()}
        for limit in EPISODES_MAX
    ]


def thresholds(scores: Scores) -> list[float]:
    """Every value that occurs in a peer's scores; if there are too many, ever fewer of the lower ones."""
    values = np.unique(np.concatenate(list(scores.values())))[::-1]
    ranks = np.unique(np.geomspace(1, len(values), PEER_THRESHOLDS_MAX).astype(int)) - 1
    chosen = values if len(values) <= PEER_THRESHOLDS_MAX else values[ranks]
    return [float(value) for value in chosen]


def chance(series: Sequence[Series]) -> Outcome:
    """Firing every 36 hours, whatever is said: the mean of all phases is their sum, for it scores the same."""
    found = []
    for phase in range(0, CHANCE_SECS, 3600):
        for each in series:
            due = np.arange(each.times[0] + phase, each.times[-1], CHANCE_SECS)
            found.append(outcome(each, np.searchsorted(each.times, due).tolist()))
    return sum(found, Outcome())


def instants(series: Sequence[Series]) -> Outcome:
    """Firing exactly at every labelled instant, which is the middle of its window, and never elsewhere."""
    return sum((outcome(each, [sum(window) // 2 for window in each.windows]) for each in series), Outcome())


def point(total: Outcome | None, theta: float | None = None) -> dict[str, Any] | None:
    """One line of the tables."""
    if total is None:
        return None
    delays = total.delays_secs
    return {
        "theta": theta,
        "score": round(total.score(), 2),
        "reward_low_fp": round(total.score(LOW_FP), 2),
        "reward_low_fn": round(total.score(LOW_FN), 2),
        "found": total.found,
        "windows": total.windows,
        "false_episodes_per_month": round(total.episodes_per_month, 3),
        "false_points": total.false_points,
        "delay_median_minutes": round(statistics.median(delays) / 60, 1) if delays else None,
    }


def row_point(row: Row | None) -> dict[str, Any] | None:
    """One line of the tables for a threshold."""
    return None if row is None else point(row.total, row.theta)


def measure(folder: Path, *, thin: bool) -> dict[str, Any]:
    """All that is printed."""
    series = read(folder)
    if not series:
        raise SystemExit(f"no Twitter_volume_*.csv in {folder}")
    begun = time.perf_counter()
    scores = {each.name: our_scores(each) for each in series}
    took = time.perf_counter() - begun
    rows = sweep(series, scores, GRID)
    shipped = {row.theta: row for row in rows if row.theta in SHIPPED}
    peers: dict[str, Any] = {}
    for name, theirs in read_peers(folder, series).items():
        table = sweep(series, theirs, thresholds(theirs))
        peers[name] = {
            "best": row_point(best(table)),
            "leave_one_out": point(leave_one_out(table)),
            "at_equal_false_positives": {
                f"{theta:g}": row_point(best(table, episodes_max=row.total.episodes_per_month))
                for theta, row in sorted(shipped.items())
            },
            "listener_at_its_false_positives": _at_its(best(table), rows),
        }
    ours = summary(rows)
    return {
        "machine": machine(),
        "microseconds_per_row": round(1e6 * took / sum(len(each.times) for each in series), 1),
        "series": {
            each.name: {"rows": len(each.times), "windows": len(each.windows), "scored_months": each.scored_months}
            for each in series
        },
        "operating_points": [row_point(row) for row in reversed(rows)],
        "by_series": {
            f"{theta:g}": {each.name: point(part, theta) for each, part in zip(series, row.each, strict=True)}
            for theta, row in sorted(shipped.items())
        },
        **{key: ours[key] for key in ("best", "leave_one_out")},
        "chance": point(chance(series)),
        "peers": peers,
        "ahead": ahead(ours, peers),
        "prototype": summary(sweep(series, {each.name: prototype_scores(each) for each in series}, GRID)),
        "labelled_instants": point(instants(series)),
        "equal_false_positives": [
            *compare(series, None),
            *(
                row
                for per_tick in (THIN if thin else ())
                for row in compare([thinned(each, per_tick, seed) for each in series for seed in THIN_SEEDS], per_tick)
            ),
        ],
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """A detector at the thresholds of listener, at its best, and by leave-one-out."""
    found = {"best": row_point(best(rows)), "leave_one_out": point(leave_one_out(rows))}
    return found | {f"theta {row.theta:g}": row_point(row) for row in rows if row.theta in SHIPPED}


def _at_its(peer: Row | None, rows: Sequence[Row]) -> dict[str, Any] | None:
    return None if peer is None else row_point(best(rows, episodes_max=peer.total.episodes_per_month))


def ahead(ours: Mapping[str, Any], peers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Which peers score more than we do, in each comparison."""

    def more(theirs: Mapping[str, Any | None], mine: Any | None) -> list[str]:
        scored = {name: _score(each) for name, each in theirs.items()}
        return sorted((name for name in scored if scored[name] > _score(mine)), key=lambda name: -scored[name])

    found = {
        key: more({name: peer[key] for name, peer in peers.items()}, ours[key]) for key in ("best", "leave_one_out")
    }
    for theta in SHIPPED:
        equal = {name: peer["at_equal_false_positives"][f"{theta:g}"] for name, peer in peers.items()}
        found[f"theta {theta:g}"] = more(equal, ours[f"theta {theta:g}"])
    found["the peer's best, listener with no more false positives"] = sorted(
        name for name, peer in peers.items() if peer["best"]["score"] > _score(peer["listener_at_its_false_positives"])
    )
    return found


def _score(each: Mapping[str, Any] | None) -> float:
    return 0.0 if each is None else float(each["score"])


def show(document: Mapping[str, Any]) -> None:
    """Print the tables."""
    print(document["machine"])
    listed = ", ".join(f"{name} ({each['windows']})" for name, each in document["series"].items())
    print(f"{len(document['series'])} series (windows): {listed}; {document['microseconds_per_row']} µs a row")
    print(
        "Score: NAB's standard profile, cooldown 24 h for everybody. FP/month: episodes of false positives (more than"
    )
    print("12 h apart) per brand-month of scored time. Delay: median from the labelled instant, negative is early.\n")
    header = f"{'':24}{'theta':>8}{'score':>7}{'found':>8}{'FP/month':>10}{'low FP':>8}{'low FN':>8}{'delay min':>11}"
    print(header)
    for each in document["operating_points"]:
        shipped = {6.0: "ticket", 7.0: "page"}.get(each["theta"], "")
        line(f"listener {shipped}", each)
    line("listener, best", document["best"])
    line("listener, leave-one-out", document["leave_one_out"])
    line("chance, every 36 h", document["chance"])
    line("the labelled instants", document["labelled_instants"])
    for name, each in sorted(document["prototype"].items(), reverse=True):
        line(f"prototype, {name.replace('_', '-')}", each)
    print("\nScore at no more FP/month than (best threshold in hindsight; found)")
    print(f"{'':24}{'FP/month':>10}{'listener':>18}{'prototype':>18}")
    for each in document["equal_false_positives"]:
        flow = "as they are" if each["mentions_per_tick"] is None else f"{each['mentions_per_tick']:g} mentions a tick"
        cells = (each["listener"], each["prototype"])
        shown = ["none" if at is None else f"{at['score']:.1f} ({at['found']}/{at['windows']})" for at in cells]
        print(f"{flow:24}{each['episodes_max']:10.1f}{shown[0]:>18}{shown[1]:>18}")
    if document["peers"]:
        show_peers(document, header)


def show_peers(document: Mapping[str, Any], header: str) -> None:
    """Print the tables of the other detectors."""
    for title, get in (
        ("best in hindsight", lambda peer: peer["best"]),
        ("leave-one-out", lambda peer: peer["leave_one_out"]),
        *((f"at our FP/month of theta {theta:g}", _equal(f"{theta:g}")) for theta in SHIPPED),
    ):
        print(f"\nPeers, {title}\n{header}")
        found = [(name, get(peer)) for name, peer in document["peers"].items()]
        for name, each in sorted(found, key=lambda pair: -pair[1]["score"] if pair[1] else math.inf):
            line(name, each)
    print()
    for comparison, names in document["ahead"].items():
        print(f"Ahead of listener, {comparison}: {', '.join(names) or 'nobody'}")


def _equal(theta: str) -> Any:
    return lambda peer: peer["at_equal_false_positives"][theta]


def line(name: str, each: Mapping[str, Any] | None) -> None:
    """Print one line of a table."""
    if each is None:
        print(f"{name:24}{'none':>8}")
        return
    theta = "" if each["theta"] is None else f"{each['theta']:.4g}"
    delay = "" if each["delay_median_minutes"] is None else f"{each['delay_median_minutes']:.0f}"
    print(
        f"{name:24}{theta:>8}{each['score']:7.1f}{each['found']:5}/{each['windows']:<2}"
        f"{each['false_episodes_per_month']:10.2f}{each['reward_low_fp']:8.1f}{each['reward_low_fn']:8.1f}{delay:>11}"
    )


def main() -> None:
    """Print the tables, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--thin", action="store_true", help="also on the series of smaller brands")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    document = measure(options.data, thin=options.thin)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
