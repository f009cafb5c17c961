"""What is handed to receivers over real databases: in order, at least once, and nothing that is no news any more."""

import asyncio
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import text
from structlog.testing import capture_logs

from listener.alerts.oncall import say
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.wire import schemas
from listener.config.oncall import Escalation, Route
from listener.domain import SEVERAL, Act, Alert, Bundle, Member, Notification, Reason, Severity
from listener.errors import DeliveryError
from listener.pipeline import Parts, deliver, tell
from listener.pipeline.deliver import ANSWERED, CUT_SECS, LEASE_SECS, READ_SECS, RETRY_SECS, UNKNOWN, Memory
from listener.pipeline.turns import Turns
from listener.store import Database, outbox, responses
from tests.mentions import NOW
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, Inbox, answered, bench, decided, ended, told, worsened

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


class Slow(Inbox):
    """A receiver that takes its time, in which it may be killed, or another daemon may look what waits."""

    def __init__(self, at: Bench, *, takes_secs: float) -> None:
        super().__init__()
        self.at, self.longest_secs = at, takes_secs
        self.dies = False
        self.meanwhile: Parts | None = None

    async def deliver(self, notification: Notification) -> None:
        if self.dies:
            raise asyncio.CancelledError
        self.at.clock[0] += timedelta(seconds=self.longest_secs)
        if self.meanwhile is not None:
            await deliver(self.meanwhile, "inbox")
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


@pytest.mark.parametrize(("asked_secs", "waits"), [(None, 1), (0.2, 1), (90, 90), (604_800, 300)])
async def test_a_receiver_is_left_alone_for_as_long_as_it_asks_but_no_longer_than_five_minutes(
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


async def claimed(database: Database, now: datetime, *, lease_secs: float = 20.0) -> Notification | None:
    """What a daemon takes that has just read what waits."""
    row = Turns(await outbox.waiting(database, "inbox")).take(now)
    return None if row is None else await outbox.claim(database, row, now=now, lease_secs=lease_secs)


async def test_a_claim_whose_owner_died_is_taken_again_after_its_lease(database: Database) -> None:
    async with bench(database) as at:
        inbox = Slow(at, takes_secs=60.0)
        with_inboxes(at, inbox=inbox)
        await decided(at, "bolt")
        await tell(at.parts)
        inbox.dies = True
        with pytest.raises(asyncio.CancelledError):
            await deliver(at.parts, "inbox")
        inbox.dies = False
        at.clock[0] = NOW + timedelta(seconds=60.0 + LEASE_SECS - 1)
        assert await deliver(at.parts, "inbox") == 0
        at.clock[0] += SECOND
        assert await deliver(at.parts, "inbox") == 1
    assert len(inbox.taken) == 1


@pytest.mark.parametrize("longest_secs", [10.0, 60.0, 125.0])
async def test_what_a_slow_receiver_is_being_told_no_other_daemon_takes(
    database: Database, longest_secs: float
) -> None:
    async with bench(database) as at:
        slow, other = Slow(at, takes_secs=longest_secs), Inbox()
        with_inboxes(at, inbox=slow)
        slow.meanwhile = replace(at.parts, receivers={"inbox": other})
        (one,) = await decided(at, "bolt", **TICKET)
        await tell(at.parts)
        await worsened(at, one)
        await tell(at.parts)
        await deliver(at.parts, "inbox")
        assert other.taken == []
        await everything(at)
    assert reasons(slow) == [("bolt", "first"), ("bolt", "worsened")]


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
            while await outbox.waiting(databases[0], "inbox"):
                claims = await asyncio.gather(*(claimed(one, now) for one in databases))
                found = [one for one in claims if one is not None]
                assert len({one.brand for one in found}) == len(found) > 0, "two of one brand are on their way"
                taken += found
                for claim in found:
                    await outbox.sent(databases[0], claim, now=now)
            order: dict[str, list[int]] = {}
            for claim in taken:
                order.setdefault(claim.brand, []).append(claim.seq)
        assert len(order) == 15
        assert set(map(tuple, order.values())) == {(1, 2)}
    finally:
        for one_database in databases:
            await one_database.close()


async def test_a_worse_level_does_not_overtake_the_message_about_several_that_named_the_alert(
    database: Database,
) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "*")
        at.parts = replace(at.parts, limits=replace(at.parts.limits, burst=1))
        alerts = await decided(at, "acme", "bolt", "wolt", **TICKET)
        await tell(at.parts)
        await everything(at)
        (first,) = inbox.taken
        inside = next(one for one in alerts if one.id != first.alert_id)
        await worsened(at, inside)
        await tell(at.parts)
        await everything(at)
        assert inbox.taken == [first]
        assert await rows(database, OPEN) == [("*", "first"), (inside.brand, "worsened")]
        inbox.refused.clear()
        at.clock[0] += SECOND
        await everything(at)
    assert reasons(inbox)[1:] == [("*", "first"), (inside.brand, "worsened")]


