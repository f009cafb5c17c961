"""Getting in: passwords, TLS, the older protocol version, our own broker, and the configuration that we ship."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog
from structlog.testing import capture_logs

from listener.alerts.mqtt.broker import INSTALL, EmbeddedBroker
from listener.alerts.mqtt.client import Protocol, PublishRefused
from listener.alerts.mqtt.connection import BACKOFF_FIRST_SECS, connection
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.mqtt.watch import Connection, Event, watch
from listener.alerts.wire import payload
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import AlertPayload, StatePayload, StatusPayload
from listener.config.mqtt import MqttOptions
from listener.domain import Action
from listener.errors import ConfigError
from tests.alerting import alert, signal
from tests.integration.test_mqtt import notification
from tests.mosquitto import ANYBODY, PATIENCE_SECS, Mosquitto, free_port, mosquitto, until
from tests.mqtt_messages import action_payload
from tests.services import require

SHIPPED = Path(__file__).parents[2] / "config" / "mosquitto"
SECRET = "correct-horse"
STATE_TOPIC = "listener/v1/brand/acme/state"
ACK_TOPIC = f"listener/v1/brand/acme/alert/{alert().id}/ack"
BUNDLE_ACK_TOPIC = f"listener/v1/one/alert/{alert().id}/ack"
CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8  # types of packets (MQTT 3.1.1, 2.2.1)


def receiver(port: int, **changes: Any) -> MqttReceiver:
    """An impatient receiver for the broker at ``port``."""
    options = {"host": "127.0.0.1", "port": port, "timeout_secs": 1.0, **changes}
    return MqttReceiver(MqttOptions.model_validate(options), instance="one", version="0.1")


async def connected(mqtt: MqttReceiver) -> str | None:
    """Wait until it is; the protocol version."""
    await asyncio.wait_for(mqtt.wait_connected(), PATIENCE_SECS)
    return mqtt.protocol


class Daemon(MqttReceiver):
    """A daemon with one brand that takes commands."""

    def __init__(self, options: MqttOptions) -> None:
        self.taken: list[Action] = []
        super().__init__(options, instance="one", version="0.1", brands={"acme": "Acme"}, on_action=self.take)
        self.publish_states(
            {"acme": payload.state_payload("acme", title="Acme", alerts=(), signal=signal(), now=datetime.now(UTC))}
        )

    async def take(self, action: Action) -> None:
        """Keep an action."""
        self.taken.append(action)


def daemon(broker: Mosquitto, **changes: Any) -> Daemon:
    """An impatient one."""
    return Daemon(
        MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port, "timeout_secs": 1.0, **changes})
    )


def passwords(folder: Path, **users: str) -> Path:
    """A password file, made by Mosquitto's own tool."""
    file = folder / "passwords"
    file.touch(mode=0o600)
    for user, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", str(file), user, password], check=True, capture_output=True)
    return file


async def test_a_wrong_password_is_said_once_without_the_password(tmp_path: Path) -> None:
    file = passwords(tmp_path, listener=SECRET)
    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {file}") as broker, capture_logs() as logs:
        async with receiver(broker.port, username="listener", password=f"{SECRET}-not") as mqtt:
            await until(lambda: broker.log.count("not authorised") >= 2)
            assert mqtt.problem == "the broker says: Not authorized (135); check mqtt.username and mqtt.password"
        async with receiver(broker.port, username="listener", password=SECRET) as mqtt:
            await connected(mqtt)
    assert [entry["event"] for entry in logs] == ["mqtt.disconnected", "mqtt.connected"]
    assert SECRET not in repr(logs)
    assert SECRET not in repr(vars(mqtt))


def certificates(folder: Path) -> None:
    """An authority of our own, and a server and a client that it vouches for."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2")
    for name, alt in (("server", "IP:127.0.0.1"), ("client", "DNS:client")):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "alt").write_text(f"subjectAltName={alt}\n", "utf-8")
        sign = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "alt")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *sign)


async def test_tls_with_an_authority_of_our_own(tmp_path: Path) -> None:
    """Server and client know each other by certificate; whoever trusts another authority does not get in."""
    certificates(tmp_path)
    conf = f"""{ANYBODY}
