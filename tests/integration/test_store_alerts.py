"""Decisions and the outbox on real databases: one commit, told in order per brand."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.event import listen, remove

from listener import tables
from listener.alerts.oncall.events import event_of
from listener.domain import (
    SEVERAL,
    Alert,
    AlertState,
    Bundle,
    Event,
    Evidence,
    Member,
    Notification,
    Reason,
    Resolution,
    Response,
    Severity,
)
from listener.pipeline.turns import Turns
from listener.store import Database, alerts, events, mentions, outbox, responses, votes
from listener.store.sources import SourceState
from listener.store.votes import Change, Kept
from tests import alerting
from tests.mentions import NOW, mention

STANDING = {"share": 0.2, "dissatisfaction": 0.4, "deff": 1.0, "mentions": 0.0}


def alert(brand: str = "bolt", *, at: datetime = NOW, state: AlertState = AlertState.FIRING, seq: int = 1) -> Alert:
    """An alert as the life cycle makes it."""
    made = {"brand": brand, "state": state, "seq": seq, "evidence": ("a", "b")}
    return alerting.alert(**made, started_at=at, updated_at=at)


def due(of: Alert, *, receiver: str = "mqtt", at: datetime = NOW) -> Notification:
    """What the alert makes due."""
    return Notification(
        alert_id=of.id,
        seq=of.seq,
        brand=of.brand,
        severity=of.severity,
        receiver=receiver,
        reason=Reason.FIRST,
        payload={"text": "Bolt turns bad", "seq": of.seq},
        decided_at=at,
        due_at=at,
    )


def event(of: Alert) -> Event:
    """What people are to be told of the alert."""
    return event_of(of, Reason.FIRST, payload={"text": "Bolt turns bad", "seq": of.seq}, now=NOW)


async def decide(database: Database, of: Alert, said: Sequence[Event] = (), *, before: int = 0) -> bool:
    """Keep a look that decided this, as the daemon does; ``before`` is the version that it started from."""
    kept = Kept(version=before + 1, position=0, state={"any": "thing"}, **STANDING)
    change = Change(brand=of.brand, before=before, kept=kept, alerts=[of], events=said)
    return await votes.save(database, [change], now=NOW)


async def write(database: Database, of: Alert, notifications: Sequence[Notification] = ()) -> None:
    """Keep an alert alone."""
    async with database.writing() as connection:
        await alerts.write(connection, database.dialect, of)
        await outbox.enqueue(connection, database.dialect, notifications)


async def latest(database: Database) -> dict[str, Alert]:
    return await alerts.latest(database, ["bolt", "wolt"])


async def count(database: Database, table: str) -> int:
    async with database.reading() as connection:
        chosen = select(func.count()).select_from(getattr(tables, table))
        return int((await connection.execute(chosen)).scalar_one())


async def taken(database: Database, *, now: datetime = NOW) -> list[Notification]:
    """All that can be taken at one time, as ``deliver`` takes it."""
    turns = Turns(await outbox.waiting(database, "mqtt"))
    found = []
    while (row := turns.take(now)) is not None:
        found.append(await outbox.claim(database, row, now=now, lease_secs=30))
    return [one for one in found if one is not None]


async def told_of(database: Database) -> list[Event]:
    """What waits for people to be told."""
    async with database.reading() as connection:
        return await events.waiting(connection, held=True)


async def test_an_alert_comes_back_as_it_went(database: Database) -> None:
    fired = replace(alert(), proof=alerting.proof_document(), reopened=2, calm_since_at=NOW)
    assert await decide(database, fired, [event(fired)])
    assert await latest(database) == {fired.fingerprint: fired}
    assert await alerts.recent(database, limit=5) == [fired]
    assert await alerts.recent(database, limit=5, state=AlertState.RESOLVED) == []
    assert [replace(one, row=0) for one in await told_of(database)] == [event(fired)]


@pytest.mark.parametrize("resolution", Resolution)
async def test_how_an_alert_ended_comes_back_too(database: Database, resolution: Resolution) -> None:
    ended = replace(alert(state=AlertState.RESOLVED, seq=2), ended_at=NOW, resolution=resolution)
    await write(database, ended)
    assert await latest(database) == {ended.fingerprint: ended}


async def test_an_alert_is_found_by_the_beginning_of_its_id(database: Database) -> None:
    first, other = alert(), alert("wolt")
    await write(database, first)
    await write(database, other)
    assert await alerts.by_id(database, first.id[:8]) == [first]
    assert await alerts.by_id(database, "%") == []
    assert len(await alerts.by_id(database, "")) == 2


async def test_only_brands_that_fire_are_named(database: Database) -> None:
    await write(database, alert())
    await write(database, replace(alert("wolt", state=AlertState.RESOLVED), ended_at=NOW))
    assert await alerts.firing(database) == {"bolt"}


async def test_deciding_twice_is_deciding_once(database: Database) -> None:
    fired = alert()
    for _ in range(2):
        await write(database, fired, [due(fired)])
    assert await count(database, "notification") == 1


async def test_a_look_that_began_from_an_older_standing_keeps_nothing(database: Database) -> None:
    """Two daemons read the same standing; the second one's decision is given up whole."""
    first, second = alert(), alert(at=NOW + timedelta(seconds=5))
    assert await decide(database, first, [event(first)])
    assert not await decide(database, second, [event(second)])
    assert await latest(database) == {first.fingerprint: first}
    assert [one.alert_id for one in await told_of(database)] == [first.id]


