"""Who is told of what was decided, over real databases: all of it or nothing, once, and with the way to answer."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.oncall.links import Signer
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.say import Target
from listener.alerts.wire import schemas
from listener.app.telling import Answers, Reach, signer_of
from listener.config import Settings
from listener.config.oncall import Escalation, Maintenance, Person, QuietHours, Route, Schedule, Step
from listener.domain import SEVERAL, Act, Outcome, Severity, Silence
from listener.pipeline import evaluate, tell
from listener.pipeline.dispatch import HELD_SECS
from listener.store import Database, responses, settings, silences
from tests.integration.test_kill_points import Killed, Mortal, Reaper
from tests.mentions import NOW
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, answered, bench, decided, ended, told, turned, worsened

OPEN = "SELECT count(*) FROM event WHERE open"
HOLDS = "SELECT hold FROM event WHERE open ORDER BY row"
OUTCOMES = "SELECT outcome FROM event WHERE NOT open ORDER BY row"
NOTIFICATIONS = "SELECT count(*) FROM notification"
INBOX = {"inbox": ReceiverKind()}


def brands(count: int, first: int = 0) -> list[str]:
    return [f"brand{number:03}" for number in range(first, first + count)]


def with_policy(at: Bench, **tables: Any) -> None:
    at.parts = replace(at.parts, policy=Policy(receivers=INBOX, **tables))


def valid(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, each of which is what its schema says."""
    for one in payloads:
        Draft202012Validator(schemas.load(one["type"])).validate(one)
    return payloads


# ------------------------------------------------------------------------------------------------------------- at once


@pytest.mark.parametrize(("kill_at", "kept"), [(1, 0), (2, 1)])
async def test_a_kill_leaves_the_event_open_or_its_message_due_and_it_is_told_once(
    database: Database, kill_at: int, kept: int
) -> None:
    """Before the commit nothing is there of what was decided, after it all."""
    async with bench(database) as at:
        await turned(at)
        await evaluate(at.parts)
        mortal = Mortal(database.url)
        mortal.reaper = Reaper(at=kill_at)
        try:
            async with bench(mortal) as dying:
                dying.clock[0] = at.clock[0]
                with pytest.raises(Killed):
                    await tell(dying.parts)
        finally:
            await mortal.close()
        assert await rows(database, NOTIFICATIONS) == await rows(database, "SELECT count(*) FROM response") == [(kept,)]
        assert await rows(database, OPEN) == [(1 - kept,)]
        assert [one["reason"] for one in await told(at)] == ["first"]
    assert await rows(database, NOTIFICATIONS) == [(1,)]


async def test_what_is_told_is_noted_with_its_event_and_who_was_told(database: Database) -> None:
    async with bench(database) as at:
        (one,) = await decided(at, "bolt")
        with capture_logs() as log:
            assert await tell(at.parts) == 1
            assert await tell(at.parts) == 0
    assert [(line["event"], line["receiver"], line["reason"]) for line in log] == [
        ("notification.due", "inbox", "first")
    ]
    assert await rows(database, OUTCOMES) == [("told",)]
    assert await rows(database, "SELECT alert_id, told_seq, closed FROM response") == [(one.id, 1, False)]


async def test_with_nobody_to_tell_it_is_told_to_nobody_and_not_kept_for_later(database: Database) -> None:
    async with bench(database) as at:
        at.parts = replace(at.parts, policy=Policy())
        await decided(at, "bolt")
        assert await tell(at.parts) == 0
        with_policy(at)
        at.clock[0] += MINUTE
        assert await told(at) == []
    assert await rows(database, OUTCOMES) == [("told",)]


async def test_one_that_ends_before_anybody_was_told_of_it_needs_no_word(database: Database) -> None:
    async with bench(database) as at:
        await ended(at, *await decided(at, "bolt"))
        assert await told(at) == []
    assert await rows(database, OUTCOMES) == [("unneeded",), ("unneeded",)]


