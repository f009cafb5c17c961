"""The alerts of a real week, by what people said of its mentions and by what the bundled model says.

    python -m benchmarks.replay FILE.jsonl.gz [--model] [--json]

FILE holds mentions as ``listener backtest`` reads them, each with a field ``human_label``: negative, neutral or
positive. With ``--model`` the model reads them too (minutes, the first time; its answers are remembered under .cache),
and the two are compared.

What ``--json`` prints: ``machine``, ``mentions`` by brand; ``human`` and ``model``: the events (at, brand, alert,
reason, severity, channels, evidence (ln), share, mentions); and ``compared``:

- ``crises``: alerts of one side that overlap an alert of the other, with the model's ``lead_minutes`` at the first
  notice and at the first page; what only one side found has None on the other
- ``hours``: correlation (Pearson) of the share of negative mentions by hour, of hours with at least five
- ``days``: by day, the mean risk against people's share of negative mentions
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import correlation
from typing import Any

from benchmarks._remembered import Remembered
from benchmarks.machine import machine
from listener.alerts.detection.rules import DEFAULT_RULES
from listener.backtest import Event, Heard, Labelled, Plan, Track, read_history, replay, run
from listener.backtest.compare import Lived, lived
from listener.domain import Reason, Severity
from listener.log import configure
from listener.matching import Matcher
from listener.protocols import Scorer
from listener.sentiment.language import identify
from listener.sentiment.scorer import on_thread

FIELD = "human_label"
HOUR_MENTIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One reader's week: what was counted of each brand, and what would have been told."""

    heard: Mapping[str, Sequence[Heard]]
    events: Sequence[Event]


def side(path: Path, scorer: Callable[[Mapping[str, str]], Scorer]) -> tuple[Side, dict[str, int]]:
    """The week as one reader sees it: scored through the pipeline, looked at every five minutes."""
    history, labels = read_history(path, brands={}, matcher=Matcher([]), identify=identify, label_field=FIELD)
    plan = Plan(
        history=history,
        rules=DEFAULT_RULES,
        scorer=lambda: on_thread(lambda: scorer(labels)),
        on_alert=lambda _payload: None,
        on_progress=lambda _stage, _done, _total: None,
        looks=False,
    )
    said = asyncio.run(run(plan))
    heard = {brand: said.get(brand, []) for brand in sorted(history.brands)}
    events = replay([Track(brand=brand, rules=DEFAULT_RULES, heard=of) for brand, of in heard.items()])
    counts: dict[str, int] = defaultdict(int)
    for mention in history.mentions:
        for brand in mention.brands:
            counts[brand] += 1
    return Side(heard=heard, events=events), dict(sorted(counts.items()))