cafile {tmp_path}/ca.crt
certfile {tmp_path}/server.crt
keyfile {tmp_path}/server.key
require_certificate true"""
    ours = {"ca_file": tmp_path / "ca.crt", "cert_file": tmp_path / "client.crt", "key_file": tmp_path / "client.key"}
    with mosquitto(tmp_path, conf) as broker:
        async with receiver(broker.port, tls=ours) as mqtt:
            assert await connected(mqtt) == "5"
        async with receiver(broker.port, tls={}) as mqtt:
            await until(lambda: "certificate verify failed" in str(mqtt.problem))
            assert "mqtt.tls.ca_file" in str(mqtt.problem)
        async with receiver(broker.port, tls={"ca_file": tmp_path / "none.crt"}) as mqtt:
            await until(lambda: "No such file" in str(mqtt.problem))
        async with receiver(broker.port, tls={"ca_file": tmp_path / "ca.crt"}) as mqtt:
            await until(lambda: mqtt.problem != "not tried yet")
            assert not mqtt.connected


async def test_the_embedded_broker_takes_alerts_in_the_older_version() -> None:
    port = free_port()
    async with EmbeddedBroker("127.0.0.1", port), receiver(port, broker="embedded") as mqtt:
        assert await connected(mqtt) == "3.1.1"
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("listener/v1/+/status", qos=1)
            message = await asyncio.wait_for(anext(client.messages), PATIENCE_SECS)
            assert json.loads(bytes(message.payload))["state"] == "online"
            assert message.retain


async def test_the_embedded_broker_passes_commands_on() -> None:
    port = free_port()
    options = MqttOptions(host="127.0.0.1", port=port, broker="embedded", timeout_secs=1.0)
    mqtt = Daemon(options)
    async with EmbeddedBroker("127.0.0.1", port), mqtt:
        await connected(mqtt)
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await until_answered(client, mqtt)
        assert {action.target for action in mqtt.taken} == {alert().id}


async def until_answered(client: aiomqtt.Client, mqtt: Daemon) -> None:
    """Send a command until it has come: the embedded broker does not tell when we are subscribed."""
    async with asyncio.timeout(PATIENCE_SECS):
        while not mqtt.taken:
            await client.publish(ACK_TOPIC, b'{"seq": 1, "by": "mari"}', qos=1)


async def test_the_embedded_broker_is_silent_to_the_newer_version_and_that_is_found_out() -> None:
    """It reads a CONNECT of MQTT 5 wrongly and waits for more: after the time-out the older version is tried."""
    port = free_port()
    async with EmbeddedBroker("127.0.0.1", port), receiver(port, timeout_secs=0.3) as mqtt:
        assert await connected(mqtt) == "3.1.1"


@asynccontextmanager
async def older_broker(*, refusal: bytes) -> AsyncIterator[tuple[int, list[int]]]:
    """A broker of MQTT 3.1.1 that answers other versions with ``refusal``: its port, and the versions that came."""
    levels: list[int] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await packet(reader)
                if kind == CONNECT:
                    levels.append(body[6])
                    writer.write(b"\x20\x02\x00\x00" if body[6] == 4 else refusal)
                elif kind == PUBLISH:
                    start = 2 + int.from_bytes(body[:2], "big")
                    writer.write(b"\x40\x02" + body[start : start + 2])
                elif kind == SUBSCRIBE:
                    writer.write(b"\x90\x03" + body[:2] + b"\x80")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], levels
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_an_older_broker_that_says_so_is_answered_at_once() -> None:
    """Return code 1 (MQTT 3.1.1, 3.2.2.3) leads to 3.1.1 without a pause."""
    async with older_broker(refusal=b"\x20\x02\x00\x01") as (port, levels), receiver(port) as mqtt:
        assert await asyncio.wait_for(connected(mqtt), BACKOFF_FIRST_SECS / 2) == "3.1.1"
        assert levels == [5, 4]


async def test_a_refused_subscription_is_told() -> None:
    """Return code 128 (MQTT 3.1.1, 3.9.3); the connection goes on."""
    refused: list[str] = []
    async with older_broker(refusal=b"\x20\x02\x00\x01") as (port, _):
        options = MqttOptions(host="127.0.0.1", port=port, protocol="3.1.1")
        async with MqttReceiver(
            options, instance="one", version="0.1", on_action=refuse_nothing, on_refused=refused.append
        ) as mqtt:
            await connected(mqtt)
            await until(lambda: len(refused) == 3)
            assert mqtt.connected
    assert set(refused) == {"subscription"}


async def refuse_nothing(action: Action) -> None:
    """Never called."""
    raise AssertionError(action)


async def test_a_version_that_is_pinned_stays() -> None:
    """The newer one is asked for again and again, as the operator wants it."""
    pinned = {"protocol": "5", "timeout_secs": 0.2}
    async with older_broker(refusal=b"") as (port, levels), receiver(port, **pinned) as mqtt:
        await until(lambda: len(levels) == 3)
        assert levels == [5, 5, 5]
        assert "did not answer" in str(mqtt.problem)


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The type of an MQTT packet and what follows its length."""
    kind = (await reader.readexactly(1))[0] >> 4
    length = shift = 0
    while True:
        (digit,) = await reader.readexactly(1)
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return kind, await reader.readexactly(length)


async def test_the_embedded_broker_says_when_its_port_is_taken() -> None:
    port = free_port()
    async with EmbeddedBroker("127.0.0.1", port):
        with pytest.raises(ConfigError, match=r"mqtt\.port: .*address already in use"):
            await EmbeddedBroker("127.0.0.1", port).__aenter__()


