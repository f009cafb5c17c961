"""Decisions and the outbox on real databases: one commit, told in order per brand."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from listener import tables
from listener.domain import Alert, AlertState, Notification, Reason
from listener.store import Database, alerts, mentions, scoring
from listener.store.sources import SourceState
from tests import alerting
from tests.mentions import NOW, assessment, mention


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


async def taken(database: Database, *, now: datetime = NOW, limit: int = 10) -> list[Notification]:
    return await alerts.due(database, "mqtt", now=now, lease_secs=30, limit=limit)


async def test_an_alert_comes_back_as_it_went(database: Database) -> None:
    fired = alert()
    assert await alerts.save_decision(database, fired, [due(fired)])
    assert await alerts.latest(database) == {fired.fingerprint: fired}
    assert await alerts.recent(database, limit=5) == [fired]
    assert await alerts.recent(database, limit=5, state=AlertState.RESOLVED) == []
    assert await taken(database) == [due(fired)]


async def test_deciding_twice_is_deciding_once(database: Database) -> None:
    fired = alert()
    for _ in range(2):
        await alerts.save_decision(database, fired, [due(fired)])
    async with database.reading() as connection:
        rows = await connection.execute(select(func.count()).select_from(tables.notification))
        assert rows.scalar_one() == 1


async def test_only_one_alert_fires_for_a_brand_and_rule(database: Database) -> None:
    first, second = alert(), alert(at=NOW + timedelta(seconds=5))
    assert await alerts.save_decision(database, first, [due(first)])
    assert not await alerts.save_decision(database, second, [due(second)])
    assert await taken(database) == [due(first)]


async def test_after_the_end_a_new_one_may_fire(database: Database) -> None:
    first = alert()
    await alerts.save_decision(database, first, [])
    await alerts.save_decision(database, replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW), [])
    second = alert(at=NOW + timedelta(hours=5))
    assert await alerts.save_decision(database, second, [])
    assert await alerts.latest(database) == {second.fingerprint: second}


async def test_an_older_decision_does_not_undo_a_newer_one(database: Database) -> None:
    first = alert()
    await alerts.save_decision(database, first, [])
    resolved = replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW)
    await alerts.save_decision(database, resolved, [])
    await alerts.save_decision(database, first, [])
    assert await alerts.latest(database) == {first.fingerprint: resolved}


async def test_a_claim_of_the_outbox_returns_when_its_owner_dies(database: Database) -> None:
    fired = alert()
    await alerts.save_decision(database, fired, [due(fired)])
    assert len(await taken(database)) == 1
    assert await taken(database) == []
    (again,) = await taken(database, now=NOW + timedelta(seconds=31))
    assert again.id == due(fired).id


async def test_what_was_sent_is_not_due_again(database: Database) -> None:
    fired = alert()
    await alerts.save_decision(database, fired, [due(fired)])
    (one,) = await taken(database)
    await alerts.sent(database, one, now=NOW)
    assert await taken(database, now=NOW + timedelta(days=1)) == []
    assert await alerts.outbox_depth(database) == (0, None)


async def test_what_is_told_of_a_brand_is_told_in_order(database: Database) -> None:
    first, other = alert(), alert("wolt")
    await alerts.save_decision(database, first, [due(first)])
    (one,) = await taken(database)
    await alerts.again(database, one, due_at=NOW + timedelta(minutes=5), error="broker away")
    resolved = replace(first, state=AlertState.RESOLVED, seq=2, ended_at=NOW)
    await alerts.save_decision(database, resolved, [due(resolved)])
    await alerts.save_decision(database, other, [due(other)])
    soon = NOW + timedelta(minutes=1)
    assert [found.brand for found in await taken(database, now=soon)] == ["wolt"]
    later = await taken(database, now=NOW + timedelta(minutes=6))
    assert [(found.brand, found.seq, found.attempt) for found in later][:2] == [("bolt", 1, 1), ("bolt", 2, 0)]
    assert await alerts.outbox_depth(database) == (3, NOW)


async def test_the_dead_stay_on_record(database: Database) -> None:
    fired = alert()
    await alerts.save_decision(database, fired, [due(fired)])
    (one,) = await taken(database)
    await alerts.dead(database, one, now=NOW, error="packet too large")
    async with database.reading() as connection:
        row = (await connection.execute(select(tables.notification))).one()
    assert (row.open, row.dead_at, row.error) == (False, NOW, "packet too large")


async def test_evidence_is_the_worst_first_and_no_copies(database: Database) -> None:
    text = "Bolt left me standing in the rain for forty minutes and charged me"
    found = [mention("1", "Bolt is so-so"), mention("2", text), mention("3", text), mention("4", "Bolt lost my bag")]
    await mentions.save_poll(database, found, SourceState(name="forum", fingerprint="f"), now=NOW)
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    said = [assessment(risk, risk=risk) for risk in (0.1, 0.8, 0.9)]
    results = [scoring.Scored(claim=claim, assessment=one) for claim, one in zip(claims, said, strict=True)]
    await scoring.save(database, results, now=NOW)
    window = {"start_at": NOW - timedelta(hours=1), "end_at": NOW + timedelta(hours=1)}
    proof = await alerts.evidence(database, "bolt", limit=2, **window)
    assert [one.url for one in proof] == ["https://forum.example/4", "https://forum.example/2"]