async def test_only_one_alert_fires_for_a_brand_and_rule(database: Database) -> None:
    first, second = alert(), alert(at=NOW + timedelta(seconds=5))
    assert await decide(database, first, [event(first)])
    assert not await decide(database, second, [event(second)], before=1)
    assert (await votes.versions(database, ["bolt"]))["bolt"] == 1
    assert [one.alert_id for one in await told_of(database)] == [first.id]


async def test_after_the_end_a_new_one_may_fire(database: Database) -> None:
    first = alert()
    assert await decide(database, first)
    assert await decide(database, replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW), before=1)
    second = alert(at=NOW + timedelta(hours=5))
    assert await decide(database, second, before=2)
    assert await latest(database) == {second.fingerprint: second}


async def test_an_alert_that_ended_fires_again_under_its_id(database: Database) -> None:
    first = alert()
    await write(database, first)
    await write(database, replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW))
    again = replace(first, seq=3, reopened=1)
    await write(database, again, [due(again)])
    assert await latest(database) == {first.fingerprint: again}
    assert [one.alert_id for one in await taken(database)] == [first.id]


async def test_an_older_decision_does_not_undo_a_newer_one(database: Database) -> None:
    first = alert()
    resolved = replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW)
    for one in (first, resolved, first):
        await write(database, one)
    assert await latest(database) == {first.fingerprint: resolved}


async def test_a_claim_of_the_outbox_returns_when_its_owner_dies(database: Database) -> None:
    fired = alert()
    await write(database, fired, [due(fired)])
    assert len(await taken(database)) == 1
    assert await taken(database) == []
    (again,) = await taken(database, now=NOW + timedelta(seconds=31))
    assert again.id == due(fired).id


async def test_what_was_sent_is_not_due_again(database: Database) -> None:
    fired = alert()
    await write(database, fired, [due(fired)])
    (one,) = await taken(database)
    await outbox.sent(database, one, now=NOW)
    assert await taken(database, now=NOW + timedelta(days=1)) == []
    assert await outbox.backlogs(database) == []