async def test_a_message_about_several_that_has_to_wait_holds_up_no_other_one(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "acme")
        at.parts = replace(at.parts, limits=replace(at.parts.limits, burst=0))
        (first,) = await decided(at, "acme")
        await tell(at.parts)
        await everything(at)
        stuck = message_about(first.id, brand=first.brand, decided_at=at.clock[0])
        bundles = [
            Bundle(id=f"0b0e5f5e-0000-5000-8000-00000000000{number}", kind="storm", at=NOW, members=(member,))
            for number, member in enumerate((Member(alert_id=first.id, seq=2), Member(alert_id="another", seq=1)))
        ]
        several = [message_about(one.id, brand=SEVERAL, decided_at=at.clock[0]) for one in bundles]
        async with database.writing() as connection:
            await responses.write_bundles(connection, database.dialect, bundles)
            await outbox.enqueue(connection, database.dialect, [stuck, *several])
        inbox.taken.clear()
        await everything(at)
    assert [one.alert_id for one in inbox.taken] == [bundles[1].id]


def message_about(alert_id: str, *, brand: str, decided_at: datetime, **changes: Any) -> Notification:
    """A page that waits for the inbox."""
    values: dict[str, Any] = {
        "seq": 7,
        "severity": Severity.CRITICAL,
        "receiver": "inbox",
        "reason": Reason.FIRST,
        "payload": {"type": "alert"},
        "due_at": decided_at,
    }
    return Notification(alert_id=alert_id, brand=brand, decided_at=decided_at, **{**values, **changes})


# -------------------------------------------------------------------------------------------- receivers that misbehave


async def test_a_receiver_that_crashes_is_tried_again_and_leaves_a_trace_without_its_words(database: Database) -> None:
    async with bench(database) as at:
        inbox = flaky(at, "bolt")
        inbox.error = ValueError("https://hooks.example/sekret")  # type: ignore[assignment]
        (one, _) = await decided(at, "bolt", "wolt", **TICKET)
        await tell(at.parts)
        await worsened(at, one)
        await tell(at.parts)
        with capture_logs() as log:
            await everything(at)
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_notifications_total", {"receiver": "inbox", "outcome": "retry"}) == 1.0
        assert reasons(inbox) == [("wolt", "first")]
        waiting = "SELECT attempt, error FROM notification WHERE open ORDER BY row"
        assert await rows(database, waiting) == [(1, "crashed: ValueError"), (0, None)]
        inbox.refused.clear()
        at.clock[0] += SECOND
        await everything(at)
    assert reasons(inbox)[1:] == [("bolt", "first"), ("bolt", "worsened")]
    (crash,) = [line for line in log if line["event"] == "receiver.crashed"]
    assert (crash["log_level"], crash["receiver"], crash["error"]) == ("error", "inbox", "crashed: ValueError")
    assert crash["where"][-1].startswith("test_pipeline_deliver.py:")
    assert "sekret" not in str(log)


