"""Commands over a real Mosquitto: they arrive whatever happens in between, and nobody can stop alerts with them."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.mqtt import commands
from listener.alerts.mqtt.commands import BURST, PER_SEC, WAITING_MAX, OnAction
from listener.alerts.mqtt.receiver import MqttReceiver
from listener.alerts.wire import schemas
from listener.domain import Act, Action, Via
from listener.errors import StoreError
from listener.store import Database, actions
from tests.alerting import NOW, alert
from tests.integration.test_mqtt import connected, notification, options
from tests.mosquitto import Mosquitto, mosquitto, until

ALERT_ID = alert().id
TOPIC = f"listener/v1/brand/acme/alert/{ALERT_ID}/ack"
BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


class Desk:
    """Takes actions in, each once, as the database does; and can be out of order."""

    def __init__(self) -> None:
        self.taken: list[Action] = []
        self.tried: list[Action] = []
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, action: Action) -> bool:
        """Keep an action; whether it is new."""
        self.tried.append(action)
        if self.broken:
            raise StoreError("the database is away")
        await self.open.wait()
        if action.id in {one.id for one in self.taken}:
            return False
        self.taken.append(action)
        return True

    @property
    def comments(self) -> list[str | None]:
        """By which a test tells actions apart."""
        return [action.comment for action in self.taken]


def receiver(broker: Mosquitto, desk: Desk, **changes: Any) -> MqttReceiver:
    """A receiver that takes commands."""
    protocol = changes.pop("protocol", "auto")
    return MqttReceiver(
        options(broker, protocol=protocol),
        instance="one",
        version="0.1",
        clock=lambda: NOW,
        on_action=desk.take,
        **changes,
    )


async def listening(broker: Mosquitto, times: int = 1) -> None:
    """Wait until our subscriptions to commands are in place so many times."""
    await until(lambda: broker.log.count("Sending SUBACK to listener-one-commands") >= 2 * times)


async def send(broker: Mosquitto, *values: Any, topic: str = TOPIC, qos: int = 1, retain: bool = False) -> None:
    """Send commands as somebody on call does."""
    async with aiomqtt.Client("127.0.0.1", broker.port, timeout=30) as client:
        for value in values:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            await client.publish(topic, body, qos=qos, retain=retain)


def note(comment: str) -> dict[str, Any]:
    """A command that can be told apart."""
    return {"action": "note", "seq": 1, "by": "mari", "comment": comment}


@BOTH
async def test_a_command_becomes_an_action(broker: Mosquitto, protocol: str) -> None:
    desk = Desk()
    command = {"action": "snooze", "seq": 3, "by": " mari ", "minutes": 30, "comment": "two\nlines"}
    async with receiver(broker, desk, protocol=protocol):
        await listening(broker)
        await send(broker, command)
        await send(broker, {"seq": 1, "by": "jaan"}, topic=f"listener/v1/one/alert/{ALERT_ID}/ack")
        await until(lambda: len(desk.taken) == 2)
    snooze, ack = desk.taken
    assert snooze == Action(
        id=snooze.id,
        target=ALERT_ID,
        act=Act.SNOOZE,
        seq=3,
        by="mari",
        via=Via.MQTT,
        at=NOW,
        minutes=30.0,
        comment="two\nlines",
    )
    assert (ack.act, ack.by, ack.target) == (Act.ACK, "jaan", ALERT_ID)
    assert ack.id != snooze.id


@BOTH
async def test_what_is_sent_while_we_are_away_arrives_when_we_return(
    broker: Mosquitto, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PER_SEC", 1000.0)
    desk = Desk()
    async with receiver(broker, desk, protocol=protocol):
        await listening(broker)
    await send(broker, *(note(str(number)) for number in range(150)))
    async with receiver(broker, desk, protocol=protocol):
        await until(lambda: len(desk.taken) == 150)
    assert desk.comments == [str(number) for number in range(150)]
    async with receiver(broker, desk, protocol=protocol):
        await listening(broker, times=3)
        await send(broker, note("last"))
        await until(lambda: desk.comments[-1] == "last")
    assert len(desk.taken) == 151


@BOTH
async def test_a_command_that_could_not_be_stored_stays_with_the_broker(
    broker: Mosquitto, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again as the same action, and when we are stopped meanwhile, it comes to our successor."""
    monkeypatch.setattr(commands, "STORE_RETRY_FIRST_SECS", 0.01)
    desk = Desk()
    desk.broken = True
    async with receiver(broker, desk, protocol=protocol):
        await listening(broker)
        await send(broker, note("first"), note("second"))
        await until(lambda: len(desk.tried) >= 3)
        assert {action.comment for action in desk.tried} == {"first"}
        assert len({action.id for action in desk.tried}) == 1
    desk.broken = False
    async with receiver(broker, desk, protocol=protocol):
        await until(lambda: len(desk.taken) == 2)
    assert desk.comments == ["first", "second"]