async def test_what_is_told_of_a_brand_is_told_in_order(database: Database) -> None:
    first, other = alert(), alert("wolt")
    await write(database, first, [due(first)])
    (one,) = await taken(database)
    await outbox.again(database, one, due_at=NOW + timedelta(minutes=5), error="broker away")
    resolved = replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW)
    await write(database, resolved, [due(resolved)])
    await write(database, other, [due(other)])
    soon = NOW + timedelta(minutes=1)
    assert [found.brand for found in await taken(database, now=soon)] == ["wolt"]
    later = NOW + timedelta(minutes=6)
    told = []
    while found := await taken(database, now=later):
        told += [(one.brand, one.seq, one.attempt) for one in found]
        for one in found:
            await outbox.sent(database, one, now=later)
    assert [one for one in told if one[0] == "bolt"] == [("bolt", 1, 1), ("bolt", 2, 0)]


def backlog(receiver: str, count: int, *, severity: Severity = Severity.CRITICAL, at: datetime) -> outbox.Backlog:
    return outbox.Backlog(receiver=receiver, severity=severity, count=count, decided_at=at)


async def test_what_waits_is_counted_for_each_receiver_and_severity(database: Database) -> None:
    first, other = alert(), alert("wolt")
    later = NOW + timedelta(minutes=1)
    ticket = replace(due(first, at=later), seq=2, severity=Severity.WARNING)
    await write(database, first, [due(first), due(first, receiver="mail", at=later), ticket])
    await write(database, other, [due(other, at=later)])
    (one, *_) = await taken(database)
    assert await outbox.backlogs(database) == [
        backlog("mail", 1, at=later),
        backlog("mqtt", 2, at=NOW),
        backlog("mqtt", 1, severity=Severity.WARNING, at=later),
    ]
    await outbox.sent(database, one, now=NOW)
    assert (await outbox.backlogs(database))[1] == backlog("mqtt", 1, at=later)


async def test_of_one_backlog_what_is_old_enough_is_abandoned_and_nothing_else(database: Database) -> None:
    first, later = alert(), NOW + timedelta(minutes=1)
    ticket, new = replace(due(first), seq=2, severity=Severity.WARNING), replace(due(first, at=later), seq=3)
    await write(database, first, [due(first), due(first, receiver="mail"), ticket, new])
    gone = backlog("mqtt", 2, at=NOW)
    assert await outbox.abandon(database, gone, decided_before=later, now=later, error="not configured") == 1
    assert await outbox.backlogs(database) == [
        backlog("mail", 1, at=NOW),
        backlog("mqtt", 1, at=later),
        backlog("mqtt", 1, severity=Severity.WARNING, at=NOW),
    ]


async def test_what_waits_comes_in_order_with_the_alerts_that_it_names(database: Database) -> None:
    first, other = alert(), alert("wolt")
    bundle = Bundle(
        id="0b0e5f5e-0000-5000-8000-000000000000",
        kind="storm",
        at=NOW,
        members=(Member(alert_id=other.id, seq=1), Member(alert_id=first.id, seq=1), Member(alert_id=other.id, seq=2)),
    )
    several = replace(due(first), alert_id=bundle.id, brand=SEVERAL)
    await write(database, first, [due(first), several, due(other, receiver="mail")])
    async with database.writing() as connection:
        await responses.write_bundles(connection, database.dialect, [bundle])
    found = await outbox.waiting(database, "mqtt")
    assert [(one.brand, sorted(one.alerts)) for one in found] == [
        ("bolt", [first.id]),
        (SEVERAL, sorted([first.id, other.id])),
    ]


async def test_an_attempt_that_outlasts_its_lease_undoes_nothing(database: Database) -> None:
    """Somebody else has taken the message meanwhile, and it was told: the late failure is no news."""
    fired = alert()
    await write(database, fired, [due(fired)])
    (slow,) = await taken(database)
    later = NOW + timedelta(seconds=31)
    (quick,) = await taken(database, now=later)
    await outbox.sent(database, quick, now=later)
    await outbox.again(database, slow, due_at=NOW, error="503")
    await outbox.dead(database, slow, now=later, error="404")
    async with database.writing() as connection:
        await outbox.give_up(connection, [slow.id], now=later, error="too old")
    async with database.reading() as connection:
        row = (await connection.execute(select(tables.notification))).one()
    assert (row.open, row.sent_at, row.dead_at, row.error, row.attempt) == (False, later, None, None, 1)


