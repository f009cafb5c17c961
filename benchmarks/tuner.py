"""What the tuner recommends for made-up brands, how long it takes, and how soon trouble is found.

``python -m benchmarks.tuner [--json]``: brands of 50, 300 and 5,000 mentions a day, 60 or 30 days of them, with moods
of the day; fixed seeds. The target is 0.5 pages a month.
"""

import argparse
import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.machine import machine
from listener.alerts.detection.rules import DEFAULT_RULES
from listener.backtest.replay import Heard
from listener.backtest.tune import Tried, advise
from listener.domain import Ballot

BRANDS = ((50, 60, 0.20), (300, 60, 0.15), (5000, 30, 0.20))  # mentions a day, days, share
TARGET = 0.5


def brand(per_day: int, days: int, share: float) -> list[Heard]:
    """A calm brand: what people say between six and eleven, a little worse on some days than on others."""
    rng = random.Random(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    heard = []
    for day in range(days):
        mood = max(0.5, rng.gauss(1, 0.15))
        for number in range(int(rng.gauss(per_day, per_day**0.5))):
            at = start + timedelta(days=day, seconds=rng.uniform(6 * 3600, 23 * 3600))
            negative = rng.random() < share * mood
            ballot = Ballot(
                mention=f"m{day}-{number}",
                source="forum",
                at=at,
                author=f"a{rng.randrange(20_000)}",
                risk=rng.uniform(0.6, 1) if negative else rng.uniform(0, 0.2),
                negative=negative,
                polarity=-0.7 if negative else 0.4,
            )
            heard.append(Heard(at, ballot))
    return sorted(heard, key=lambda one: (one.at, one.ballot.mention))


def measure(per_day: int, days: int, share: float) -> dict[str, Any]:
    """One brand's advice."""
    heard = brand(per_day, days, share)
    began = time.perf_counter()
    advice = advise("acme", heard, DEFAULT_RULES, target=TARGET)
    secs = time.perf_counter() - began
    return {
        "per_day": per_day,
        "days": days,
        "share": share,
        "secs": secs,
        "months": advice.months,
        "refused": advice.refused,
        "now": _row(advice.now),
        "best": _row(advice.best),
    }


def _row(tried: Tried | None) -> dict[str, Any] | None:
    if tried is None:
        return None
    return {
        "false_alarms_per_month": tried.setting.false_alarms_per_month,
        "budget_ratio": tried.setting.budget_ratio,
        "volume_critical": tried.setting.volume_critical,
        "pages_per_month": tried.per_month,
        "low": tried.low,
        "high": tried.high,
        "delays": {
            f"x{times:g}": {
                "found": delay.found,
                "trials": delay.trials,
                "median_hours": delay.hours,
                "median_mentions": delay.mentions,
            }
            for times, delay in tried.delays.items()
        },
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(*one) for one in BRANDS]
    if options.json:
        print(json.dumps({"machine": machine(), "target": TARGET, "brands": rows}))
        return
    print(machine())
    for row in rows:
        print(
            f"{row['per_day']:,} a day, {row['days']} days, share {row['share']:.0%}: {row['secs']:.0f} s, "
            f"{row['months']:.1f} months simulated {row['refused'] or ''}"
        )
        for name in ("now", "best"):
            found = row[name]
            if found is None:
                continue
            delays = ", ".join(
                f"{times} {one['median_hours'] or float('nan'):.1f} h, {one['median_mentions']} mentions "
                f"({one['found']} of {one['trials']})"
                for times, one in found["delays"].items()
            )
            setting = (
                f"false alarms {found['false_alarms_per_month']:g}, ratio {found['budget_ratio']:g}, "
                f"volume {found['volume_critical']:g}"
            )
            pages = f"{found['pages_per_month']:.2f} pages a month ({found['low']:.2f} to {found['high']:.2f})"
            print(f"  {name:>4}: {setting}: {pages}; {delays}")


if __name__ == "__main__":
    main()
