"""The decisions of the connection to a broker: version, patience, words; and its options."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import NoReturn

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttConnectError
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from listener.alerts.mqtt import connection as connecting
from listener.alerts.mqtt.broker import EmbeddedBroker
from listener.alerts.mqtt.client import MqttClient, NoAnswer, Protocol
from listener.alerts.mqtt.connection import (
    BACKOFF_MAX_SECS,
    backoff_secs,
    describe,
    first_protocol,
    keep_connected,
    next_protocol,
)
from listener.config.mqtt import MqttOptions, TlsOptions
from listener.errors import ConfigError


def refusal(name: str) -> MqttConnectError:
    """The broker's refusal of a connection."""
    return MqttConnectError(ReasonCode(PacketTypes.CONNACK, aName=name))


UNSUPPORTED = refusal("Unsupported protocol version")


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (MqttOptions(), Protocol.V5),
        (MqttOptions(protocol="5", broker="embedded"), Protocol.V5),
        (MqttOptions(protocol="3.1.1"), Protocol.V311),
        (MqttOptions(broker="embedded"), Protocol.V311),
    ],
)
def test_the_version_to_begin_with(options: MqttOptions, first: Protocol) -> None:
    assert first_protocol(options) is first


@pytest.mark.parametrize(
    ("failure", "knows_5", "following"),
    [
        (UNSUPPORTED, False, Protocol.V311),
        (UNSUPPORTED, True, Protocol.V311),
        (NoAnswer("silence"), False, Protocol.V311),
        (NoAnswer("silence"), True, Protocol.V5),
        (refusal("Not authorized"), False, Protocol.V5),
        (aiomqtt.MqttError("connection refused"), False, Protocol.V5),
        (OSError("no such file"), False, Protocol.V5),
    ],
)
def test_the_version_after_a_failure(failure: Exception, knows_5: bool, following: Protocol) -> None:
    """Only a refusal of the version, or silence of a broker that never spoke MQTT 5, leads to the older one."""
    assert next_protocol(MqttOptions(), Protocol.V5, failure, knows_5=knows_5) is following
    assert next_protocol(MqttOptions(protocol="5"), Protocol.V5, failure, knows_5=knows_5) is Protocol.V5


def test_silence_to_the_older_version_leads_back() -> None:
    """A broker that was frozen when we began must not be spoken to in the older version for ever."""
    assert next_protocol(MqttOptions(), Protocol.V311, NoAnswer("silence"), knows_5=False) is Protocol.V5


@given(failures=st.integers(0, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_the_pause_is_bounded(failures: int, chance: float) -> None:
    assert 0 < backoff_secs(failures, chance) <= BACKOFF_MAX_SECS


def test_the_pause_grows() -> None:
    assert [backoff_secs(failures, 0.999999) for failures in (0, 1, 2, 9)] == pytest.approx([0.5, 1, 2, 5], rel=1e-3)


def test_failures_say_what_to_look_at() -> None:
    assert describe(refusal("Not authorized")) == (
        "the broker says: Not authorized (135); check mqtt.username and mqtt.password"
    )
    assert describe(refusal("Server busy")) == "the broker says: Server busy (137)"
    assert "mqtt.tls.ca_file" in describe(ssl.SSLError("certificate verify failed"))
    assert describe(aiomqtt.MqttError("[Errno 111] Connection refused")) == "[Errno 111] Connection refused"
    assert describe(TimeoutError()) == "TimeoutError"
    assert describe(ValueError("whatever")) == "crashed: ValueError"


@pytest.fixture
def unconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are made at once, to nobody; and nobody waits between them."""

    @asynccontextmanager
    async def connection(*_: object, **__: object) -> AsyncIterator[object]:
        yield SimpleNamespace(speaks_5=True)

    monkeypatch.setattr(connecting, "connection", connection)
    monkeypatch.setattr(connecting, "BACKOFF_MAX_SECS", 0.0)


@pytest.mark.usefixtures("unconnected")
async def test_a_bug_ends_one_connection_and_is_told() -> None:
    problems, crashes, again = list[str](), list[None](), asyncio.Event()

    async def session(_: MqttClient) -> NoReturn:
        if len(problems) == 3:
            again.set()
            await asyncio.Event().wait()
        raise ZeroDivisionError("no words for people")

    keeping_on = asyncio.create_task(
        keep_connected(
            MqttOptions(),
            identifier="x",
            session=session,
            on_failure=problems.append,
            on_crash=lambda: crashes.append(None),
        )
    )
    async with asyncio.timeout(5):
        await again.wait()
    keeping_on.cancel()
    await asyncio.wait({keeping_on})
    assert keeping_on.cancelled()
    assert problems[0] == "crashed: ZeroDivisionError"
    assert len(crashes) == 3


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize("failure", [ZeroDivisionError(), aiomqtt.MqttError("gone"), OSError("gone")])
async def test_a_failure_on_the_way_out_does_not_keep_it_running(failure: Exception) -> None:
    begun = asyncio.Event()

    async def session(_: MqttClient) -> NoReturn:
        if begun.is_set():
            pytest.fail("it went on")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise failure

    keeping_on = asyncio.create_task(
        keep_connected(MqttOptions(), identifier="x", session=session, on_failure=lambda _: None)
    )
    await begun.wait()
    keeping_on.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({keeping_on})
    assert keeping_on.cancelled()


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic_prefix": "a/+/b"},
        {"topic_prefix": "a/#"},
        {"topic_prefix": "/a"},
        {"topic_prefix": "a//b"},
        {"topic_prefix": "$SYS"},
        {"topic_prefix": "a b"},
        {"topic_prefix": "a\0b"},
        {"homeassistant_prefix": "ha/#"},
        {"port": 0},
        {"host": ""},
        {"password": "s3cret"},
        {"protocol": "3.1"},
        {"tls": {"cert_file": "a.crt"}},
        {"qos": 2},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        MqttOptions.model_validate(wrong)
    assert "s3cret" not in str(refused.value)


def test_the_password_is_not_shown() -> None:
    options = MqttOptions.model_validate({"username": "listener", "password": "s3cret"})
    assert "s3cret" not in repr(options)
    assert "s3cret" not in options.model_dump_json()


def test_an_empty_tls_table_means_the_systems_authorities() -> None:
    assert MqttOptions.model_validate({"tls": {}}).tls == TlsOptions()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_the_embedded_broker_stays_on_this_machine(host: str) -> None:
    with pytest.raises(ConfigError, match="knows no passwords"):
        EmbeddedBroker(host, 1883)