async def test_an_attempt_that_never_ends_is_cut_off_while_the_claim_is_ours(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CUT_SECS < LEASE_SECS
    monkeypatch.setattr(sys.modules["listener.pipeline.deliver"], "CUT_SECS", 0.01)

    class Endless(Inbox):
        longest_secs = 0.01

        async def deliver(self, notification: Notification) -> None:
            await asyncio.Event().wait()

    async with bench(database) as at:
        with_inboxes(at, inbox=Endless())
        await decided(at, "bolt")
        await tell(at.parts)
        assert await deliver(at.parts, "inbox") == 0
    assert await rows(database, "SELECT attempt, error FROM notification") == [(1, "crashed: TimeoutError")]


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


async def called(at: Bench, *brands: str) -> tuple[Flaky, list[Alert]]:
    """A receiver that was told of these brands, and that refuses the reminders that are due now."""
    inbox = Flaky()
    policy = Policy(receivers={"inbox": ReceiverKind()}, routes={}, escalations={"all": Escalation(repeat_minutes=10)})
    at.parts = replace(at.parts, receivers={"inbox": inbox}, policy=policy)
    alerts = await decided(at, *brands)
    await tell(at.parts)
    await everything(at)
    inbox.refused.add("all")
    at.clock[0] += 10 * MINUTE
    await tell(at.parts)
    await everything(at)
    assert {reason for _, reason in await rows(at.parts.database, OPEN)} == {"repeat"}
    inbox.refused.clear()
    inbox.taken.clear()
    return inbox, alerts


@pytest.mark.parametrize("answer", [Act.ACK, Act.SNOOZE, Act.RESOLVE])
async def test_nobody_is_called_for_what_was_answered_while_the_call_waited(database: Database, answer: Act) -> None:
    """The reminder says that nobody has answered, and somebody has."""
    async with bench(database) as at:
        inbox, (alert,) = await called(at, "bolt")
        await answered(at, alert.id, answer)
        await tell(at.parts)
        at.clock[0] += MINUTE
        await everything(at)
        assert await rows(database, DEAD) == [("bolt", "repeat", ANSWERED)]
    assert reasons(inbox) == ([("bolt", "resolved")] if answer is Act.RESOLVE else [])


@pytest.mark.parametrize("left", [0, 1])
async def test_a_call_for_several_is_made_while_one_of_them_waits_for_somebody(database: Database, left: int) -> None:
    async with bench(database) as at:
        inbox, alerts = await called(at, *names(8))
        for alert in alerts[: len(alerts) - left]:
            await answered(at, alert.id)
        at.clock[0] += MINUTE
        await everything(at)
        given_up = [reason for _, _, reason in await rows(database, DEAD)]
    assert (set(given_up), len(given_up), len(inbox.taken)) == ({ANSWERED}, 6 - left, left)


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


async def test_what_becomes_too_old_while_a_backlog_drains_is_named_in_the_digest(database: Database) -> None:
    """Five pages are a few seconds from their end when the receiver is back, which takes one in two seconds."""
    async with bench(database) as at:
        slow = Slow(at, takes_secs=2.0)
        with_inboxes(at, inbox=slow)
        at.parts = replace(at.parts, limits=replace(at.parts.limits, burst=9))
        await decided(at, *names(5))
        await tell(at.parts)
        at.clock[0] += 24 * HOUR - 4 * SECOND
        await everything(at)
        taken = [one.brand for one in slow.taken if one.brand != "*"]
        assert 1 <= len(taken) <= 2
        (digest,) = missed(slow)
        assert sorted([*taken, *named(digest)]) == names(5)
        assert await rows(database, "SELECT error FROM notification WHERE dead_at IS NOT NULL") == [
            ("too old to be news; named in a digest",)
        ] * (5 - len(taken))


@pytest.mark.parametrize("left", [timedelta(), SECOND / 2])
async def test_what_a_receiver_refuses_since_it_is_too_old_is_named_in_the_digest(
    database: Database, left: timedelta
) -> None:
    """It was news when we looked, and none when the receiver did."""
    async with bench(database) as at:
        inbox = flaky(at)
        await decided(at, "bolt")
        await tell(at.parts)
        at.clock[0] += 24 * HOUR - SECOND

        async def deliver_late(notification: Notification) -> None:
            at.clock[0] = max(at.clock[0], NOW + 24 * HOUR - left)
            if notification.brand != "*":
                raise DeliveryError("too old to page anybody", retryable=False)
            inbox.taken.append(notification)

        inbox.deliver = deliver_late  # type: ignore[method-assign]
        with capture_logs() as log:
            await everything(at)
            at.clock[0] += MINUTE
            await everything(at)
    assert [named(one) for one in missed(inbox)] == [{"bolt": "firing"}]
    assert "notification.died" not in [line["event"] for line in log]


def sign(at: Bench, *, every_secs: int = 300) -> Notification:
    """The watchdog's, that all is well now."""
    return message_about(
        "0b0e5f5e-0000-5000-8000-000000000000",
        brand="",
        decided_at=at.clock[0],
        severity=Severity.INFO,
        reason=Reason.WATCHDOG,
        payload={"type": "watchdog", "every_secs": every_secs},
    )


@pytest.mark.parametrize(("minutes", "taken"), [(9, 1), (10, 1), (11, 0), (230, 0)])
async def test_nobody_is_told_late_that_all_was_well(database: Database, minutes: int, taken: int) -> None:
    """The receiver is back after two signs should have come: what it hears then is the next one."""
    async with bench(database) as at:
        inbox = flaky(at, "")
        async with database.writing() as connection:
            await outbox.enqueue(connection, database.dialect, [sign(at)])
        await deliver(at.parts, "inbox")
        inbox.refused.clear()
        at.clock[0] += minutes * MINUTE
        await everything(at)
        assert len(inbox.taken) == taken
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_notifications_total", {"receiver": "inbox", "outcome": "expired"}) == (
            None if taken else 1.0
        )
    late = [] if taken else [("", "watchdog", "too late to say that all is well")]
    assert await rows(database, DEAD) == late
    assert await rows(database, OPEN) == []


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


