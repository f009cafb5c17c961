"""Promise 10: quiet hours are what the clock on the wall says, in the two strange nights of a year too.

The reference knows no rules of time zones: it looks at the clock on the wall once a minute.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from listener.alerts.oncall.hours import quiet, quiet_until_at
from listener.alerts.oncall.policy import Policy
from listener.config.oncall import WEEKDAYS, Maintenance, QuietHours
from listener.domain import Act, Hold, Severity, Silence
from tests.oncall import World, bundles, policy, told

MINUTE = timedelta(minutes=1)
NIGHTS = {  # the day in whose small hours the clock is changed
    "Europe/Tallinn": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),  # by half an hour
    "Asia/Kolkata": (date(2026, 3, 29), date(2026, 10, 25)),  # never
}
HOURS = [
    ("22:00", "07:00"),
    ("21:00", "24:00"),
    ("00:00", "24:00"),
    ("00:00", "06:30"),
    ("08:00", "07:59"),
    *(
        ("22:00", end)
        for end in ("00:30", "01:00", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00", "03:30", "04:00")
    ),
    *((start, "08:00") for start in ("01:00", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00", "03:30", "04:00")),
    *(("01:15", "01:45"), ("02:10", "02:20"), ("02:15", "02:45"), ("03:15", "03:45")),
]
CASES = [(zone, night) for zone, nights in NIGHTS.items() for night in nights]


@dataclass(frozen=True)
class Wall:
    """What the clock on the wall shows from the day before to the day after, minute by minute."""

    moments: tuple[datetime, ...]
    shown: tuple[str, ...]

    def between(self, start: str, end: str) -> tuple[datetime, ...]:
        """Whenever the wall shows a time between these, and all minutes in between."""
        found = [index for index, text in enumerate(self.shown) if start <= text < end]
        return self.moments[found[0] : found[-1] + 1] if found else ()


def wall(zone: str, night: date) -> Wall:
    start = datetime.combine(night, time(), tzinfo=UTC) - timedelta(hours=60)
    moments = tuple(start + count * MINUTE for count in range(6 * 24 * 60))
    return Wall(moments, tuple(f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for at in moments))


def reference(hours: QuietHours, clock: Wall, night: date) -> set[datetime]:
    """All quiet minutes of the hours that begin up to two days around ``night``."""
    expected: set[datetime] = set()
    for day in (night + timedelta(days=count) for count in range(-2, 3)):
        if WEEKDAYS[day.weekday()] in hours.days:
            ends = day + timedelta(days=1) if hours.end <= hours.start else day
            expected.update(clock.between(f"{day} {hours.start}", f"{ends} {hours.end}"))
    return expected


@pytest.mark.parametrize(("zone", "night"), CASES)
@pytest.mark.parametrize("every_day", [True, False])
def test_promise_10_every_minute_of_two_strange_nights_is_as_the_wall_says(
    zone: str, night: date, every_day: bool
) -> None:
    eve = WEEKDAYS[(night - timedelta(days=1)).weekday()]
    clock = wall(zone, night)
    asked = clock.between(f"{night - timedelta(days=1)} 12:00", f"{night} 14:00")
    for start, end in HOURS:
        days = WEEKDAYS if every_day and (start, end) != ("00:00", "24:00") else (eve,)
        hours = QuietHours(timezone=zone, start=start, end=end, days=days)
        expected = reference(hours, clock, night)
        wrong = [at for at in asked if quiet(hours, at) != (at in expected)]
        assert not wrong, (start, end, wrong[0], len(wrong))
        assert expected


@pytest.mark.parametrize(("zone", "night"), CASES)
@pytest.mark.parametrize(
    ("start", "end"), [("22:00", "07:00"), ("22:00", "01:30"), ("01:45", "08:00"), ("02:15", "05:00")]
)
def test_promise_10_what_was_held_is_told_in_the_very_minute_the_hours_end(
    zone: str, night: date, start: str, end: str
) -> None:
    hours = QuietHours(timezone=zone, start=start, end=end)
    clock = wall(zone, night)
    expected = reference(hours, clock, night)
    asked = [at for at in clock.between(f"{night} 00:00", f"{night} 14:00") if at in expected]
    assert asked
    for at in asked[::7]:
        until_at = quiet_until_at(hours, at)
        assert until_at is not None
        assert until_at - MINUTE in expected
        assert until_at not in expected
        assert expected.issuperset(at + count * MINUTE for count in range((until_at - at) // MINUTE))


@pytest.mark.parametrize(("zone", "night"), CASES)
def test_promise_10_a_page_wakes_somebody_in_quiet_hours_unless_they_are_told_to_keep_it(
    zone: str, night: date
) -> None:
    usual = Policy(quiet_hours={"night": QuietHours(timezone=zone, start="22:00", end="07:00")})
    strict = QuietHours(timezone=zone, start="22:00", end="07:00", severities=tuple(Severity))
    for at in wall(zone, night).between(f"{night} 00:00", f"{night} 07:00"):
        assert usual.hold("bolt", "deterioration", Severity.CRITICAL, at) is None
        assert usual.hold("bolt", "deterioration", Severity.WARNING, at) is Hold.QUIET_HOURS
        assert Policy(quiet_hours={"night": strict}).hold("bolt", "x", Severity.CRITICAL, at) is Hold.QUIET_HOURS


@pytest.mark.parametrize(("zone", "night"), CASES)
def test_promise_10_a_silence_says_so_before_maintenance_and_maintenance_before_quiet_hours(
    zone: str, night: date
) -> None:
    at = datetime.combine(night, time(5), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    policy = Policy(
        quiet_hours={"night": QuietHours(timezone=zone, start="22:00", end="07:00")},
        maintenance={
            "release": Maintenance(
                timezone=zone, start=datetime.combine(night, time(4)), end=datetime.combine(night, time(6))
            )
        },
    )
    silence = Silence(id="1", starts_at=at, ends_at=at + 30 * MINUTE, created_by="mari", brand="bolt")

    def held(after: timedelta, *silences: Silence) -> Hold | None:
        return policy.hold("bolt", "deterioration", Severity.WARNING, at + after, silences)

    assert held(timedelta(), silence) is Hold.SILENCE
    assert held(timedelta()) is held(30 * MINUTE, silence) is Hold.MAINTENANCE
    assert held(60 * MINUTE, silence) is Hold.QUIET_HOURS
    assert held(120 * MINUTE, silence) is None
    ends_at = policy.hold_ends_at("bolt", "deterioration", Severity.WARNING, at, [silence])
    assert ends_at == at + 120 * MINUTE


@pytest.mark.parametrize("act", [Act.ACK, Act.ASSIGN, Act.SNOOZE])
def test_promise_10_an_answer_given_in_quiet_hours_is_not_lost_when_they_end(act: Act) -> None:
    """Who has seen the page on the board at night and is on it lets the others sleep; they read of it in the digest."""
    strict = QuietHours(timezone="UTC", start="22:00", end="07:00", severities=tuple(Severity))
    world = World(policy("mqtt", "phone", quiet_hours={"night": strict}), now=datetime(2026, 11, 20, 23, tzinfo=UTC))
    world.fire("acme", "bolt")
    assert world.round().messages == []
    world.now += timedelta(hours=4)
    world.answer(act, minutes=24 * 60)
    found = world.round(timedelta(hours=4))
    assert told(found) == [("mqtt", "first", "bolt"), ("phone", "first", "bolt")]
    assert [(one.receiver, [tell.event.brand for tell in one.tells]) for one in bundles(found)] == [
        ("mqtt", ["acme"]),
        ("phone", ["acme"]),
    ]
    reminders = [one for _ in range(8) for one in told(world.round(timedelta(hours=1)))]
    assert {brand for _, _, brand in reminders} == {"bolt"}