async def test_only_the_newest_of_what_was_decided_meanwhile_is_told(database: Database) -> None:
    async with bench(database) as at:
        (one,) = await decided(at, "bolt", severity=Severity.WARNING)
        await worsened(at, one)
        assert [(one["seq"], one["reason"]) for one in await told(at)] == [(2, "worsened")]
    assert await rows(database, OUTCOMES) == [("superseded",), ("told",)]


async def test_two_daemons_that_tell_at_the_same_time_make_one_set_of_messages(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(3)]
    try:
        async with bench(databases[0]) as one, bench(databases[1]) as two, bench(databases[2]) as three:
            for round_ in range(5):
                await decided(one, *brands(20, first=20 * round_))
                made = await asyncio.gather(*(tell(at.parts) for at in (one, two, three, one, two)))
                assert sorted(made) == [0, 0, 0, 0, 6], f"round {round_}"
                for at in (one, two, three):
                    at.clock[0] += HOUR
                await one.parts.database.ping()
                await ended_quietly(databases[0])
        assert await rows(databases[0], NOTIFICATIONS) == [(30,)]
    finally:
        for one_database in databases:
            await one_database.close()


async def ended_quietly(database: Database) -> None:
    """Nobody waits for an answer any more: without reminders each round stands alone."""
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE response SET next_at = NULL")


# --------------------------------------------------------------------------------------------------------------- holds


async def test_what_a_silence_holds_back_comes_as_news_when_it_ends(database: Database) -> None:
    async with bench(database) as at:
        await silences.put(database, silence(at, minutes=30))
        (one,) = await decided(at, "bolt")
        assert await told(at) == []
        assert await rows(database, HOLDS) == [("silence",)]
        at.clock[0] += 29 * MINUTE
        assert await told(at) == []
        at.clock[0] += MINUTE
        (page,) = await told(at)
        (notification,) = at.inbox.taken
    assert (page["alert_id"], page["reason"], page["repeat"]) == (one.id, "first", 0)
    assert notification.decided_at == at.clock[0]  # it is not too old, however long it waited


async def test_a_silence_that_is_ended_early_holds_nothing_back_any_more(database: Database) -> None:
    async with bench(database) as at:
        held = silence(at, minutes=600)
        await silences.put(database, held)
        await decided(at, "bolt")
        assert await told(at) == []
        at.clock[0] += MINUTE
        assert await silences.end(database, held.id, now=at.clock[0], by="mari") is not None
        assert [one["reason"] for one in await told(at)] == ["first"]


async def test_a_silence_of_another_brand_or_a_later_time_holds_nothing_back(database: Database) -> None:
    async with bench(database) as at:
        await silences.put(database, silence(at, brand="wolt"))
        later = silence(at, id="later", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)
        await silences.put(database, later)
        await decided(at, "bolt")
        assert len(await told(at)) == 1


async def test_it_is_asked_every_fifteen_seconds_whether_a_hold_has_ended(database: Database) -> None:
    async with bench(database) as at:
        await silences.put(database, silence(at, minutes=1))
        await decided(at, "bolt")
        at.clock[0] += timedelta(seconds=50)
        assert await tell(at.parts) == 0  # the first look at what is held
        at.clock[0] += timedelta(seconds=14)
        assert at.clock[0] > NOW + MINUTE  # the silence is over
        assert await tell(at.parts) == 0
        at.clock[0] = NOW + timedelta(seconds=50 + HELD_SECS)
        assert await tell(at.parts) == 1


async def test_a_daemon_that_starts_looks_at_what_is_held_at_once(database: Database) -> None:
    async with bench(database) as before:
        await silences.put(database, silence(before, minutes=1))
        await decided(before, "bolt")
        before.clock[0] += timedelta(seconds=59)
        assert await tell(before.parts) == 0
    async with bench(database) as after:
        after.clock[0] = NOW + MINUTE
        assert await tell(after.parts) == 1


async def test_what_is_held_is_told_with_what_is_new_of_the_same_alert_without_waiting(database: Database) -> None:
    """A silence of warnings only: what has become critical is told at once, with all that was held of it."""
    async with bench(database) as at:
        await silences.put(database, silence(at, severity=Severity.WARNING))
        (one,) = await decided(at, "bolt", severity=Severity.WARNING)
        assert await tell(at.parts) == 0
        at.clock[0] += timedelta(seconds=1)
        await worsened(at, one)
        assert [(one["seq"], one["severity"]) for one in await told(at)] == [(2, "critical")]
    assert await rows(database, OUTCOMES) == [("superseded",), ("told",)]


