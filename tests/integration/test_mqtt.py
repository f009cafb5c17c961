"""The MQTT receiver and a real Mosquitto: what a subscriber is promised, and what happens when the broker fails."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from jsonschema import Draft202012Validator

from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.wire import payload, schemas
from listener.alerts.wire.payload import StatePayload, as_json
from listener.config.mqtt import MqttOptions
from listener.domain import Alert, Notification, Reason, Severity
from listener.errors import DeliveryError
from tests.alerting import NOW, alert, signal
from tests.mosquitto import ANYBODY, PATIENCE_SECS, Mosquitto, free_port, mosquitto, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


def options(broker: Mosquitto, **changes: Any) -> MqttOptions:
    """Options for this broker, impatient."""
    return MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port, "timeout_secs": 1.0, **changes})


def receiver(broker: Mosquitto, *, clock: Callable[[], datetime] = lambda: NOW, **changes: Any) -> MqttReceiver:
    """A receiver whose clock stands still."""
    return MqttReceiver(options(broker, **changes), instance="one", version="0.1", clock=clock)


async def connected(receiver: MqttReceiver) -> None:
    """Wait until it is."""
    await asyncio.wait_for(receiver.wait_connected(), PATIENCE_SECS)


def notification(seq: int = 1, **changes: Any) -> Notification:
    """What the outbox hands over."""
    event = payload.alert_payload(replace(alert(), seq=seq), Reason.FIRST, title="Õhk", evidence=(), now=NOW)
    made = Notification(
        alert_id=alert().id,
        seq=seq,
        brand="acme",
        severity=Severity.CRITICAL,
        receiver="mqtt",
        reason=Reason.FIRST,
        payload=as_json(event),
        decided_at=NOW,
        due_at=NOW,
    )
    return replace(made, **changes)


def state(*alerts: Alert, brand: str = "acme") -> StatePayload:
    """How a brand stands."""
    return payload.state_payload(brand, title=brand.title(), alerts=alerts, signal=signal(), now=NOW)


class Subscriber:
    """Somebody on call: what arrived, and what the broker retains, by topic."""

    def __init__(self) -> None:
        self.messages: list[aiomqtt.Message] = []

    def on(self, topic: str) -> list[aiomqtt.Message]:
        """What arrived on one topic."""
        return [message for message in self.messages if str(message.topic) == topic]

    def values(self, topic: str) -> list[Any]:
        """The same, as JSON; a cleared topic is None."""
        return [json.loads(bytes(message.payload)) if message.payload else None for message in self.on(topic)]


@asynccontextmanager
async def subscriber(port: int, **kwargs: Any) -> AsyncIterator[Subscriber]:
    """Hear everything from now on, and what is retained."""
    heard = Subscriber()

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.messages.append(message)

    kwargs = {"protocol": aiomqtt.ProtocolVersion.V5, **kwargs}
    async with aiomqtt.Client("127.0.0.1", port, **kwargs) as client:
        await client.subscribe("#", qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_an_alert_arrives_exactly_as_it_was_decided(broker: Mosquitto) -> None:
    """Same bytes of meaning, on its topic, as an event: not retained, expiring, with its ids as properties."""
    topic = "listener/v1/brand/acme/alert/critical"
    async with subscriber(broker.port) as heard:
        async with receiver(broker, clock=lambda: NOW + timedelta(hours=1)) as mqtt:
            await connected(mqtt)
            assert mqtt.protocol == "5"
            await mqtt.deliver(notification())
            await until(lambda: heard.on(topic))
        (message,) = heard.on(topic)
        assert heard.values(topic) == [notification().payload]
        Draft202012Validator(schemas.load("alert")).validate(heard.values(topic)[0])
        assert (message.qos, message.retain) == (1, False)
        assert message.properties is not None
        properties = vars(message.properties)
        assert properties["MessageExpiryInterval"] == 23 * 3600
        assert dict(properties["UserProperty"]) == {
            "alert_id": alert().id,
            "seq": "1",
            "kind": "first",
            "repeat": "0",
            "schema": "listener/v1",
        }
    async with subscriber(broker.port) as late:
        await until(lambda: late.on("listener/v1/one/status"))
        assert late.on(topic) == []


async def test_birth_heartbeat_and_goodbye(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as heard:
        async with receiver(broker) as mqtt:
            await connected(mqtt)
            await until(lambda: heard.on("listener/v1/one/heartbeat"))
        await until(lambda: len(heard.on("listener/v1/one/status")) == 2)
        statuses = heard.values("listener/v1/one/status")
        assert [(one["state"], one["reason"]) for one in statuses] == [("online", "started"), ("offline", "stopped")]
        for one in statuses:
            Draft202012Validator(schemas.load("status")).validate(one)
        (beat,) = heard.values("listener/v1/one/heartbeat")
        Draft202012Validator(schemas.load("heartbeat")).validate(beat)
    async with subscriber(broker.port) as late:
        await until(lambda: late.on("listener/v1/one/status"))
        assert late.values("listener/v1/one/status")[0]["state"] == "offline"
        assert late.on("listener/v1/one/heartbeat") == []


async def test_the_broker_says_offline_for_a_client_that_vanishes(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        await connected(mqtt)
        assert mqtt._client is not None
        vanish(mqtt)
        await until(lambda: len(heard.on("listener/v1/one/status")) >= 3)
        reasons = [one["reason"] for one in heard.values("listener/v1/one/status")]
        assert reasons[:3] == ["started", "lost", "started"]


async def test_states_are_retained_and_only_changes_are_published(broker: Mosquitto) -> None:
    topic = "listener/v1/brand/acme/state"
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        mqtt.publish_states({"acme": state(), "other": state(brand="other")})
        await until(lambda: heard.on(topic))
        mqtt.publish_states({"acme": state(), "other": state(brand="other")})
        mqtt.publish_states({"acme": state(alert()), "other": state(brand="other")})
        await until(lambda: len(heard.on(topic)) == 2)
        assert [one["state"] for one in heard.values(topic)] == ["ok", "critical"]
        Draft202012Validator(schemas.load("state")).validate(heard.values(topic)[1])
        assert len(heard.on("listener/v1/brand/other/state")) == 1
        async with subscriber(broker.port) as late:
            await until(lambda: late.on(topic))
            assert late.on(topic)[0].retain
        mqtt.publish_states({}, gone=["acme"])
        await until(lambda: heard.values(topic)[-1] is None)


async def test_after_a_restart_of_the_broker_everything_is_told_anew(broker: Mosquitto) -> None:
    """A broker that forgot all gets status and states again, also what was cleared meanwhile."""
    async with receiver(broker) as mqtt:
        mqtt.publish_states({"acme": state(alert()), "gone": state(brand="gone")})
        await connected(mqtt)
        await until(lambda: mqtt.settled)
        broker.kill()
        await until(lambda: not mqtt.connected)
        with pytest.raises(DeliveryError, match="is not connected") as refused:
            await mqtt.deliver(notification())
        assert refused.value.retryable
        mqtt.publish_states({"acme": state(alert())}, gone=["gone"])
        broker.start()
        async with subscriber(broker.port) as heard:
            await until(lambda: heard.values("listener/v1/brand/acme/state"))
            assert heard.values("listener/v1/brand/acme/state")[0]["state"] == "critical"
            await until(lambda: heard.on("listener/v1/one/status"))
            await mqtt.deliver(notification())
            await until(lambda: heard.on("listener/v1/brand/acme/alert/critical"))


async def test_a_broker_that_is_away_delays_nothing() -> None:
    """Without a broker, delivering and publishing return at once, the reason is said, and stopping is quick."""
    nobody = MqttOptions(host="127.0.0.1", port=free_port())
    began = time.monotonic()
    async with MqttReceiver(nobody, instance="one", version="0.1") as mqtt:
        await until(lambda: mqtt.problem != "not tried yet")
        mqtt.publish_states({"acme": state()})
        with pytest.raises(DeliveryError, match="Connection refused") as refused:
            await mqtt.deliver(notification())
        assert refused.value.retryable
    assert time.monotonic() - began < 2


async def test_a_refused_publish_is_seen(tmp_path: Path) -> None:
    """MQTT 5: the access list denies alerts, and the answer says so; what is allowed still goes through."""
    (tmp_path / "acl").write_text("topic write listener/v1/one/#\ntopic read #\n", "utf-8")
    with mosquitto(tmp_path, f"{ANYBODY}\nacl_file {tmp_path}/acl") as broker:
        async with receiver(broker) as mqtt:
            await connected(mqtt)
            with pytest.raises(DeliveryError, match=r"refused .*/alert/critical: Not authorized \(135\)") as refused:
                await mqtt.deliver(notification())
            assert refused.value.retryable
            assert mqtt.connected


async def test_a_refused_publish_cannot_be_seen_with_3_1_1(tmp_path: Path) -> None:
    """The limit that the module documents: when this fails, the protocol has learned something."""
    (tmp_path / "acl").write_text("topic write listener/v1/one/#\n", "utf-8")
    with mosquitto(tmp_path, f"{ANYBODY}\nacl_file {tmp_path}/acl") as broker:
        async with receiver(broker, protocol="3.1.1") as mqtt:
            await connected(mqtt)
            assert mqtt.protocol == "3.1.1"
            await mqtt.deliver(notification())


async def test_a_digest_has_a_topic_of_its_own(broker: Mosquitto) -> None:
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        await connected(mqtt)
        digest = notification(reason=Reason.DIGEST, brand="", severity=Severity.INFO, payload={"type": "digest"})
        await mqtt.deliver(digest)
        await until(lambda: heard.on("listener/v1/one/digest"))
        assert heard.values("listener/v1/one/digest") == [{"type": "digest"}]
        assert not heard.on("listener/v1/one/digest")[0].retain


async def test_a_message_larger_than_the_broker_takes_is_not_tried(tmp_path: Path) -> None:
    with mosquitto(tmp_path, f"{ANYBODY}\nmax_packet_size 5000") as broker:
        async with receiver(broker) as mqtt:
            await connected(mqtt)
            with pytest.raises(DeliveryError, match="too many") as refused:
                await mqtt.deliver(notification(payload={"type": "alert", "long": "x" * 5000}))
            assert not refused.value.retryable
            await mqtt.deliver(notification())


async def test_a_page_of_yesterday_is_not_sent(broker: Mosquitto) -> None:
    """Nobody is woken for what was decided more than a day ago; the retained state tells how it stands."""
    async with subscriber(broker.port) as heard:
        async with receiver(broker, clock=lambda: NOW + timedelta(hours=25)) as mqtt:
            await connected(mqtt)
            with pytest.raises(DeliveryError, match="25 h ago") as refused:
                await mqtt.deliver(notification())
            assert not refused.value.retryable
        await until(lambda: len(heard.on("listener/v1/one/status")) == 2)
        assert heard.on("listener/v1/brand/acme/alert/critical") == []


async def test_a_frozen_broker_is_found_out_and_comes_back(broker: Mosquitto) -> None:
    """No answer within the time-out is an error; the connection is given up; after the thaw all goes on."""
    async with subscriber(broker.port) as heard, receiver(broker) as mqtt:
        await connected(mqtt)
        broker.freeze()
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="no acknowledgement within 1 s") as refused:
            await mqtt.deliver(notification())
        assert refused.value.retryable
        assert time.monotonic() - began < 2
        with pytest.raises(DeliveryError, match="is not connected"):
            await mqtt.deliver(notification())
        broker.thaw()
        await until(lambda: mqtt.connected)
        assert mqtt.protocol == "5"
        await mqtt.deliver(notification(seq=2))
        topic = "listener/v1/brand/acme/alert/critical"
        await until(lambda: 2 in [one["seq"] for one in heard.values(topic)])
        # The first was in the broker's socket: it arrives late, once. The outbox would repeat it under the same seq.
        assert [one["seq"] for one in heard.values(topic)].count(1) <= 1
        await until(lambda: heard.values("listener/v1/one/status")[-1]["state"] == "online")


async def test_a_stop_does_not_wait_for_a_frozen_broker(broker: Mosquitto) -> None:
    """Neither while we wait to be accepted, nor when there is a goodbye to say."""
    async with receiver(broker, timeout_secs=30) as mqtt:
        await connected(mqtt)
        broker.freeze()
        began = time.monotonic()
    assert time.monotonic() - began < 3
    async with receiver(broker, timeout_secs=30):
        await asyncio.sleep(0.2)  # by then it waits for an answer; nothing tells
        began = time.monotonic()
    assert time.monotonic() - began < 1


async def test_many_at_once_all_arrive(broker: Mosquitto) -> None:
    """More than may be in flight at one time."""
    topic = "listener/v1/brand/acme/alert/critical"
    async with subscriber(broker.port) as heard, receiver(broker, timeout_secs=30) as mqtt:
        await connected(mqtt)
        await asyncio.gather(*(mqtt.deliver(notification(seq)) for seq in range(1, 101)))
        await until(lambda: len(heard.on(topic)) == 100)
        assert sorted(one["seq"] for one in heard.values(topic)) == list(range(1, 101))


async def test_two_daemons_with_one_name_are_told_of(broker: Mosquitto) -> None:
    """The broker throws the older out, and it the newer when it comes back: the operator is asked about it."""
    async with receiver(broker) as older, receiver(broker) as newer:
        await until(lambda: "is there another client named listener-one?" in f"{older.problem}{newer.problem}")


def vanish(mqtt: MqttReceiver) -> None:
    """Cut the client's connection without a word, as a crash would."""
    assert mqtt._client is not None
    sock = mqtt._client._client.socket()
    assert isinstance(sock, socket.socket)
    sock.shutdown(socket.SHUT_RDWR)