async def test_what_was_stored_as_the_connection_broke_is_not_done_twice(broker: Mosquitto) -> None:
    desk = Desk()
    desk.open.clear()
    async with receiver(broker, desk) as mqtt:
        await listening(broker)
        await send(broker, note("slow"))
        await until(lambda: desk.tried)
        cut(mqtt)
        desk.open.set()
        await listening(broker, times=2)
        await send(broker, note("slow"), note("next"))
        await until(lambda: desk.comments and desk.comments[-1] == "next")
    assert desk.comments == ["slow", "slow", "next"]  # the broker's repeat is none; a person's is


@BOTH
async def test_what_was_stored_as_we_were_killed_is_not_done_twice(
    broker: Mosquitto, protocol: str, database: Database
) -> None:
    """A snooze done again would count from then. Our successor hears it again and finds it in the database."""
    snooze = {"action": "snooze", "seq": 1, "by": "mari", "minutes": 30}
    stored, heard = asyncio.Event(), list[Action]()

    async def dying(action: Action) -> bool:
        await actions.put(database, action)
        stored.set()
        await asyncio.Event().wait()  # before it is acknowledged
        return True

    async def take(action: Action) -> bool:
        heard.append(action)
        return await actions.put(database, action)

    def daemon(on_action: OnAction) -> MqttReceiver:
        return MqttReceiver(
            options(broker, protocol=protocol), instance="one", version="0.1", clock=lambda: NOW, on_action=on_action
        )

    async with daemon(dying):
        await listening(broker)
        await send(broker, snooze)
        await asyncio.wait_for(stored.wait(), 10)
    async with daemon(take):
        await until(lambda: heard)
        await send(broker, snooze)  # a person's own repeat is another one
        await until(lambda: len(heard) == 2)
        await until(lambda: broker.log.count("Received PUBACK from listener-one-commands") == 2)
    assert len({action.id for action in heard}) == 2
    assert [action.id for action in await actions.waiting(database, limit=10)] == [action.id for action in heard]


def cut(mqtt: MqttReceiver) -> None:
    """End the connection for commands without a word."""
    assert mqtt._commands is not None
    assert mqtt._commands._newest is not None
    sock = mqtt._commands._newest._client.socket()
    assert isinstance(sock, socket.socket)
    sock.shutdown(socket.SHUT_RDWR)


async def test_a_broker_that_forgot_the_session_is_told_anew(broker: Mosquitto) -> None:
    desk = Desk()
    async with receiver(broker, desk):
        await listening(broker)
        broker.kill()
        broker.start()
        await listening(broker, times=2)
        await send(broker, note("still there"))
        await until(lambda: desk.taken)


@BOTH
async def test_a_retained_command_does_not_act_at_every_connection(broker: Mosquitto, protocol: str) -> None:
    desk, dropped = Desk(), list[str]()
    await send(broker, note("for ever"), retain=True)
    async with receiver(broker, desk, protocol=protocol, on_command_dropped=dropped.append):
        await listening(broker)
        await send(broker, b"")
        await send(broker, note("while we listen"), retain=True)
        await send(broker, note("now"))
        await until(lambda: "now" in desk.comments)
    # With 3.1.1 a broker does not say of what comes while we listen that it is retained: that acts, once.
    assert desk.comments == (["now"] if protocol == "5" else ["while we listen", "now"])
    assert dropped == (["empty", "retained"] if protocol == "5" else ["retained", "empty"])