async def test_nobody_is_woken_for_a_page_that_somebody_answered_while_it_was_silenced(database: Database) -> None:
    async with bench(database) as at:
        await silences.put(database, silence(at, minutes=60))
        (one,) = await decided(at, "bolt")
        assert await told(at) == []
        at.clock[0] += MINUTE
        assert (await answered(at, one.id)).outcome is Outcome.DONE
        at.clock[0] += HOUR
        (digest,) = valid(await told(at))
        assert (digest["kind"], digest["severity"], digest["answer"]) == ("held", "info", None)
        kept = (await responses.of(database, [one.id]))[one.id]
        assert (kept.acked_by, kept.told_seq, kept.next_at) == ("mari", 1, NOW + MINUTE + 24 * HOUR)
        at.clock[0] += 22 * HOUR
        assert len(await told(at)) == 1
        at.clock[0] += HOUR
        assert [one.get("reason") for one in await told(at)] == [None, "repeat"]
    assert await rows(database, OUTCOMES) == [("bundled",)]


async def test_what_a_digest_of_held_news_names_can_be_answered_by_its_id_though_it_asks_for_nothing(
    database: Database,
) -> None:
    """Each alert as the digest named it: the number that comes with the digest's own id says nothing."""
    async with bench(database) as at:
        await silences.put(database, silence(at, minutes=60, brand=None))
        bolt, wolt = await decided(at, "bolt", "wolt", severity=Severity.WARNING)
        assert await told(at) == []
        at.clock[0] += HOUR
        (digest,) = await told(at)
        assert (digest["kind"], digest["answer"]) == ("held", None)
        at.clock[0] += MINUTE
        await worsened(at, wolt)
        found = await answered(at, digest["bundle_id"], seq=777)
        assert found.outcome is Outcome.DONE
        assert found.explanation.startswith("done for 1 of 2 alerts; 1 refused")
        kept = await responses.of(database, [bolt.id, wolt.id])
        assert [kept[one.id].acked_by for one in (bolt, wolt)] == ["mari", None]


async def test_quiet_hours_hold_tickets_for_one_digest_and_what_is_over_by_then_is_in_it(database: Database) -> None:
    async with bench(database) as at:
        with_policy(at, quiet_hours={"night": QuietHours(timezone="UTC", start="12:00", end="14:00")})
        (bolt, wolt, _) = await decided(at, "bolt", "wolt", "tele", severity=Severity.WARNING)
        (page,) = await decided(at, "loud")
        assert [one["brand"] for one in await told(at)] == ["loud"]
        assert await rows(database, HOLDS) == [("quiet_hours",)] * 3
        at.clock[0] += HOUR
        await ended(at, bolt)
        assert len(await told(at)) == 2  # the page's reminder
        at.clock[0] = NOW.replace(hour=14, minute=0)
        digest = next(one for one in valid(await told(at)) if one["type"] == "bundle")
        assert (digest["kind"], digest["severity"], digest["answer"]) == ("held", "info", None)
        states = {one["brand"]: (one["state"], one["resolution"]) for one in digest["alerts"]}
        assert states == {"bolt": ("resolved", "recovered"), "wolt": ("firing", None), "tele": ("firing", None)}
        # The end of what it named as firing is told, the end of what it named as over is not told again.
        at.clock[0] += MINUTE
        await ended(at, wolt, page)
        ends = [one["brand"] for one in await told(at) if one.get("reason") == "resolved"]
        assert sorted(ends) == ["loud", "wolt"]
    assert await rows(database, OPEN) == [(0,)]


