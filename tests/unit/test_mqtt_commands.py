"""Commands: what is the same one again, what becomes of one that nobody can keep, who hears of what is not taken."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import paho.mqtt.client as paho
import pytest
import structlog
from structlog.testing import capture_logs

from listener.alerts.mqtt import commands
from listener.alerts.mqtt.commands import (
    COMMAND_BYTES_MAX,
    CRASHES_MAX,
    TOLD_MAX,
    WAITING_MAX,
    WARNED_MAX,
    Commands,
    Understood,
    parse,
)
from listener.alerts.mqtt.refusals import Allowance, Dropped, understood
from listener.alerts.mqtt.topics import Topics
from listener.alerts.wire.oncall import ActionPayload, Command
from listener.config.mqtt import MqttOptions
from listener.domain import Act, Action, Outcome, Via
from listener.errors import StoreError
from tests.alerting import NOW, alert
from tests.mqtt_messages import every_payload

TOPICS = Topics(prefix="listener/v1", instance="one")
TOPIC = TOPICS.ack(alert().id, brand="acme")


def message(
    *,
    mid: int = 1,
    by: str = "mari",
    qos: int = 1,
    dup: bool = False,
    topic: str = TOPIC,
    at: str | None = None,
    body: bytes | None = None,
) -> paho.MQTTMessage:
    """A command as paho hands it on."""
    made = paho.MQTTMessage(mid, topic.encode())
    decided = "" if at is None else f', "at": "{at}"'
    made.payload = f'{{"action": "snooze", "seq": 1, "by": "{by}"{decided}}}'.encode() if body is None else body
    made.qos, made.dup = qos, dup
    return made


def id_of(made: paho.MQTTMessage, topics: Topics = TOPICS) -> str:
    """The id of the action that it becomes."""
    found = parse(made, topics=topics, slugs=(), now=NOW)
    assert isinstance(found, Understood)
    return found.action.id


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


def test_a_command_that_says_when_it_was_decided_is_the_same_through_every_session() -> None:
    """Another number, another daemon, no number at all; decided at another moment it is another one."""
    at = "2026-03-02T12:30:00Z"
    other = Topics(prefix="listener/v1", instance="two")
    same = [message(at=at), message(at=at, mid=2), message(at=at, mid=0, qos=0)]
    assert len({*map(id_of, same), id_of(message(at=at), other)}) == 1
    assert id_of(message(at="2026-03-02T12:30:01Z")) != id_of(same[0])
    assert id_of(message(at=at, topic=TOPICS.ack(alert(brand="other").id, brand="acme"))) != id_of(same[0])


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
    broker, dropped, crashes, told = Broker(), list[Dropped](), list[None](), list[ActionPayload]()
    listening = Commands(
        MqttOptions(),
        topics=TOPICS,
        brands=(),
        clock=lambda: NOW,
        on_action=take,
        on_dropped=dropped.append,
        on_refused=lambda _: None,
        on_crash=lambda: crashes.append(None),
        on_told=told.append,
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
    return SimpleNamespace(
        acknowledged=broker.acknowledged, dropped=dropped, crashes=len(crashes), ended=ended, told=told
    )


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
    (told,) = found.told
    assert (told.by, told.action, told.outcome) == ("mari", Act.SNOOZE, Outcome.REFUSED)
    assert told.explanation == "an error of ours, it is in the log; nothing was changed"


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


async def test_what_another_session_has_heard_is_final_where_it_says_when_it_was_decided() -> None:
    """There is no number that a broker could have used before."""
    tried: list[str] = []

    async def take(action: Action) -> bool:
        tried.append(action.id)
        return False

    await heard(take, message(at="2026-03-02T12:30:00Z"))
    assert len(tried) == 1


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


# ------------------------------------------------------------------------------------------------- what is not taken

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"seq": 1}', "by is missing"),
        ('{"seq": "hunter2", "by": "mari"}', "seq should be a valid integer"),
        ('{"seq": 0, "by": "hunter2"}', "seq should be greater than or equal to 1"),
        ('{"seq": 1, "by": "  "}', "by is empty"),
        ('{"seq": 1, "by": ["hunter2"]}', "by should be a valid string"),
        (
            '{"action": "hunter2", "seq": 1, "by": "a"}',
            "action should be 'ack', 'assign', 'snooze', 'resolve', 'silence' or 'note'",
        ),
        ('{"seq": 1, "by": "a", "minutes": "hunter2"}', "minutes should be a valid number"),
        ('{"seq": 1, "by": "a", "at": "hunter2"}', "at should be a valid datetime, input is too short"),
        ('{"seq": 1, "by": "a", "note": "hunter2"}', "note is not known"),
        ('{"seq": 1, "by": "a", "\\u001b[2J hunter2": 1}', "a field is not known"),
        ('{"seq": 1, "by": "hunter2\\u001b[2J"}', "by has control characters"),
        ('{"seq": 1, "by": "a", "comment": "hunter2\\u0000"}', "comment has control characters"),
        (
            '{"seq": "x", "minutes": 0, "z": 1}',
            "seq should be a valid integer; by is missing; minutes should be greater",
        ),
        ('{"seq": "x", "minutes": 0, "y": 1, "z": 1}', " than 0; and 2 more"),
        ("by hunter2", "it is no JSON"),
        ('["hunter2"]', "it is no JSON object"),
        ("[" * 9000, "it is no JSON"),
    ],
)
async def test_who_sends_what_is_not_understood_hears_why(body: str, problem: str) -> None:
    """So does the log, with the topic; and nothing of what was sent is in either's words."""
    structlog.reset_defaults()
    with capture_logs() as logs:
        found = await heard(never, message(body=body.encode()))
    (told,) = found.told
    assert problem in told.explanation
    assert (told.target, told.outcome, told.via, told.at) == (alert().id, Outcome.REFUSED, Via.MQTT, NOW)
    assert SECRET not in told.explanation
    (said,) = (entry for entry in logs if entry["event"] == "mqtt.command_dropped")
    assert (said["log_level"], said["topic"], said["problem"]) == ("warning", TOPIC, told.explanation)
    assert SECRET not in repr(logs)
    assert found.dropped == ["invalid"]
    assert found.acknowledged == [1]


