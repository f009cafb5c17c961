"""Who is told, who is asked next, and what holds an alert back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.alerts.oncall.calendar import Calendar, OnCall
from listener.alerts.oncall.policy import Policy, ReceiverKind, policy_of
from listener.config import Settings
from listener.config.oncall import Escalation, Maintenance, Person, QuietHours, Route, Schedule, Step
from listener.domain import Hold, Severity, Silence

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RECEIVERS = {"mqtt": ReceiverKind(), "chat": ReceiverKind(), "am": ReceiverKind(bundled=False, repeated=False)}
PHONES = {"mari_phone": ReceiverKind(), "jaan_phone": ReceiverKind(), "jaan_mail": ReceiverKind()}
PEOPLE = {
    "mari": Person(title="Mari Tamm", receivers=("mari_phone",)),
    "jaan": Person(title="Jaan", receivers=("jaan_phone", "jaan_mail")),
    "boss": Person(title="Boss", receivers=("mari_phone",)),
}
ROTA = Schedule(timezone="UTC", people=("mari", "jaan"), start=datetime.fromisoformat("2026-11-27T09:00"), turn_days=1)
CALENDAR = Schedule(timezone="UTC", calendar_file=Path("oncall.ics"), fallback="boss")
BARE = Schedule(timezone="UTC", calendar_file=Path("oncall.ics"))

SCHEDULES = {"rota": ROTA, "calendar": CALENDAR, "bare": BARE}


def policy(**tables: Any) -> Policy:
    known: dict[str, Any] = {"receivers": RECEIVERS | PHONES, "people": PEOPLE, "schedules": SCHEDULES}
    return Policy(**known | tables)


def copy_of(*turns: tuple[str, int, int]) -> Calendar:
    """Turns by person, from and to so many hours after now."""
    return Calendar(
        turns=tuple(OnCall(person=who, starts_at=NOW + a * HOUR, ends_at=NOW + b * HOUR) for who, a, b in turns),
        starts_at=NOW - 100 * HOUR,
        ends_at=NOW + 100 * HOUR,
    )


def test_without_routes_all_receivers_are_told_of_everything() -> None:
    assert policy(receivers=RECEIVERS).told("bolt", Severity.INFO) == ("mqtt", "chat", "am")


@pytest.mark.parametrize(
    ("brand", "severity", "told"),
    [
        ("bolt", Severity.CRITICAL, ("chat", "mqtt", "am")),
        ("wolt", Severity.CRITICAL, ("chat", "mqtt")),
        ("bolt", Severity.WARNING, ("mqtt", "am")),
        ("wolt", Severity.WARNING, ()),
    ],
)
def test_all_routes_that_match_count_in_order_and_nobody_is_told_twice(
    brand: str, severity: Severity, told: tuple[str, ...]
) -> None:
    routes = {
        "pages": Route(receivers=("chat", "mqtt"), severities=(Severity.CRITICAL,)),
        "bolt": Route(receivers=("mqtt", "am"), brands=("bolt",)),
    }
    assert policy(routes=routes).told(brand, severity) == told


def test_the_first_escalation_that_matches_counts() -> None:
    tables = {
        "bolt": Escalation(brands=("bolt",), repeat_minutes=5),
        "all": Escalation(severities=(Severity.CRITICAL, Severity.WARNING), repeat_minutes=60),
    }
    chosen = policy(escalations=tables)
    found = {
        (brand, severity): escalation.repeat_minutes
        for brand in ("bolt", "wolt")
        for severity in Severity
        if (escalation := chosen.escalation(brand, severity)) is not None
    }
    assert found == {
        ("bolt", Severity.CRITICAL): 5,
        ("bolt", Severity.WARNING): 60,
        ("wolt", Severity.CRITICAL): 60,
        ("wolt", Severity.WARNING): 60,
    }


def test_without_escalations_a_page_is_repeated_every_half_hour_eight_times() -> None:
    found = policy().escalation("bolt", Severity.CRITICAL)
    assert found is not None
    assert (found.repeat_minutes, found.repeats_max, found.steps) == (30, 8, ())
    assert policy().escalation("bolt", Severity.WARNING) is None


def test_receivers_people_and_schedules_lead_to_receivers_each_once() -> None:
    assert policy().reach(("chat", "jaan", "rota", "chat"), NOW) == ("chat", "jaan_phone", "jaan_mail")
    assert policy().reach(("rota",), NOW - 24 * HOUR) == ("mari_phone",)
    assert policy().reach(("gone",), NOW) == ()


def test_all_whom_a_calendar_names_are_reached() -> None:
    calendars = {"calendar": copy_of(("mari", -2, 5), ("jaan", -1, 3), ("left_us", -1, 9))}
    assert policy().reach(("calendar",), NOW, calendars) == ("mari_phone", "jaan_phone", "jaan_mail")
    duty = policy().duty("calendar", NOW, calendars)
    assert (duty.people, duty.fallback, duty.until_at) == (("mari", "jaan"), False, NOW + 3 * HOUR)


def test_whom_to_reach_now_is_known_without_asking_until_when() -> None:
    """That takes all turns of a calendar, and is asked within the transaction in which people are told."""

    class Dear(Calendar):
        def changes_at(self, at: datetime) -> datetime:
            raise AssertionError(at)

    known = copy_of(("mari", -2, 5))
    dear = Dear(turns=known.turns, starts_at=known.starts_at, ends_at=known.ends_at)
    assert policy().reach(("calendar",), NOW, {"calendar": dear}) == ("mari_phone",)
    assert policy().gaps(("calendar", "bare"), NOW, {"calendar": dear}) == ("bare",)


@pytest.mark.parametrize("calendars", [{}, {"calendar": copy_of(("jaan", 1, 2))}, {"calendar": copy_of(("x", 0, 2))}])
def test_the_fallback_is_on_call_when_the_calendar_names_nobody(calendars: dict[str, Calendar]) -> None:
    duty = policy().duty("calendar", NOW, calendars)
    assert (duty.people, duty.fallback) == (("boss",), True)
    assert policy().reach(("calendar",), NOW, calendars) == ("mari_phone",)
    assert policy().gaps(("calendar",), NOW, calendars) == ()


def test_nobody_on_call_and_nobody_to_be_reached_shows_as_a_gap() -> None:
    people = PEOPLE | {"dumb": Person(title="Without a phone")}
    asked = ("chat", "bare", "dumb", "mari")
    assert policy(people=people).gaps(asked, NOW) == ("bare", "dumb")
    assert policy(people=people).duty("bare", NOW).people == ()
    assert policy(people=people).reach(asked, NOW) == ("chat", "mari_phone")


def test_a_calendar_may_name_the_people_of_its_schedule_or_else_all() -> None:
    some = Schedule(timezone="UTC", calendar_file=Path("oncall.ics"), people=("jaan",))
    assert policy(schedules={"some": some}).candidates("some") == {"jaan": "Jaan"}
    assert policy().candidates("bare") == {"mari": "Mari Tamm", "jaan": "Jaan", "boss": "Boss"}


@pytest.mark.parametrize(
    ("name", "person"), [("mari", "mari"), ("jaan_mail", "jaan"), ("mari_phone", None), ("chat", None), ("rota", None)]
)
def test_a_receiver_is_its_owners_where_there_is_one(name: str, person: str | None) -> None:
    assert policy().person_of(name) == person


def test_what_a_receiver_can_do_is_known_and_one_that_is_gone_can_do_all() -> None:
    assert policy().kind("am") == ReceiverKind(bundled=False, repeated=False)
    assert policy().kind("gone") == ReceiverKind(bundled=True, repeated=True)


def test_holds_are_about_their_brands_and_severities_only() -> None:
    held = policy(
        maintenance={
            "release": Maintenance(
                timezone="UTC",
                start=datetime.fromisoformat("2026-11-28T11:00"),
                end=datetime.fromisoformat("2026-11-28T13:00"),
                severities=(Severity.WARNING,),
                brands=("bolt",),
            )
        }
    )
    assert held.hold("bolt", "deterioration", Severity.WARNING, NOW) is Hold.MAINTENANCE
    assert held.hold("bolt", "deterioration", Severity.CRITICAL, NOW) is None
    assert held.hold("wolt", "deterioration", Severity.WARNING, NOW) is None
    assert held.hold("bolt", "deterioration", Severity.WARNING, NOW + HOUR) is None


def test_holds_that_follow_each_other_end_when_the_last_one_does() -> None:
    held = policy(quiet_hours={"noon": QuietHours(timezone="UTC", start="13:00", end="14:00")})
    silences = [
        Silence(id=str(after), starts_at=NOW - HOUR, ends_at=NOW + after * HOUR, created_by="mari")
        for after in (0.5, 1)
    ]
    assert held.hold_ends_at("bolt", "x", Severity.INFO, NOW, silences) == NOW + 2 * HOUR
    assert held.hold_ends_at("bolt", "x", Severity.CRITICAL, NOW, silences) == NOW + HOUR
    assert held.hold_ends_at("bolt", "x", Severity.INFO, NOW) is None


def test_the_plan_names_who_is_on_call_when_it_is_their_turn() -> None:
    chain = Escalation(steps=(Step(to=("rota",), after_minutes=5), Step(to=("bare", "rota"), after_minutes=22 * 60)))
    plan = policy(escalations={"pages": chain}, receivers=RECEIVERS | PHONES).plan("bolt", Severity.CRITICAL, NOW)
    assert [(row.after_minutes, row.people, row.gaps) for row in plan] == [
        (0, (), ()),
        (5, ("jaan",), ()),
        (22 * 60, ("mari",), ("bare",)),
    ]
    assert [row.receivers for row in plan[1:]] == [("jaan_phone", "jaan_mail"), ("mari_phone",)]
    assert len(policy(escalations={"pages": chain}).plan("bolt", Severity.INFO, NOW)) == 1


def test_it_is_made_of_the_settings() -> None:
    settings = Settings(people={"mari": {"title": "Mari"}}, routes={"all": {"receivers": ["chat"]}})
    made = policy_of(settings, RECEIVERS)
    assert made.told("bolt", Severity.INFO) == ("chat",)
    assert (list(made.receivers), list(made.people)) == (["mqtt", "chat", "am"], ["mari"])