async def test_maintenance_holds_pages_too_and_they_are_told_afterwards(database: Database) -> None:
    async with bench(database) as at:
        start = NOW.replace(tzinfo=None)
        release = Maintenance(timezone="UTC", start=start, end=start + HOUR)
        with_policy(at, maintenance={"release": release})
        await decided(at, "bolt")
        assert await told(at) == []
        assert await rows(database, HOLDS) == [("maintenance",)]
        at.clock[0] += HOUR
        assert [one["reason"] for one in await told(at)] == ["first"]


async def test_a_ticket_beside_a_page_waits_for_the_end_of_the_page(database: Database) -> None:
    async with bench(database) as at:
        (page,) = await decided(at, "bolt")
        await decided(at, "bolt", rule="high_risk", severity=Severity.WARNING)
        assert [one["rule"] for one in await told(at)] == ["deterioration"]
        assert await rows(database, HOLDS) == [("inhibited",)]
        at.clock[0] += MINUTE
        await ended(at, page)
        found = await told(at)
    assert [(one["rule"], one["reason"]) for one in found[1:]] in (
        [("high_risk", "first"), ("deterioration", "resolved")],
        [("deterioration", "resolved"), ("high_risk", "first")],
    )


# -------------------------------------------------------------------------------------------------------------- storms


async def test_how_full_the_bucket_is_outlives_the_daemon(database: Database) -> None:
    async with bench(database) as before:
        await decided(before, *brands(8))
        assert [one["type"] for one in await told(before)] == ["alert"] * 5 + ["bundle"]
    kept = await settings.get(database, "storm")
    assert kept is not None
    assert set(kept) == {"page"}
    assert kept["page"] == {"tokens": 0.0, "at": NOW.isoformat(), "bundled_at": NOW.isoformat()}
    async with bench(database) as after:
        after.clock[0] += MINUTE
        await decided(after, *brands(3, first=100))
        assert await told(after) == []
        assert await rows(database, HOLDS) == [("storm",)] * 3
        after.clock[0] += 4 * MINUTE
        (bundle,) = valid(await told(after))
    assert {one["brand"] for one in bundle["alerts"]} == set(brands(3, first=100))
    assert await rows(database, OPEN) == [(0,)]


async def test_what_became_worse_in_a_storm_is_told_before_anybody_is_reminded_of_it(database: Database) -> None:
    """The reminder of the ticket is due in a round that does not look at what is held."""
    async with bench(database) as at:
        tickets = Escalation(severities=(Severity.WARNING,), repeat_minutes=2)
        with_policy(at, escalations={"tickets": tickets, "pages": Escalation(repeat_minutes=30)})
        (one,) = await decided(at, "bolt", severity=Severity.WARNING)
        assert len(await told(at)) == 1
        at.clock[0] += MINUTE
        await decided(at, *brands(10))
        assert len(await told(at)) == 7
        at.clock[0] += timedelta(seconds=10)
        await worsened(at, one)
        for seconds in (10, 290, 301):  # the last of these does not look at what is held
            at.clock[0] = NOW + MINUTE + timedelta(seconds=seconds)
            assert len(await told(at)) == 7
        assert await rows(database, HOLDS) == [("storm",)]
        at.clock[0] += timedelta(seconds=5)
        assert len(await told(at)) == 8
    sent = await rows(database, "SELECT seq, repeat, reason FROM notification WHERE brand = 'bolt' ORDER BY row")
    assert sent == [(1, 0, "first"), (2, 0, "worsened")]


async def test_pages_tickets_and_ends_have_a_bucket_each(database: Database) -> None:
    async with bench(database) as at:
        pages = await decided(at, *brands(5))
        await decided(at, *brands(5, first=10), severity=Severity.WARNING)
        assert len(await told(at)) == 10
        await ended(at, *pages)
        at.clock[0] += timedelta(seconds=20)
        found = await told(at)
    assert [one["reason"] for one in found[10:]] == ["resolved"] * 5
    kept = await settings.get(database, "storm")
    assert kept is not None
    assert set(kept) == {"page", "ticket", "end"}