async def test_how_much_waits_is_said_while_a_receiver_lets_every_attempt_time_out(database: Database) -> None:
    """It returns within some seconds and one attempt, however much waits."""
    async with bench(database) as at:

        class Silent(Inbox):
            async def deliver(self, notification: Notification) -> None:
                at.clock[0] += 10 * SECOND
                raise DeliveryError("no answer within 10 s", retryable=True)

        with_inboxes(at, inbox=Silent())
        at.parts = replace(at.parts, limits=replace(at.parts.limits, burst=20))
        await decided(at, *names(12))
        await tell(at.parts)
        value = at.parts.metrics.registry.get_sample_value
        for _ in range(30):
            before = at.clock[0]
            await deliver(at.parts, "inbox")
            assert at.clock[0] - before <= 15 * SECOND
            assert value("listener_outbox_depth") == 12.0
            assert value("listener_outbox_oldest_seconds") == (at.clock[0] - NOW).total_seconds()


# ------------------------------------------------------------------------------------------ receivers that are no more


async def test_what_waits_for_a_receiver_that_is_not_configured_any_more_is_given_up(database: Database) -> None:
    """When it is no news any more, which is sooner for a ticket than for a page."""
    async with bench(database) as at:
        gone, stays = Flaky("all"), Inbox()
        with_inboxes(at, gone=gone, stays=stays)
        await decided(at, "bolt")
        await decided(at, "wolt", **TICKET)
        await tell(at.parts)
        for name in ("gone", "stays"):
            await deliver(at.parts, name)
        with_inboxes(at, stays=stays)
        value = at.parts.metrics.registry.get_sample_value
        at.clock[0] = NOW + 4 * HOUR + UNKNOWN - 2 * SECOND
        await deliver(at.parts, "stays")
        assert value("listener_outbox_depth") == 2.0, "another daemon may know it"
        assert value("listener_outbox_oldest_seconds") == 0.0, "what it can deliver is not late"
        at.clock[0] += 2 * SECOND
        await deliver(at.parts, "stays")
        assert value("listener_outbox_depth") == 1.0
        at.clock[0] += 20 * HOUR - 2 * SECOND
        await deliver(at.parts, "stays")
        assert value("listener_outbox_depth") == 1.0
        at.clock[0] += 2 * SECOND
        with capture_logs() as log:
            await deliver(at.parts, "stays")
            await deliver(at.parts, "stays")
        assert (value("listener_outbox_depth"), value("listener_outbox_oldest_seconds")) == (0.0, 0.0)
        assert value("listener_notifications_total", {"receiver": "gone", "outcome": "dead"}) == 2.0
    assert (
        await rows(database, "SELECT receiver, error FROM notification WHERE dead_at IS NOT NULL")
        == [("gone", "not configured any more")] * 2
    )
    abandoned = [line for line in log if line["event"] == "notifications.abandoned"]
    assert [(line["receiver"], line["count"]) for line in abandoned] == [("gone", 1)]
    assert len(stays.taken) == 2


