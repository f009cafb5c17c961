"""A rota: somebody's turn at every moment, handed over by the local clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.oncall.hours import first_at
from listener.alerts.oncall.schedule import handover_at, on_call, turn
from listener.config.oncall import Schedule


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


ZONES = ("Europe/Tallinn", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
MOMENTS = st.datetimes(min_value=local("2000-01-01T00:00"), max_value=local("2036-01-01T00:00"), timezones=st.just(UTC))
ROTAS = st.builds(
    Schedule,
    timezone=st.sampled_from(ZONES),
    people=st.lists(st.sampled_from(["mari", "jaan", "kati", "olev"]), min_size=1, max_size=5).map(tuple),
    start=st.datetimes(min_value=local("2024-01-01T00:00"), max_value=local("2027-01-01T00:00")).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    turn_days=st.integers(1, 60),
)
WEEKLY = Schedule(timezone="Europe/Tallinn", people=("mari", "jaan", "kati"), start=local("2026-01-05T09:00"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "person", "until"),
    [
        ("2026-01-05T07:00", "mari", "2026-01-12T07:00"),
        ("2026-01-12T06:59", "mari", "2026-01-12T07:00"),
        ("2026-01-12T07:00", "jaan", "2026-01-19T07:00"),
        ("2026-01-26T07:00", "mari", "2026-02-02T07:00"),
        ("2026-03-29T12:00", "kati", "2026-03-30T06:00"),  # summer time since the night: still 09:00
        ("2026-10-25T12:00", "kati", "2026-10-26T07:00"),
    ],
)
def test_turns_follow_each_other_at_the_same_local_time(at: str, person: str, until: str) -> None:
    assert on_call(WEEKLY, utc(at)) == person
    assert handover_at(WEEKLY, utc(at)) == utc(until)


def test_before_the_start_the_rota_runs_backwards() -> None:
    assert on_call(WEEKLY, utc("2026-01-05T06:59")) == "kati"
    assert on_call(WEEKLY, utc("2025-12-22T07:00")) == "jaan"
    assert handover_at(WEEKLY, utc("2026-01-01T00:00")) == utc("2026-01-05T07:00")


def test_a_hand_over_that_the_clock_skips_is_when_it_has() -> None:
    rota = Schedule(timezone="Europe/Tallinn", people=("mari", "jaan"), start=local("2026-03-28T03:30"), turn_days=1)
    assert handover_at(rota, utc("2026-03-29T00:00")) == utc("2026-03-29T01:00")
    assert on_call(rota, utc("2026-03-29T00:59")) == "mari"
    assert on_call(rota, utc("2026-03-29T01:00")) == "jaan"


def test_a_hand_over_that_the_clock_shows_twice_is_the_first() -> None:
    rota = Schedule(timezone="Europe/Tallinn", people=("mari", "jaan"), start=local("2026-10-24T03:30"), turn_days=1)
    assert handover_at(rota, utc("2026-10-25T00:00")) == utc("2026-10-25T00:30")
    assert on_call(rota, utc("2026-10-25T01:00")) == "jaan"


@given(rota=ROTAS, at=MOMENTS)
def test_every_moment_is_in_exactly_one_turn(rota: Schedule, at: datetime) -> None:
    now = turn(rota, at)
    assert now.starts_at <= at < now.ends_at
    before, after = turn(rota, now.starts_at - timedelta(microseconds=1)), turn(rota, now.ends_at)
    assert (before.ends_at, after.starts_at) == (now.starts_at, now.ends_at)
    twice = rota.people * 2
    index = [count for count in range(len(rota.people)) if twice[count : count + 2] == (now.person, after.person)]
    assert index or len(rota.people) == 1


@given(rota=ROTAS, at=MOMENTS)
def test_a_turn_is_so_many_days_of_the_calendar_from_the_same_local_time(rota: Schedule, at: datetime) -> None:
    assert rota.start is not None
    now = turn(rota, at)
    place = ZoneInfo(rota.timezone)
    starts, ends = (moment.astimezone(place).replace(tzinfo=None) for moment in (now.starts_at, now.ends_at))
    assert (ends.date() - starts.date()).days == rota.turn_days
    assert (starts.date() - rota.start.date()).days % rota.turn_days == 0
    for moment, local in ((now.starts_at, starts), (now.ends_at, ends)):
        assert moment == first_at(datetime.combine(local.date(), rota.start.time()), rota.timezone)


@given(rota=ROTAS, turns=st.integers(-300, 300))
def test_the_first_person_begins_at_the_start_and_again_each_round(rota: Schedule, turns: int) -> None:
    assert rota.start is not None
    days = timedelta(days=turns * len(rota.people) * rota.turn_days)
    if abs(days) < timedelta(days=4000):
        assert on_call(rota, first_at(rota.start + days, rota.timezone)) == rota.people[0]


def test_a_calendar_is_no_rota() -> None:
    with pytest.raises(ValueError, match="no rota"):
        turn(Schedule(timezone="UTC", calendar_file="oncall.ics"), utc("2026-01-05T07:00"))
