"""What runs beside the rules: the sign that all is well, what is told again, calendars; as the daemon runs them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.oncall.calendar import Calendar
from listener.alerts.oncall.links import Signer
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.oncall.say import Target
from listener.alerts.receivers.base import Resender
from listener.alerts.wire import schemas
from listener.alerts.wire.findings import AnswerFindings
from listener.app import App
from listener.app.telling import Reach, Wake, acting_of
from listener.config import Settings
from listener.config.oncall import WatchdogOptions
from listener.daemon import Daemon, Stage
from listener.domain import Act, Frozen, Notification, Outcome, Severity, Silence
from listener.errors import DeliveryError
from listener.pipeline import deliver, tell
from listener.pipeline.resend import resend
from listener.pipeline.watchdog import LOOKS_MISSED, bark
from listener.store import Database, actions, events, silences
from tests.integration.test_pipeline_mend import spoil
from tests.mentions import NOW
from tests.mosquitto import until
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, Inbox, answered, asked, bench, decided, ended, turned, worsened

SECOND = timedelta(seconds=1)
KINDS = {name: ReceiverKind() for name in ("inbox", "forgetful")}
WATCHDOG = WatchdogOptions(receivers=("inbox", "phone"), every_minutes=5)


async def barked(
    at: Bench,
    evaluated_at: datetime | None = None,
    told_at: datetime | None = None,
    *,
    options: WatchdogOptions = WATCHDOG,
    tick_secs: float = 60.0,
) -> int:
    return await bark(
        at.parts,
        options,
        instance="one",
        evaluated_at=evaluated_at or at.clock[0],
        told_at=told_at or at.clock[0],
        tick_secs=tick_secs,
    )


# ------------------------------------------------------------------------------------------------------------ watchdog


async def test_the_sign_that_all_is_well_goes_to_each_of_its_receivers_every_time(database: Database) -> None:
    async with bench(database) as at:
        phone = Inbox()
        at.parts = replace(at.parts, receivers={**at.parts.receivers, "phone": phone})
        for _ in range(3):
            assert await barked(at) == 2
            assert [await deliver(at.parts, name) for name in ("inbox", "phone")] == [1, 1]
            at.clock[0] += 5 * MINUTE
        signs = [dict(one.payload) for one in at.inbox.taken]
    for one in signs:
        Draft202012Validator(schemas.load("watchdog")).validate(one)
    assert [one["type"] for one in signs] == ["watchdog"] * 3
    assert [datetime.fromisoformat(one["at"]) for one in signs] == [NOW, NOW + 5 * MINUTE, NOW + 10 * MINUTE]
    assert {one["every_secs"] for one in signs} == {300.0}
    assert len({one.id for one in at.inbox.taken}) == 3
    assert len(phone.taken) == 3


async def test_while_one_waits_there_is_no_second_for_that_receiver(database: Database) -> None:
    """After a night away one of them is enough, and not one of last night; the others get theirs meanwhile."""
    async with bench(database) as at:
        phone = Inbox(connected=False)
        at.parts = replace(at.parts, receivers={**at.parts.receivers, "phone": phone})
        due = []
        for _ in range(12):
            due.append(await barked(at))
            for name in ("inbox", "phone"):
                await deliver(at.parts, name)
            at.clock[0] += 5 * MINUTE
        phone.connected = True
        await deliver(at.parts, "phone")
        assert phone.taken == []  # what was well an hour ago says nothing
        assert await barked(at) == 2
        await deliver(at.parts, "phone")
    assert due == [2, *[1] * 11]
    assert (len(at.inbox.taken), len(phone.taken)) == (12, 1)


@pytest.mark.parametrize(
    ("late_secs", "signs"), [(0, 2), (LOOKS_MISSED * 60.0, 2), (LOOKS_MISSED * 60.0 + 1, 0), (86_400, 0)]
)
async def test_it_is_silent_when_the_rules_have_stopped_looking(
    database: Database, late_secs: float, signs: int
) -> None:
    async with bench(database) as at:
        with capture_logs() as log:
            assert await barked(at, NOW - late_secs * SECOND) == signs
    silent = [line for line in log if line["event"] == "watchdog.silent"]
    assert len(silent) == (signs == 0)


@pytest.mark.parametrize(
    ("tick_secs", "late_secs", "signs"),
    [(60.0, 300, 2), (60.0, 301, 0), (1.0, 60, 2), (1.0, 61, 0)],  # five ticks, a minute at least
)
async def test_it_is_silent_when_nobody_is_told_any_more(
    database: Database, tick_secs: float, late_secs: int, signs: int
) -> None:
    async with bench(database) as at:
        with capture_logs() as log:
            told_at = NOW - late_secs * SECOND
            assert await barked(at, told_at=told_at, tick_secs=tick_secs) == signs
    silent = [line["told_at"] for line in log if line["event"] == "watchdog.silent"]
    assert silent == ([] if signs else [told_at.isoformat()])


@pytest.mark.parametrize(("evaluated_at", "told_at"), [(None, None), (None, NOW), (NOW, None)])
async def test_before_the_first_look_it_neither_says_that_all_is_well_nor_that_it_is_not(
    database: Database, evaluated_at: datetime | None, told_at: datetime | None
) -> None:
    """Nor before it was first decided who is told."""
    async with bench(database) as at:
        times = {"evaluated_at": evaluated_at, "told_at": told_at}
        with capture_logs() as log:
            assert await bark(at.parts, WATCHDOG, instance="one", tick_secs=60.0, **times) == 0
    assert log == []


# -------------------------------------------------------------------------------------------------------------- resend


@dataclass
class Forgetful(Inbox):
    """A receiver that forgets what it is not told again."""

    interval_secs: float = 60.0
    heard: list[tuple[set[str], set[str]]] = field(default_factory=list)
    away: bool = False

    async def resend(self, firing: Sequence[Frozen], ended: Sequence[Frozen]) -> None:
        if self.away:
            raise DeliveryError("503", retryable=True)
        self.heard.append(({one["brand"] for one in firing}, {one["brand"] for one in ended}))


def with_forgetful(at: Bench, **tables: Any) -> Forgetful:
    forgetful = Forgetful()
    receivers = {"inbox": at.inbox, "forgetful": forgetful}
    at.parts = replace(at.parts, receivers=receivers, policy=Policy(receivers=KINDS, **tables))
    return forgetful


async def test_what_fires_is_told_again_and_for_five_minutes_what_has_ended(database: Database) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        (one, _) = await decided(at, "bolt", "wolt")
        await tell(at.parts)
        assert await resend(at.parts, "forgetful", forgetful) == 2
        at.clock[0] += HOUR
        await ended(at, one)
        await tell(at.parts)
        for minutes in (0, 5):
            at.clock[0] += minutes * MINUTE
            assert await resend(at.parts, "forgetful", forgetful) == 2
        at.clock[0] += SECOND
        assert await resend(at.parts, "forgetful", forgetful) == 1
    both = ({"wolt"}, {"bolt"})
    assert forgetful.heard == [({"bolt", "wolt"}, set()), both, both, ({"wolt"}, set())]


async def test_a_receiver_is_told_again_only_of_what_it_was_told(database: Database) -> None:
    routes = {"ours": {"receivers": ("forgetful",), "brands": ("bolt",)}, "all": {"receivers": ("inbox",)}}
    settings = Settings.model_validate({"routes": routes})
    async with bench(database) as at:
        forgetful = with_forgetful(at, routes=settings.routes)
        (bolt, wolt) = await decided(at, "bolt", "wolt")
        assert await resend(at.parts, "forgetful", forgetful) == 0  # nobody was told yet
        await tell(at.parts)
        await resend(at.parts, "forgetful", forgetful)
        await ended(at, bolt, wolt)
        await tell(at.parts)
        await resend(at.parts, "forgetful", forgetful)
    assert forgetful.heard == [({"bolt"}, set()), (set(), {"bolt"})]


async def test_it_is_told_how_it_is_now(database: Database) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        (one,) = await decided(at, "bolt", severity=Severity.WARNING)
        await tell(at.parts)
        await worsened(at, one)
        await tell(at.parts)
        assert await resent(at, forgetful) == [(2, "critical")]


async def test_what_is_held_back_is_not_told_that_way_either(database: Database) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        (one,) = await decided(at, "bolt", severity=Severity.WARNING)
        await tell(at.parts)
        muted = Silence(id="one", starts_at=NOW, ends_at=NOW + HOUR, created_by="mari", brand="bolt")
        await silences.put(database, muted)
        worse = await worsened(at, one)
        await tell(at.parts)
        assert await resent(at, forgetful) == [(1, "warning")]
        await ended(at, worse)
        await tell(at.parts)
        assert await resent(at, forgetful) == [(1, "warning")]


async def resent(at: Bench, forgetful: Forgetful) -> list[tuple[int, str]]:
    """The number and the severity of what is told again."""
    return [(one["seq"], one["severity"]) for one in await payloads(at, forgetful)]


async def payloads(at: Bench, forgetful: Forgetful) -> list[Frozen]:
    """What is told again, what fires first."""
    said: list[Frozen] = []

    async def keep(firing: Sequence[Frozen], ended: Sequence[Frozen]) -> None:
        said.extend((*firing, *ended))

    forgetful.resend = keep  # type: ignore[method-assign]
    await resend(at.parts, "forgetful", forgetful)
    return said


async def test_with_what_is_told_again_comes_how_to_answer_it(database: Database) -> None:
    """The links of the first message would be gone a minute later, else."""

    def answer(target: Target, now: datetime) -> AnswerFindings:
        over = ", over" if target.over else ""
        links = {"ack": f"https://l/{target.id}/{target.seq}/{target.receiver}{over}/{now:%H:%M}"}
        return AnswerFindings(seq=target.seq, topic="", links=links)

    async with bench(database) as at:
        forgetful = with_forgetful(at)
        at.parts = replace(at.parts, answer=answer)
        one, other = await decided(at, "bolt", "wolt")
        await tell(at.parts)
        await ended(at, other)
        await tell(at.parts)
        at.clock[0] += MINUTE
        said = [one["answer"] for one in await payloads(at, forgetful)]
    assert said == [
        {"seq": 1, "topic": "", "links": {"ack": f"https://l/{one.id}/1/forgetful/12:03"}},
        {"seq": 2, "topic": "", "links": {"ack": f"https://l/{other.id}/2/forgetful, over/12:03"}},
    ]


@pytest.mark.parametrize(("also_alert", "brands"), [(False, {"bolt", "wolt"}), (True, {"wolt"})])
async def test_what_cannot_be_read_keeps_nothing_else_from_being_told_again(
    database: Database, also_alert: bool, brands: set[str]
) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        (one, _) = await decided(at, "bolt", "wolt")
        await tell(at.parts)
        await spoil(database, one, also_alert=also_alert)
        with capture_logs() as log:
            await resend(at.parts, "forgetful", forgetful)
    assert forgetful.heard == [(brands, set())]
    assert [line["alert"] for line in log] == ([one.id] if also_alert else [])


async def test_one_that_cannot_be_told_again_is_told_the_next_time(database: Database) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        await decided(at, "bolt")
        await tell(at.parts)
        forgetful.away = True
        with capture_logs() as log:
            assert await resend(at.parts, "forgetful", forgetful) == 0
        forgetful.away = False
        assert await resend(at.parts, "forgetful", forgetful) == 1
    assert [line["event"] for line in log] == ["resend.failed"]


# ---------------------------------------------------------------------------------------------------------- the daemon


def daemon_of(at: Bench, settings: Settings, **changes: Any) -> Daemon:
    """A daemon around these parts, without a broker; nothing of it runs yet."""
    wake = Wake()
    values: dict[str, Any] = {"mqtt": None, "resenders": {}, "calendars": {}, **changes}
    app = App(
        settings=settings,
        database=at.parts.database,
        metrics=at.parts.metrics,
        parts=at.parts,
        acting=acting_of(settings, at.parts.database, Signer(bytes(32)), wake),
        wake=wake,
        **values,
    )
    return Daemon(app)


def stage(daemon: Daemon, name: str) -> Stage:
    (found,) = [one for one in daemon.stages if one.name == name]
    return found


@contextlib.asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[None]:
    """Its stages run, and wait for work as long as ever."""
    tasks = [asyncio.create_task(one.run(), name=one.name) for one in daemon.stages]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def said(at: Bench, kind: str) -> list[Notification]:
    """What the receiver was handed of one type; a daemon also makes a digest of the day."""
    return [one for one in at.inbox.taken if one.payload["type"] == kind]


async def test_the_first_sign_comes_with_the_first_look_and_not_five_minutes_later(database: Database) -> None:
    settings = Settings.model_validate({"watchdog": {"receivers": ["inbox"], "every_minutes": 60}})
    async with bench(database) as at:
        with capture_logs() as log:
            async with running(daemon_of(at, settings)):
                await until(lambda: said(at, "watchdog"))
        assert len(said(at, "watchdog")) == 1
    assert not [line for line in log if line["log_level"] in {"error", "warning"}]


async def test_the_sign_stops_while_nobody_is_told_though_the_rules_look(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"watchdog": {"receivers": ["inbox"], "every_minutes": 5}})
    async with bench(database) as at:
        daemon = daemon_of(at, settings)
        told_at = at.parts.metrics.registry.get_sample_value
        signs = []
        with capture_logs() as log:
            for minute in range(40):
                with monkeypatch.context() as patched:
                    if 10 <= minute < 30:
                        patched.setattr(events, "anything", away)
                        patched.setattr(events, "waiting", away)
                    for one in (daemon.evaluation, daemon.telling):
                        await one.once()
                if minute % 5 == 0:
                    await stage(daemon, "watchdog").once()
                    await deliver(at.parts, "inbox")
                    signs.append(len(said(at, "watchdog")))
                at.clock[0] += MINUTE
        assert told_at("listener_last_tell_timestamp_seconds") == (NOW + 39 * MINUTE).timestamp()
    assert signs == [1, 2, 3, 3, 3, 3, 4, 5]
    assert [line["event"] for line in log].count("watchdog.silent") == 3


async def away(*_: Any, **__: Any) -> Any:
    """A bug in what tells."""
    raise ZeroDivisionError("a bug about all events")


async def test_the_first_sign_waits_until_it_was_decided_who_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"watchdog": {"receivers": ["inbox"], "every_minutes": 5}})
    async with bench(database) as at:
        daemon = daemon_of(at, settings)
        watching = stage(daemon, "watchdog")
        with monkeypatch.context() as patched, capture_logs():
            patched.setattr(events, "waiting", away)
            await daemon.telling.once()
            await daemon.evaluation.once()
            await watching.once()
            await deliver(at.parts, "inbox")
        assert said(at, "watchdog") == []
        watching.wake.clear()
        await daemon.telling.once()
        assert watching.wake.is_set()
        await watching.once()
        await deliver(at.parts, "inbox")
    assert len(said(at, "watchdog")) == 1


async def test_what_is_decided_is_told_and_an_answer_is_done_without_waiting(database: Database) -> None:
    """One stage wakes the next: all but what starts it would wait for an hour."""
    async with bench(database) as at:
        await turned(at)
        daemon = daemon_of(at, Settings())
        for one in daemon.stages:
            one.idle_secs = 3600.0
        async with running(daemon):
            await until(lambda: said(at, "alert"))
            (page,) = said(at, "alert")
            action = await asked(at, page.alert_id, Act.RESOLVE)
            daemon.app.wake()
            await until(lambda: len(said(at, "alert")) == 2)
        handled = await actions.by_id(database, action.id)
    assert [one.reason.value for one in said(at, "alert")] == ["first", "resolved"]
    assert handled is not None
    assert handled.outcome is Outcome.DONE


async def test_one_round_and_out_does_what_people_asked_for_meanwhile(database: Database) -> None:
    async with bench(database) as at:
        (one,) = await decided(at, "bolt")
        await tell(at.parts)
        await asked(at, one.id, Act.RESOLVE)
        at.parts = replace(at.parts, sources={})
        await daemon_of(at, Settings()).once()
    assert [one.reason.value for one in at.inbox.taken] == ["first", "resolved"]


class TimesOut(Inbox):
    """A receiver that does not answer for some brands, each time for ten seconds."""

    def __init__(self, at: Bench, *silent: str) -> None:
        super().__init__()
        self.at, self.silent = at, silent
        self.tried: list[str] = []

    async def deliver(self, notification: Notification) -> None:
        self.tried.append(notification.brand)
        if notification.brand in self.silent:
            self.at.clock[0] += timedelta(seconds=10)
            raise DeliveryError("no answer within 10 s", retryable=True)
        self.taken.append(notification)


async def nothing_new() -> int:
    """The rules look, and find what they have found before."""
    return 0


@pytest.mark.parametrize("silent", [1, 12])
async def test_one_round_and_out_tries_each_message_once_however_long_it_takes(database: Database, silent: int) -> None:
    brands = [f"brand{number:02}" for number in range(12)]
    async with bench(database) as at:
        inbox = TimesOut(at, *brands[:silent])
        limits = replace(at.parts.limits, burst=20)
        at.parts = replace(at.parts, sources={}, receivers={"inbox": inbox}, limits=limits)
        await decided(at, *brands)
        daemon = daemon_of(at, Settings())
        daemon.evaluation.unit = nothing_new
        await daemon.once()
    assert inbox.tried == brands
    assert len(inbox.taken) == 12 - silent


async def test_what_a_daemon_is_to_tell_is_handed_over_at_once_though_nothing_else_is_due(database: Database) -> None:
    async with bench(database) as at:
        inbox = at.inbox
        inbox.refusals = [DeliveryError("429", retryable=True, retry_after_secs=60)]
        daemon = daemon_of(at, Settings())
        (delivering,) = daemon.deliveries
        await decided(at, "bolt")
        await daemon.telling.once()
        for _ in range(3):
            await delivering.once()
        await decided(at, "wolt")
        await daemon.telling.once()
        assert delivering.wake.is_set()
        await delivering.once()
    assert [one.brand for one in inbox.taken] == ["wolt"]


async def test_drills_end_by_themselves_in_the_daemon(database: Database) -> None:
    async with bench(database) as at:
        await decided(at, "bolt", rule="drill")
        await tell(at.parts)
        daemon = daemon_of(at, Settings())
        at.clock[0] += 30 * MINUTE
        await daemon.acting.once()
        assert daemon.telling.wake.is_set()
    assert await rows(database, "SELECT resolution FROM alert") == [("expired",)]


async def test_the_daemon_tells_again_as_often_as_the_receiver_wants(database: Database) -> None:
    async with bench(database) as at:
        forgetful = with_forgetful(at)
        assert isinstance(forgetful, Resender)
        forgetful.interval_secs = 17.0
        daemon = daemon_of(at, Settings(), resenders={"forgetful": forgetful})
        await decided(at, "bolt")
        await daemon.telling.once()
        again = stage(daemon, "resend_forgetful")
        await again.once()
        assert again.idle_secs == 17.0
        await answered(at, (await rows(database, "SELECT id FROM alert"))[0][0], Act.RESOLVE)
        await daemon.telling.once()
        await again.once()
    assert forgetful.heard == [({"bolt"}, set()), (set(), {"bolt"})]


def test_nothing_runs_that_is_not_configured() -> None:
    parts: Any = type("Parts", (), {"receivers": {"inbox": Inbox()}})()
    settings = Settings()
    app = App(
        settings=settings,
        database=Database("sqlite:///none.db"),
        metrics=Any,  # type: ignore[arg-type]
        parts=parts,
        mqtt=None,
        acting=Any,  # type: ignore[arg-type]
        resenders={},
        calendars={},
        wake=Wake(),
    )
    names = {one.name for one in Daemon(app).stages}
    assert names == {"score", "refresh", "evaluate", "act", "tell", "digest", "deliver_inbox"}


# ----------------------------------------------------------------------------------------------------------- calendars


def turn(person: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
        f"SUMMARY:{person}\r\nDTSTART:20261120T080000Z\r\nDTEND:20261130T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


async def test_who_is_on_call_by_a_calendar_is_told_and_a_new_calendar_counts_when_it_is_read(
    tmp_path: Path, database: Database
) -> None:
    ics = tmp_path / "night.ics"
    ics.write_text(turn("Mari"), "utf-8")
    settings = Settings.model_validate(
        {
            "people": {name: {"title": name.title(), "receivers": [f"to_{name}"]} for name in ("mari", "jaan")},
            "schedules": {"night": {"timezone": "UTC", "calendar_file": str(ics)}},
            "escalations": {"one": {"steps": [{"to": ["night"]}]}},
            "routes": {"none": {"receivers": ["inbox"], "brands": ["other"]}},
        }
    )
    policy = Policy(
        receivers={name: ReceiverKind() for name in ("inbox", "to_mari", "to_jaan")},
        people=settings.people,
        schedules=settings.schedules,
        escalations=settings.escalations,
        routes=settings.routes,
    )
    calendars: dict[str, Calendar] = {}
    gaps: list[str] = []
    async with bench(database) as at:
        at.parts = replace(at.parts, policy=policy, reach=Reach(policy, calendars, on_gap=gaps.append))
        daemon = daemon_of(at, settings, calendars=calendars)
        reading = stage(daemon, "calendars")
        await decided(at, "early")
        await daemon.telling.once()
        assert gaps == ["night"]  # nothing was read yet: nobody is known to be on call
        await reading.once()
        await decided(at, "bolt")
        await daemon.telling.once()
        ics.write_text(turn("Jaan"), "utf-8")
        await reading.once()  # too early: it is read every fifteen minutes
        await decided(at, "wolt")
        await daemon.telling.once()
        at.clock[0] += 15 * MINUTE
        await reading.once()
        await decided(at, "acme")
        await daemon.telling.once()
        ics.unlink()
        at.clock[0] += 15 * MINUTE
        with capture_logs() as log:
            await reading.once()
        await decided(at, "late")
        await daemon.telling.once()
    sent = await rows(database, "SELECT brand, receiver FROM notification WHERE reason = 'first' ORDER BY row")
    assert sent == [("bolt", "to_mari"), ("wolt", "to_mari"), ("acme", "to_jaan"), ("late", "to_jaan")]
    assert [line["event"] for line in log if line["event"].startswith("calendar")] == ["calendar.failed"]