async def test_whoever_is_told_of_some_brands_only_is_named_those_only(database: Database) -> None:
    async with bench(database) as at:
        routes = {
            "ours": Route(receivers=("chat",), brands=("brand001", "brand002")),
            "all": Route(receivers=("inbox",)),
        }
        at.parts = replace(at.parts, policy=Policy(receivers={**INBOX, "chat": ReceiverKind()}, routes=routes))
        await decided(at, *brands(20))
        await tell(at.parts)
        found = await rows(database, "SELECT payload FROM notification WHERE receiver = 'chat'")
    assert "brand001" in str(found)
    assert "brand002" in str(found)
    assert "brand003" not in str(found)


# ------------------------------------------------------------------------------------------------- what is in a message


CHAIN = Escalation(steps=(Step(to=("inbox",), after_minutes=15),), repeat_minutes=30, repeats_max=1)


def answering(public_url: str | None = "https://listener.example/base/", **tables: Any) -> Callable[..., Any]:
    http = {} if public_url is None else {"public_url": public_url}
    found = Settings.model_validate({"http": http, "mqtt": {"host": "broker.example"}, **tables})
    policy = Policy(receivers=INBOX, people=found.people)
    return Answers(found, policy, Signer(bytes(range(32))))


async def test_every_kind_of_message_is_what_its_schema_says(database: Database) -> None:
    async with bench(database) as at:
        with_policy(
            at,
            escalations={"one": CHAIN},
            quiet_hours={"night": QuietHours(timezone="UTC", start="12:00", end="13:00", brands=("quiet",))},
        )
        at.parts = replace(at.parts, answer=answering())
        await decided(at, "acme", "rival", market=("acme", "rival"))
        await decided(at, "quiet", severity=Severity.WARNING)
        await decided(at, "alone")
        for _ in range(8):
            await told(at)
            at.clock[0] += 15 * MINUTE
        await decided(at, *brands(8))
        found = valid(await told(at))
    seen = {(one["type"], one.get("kind"), one.get("reason")) for one in found}
    assert seen >= {
        ("alert", None, "first"),
        ("alert", None, "escalated"),
        ("alert", None, "repeat"),
        ("bundle", "market", None),
        ("bundle", "held", None),
        ("bundle", "storm", None),
    }
    ids = [(one.get("alert_id") or one["bundle_id"], one.get("seq"), one["repeat"]) for one in found]
    assert len(set(ids)) == len(ids)
    last = [one for one in found if one["type"] == "alert" and one["reason"] == "repeat"]
    assert all(one["escalate"] for one in last)
    calm = [one["answer"] for one in found if one.get("kind") == "held"]
    asks = [one["answer"] for one in found if one.get("kind") != "held"]
    assert calm == [None]
    assert all(one["topic"] and set(one["links"]) == {"ack", "snooze", "resolve", "silence"} for one in asks)


async def test_the_whole_market_is_told_together_once_for_each_set(database: Database) -> None:
    async with bench(database) as at:
        await decided(at, "acme", market=("acme", "rival"))
        assert [one["type"] for one in await told(at)] == ["alert"]
        at.clock[0] += MINUTE
        await decided(at, "rival", market=("acme", "rival"))
        market = valid(await told(at))[-1]
        at.clock[0] += MINUTE
        assert len(await told(at)) == 2
    assert (market["kind"], [one["brand"] for one in market["alerts"]]) == ("market", ["rival", "acme"])


@pytest.mark.parametrize("public_url", [None, "https://listener.example/base/"])
async def test_links_come_only_where_people_can_reach_us(public_url: str | None) -> None:
    answer = answering(public_url)(Target(id=ID, brand="acme", seq=3, receiver="inbox"), NOW)
    assert (answer.seq, answer.topic) == (3, f"listener/v1/brand/acme/alert/{ID}/ack")
    assert sorted(answer.links) == ([] if public_url is None else ["ack", "resolve", "silence", "snooze"])
    for act, url in answer.links.items():
        assert url.startswith("https://listener.example/base/act/")
        claim = Signer(bytes(range(32))).read(url.rpartition("/")[2], NOW)
        assert (claim.target, claim.seq, claim.act, claim.by) == (ID, 3, Act(act), "inbox")


ID = "11111111-2222-5333-8444-555555555555"


