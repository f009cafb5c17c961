"""Promise 3: no duplicate page. An alert may come over the wire several times; a person is told once."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from listener.domain import Event, Reason, Severity
from listener.pipeline import deliver, evaluate, tell
from listener.store import Database, events
from tests.mosquitto import ANYBODY, PATIENCE_SECS, mosquitto, until
from tests.oncall import event
from tests.promises.on_call import OnCall
from tests.promises.wired import complaint, following, names, over_mqtt, receiver, rows
from tests.running import bench

TWICE = "UPDATE event SET open = true, outcome = NULL, dispatched_at = NULL"
NOTIFICATIONS = "SELECT alert_id, seq, reason, repeat FROM notification ORDER BY row"


async def test_promise_03_no_duplicate_page_from_a_frozen_broker(tmp_path: Path, database: Database) -> None:
    """Frozen twice while an alert is under way: three copies arrive, and whoever drops repeats is told once."""
    with mosquitto(tmp_path, ANYBODY) as broker, OnCall(broker.port).listening() as on_call:
        async with bench(database) as plain, receiver(broker, plain.parts.now) as mqtt:
            at = following(plain, names(1), **over_mqtt(mqtt))
            await until(lambda: on_call.subscribed)
            await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
            await at.heard(complaint(names(1)[0], at=at.clock[0]))
            await at.look()
            for number in range(2):
                broker.freeze()
                assert await deliver(at.parts, "mqtt") == 0
                broker.thaw()
                await until(lambda copies=number + 1: len(on_call.messages) >= copies)  # type: ignore[misc]
                await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
                at.clock[0] += timedelta(minutes=1)
            assert await deliver(at.parts, "mqtt") == 1
            await until(lambda: len(on_call.messages) >= 3)
    assert len(on_call.messages) == 3
    assert on_call.messages[0] == on_call.messages[1] == on_call.messages[2]
    assert [one.brand for one in on_call.told] == names(1)


async def test_promise_03_no_duplicate_page_from_two_daemons_at_once(database_url: str) -> None:
    """Two that share a database decide at the same time who is told: one of them makes the notification."""
    one, other = Database(database_url), Database(database_url)
    try:
        async with bench(one) as first, bench(other) as second:
            a, b = following(first, names(10)), following(second, names(10))
            for number, name in enumerate(names(10)):
                await a.heard(complaint(name, at=a.clock[0]))
                await evaluate(a.parts)
                told = await asyncio.gather(tell(a.parts), tell(b.parts))
                assert sorted(told) == [0, 1], f"alert {number}"
            await asyncio.gather(*(deliver(x.parts, "inbox") for x in (a, b, a, b)))
            taken = [(one.alert_id, one.seq) for one in (*a.inbox.taken, *b.inbox.taken)]
            assert len(taken) == len(set(taken)) == 10
        assert len(await rows(one, NOTIFICATIONS)) == 10
    finally:
        await one.close()
        await other.close()


async def test_promise_03_no_duplicate_page_from_an_event_that_is_dispatched_twice(database: Database) -> None:
    """As if it had been forgotten that people were told: the same notification is there already."""
    async with bench(database) as plain:
        at = following(plain, names(3))
        await at.heard(*(complaint(name, at=at.clock[0]) for name in names(3)))
        await at.look()
        before = await rows(database, NOTIFICATIONS)
        assert len(before) == 3
        for forget_response in (False, True):
            async with database.writing() as connection:
                await connection.execute(text(TWICE))
                if forget_response:
                    await connection.execute(text("DELETE FROM response"))
            await tell(at.parts)
            assert await rows(database, NOTIFICATIONS) == before
        assert await deliver(at.parts, "inbox") == 3
        assert await deliver(at.parts, "inbox") == 0


@pytest.mark.parametrize("changed", [{}, {"severity": Severity.WARNING}, {"reason": Reason.WORSENED}])
async def test_promise_03_no_duplicate_page_from_an_event_that_is_kept_twice(
    database: Database, changed: dict[str, Any]
) -> None:
    """An event is its alert and its number, whatever else is said of it: the first one stays."""
    first: Event = event()
    for one in (first, event(**changed)):
        async with database.writing() as connection:
            await events.write(connection, database.dialect, [one])
    kept = await rows(database, "SELECT alert_id, seq, severity, reason FROM event")
    assert kept == [(first.alert_id, 1, first.severity.value, first.reason.value)]
