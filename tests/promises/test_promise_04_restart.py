"""Promise 4: a restart does not page again. What fires goes on firing, as the same alert, and its end still comes."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest

from listener.alerts.detection.rules import HighRisk
from listener.alerts.wire.oncall import Command
from listener.domain import Act
from listener.pipeline import deliver
from listener.serving import serving
from listener.store import Database
from tests.acceptance.daemon import Subscriber, daemon, subscriber
from tests.integration.test_calendars import NOW, text
from tests.integration.test_calendars_stored import night, read_and_stored, running
from tests.integration.test_pipeline_beside import daemon_of
from tests.misbehaving import misbehaving
from tests.mosquitto import ANYBODY, mosquitto, until
from tests.promises.chaos import PATIENCE_SECS, Outcry, configuration, eventually, kept
from tests.promises.on_call import OnCall
from tests.promises.wired import complaint, following, names, rows
from tests.running import HOUR, Bench, bench, state_of


@contextlib.asynccontextmanager
async def lives(database: Database, after: timedelta) -> AsyncIterator[Bench]:
    """A process that knows nothing but what the database says."""
    async with bench(database) as plain:
        at = following(plain, names(1))
        at.clock[0] += after
        yield at


async def test_promise_04_restart_does_not_page_again_and_the_end_still_comes(database: Database) -> None:
    """Each life ends while the alert fires; the last one sees how it is over."""
    taken: list[tuple[str, int, str]] = []
    cooldown = timedelta(seconds=HighRisk(name="high_risk").cooldown_secs)
    for hours in (0, 1, 2, 3, 4, 5):
        async with lives(database, hours * HOUR) as at:
            if hours == 0:
                await at.heard(complaint(names(1)[0], at=at.clock[0]))
            found = [await at.look(), await at.look(timedelta(minutes=1))]
            await deliver(at.parts, "inbox")
            states = [state_of(one, names(1)[0]) for one in found]
            assert {state.state for state in states} == {"critical"}
            taken += [(one.alert_id, one.seq, one.reason.value) for one in at.inbox.taken if not one.repeat]
            assert {state.alert_id for state in states} == {taken[0][0]}
    assert [(seq, reason) for _, seq, reason in taken] == [(1, "first")]
    async with lives(database, cooldown + HOUR) as at:
        await at.look()
        await deliver(at.parts, "inbox")
        ended = [(one.alert_id, one.seq, one.reason.value) for one in at.inbox.taken]
    assert ended == [(taken[0][0], 2, "resolved")]
    assert await rows(database, "SELECT count(*) FROM event") == [(2,)]


def state_heard(heard: Subscriber, brand: str) -> dict[str, object]:
    """The last state that was retained."""
    return [body for topic, _, body in heard.messages if topic == f"listener/v1/brand/{brand}/state"][-1]


@pytest.mark.timeout(300)
async def test_promise_04_restart_of_a_daemon_that_is_killed_while_an_alert_fires(tmp_path: Path, model: Path) -> None:
    """After the kill, looks that find something else find no second event; a person's resolve ends the same alert."""
    outcry = Outcry()
    with mosquitto(tmp_path, ANYBODY) as broker, OnCall(broker.port).listening() as on_call:
        async with serving(lambda _: outcry.application(), "127.0.0.1", 0) as url:
            config = configuration(tmp_path, url=url, model=model, port=broker.port, brands=2)
            outcry.write()
            async with daemon(config) as running:
                await eventually(lambda: on_call.told)
                await running.kill()
            first = on_call.told[0]
            outcry.write()
            database = Database(f"sqlite:///{tmp_path}/listener.db")
            async with daemon(config) as running, subscriber(broker.port) as heard:
                await running.logged("daemon.started", within=PATIENCE_SECS)
                # The rules have looked: they found the other one.
                await eventually(lambda: len(on_call.told) > 1)
                assert [(one.brand, one.seq) for one in on_call.told] == [("b0", 1), ("b1", 1)]
                assert len((await kept(database)).events) == 2
                await eventually(lambda: state_heard(heard, "b0")["state"] == "critical")
                assert state_heard(heard, "b0")["alert_id"] == first.alert_id
                command = Command(action=Act.RESOLVE, seq=1, by="mari")
                async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                    topic = f"listener/v1/brand/b0/alert/{first.alert_id}/ack"
                    await client.publish(topic, command.model_dump_json(exclude_none=True), qos=1)
                await eventually(lambda: len(on_call.told) > 2)
            await database.close()
    last = on_call.told[-1]
    assert (last.alert_id, last.seq, last.reason.value) == (first.alert_id, 2, "resolved")


async def test_promise_04_restart_knows_who_is_on_call_before_it_tells_anybody(database: Database) -> None:
    """Though the server of the calendar hangs: the last good copy is a row, too."""
    async with misbehaving() as server, bench(database) as at:
        settings, policy = night(server.url("/hang"))
        at.parts = replace(at.parts, policy=policy, sources={})
        await read_and_stored(database, text("Mari"), chosen=policy)
        listener = daemon_of(at, settings)
        async with running(listener):
            await until(lambda: listener.tasks)
            assert {name: one.on_call(NOW) for name, one in listener.app.calendars.items()} == {"night": ("mari",)}
            await until(lambda: server.requests)
