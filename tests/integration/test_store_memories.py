"""What alerts were about, on real databases: kept with the decision, read with how it ended."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from listener import tables
from listener.domain import Alert, AlertState, Resolution
from listener.domain.memories import Memory
from listener.store import Database, alerts, memories, mentions
from listener.store.database import insert_into
from listener.store.sources import SourceState
from tests import alerting
from tests.mentions import NOW, mention

MODEL = "small@1/meaning"
VECTOR = b"\x00\x00\x80\x3f" + b"\x00" * 8


def ended(number: int, **changes: Any) -> Alert:
    at = NOW + timedelta(days=number)
    values = {"state": AlertState.RESOLVED, "ended_at": at, "resolution": Resolution.RECOVERED, "evidence": ("a",)}
    return alerting.alert(started_at=at - timedelta(hours=2), updated_at=at, **{**values, **changes})


async def keep(
    database: Database, alert: Alert, *, model: str = MODEL, vector: bytes = VECTOR, **response: Any
) -> None:
    async with database.writing() as connection:
        await alerts.write(connection, database.dialect, alert)
        memory = Memory(alert_id=alert.id, model=model, at=alert.started_at, vector=vector)
        await memories.write(connection, database.dialect, memory)
        if response:
            values = {"alert_id": alert.id, "brand": alert.brand, **response}
            values = {"told_seq": 0, "step": 0, "repeats": 0, "escalated": False, "closed": True, **values}
            await connection.execute(insert_into(database.dialect, tables.response).values(**values))


async def note(database: Database, alert: Alert, number: int, *, outcome: str = "done", **said: Any) -> None:
    values = {"id": f"note-{number}", "target": alert.id, "act": "note", "by": "mari", "via": "cli", "at": NOW}
    async with database.writing() as connection:
        statement = insert_into(database.dialect, tables.action)
        await connection.execute(statement.values(**values, outcome=outcome, **said))


async def test_an_ended_alert_is_remembered_with_how_it_ended(database: Database) -> None:
    alert = ended(1)
    await keep(database, alert, cause="a strike", helped="a call", resolved_by="mari")
    (one,) = await memories.recent(database, model=MODEL)
    assert (one.alert_id, one.brand, one.vector) == (alert.id, alert.brand, VECTOR)
    assert (one.cause, one.helped, one.resolved_by) == ("a strike", "a call", "mari")
    assert (one.started_at, one.ended_at, one.resolution) == (alert.started_at, alert.ended_at, Resolution.RECOVERED)
    assert one.channels == alert.signal.channels
    assert one.evidence == ("a",)
    assert one.teaches


async def test_an_alert_nobody_answered_is_remembered_too(database: Database) -> None:
    await keep(database, ended(1))
    (one,) = await memories.recent(database, model=MODEL)
    assert (one.cause, one.helped, one.resolved_by) == ("", "", "")
    assert not one.teaches


async def test_what_still_fires_and_what_another_model_remembers_is_left_out(database: Database) -> None:
    await keep(database, ended(1, state=AlertState.FIRING, ended_at=None, resolution=None))
    await keep(database, ended(2), model="other@1")
    assert await memories.recent(database, model=MODEL) == []


async def test_newest_first_and_only_those_before(database: Database) -> None:
    for number in (1, 3, 2):
        await keep(database, ended(number))
    days = [(one.ended_at - NOW).days for one in await memories.recent(database, model=MODEL, limit=2)]
    assert days == [3, 2]
    before = await memories.recent(database, model=MODEL, before=NOW + timedelta(days=2))
    assert [(one.ended_at - NOW).days for one in before] == [1]
    since = await memories.recent(database, model=MODEL, since=NOW + timedelta(days=2))
    assert [(one.ended_at - NOW).days for one in since] == [3, 2]


async def test_notes_fill_what_the_response_does_not_say(database: Database) -> None:
    alert = ended(1)
    await keep(database, alert, cause="told when resolved")
    await note(database, alert, 1, comment="an early guess", helped="a letter")
    await note(database, alert, 2, helped="a call")
    await note(database, alert, 3, helped="not this", outcome="refused")
    (one,) = await memories.recent(database, model=MODEL)
    assert (one.cause, one.helped) == ("told when resolved", "a call")


async def test_a_reopened_alert_is_remembered_anew(database: Database) -> None:
    alert = ended(1)
    await keep(database, alert)
    await keep(database, replace(alert, seq=alert.seq + 1), vector=b"\x01" * 12)
    (one,) = await memories.recent(database, model=MODEL)
    assert one.vector == b"\x01" * 12


async def test_how_many_alerts_teach_whatever_model_remembers_them(database: Database) -> None:
    await keep(database, ended(1), cause="a strike", model="other@1")
    await keep(database, ended(2))
    silent = ended(3)
    await keep(database, silent)
    assert await memories.taught(database) == 1
    await note(database, silent, 1, comment="snow")
    assert await memories.taught(database) == 2
    assert await memories.taught(database, since=NOW + timedelta(days=2)) == 1


async def test_what_mentions_say_comes_in_the_order_asked(database: Database) -> None:
    second = replace(mention("2", "Kus on pakk?"), lang="et", title="Kiri", topics={"bolt": "delivery"})
    first = mention("1", "It is late")
    state = SourceState(name="forum", fingerprint="f")
    await mentions.save_poll(database, [first, second], state, now=NOW)
    found = await memories.said(database, [second.id, "gone", first.id], brand="bolt")
    assert [(one.id, one.text, one.lang) for one in found] == [
        (second.id, "Kiri\nKus on pakk?", "et"),
        (first.id, "It is late", "en"),
    ]
    alert = ended(1, brand="bolt", evidence=(first.id, second.id))
    await keep(database, alert)
    known = await memories.recent(database, model=MODEL)
    assert await memories.topics(database, known) == {alert.id: "delivery"}
