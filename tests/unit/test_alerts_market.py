"""Whether a brand's trouble is its own or the whole market's, by what its competitors do."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection import evidence as bettors
from listener.alerts.detection.market import CALM_MAX, TIMES, Market, Neighbour, limit, market, would_have_shown

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OWN = NOW - timedelta(hours=18)
STILL = Neighbour(
    brand="still",
    evidence=1.0,
    onset_at=NOW - timedelta(hours=1),
    mean_24h=0.15,
    count_24h=1000,
    usual=0.15,
    budget=0.1875,
    volume=0.2,
)
MOVING = replace(STILL, brand="moving", evidence=20.0, onset_at=OWN + timedelta(hours=2), mean_24h=0.3)
SMALL = replace(STILL, brand="small", count_24h=5, mean_24h=0.2)


def look(*neighbours: Neighbour) -> Market:
    return market(OWN, neighbours, now=NOW)


@pytest.mark.parametrize(
    ("neighbours", "verdict"),
    [
        ((), "unknown"),
        ((SMALL,), "unknown"),
        ((STILL,), "own"),
        ((MOVING,), "whole_market"),
        ((MOVING, STILL), "whole_market"),
        ((MOVING, SMALL, SMALL), "whole_market"),
        ((MOVING, STILL, STILL), "own"),
        ((STILL, SMALL), "own"),
    ],
)
def test_at_least_half_of_the_competitors_that_we_know_of_must_move(
    neighbours: tuple[Neighbour, ...], verdict: str
) -> None:
    assert look(*neighbours).verdict == verdict


def test_everybody_is_named_in_the_list_where_they_belong() -> None:
    found = look(STILL, MOVING, SMALL)
    assert (found.moving, found.still, found.unknown) == (("moving",), ("still",), ("small",))


def test_the_mark_says_why() -> None:
    assert look(STILL, MOVING, SMALL).reason == (
        "The whole market moves: 1 of 2 competitors moved at the same time (moving: 30% of 1000 negative in 24 h, "
        "15% is usual); still did not; too little is said of small to tell."
    )
    assert look(STILL).reason == "It is this brand's own: still did not."
    assert look(replace(MOVING, mean_24h=None)).reason == (
        "The whole market moves: 1 of 1 competitors moved at the same time (moving)."
    )
    assert look(SMALL).reason == "Too little is said of small to compare."
    assert look().reason == "No competitor is watched."


@pytest.mark.parametrize("hours", [-25, 25])
def test_trouble_that_began_at_another_time_tells_nothing(hours: int) -> None:
    assert look(replace(MOVING, onset_at=OWN + timedelta(hours=hours))).unknown == ("moving",)


@pytest.mark.parametrize("hours", [-24, 0, 18])
def test_trouble_that_began_within_a_day_of_ours_is_the_same_movement(hours: int) -> None:
    assert look(replace(MOVING, onset_at=OWN + timedelta(hours=hours))).moving == ("moving",)


def test_trouble_without_an_onset_tells_nothing() -> None:
    assert look(replace(MOVING, onset_at=None)).unknown == ("moving",)


def test_many_more_complaints_at_the_same_share_are_a_move_too() -> None:
    assert look(replace(SMALL, volume=4.0)).moving == ("small",)
    assert look(replace(STILL, volume=3.99)).still == ("still",)


def test_many_complaints_now_say_nothing_of_a_crisis_that_began_days_ago() -> None:
    many = replace(STILL, volume=9.0)
    assert market(NOW - timedelta(days=3), [many], now=NOW).still == ("still",)


def test_a_competitor_in_its_first_day_is_not_called_still() -> None:
    assert look(replace(STILL, volume=None)).unknown == ("still",)


def test_what_is_common_in_calm_times_is_no_move() -> None:
    """Evidence of 10 : 1 is: the sum over all starts is above it most of the time."""
    assert look(replace(MOVING, evidence=math.log(10))).still == ("moving",)
    assert limit(MOVING) > math.log(10 * TIMES)


@pytest.mark.parametrize(("usual", "budget"), [(0.05, 0.07), (0.15, 0.1875), (0.3, 0.375)])
def test_the_limit_is_ten_times_the_average_evidence_in_calm_times(usual: float, budget: float) -> None:
    """The average of the sum over starts, mention by mention: A' = (1 + A) x the mean growth of a bettor's wealth."""
    bet = bettors.bets(budget)
    averages = []
    for stake in bet.stakes:
        growth = 1 + stake * (usual - budget)
        average = 0.0
        for _ in range(100_000):
            average = (1 + average) * growth
        averages.append(average)
    exact = sum(averages) / len(averages)
    assert exact < math.exp(limit(replace(STILL, usual=usual, budget=budget))) / TIMES < 1.2 * exact


def test_a_budget_that_is_usually_overspent_needs_far_more_evidence() -> None:
    assert limit(replace(STILL, usual=0.2, budget=0.15)) == pytest.approx(math.log(TIMES * CALM_MAX))


@given(st.floats(0.02, 0.6), st.floats(1, 1e5), st.floats(1, 10), st.floats(0, 200))
def test_more_mentions_and_more_time_only_make_us_surer_that_a_move_would_have_shown(
    usual: float, count: float, deff: float, hours: float
) -> None:
    one = replace(STILL, usual=usual, budget=min(1.25 * usual + 0.01, 0.9), count_24h=count, deff=deff)
    if would_have_shown(one, timedelta(hours=hours)):
        assert would_have_shown(one, timedelta(hours=2 * hours))
        assert would_have_shown(replace(one, deff=1.0), timedelta(hours=hours))


@pytest.mark.parametrize(
    ("count", "hours", "shown"), [(500, 18, True), (500, 4, False), (50, 24, False), (50, 168, True)]
)
def test_a_doubling_shows_after_some_two_hundred_mentions(count: float, hours: float, shown: bool) -> None:
    assert would_have_shown(replace(STILL, count_24h=count), timedelta(hours=hours)) is shown


def test_nothing_shows_where_twice_the_usual_is_within_the_budget() -> None:
    assert not would_have_shown(replace(STILL, budget=0.31, count_24h=1e6), timedelta(days=7))


def test_a_trouble_that_has_not_begun_yet_shows_nothing() -> None:
    assert not would_have_shown(STILL, timedelta(hours=-1))
