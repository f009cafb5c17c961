"""False alarms and delays of detection by evidence, in simulated months with fixed seeds.

    python -m benchmarks.detection [--part NAME ...] [--quick] [--json]

What is usual is estimated from 28 simulated days and anew every six hours, as in production. Rates are per brand and
month with 95 % intervals (Poisson). Every run first checks that the vectorised twin does what the shipped functions do,
vote by vote. ``--quick`` takes a fortieth of the brands: it shows that all runs.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from benchmarks._detection_measures import (
    BRANDS,
    DELAYED,
    FLOWS,
    WARM_TICKS,
    Row,
    Scale,
    alarms,
    counted,
    delays,
    interval,
    merged,
    most_in_a_day,
    print_table,
    rates,
    seeded,
    timed,
)
from benchmarks._detection_others import RULES, TOPICS, by_topic, naive_alarms
from benchmarks._detection_streams import (
    TICKS_PER_DAY,
    Scorer,
    World,
    pulse,
    ramp,
    read_by,
    scorer_of,
    step,
    truth,
    wave,
)
from benchmarks._detection_twin import HISTORY_TICKS, MONTH_TICKS, Rules, Twin, plain
from benchmarks.machine import machine
from listener.alerts.detection.budget import Allowance

SHARES = (0.05, 0.15, 0.30)
QUICK = 40
RISK = Rules(allowance=Allowance(calibrated=True))
WORLDS: dict[str, World] = {
    "independent": World(share=0, per_day=0),
    "threads of 2": World(share=0, per_day=0, thread=2, same=0.8),
    "threads of 3": World(share=0, per_day=0, thread=3, same=0.8),
    "threads of 10": World(share=0, per_day=0, thread=10, same=0.9),
    "daily swing": World(share=0, per_day=0, swing=0.3),
    "bursty volume": World(share=0, per_day=0, bursty=True),
    "threads of 3, swing, bursty": World(share=0, per_day=0, thread=3, same=0.8, swing=0.3, bursty=True),
    "day and weekend": World(share=0, per_day=0, swing=0.3, weekend=0.4),
    "mood of the day": World(share=0, per_day=0, mood=0.2),
    "threads of 10 over 12 h": World(share=0, per_day=0, thread=10, same=0.9, thread_ticks=144),
}


def main() -> None:
    """Print one table a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS], nargs="+", default=[*PARTS])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    scale, tables = Scale(QUICK if options.quick else 1), {}
    begun = time.perf_counter()
    compared = check_twin()
    if not options.json:
        print(f"{machine()}\nthe twin equals the shipped functions in {compared} events")
    for name in options.part:
        title, part = PARTS[name]
        tables[name] = list(part(scale))
        if not options.json:
            print(f"\n{title}\n")
            print_table(tables[name])
    if options.json:
        print(json.dumps({"machine": machine(), "tables": tables}, indent=1))
    else:
        print(f"\n{time.perf_counter() - begun:.0f} s")


def check_twin() -> int:
    """Compare the twin with the shipped functions on worlds in which much happens; return how many events agreed."""
    sharp = scorer_of(0.9, 0.15)
    trouble = step(HISTORY_TICKS + 1000, 3.0)
    compared = 0
    for world, rules, brands in (
        (World(share=0.15, per_day=50, thread=10, same=0.9), Rules(), 8),
        (World(share=0.15, per_day=5, thread=3, same=0.8), Rules(fleet_deff=3.5), 8),
        (World(share=0.15, per_day=500, course=trouble), Rules(gate=False, tempered=False), 2),
        (World(share=0.15, per_day=500, course=trouble, swing=0.3, weekend=0.4), Rules(), 3),
        (World(share=0.15, per_day=50, course=trouble), RISK, 8),
    ):
        votes = truth(world, brands, HISTORY_TICKS + MONTH_TICKS, seeded("twin", world.per_day))
        if rules.allowance.calibrated:
            votes = read_by(sharp, votes, seeded("twin"), risk=True)
        found = Twin(votes, rules).run(HISTORY_TICKS)
        for brand in range(brands):
            expected = plain(votes, brand, HISTORY_TICKS, rules)
            assert expected == found[brand], (world, brand)
            compared += len(expected)
    return compared


