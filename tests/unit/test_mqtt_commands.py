"""Commands: what is the same one again, and what becomes of one that nobody can keep."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import paho.mqtt.client as paho
import pytest

from listener.alerts.mqtt import commands
from listener.alerts.mqtt.commands import CRASHES_MAX, Commands, Dropped, parse
from listener.alerts.mqtt.topics import Topics
from listener.config.mqtt import MqttOptions
from listener.domain import Action
from listener.errors import StoreError
from tests.alerting import NOW, alert

TOPICS = Topics(prefix="listener/v1", instance="one")
TOPIC = TOPICS.ack(alert().id, brand="acme")


def message(*, mid: int = 1, by: str = "mari", qos: int = 1, dup: bool = False, topic: str = TOPIC) -> paho.MQTTMessage:
    """A command as paho hands it on."""
    made = paho.MQTTMessage(mid, topic.encode())
    made.payload = f'{{"action": "snooze", "seq": 1, "by": "{by}"}}'.encode()
    made.qos, made.dup = qos, dup
    return made


def id_of(made: paho.MQTTMessage, topics: Topics = TOPICS) -> str:
    """The id of the action that it becomes."""
    found = parse(made, topics=topics, slugs=(), now=NOW)
    assert isinstance(found, Action)
    return found.id


def test_what_the_broker_sends_again_is_the_same_action() -> None:
    assert id_of(message()) == id_of(message(dup=True))


def test_what_a_person_sends_again_is_another_action() -> None:
    """It has a number of its own; so have other texts, other topics and other daemons' sessions."""
    other = TOPICS.ack(alert(brand="other").id, brand="acme")
    made = [message(), message(mid=2), message(by="jaan"), message(topic=other)]
    ids = [*map(id_of, made), id_of(message(), Topics(prefix="listener/v1", instance="two"))]
    assert len(set(ids)) == 5


def test_with_qos_0_there_are_no_repeats() -> None:
    assert id_of(message(mid=0, qos=0)) != id_of(message(mid=0, qos=0))


class Broker:
    """A connection that keeps what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.each = asyncio.Event()

    def when_lost(self, callback: object) -> None:
        """It never is."""

    def raise_if_lost(self) -> None:
        """It never is."""

    async def try_subscribe(self, *_: object, **__: object) -> bool:
        return True

    def acknowledge(self, one: paho.MQTTMessage) -> None:
        self.acknowledged.append(one.mid)


async def heard(take: Callable[[Action], Awaitable[bool | None]], *sent: paho.MQTTMessage) -> SimpleNamespace:
    """What becomes of these commands, by the time that all of them are acknowledged."""
    broker, dropped, crashes = Broker(), list[Dropped](), list[None]()
    listening = Commands(
        MqttOptions(),
        topics=TOPICS,
        brands=(),
        clock=lambda: NOW,
        on_action=take,
        on_dropped=dropped.append,
        on_refused=lambda _: None,
        on_crash=lambda: crashes.append(None),
    )
    for one in sent:
        listening._hear(broker, one)  # type: ignore[arg-type]
    session = asyncio.create_task(listening._session(broker))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while len(broker.acknowledged) < len(sent) and not session.done():  # noqa: ASYNC110 -- nothing else tells
            await asyncio.sleep(0)
    ended = session.done()
    session.cancel()
    await asyncio.wait({session})
    return SimpleNamespace(acknowledged=broker.acknowledged, dropped=dropped, crashes=len(crashes), ended=ended)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between attempts."""
    monkeypatch.setattr(commands, "STORE_RETRY_MAX_SECS", 0.0)
    monkeypatch.setattr(commands, "STORE_RETRY_FIRST_SECS", 0.0)


async def test_a_command_that_nobody_can_keep_does_not_hold_up_the_next() -> None:
    tried: list[str] = []

    async def take(action: Action) -> bool:
        tried.append(action.by)
        if action.by == "mari":
            raise ZeroDivisionError
        return True

    found = await heard(take, message(), message(mid=2, by="jaan"))
    assert not found.ended
    assert tried == ["mari"] * CRASHES_MAX + ["jaan"]
    assert found.acknowledged == [1, 2]
    assert found.dropped == ["crashed"]
    assert found.crashes == CRASHES_MAX


async def test_a_number_that_was_used_before_is_no_repeat() -> None:
    """A broker that forgot the session counts anew: what comes for the first time is done."""
    known, done = {id_of(message())}, list[str]()

    async def take(action: Action) -> bool:
        if action.id in known:
            return False
        known.add(action.id)
        done.append(action.id)
        return True

    await heard(take, message(dup=True))
    assert done == []
    await heard(take, message())
    assert len(done) == 1


async def test_what_was_kept_though_the_answer_was_lost_is_kept_once() -> None:
    """The commit came through, its confirmation did not: the second attempt finds the first."""
    kept: list[str] = []

    async def take(action: Action) -> bool:
        if action.id in kept:
            return False
        kept.append(action.id)
        raise StoreError("no answer in time")

    found = await heard(take, message())
    assert len(kept) == 1
    assert found.acknowledged == [1]