async def test_what_another_daemon_tries_to_tell_its_own_receiver_is_left_to_it(database: Database) -> None:
    """Of two daemons one has a newer configuration: what waits for the new receiver is not the older one's to end."""
    async with bench(database) as at:
        fails, ours = Flaky("all"), Inbox()
        with_inboxes(at, new=fails, ours=ours)
        newer = at.parts
        await decided(at, "bolt")
        await tell(newer)
        older = replace(newer, receivers={"ours": ours})
        for _ in range(60):
            await deliver(newer, "new")
            await deliver(older, "ours")
            at.clock[0] += 61 * SECOND
        fails.refused.clear()
        assert await deliver(newer, "new") == 1


@pytest.mark.parametrize("connected", [True, False])
async def test_what_another_daemon_can_not_try_yet_is_left_to_it_too(database: Database, connected: bool) -> None:
    """It waits behind what fails, or until the receiver is connected."""
    async with bench(database) as at:
        theirs, ours = Flaky("all"), Inbox()
        theirs.connected = connected
        with_inboxes(at, theirs=theirs, ours=ours)
        newer = at.parts
        (one,) = await decided(at, "bolt", **TICKET)
        await tell(newer)
        await worsened(at, one)
        await tell(newer)
        older = replace(newer, receivers={"ours": ours})
        for _ in range(60):
            await deliver(newer, "theirs")
            await deliver(older, "ours")
            at.clock[0] += 61 * SECOND
        theirs.refused.clear()
        theirs.connected = True
        while await deliver(newer, "theirs"):
            pass
    assert reasons(theirs) == [("bolt", "first"), ("bolt", "worsened")]


# ------------------------------------------------------------------------------------------- what cannot be named


UNREADABLE = "UPDATE event SET payload = '{\"type\": \"alert\"}' WHERE brand = 'bolt'"
TOO_OLD = "SELECT brand FROM notification WHERE error LIKE 'too old%' ORDER BY row"


async def changed(database: Database, statement: str) -> None:
    """As another version might have left it."""
    async with database.writing() as connection:
        await connection.execute(text(statement))


@pytest.mark.parametrize("moved_on", [False, True])
async def test_an_event_that_cannot_be_read_is_made_anew_or_left_out_of_the_digest_and_costs_no_news(
    database: Database, moved_on: bool
) -> None:
    """Where its alert has moved on it cannot be made anew."""
    async with bench(database) as at:
        inbox = flaky(at)
        inbox.connected = False
        await decided(at, "acme", "bolt", **TICKET)
        await tell(at.parts)
        await changed(database, UNREADABLE)
        if moved_on:
            await changed(database, "UPDATE alert SET seq = 2 WHERE brand = 'bolt'")
        at.clock[0] += 5 * HOUR
        await decided(at, "wolt")
        await tell(at.parts)
        inbox.connected = True
        await everything(at)
        (digest,) = missed(inbox)
        assert named(digest) == {"acme": "firing", **({} if moved_on else {"bolt": "firing"})}
    assert {brand for brand, _ in reasons(inbox)} == {"wolt", "*"}
    assert await rows(database, TOO_OLD) == [("acme",), ("bolt",)]
    assert await rows(database, OPEN) == []


