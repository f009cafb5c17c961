"""Promise 2: a refusal is seen. The broker's access list denies alerts; nobody may take that for a delivery."""

import os
import signal
from pathlib import Path

import pytest

from listener.alerts.mqtt.receiver import MqttReceiver
from listener.errors import DeliveryError
from tests.alerting import NOW
from tests.integration.test_mqtt import connected, notification, options, subscriber
from tests.mosquitto import ANYBODY, mosquitto, until

TOPIC = "listener/v1/brand/acme/alert/critical"
DENIED = "topic write listener/v1/one/#\ntopic read #\n"
ALLOWED = "topic readwrite #\n"


async def test_promise_02_refusal_is_seen(tmp_path: Path) -> None:
    """It is an error to be tried again, it is counted, and once the list is mended the same notification arrives."""
    acl = tmp_path / "acl"
    acl.write_text(DENIED, "utf-8")
    refused: list[str] = []
    with mosquitto(tmp_path, f"{ANYBODY}\nacl_file {acl}") as broker:
        mqtt = MqttReceiver(
            options(broker), instance="one", version="0.1", clock=lambda: NOW, on_refused=refused.append
        )
        async with mqtt, subscriber(broker.port) as heard:
            await connected(mqtt)
            for count in (1, 2):
                with pytest.raises(DeliveryError, match=r"Not authorized \(135\)") as seen:
                    await mqtt.deliver(notification())
                assert seen.value.retryable
                assert refused == ["alert"] * count
            assert heard.on(TOPIC) == []
            assert mqtt.connected
            acl.write_text(ALLOWED, "utf-8")
            os.kill(broker.pid, signal.SIGHUP)
            await until(lambda: "Reloading config" in broker.log)
            await mqtt.deliver(notification())
            await until(lambda: heard.on(TOPIC))
            assert heard.values(TOPIC) == [notification().payload]
    assert refused == ["alert", "alert"]