def false_alarms(scale: Scale) -> Iterable[Row]:
    """In every world, at the usual share, and at the hardest null: a share of exactly the budget."""
    for name, world in WORLDS.items():
        for share in SHARES:
            yield alarms(scale, name, replace(world, share=share), Rules())
    for share in SHARES:
        allowed = max(1.25 * share, share + 0.02)
        rules = Rules(allowance=Allowance(budget=allowed))
        yield alarms(scale, "hardest null: independent, at b", World(share=allowed, per_day=0), rules)
    for name, deff in (("threads of 3", 3.5), ("threads of 10", 15.0)):
        for share in SHARES:
            world = replace(WORLDS[name], share=share)
            yield alarms(scale, f"{name}, fleet's design effect known", world, Rules(fleet_deff=deff), (5, 50))


def risks(scale: Scale) -> Iterable[Row]:
    """False alarms where mentions count with their calibrated risk."""
    for auc in (0.85, 0.95):
        for name in ("independent", "threads of 3", "day and weekend"):
            for share in SHARES:
                world = replace(WORLDS[name], share=share)
                yield alarms(scale.less(), f"AUC {auc:.2f}, {name}", world, RISK, (5, 50, 500), scorer_of(auc, share))


def newcomers(scale: Scale) -> Iterable[Row]:
    """The first month of brands without any history."""
    for name in ("independent", "threads of 3"):
        for share in (*SHARES, 0.5):
            row = {"first month": name, "share": f"{share:.0%}"}
            for flow in FLOWS:
                brands = scale.of(BRANDS[flow] // 4)
                world = replace(WORLDS[name], share=share, per_day=flow)
                votes = truth(world, brands, MONTH_TICKS, seeded("new", name, share, flow))
                row[f"{flow}/day"] = rates(Twin(votes, Rules()).run(0))
            yield row


def gate(scale: Scale) -> Iterable[Row]:
    """What the burn gate and the design effect are worth."""
    for name in ("independent", "threads of 3", "threads of 10", "threads of 3, swing, bursty"):
        for label, rules in (
            ("with all", Rules()),
            ("without the gate", Rules(gate=False)),
            ("without the design effect", Rules(tempered=False)),
        ):
            yield {"rules": label} | alarms(scale, name, replace(WORLDS[name], share=0.15), rules, (50, 500, 5000))


def resolving(scale: Scale) -> Iterable[Row]:
    """How alerts end: trouble of three days."""
    lasts = 3 * TICKS_PER_DAY
    for flow in (50, 500, 5000):
        for times in (1.5, 2.0, 3.0):
            begins = HISTORY_TICKS + WARM_TICKS
            course = pulse(begins, begins + lasts, times)
            brands = scale.of(DELAYED[flow])
            world = World(share=0.15, per_day=flow, course=course)
            votes = truth(world, brands, HISTORY_TICKS + 14 * TICKS_PER_DAY, seeded("resolve", flow, times))
            early: list[bool] = []
            late: list[int] = []
            again = 0
            for events in Twin(votes, Rules()).run(HISTORY_TICKS):
                pages = [one.tick for one in events if one.kind == "page" and begins <= one.tick < begins + lasts]
                if not pages:
                    continue
                ends = [one.tick for one in events if one.kind == "end" and one.tick > pages[0]]
                early.append(bool(ends and ends[0] < begins + lasts))
                late.extend(end - begins - lasts for end in [one for one in ends if one >= begins + lasts][:1])
                again += sum(1 for one in merged(events) if one.kind == "page" and one.tick > pages[0])
            yield {
                "trouble of 3 days": f"x{times:g}, {flow}/day",
                "paged": f"{len(early) / brands:.0%}",
                "ends too early": f"{np.mean(early):.0%}" if early else "-",
                "hours to the end after it": f"{np.median(late) / 12:.1f}" if late else "-",
                "hours, 90 %": f"{np.quantile(late, 0.9) / 12:.1f}" if late else "-",
                "further pages a brand": f"{again / max(len(early), 1):.2f}",
            }


def swinging(scale: Scale) -> Iterable[Row]:
    """A share that swings around the budget for a week."""
    allowed = 0.1875
    for flow in (50, 500, 5000):
        for hours in (2, 6, 24):
            brands = scale.of(DELAYED[flow] // 2)
            world = World(share=allowed, per_day=flow, course=wave(HISTORY_TICKS, hours * 12, 0.1))
            votes = truth(world, brands, HISTORY_TICKS + 7 * TICKS_PER_DAY, seeded("wave", flow, hours))
            found = Twin(votes, Rules(allowance=Allowance(budget=allowed))).run(HISTORY_TICKS)
            tickets, pages = counted(found)
            pages_of = [[one.tick for one in merged(events) if one.kind == "page"] for events in found]
            yield {
                "b +-10 % by turns": f"every {hours} h, {flow}/day",
                "pages a brand": f"{pages / brands:.2f}",
                "tickets a brand": f"{tickets / brands:.2f}",
                "most pages of a brand in 24 h": f"{max(most_in_a_day(one) for one in pages_of)}",
            }


def drifting(scale: Scale) -> Iterable[Row]:
    """The share rises slowly to twice the usual, and stays there."""
    for weeks in (1, 2, 4, 8):
        for flow in (50, 500, 5000):
            brands = scale.of(DELAYED[flow] // 3)
            days = weeks * 7 + 14
            course = ramp(HISTORY_TICKS, weeks * 7 * TICKS_PER_DAY, 2.0)
            world = World(share=0.15, per_day=flow, course=course)
            votes = truth(world, brands, HISTORY_TICKS + days * TICKS_PER_DAY, seeded("drift", weeks, flow))
            found = Twin(votes, Rules()).run(HISTORY_TICKS)
            row = {"15 % to 30 % in": f"{weeks} weeks, {flow}/day"}
            for kind in ("page", "ticket"):
                first = [next((one.tick for one in events if one.kind == kind), None) for events in found]
                known = [(one - HISTORY_TICKS) / TICKS_PER_DAY for one in first if one is not None]
                middle = f", day {np.median(known):.0f} in the median" if known else ""
                row[kind] = f"{len(known) / brands:.0%}{middle}"
            yield row


def errors(scale: Scale) -> Iterable[Row]:
    """Labels that are wrong, also in one direction only."""
    for label, missed, invented in (
        ("no errors", 0.0, 0.0),
        ("10 % flipped", 0.1, 0.1),
        ("20 % flipped", 0.2, 0.2),
        ("10 % of negative missed", 0.1, 0.0),
        ("20 % of negative missed", 0.2, 0.0),
        ("10 % of others called negative", 0.0, 0.1),
        ("20 % of others called negative", 0.0, 0.2),
    ):
        scorer = Scorer(recall=1 - missed, false_positive=invented)
        world = World(share=0.15, per_day=0)
        found = alarms(scale, label, world, Rules(), (50, 500), scorer)
        row = {"labels": label} | {f"false alarms, {flow}/day": found[f"{flow}/day"] for flow in (50, 500)}
        for times in (2.0, 3.0):
            row[f"x{times:g}, 500/day"] = delays(scale, World(share=0.15, per_day=500), times, Rules(), scorer)["page"]
        yield row


def delay(scale: Scale) -> Iterable[Row]:
    """From a step of the share to page and ticket: how many within 72 h, median hours and mentions."""
    for flow in FLOWS:
        for times in (1.5, 2.0, 3.0):
            yield {"true labels": f"x{times:g}, {flow}/day"} | delays(scale, World(share=0.15, per_day=flow), times)
    for times in (1.5, 2.0, 3.0):
        world = World(share=0.15, per_day=500, thread=3, same=0.8)
        yield {"true labels": f"x{times:g}, 500/day, threads of 3"} | delays(scale, world, times)
    for name in ("daily swing", "day and weekend", "mood of the day"):
        for flow in (500, 5000):
            world = replace(WORLDS[name], share=0.15, per_day=flow)
            yield {"true labels": f"x2, {flow}/day, {name}"} | delays(scale, world, 2.0)


def scorers(scale: Scale) -> Iterable[Row]:
    """The same scorer's label, its risk against the mean risk, and its risk by its sharpness."""
    for auc in (0.85, 0.95):
        scorer = scorer_of(auc, 0.15)
        for flow, times in ((50, 3.0), (500, 1.5), (500, 2.0), (500, 3.0), (5000, 2.0)):
            world = World(share=0.15, per_day=flow)
            yield {
                "scorer": f"AUC {auc:.2f}, x{times:g}, {flow}/day",
                "label": delays(scale, world, times, Rules(), scorer)["page"],
                "risk, mean only": delays(scale, world, times, Rules(), scorer, risk=True)["page"],
                "risk, by its sharpness": delays(scale, world, times, RISK, scorer, risk=True)["page"],
            }


def naive(scale: Scale) -> Iterable[Row]:
    """Rules that look obvious, on independent mentions, beside evidence."""
    brands = scale.of(400)
    quiet = truth(World(share=0.15, per_day=500), brands, HISTORY_TICKS + MONTH_TICKS, seeded("naive"))
    begins = HISTORY_TICKS + WARM_TICKS
    loud = {
        times: truth(
            World(share=0.15, per_day=500, course=step(begins, times)),
            brands,
            HISTORY_TICKS + 10 * TICKS_PER_DAY,
            seeded("naive", times),
        )
        for times in (2.0, 3.0)
    }
    for name, rule in RULES.items():
        fired = naive_alarms(rule, quiet, HISTORY_TICKS)
        row = {"rule": name, "false alarms": interval(sum(len(one) for one in fired), brands)}
        for times, votes in loud.items():
            firsts = [
                next((one for one in ticks if one >= begins), None) for ticks in naive_alarms(rule, votes, begins)
            ]
            row[f"x{times:g}"] = timed(firsts, Twin(votes, Rules()).number, begins)
        yield row
    row = {
        "rule": "evidence (pages)",
        "false alarms": interval(counted(Twin(quiet, Rules()).run(HISTORY_TICKS))[1], brands),
    }
    for times in loud:
        row[f"x{times:g}"] = delays(scale, World(share=0.15, per_day=500), times)["page"]
    yield row


def topics(scale: Scale) -> Iterable[Row]:
    """Trouble in one topic of five: evidence of the brand alone, and shared with a stream for every topic."""
    begins = HISTORY_TICKS + WARM_TICKS
    for flow in (50, 500, 5000):
        brands = scale.of(DELAYED[flow] // 2)
        for label, touched, times in (("nothing", 0, 1.0), ("one topic of five x3", 1, 3.0), ("all x2", TOPICS, 2.0)):
            days = 30 if not touched or flow < 500 else 14
            found, twin = by_topic(flow, brands, touched, times, seeded("topics", flow, label), begins, days)
            row = {"trouble": f"{label}, {flow}/day"}
            for name, firsts in found.items():
                pages = [one for one in firsts if one is not None]
                row[name] = timed(firsts, twin.number, begins) if touched else interval(len(pages), brands)
            yield row


PARTS: dict[str, tuple[str, Callable[[Scale], Iterable[Row]]]] = {
    "alarms": ("False alarms: pages a brand and month [95 %] (tickets)", false_alarms),
    "risk": ("False alarms where the risk counts, by its sharpness", risks),
    "new": ("False alarms in the first month of a brand without history", newcomers),
    "gate": ("What the burn gate and the design effect are worth: false alarms", gate),
    "resolve": ("How alerts end", resolving),
    "wave": ("A share that swings around the budget for 7 days", swinging),
    "drift": ("Slow drift", drifting),
    "errors": ("Wrong labels: false alarms, and pages within 72 h, median hours, median mentions", errors),
    "delay": ("Delay after a step from 15 %: within 72 h, median hours, median mentions", delay),
    "scorers": ("Delay of pages by what a mention counts with", scorers),
    "naive": ("Other rules, 15 %, 500 a day, independent", naive),
    "topics": ("Evidence shared among topics: pages", topics),
}

if __name__ == "__main__":
    main()
