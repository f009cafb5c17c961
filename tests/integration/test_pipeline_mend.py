"""One event that cannot be told, over real databases: it is made anew or left out, and all others are told."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import update
from structlog.testing import capture_logs

from listener.alerts.oncall.storm import Limits
from listener.alerts.wire import schemas
from listener.domain import Alert, AlertState, Notification, Severity
from listener.pipeline import tell
from listener.store import Database, alerts, responses
from listener.tables import alert as alert_table
from listener.tables import event as event_table
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, bench, decided, ended, told

OUTCOMES = "SELECT brand, seq, outcome FROM event ORDER BY brand, seq"


async def spoil(database: Database, alert: Alert, *, also_alert: bool, payload: Any = None) -> None:
    """What is stored of an event cannot be read any more, perhaps neither what is stored of its alert."""
    async with database.writing() as connection:
        spoiled = update(event_table).where(event_table.c.alert_id == alert.id)
        await connection.execute(spoiled.values(payload={} if payload is None else payload))
        if also_alert:
            await connection.execute(
                update(alert_table).where(alert_table.c.id == alert.id).values(signal={"brand": "so"})
            )


def outcome(at: Bench, name: str) -> float:
    return at.parts.metrics.registry.get_sample_value("listener_events_total", {"outcome": name}) or 0.0


@pytest.mark.parametrize(
    "payload",
    [{}, {"type": "alert"}, {"observed": "much"}, {"channels": None}, {"text": {}}, {"text": {"en": {"title": "so"}}}],
    ids=json.dumps,
)
async def test_an_event_that_cannot_be_read_is_made_anew_from_its_alert(database: Database, payload: Any) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        await spoil(database, bolt, also_alert=False, payload=payload)
        await decided(at, "wolt")
        with capture_logs() as log:
            pages = await told(at)
    for one in pages:
        Draft202012Validator(schemas.load("alert")).validate(one)
    assert {one["brand"]: one["reason"] for one in pages} == {"bolt": "first", "wolt": "first"}
    assert await rows(database, OUTCOMES) == [("bolt", 1, "told"), ("wolt", 1, "told")]
    assert [(one["alert"], one["seq"]) for one in log if one["event"] == "event.remade"] == [(bolt.id, 1)]


@pytest.mark.parametrize("burst", [0, 5], ids=["bundled", "one by one"])
async def test_what_cannot_be_told_at_all_keeps_nobody_from_hearing_of_the_others(
    database: Database, burst: int
) -> None:
    async with bench(database) as at:
        at.parts = replace(at.parts, limits=Limits(burst=burst, per_hour=10.0, update=5 * MINUTE))
        (bolt,) = await decided(at, "bolt")
        await spoil(database, bolt, also_alert=True)
        await decided(at, "wolt", "third")
        with capture_logs() as log:
            pages = await told(at)
        named = {one["brand"] for page in pages for one in page.get("alerts", [page])}
        assert named == {"wolt", "third"}
        assert len(pages) == (1 if burst == 0 else 2)
        assert (await rows(database, OUTCOMES))[0] == ("bolt", 1, "unreadable")
        assert [one["alert"] for one in log if one["event"] == "event.unreadable"] == [bolt.id]
        assert outcome(at, "unreadable") == 1.0
        assert await alerts.firing(database) == {"bolt", "wolt", "third"}  # its state is as it was
        with capture_logs() as log:
            assert await tell(at.parts) == 0
        assert log == []  # once: the next round does not meet it again


async def test_what_was_left_out_does_not_hide_what_comes_of_the_alert_later(database: Database) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt", severity=Severity.WARNING)
        await spoil(database, bolt, also_alert=True)
        assert await told(at) == []
        worse = replace(bolt, severity=Severity.CRITICAL, seq=2)
        await decided(at, "bolt", severity=Severity.CRITICAL, seq=2, started_at=bolt.started_at)
        (page,) = await told(at)
        await ended(at, worse)
        end = (await told(at))[-1]
    assert (page["severity"], page["seq"]) == ("critical", 2)
    assert (end["reason"], end["seq"]) == ("resolved", 3)


async def test_a_reminder_that_cannot_be_told_is_left_out_once(database: Database) -> None:
    async with bench(database) as at:
        bolt, _ = await decided(at, "bolt", "wolt")
        assert len(await told(at)) == 2
        await spoil(database, bolt, also_alert=True)
        at.clock[0] += HOUR
        assert [(one["brand"], one["reason"]) for one in (await told(at))[2:]] == [("wolt", "repeat")]
        assert (await responses.of(database, [bolt.id]))[bolt.id].next_at is None
        at.clock[0] += HOUR
        with capture_logs() as log:
            assert [(one["brand"], one["reason"]) for one in (await told(at))[3:]] == [("wolt", "repeat")]
        assert [one for one in log if one["log_level"] == "error"] == []


async def test_a_reminder_is_made_anew_too(database: Database) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        await told(at)
        await spoil(database, bolt, also_alert=False)
        at.clock[0] += HOUR
        assert [one["reason"] for one in await told(at)] == ["first", "repeat"]


async def test_an_end_that_cannot_be_told_ends_the_reminders_all_the_same(database: Database) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        await told(at)
        await ended(at, bolt)
        await spoil(database, bolt, also_alert=True)
        at.clock[0] += HOUR
        assert [one["reason"] for one in await told(at)] == ["first"]
        assert (await responses.of(database, [bolt.id]))[bolt.id].closed
    assert await rows(database, OUTCOMES) == [("bolt", 1, "told"), ("bolt", 2, "unreadable")]


async def test_a_message_about_several_that_crashes_is_told_one_by_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the words of bundles: a handful too many are better than none."""

    def bad(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a bug about bundles")

    monkeypatch.setattr(sys.modules["listener.alerts.oncall.say"], "bundle_words", bad)
    async with bench(database) as at:
        at.parts = replace(at.parts, limits=Limits(burst=0, per_hour=10.0, update=5 * MINUTE))
        fire = await decided(at, "bolt", "wolt", "third")
        pages = await told(at)
    assert {one["alert_id"] for one in pages} == {one.id for one in fire}
    assert {one.state for one in fire} == {AlertState.FIRING}


async def test_a_bug_that_nothing_explains_is_not_hidden(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is closed as told: the event waits for a daemon that can tell it."""

    def bad(*_: Any) -> Sequence[Notification]:
        raise ZeroDivisionError("a bug about all rounds")

    async with bench(database) as at:
        await decided(at, "bolt")
        with monkeypatch.context() as patched:
            patched.setattr(sys.modules["listener.pipeline.dispatch"], "dispatch", bad)
            with pytest.raises(ZeroDivisionError):
                await tell(at.parts)
        assert [one["brand"] for one in await told(at)] == ["bolt"]