async def test_only_the_session_for_commands_is_kept(broker: Mosquitto) -> None:
    """The broker keeps nothing but commands for us: not states, and nothing at all when nobody takes commands."""
    async with receiver(broker, Desk(), brands={"acme": "Acme"}) as mqtt:
        await connected(mqtt)
        await listening(broker)
    connections = [
        line for line in broker.log.splitlines() if "New client connected" in line and "listener-one" in line
    ]
    assert sorted(line.split(" as ")[1].split(",")[:2] for line in connections) == [
        ["listener-one (p5", " c1"],
        ["listener-one-commands (p5", " c0"],
    ]
    async with MqttReceiver(options(broker), instance="two", version="0.1") as mqtt:
        await connected(mqtt)
    assert "listener-two-commands" not in broker.log


async def test_another_daemons_brand_is_not_ours(broker: Mosquitto) -> None:
    desk, dropped = Desk(), list[str]()
    async with receiver(broker, desk, brands={"acme": "Acme"}, on_command_dropped=dropped.append):
        await listening(broker)
        await send(broker, note("theirs"), topic=f"listener/v1/brand/other/alert/{ALERT_ID}/ack")
        await send(broker, note("theirs too"), topic=f"listener/v1/two/alert/{ALERT_ID}/ack")
        await send(broker, note("ours"))
        await until(lambda: desk.taken)
    assert desk.comments == ["ours"]
    assert dropped == []


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_flood_of_commands_does_not_hold_up_alerts(broker: Mosquitto, qos: int) -> None:
    """They are taken in at a bounded rate; what is too much is dropped and counted, or waits at the broker."""
    desk, dropped = Desk(), list[str]()
    loop = asyncio.get_running_loop()
    async with receiver(broker, desk, on_command_dropped=dropped.append) as mqtt:
        await connected(mqtt)
        await listening(broker)
        began_at = loop.time()
        flood = asyncio.create_task(send(broker, *(note(str(number)) for number in range(600)), qos=qos))
        await until(lambda: desk.taken)
        await asyncio.wait_for(mqtt.deliver(notification()), 1.0)
        await asyncio.wait_for(mqtt.deliver(notification(seq=2)), 1.0)
        await flood
        await until(lambda: desk.tried and (qos == 1 or dropped))
        assert len(desk.taken) <= BURST + PER_SEC * (loop.time() - began_at) + 1
        assert len(dropped) <= 600 - WAITING_MAX[qos] if qos == 0 else not dropped
        assert set(dropped) <= {"flood"}


async def test_a_stop_waits_neither_for_a_frozen_broker_nor_for_the_database(broker: Mosquitto) -> None:
    desk = Desk()
    desk.broken = True
    async with receiver(broker, desk) as mqtt:
        await connected(mqtt)
        await listening(broker)
        await send(broker, note("stuck"))
        await until(lambda: desk.tried)
        broker.freeze()
        began_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began_at < 4


