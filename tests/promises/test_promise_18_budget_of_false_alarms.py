"""Promise 18: chance wakes nobody more often than the budget says, in six ways in which chance can be unkind.

A small twin of ``python -m benchmarks.detection``, with fixed seeds: the figures of record come from there.
"""

from dataclasses import replace

import pytest

from benchmarks import detection
from benchmarks._detection_measures import counted, seeded
from benchmarks._detection_streams import truth
from benchmarks._detection_twin import HISTORY_TICKS, MONTH_TICKS, Rules, Twin
from listener.alerts.detection.rules import Deterioration
from listener.metrics import Metrics
from listener.store import Database
from tests.running import bench, turns, usual

BUDGET = 0.5  # a brand and month, the default


async def test_promise_18_the_budget_is_exported_and_the_alerts_are_counted(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        await at.look()
        metrics: Metrics = at.parts.metrics
        budget = metrics.registry.get_sample_value("listener_expected_false_alarms_per_month", {"brand": "bolt"})
        told = metrics.registry.get_sample_value("listener_events_total", {"outcome": "told"})
    assert budget == Deterioration(name="deterioration").false_alarms_per_month == BUDGET
    assert told == 1


STRESSORS = (
    "independent",
    "threads of 2",
    "threads of 3",
    "threads of 10",
    "daily swing",
    "bursty volume",
    "threads of 3, swing, bursty",
)
BRANDS = 40
PER_DAY = 50


@pytest.mark.parametrize("name", STRESSORS)
def test_promise_18_a_month_of_chance_wakes_no_more_than_the_budget(name: str) -> None:
    world = replace(detection.WORLDS[name], share=0.15, per_day=PER_DAY)
    votes = truth(world, BRANDS, HISTORY_TICKS + MONTH_TICKS, seeded("promise 18", name))
    found = Twin(votes, Rules()).run(HISTORY_TICKS)
    _, pages = counted(found)
    assert pages / BRANDS <= BUDGET