async def never(action: Action) -> bool:
    """Nothing is to be done."""
    raise AssertionError(action)


async def test_a_refusal_says_what_could_be_read() -> None:
    """So that a person finds it: what was asked for, of which event, by whom."""
    body = b'{"action": "snooze", "seq": 3, "by": " mari ", "minutes": "30"}'
    unreadable = b'{"action": [], "seq": true, "by": "\\u001b", "minutes": "30"}'
    found = await heard(never, message(body=body), message(body=unreadable, mid=2))
    assert [(one.action, one.seq, one.by) for one in found.told] == [(Act.SNOOZE, 3, "mari"), (Act.ACK, None, "")]


async def test_a_bundle_is_answered_like_an_alert() -> None:
    topic = TOPICS.bundle_ack(alert().id)
    found = await heard(never, message(body=b"ack", topic=topic))
    assert [one.target for one in found.told] == [alert().id]


async def test_what_is_too_large_is_told_unread() -> None:
    found = await heard(never, message(body=b"x" * (COMMAND_BYTES_MAX + 1)))
    assert found.dropped == ["too_large"]
    assert [one.explanation for one in found.told] == ["it has more than 16384 bytes"]


@pytest.mark.parametrize("kind", [*every_payload()])
async def test_what_we_say_ourselves_is_never_answered(kind: str) -> None:
    """However it came to a topic for commands: the answer could come there, too."""
    body = every_payload()[kind].model_dump_json(by_alias=True).encode()
    found = await heard(never, message(body=body))
    assert (found.dropped, found.told) == (["invalid"], [])


