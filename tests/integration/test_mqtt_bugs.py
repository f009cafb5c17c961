"""Bugs, over a real Mosquitto: each costs what it is in, is told with its trace, and no connection ends for good."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from listener.alerts.mqtt import commands
from listener.alerts.mqtt import receiver as receiving
from listener.alerts.mqtt.messages import heartbeat_of
from listener.alerts.mqtt.receiver import MqttReceiver
from tests.alerting import NOW
from tests.integration.test_mqtt import connected, notification, options, state, subscriber
from tests.integration.test_mqtt_commands import Desk, cut, listening, note, send
from tests.mosquitto import Mosquitto, mosquitto, until
from tests.mqtt_messages import action_payload


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """What is logged."""
    structlog.reset_defaults()
    with capture_logs() as found:
        yield found


def watched(broker: Mosquitto, **changes: Any) -> tuple[MqttReceiver, SimpleNamespace]:
    """A receiver, and what it tells of refusals and bugs."""
    told = SimpleNamespace(refused=[], crashes=[])
    mqtt = MqttReceiver(
        options(broker),
        instance="one",
        version="0.1",
        clock=lambda: NOW,
        on_refused=told.refused.append,
        on_crash=lambda: told.crashes.append(None),
        **changes,
    )
    return mqtt, told


async def test_a_state_that_is_no_json_is_refused_alone(broker: Mosquitto, logs: list[Any]) -> None:
    """The states beside it, and alerts, go on over the same connection; and it is told once it can be."""
    mqtt, told = watched(broker)
    broken = state(brand="broken").model_copy(update={"perception": float("nan")})
    async with subscriber(broker.port) as heard, mqtt:
        mqtt.publish_states({"broken": broken, "acme": state()})
        await until(lambda: heard.on("listener/v1/brand/acme/state") and told.refused)
        await mqtt.deliver(notification())
        assert mqtt.connected
        assert not mqtt.settled
        mqtt.publish_states({"broken": state(brand="broken")})
        await until(lambda: heard.on("listener/v1/brand/broken/state"))
    assert told.refused == ["state"]
    assert told.crashes == []
    assert broker.log.count("New client connected") == 2  # we and the subscriber, once each
    assert any(entry["event"] == "mqtt.unpublishable" and entry["exc_info"] for entry in logs)


async def test_an_action_that_is_no_json_is_left_out_alone(broker: Mosquitto) -> None:
    mqtt, told = watched(broker)
    async with subscriber(broker.port) as heard, mqtt:
        mqtt.publish_action(action_payload().model_copy(update={"by": "\ud800"}))
        mqtt.publish_action(action_payload(by="mari"))
        await until(lambda: heard.on("listener/v1/one/actions"))
        assert [one["by"] for one in heard.values("listener/v1/one/actions")] == ["mari"]
    assert told.refused == ["action"]
    assert told.crashes == []


async def test_a_bug_in_the_connection_leads_to_a_new_one(
    broker: Mosquitto, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mqtt, told = watched(broker)

    def once(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(receiving, "heartbeat_of", heartbeat_of)
        raise ZeroDivisionError

    monkeypatch.setattr(receiving, "heartbeat_of", once)
    async with subscriber(broker.port) as heard, mqtt:
        await until(lambda: heard.on("listener/v1/one/heartbeat"))
        assert mqtt.ended is None
        await mqtt.deliver(notification())
    assert len(told.crashes) == 1
    (crash,) = (entry for entry in logs if entry["event"] == "mqtt.crashed")
    assert isinstance(crash["exc_info"], ZeroDivisionError)
    (lost,) = (entry for entry in logs if entry["event"] == "mqtt.disconnected")
    assert lost["problem"] == "crashed: ZeroDivisionError"


async def test_a_bug_in_hearing_costs_that_message(
    broker: Mosquitto, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either connection; the message does not come again with it."""
    parse, desk = commands.parse, Desk()

    def first(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(commands, "parse", parse)
        raise ZeroDivisionError

    def stray(*_: Any, **__: Any) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "parse", first)
    monkeypatch.setattr(receiving, "is_stray", stray)
    await send(broker, {"left": "over"}, topic="listener/v1/brand/other/state", retain=True)
    mqtt, told = watched(broker, on_action=desk.take, brands={"acme": "Acme"})
    async with mqtt:
        await connected(mqtt)
        await listening(broker)
        await send(broker, note("breaks it"), note("next"))
        await until(lambda: desk.taken and len(told.crashes) == 2)
        await until(lambda: broker.log.count("Received PUBACK from listener-one-commands") == 2)
        assert mqtt.connected
    assert desk.comments == ["next"]
    assert sorted(entry["client"] for entry in logs if entry["event"] == "mqtt.crashed") == [
        "listener-one",
        "listener-one-commands",
    ]


async def test_a_task_that_is_gone_for_good_is_known(broker: Mosquitto, logs: list[Any]) -> None:
    """It takes a bug in what is told of failures: nothing else is left that could end one."""

    def broken(_: str) -> None:
        raise ZeroDivisionError

    desk = Desk()
    mqtt, _ = watched(broker, on_action=desk.take)
    assert mqtt._commands is not None
    mqtt._commands._failed = broken  # type: ignore[method-assign, assignment]
    async with mqtt:
        await connected(mqtt)
        await listening(broker)
        await send(broker, note("hello"))
        await until(lambda: desk.taken)
        before = mqtt.ended
        cut(mqtt)
        await until(lambda: mqtt.ended)
        assert (before, mqtt.ended) == (None, "mqtt-commands")
        await mqtt.deliver(notification())
    assert any(entry["event"] == "mqtt.crashed" and entry["task"] == "mqtt-commands" for entry in logs)