def as_rows(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The events for JSON and for the table."""
    rows = []
    for event in sorted(events, key=lambda one: (one.brand, one.at)):
        strength = event.signal.strength
        rows.append(
            {
                "at": event.at.isoformat(),
                "brand": event.brand,
                "alert": event.alert.id,
                "reason": event.reason.value,
                "severity": event.severity.value,
                "channels": [one.value for one in event.channels],
                "evidence": strength.evidence if strength else None,
                "limit": strength.limit if strength else None,
                "budget": strength.budget if strength else None,
                "volume": strength.volume if strength else None,
                "share": event.signal.observed,
                "usual": event.signal.expected,
                "mentions": event.signal.mentions,
                "explanation": event.signal.reason,
            }
        )
    return rows


def crises(human: Sequence[Event], model: Sequence[Event]) -> list[dict[str, Any]]:
    """Alerts that overlap are one crisis, on either side and across."""
    spans = sorted(
        [(one, "human", brand) for brand, one in _alerts(human)]
        + [(one, "model", brand) for brand, one in _alerts(model)],
        key=lambda row: (row[2], row[0].started_at),
    )
    groups: list[tuple[str, datetime | None, dict[str, list[Lived]]]] = []
    for one, who, brand in spans:
        last = groups[-1] if groups else None
        if last is not None and last[0] == brand and (last[1] is None or one.started_at <= last[1]):
            until = None if last[1] is None or one.ended_at is None else max(last[1], one.ended_at)
            groups[-1] = (brand, until, last[2])
        else:
            groups.append((brand, one.ended_at, {"human": [], "model": []}))
        groups[-1][2][who].append(one)
    return [
        {
            "brand": brand,
            "human": _began(found["human"]),
            "model": _began(found["model"]),
            "human_paged": _paged(human, found["human"]),
            "model_paged": _paged(model, found["model"]),
            "lead_minutes": _minutes(_began(found["human"]), _began(found["model"])),
            "lead_minutes_page": _minutes(_paged(human, found["human"]), _paged(model, found["model"])),
            "human_hours": _hours(found["human"]),
            "model_hours": _hours(found["model"]),
        }
        for brand, _, found in groups
    ]


def _alerts(events: Sequence[Event]) -> list[tuple[str, Lived]]:
    brands = {event.alert.id: event.brand for event in events}
    return [(brands[one.id], one) for one in lived(events)]


def _began(found: Sequence[Lived]) -> str | None:
    return min(one.started_at for one in found).isoformat() if found else None


def _paged(events: Sequence[Event], found: Sequence[Lived]) -> str | None:
    ids = {one.id for one in found}
    pages = [
        one.at
        for one in events
        if one.alert.id in ids and one.severity is Severity.CRITICAL and one.reason is not Reason.RESOLVED
    ]
    return min(pages).isoformat() if pages else None


def _minutes(human: str | None, model: str | None) -> float | None:
    if human is None or model is None:
        return None
    return (datetime.fromisoformat(human) - datetime.fromisoformat(model)).total_seconds() / 60


def _hours(found: Sequence[Lived]) -> float | None:
    if not found or any(one.hours is None for one in found):
        return None
    return sum(one.hours or 0.0 for one in found)


def shares(heard: Sequence[Heard], form: str) -> dict[str, tuple[int, float, float]]:
    """By hour or day: how many votes, people's or the model's share of negative ones, the mean risk."""
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for one in heard:
        found[one.ballot.at.strftime(form)].append((one.ballot.negative, one.ballot.risk))
    return {
        key: (len(said), sum(negative for negative, _ in said) / len(said), sum(risk for _, risk in said) / len(said))
        for key, said in sorted(found.items())
    }


def hours_agree(human: Side, model: Side) -> dict[str, dict[str, float]]:
    """By brand, and for all: how the hourly shares of negative mentions agree."""
    found = {}
    for brand in [*human.heard, "all"]:
        chosen = list(human.heard) if brand == "all" else [brand]
        pairs: list[tuple[float, float, float]] = []
        for one in chosen:
            ours, theirs = shares(model.heard[one], "%Y-%m-%dT%H"), shares(human.heard[one], "%Y-%m-%dT%H")
            pairs += [
                (theirs[hour][1], ours[hour][1], ours[hour][2])
                for hour in theirs
                if hour in ours and theirs[hour][0] >= HOUR_MENTIONS
            ]
        found[brand] = {
            "hours": float(len(pairs)),
            "correlation_labels": correlation([one[0] for one in pairs], [one[1] for one in pairs]),
            "correlation_risk": correlation([one[0] for one in pairs], [one[2] for one in pairs]),
        }
    return found


def days_agree(human: Side, model: Side) -> list[dict[str, Any]]:
    """By day, all brands: people's share, the model's, its mean risk."""
    theirs = shares([one for said in human.heard.values() for one in said], "%Y-%m-%d")
    ours = shares([one for said in model.heard.values() for one in said], "%Y-%m-%d")
    return [
        {"day": day, "mentions": count, "human": share, "model": ours[day][1], "risk": ours[day][2]}
        for day, (count, share, _) in theirs.items()
        if day in ours
    ]


def report(figures: Mapping[str, Any]) -> None:
    """The figures for people, as tables for the docs."""
    print(figures["machine"])
    print(", ".join(f"{brand} {count}" for brand, count in figures["mentions"].items()))
    for who in ("human", "model"):
        if who not in figures:
            continue
        print(f"\nBy the {'human labels' if who == 'human' else 'bundled model'}\n")
        print("| brand | at (UTC) | what | by | share | usual | budget | evidence (to wake) | volume |")
        print("|---|---|---|---|---|---|---|---|---|")
        for row in figures[who]:
            share = "" if row["share"] is None else f"{row['share']:.0%} of {row['mentions']}"
            scored = "" if row["volume"] is None else f"{row['volume']:.1f}"
            print(
                f"| {row['brand']} | {row['at'][5:16].replace('T', ' ')} | {row['reason']}, {row['severity']} | "
                f"{', '.join(row['channels'])} | {share} | {row['usual'] or 0:.0%} | {row['budget'] or 0:.0%} | "
                f"e^{row['evidence'] or 0:.1f} (e^{row['limit'] or 0:.1f}) | {scored} |"
            )
    if "compared" not in figures:
        return
    print("\n| brand | human labels | model | model earlier by (min) | page: human | model | earlier by (min) |")
    print("|---|---|---|---|---|---|---|")
    for row in figures["compared"]["crises"]:
        cells = [
            *(_short(row[name]) for name in ("human", "model")),
            _number(row["lead_minutes"]),
            *(_short(row[name]) for name in ("human_paged", "model_paged")),
            _number(row["lead_minutes_page"]),
        ]
        print(f"| {row['brand']} | " + " | ".join(cells) + " |")
    print("\n| brand | hours | correlation of labels | of labels with mean risk |\n|---|---|---|---|")
    for brand, row in figures["compared"]["hours"].items():
        print(f"| {brand} | {row['hours']:.0f} | {row['correlation_labels']:.2f} | {row['correlation_risk']:.2f} |")
    print("\n| day | mentions | human share | model's share | mean risk |\n|---|---|---|---|---|")
    for row in figures["compared"]["days"]:
        print(f"| {row['day']} | {row['mentions']} | {row['human']:.1%} | {row['model']:.1%} | {row['risk']:.1%} |")


def _short(at: str | None) -> str:
    return "-" if at is None else at[5:16].replace("T", " ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.0f}"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", action="store_true", help="let the bundled model read them, too, and compare")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    configure("console", "error")
    human, counts = side(arguments.file, Labelled)
    figures: dict[str, Any] = {"machine": machine(), "mentions": counts, "human": as_rows(human.events)}
    if arguments.model:
        model, _ = side(arguments.file, lambda _labels: Remembered())
        figures["model"] = as_rows(model.events)
        figures["compared"] = {
            "crises": crises(human.events, model.events),
            "hours": hours_agree(human, model),
            "days": days_agree(human, model),
        }
    if arguments.json:
        print(json.dumps(figures))
    else:
        report(figures)


if __name__ == "__main__":
    main()
