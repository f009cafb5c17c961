"""Each kind of message on its topic, as its schema says, on a real Mosquitto; and what people did, as an event."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from listener.alerts.mqtt.messages import ACTION_EXPIRY_SECS
from listener.alerts.mqtt.receiver import ACTIONS_MAX, MqttReceiver
from listener.alerts.wire import schemas
from listener.alerts.wire.payload import as_json
from listener.domain import Notification, Reason, Severity
from listener.errors import DeliveryError
from tests.alerting import NOW
from tests.integration.test_mqtt import connected, options, receiver, subscriber
from tests.mosquitto import ANYBODY, Mosquitto, mosquitto, until
from tests.mqtt_messages import (
    BUNDLE_ID,
    action_payload,
    alert_payload,
    bundle_payload,
    digest_payload,
    notification,
    test_payload,
    watchdog_payload,
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


def bundle(kind: str, severity: Severity = Severity.CRITICAL) -> Notification:
    """A notification of several alerts."""
    return notification(bundle_payload(kind=kind), alert_id=BUNDLE_ID, brand="", severity=severity)


@pytest.mark.parametrize(
    ("made", "topic", "expiry_secs"),
    [
        (notification(alert_payload()), "brand/acme/alert/critical", 86400),
        (
            notification(alert_payload(repeat=3), repeat=3, reason=Reason.REPEAT, severity=Severity.WARNING),
            "brand/acme/alert/warning",
            14400,
        ),
        (bundle("storm"), "one/alert/critical", 86400),
        (bundle("market", Severity.WARNING), "one/alert/warning", 14400),
        (bundle("held"), "one/digest", 86400),
        (bundle("missed"), "one/digest", 86400),
        (notification(digest_payload(), reason=Reason.DIGEST, severity=Severity.INFO), "one/digest", 14400),
        (notification(watchdog_payload(), reason=Reason.WATCHDOG, severity=Severity.INFO), "one/watchdog", 600),
        (notification(test_payload(), reason=Reason.TEST, severity=Severity.INFO), "one/test", 14400),
    ],
)
async def test_each_kind_has_its_topic(broker: Mosquitto, made: Notification, topic: str, expiry_secs: int) -> None:
    topic = f"listener/v1/{topic}"
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        await connected(mqtt)
        await mqtt.deliver(made)
        await until(lambda: heard.on(topic))
        assert heard.values(topic) == [made.payload]
        Draft202012Validator(schemas.load(made.payload["type"])).validate(heard.values(topic)[0])
        (message,) = heard.on(topic)
        assert (message.qos, message.retain) == (1, False)
        assert message.properties is not None
        properties = vars(message.properties)
        assert properties["MessageExpiryInterval"] == expiry_secs
        assert dict(properties["UserProperty"]) == {
            "alert_id": made.alert_id,
            "seq": "1",
            "kind": made.reason.value,
            "repeat": str(made.repeat),
            "schema": "listener/v1",
        }


@pytest.mark.parametrize("content", [{}, {"type": "state"}, {"type": "tweet"}, {"type": None}])
async def test_what_has_no_topic_is_not_tried_again(broker: Mosquitto, content: dict[str, Any]) -> None:
    made = notification(alert_payload(), payload=content)
    async with receiver(broker) as mqtt:
        await connected(mqtt)
        with pytest.raises(DeliveryError, match="has no topic") as refused:
            await mqtt.deliver(made)
        assert not refused.value.retryable


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
async def test_what_is_no_json_is_not_tried_again(broker: Mosquitto, value: object) -> None:
    async with receiver(broker) as mqtt:
        await connected(mqtt)
        with pytest.raises(DeliveryError, match="cannot be published") as refused:
            await mqtt.deliver(notification(alert_payload(), payload={"type": "alert", "observed": value}))
        assert not refused.value.retryable
        assert mqtt.connected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (alert_payload(), "alert"),
        (bundle_payload(), "bundle"),
        (bundle_payload(kind="held"), "bundle"),
        (digest_payload(), "digest"),
        (watchdog_payload(), "watchdog"),
        (test_payload(), "test"),
    ],
)
async def test_a_refusal_is_counted_by_its_kind(tmp_path: Path, content: BaseModel, kind: str) -> None:
    (tmp_path / "acl").write_text("topic write listener/v1/one/status\n", "utf-8")
    refused: list[str] = []
    with mosquitto(tmp_path, f"{ANYBODY}\nacl_file {tmp_path}/acl") as broker:
        mqtt = MqttReceiver(
            options(broker), instance="one", version="0.1", clock=lambda: NOW, on_refused=refused.append
        )
        async with mqtt:
            await connected(mqtt)
            with pytest.raises(DeliveryError) as denied:
                await mqtt.deliver(notification(content))
            assert denied.value.retryable
            await until(lambda: "heartbeat" in refused)
            mqtt.publish_action(action_payload())
            await until(lambda: "action" in refused)
    assert sorted(refused) == sorted([kind, "heartbeat", "action"])


async def test_what_people_did_is_an_event(broker: Mosquitto) -> None:
    topic = "listener/v1/one/actions"
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        mqtt.publish_action(action_payload(by="before"))
        await connected(mqtt)
        mqtt.publish_action(action_payload(by="after"))
        await until(lambda: len(heard.on(topic)) == 2)
        assert [one["by"] for one in heard.values(topic)] == ["before", "after"]
        assert heard.values(topic)[1] == as_json(action_payload(by="after"))
        Draft202012Validator(schemas.load("action")).validate(heard.values(topic)[0])
        assert not any(message.retain for message in heard.on(topic))


async def test_what_was_done_long_ago_or_too_much_of_it_is_left_out(broker: Mosquitto) -> None:
    topic = "listener/v1/one/actions"
    async with subscriber(broker.port) as heard:
        mqtt = receiver(broker)
        mqtt.publish_action(action_payload(by="pushed out"))
        mqtt.publish_action(action_payload(by="old", at=NOW - timedelta(seconds=ACTION_EXPIRY_SECS)))
        for number in range(ACTIONS_MAX - 1):
            mqtt.publish_action(action_payload(by=str(number)))
        async with mqtt:
            await until(lambda: len(heard.on(topic)) == ACTIONS_MAX - 1)
            assert [one["by"] for one in heard.values(topic)] == [str(number) for number in range(ACTIONS_MAX - 1)]


async def test_a_visitor_disturbs_no_daemon(broker: Mosquitto) -> None:
    """It leaves its message on the daemon's topic and no other trace."""
    visitor = MqttReceiver(options(broker), instance="one", version="0.1", clock=lambda: NOW, visitor=True)
    homeassistant = options(broker, homeassistant=True)
    daemon = MqttReceiver(homeassistant, instance="one", version="0.1", clock=lambda: NOW, brands={"acme": "Acme"})
    async with subscriber(broker.port) as heard, daemon:
        await until(lambda: daemon.settled)
        await until(lambda: heard.on("listener/v1/one/heartbeat"))
        before = len(heard.messages)
        async with visitor:
            await connected(visitor)
            await visitor.deliver(notification(test_payload(), reason=Reason.TEST, severity=Severity.INFO))
        await until(lambda: heard.on("listener/v1/one/test"))
        async with subscriber(broker.port) as late:
            await until(lambda: len(late.messages) == 2)
            assert late.values("listener/v1/one/status")[0]["state"] == "online"
            assert late.on("homeassistant/device/listener_one/config")
        assert len(heard.messages) == before + 1
        assert daemon.connected


async def test_two_daemons_of_one_broker_keep_to_themselves(broker: Mosquitto) -> None:
    """The events of one are not on the topics of the other, whatever their names."""
    two = MqttReceiver(options(broker), instance="brand", version="0.1", clock=lambda: NOW)
    async with subscriber(broker.port) as heard, receiver(broker) as one, two:
        await connected(one)
        await connected(two)
        await one.deliver(bundle("storm"))
        await two.deliver(bundle("storm"))
        await until(lambda: len([one for one in heard.messages if str(one.topic).endswith("/alert/critical")]) == 2)
        topics = {str(message.topic) for message in heard.messages if str(message.topic).endswith("/alert/critical")}
        assert "listener/v1/one/alert/critical" in topics
        (other,) = topics - {"listener/v1/one/alert/critical"}
        assert other.startswith("listener/v1/brand-")