async def test_a_digest_that_crashes_is_not_sent_and_costs_no_news(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        inbox = flaky(at)
        inbox.connected = False
        await decided(at, "bolt", **TICKET)
        await tell(at.parts)
        at.clock[0] += 5 * HOUR
        await decided(at, "wolt")
        await tell(at.parts)
        inbox.connected = True

        def crash(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("a bug about digests")

        monkeypatch.setattr(say, "notification", crash)
        with capture_logs() as log:
            await everything(at)
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_notifications_total", {"receiver": "inbox", "outcome": "expired"}) == 1.0
        assert value("listener_unit_failures_total", {"stage": "deliver_inbox"}) == 1.0
    assert reasons(inbox) == [("wolt", "first")]
    assert await rows(database, TOO_OLD) == [("bolt",)]
    assert [one["log_level"] for one in log if one["event"] == "notifications.unnamed"] == ["error"]


async def test_what_expires_while_another_daemon_hands_it_over_comes_once(database: Database) -> None:
    async with bench(database) as at:
        slow, other = Slow(at, takes_secs=10.0), Inbox()
        with_inboxes(at, inbox=slow)
        slow.meanwhile = replace(at.parts, receivers={"inbox": other})
        await decided(at, "bolt", "wolt")
        await tell(at.parts)
        at.clock[0] += 24 * HOUR - 5 * SECOND
        await everything(at)
        at.clock[0] += HOUR
        await everything(at)
    assert reasons(slow) == [("bolt", "first")]
    assert [named(one) for one in missed(other)] == [{"wolt": "firing"}]
    assert len(other.taken) == 1


# ----------------------------------------------------------------------------------------- no more reading than needed


async def resting(at: Bench, monkeypatch: pytest.MonkeyPatch) -> tuple[Flaky, Memory, list[str]]:
    """A receiver for which one page waits a minute, read once; and what is read from now on."""
    inbox, memory, read = flaky(at, "bolt"), Memory(), []
    inbox.error = DeliveryError("429", retryable=True, retry_after_secs=60)
    await decided(at, "bolt")
    await tell(at.parts)
    for _ in range(2):  # the first reads it when it is due, the second when it is not
        await deliver(at.parts, "inbox", memory)
    waiting = outbox.waiting

    async def noted(database: Database, receiver: str) -> list[outbox.Waiting]:
        read.append(receiver)
        return await waiting(database, receiver)

    monkeypatch.setattr(outbox, "waiting", noted)
    return inbox, memory, read


async def test_while_nothing_is_due_what_waits_is_not_read_each_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        inbox, memory, read = await resting(at, monkeypatch)
        for _ in range(60):
            at.clock[0] += SECOND
            inbox.refused.clear()
            await deliver(at.parts, "inbox", memory)
    assert reasons(inbox) == [("bolt", "first")]  # at its time
    assert len(read) == 60 / READ_SECS


async def test_a_message_of_another_daemon_is_seen_within_seconds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        inbox, memory, _ = await resting(at, monkeypatch)
        await decided(at, "wolt")
        await tell(at.parts)
        assert await deliver(at.parts, "inbox", memory) == 0
        at.clock[0] += timedelta(seconds=READ_SECS)
        assert await deliver(at.parts, "inbox", memory) == 1
    assert reasons(inbox) == [("wolt", "first")]


@pytest.mark.parametrize("why", ["woken", "clock", "connected"])
async def test_it_is_read_at_once_when_there_is_a_reason(
    database: Database, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Somebody has added to it, the clock was set back, or the receiver was away."""
    async with bench(database) as at:
        inbox, memory, read = await resting(at, monkeypatch)
        if why == "woken":
            memory.woken = True
        elif why == "clock":
            at.clock[0] -= HOUR
        else:
            inbox.connected = False
            await deliver(at.parts, "inbox", memory)
            inbox.connected = True
        assert read == []
        await deliver(at.parts, "inbox", memory)
    assert read == ["inbox"]