async def plans(database: Database, reading: Callable[[], Awaitable[object]]) -> str:
    """How the database finds what is read."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, values))

    listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        await reading()
    finally:
        remove(database.engine.sync_engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.reading() as connection:
        found = [
            str(row[-1])
            for statement, values in asked
            if statement.startswith("SELECT")
            for row in await connection.exec_driver_sql(f"{explain} {statement}", values)
        ]
    return "\n".join(found)


async def test_the_outbox_is_read_by_its_index_however_much_was_sent(database: Database) -> None:
    sent = [replace(due(alert()), seq=seq) for seq in range(1, 3001)]
    await write(database, alert(), sent)
    async with database.writing() as connection:
        await outbox.give_up(connection, [one.id for one in sent], now=NOW, error="was told")
        await outbox.enqueue(connection, database.dialect, [replace(due(alert()), seq=seq) for seq in (3001, 3002)])
        await outbox.enqueue(connection, database.dialect, [replace(due(alert()), seq=3003, brand=SEVERAL)])
        await connection.execute(text("ANALYZE notification"))
    for reading in (lambda: outbox.waiting(database, "mqtt"), lambda: outbox.backlogs(database)):
        plan = await plans(database, reading)
        assert "ix_notification_open" in plan
        for line in plan.splitlines():
            assert "Seq Scan on notification" not in line
            assert "SCAN notification" not in line or "ix_notification_open" in line


async def test_what_is_to_be_told_is_read_by_its_index_however_much_was_told(database: Database) -> None:
    """Once a second, for as long as the daemon runs."""
    told = [event(replace(alert(), seq=seq)) for seq in range(1, 3001)]
    over = [Response(alert_id=f"over {number}", brand="acme", closed=True) for number in range(3000)]
    async with database.writing() as connection:
        await events.write(connection, database.dialect, told)
        await events.close(connection, {one.id: "told" for one in told}, {}, now=NOW)
        await responses.write(connection, database.dialect, over)
        for table in ("event", "response"):
            await connection.execute(text(f"ANALYZE {table}"))

    async def read() -> None:
        await events.anything(database, now=NOW)
        async with database.reading() as connection:
            await events.waiting(connection, held=True)
            await events.waiting(connection, held=False)
            await responses.unfinished(connection)

    plan = await plans(database, read)
    assert "ix_event_open" in plan
    assert "ix_response_open" in plan
    for line in plan.splitlines():
        assert "Seq Scan" not in line
        assert "SCAN" not in line or "INDEX ix_" in line or line.startswith("SCAN (")


async def test_the_dead_stay_on_record(database: Database) -> None:
    fired = alert()
    await write(database, fired, [due(fired)])
    (one,) = await taken(database)
    await outbox.dead(database, one, now=NOW, error="packet too large")
    async with database.reading() as connection:
        row = (await connection.execute(select(tables.notification))).one()
    assert (row.open, row.dead_at, row.error) == (False, NOW, "packet too large")


async def test_links_come_in_the_order_asked_for_and_without_those_that_are_gone(database: Database) -> None:
    found = [mention("1", "Bolt is so-so"), mention("2", "Bolt lost my bag")]
    await mentions.save_poll(database, found, SourceState(name="forum", fingerprint="f"), now=NOW)
    first, second = found
    assert await alerts.links(database, [second.id, "gone", first.id]) == [
        Evidence(id=second.id, url="https://forum.example/2", source="forum"),
        Evidence(id=first.id, url="https://forum.example/1", source="forum"),
    ]
    assert await alerts.links(database, []) == []