async def test_the_embedded_broker_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(ConfigError) as refused:
        await EmbeddedBroker("127.0.0.1", free_port()).__aenter__()
    assert INSTALL in str(refused.value)


@contextmanager
def shipped(folder: Path) -> Iterator[Mosquitto]:
    """A broker as we configure it, with a password for each of our users."""
    file = passwords(folder, listener=SECRET, oncall=SECRET)
    conf = (
        (SHIPPED / "mosquitto.conf")
        .read_text("utf-8")
        .replace("listener 1883\n", "")
        .replace("/mosquitto/config/passwords", str(file))
        .replace("/mosquitto/config/acl", str(SHIPPED / "acl"))
        .replace("/mosquitto/data/", f"{folder}/")
    )
    assert "/mosquitto/config/" not in "".join(line for line in conf.splitlines() if not line.startswith("#"))
    with mosquitto(folder, conf) as broker:
        yield broker


async def test_the_configuration_that_we_ship_lets_the_right_ones_in(tmp_path: Path) -> None:
    """The daemon says and is told, people on call hear and answer, and nobody else gets in."""
    with shipped(tmp_path) as broker:
        mqtt = daemon(broker, username="listener", password=SECRET)
        async with mqtt:
            await connected(mqtt)
            await until(lambda: mqtt.settled)
            assert set(await heard_by(broker, "oncall")) == {"listener/v1/one/status", STATE_TOPIC}
            assert set(await heard_by(broker, "listener")) == {"listener/v1/one/status", STATE_TOPIC}
            await until(lambda: "Sending SUBACK to listener-one-commands" in broker.log)
            assert await answered_by(broker, "oncall", ACK_TOPIC)
            assert await answered_by(broker, "oncall", BUNDLE_ACK_TOPIC)
            assert not await answered_by(broker, "oncall", STATE_TOPIC)
            assert not await answered_by(broker, "oncall", "listener/v1/brand/acme/alert/critical")
            await until(lambda: len(mqtt.taken) == 2)
        with pytest.raises(aiomqtt.MqttError, match="135"):
            async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5):
                pass


@pytest.mark.parametrize("user", ["listener", "oncall"])
async def test_the_configuration_that_we_ship_lets_them_watch(tmp_path: Path, user: str) -> None:
    """With the daemon's own login, as ``listener watch`` does, or with that of people on call: all that it says."""
    events: list[Event] = []
    with shipped(tmp_path) as broker:
        options = {"host": "127.0.0.1", "port": broker.port, "username": user, "password": SECRET, "timeout_secs": 1.0}
        watching = asyncio.create_task(watch(MqttOptions.model_validate(options), on_event=events.append))
        await until(lambda: events)
        with capture_logs() as logs:
            async with daemon(broker, username="listener", password=SECRET) as mqtt:
                await connected(mqtt)
                await mqtt.deliver(notification(decided_at=datetime.now(UTC)))
                mqtt.publish_action(action_payload(at=datetime.now(UTC)))
                seen = {Connection, StatusPayload, StatePayload, AlertPayload, ActionPayload}
                await until(lambda: seen <= {type(event) for event in events})
        watching.cancel()
        await asyncio.wait({watching})
    assert not [entry for entry in logs if "refused" in entry["event"]]


async def answered_by(broker: Mosquitto, user: str, topic: str) -> bool:
    """Whether the broker takes a command on ``topic`` from a user."""
    options = MqttOptions.model_validate(
        {"host": "127.0.0.1", "port": broker.port, "username": user, "password": SECRET, "timeout_secs": 5.0}
    )
    async with connection(options, protocol=Protocol.V5, identifier="somebody") as client:
        try:
            await client.publish_acknowledged(topic, b'{"seq": 1, "by": "mari"}')
        except PublishRefused:
            return False
    return True


async def heard_by(broker: Mosquitto, user: str) -> list[str]:
    """The retained topics that a user gets to see."""
    topics: list[str] = []
    kwargs: dict[str, Any] = {"username": user, "password": SECRET, "protocol": aiomqtt.ProtocolVersion.V5}
    async with aiomqtt.Client("127.0.0.1", broker.port, **kwargs) as client:
        await client.subscribe("listener/#", qos=1)
        # What it retains comes before the answer to the next question.
        await client.unsubscribe("listener/#")
        while len(client.messages):
            topics.append(str((await anext(client.messages)).topic))
    return topics


@pytest.fixture(autouse=True)
def _plain_structlog() -> None:
    """Captured logs need structlog as it comes."""
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="module")
def _tools() -> None:
    """The programs beside the broker."""
    for tool in ("mosquitto_passwd", "openssl"):
        require(shutil.which(tool), f"the program {tool}")
