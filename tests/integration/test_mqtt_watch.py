"""``watch`` on a real Mosquitto: what a terminal gets to see, each alert once, also over a restart of the broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from pydantic import BaseModel

from listener.alerts.mqtt.watch import Connection, Event, watch
from listener.alerts.wire import payload
from listener.alerts.wire.oncall import BundlePayload
from listener.alerts.wire.payload import AlertPayload, StatePayload, StatusPayload, as_json
from listener.config.mqtt import MqttOptions
from listener.domain import Reason, Severity
from tests.alerting import NOW, alert, signal
from tests.mosquitto import ANYBODY, Mosquitto, free_port, mosquitto, until
from tests.mqtt_messages import action_payload, bundle_payload, test_payload, watchdog_payload

ALERT = alert(severity=Severity.WARNING, signal=signal(severity=Severity.WARNING))
EVENT = payload.alert_payload(ALERT, Reason.FIRST, title="Acme", evidence=(), now=NOW)
STATE = payload.state_payload("acme", title="Acme", alerts=[ALERT], signal=ALERT.signal, now=NOW)
BIRTH = payload.birth_payload("one", version="0.1", now=NOW)


async def say(port: int, topic: str, body: BaseModel | bytes, *, retain: bool = False) -> None:
    """Publish as anybody could."""
    raw = body if isinstance(body, bytes) else json.dumps(as_json(body)).encode()
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(topic, raw, qos=1, retain=retain)


@asynccontextmanager
async def watching(port: int, prefix: str = "listener/v1") -> AsyncIterator[list[Event]]:
    """The events that are seen, as they come."""
    events: list[Event] = []
    options = MqttOptions(host="127.0.0.1", port=port, timeout_secs=1.0, topic_prefix=prefix)
    task = asyncio.create_task(watch(options, on_event=events.append))
    try:
        yield events
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def persistent(tmp_path: Path) -> str:
    """A broker that keeps what it retains over a restart."""
    return (
        f"{ANYBODY}\npersistence true\npersistence_location {tmp_path}/\nautosave_on_changes true\nautosave_interval 1"
    )


async def test_a_watcher_sees_what_is_and_then_what_happens(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        await say(broker.port, "listener/v1/one/status", BIRTH, retain=True)
        await say(broker.port, "listener/v1/brand/acme/state", STATE, retain=True)
        async with watching(broker.port) as events:
            await until(lambda: len(events) == 3)
            assert events[0] == Connection(problem=None)
            assert {type(event) for event in events[1:]} == {StatusPayload, StatePayload}
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT)
            await until(lambda: events[-1] == EVENT)


async def test_a_repeat_and_a_strangers_message_are_passed_over(tmp_path: Path) -> None:
    topic = "listener/v1/brand/acme/alert/warning"
    with mosquitto(tmp_path) as broker:
        async with watching(broker.port) as events:
            await until(lambda: events)
            for body in (EVENT, EVENT, b"\x00 not ours", EVENT.model_copy(update={"seq": 2})):
                await say(broker.port, topic, body)
            await until(lambda: len(events) == 3)
            assert [event.seq for event in events if isinstance(event, AlertPayload)] == [1, 2]


async def test_a_watcher_sees_every_kind_of_message_and_no_commands(tmp_path: Path) -> None:
    """A command on the topic of an alert is no alert, and a reminder is no repeat."""
    with mosquitto(tmp_path) as broker:
        async with watching(broker.port) as events:
            await until(lambda: events)
            kinds = {
                "one/alert/critical": bundle_payload(),
                "one/digest": bundle_payload(kind="held", repeat=1),
                "one/watchdog": watchdog_payload(),
                "one/test": test_payload(),
                "one/actions": action_payload(),
                "brand/acme/alert/warning": EVENT.model_copy(update={"repeat": 1}),
            }
            for topic in (f"brand/acme/alert/{ALERT.id}/ack", f"one/alert/{ALERT.id}/ack"):
                await say(broker.port, f"listener/v1/{topic}", EVENT)
            for topic, body in kinds.items():
                await say(broker.port, f"listener/v1/{topic}", body)
                await say(broker.port, f"listener/v1/{topic}", body)
            await until(lambda: kinds["brand/acme/alert/warning"] in events)
            alerts = [event for event in events if isinstance(event, AlertPayload | BundlePayload)]
            assert alerts == [one for one in kinds.values() if isinstance(one, AlertPayload | BundlePayload)]
            assert all(one in events for one in kinds.values())
            assert EVENT not in events


async def test_another_prefix_is_another_world(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with watching(broker.port, prefix="staging") as events:
            await until(lambda: events)
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT)
            await say(broker.port, "staging/brand/acme/alert/warning", EVENT.model_copy(update={"seq": 7}))
            await until(lambda: len(events) == 2)
            assert [event.seq for event in events if isinstance(event, AlertPayload)] == [7]


async def test_the_watch_goes_on_after_a_restart_of_the_broker(tmp_path: Path, persistent: str) -> None:
    with mosquitto(tmp_path, persistent) as broker:
        async with watching(broker.port) as events:
            await until(lambda: events)
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT)
            await until(lambda: EVENT in events)
            await restart(broker, events)
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT)
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT.model_copy(update={"seq": 2}))
            await until(lambda: isinstance(events[-1], AlertPayload) and events[-1].seq == 2)
            assert events.count(EVENT) == 1


async def restart(broker: Mosquitto, events: list[Event]) -> None:
    """Stop, let the watcher notice, start, let it come back."""
    broker.stop()
    await until(lambda: any(isinstance(event, Connection) and event.problem for event in events))
    broker.start()
    await until(lambda: events.count(Connection(problem=None)) == 2)


async def test_two_watchers_do_not_throw_each_other_out(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with watching(broker.port) as first, watching(broker.port) as second:
            await until(lambda: first and second)
            await say(broker.port, "listener/v1/brand/acme/alert/warning", EVENT)
            await until(lambda: EVENT in first and EVENT in second)
            assert first.count(Connection(problem=None)) == second.count(Connection(problem=None)) == 1


async def test_without_a_broker_the_watcher_is_told_once() -> None:
    async with watching(free_port()) as events:
        await until(lambda: events)
        (event,) = events
        assert isinstance(event, Connection)
        assert "refused" in str(event.problem)