@pytest.mark.parametrize("body", [b'{"seq": 1}', b"x" * (COMMAND_BYTES_MAX + 1)])
async def test_no_answer_is_a_command_wherever_it_goes(body: bytes) -> None:
    """Sent back to where commands go, it is not answered again."""
    (told,) = (await heard(never, message(body=body))).told
    again = await heard(never, message(body=told.model_dump_json(by_alias=True).encode()))
    assert again.told == []


async def test_what_names_no_alert_or_stands_there_is_not_answered() -> None:
    """Nor is it warned of what was taken away, or is retained: that is the broker's doing, at each connection."""
    retained = message(mid=2)
    retained.retain = True
    structlog.reset_defaults()
    with capture_logs() as logs:
        found = await heard(
            never, message(body=b""), retained, message(mid=3, topic="listener/v1/brand/acme/alert/\x1b[2J/ack")
        )
    assert (found.dropped, found.told) == (["empty", "retained", "topic"], [])
    warned = [entry["topic"] for entry in logs if entry["log_level"] == "warning"]
    assert warned == ["listener/v1/brand/acme/alert/?[2J/ack"]


async def test_another_daemons_brand_is_its_own_to_refuse() -> None:
    assert parse(message(body=b"ack"), topics=TOPICS, slugs={"other"}, now=NOW) is None


async def test_many_at_once_are_all_counted_but_neither_all_told_nor_all_logged() -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        found = await heard(never, *(message(mid=number, body=b"ack") for number in range(1, 101)))
    assert len(found.dropped) == len(found.acknowledged) == 100
    assert len(found.told) == TOLD_MAX
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == WARNED_MAX


async def test_who_comes_too_fast_hears_of_it() -> None:
    """Not what was taken, but the first that was too many."""
    broker, told = Broker(), list[ActionPayload]()
    listening = commands_of(told)
    for _ in range(WAITING_MAX[0] + 1):
        listening._hear(broker, message(mid=0, qos=0))  # type: ignore[arg-type]
    assert [(one.by, one.explanation) for one in told] == [("mari", "too many commands at once; send it again")]


def test_an_allowance_comes_back_with_time_and_minds_no_clock_that_is_set_back() -> None:
    allowance = Allowance(burst=2, every_secs=10.0)
    second = timedelta(seconds=1)
    times = [0, 0, 0, 9, 10, 11, -3600, -3590, 3600, 3600, 3600]
    allowed = [allowance.take(NOW + number * second) for number in times]
    assert allowed == [True, True, False, False, True, False, False, True, True, True, False]
    assert allowance.left_out == 5


async def test_the_next_warning_says_how_many_were_left_out() -> None:
    now, told = [NOW], list[ActionPayload]()
    listening = commands_of(told, clock=lambda: now[0])
    structlog.reset_defaults()
    with capture_logs() as logs:
        for _ in range(WARNED_MAX + 5):
            listening._hear(Broker(), message(body=b"ack"))  # type: ignore[arg-type]
        now[0] += timedelta(minutes=5)
        for _ in range(2):
            listening._hear(Broker(), message(body=b"ack"))  # type: ignore[arg-type]
    warned = [entry.get("not_logged", 0) for entry in logs if entry["log_level"] == "warning"]
    assert warned == [0] * WARNED_MAX + [5, 0]


def commands_of(told: list[ActionPayload], **changes: Any) -> Commands:
    """Commands that are heard and never done."""
    values: dict[str, Any] = {"clock": lambda: NOW, **changes}
    return Commands(
        MqttOptions(),
        topics=TOPICS,
        brands=(),
        on_action=never,
        on_dropped=lambda _: None,
        on_refused=lambda _: None,
        on_told=told.append,
        **values,
    )


def test_a_command_that_is_understood_has_no_problem() -> None:
    command = understood(b'{"seq": 1, "by": "mari", "comment": "two\\nlines\\t."}')
    assert isinstance(command, Command)
    assert command.comment == "two\nlines\t."
