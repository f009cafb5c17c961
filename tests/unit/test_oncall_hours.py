"""Local times as moments, and the hours and windows that they bound."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from listener.alerts.oncall.hours import (
    first_at,
    last_at,
    maintenance_until_at,
    quiet,
    quiet_until_at,
    stretch,
)
from listener.config.oncall import Maintenance, QuietHours, Weekday

TALLINN = "Europe/Tallinn"
SECOND = timedelta(seconds=1)
ZONES = (
    TALLINN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
    "Asia/Kathmandu",
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


@pytest.mark.parametrize(
    ("zone", "text", "first", "last"),
    [
        (TALLINN, "2026-07-01T12:00", "2026-07-01T09:00", "2026-07-01T09:00"),
        (TALLINN, "2026-03-29T03:00", "2026-03-29T01:00", "2026-03-29T01:00"),  # skipped: 03:00 to 04:00
        (TALLINN, "2026-03-29T03:30", "2026-03-29T01:00", "2026-03-29T01:00"),
        (TALLINN, "2026-03-29T04:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        (TALLINN, "2026-10-25T03:00", "2026-10-25T00:00", "2026-10-25T00:00"),  # twice: 03:00 to 04:00
        (TALLINN, "2026-10-25T03:30", "2026-10-25T00:30", "2026-10-25T01:30"),
        (TALLINN, "2026-10-25T04:00", "2026-10-25T02:00", "2026-10-25T02:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", "2026-04-04T15:15"),  # half an hour, twice
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30", "2026-10-03T15:30"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", "2011-12-30T10:00"),  # a whole day that never was
    ],
)
def test_a_local_time_is_the_moment_people_mean_by_it(zone: str, text: str, first: str, last: str) -> None:
    assert first_at(local(text), zone) == utc(first)
    assert last_at(local(text), zone) == utc(last)


@given(
    zone=st.sampled_from(ZONES),
    shows=st.datetimes(min_value=local("1975-01-01T00:00"), max_value=local("2037-01-01T00:00")).map(
        lambda at: at.replace(microsecond=0)
    ),
)
def test_before_the_first_the_clock_shows_less_and_from_the_last_on_never_again(zone: str, shows: datetime) -> None:
    first, last = first_at(shows, zone), last_at(shows, zone)
    assert first <= last
    assert shown(first, zone) >= shows > shown(first - SECOND, zone)
    assert shown(last - SECOND, zone) < shows <= shown(last, zone)
    assert all(shown(last + timedelta(minutes=count), zone) >= shows for count in range(0, 180, 5))


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 6, 1), date(2026, 10, 24)])
def test_the_end_of_the_day_is_midnight_and_not_included(day: date) -> None:
    hours = QuietHours(timezone=TALLINN, start="20:00", end="24:00")
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(TALLINN)).astimezone(UTC)
    assert stretch(hours, day)[1] == midnight
    assert quiet(hours, midnight - SECOND)
    assert not quiet(hours, midnight)


def test_the_days_are_those_on_which_the_hours_begin() -> None:
    hours = QuietHours(timezone=TALLINN, start="22:00", end="07:00", days=("fri",))
    assert not quiet(hours, utc("2026-11-26T21:00"))  # Thursday night
    assert quiet(hours, utc("2026-11-27T20:00"))  # Friday, 22:00
    assert quiet(hours, utc("2026-11-28T04:59"))  # Saturday, 06:59
    assert not quiet(hours, utc("2026-11-28T05:00"))
    assert not quiet(hours, utc("2026-11-28T21:00"))  # Saturday night


def test_a_weekend_ends_on_monday() -> None:
    weekend: tuple[Weekday, ...] = ("sat", "sun")
    hours = QuietHours(timezone=TALLINN, start="00:00", end="24:00", days=weekend)
    assert quiet_until_at(hours, utc("2026-11-28T12:00")) == utc("2026-11-29T22:00")
    assert quiet_until_at(hours, utc("2026-11-30T12:00")) is None


def test_hours_that_the_clock_skips_are_not() -> None:
    hours = QuietHours(timezone=TALLINN, start="03:10", end="03:50")
    starts_at, ends_at = stretch(hours, date(2026, 3, 29))
    assert starts_at == ends_at
    assert not quiet(hours, starts_at)


def test_hours_are_one_stretch_where_the_clock_shows_their_end_twice() -> None:
    hours = QuietHours(timezone=TALLINN, start="22:00", end="03:30")
    for minute in range(150):
        assert quiet(hours, utc("2026-10-24T23:00") + timedelta(minutes=minute))
    assert quiet_until_at(hours, utc("2026-10-24T23:00")) == utc("2026-10-25T01:30")


@pytest.mark.parametrize(
    ("start", "end", "until"),
    [
        ("2026-12-01T22:00", "2026-12-02T02:00", "2026-12-02T00:00"),
        ("2026-03-28T22:00", "2026-03-29T03:30", "2026-03-29T01:00"),
        ("2026-10-24T22:00", "2026-10-25T03:30", "2026-10-25T01:30"),
    ],
)
def test_maintenance_begins_and_ends_by_the_local_clock(start: str, end: str, until: str) -> None:
    window = Maintenance(timezone=TALLINN, start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
    starts_at = first_at(window.start, TALLINN)
    around = (starts_at - SECOND, starts_at, utc(until) - SECOND, utc(until))
    assert [maintenance_until_at(window, at) for at in around] == [None, utc(until), utc(until), None]


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("24:00", "07:00", "start is 00:00 of the next day"),
        ("07:00", "07:00", "the whole day is 00:00 to 24:00"),
        ("00:00", "24:00", "these hours never end"),
        ("25:00", "07:00", "hour must be in 0..23"),
        ("7:00", "08:00", "pattern"),
    ],
)
def test_hours_that_nobody_can_mean_are_refused(start: str, end: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        QuietHours(timezone=TALLINN, start=start, end=end)
