"""Two daemons on one database hear each command, each on its own session: it is one action all the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from listener.alerts.mqtt.receiver import MqttReceiver
from listener.app.telling import HEARD_WITHIN, Taken, Wake
from listener.domain import Act, Action, Via, stable_id
from listener.store import Database, actions
from tests.alerting import NOW, alert
from tests.integration.test_mqtt import options
from tests.mosquitto import Mosquitto, mosquitto, until

TARGET = alert().id
TOPIC = f"listener/v1/brand/acme/alert/{TARGET}/ack"
SNOOZE = {"action": "snooze", "seq": 1, "by": "mari", "minutes": 30}
SECOND = timedelta(seconds=1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets anybody in."""
    with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[tuple[Taken, Taken]]:
    """What two daemons keep actions with; each has its own way to the database."""
    both = [Database(database_url, durable=False) for _ in range(2)]
    yield Taken(both[0], Wake()), Taken(both[1], Wake())
    for one in both:
        await one.close()


class Daemon:
    """One that listens for commands, with a clock of its own."""

    def __init__(self, broker: Mosquitto, instance: str, taken: Taken) -> None:
        self.heard: list[Action] = []
        self.now = NOW
        self._taken = taken
        self.mqtt = MqttReceiver(
            options(broker), instance=instance, version="0.1", clock=self.clock, on_action=self.take
        )

    def clock(self) -> datetime:
        """Its time."""
        return self.now

    async def take(self, action: Action) -> bool:
        """Keep it, as the daemon does."""
        kept = await self._taken(action)
        self.heard.append(action)
        return kept


@asynccontextmanager
async def running(broker: Mosquitto, pair: Sequence[Taken]) -> AsyncIterator[tuple[Daemon, Daemon]]:
    """Both daemons, once both have subscribed."""
    one, two = (Daemon(broker, name, taken) for name, taken in zip(("one", "two"), pair, strict=True))
    subscribed = [f"Sending SUBACK to listener-{name}-commands" for name in ("one", "two")]
    async with one.mqtt, two.mqtt:
        await until(lambda: all(broker.log.count(line) >= 2 for line in subscribed))
        yield one, two


async def send(broker: Mosquitto, *values: dict[str, Any], qos: int = 1) -> None:
    """Send commands as somebody on call does."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for value in values:
            await client.publish(TOPIC, json.dumps(value), qos=qos)


async def kept(database_url: str) -> list[Action]:
    """All that waits to be done."""
    database = Database(database_url)
    found = await actions.waiting(database, limit=100)
    await database.close()
    return found


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_both_hear_is_done_once_and_what_a_person_repeats_twice(
    broker: Mosquitto, pair: tuple[Taken, Taken], database_url: str, qos: int
) -> None:
    """Two snoozes alike and one that is not, which come to both."""
    async with running(broker, pair) as (one, two):
        await send(broker, SNOOZE, {**SNOOZE, "by": "jaan"}, SNOOZE, qos=qos)
        await until(lambda: len(one.heard) == len(two.heard) == 3)
    assert sorted(action.by for action in await kept(database_url)) == ["jaan", "mari", "mari"]


async def test_one_that_was_away_does_not_do_again_what_says_when_it_was_decided(
    broker: Mosquitto, pair: tuple[Taken, Taken], database_url: str
) -> None:
    """It hears it an hour later, from its session."""
    async with running(broker, pair):
        pass
    first = Daemon(broker, "one", pair[0])
    async with first.mqtt:
        await send(broker, {**SNOOZE, "at": "2026-03-02T12:30:00Z"})
        await until(lambda: first.heard)
    late = Daemon(broker, "two", pair[1])
    late.now = NOW + timedelta(hours=1)
    async with late.mqtt:
        await until(lambda: late.heard)
    assert [action.at for action in await kept(database_url)] == [NOW]


def action(number: int, **changes: Any) -> Action:
    """A snooze, as each of its hearings has it."""
    values: dict[str, Any] = {
        "id": stable_id("test", str(number)),
        "target": TARGET,
        "act": Act.SNOOZE,
        "seq": 1,
        "by": "mari",
        "via": Via.MQTT,
        "at": NOW,
        "minutes": 30.0,
    }
    return Action(**{**values, **changes})


async def test_one_moment_is_enough_for_both(pair: tuple[Taken, Taken], database_url: str) -> None:
    """Neither has seen the other's row when they begin."""
    for number in range(20):
        heard = [action(2 * number + side, by=f"person {number}") for side in range(2)]
        assert await asyncio.gather(*(take(one) for take, one in zip(pair, heard, strict=True))) == [True, True]
    assert sorted({one.by for one in await kept(database_url)}) == sorted(one.by for one in await kept(database_url))
    assert len(await kept(database_url)) == 20


@pytest.mark.parametrize(
    "other",
    [
        {"target": alert(brand="other").id},
        {"act": Act.SILENCE},
        {"seq": 2},
        {"seq": None},
        {"by": "jaan"},
        {"minutes": 31.0},
        {"minutes": None},
        {"assignee": "jaan"},
        {"comment": "why"},
        {"helped": "a notice"},
        {"via": Via.HTTP},
        {"at": NOW + HEARD_WITHIN + SECOND},
        {"at": NOW - HEARD_WITHIN - SECOND},
    ],
    ids="-".join,
)
async def test_what_differs_in_anything_is_another_command(
    pair: tuple[Taken, Taken], database_url: str, other: dict[str, Any]
) -> None:
    await pair[0](action(1))
    await pair[1](action(2, **other))
    assert len(await kept(database_url)) == 2


@pytest.mark.parametrize("late", [SECOND, HEARD_WITHIN, -HEARD_WITHIN])
async def test_the_same_a_little_later_or_by_a_clock_that_is_behind_is_one(
    pair: tuple[Taken, Taken], database_url: str, late: timedelta
) -> None:
    """Whatever a database cannot hold is left out on both sides."""
    heard = action(1, comment="caf\0é", helped="", assignee=None)
    assert await pair[0](heard)
    assert await pair[1](replace(heard, id=stable_id("test", "2"), at=NOW + late))
    assert [one.id for one in await kept(database_url)] == [heard.id]


async def test_what_the_broker_sends_again_is_known(pair: tuple[Taken, Taken], database_url: str) -> None:
    """To whoever has kept it; to the other one it is still theirs."""
    assert [await pair[0](action(1)), await pair[0](action(1))] == [True, False]
    assert [await pair[1](action(2)), await pair[1](action(2))] == [True, False]
    assert len(await kept(database_url)) == 1


async def test_a_person_who_asks_again_is_heard_whoever_is_first(pair: tuple[Taken, Taken], database_url: str) -> None:
    """Three times within seconds; each time both hear it, in turn one or the other before."""
    for number, order in enumerate([(0, 1), (1, 0), (1, 0)]):
        for side in order:
            await pair[side](action(2 * number + side, at=NOW + number * SECOND))
    assert [one.at for one in await kept(database_url)] == [NOW + number * SECOND for number in range(3)]
