"""One event that cannot be told, over real databases: it is made anew or left out, and all others are told."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import update
from structlog.testing import capture_logs

from listener.alerts.oncall.policy import Policy
from listener.alerts.oncall.storm import Limits
from listener.alerts.wire import schemas
from listener.config.oncall import Escalation, Step
from listener.domain import Alert, AlertState, Hold, Notification, Severity, Silence, stable_id
from listener.pipeline import Parts, deliver, tell
from listener.pipeline.mend import tellable
from listener.store import Database, alerts, events, responses, silences
from listener.tables import alert as alert_table
from listener.tables import event as event_table
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, bench, decided, ended, told

PAYLOADS = "SELECT payload FROM event"
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


def bug(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("a bug of ours")


def without_policy(parts: Parts, broken: str | None) -> Parts:
    """A policy that crashes about one brand, or about all."""

    class Broken(Policy):
        def hold(
            self, brand: str, rule: str, severity: Severity, at: datetime, silences: Sequence[Silence] = ()
        ) -> Hold | None:
            if broken in {None, brand}:
                bug()
            return super().hold(brand, rule, severity, at, silences)

    return replace(parts, policy=Broken(receivers=parts.policy.receivers))


def silenced(at: Bench) -> Silence:
    return Silence(
        id=stable_id("silence", "all"), starts_at=at.clock[0], ends_at=at.clock[0] + 30 * MINUTE, created_by="mari"
    )


def told_at(at: Bench) -> float:
    return at.parts.metrics.registry.get_sample_value("listener_last_tell_timestamp_seconds") or 0.0


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


async def test_what_is_made_anew_is_kept_and_not_met_again(database: Database) -> None:
    """Reminders, and a digest of what came too late, read the same event."""
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        kept = await rows(database, PAYLOADS)
        await spoil(database, bolt, also_alert=False)
        await told(at)
        assert await rows(database, PAYLOADS) == kept
        at.clock[0] += HOUR
        with capture_logs() as log:
            assert [one["reason"] for one in await told(at)] == ["first", "repeat"]
    assert [one for one in log if one["log_level"] == "error"] == []


@pytest.mark.parametrize("spoiled", [False, True])
async def test_tellable_gives_what_can_be_told(database: Database, spoiled: bool) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        async with database.reading() as connection:
            (before,) = (await events.newest(connection, [bolt.id])).values()
            event = replace(before, payload={}) if spoiled else before
            assert await tellable(at.parts, connection, event) == before
            assert await tellable(at.parts, connection, replace(event, payload={}, alert_id="gone")) is None


@pytest.mark.parametrize("burst", [0, 5], ids=["bundled", "one by one"])
@pytest.mark.parametrize("broken", ["reach", "policy"])
async def test_a_fault_of_ours_closes_no_event(database: Database, broken: str, burst: int) -> None:
    """However short it is: all are told when it is over, and until then the round counts as failed."""
    async with bench(database) as at:
        at.parts = replace(at.parts, limits=Limits(burst=burst, per_hour=10.0, update=5 * MINUTE))
        await decided(at, "bolt", "wolt", "third")
        whole = at.parts
        at.parts = without_policy(whole, None) if broken == "policy" else replace(whole, reach=bug)
        with pytest.raises(ZeroDivisionError):
            await tell(at.parts)
        assert told_at(at) == 0.0
        assert {one for _, _, one in await rows(database, OUTCOMES)} == {None}
        at.parts = whole
        pages = await told(at)
        assert told_at(at) == at.clock[0].timestamp()
    assert {one["brand"] for page in pages for one in page.get("alerts", [page])} == {"bolt", "wolt", "third"}


async def test_a_fault_about_ends_ends_no_response(database: Database) -> None:
    async with bench(database) as at:
        (bolt,) = await decided(at, "bolt")
        await told(at)
        await ended(at, bolt)
        whole = at.parts
        at.parts = without_policy(whole, None)
        with pytest.raises(ZeroDivisionError):
            await tell(at.parts)
        assert not (await responses.of(database, [bolt.id]))[bolt.id].closed
        at.parts = whole
        assert [one["reason"] for one in await told(at)] == ["first", "resolved"]


@pytest.mark.parametrize("burst", [0, 5], ids=["bundled", "one by one"])
async def test_how_to_answer_is_left_out_where_that_crashes(database: Database, burst: int) -> None:
    async with bench(database) as at:
        limits = Limits(burst=burst, per_hour=10.0, update=5 * MINUTE)
        at.parts = replace(at.parts, answer=bug, limits=limits)
        await decided(at, "bolt", "wolt")
        with capture_logs() as log:
            pages = await told(at)
    assert {one["brand"] for page in pages for one in page.get("alerts", [page])} == {"bolt", "wolt"}
    assert {one["answer"] for one in pages} == {None}
    assert {outcome for _, _, outcome in await rows(database, OUTCOMES)} == ({"bundled"} if burst == 0 else {"told"})
    assert {one["event"] for one in log if one["log_level"] == "error"} == {"answer.crashed"}
    assert at.parts.metrics.registry.get_sample_value("listener_unit_failures_total", {"stage": "tell"}) == len(pages)


@pytest.mark.parametrize("burst", [0, 5], ids=["bundled", "one by one"])
async def test_an_alert_that_trips_us_up_waits_while_the_others_are_told(database: Database, burst: int) -> None:
    async with bench(database) as at:
        at.parts = replace(at.parts, limits=Limits(burst=burst, per_hour=10.0, update=5 * MINUTE))
        bolt, *_ = await decided(at, "bolt", "wolt", "third")
        whole = at.parts
        at.parts = without_policy(whole, "bolt")
        with capture_logs() as log, pytest.raises(ZeroDivisionError):
            await tell(at.parts)
        assert [one["alerts"] for one in log if one["event"] == "tell.left_out"] == [[bolt.id]]
        for _ in range(2):  # also between the looks at what is held
            at.clock[0] += MINUTE / 60
            with pytest.raises(ZeroDivisionError):
                await tell(at.parts)
        assert told_at(at) == 0.0
        assert (await rows(database, OUTCOMES))[0] == ("bolt", 1, None)
        await deliver(at.parts, "inbox")
        named = [one["brand"] for page in at.inbox.taken for one in page.payload.get("alerts", [page.payload])]
        assert sorted(named) == ["third", "wolt"]
        at.parts = whole
        at.clock[0] += 5 * MINUTE
        assert (await told(at))[-1]["brand"] == "bolt"


async def test_what_is_held_and_trips_us_up_does_not_let_the_rounds_between_seem_well(database: Database) -> None:
    async with bench(database) as at:
        await silences.put(database, silenced(at))
        await decided(at, "bolt")
        await tell(at.parts)
        seen_at = told_at(at)
        at.parts = without_policy(at.parts, "bolt")
        for _ in range(3):
            at.clock[0] += MINUTE
            with pytest.raises(ZeroDivisionError):
                await tell(at.parts)
            at.clock[0] += MINUTE / 60
            with pytest.raises(ZeroDivisionError):
                await tell(at.parts)
        assert told_at(at) == seen_at


async def test_a_digest_that_crashes_is_told_in_digests_of_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited wakes nobody, however it is told."""
    say = sys.modules["listener.alerts.oncall.say"]
    real = say.bundle_words

    def bad(kind: str, members: Sequence[Any], **named: Any) -> Any:
        if len(members) > 1:
            raise ZeroDivisionError("a bug about several")
        return real(kind, members, **named)

    monkeypatch.setattr(say, "bundle_words", bad)
    async with bench(database) as at:
        await silences.put(database, silenced(at))
        fire = await decided(at, "bolt", "wolt", severity=Severity.WARNING)
        assert await told(at) == []
        at.clock[0] += HOUR
        digests = await told(at)
        async with database.reading() as connection:
            named = [await responses.members(connection, one["bundle_id"]) for one in digests]
    for one in digests:
        Draft202012Validator(schemas.load("bundle")).validate(one)
    assert [(one["type"], one["kind"], one["severity"]) for one in digests] == [("bundle", "held", "info")] * 2
    assert sorted(named) == sorted([(one.id, 1)] for one in fire)


