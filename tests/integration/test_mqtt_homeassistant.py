"""Home Assistant: what its documentation demands of a device, and that it is told at the right times.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload, as of 2026.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiomqtt
import jinja2
import pytest

from listener.alerts.mqtt.discovery import discovery, discovery_topic, is_ours, removals
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.mqtt.topics import Topics
from listener.alerts.wire.payload import as_json
from tests.alerting import NOW
from tests.integration.test_mqtt import connected, options, subscriber
from tests.mosquitto import ANYBODY, Mosquitto, mosquitto, until
from tests.mqtt_messages import state_payload

BRANDS = {"acme": "Acme", "Õhk & Vesi": "Õhk & Vesi"}
TOPICS = Topics(prefix="listener/v1", instance="one")
CONFIG = "homeassistant/device/listener_one/config"
# Options that the root of a device's message may have besides dev, o and cmps.
SHARED = {"availability", "availability_mode", "command_topic", "state_topic", "qos", "encoding"}
OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]+")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


def receiver(broker: Mosquitto, *, brands: Mapping[str, str] = BRANDS, **changes: Any) -> MqttReceiver:
    """A daemon that tells Home Assistant, unless told otherwise."""
    values = {"homeassistant": True, **changes}
    return MqttReceiver(options(broker, **values), instance="one", version="0.1", clock=lambda: NOW, brands=brands)


async def say(broker: Mosquitto, topic: str, body: str, *, retain: bool = False) -> None:
    """Publish as anybody could."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.publish(topic, body, qos=1, retain=retain)


def test_the_device_is_as_the_documentation_demands() -> None:
    device = discovery(TOPICS, BRANDS, version="0.1")
    assert device["dev"]["ids"]
    assert device["o"]["name"]
    assert device.keys() - {"dev", "o", "cmps"} <= SHARED
    components = device["cmps"]
    assert len(components) == 4 * len(BRANDS)
    assert len({one["unique_id"] for one in components.values()}) == len(components)
    for key, one in components.items():
        assert OBJECT_ID.fullmatch(key)
        assert one["p"] in {"binary_sensor", "sensor"}
        assert one["state_topic"] in {TOPICS.state(brand) for brand in BRANDS}
        assert not one.keys() & {"dev", "o", "device", "origin", "availability"}  # at the root, where they hold for all
        # An enumeration has options and neither unit nor class of state; no other sensor has options.
        assert ("options" in one) == (one.get("device_class") == "enum")
        assert "options" not in one or not one.keys() & {"state_class", "unit_of_measurement"}
    (available,) = device["availability"]
    assert available["topic"] == TOPICS.status
    assert OBJECT_ID.fullmatch(discovery_topic("homeassistant", "Õhk").split("/")[2])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, {"problem": "ON", "perception": "-48.0", "negative": "60.0", "state": "critical"}),
        ({"state": "warning"}, {"problem": "ON", "perception": "-48.0", "negative": "60.0", "state": "warning"}),
        (
            {"state": "ok", "observed": None, "perception": None},
            {"problem": "OFF", "perception": "None", "negative": "None", "state": "ok"},
        ),
        ({"state": "blind"}, {"problem": "None", "perception": "-48.0", "negative": "60.0", "state": "blind"}),
    ],
)
def test_its_sensors_show_what_a_state_says(changes: dict[str, Any], shown: dict[str, str]) -> None:
    """By the templates, which Home Assistant renders with Jinja; where nothing is known it wants the word None."""
    content = as_json(state_payload(**changes))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    components = discovery(TOPICS, {"acme": "Acme"}, version="0.1")["cmps"]
    rendered = {
        key.removeprefix("acme_"): environment.from_string(one["value_template"]).render(value_json=content)
        for key, one in components.items()
    }
    assert rendered == shown
    options_of_state = components["acme_state"]["options"]
    assert rendered["state"] in options_of_state


async def test_it_is_told_retained_and_again_when_home_assistant_starts(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        await until(lambda: mqtt.settled)
        await until(lambda: heard.on(CONFIG))
        assert heard.values(CONFIG) == [discovery(TOPICS, BRANDS, version="0.1")]
        await say(broker, "homeassistant/status", "offline")
        await say(broker, "homeassistant/status", "online")
        await until(lambda: len(heard.on(CONFIG)) == 2)
        async with subscriber(broker.port) as late:
            await until(lambda: late.on(CONFIG))
            assert late.on(CONFIG)[0].retain
        broker.kill()
        await until(lambda: not mqtt.connected)
        broker.start()
        async with subscriber(broker.port) as late:
            await until(lambda: late.on(CONFIG))


async def test_a_brand_that_is_gone_takes_its_sensors_along(broker: Mosquitto) -> None:
    """Home Assistant removes what a message names with its platform alone; then the rest is retained."""
    async with receiver(broker) as mqtt:
        await until(lambda: mqtt.settled)
    async with subscriber(broker.port) as heard:
        await until(lambda: heard.on(CONFIG))
        async with receiver(broker, brands={"acme": "Acme"}) as mqtt:
            final = discovery(TOPICS, {"acme": "Acme"}, version="0.1")
            await until(lambda: len(heard.on(CONFIG)) >= 3 and mqtt.settled)
        told = heard.values(CONFIG)
        assert told[-1] == final
        removed = [one for config in told for one in config["cmps"].values() if one.keys() == {"p"}]
        assert sorted(one["p"] for one in removed) == ["binary_sensor", "sensor", "sensor", "sensor"]


async def test_once_it_is_switched_off_the_device_goes(broker: Mosquitto) -> None:
    async with receiver(broker) as mqtt:
        await until(lambda: mqtt.settled)
    async with receiver(broker, homeassistant=False), subscriber(broker.port) as heard:
        await until(lambda: heard.values(CONFIG)[-1:] == [None] or (heard.messages and not heard.on(CONFIG)))
    async with subscriber(broker.port) as late:
        await until(lambda: late.on("listener/v1/one/status"))
        assert late.on(CONFIG) == []


async def test_what_somebody_else_put_there_stays(broker: Mosquitto) -> None:
    theirs = json.dumps({"o": {"name": "other"}, "cmps": {"x": {"p": "sensor"}}})
    await say(broker, CONFIG, theirs, retain=True)
    async with receiver(broker, homeassistant=False) as mqtt:
        await connected(mqtt)
        await until(lambda: f"Sending PUBLISH to listener-one (d0, q0, r1, m0, '{CONFIG}'" in broker.log)
        await until(lambda: mqtt.settled)
    async with subscriber(broker.port) as late:
        await until(lambda: late.on(CONFIG))
        assert late.values(CONFIG) == [json.loads(theirs)]


async def test_a_device_that_is_too_large_does_not_cost_the_connection(tmp_path: Path) -> None:
    refused: list[str] = []
    with mosquitto(tmp_path, f"{ANYBODY}\nmax_packet_size 5000") as broker:
        many = {f"brand{number}": "Brand" for number in range(50)}
        mqtt = MqttReceiver(
            options(broker, homeassistant=True), instance="one", version="0.1", brands=many, on_refused=refused.append
        )
        async with mqtt:
            await until(lambda: refused)
            assert refused == ["discovery"]
            assert mqtt.connected


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"o": 1}', b'{"o": {"name": "other"}}', b'{"o": {"name": "listener"}, "cmps": []}']
)
def test_what_is_retained_there_may_be_anything(body: bytes) -> None:
    assert removals(body, {"cmps": {}}) == {}
    assert is_ours(body) is (b"listener" in body)