async def test_a_bug_in_what_takes_actions_stops_neither_alerts_nor_other_commands(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "STORE_RETRY_FIRST_SECS", 0.01)
    desk, dropped = Desk(), list[str]()

    async def take(action: Action) -> bool:
        if action.comment == "boom":
            raise ZeroDivisionError(action.act)
        return await desk.take(action)

    structlog.reset_defaults()
    with capture_logs() as logs:
        mqtt = MqttReceiver(
            options(broker),
            instance="one",
            version="0.1",
            clock=lambda: NOW,
            on_action=take,
            on_command_dropped=dropped.append,
        )
        async with mqtt:
            await connected(mqtt)
            await listening(broker)
            await send(broker, note("boom"), note("next"))
            await until(lambda: desk.taken)
            await mqtt.deliver(notification())
    assert desk.comments == ["next"]
    assert dropped == ["crashed"]
    assert any(entry["event"] == "mqtt.command_crashed" and entry["exc_info"] for entry in logs)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * 9000, "invalid"),
        (b'{"seq": 1, "by": "' + b"x" * commands.COMMAND_BYTES_MAX + b'"}', "too_large"),
        (b'{"seq": 1, "by": "a", "comment": "\\u0000"}', "invalid"),
        (b'{"seq": 1, "by": "a\\u001b[2J"}', "invalid"),
        (b'{"seq": "1", "by": "a"}', "invalid"),
        (b'{"seq": 1, "by": "a", "minutes": NaN}', "invalid"),
        (b'{"seq": 1, "by": "a", "extra": 1}', "invalid"),
        (b'{"seq": 1}', "invalid"),
        (b'{"seq": 1, "by": "  "}', "invalid"),
        (b"\xff\xfe", "invalid"),
        (b"null", "invalid"),
    ],
)
async def test_what_is_no_command_is_dropped_and_acknowledged(broker: Mosquitto, body: bytes, why: str) -> None:
    desk, dropped = Desk(), list[str]()
    async with receiver(broker, desk, on_command_dropped=dropped.append):
        await listening(broker)
        await send(broker, body)
        await until(lambda: dropped)
        assert dropped == [why]
        await until(lambda: "Received PUBACK from listener-one-commands" in broker.log)
    assert desk.tried == []


@BOTH
async def test_who_sends_what_is_not_understood_reads_why(broker: Mosquitto, protocol: str) -> None:
    """On the topic for actions, not retained; and what they send better then is done."""
    desk = Desk()
    async with aiomqtt.Client("127.0.0.1", broker.port) as phone:
        await phone.subscribe("listener/v1/+/actions", qos=1)
        async with receiver(broker, desk, protocol=protocol) as mqtt:
            await connected(mqtt)
            await listening(broker)
            await send(broker, {"seq": 1}, note("better"))
            said = await asyncio.wait_for(anext(phone.messages), 10)
            await until(lambda: desk.taken)
    assert (str(said.topic), said.qos, said.retain) == ("listener/v1/one/actions", 1, False)
    assert isinstance(said.payload, bytes)
    told = json.loads(said.payload)
    Draft202012Validator(schemas.load("action")).validate(told)
    assert (told["target"], told["outcome"], told["explanation"]) == (ALERT_ID, "refused", "by is missing")
    assert desk.comments == ["better"]
    async with aiomqtt.Client("127.0.0.1", broker.port) as late:
        await late.subscribe("listener/v1/#")
        await late.unsubscribe("listener/v1/#")  # what is retained comes before the answer to this
        assert "listener/v1/one/actions" not in [
            str((await anext(late.messages)).topic) for _ in range(len(late.messages))
        ]


async def test_a_daemon_that_hears_its_own_refusal_as_a_command_is_silent(broker: Mosquitto) -> None:
    """Somebody's rule passes on what comes on the topic for actions: that must not go round."""
    dropped: list[str] = []
    async with aiomqtt.Client("127.0.0.1", broker.port) as phone:
        await phone.subscribe("listener/v1/+/actions", qos=1)
        async with receiver(broker, Desk(), on_command_dropped=dropped.append) as mqtt:
            await connected(mqtt)
            await listening(broker)
            await send(broker, {"seq": 1})
            said = await asyncio.wait_for(anext(phone.messages), 10)
            await send(broker, said.payload, {"by": "mari"})
            then = await asyncio.wait_for(anext(phone.messages), 10)
    assert dropped == ["invalid"] * 3
    assert isinstance(then.payload, bytes)
    assert json.loads(then.payload)["by"] == "mari"


@pytest.mark.parametrize("level", ["acme", ALERT_ID.upper(), ALERT_ID.replace("-", ""), f"{{{ALERT_ID}}}", "x" * 3000])
async def test_an_id_that_cannot_be_ours_is_dropped(broker: Mosquitto, level: str) -> None:
    dropped: list[str] = []
    async with receiver(broker, Desk(), on_command_dropped=dropped.append):
        await listening(broker)
        await send(broker, note("x"), topic=f"listener/v1/brand/acme/alert/{level}/ack")
        await until(lambda: dropped)
        assert dropped == ["topic"]