async def test_who_cannot_be_reached_is_counted_once_a_round(database: Database) -> None:
    asked: list[tuple[str, ...]] = []

    def reach(names: Sequence[str], _: Any) -> tuple[str, ...]:
        asked.append(tuple(names))
        return ()

    async with bench(database) as at:
        policy = replace(
            at.parts.policy, escalations={"all": Escalation(steps=(Step(to=("nobody",), after_minutes=0),))}
        )
        at.parts = replace(at.parts, policy=policy, reach=reach)
        await decided(at, "wolt")
        (bolt,) = await decided(at, "bolt")
        await spoil(database, bolt, also_alert=False)
        assert len(await told(at)) == 2
    assert asked == [("nobody",)]


@pytest.mark.parametrize("column", ["reason", "severity", "state", "hold"])
async def test_a_row_with_a_word_that_we_do_not_know_stays_and_the_others_are_told(
    database: Database, column: str
) -> None:
    async with bench(database) as at:
        bolt, _ = await decided(at, "bolt", "wolt")
        async with database.writing() as connection:
            changed = update(event_table).where(event_table.c.alert_id == bolt.id)
            await connection.execute(changed.values({column: "paused"}))
        with capture_logs() as log:
            assert [one["brand"] for one in await told(at)] == ["wolt"]
        assert [(one["alert"], one["seq"]) for one in log if one["event"] == "row.unreadable"] == [(bolt.id, 1)]
    assert await rows(database, OUTCOMES) == [("bolt", 1, None), ("wolt", 1, "told")]


@pytest.mark.parametrize(
    "statement", ["UPDATE alert SET severity = 'paused'", "UPDATE response SET acked_severity = 'so'"]
)
async def test_a_row_about_what_people_know_stands_in_nobodys_way(database: Database, statement: str) -> None:
    async with bench(database) as at:
        await decided(at, "bolt")
        await told(at)
        async with database.writing() as connection:
            await connection.exec_driver_sql(statement)
        await decided(at, "wolt")
        assert "wolt" in [one["brand"] for one in await told(at)]


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
