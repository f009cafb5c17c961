"""Promise 11: a storm is a handful of messages that name everybody, the worst first, and nothing leaves the store."""

from dataclasses import replace
from datetime import timedelta

from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from listener import tables
from listener.alerts.oncall.drill import drill
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.storm import Limits
from listener.alerts.wire import schemas
from listener.config.oncall import Maintenance
from listener.domain import AlertState, Event, Outcome, Reason, Severity, stable_id
from listener.pipeline import deliver, tell
from listener.store import Database, alerts, drills, events
from tests.alerting import alert
from tests.mentions import NOW
from tests.running import MINUTE, Bench, answered, bench, decided, told

BRANDS = [f"brand{number:03}" for number in range(200)]


def payload(brand: str, observed: float) -> dict[str, object]:
    return {
        "schema": "listener/v1",
        "type": "alert",
        "alert_id": stable_id("alert", brand),
        "seq": 1,
        "brand": brand,
        "title": brand.title(),
        "rule": "deterioration",
        "severity": "critical",
        "reason": "first",
        "state": "firing",
        "started_at": "2026-11-20T12:00:00Z",
        "observed": observed,
        "expected": 0.1,
        "channels": ["evidence"],
        "text": {"en": {"title": brand, "body": brand}, "et": {"title": brand, "body": brand}},
    }


async def test_promise_11_two_hundred_brands_in_one_tick_are_at_most_six_messages_that_name_all(
    database: Database,
) -> None:
    async with bench(database) as at:
        async with database.writing() as connection:
            decided = []
            for number, brand in enumerate(BRANDS):
                fired = alert(brand=brand)
                await alerts.write(connection, database.dialect, fired)
                decided.append(
                    Event(
                        alert_id=fired.id,
                        seq=1,
                        brand=brand,
                        rule=fired.rule,
                        severity=Severity.CRITICAL,
                        reason=Reason.FIRST,
                        state=AlertState.FIRING,
                        payload={**payload(brand, number / 200), "alert_id": fired.id},
                        decided_at=NOW,
                    )
                )
            await events.write(connection, database.dialect, decided)
        assert await tell(at.parts) == 6
        while await deliver(at.parts, "inbox"):
            pass
        async with database.reading() as connection:
            kept = (await connection.execute(select(func.count()).select_from(tables.event))).scalar_one()
            untold = select(func.count()).select_from(tables.event).where(tables.event.c.open.is_(True))
            waiting = (await connection.execute(untold)).scalar_one()
    alone = [one.payload for one in at.inbox.taken if one.payload["type"] == "alert"]
    (storm,) = [one.payload for one in at.inbox.taken if one.payload["type"] == "bundle"]
    Draft202012Validator(schemas.load("bundle")).validate(dict(storm))
    assert [one["brand"] for one in alone] == BRANDS[:194:-1]  # the worst five
    assert {one["brand"] for one in (*alone, *storm["alerts"])} == set(BRANDS)
    for language in ("en", "et"):
        assert all(one["title"] in storm["text"][language]["body"] for one in storm["alerts"])
    assert (kept, waiting) == (200, 0)


async def test_promise_11_who_groups_by_itself_gets_all_of_them(database: Database) -> None:
    async with bench(database) as at:
        object.__setattr__(at.parts, "policy", Policy(receivers={"inbox": ReceiverKind(bundled=False)}))
        async with database.writing() as connection:
            for brand in BRANDS[:20]:
                fired = alert(brand=brand)
                await alerts.write(connection, database.dialect, fired)
                one = Event(
                    alert_id=fired.id,
                    seq=1,
                    brand=brand,
                    rule=fired.rule,
                    severity=Severity.CRITICAL,
                    reason=Reason.FIRST,
                    state=AlertState.FIRING,
                    payload={**payload(brand, 0.5), "alert_id": fired.id},
                    decided_at=NOW,
                )
                await events.write(connection, database.dialect, [one])
        assert await tell(at.parts) == 20
        at.clock[0] += timedelta(minutes=1)
        assert await tell(at.parts) == 0


