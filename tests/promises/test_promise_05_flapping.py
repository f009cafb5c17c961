"""Promise 5: a brand that swings around its budget for a week wakes somebody once a day at most."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.domain import AlertState, Notification, Reason, Severity
from listener.store import Database, alerts, migrate
from tests.mentions import NOW
from tests.oncall import World, event
from tests.running import HOUR, bench, told, usual, voices

DAY = timedelta(days=1)


@pytest.mark.parametrize(("swing", "wakes"), [(0.1, False), (0.9, True)])
async def test_promise_05_a_week_of_square_waves_around_the_budget(tmp_path: Path, swing: float, wakes: bool) -> None:
    """Half a day above the budget, half a day below: what has ended comes back, and is the same alert."""
    database = Database(f"sqlite:///{tmp_path / 'listener.db'}")
    await migrate.upgrade(database)
    woken: list[datetime] = []
    async with bench(database) as at:
        await usual(at)
        for half in range(14):
            share = 0.25 * (1 + swing if half % 2 else 1 - swing)
            for hour in range(0, 12, 3):
                start, bad = 10_000 + 1_000 * half + 50 * hour, round(30 * share)
                await at.heard(*voices("Bolt", 30, bad=bad, at=at.clock[0], start=start, every=timedelta(minutes=4)))
                await at.look(3 * HOUR)
                before = len(at.inbox.taken)
                await told(at)
                woken += [at.clock[0] for one in at.inbox.taken[before:] if _wakes(one)]
        kept = await alerts.recent(database, limit=50)
    await database.close()
    assert bool(woken) is wakes
    for one in woken:
        assert sum(one <= other < one + DAY for other in woken) <= 1, woken
    assert len({alert.id for alert in kept}) <= 7


def _wakes(one: Notification) -> bool:
    return one.severity is Severity.CRITICAL and one.reason in {Reason.FIRST, Reason.WORSENED, Reason.REOPENED}


@settings(max_examples=60, deadline=None)
@given(minutes=st.lists(st.integers(1, 240), min_size=1, max_size=60))
def test_promise_05_an_alert_that_opens_and_ends_again_and_again_floods_nobody(minutes: list[int]) -> None:
    world = World()
    world.fire("acme")
    world.round()
    sent, seq = [], 1
    for number, after in enumerate(minutes):
        seq += 1
        over = number % 2 == 0
        world.now += timedelta(minutes=after)
        world.decide(
            event(
                seq=seq,
                reason=Reason.RESOLVED if over else Reason.REOPENED,
                state=AlertState.RESOLVED if over else AlertState.FIRING,
            )
        )
        sent += [world.now for _ in world.round().messages]
    # The bucket: five at once and ten an hour, of pages and of ends each, and one more each five minutes for the rest.
    hours = (world.now - NOW) / HOUR
    assert len(sent) <= 2 * (5 + 10 * hours) + 2 * (12 * hours + 1)
    assert all(one.alert_id == event().alert_id for one in world.responses.values())
