"""What is handed to receivers over real databases: in order, at least once, and nothing that is no news any more."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.wire import schemas
from listener.config.oncall import Escalation, Route
from listener.domain import Notification, Reason, Severity
from listener.errors import DeliveryError
from listener.pipeline import deliver, tell
from listener.pipeline.deliver import DELIVER_LEASE_SECS, RETRY_SECS
from listener.store import Database, outbox
from tests.mentions import NOW
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, Inbox, bench, decided, ended, told, worsened

SECOND = timedelta(seconds=1)
TICKET = {"severity": Severity.WARNING}
OPEN = "SELECT brand, reason FROM notification WHERE open ORDER BY row"
DEAD = "SELECT brand, reason, error FROM notification WHERE dead_at IS NOT NULL ORDER BY row"
QUIET = {"none": Escalation(repeats_max=0)}  # nobody is reminded


class Flaky(Inbox):
    """A receiver that refuses what is about some brands."""

    def __init__(self, *refused: str, error: DeliveryError | None = None) -> None:
        super().__init__()
        self.refused = set(refused)
        self.tried: list[str] = []
        self.error = error or DeliveryError("503", retryable=True)

    async def deliver(self, notification: Notification) -> None:
        self.tried.append(notification.brand)
        if notification.brand in self.refused or "all" in self.refused:
            raise self.error
        self.taken.append(notification)


def with_inboxes(at: Bench, routes: dict[str, Route] | None = None, **inboxes: Inbox) -> None:
    """These receivers, told of everything unless there are routes, and nobody is reminded."""
    policy = Policy(receivers={name: ReceiverKind() for name in inboxes}, routes=routes or {}, escalations=QUIET)
    at.parts = replace(at.parts, receivers=inboxes, policy=policy)


def flaky(at: Bench, *refused: str, error: DeliveryError | None = None) -> Flaky:
    inbox = Flaky(*refused, error=error)
    with_inboxes(at, inbox=inbox)
    return inbox


def reasons(inbox: Inbox) -> list[tuple[str, str]]:
    return [(one.brand, one.reason.value) for one in inbox.taken]


async def everything(at: Bench, name: str = "inbox") -> None:
    while await deliver(at.parts, name):
        pass


# ---------------------------------------------------------------------------------------------------------- in order


async def test_of_a_brand_nothing_overtakes_what_waits_for_its_next_attempt(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "bolt")
        (one,) = await decided(at, "bolt", **TICKET)
        await tell(at.parts)
        await deliver(at.parts, "inbox")
        await worsened(at, one)
        await decided(at, "wolt")
        await tell(at.parts)
        await deliver(at.parts, "inbox")
        assert reasons(inbox) == [("wolt", "first")]
        assert inbox.tried == ["bolt", "wolt"]
        inbox.refused.clear()
        at.clock[0] += timedelta(seconds=RETRY_SECS[0])
        await everything(at)
    assert reasons(inbox) == [("wolt", "first"), ("bolt", "first"), ("bolt", "worsened")]


async def test_one_receiver_that_fails_holds_up_no_other(database: Database) -> None:
    async with bench(database) as at:
        broken, well = Flaky("all"), Inbox()
        with_inboxes(at, broken=broken, well=well)
        await decided(at, "bolt", "wolt")
        await tell(at.parts)
        for name in ("broken", "well"):
            await deliver(at.parts, name)
    assert (len(broken.tried), len(well.taken)) == (2, 2)


async def test_attempts_are_made_less_and_less_often(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "bolt")
        await decided(at, "bolt")
        await tell(at.parts)
        tried = []
        with capture_logs() as log:
            for second in range(300):
                at.clock[0] = NOW + second * SECOND
                before = len(inbox.tried)
                await deliver(at.parts, "inbox")
                tried += [second] if len(inbox.tried) > before else []
    gaps = [later - earlier for earlier, later in pairwise(tried)]
    assert gaps == [1, 2, 5, 10, 30, 60, 60, 60, 60]
    assert [line["event"] for line in log] == ["notification.delayed"]  # once, not at each attempt


@pytest.mark.parametrize(("asked_secs", "waits"), [(None, 1), (0.2, 1), (90, 90)])
async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    database: Database, asked_secs: float | None, waits: int
) -> None:
    async with bench(database) as at:
        error = DeliveryError("429", retryable=True, retry_after_secs=asked_secs)
        inbox = flaky(at, "bolt", error=error)
        await decided(at, "bolt")
        await tell(at.parts)
        await deliver(at.parts, "inbox")
        inbox.refused.clear()
        at.clock[0] = NOW + (waits - 0.5) * SECOND
        assert await deliver(at.parts, "inbox") == 0
        at.clock[0] = NOW + waits * SECOND
        assert await deliver(at.parts, "inbox") == 1


async def test_what_is_refused_for_good_is_given_up_and_what_follows_is_told(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "bolt", error=DeliveryError("401: the key is wrong", retryable=False))
        (one, _) = await decided(at, "bolt", "wolt", **TICKET)
        await tell(at.parts)
        with capture_logs() as log:
            await everything(at)
        inbox.refused.clear()
        await worsened(at, one)
        await tell(at.parts)
        await everything(at)
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_notifications_total", {"receiver": "inbox", "outcome": "dead"}) == 1.0
    assert reasons(inbox) == [("wolt", "first"), ("bolt", "worsened")]
    assert await rows(database, DEAD) == [("bolt", "first", "401: the key is wrong")]
    died = [line for line in log if line["event"] == "notification.died"]
    assert [(line["receiver"], line["log_level"]) for line in died] == [("inbox", "error")]


async def test_a_claim_whose_owner_died_is_taken_again_after_its_lease(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        await decided(at, "bolt")
        await tell(at.parts)
        claimed = await outbox.due(database, "inbox", now=NOW, lease_secs=DELIVER_LEASE_SECS, limit=1)
        assert len(claimed) == 1
        at.clock[0] += timedelta(seconds=DELIVER_LEASE_SECS - 1)
        assert await deliver(at.parts, "inbox") == 0
        at.clock[0] += SECOND
        assert await deliver(at.parts, "inbox") == 1
    assert [one.id for one in inbox.taken] == [claimed[0].id]


async def test_two_daemons_never_hand_over_two_of_one_brand_at_the_same_time(database_url: str) -> None:
    """Each takes the oldest that nobody else holds; while one of a brand is on its way the next one waits."""
    databases = [Database(database_url) for _ in range(3)]
    try:
        async with bench(databases[0]) as at:
            flaky(at)
            for number in range(15):
                (one,) = await decided(at, f"brand{number}", **TICKET)
                await tell(at.parts)
                await worsened(at, one)
                await tell(at.parts)
                at.clock[0] += HOUR
            taken: list[Notification] = []
            now = at.clock[0]
            for _ in range(15):
                claims = await asyncio.gather(
                    *(outbox.due(one, "inbox", now=now, lease_secs=20.0, limit=1) for one in databases)
                )
                found = [one for some in claims for one in some]
                assert len({one.brand for one in found}) == len(found), "two of one brand are on their way"
                taken += found
                for claim in found:
                    await outbox.sent(databases[0], claim, now=now)
            order: dict[str, list[int]] = {}
            for claim in taken:
                order.setdefault(claim.brand, []).append(claim.seq)
        assert set(map(tuple, order.values())) == {(1, 2)}
    finally:
        for one_database in databases:
            await one_database.close()


# ---------------------------------------------------------------------------------------------- ends without beginnings


async def test_the_end_of_what_a_receiver_never_heard_of_is_not_told(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "bolt", error=DeliveryError("no", retryable=False))
        alerts = await decided(at, "bolt", "wolt")
        await tell(at.parts)
        await everything(at)
        inbox.refused.clear()
        await ended(at, *alerts)
        await tell(at.parts)
        with capture_logs() as log:
            await everything(at)
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_notifications_total", {"receiver": "inbox", "outcome": "pointless"}) == 1.0
    assert reasons(inbox) == [("wolt", "first"), ("wolt", "resolved")]
    assert (await rows(database, DEAD))[-1] == ("bolt", "resolved", "its beginning was never delivered")
    assert "notification.died" not in [line["event"] for line in log]  # nobody needs to look at it


async def test_each_receiver_is_told_the_end_of_what_it_was_told_itself(database: Database) -> None:
    async with bench(database) as at:
        deaf, well = Flaky("bolt", error=DeliveryError("no", retryable=False)), Inbox()
        with_inboxes(at, deaf=deaf, well=well)
        alerts = await decided(at, "bolt")
        await tell(at.parts)
        for name in ("deaf", "well"):
            await everything(at, name)
        deaf.refused.clear()
        await ended(at, *alerts)
        await tell(at.parts)
        for name in ("deaf", "well"):
            await everything(at, name)
    assert reasons(deaf) == []
    assert reasons(well) == [("bolt", "first"), ("bolt", "resolved")]


def names(count: int) -> list[str]:
    return [f"brand{number:02}" for number in range(count)]


async def test_the_end_is_told_where_the_beginning_came_inside_a_message_about_several(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        alerts = await decided(at, *names(8))
        await tell(at.parts)
        await everything(at)
        (storm,) = [one.payload for one in inbox.taken if one.payload["type"] == "bundle"]
        inside = [one for one in alerts if one.id in {named["alert_id"] for named in storm["alerts"]}]
        await ended(at, inside[0])
        await tell(at.parts)
        await everything(at)
    assert reasons(inbox)[-1] == (inside[0].brand, "resolved")


async def test_the_end_is_told_also_where_another_receiver_was_told_in_another_bundle(database: Database) -> None:
    """Each receiver has a bundle of its own, since it is told of other brands."""
    async with bench(database) as at:
        ours, everybody = Inbox(), Inbox()
        routes = {
            "ours": Route(receivers=("ours",), brands=tuple(names(7))),
            "all": Route(receivers=("everybody",)),
        }
        with_inboxes(at, routes, ours=ours, everybody=everybody)
        alerts = await decided(at, *names(20))
        await tell(at.parts)
        for name in ("ours", "everybody"):
            await everything(at, name)
        inside = [
            {
                named["alert_id"]
                for one in inbox.taken
                if one.payload["type"] == "bundle"
                for named in one.payload["alerts"]
            }
            for inbox in (ours, everybody)
        ]
        (both, *_) = [one for one in alerts if all(one.id in ids for ids in inside)]
        await ended(at, both)
        await tell(at.parts)
        for name in ("ours", "everybody"):
            await everything(at, name)
    for inbox in (ours, everybody):
        assert reasons(inbox)[-1] == (both.brand, "resolved")


async def test_a_message_about_several_ends_does_not_overtake_the_beginning_of_any_of_them(database: Database) -> None:
    """Ten pages begin one by one, none of which is taken; then all end at once, five of them in one message."""
    async with bench(database) as at:
        inbox = flaky(at, "all")
        alerts = []
        for half in (names(10)[:5], names(10)[5:]):
            alerts += await decided(at, *half)
            await tell(at.parts)
            at.clock[0] += 30 * MINUTE
            await deliver(at.parts, "inbox")
        await ended(at, *alerts)
        await tell(at.parts)
        inbox.refused.clear()
        await everything(at)
        at.clock[0] += HOUR
        await everything(at)
        heard = [one for notification in inbox.taken for one in said_of(dict(notification.payload))]
    assert [state for brand, state in heard if brand == names(10)[9]] == ["firing", "resolved"]
    for name in names(10):
        assert [state for brand, state in heard if brand == name] == ["firing", "resolved"]


def said_of(payload: dict[str, Any]) -> list[tuple[str, str]]:
    """Brand and state of all that a message tells of."""
    return [(one["brand"], one["state"]) for one in payload.get("alerts", [payload])]


async def test_the_end_of_a_page_waits_for_a_message_about_several_that_may_name_its_beginning(
    database: Database,
) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "*")
        alerts = await decided(at, *names(8))
        await tell(at.parts)
        await everything(at)
        last = alerts[-1]
        await ended(at, last)
        await tell(at.parts)
        await everything(at)
        assert len(inbox.taken) == 5
        inbox.refused.clear()
        at.clock[0] += SECOND
        await everything(at)
    assert [one.reason.value for one in inbox.taken[5:]] == ["first", "resolved"]


# ---------------------------------------------------------------------------------------------------- what is too old


def missed(inbox: Inbox) -> list[dict[str, Any]]:
    found = [dict(one.payload) for one in inbox.taken if one.payload.get("kind") == "missed"]
    for one in found:
        Draft202012Validator(schemas.load("bundle")).validate(one)
    return found


def named(payload: dict[str, Any]) -> dict[str, str]:
    return {one["brand"]: one["state"] for one in payload["alerts"]}


async def test_what_nobody_could_be_told_in_time_is_named_in_one_digest_for_each_receiver(database: Database) -> None:
    async with bench(database) as at:
        away, well = Inbox(connected=False), Inbox()
        with_inboxes(at, away=away, well=well)
        old = await decided(at, "acme", "bolt", **TICKET)
        await tell(at.parts)
        await everything(at, "well")
        await ended(at, old[0])
        await tell(at.parts)
        await everything(at, "well")
        at.clock[0] += 3 * HOUR
        await decided(at, "fresh", **TICKET)
        await tell(at.parts)
        assert await deliver(at.parts, "away") == 0
        at.clock[0] += HOUR
        away.connected = True
        with capture_logs() as log:
            await everything(at, "away")
        await everything(at, "well")
        (digest,) = missed(away)
        assert await rows(database, OPEN) == []
    assert named(digest) == {"acme": "resolved", "bolt": "firing"}
    assert (digest["severity"], digest["answer"]) == ("info", None)
    assert reasons(away) == [("fresh", "first"), ("*", "digest")]
    assert missed(well) == []
    expired = [line for line in log if line["event"] == "notifications.expired"]
    assert [(line["count"], line["alerts"]) for line in expired] == [(3, 2)]


@pytest.mark.parametrize(("severity", "hours"), [(Severity.WARNING, 4), (Severity.CRITICAL, 24)])
async def test_a_ticket_is_news_for_four_hours_and_a_page_for_a_day(
    database: Database, severity: Severity, hours: int
) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        inbox.connected = False
        await decided(at, "bolt", severity=severity)
        await tell(at.parts)
        at.clock[0] += hours * HOUR - SECOND
        inbox.connected = True
        assert await deliver(at.parts, "inbox") == 1
        assert missed(inbox) == []
        inbox.connected = False
        await decided(at, "wolt", severity=severity)
        await tell(at.parts)
        at.clock[0] += hours * HOUR
        inbox.connected = True
        await everything(at)
    assert [named(one) for one in missed(inbox)] == [{"wolt": "firing"}]


async def test_a_receiver_that_fails_for_days_gets_one_digest_of_all_of_it(database: Database) -> None:
    """It is there, and takes nothing: digests are joined and do not pile up."""
    async with bench(database) as at:
        inbox = flaky(at, "all")
        for hour in range(5 * 24):
            if hour % 12 == 0:
                await decided(at, f"brand{hour:03}", **TICKET)
            await tell(at.parts)
            await deliver(at.parts, "inbox")
            at.clock[0] += HOUR
        waiting = await rows(database, OPEN)
        assert len(waiting) <= 3, "digests pile up"
        inbox.refused.clear()
        at.clock[0] += 5 * HOUR
        await everything(at)
        (digest,) = missed(inbox)
        assert await rows(database, OPEN) == []
    assert len(inbox.taken) == 1
    assert set(named(digest)) == {f"brand{hour:03}" for hour in range(0, 5 * 24, 12)}


async def test_the_end_of_what_a_digest_named_as_firing_is_told(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        inbox.connected = False
        fires, over = await decided(at, "bolt", "wolt", **TICKET)
        await tell(at.parts)
        at.clock[0] += 3 * HOUR
        await ended(at, over)
        await tell(at.parts)
        at.clock[0] += HOUR
        inbox.connected = True
        await everything(at)
        (digest,) = missed(inbox)
        assert named(digest) == {"bolt": "firing", "wolt": "resolved"}
        at.clock[0] += HOUR
        await ended(at, fires)
        await tell(at.parts)
        await everything(at)
    assert reasons(inbox) == [("*", "digest"), ("bolt", "resolved")]


async def test_what_fires_still_asks_for_somebody_when_the_receiver_is_back(database: Database) -> None:
    async with bench(database) as at:
        at.inbox.connected = False
        await decided(at, "bolt")
        for _ in range(50):
            await told(at)
            at.clock[0] += 30 * MINUTE
        at.inbox.connected = True
        await told(at)
        at.clock[0] += 30 * MINUTE
        await told(at)
        taken = [(one.reason.value, one.repeat) for one in at.inbox.taken]
    assert taken == [("digest", 0), ("repeat", 1)]


async def test_what_is_no_alert_is_not_named_when_it_is_too_old(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        old = Notification(
            alert_id="0b0e5f5e-0000-5000-8000-000000000000",
            seq=1,
            brand="",
            severity=Severity.INFO,
            receiver="inbox",
            reason=Reason.WATCHDOG,
            payload={"type": "watchdog"},
            decided_at=NOW,
            due_at=NOW,
        )
        async with database.writing() as connection:
            await outbox.enqueue(connection, database.dialect, [old])
        at.clock[0] += 4 * HOUR
        await everything(at)
    assert inbox.taken == []
    assert await rows(database, OPEN) == []


async def test_how_much_waits_and_since_when_can_be_measured(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "all")
        await decided(at, "bolt", "wolt")
        await tell(at.parts)
        at.clock[0] += 10 * MINUTE
        await deliver(at.parts, "inbox")
        value = at.parts.metrics.registry.get_sample_value
        assert (value("listener_outbox_depth"), value("listener_outbox_oldest_seconds")) == (2.0, 600.0)
        inbox.refused.clear()
        at.clock[0] += MINUTE
        await everything(at)
        assert (value("listener_outbox_depth"), value("listener_outbox_oldest_seconds")) == (0.0, 0.0)
