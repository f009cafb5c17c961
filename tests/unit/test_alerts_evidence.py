"""Evidence: an unfavourable bet whatever is said, the same however it is looked at, and large when there is trouble."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from listener.alerts.detection.evidence import AIMS, Bets, Wealth, add, bets, evidence, log_mean, needed, onset, start

BUDGETS = st.floats(0.001, 0.98)
DEFFS = st.floats(1.0, 50.0)
X = st.floats(0.0, 1.0)
VALUES = st.lists(st.tuples(X, st.integers(1, 50).map(float)), max_size=6)
HISTORIES = st.lists(st.tuples(st.integers(0, 3), VALUES), max_size=8)  # ticks passed, and what was said then
WORDS = st.integers(1, 6)


def after(history: list[tuple[int, list[tuple[float, float]]]], bet: Bets) -> Wealth:
    wealth, tick = start(0), 0
    for passed, values in history:
        tick += passed
        wealth = add(wealth, bet, tick, values)
    return wealth


def each(wealth: Wealth) -> list[float]:
    """The wealth of each bettor, of all starts together."""
    return [math.exp(one + more) for one, more in zip(wealth.carried, wealth.opened, strict=True)]


@given(history=HISTORIES, budget=BUDGETS, below=st.floats(0.0, 1.0), mentions=WORDS)
def test_a_tick_adds_one_new_start_on_average_at_most_if_the_mean_is_within_the_budget(
    history: list[tuple[int, list[tuple[float, float]]]], budget: float, below: float, mentions: int
) -> None:
    """The promise on false alarms rests on this: wealth minus the number of ticks does not grow on average."""
    bet = bets(budget)
    before = after(history, bet)
    share = budget * below
    expected = [0.0] * len(AIMS)
    for negative in range(mentions + 1):
        chance = math.comb(mentions, negative) * share**negative * (1 - share) ** (mentions - negative)
        values = [(1.0, float(negative)), (0.0, float(mentions - negative))]
        for index, one in enumerate(each(add(before, bet, before.tick + 1, values))):
            expected[index] += chance * one
    for had, gets in zip(each(before), expected, strict=True):
        assert gets <= (1 + had) * (1 + 1e-9)


@given(budget=BUDGETS, x=X)
def test_a_bet_on_a_fraction_gains_at_most_what_labels_with_that_mean_would_on_average_lose(
    budget: float, x: float
) -> None:
    """The multiple is linear in x, so that the promise holds for risks as for labels, and for any distribution."""
    bet = bets(budget)
    zero, one, between = (add(start(0), bet, 0, [(value, 1.0)]).opened for value in (0.0, 1.0, x))
    for low, high, here in zip(zero, one, between, strict=True):
        assert math.exp(here) == pytest.approx((1 - x) * math.exp(low) + x * math.exp(high), rel=1e-9)
        assert here >= (1 - x) * low + x * high - 1e-12  # the chord lies below the logarithm


@given(budget=st.floats(0.0, 1.0), deff=DEFFS, x=X)
def test_nobody_is_ever_ruined(budget: float, deff: float, x: float) -> None:
    gains = add(start(0), bets(budget, deff), 0, [(x, 1.0)]).opened
    assert all(math.isfinite(one) for one in gains)


@given(values=VALUES, cuts=st.lists(st.integers(0, 6), max_size=3), history=HISTORIES, budget=BUDGETS, deff=DEFFS)
def test_how_a_tick_is_split_into_looks_changes_nothing(
    values: list[tuple[float, float]],
    cuts: list[int],
    history: list[tuple[int, list[tuple[float, float]]]],
    budget: float,
    deff: float,
) -> None:
    bet = bets(budget, deff)
    before = after(history, bet)
    whole = split = add(before, bet, before.tick + 1, [])
    whole = add(before, bet, before.tick + 1, values)
    for first, last in pairwise([0, *sorted(cuts), len(values)]):
        split = add(split, bet, before.tick + 1, values[first:last])
    assert split == whole


@given(history=HISTORIES, budget=BUDGETS)
def test_a_tick_that_is_over_counts_as_the_open_one(
    history: list[tuple[int, list[tuple[float, float]]]], budget: float
) -> None:
    bet = bets(budget)
    before = after(history, bet)
    assert add(before, bet, before.tick - 5, [(1.0, 2.0)]) == add(before, bet, before.tick, [(1.0, 2.0)])


@given(x=X, count=st.integers(1, 200), budget=BUDGETS, deff=DEFFS)
def test_a_group_is_as_good_as_its_mentions_one_by_one(x: float, count: int, budget: float, deff: float) -> None:
    bet = bets(budget, deff)
    together = add(start(0), bet, 1, [(x, float(count))])
    alone = add(start(0), bet, 1, [(x, 1.0)] * count)
    assert together.opened == pytest.approx(alone.opened, rel=1e-9, abs=1e-9)


@given(history=HISTORIES, budget=BUDGETS)
def test_the_evidence_is_the_mean_wealth(history: list[tuple[int, list[tuple[float, float]]]], budget: float) -> None:
    wealth = after(history, bets(budget))
    assume(max(one + more for one, more in zip(wealth.carried, wealth.opened, strict=True)) < 600)  # exp(710) overflows
    assert math.exp(evidence(wealth)) == pytest.approx(math.fsum(each(wealth)) / len(AIMS), rel=1e-9)


def test_evidence_begins_at_one_to_one() -> None:
    assert evidence(start(7)) == 0.0
    assert onset(start(7)) == 7


def test_only_negative_mentions_are_evidence_and_only_others_take_it_away() -> None:
    bet = bets(0.2)
    worse = add(start(0), bet, 0, [(1.0, 1.0)])
    better = add(start(0), bet, 0, [(0.0, 1.0)])
    assert evidence(better) < 0 < evidence(worse)
    assert evidence(add(start(0), bet, 0, [(0.2, 1000.0)])) == pytest.approx(0.0)


def test_dependence_tempers_every_bet_and_the_far_aims_most() -> None:
    plain, tempered = bets(0.2), bets(0.2, 5.0)
    assert plain.stakes == tempered.stakes
    assert plain.tempers == (1.0,) * len(AIMS)
    assert all(temper >= 5.0 for temper in tempered.tempers)
    assert list(tempered.tempers) == sorted(tempered.tempers)
    assert tempered.tempers[0] < tempered.tempers[-1]


@given(x=X, deff=DEFFS)
def test_what_is_gained_is_divided_by_the_temper(x: float, deff: float) -> None:
    plain, tempered = (add(start(0), bets(0.2, one), 0, [(x, 3.0)]).opened for one in (1.0, deff))
    for whole, part, temper in zip(plain, tempered, bets(0.2, deff).tempers, strict=True):
        assert part * temper == pytest.approx(whole, rel=1e-9, abs=1e-12)


@given(history=HISTORIES, budget=BUDGETS)
def test_a_design_effect_below_one_is_one(history: list[tuple[int, list[tuple[float, float]]]], budget: float) -> None:
    assert after(history, bets(budget, 0.2)) == after(history, bets(budget, 1.0))


def test_the_onset_is_the_tick_in_which_the_trouble_began() -> None:
    bet = bets(0.2)
    wealth = start(0)
    for tick in range(50):
        wealth = add(wealth, bet, tick, [(0.0, 4.0)])
    for tick in range(50, 60):
        wealth = add(wealth, bet, tick, [(1.0, 3.0), (0.0, 1.0)])
    assert onset(wealth) == 50
    for tick in range(60, 200):
        wealth = add(wealth, bet, tick, [(0.0, 4.0)])
    wealth = add(wealth, bet, 200, [(1.0, 1.0)])
    assert onset(wealth) == 200
    wealth = add(wealth, bet, 201, [(1.0, 1.0)])
    assert onset(wealth) == 200
    assert wealth.since == (200,) * len(AIMS)  # a bettor who is a little ahead goes on


@given(history=HISTORIES, budget=BUDGETS, deff=DEFFS)
def test_the_onset_lies_between_the_start_and_now(
    history: list[tuple[int, list[tuple[float, float]]]], budget: float, deff: float
) -> None:
    wealth = after(history, bets(budget, deff))
    assert 0 <= onset(wealth) <= wealth.tick


def test_a_share_twice_the_budget_becomes_overwhelming_and_one_within_it_never() -> None:
    bet = bets(0.2)
    worse = better = start(0)
    for tick in range(400):
        worse = add(worse, bet, tick, [(1.0, 2.0), (0.0, 3.0)])
        better = add(better, bet, tick, [(1.0, 1.0), (0.0, 9.0)])
    assert evidence(worse) > 100
    assert evidence(better) < math.log(400)


def test_large_evidence_is_no_overflow() -> None:
    bet = bets(0.01)
    wealth = add(start(0), bet, 0, [(1.0, 1e6)])
    wealth = add(wealth, bet, 1, [(0.0, 1e9)])
    wealth = add(wealth, bet, 2, [(1.0, 1.0)])
    assert math.isfinite(evidence(wealth))


@given(ticks=st.floats(1.0, 8640.0), alarms=st.floats(0.001, 100.0))
def test_fewer_false_alarms_need_more_evidence(ticks: float, alarms: float) -> None:
    assert needed(ticks, alarms) >= math.log(10) - 1e-12
    assert needed(ticks, alarms / 2) >= needed(ticks, alarms)
    assert needed(ticks * 2, alarms) >= needed(ticks, alarms)


def test_one_false_alarm_in_two_months_of_full_ticks_needs_17280_to_1() -> None:
    assert math.exp(needed(8640.0, 0.5)) == pytest.approx(17280.0)
    assert math.exp(needed(1.0, 100.0)) == pytest.approx(10.0)


@given(logarithms=st.lists(st.floats(-700.0, 700.0), min_size=1, max_size=5))
def test_the_logarithm_of_the_mean_lies_between_the_smallest_and_the_largest(logarithms: list[float]) -> None:
    assert min(logarithms) - 1e-9 <= log_mean(logarithms) <= max(logarithms) + 1e-9


def test_bets_on_a_budget_of_nearly_all_have_room_left_to_win() -> None:
    bet = bets(0.97)
    assert all(stake > 0 for stake in bet.stakes)
    assert evidence(add(start(0), bet, 0, [(1.0, 10.0)])) > 0


def test_standing_on_a_state_never_changes_it() -> None:
    before = add(start(0), bets(0.2), 3, [(1.0, 2.0)])
    copy = replace(before)
    add(before, bets(0.2), 9, [(1.0, 2.0)])
    assert before == copy