def test_an_answer_to_a_bundle_goes_to_the_daemon_that_made_it() -> None:
    answer = answering(None, service={"instance": "tallinn"})(
        Target(id=ID, brand=SEVERAL, seq=1, receiver="inbox"), NOW
    )
    assert answer.topic == f"listener/v1/tallinn/alert/{ID}/ack"


def test_of_what_is_over_only_the_cause_can_be_said() -> None:
    over = Target(id=ID, brand="acme", seq=2, receiver="inbox", over=True)
    assert answering(None)(over, NOW) is None
    answer = answering()(over, NOW)
    assert (answer.topic, list(answer.links)) == ("", ["resolve"])


def test_a_link_says_whose_receiver_it_went_to() -> None:
    people = {"mari": {"title": "Mari", "receivers": ["inbox"]}}
    answer = answering(people=people)(Target(id=ID, brand="acme", seq=1, receiver="inbox"), NOW)
    claim = Signer(bytes(range(32))).read(answer.links["ack"].rpartition("/")[2], NOW)
    assert claim.by == "mari"


def test_without_any_way_to_answer_there_is_no_answer() -> None:
    found = Answers(Settings(), Policy(receivers=INBOX), Signer(bytes(32)))
    assert found(Target(id=ID, brand="acme", seq=1, receiver="inbox"), NOW) is None


async def test_all_daemons_of_a_database_sign_with_one_key_that_outlives_them(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    try:
        signers = await asyncio.gather(*(signer_of(one) for one in databases))
        token = signers[0].token(ID, 1, Act.ACK, "mari", NOW + HOUR)
        later = await signer_of(databases[0])
        assert all(one.read(token, NOW).target == ID for one in (*signers, later))
    finally:
        for one in databases:
            await one.close()


# -------------------------------------------------------------------------------------------------- who is behind names


def test_names_behind_whom_there_is_nobody_are_counted_each_time() -> None:
    people = {"mari": Person(title="Mari", receivers=("inbox",)), "jaan": Person(title="Jaan")}
    schedules = {"night": Schedule(timezone="UTC", calendar_file="night.ics")}
    gaps: list[str] = []
    reach = Reach(Policy(receivers=INBOX, people=people, schedules=schedules), {}, on_gap=gaps.append)
    assert reach(["night", "jaan", "mari", "inbox"], NOW) == ("inbox",)
    assert reach(["night"], NOW + MINUTE) == ()
    assert gaps == ["night", "jaan", "night"]


async def test_a_step_is_asked_of_whoever_is_on_call_when_it_is_due(database: Database) -> None:
    """Mari until one o'clock, Jaan after that: the step an hour later is Jaan's."""
    async with bench(database) as at:
        people = {name: Person(title=name.title(), receivers=(f"to_{name}",)) for name in ("mari", "jaan")}
        start = datetime(2026, 11, 20, 13)
        rota = Schedule(timezone="UTC", people=("mari", "jaan"), start=start, turn_days=1)
        policy = Policy(
            receivers={name: ReceiverKind() for name in ("inbox", "to_mari", "to_jaan")},
            routes={"all": Route(receivers=("inbox",))},
            people=people,
            schedules={"night": rota},
            escalations={"one": Escalation(steps=(Step(to=("night",)), Step(to=("night",), after_minutes=60)))},
        )
        gaps: list[str] = []
        at.parts = replace(at.parts, policy=policy, reach=Reach(policy, {}, on_gap=gaps.append))
        await decided(at, "bolt")
        await tell(at.parts)
        at.clock[0] += HOUR
        await tell(at.parts)
    sent = await rows(database, "SELECT receiver, reason FROM notification ORDER BY row")
    assert sent == [("inbox", "first"), ("to_mari", "first"), ("to_jaan", "escalated")]
    assert gaps == []


def silence(at: Bench, *, minutes: float = 60, **changes: Any) -> Silence:
    values: dict[str, Any] = {
        "id": "one",
        "starts_at": at.clock[0],
        "ends_at": at.clock[0] + minutes * MINUTE,
        "created_by": "mari",
        "brand": "bolt",
    }
    return Silence(**{**values, **changes})
