"""Recommending settings: what is drawn, what is tried, what is chosen, and what is refused."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.alerts.detection.detect import detect
from listener.alerts.detection.rules import Deterioration, HighRisk
from listener.alerts.detection.standing import Fleet
from listener.backtest import Heard
from listener.backtest.replay import Follower
from listener.backtest.resample import days_of, drawn, turning, worsened
from listener.backtest.simulate import TIMES, Effort, Panel, Setting, primed, simulate
from listener.backtest.tune import Delay, Tried, advise, best_of, effort_of, poisson, setting_of
from listener.domain import Severity
from tests.backtesting import START, ballot, history

RULE = Deterioration(name="deterioration")
QUIET = history(30, 40)
DAYS = days_of(QUIET)
MONDAY = date(2024, 1, 1)


def tried(promise: float, per_month: float, hours: float, *, ratio: float = 1.25) -> Tried:
    setting = replace(setting_of(RULE), false_alarms_per_month=promise, budget_ratio=ratio)
    delay = Delay(found=1, trials=1, hours=hours, mentions=1.0, mean_hours=hours)
    return Tried(setting=setting, pages=0, per_month=per_month, low=0.0, high=1.0, delays=dict.fromkeys(TIMES, delay))


def test_days_with_alerts_and_parts_of_days_are_not_drawn_from() -> None:
    left_out = (START + timedelta(days=3, hours=5), START + timedelta(days=5, hours=1))
    days = days_of(QUIET, [left_out])
    known = {day for of_kind in days.by_kind.values() for day, _ in of_kind}
    expected = {START.date() + timedelta(number) for number in range(1, 29)} - {
        START.date() + timedelta(number) for number in (3, 4, 5)
    }
    assert known == expected
    assert days.count == len(expected)
    assert days_of([]).count == 0


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_a_weekday_is_drawn_for_a_weekday_at_the_same_hour(seed: int) -> None:
    hours = {one.ballot.mention: one.ballot.at for one in QUIET}
    for one in drawn(DAYS, random.Random(seed), MONDAY, 14):
        before = hours[one.ballot.mention.rpartition("#")[0]]
        assert (before.time(), before.weekday() >= 5) == (one.ballot.at.time(), one.ballot.at.weekday() >= 5)
        assert one.at == one.ballot.at


def test_a_conversation_is_drawn_as_a_whole() -> None:
    at = START + timedelta(days=2, hours=20)
    thread = [
        Heard(at + timedelta(hours=hours), ballot(f"t{hours}", at + timedelta(hours=hours), conversation="thread"))
        for hours in (0, 5, 30)
    ]
    days = days_of([*QUIET, *thread])
    found = [one.ballot for one in drawn(days, random.Random(1), MONDAY, 300) if one.ballot.mention.startswith("t")]
    by_thread: dict[str | None, list[datetime]] = {}
    for one in found:
        by_thread.setdefault(one.conversation, []).append(one.at)
    assert by_thread
    assert all(
        [at - times[0] for at in times] == [timedelta(hours=hours) for hours in (0, 5, 30)]
        for times in by_thread.values()
    )


def test_what_is_drawn_twice_are_other_people() -> None:
    found = drawn(DAYS, random.Random(1), MONDAY, 100)
    assert len({one.ballot.mention for one in found}) == len(found)
    by_author: dict[str | None, set[date]] = {}
    for one in found:
        by_author.setdefault(one.ballot.author, set()).add(one.ballot.at.date())
    assert all(len(days) == 1 for days in by_author.values())


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(DAYS, random.Random(7), MONDAY, 5) == drawn(DAYS, random.Random(7), MONDAY, 5)
    assert drawn(DAYS, random.Random(7), MONDAY, 5) != drawn(DAYS, random.Random(8), MONDAY, 5)


@pytest.mark.parametrize("times", [2.0, 3.0])
def test_trouble_has_so_many_times_the_complaints_and_they_are_the_brands_own(times: float) -> None:
    before = drawn(DAYS, random.Random(1), MONDAY, 200)
    after = worsened(before, DAYS, random.Random(2), times)
    negative = [sum(one.ballot.negative for one in said) for said in (before, after)]
    assert negative[1] == pytest.approx(times * negative[0], rel=0.05)
    assert {one.ballot.risk for one in after if one.ballot.negative} <= {one.risk for one in DAYS.complaints}
    assert [one.ballot.mention for one in before] == [one.ballot.mention for one in after]


def test_more_complaints_than_mentions_are_all_of_them() -> None:
    assert turning(0.6, 2.0) == 1.0
    assert turning(0.2, 2.0) == pytest.approx(0.25)
    assert turning(1.0, 3.0) == 0.0


def test_a_primed_brand_knows_its_usual_and_has_no_evidence() -> None:
    begin = START + timedelta(days=29)
    follower, coming = primed(RULE, QUIET, begin, Fleet())
    assert follower.standing is not None
    assert follower.standing.usual.count > 500
    assert follower.standing.volume.taught > 20 * 288
    assert max(follower.standing.wealth.carried) == 0.0
    assert [one.at > begin for one in coming] == [True] * len(coming)


def test_every_setting_is_judged_as_its_own_rule_would_judge() -> None:
    """The panel skips what cannot page; asked one by one, the answers are the same."""
    some = [
        Setting(budget_ratio=1.25, volume_warning=warning, volume_critical=critical, false_alarms_per_month=promise)
        for warning, critical in ((2.0, 3.0), (6.0, 7.0))
        for promise in (0.01, 0.5, 20.0)
    ]
    panel = Panel(RULE, some)
    follower, coming = primed(panel.loosest, history(34, 40), START + timedelta(days=29), Fleet())
    coming = worsened(coming, DAYS, random.Random(1), 4.0)
    seen = set()
    for hour in range(1, 100):
        now = START + timedelta(days=29, hours=hour)
        new = [one.ballot for one in coming if now - timedelta(hours=1) < one.at <= now]
        found, _ = follower.look(now, new, Fleet())
        expected = {
            one
            for one in some
            if detect(one.of(RULE), brand="", standing=found.standing, now=now).severity is Severity.CRITICAL
        }
        assert set(panel.paging(found.standing, now, found)) == expected
        seen.add(len(expected))
    assert len(seen) > 2  # some page while others do not


def test_looser_settings_page_no_less_and_find_no_later() -> None:
    some = [replace(setting_of(RULE), false_alarms_per_month=promise) for promise in (0.01, 1.0, 100.0)]
    found = simulate(RULE, some, DAYS, fleet=Fleet(x=0.2), effort=Effort(stretches=1, days=10))
    pages = [found[one].pages for one in some]
    assert pages == sorted(pages)
    trials = [[trial for trial in found[one].trials if trial.times == 3.0] for one in some]
    assert trials[0]
    assert all(trial.hours is not None for trial in trials[2])
    hours = [sum(trial.hours or 999.0 for trial in each) for each in trials]
    assert hours == sorted(hours, reverse=True)


def test_it_is_the_same_every_time() -> None:
    advice = [advise("acme", QUIET, [RULE], target=0.5, work_secs=0.5) for _ in range(2)]
    assert advice[0] == advice[1]
    assert advice[0].best is not None
    assert advice[0].now is not None
    assert advice[0].kept
    assert advice[0].best.delays[2.0].mean_hours <= advice[0].now.delays[2.0].mean_hours


@pytest.mark.parametrize(
    ("heard", "rules", "why"),
    [
        (history(30, 2), [RULE], "140 more mentions"),
        (history(10, 40), [RULE], "more days"),
        ([], [RULE], "200 more mentions and 14.0 more days"),
        (QUIET, [HighRisk(name="reach")], "no rule of type deterioration"),
        (history(30, 40, share=0.0), [RULE], "only 0 negative mentions"),
        (history(20, 60, bad=range(8, 20)), [RULE], "an alert fired on all but"),
    ],
    ids=["few", "short", "none", "no rule", "no complaints", "alerts"],
)
def test_without_enough_history_there_is_no_recommendation_but_a_reason(
    heard: list[Heard], rules: list[Deterioration | HighRisk], why: str
) -> None:
    advice = advise("acme", heard, rules, target=0.5, work_secs=0.2)
    assert advice.best is None
    assert advice.refused is not None
    assert why in advice.refused


def test_the_soonest_of_those_that_keep_to_the_target_is_best() -> None:
    now = tried(0.5, 0.0, 50.0)
    assert best_of([now, tried(1.0, 0.3, 30.0), tried(2.0, 0.9, 10.0)], now, target=0.5, months=12) == tried(
        1.0, 0.3, 30.0
    )


def test_what_is_as_soon_stays_as_it_is() -> None:
    now = tried(0.5, 0.0, 50.0)
    assert best_of([tried(1.0, 0.0, 49.9), tried(0.5, 0.0, 49.8, ratio=1.5), now], now, target=0.5, months=12) is now


def test_where_too_little_was_simulated_the_promise_must_keep_to_the_target() -> None:
    now = tried(0.5, 0.0, 50.0)
    assert best_of([now, tried(4.0, 0.0, 10.0)], now, target=0.5, months=3) is now


def test_where_nothing_keeps_to_the_target_the_quietest_is_told() -> None:
    now = tried(0.5, 2.0, 50.0)
    assert best_of([now, tried(0.1, 1.0, 90.0)], now, target=0.5, months=12).per_month == 1.0


@given(st.floats(1.0, 1e6), st.integers(1, 5))
def test_the_work_is_bounded_whatever_the_brand(per_day: float, ratios: int) -> None:
    effort = effort_of(per_day, ratios, 16.0)
    assert 4 <= effort.stretches <= 16
    assert 3 <= effort.days <= 30
    assert effort.days == 3 or effort.stretches * effort.days * per_day <= 2e6


@given(st.integers(0, 500))
def test_the_interval_holds_the_count(count: int) -> None:
    low, high = poisson(count)
    assert low <= count < high
    if not count:
        assert (low, round(high, 1)) == (0.0, 3.7)


def test_a_follower_of_nobody_has_no_alerts() -> None:
    follower = Follower("acme", [RULE])
    assert not follower.firing
    follower.look(datetime(2026, 1, 1, tzinfo=UTC), [], Fleet())
    assert not follower.firing
