"""Promise 11: a storm is a handful of messages that name everybody, the worst first, and nothing leaves the store."""

from datetime import timedelta

from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from listener import tables
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.wire import schemas
from listener.domain import AlertState, Event, Reason, Severity, stable_id
from listener.pipeline import deliver, tell
from listener.store import Database, alerts, events
from tests.alerting import alert
from tests.mentions import NOW
from tests.running import bench

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
