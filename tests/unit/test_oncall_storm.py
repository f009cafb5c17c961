"""The bucket: what goes out alone, what is named in one message, and what waits for that."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.oncall.storm import Bucket, Limits, fold, full
from tests.alerting import NOW

LIMITS = Limits(burst=5, per_hour=10.0, update=timedelta(minutes=5))
MINUTE = timedelta(minutes=1)


def bucket(tokens: float, *, bundled_minutes_ago: float | None = None) -> Bucket:
    bundled_at = None if bundled_minutes_ago is None else NOW - bundled_minutes_ago * MINUTE
    return Bucket(tokens=tokens, at=NOW, bundled_at=bundled_at)


def folded(count: int, before: Bucket, *, after: timedelta = timedelta()) -> tuple[list[int], list[int], list[int]]:
    alone, together, waiting, _ = fold(range(count), before, LIMITS, NOW + after)
    return list(alone), list(together), list(waiting)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_what_fits_goes_out_alone(count: int) -> None:
    assert folded(count, full(LIMITS, NOW)) == (list(range(count)), [], [])


def test_the_worst_go_out_alone_and_the_rest_is_named_in_one_message() -> None:
    assert folded(8, full(LIMITS, NOW)) == ([0, 1, 2, 3, 4], [5, 6, 7], [])


def test_a_single_one_that_is_left_over_goes_out_alone() -> None:
    assert folded(6, full(LIMITS, NOW)) == ([0, 1, 2, 3, 4, 5], [], [])


def test_one_that_went_out_alone_in_place_of_a_message_about_all_counts_as_one() -> None:
    _, _, _, after = fold(range(6), full(LIMITS, NOW), LIMITS, NOW)
    assert after.bundled_at == NOW
    assert folded(3, after, after=MINUTE) == ([], [], [0, 1, 2])


@pytest.mark.parametrize(("minutes_ago", "waits"), [(0, True), (4.9, True), (5, False), (60, False)])
def test_the_rest_is_named_at_most_every_five_minutes(minutes_ago: float, waits: bool) -> None:
    _, together, waiting = folded(3, bucket(0.0, bundled_minutes_ago=minutes_ago))
    assert (waiting if waits else together) == [0, 1, 2]
    assert (together if waits else waiting) == []


def test_while_the_rest_waits_the_bucket_still_gives_what_it_has() -> None:
    assert folded(4, bucket(2.0, bundled_minutes_ago=1)) == ([0, 1], [], [2, 3])


@pytest.mark.parametrize(("minutes", "alone"), [(0, 0), (5.9, 0), (6, 1), (12, 2), (60, 5), (6_000, 5)])
def test_it_fills_by_ten_an_hour_up_to_the_burst(minutes: float, alone: int) -> None:
    found, _, _ = folded(20, bucket(0.0), after=minutes * MINUTE)
    assert len(found) == alone


def test_nothing_to_say_costs_nothing_but_the_time_that_passed() -> None:
    _, _, _, after = fold((), bucket(1.0, bundled_minutes_ago=3), LIMITS, NOW + 6 * MINUTE)
    assert after == Bucket(tokens=2.0, at=NOW + 6 * MINUTE, bundled_at=NOW - 3 * MINUTE)


def test_a_clock_set_back_fills_nothing_and_the_bucket_keeps_its_time() -> None:
    alone, _, _, after = fold(range(3), bucket(1.0), LIMITS, NOW - timedelta(hours=5))
    assert list(alone) == [0]
    assert (after.tokens, after.at) == (0.0, NOW)


@given(
    rounds=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=40),
    burst=st.integers(1, 8),
    per_hour=st.floats(0.5, 60.0),
)
def test_however_they_come_nothing_is_lost_and_no_more_goes_out_than_the_limits_allow(
    rounds: list[tuple[int, int]], burst: int, per_hour: float
) -> None:
    limits = Limits(burst=burst, per_hour=per_hour, update=timedelta(minutes=5))
    kept, now, waiting = full(limits, NOW), NOW, 0
    sent = came = named = minutes_passed = bundles = 0
    for minutes, more in rounds:
        now += minutes * MINUTE
        minutes_passed += minutes
        came += more
        alone, together, left, kept = fold(range(waiting + more), kept, limits, now)
        assert [*alone, *together, *left] == list(range(waiting + more))
        sent += len(alone)
        named += len(together)
        bundles += bool(together)
        waiting = len(left)
    assert sent + named + waiting == came
    # One more at each update at most, where what is left over is a single one.
    updates = minutes_passed / 5 + 1
    assert sent + bundles <= burst + per_hour * minutes_passed / 60 + updates + 1e-6