async def test_promise_11_who_answers_while_a_storm_holds_a_page_back_is_not_woken_for_it(database: Database) -> None:
    async with bench(database) as at:
        await decided(at, *BRANDS[:10])
        assert len(await told(at)) == 6
        at.clock[0] += MINUTE
        (late,) = await decided(at, "late")
        assert len(await told(at)) == 6
        at.clock[0] += MINUTE
        assert (await answered(at, late.id)).outcome is Outcome.DONE
        for _ in range(10):
            at.clock[0] += MINUTE
            await tell(at.parts)
        digest = (await told(at))[6:]
    assert [(one["kind"], [two["brand"] for two in one["alerts"]]) for one in digest] == [("held", ["late"])]


async def test_promise_11_drills_are_marked_and_take_nothing_from_a_page(database: Database) -> None:
    """Five drills, and then something real: it comes at once and alone, and no message tells of both."""
    async with bench(database) as at:
        at.parts = replace(at.parts, limits=Limits(burst=2, per_hour=10.0, update=timedelta(seconds=30)))
        for number in range(5):
            await drilled(at, f"drill{number}")
        drills_told = await told(at)
        at.clock[0] += timedelta(seconds=5)
        await decided(at, "acme")
        (page,) = (await told(at))[len(drills_told) :]
        await decided(at, *BRANDS[:10])
        await drilled(at, "drill5")
        at.clock[0] += MINUTE
        found = await told(at)
    assert (page["type"], page["brand"], page["drill"]) == ("alert", "acme", False)
    for one in found:
        Draft202012Validator(schemas.load(one["type"])).validate(one)
        named = [two["brand"] for two in one["alerts"]] if one["type"] == "bundle" else [one["brand"]]
        assert {name.startswith("drill") for name in named} == {one["drill"]}
        for language, word in (("en", "DRILL"), ("et", "ÕPPUS")):
            assert one["text"][language]["title"].startswith(f"{word}: ") is one["drill"]
    assert [one["type"] for one in drills_told] == ["alert", "alert", "bundle"]


async def test_promise_11_a_drill_that_was_held_back_is_a_drill_when_it_is_told(database: Database) -> None:
    async with bench(database) as at:
        begins = NOW.replace(tzinfo=None)
        release = Maintenance(timezone="UTC", start=begins, end=begins + timedelta(days=1))
        at.parts = replace(at.parts, policy=replace(at.parts.policy, maintenance={"release": release}))
        await drilled(at, "bolt", severity=Severity.WARNING)
        await decided(at, "acme", severity=Severity.WARNING)
        assert await told(at) == []
        at.parts = replace(at.parts, policy=replace(at.parts.policy, maintenance={}))
        at.clock[0] += MINUTE
        real, pretended = await told(at)
    assert [(one["kind"], one["drill"], len(one["alerts"])) for one in (real, pretended)] == [
        ("held", False, 1),
        ("held", True, 1),
    ]
    assert pretended["alerts"][0]["drill"] is True
    assert pretended["text"]["et"]["title"].startswith("ÕPPUS: ")
    assert "õppus" not in real["text"]["et"]["body"]


async def test_promise_11_reminders_of_a_storm_are_few_and_no_first_page_waits_because_of_them(
    database: Database,
) -> None:
    async with bench(database) as at:
        await decided(at, *BRANDS)
        sent = len(await told(at))
        at.clock[0] += timedelta(minutes=29)
        await told(at)
        for minute in range(5):  # as many as the bucket of pages holds, while all are reminded of
            at.clock[0] += MINUTE
            await decided(at, f"late{minute}")
            news = (await told(at))[sent:]
            sent += len(news)
            firsts = [one["brand"] for one in news if one["type"] == "alert" and one["reason"] == "first"]
            assert firsts == [f"late{minute}"]
            reminders = [one for one in news if one["text"]["en"]["title"].startswith("Reminder 1: ")]
            assert len(reminders) == len(news) - 1 == (6 if minute == 0 else 0)
        bundles = [one for one in await told(at) if one["type"] == "bundle"]
    assert [len(one["alerts"]) for one in bundles] == [195, 195]


async def drilled(at: Bench, brand: str, *, severity: Severity = Severity.CRITICAL) -> None:
    alert, event = drill(brand, title=brand.title(), severity=severity, by="mari", now=at.clock[0])
    await drills.write(at.parts.database, alert, event)
