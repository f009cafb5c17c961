"""Promise 15: what is retained always converges to how things stand, whatever the broker forgets, keeps or refuses."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from listener.alerts.mqtt import retained
from listener.alerts.mqtt.connection import BACKOFF_MAX_SECS
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.wire.payload import as_json
from tests.alerting import NOW, alert
from tests.integration.test_mqtt import Subscriber, connected, options, state, subscriber
from tests.mosquitto import ANYBODY, Mosquitto, mosquitto, until

BRANDS = {f"brand{number}": f"Brand {number}" for number in range(100)}
STATUS = "listener/v1/one/status"
CONVERGED_SECS = 10.0


def receiver(broker: Mosquitto, **changes: Any) -> MqttReceiver:
    """A daemon that follows these brands."""
    return MqttReceiver(
        options(broker), instance="one", version="0.1", clock=lambda: NOW, **{"brands": BRANDS, **changes}
    )


def states_heard(heard: Subscriber) -> dict[str, str]:
    """The state of each brand that is retained."""
    values = [heard.values(f"listener/v1/brand/{brand}/state") for brand in BRANDS]
    return {told[-1]["brand"]: told[-1]["state"] for told in values if told and told[-1] is not None}


async def test_promise_15_state_always_converges_after_a_broker_forgot_all(tmp_path: Path) -> None:
    """Persistence is off and the broker is killed: status and all states are back within ten seconds of its return."""
    with mosquitto(tmp_path, f"{ANYBODY}\npersistence false") as broker:
        async with receiver(broker) as mqtt:
            mqtt.publish_states({brand: state(brand=brand) for brand in BRANDS})
            await connected(mqtt)
            await until(lambda: mqtt.settled)
            broker.kill()
            await until(lambda: not mqtt.connected)
            mqtt.publish_states({"brand7": state(alert(), brand="brand7")})
            broker.start()
            back_at = time.monotonic()
            async with subscriber(broker.port) as heard:
                await until(lambda: len(states_heard(heard)) == len(BRANDS) and heard.on(STATUS))
                assert time.monotonic() - back_at < CONVERGED_SECS
                assert heard.values(STATUS)[-1]["state"] == "online"
                expected = dict.fromkeys(BRANDS, "ok") | {"brand7": "critical"}
                assert states_heard(heard) == expected


def test_promise_15_state_always_converges_however_long_the_broker_was_away() -> None:
    """The longest pause between two attempts to connect leaves half of the time to publish."""
    assert BACKOFF_MAX_SECS <= CONVERGED_SECS / 2


async def test_promise_15_state_always_converges_to_the_brands_that_there_are(tmp_path: Path) -> None:
    """What an earlier run of ours left of a brand that is gone is taken away; what others wrote stays."""
    kept = {
        "listener/v1/brand/shared/state": as_json(state(brand="shared").model_copy(update={"instance": "two"})),
        "listener/v1/brand/old/state": as_json(state(brand="old")),  # by a version that did not say who it is
        "listener/v1/brand/wrong/state": as_json(state(brand="other").model_copy(update={"instance": "one"})),
        "listener/v1/brand/strange/state": {"type": "state", "instance": "one", "brand": "strange"},
    }
    gone = as_json(state(brand="gone").model_copy(update={"instance": "one"}))
    with mosquitto(tmp_path) as broker:
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            for topic, content in (*kept.items(), ("listener/v1/brand/gone/state", gone)):
                await client.publish(topic, json.dumps(content), qos=1, retain=True)
            await client.publish("listener/v1/brand/noise/state", b"\xff{", qos=1, retain=True)
        async with subscriber(broker.port) as heard, receiver(broker, brands={"acme": "Acme"}) as mqtt:
            mqtt.publish_states({"acme": state()})
            await until(lambda: heard.values("listener/v1/brand/gone/state")[-1:] == [None])
            await until(lambda: mqtt.settled)
        async with subscriber(broker.port) as late:
            await until(lambda: late.on("listener/v1/brand/acme/state"))
            # Another message makes sure that all that is retained has come.
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.publish("end", b"", qos=1)
            await until(lambda: late.on("end"))
            topics = {str(message.topic) for message in late.messages if message.retain}
            assert topics == {*kept, STATUS, "listener/v1/brand/noise/state", "listener/v1/brand/acme/state"}
            assert late.values("listener/v1/brand/acme/state")[0]["instance"] == "one"


async def test_promise_15_state_always_converges_once_the_broker_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused state, status or clearing is counted and tried again, not forgotten."""
    monkeypatch.setattr(retained, "RETRY_FIRST_SECS", 0.1)
    acl = tmp_path / "acl"
    acl.write_text("topic write listener/v1/one/heartbeat\ntopic read #\n", "utf-8")
    refused: list[str] = []
    with mosquitto(tmp_path, f"{ANYBODY}\nacl_file {acl}") as broker:
        async with receiver(broker, on_refused=refused.append) as mqtt, subscriber(broker.port) as heard:
            await connected(mqtt)
            mqtt.publish_states({"brand1": state(brand="brand1")}, gone=["brand2"])
            await until(lambda: refused.count("state") >= 4)
            assert set(refused) == {"state", "status"}
            assert not mqtt.settled
            acl.write_text("topic readwrite #\n", "utf-8")
            os.kill(broker.pid, signal.SIGHUP)
            await until(lambda: mqtt.settled)
            await until(lambda: heard.on(STATUS) and states_heard(heard) == {"brand1": "ok"})
            await until(lambda: heard.values("listener/v1/brand/brand2/state") == [None])
