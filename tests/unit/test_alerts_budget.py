"""What is usual, what is allowed, and whether it burns."""

import math
import random
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from listener.alerts.detection.budget import (
    BASELINE_BLOCKS,
    BLOCKS_A_DAY,
    BUDGET_MAX,
    FLEET_DEFF,
    LEFT_OUT_BLOCKS,
    Allowance,
    Block,
    Usual,
    allowed,
    burn,
    burning,
    design_effect,
    gone_in_hours,
    recent_votes,
    recovered,
    share,
    usual,
)

NOW = 1000  # a block
FLEET = 0.2
SHARES = st.floats(0.001, 0.97)


def blocks(
    share_of_negative: float, per_block: int, count: int = BASELINE_BLOCKS, *, last: int = NOW - LEFT_OUT_BLOCKS
) -> list[Block]:
    """So many blocks up to and without ``last``, all with about the same share of labels."""
    found, total = [], 0
    for number in range(count):
        negative = round(share_of_negative * per_block * (number + 1)) - total
        total += negative
        found.append(Block(last - count + number, float(per_block), float(negative), float(negative)))
    return found


def drawn(share_of_negative: float, per_block: int, thread: int, seed: int = 1) -> list[Block]:
    """Blocks of random labels; the mentions of a thread all say the same."""
    rng = random.Random(seed)
    found = []
    for number in range(BASELINE_BLOCKS):
        negative = sum(thread for _ in range(per_block // thread) if rng.random() < share_of_negative)
        found.append(Block(NOW - LEFT_OUT_BLOCKS - BASELINE_BLOCKS + number, float(per_block), negative, negative))
    return found


def learned(past: list[Block], **changes: object) -> Usual:
    allowance = Allowance(**changes)  # type: ignore[arg-type]
    return usual(past, now_block=NOW, fleet_mean=FLEET, allowance=allowance)


def test_a_brand_with_much_history_is_its_own_and_a_new_one_is_the_fleet() -> None:
    assert learned(blocks(0.05, 200)).mean == pytest.approx(0.05, abs=0.001)
    assert learned([]).mean == FLEET
    between = learned(blocks(0.05, 10, 5)).mean
    assert between == pytest.approx((2 + 50 * FLEET) / 100, abs=0.006)


def test_a_brand_of_which_nothing_is_known_has_a_wide_budget() -> None:
    known, unknown = learned(blocks(FLEET, 100)), learned([])
    assert known.budget == pytest.approx(1.25 * FLEET, abs=0.001)
    assert unknown.budget > 1.5 * known.budget
    assert unknown.deff == FLEET_DEFF
    assert unknown.count == unknown.per_day == 0.0


def test_the_last_day_teaches_nothing_yet() -> None:
    past = blocks(0.1, 50)
    today = [Block(NOW - 1 - number, 500.0, 500.0, 500.0) for number in range(LEFT_OUT_BLOCKS)]
    assert learned(past + today[::-1]) == learned(past)


def test_what_is_older_than_four_weeks_is_forgotten() -> None:
    past = blocks(0.1, 50)
    old = [Block(past[0].index - 1 - number, 500.0, 500.0, 500.0) for number in range(20)]
    assert learned(old[::-1] + past) == learned(past)


def test_what_is_left_out_teaches_nothing() -> None:
    past = blocks(0.1, 50)
    trouble = [Block(one.index, one.count, one.count, one.count, left_out=True) for one in past[:20]]
    assert learned(trouble + past[20:]) == learned(past[20:])
    assert learned(trouble).mean == FLEET


def test_how_many_come_a_day_is_told_from_the_first_of_the_blocks_on() -> None:
    assert learned(blocks(0.1, 50)).per_day == pytest.approx(200.0)
    assert learned(blocks(0.1, 50, 8)).per_day == pytest.approx(200.0)


@given(mean=SHARES, ratio=st.floats(1.01, 5.0), points=st.floats(0.0, 0.3), at_most=SHARES)
def test_the_budget_is_above_the_usual_and_below_one(mean: float, ratio: float, points: float, at_most: float) -> None:
    budget = allowed(Allowance(ratio=ratio, points=points), mean, at_most)
    assert min(mean, BUDGET_MAX) <= budget <= BUDGET_MAX
    assert budget >= min(at_most, BUDGET_MAX)


def test_where_so_much_more_is_out_of_reach_the_others_may_become_so_much_fewer() -> None:
    assert allowed(Allowance(ratio=1.25, points=0.0), 0.2, 0.0) == pytest.approx(0.25)
    assert allowed(Allowance(ratio=1.25, points=0.0), 0.9, 0.0) == pytest.approx(1 - 0.1 / 1.25)
    assert allowed(Allowance(), 0.02, 0.0) == pytest.approx(0.04)


def test_a_budget_that_the_user_sets_is_the_budget() -> None:
    assert learned(blocks(0.3, 100), budget=0.15).budget == pytest.approx(0.15)
    assert learned([], budget=0.15).budget == pytest.approx(0.15)


def test_independent_mentions_have_a_design_effect_of_about_one_and_threads_their_size() -> None:
    alone = fmean(learned(drawn(0.2, 60, 1, seed)).deff for seed in range(20))
    threads = fmean(learned(drawn(0.2, 60, 5, seed)).deff for seed in range(20))
    assert 1.0 <= alone < 1.4
    assert 4.0 < threads < 8.0


@given(
    counts=st.lists(st.tuples(st.integers(0, 300), st.floats(0.0, 1.0)), max_size=40),
    mean=st.floats(0.01, 0.9),
    fleet=st.floats(1.0, 20.0),
)
def test_a_design_effect_is_never_below_one(counts: list[tuple[int, float]], mean: float, fleet: float) -> None:
    past = [Block(number, float(n), n * part, n * part) for number, (n, part) in enumerate(counts)]
    assert 1.0 <= design_effect(past, mean, mean * (1 - mean), fleet) < math.inf


def test_dependence_over_more_than_six_hours_shows_in_the_days() -> None:
    moody = [
        Block(number, 50.0, 20.0 if number // BLOCKS_A_DAY % 2 else 0.0, 20.0 if number // BLOCKS_A_DAY % 2 else 0.0)
        for number in range(BASELINE_BLOCKS)
    ]
    swings = [Block(one.index, 50.0, 20.0 if one.index % 2 else 0.0, 20.0 if one.index % 2 else 0.0) for one in moody]
    assert design_effect(moody, 0.2, 0.16) > 3.0 * design_effect(swings, 0.2, 0.16)


def test_few_mentions_take_the_design_effect_of_the_fleet() -> None:
    few = blocks(0.2, 2, 8)
    found = {
        deff: usual(few, now_block=NOW, fleet_mean=FLEET, allowance=Allowance(), fleet_deff=deff).deff
        for deff in (1.0, 9.0)
    }
    assert found[1.0] < 1.5
    assert found[9.0] > 6.0
    many = [
        usual(blocks(0.2, 100), now_block=NOW, fleet_mean=FLEET, allowance=Allowance(), fleet_deff=deff).deff
        for deff in (1.0, 9.0)
    ]
    assert many[1] - many[0] < 0.1


def habitual(per_block: float, by_quarter: tuple[float, ...], weekend: float = 1.0) -> list[Block]:
    """Blocks whose share depends on the quarter of the day, and on the day of the week."""
    first = NOW - LEFT_OUT_BLOCKS - BASELINE_BLOCKS
    found = []
    for index in range(first, first + BASELINE_BLOCKS):
        times = weekend if index // BLOCKS_A_DAY % 7 >= 5 else 1.0
        negative = per_block * by_quarter[index % BLOCKS_A_DAY] * times
        found.append(Block(index, per_block, negative, negative))
    return found


def at_block(past: list[Block], now_block: int) -> Usual:
    return usual(past, now_block=now_block, fleet_mean=FLEET, allowance=Allowance())


def test_what_a_quarter_of_the_day_always_does_is_usual_then_and_no_dependence() -> None:
    past = habitual(500.0, (0.1, 0.2, 0.2, 0.1))
    known = [at_block(past, NOW + quarter) for quarter in range(BLOCKS_A_DAY)]
    budgets = {(NOW + quarter) % BLOCKS_A_DAY: one.budget for quarter, one in enumerate(known)}
    assert [budgets[quarter] for quarter in range(4)] == pytest.approx([0.125, 0.25, 0.25, 0.125], rel=0.05)
    assert {round(one.mean, 2) for one in known} == {0.15}
    assert all(one.deff < 1.1 for one in known)


def test_what_a_day_of_the_week_always_does_is_usual_then() -> None:
    past = habitual(500.0, (0.1,) * 4, weekend=2.0)
    budgets = {day: at_block(past, NOW // 28 * 28 + 28 + day * 4).budget for day in range(7)}
    assert [budgets[day] for day in range(7)] == pytest.approx([0.125] * 5 + [0.25] * 2, rel=0.1)


def test_few_mentions_show_no_habits() -> None:
    past = habitual(15.0, (0.1, 0.2, 0.2, 0.1))
    found = [at_block(past, NOW + quarter).budget for quarter in range(BLOCKS_A_DAY)]
    assert max(found) - min(found) < 0.002


def test_chance_is_no_habit() -> None:
    found = [learned(drawn(0.15, 60, 1, seed)).budget for seed in range(20)]
    assert fmean(abs(one - 0.1875) for one in found) < 0.01


def test_a_budget_that_the_user_sets_has_no_habits() -> None:
    past = habitual(500.0, (0.1, 0.2, 0.2, 0.1))
    fixed = Allowance(budget=0.2)
    found = {
        usual(past, now_block=NOW + quarter, fleet_mean=FLEET, allowance=fixed).budget
        for quarter in range(BLOCKS_A_DAY)
    }
    assert len(found) == 1


def said(levels: tuple[float, float], negative: float) -> list[Block]:
    """Blocks of a scorer that says one probability of some mentions, and another one of the rest."""
    low, high = levels
    n = 100.0
    total, squares = n * (negative * high + (1 - negative) * low), n * (negative * high**2 + (1 - negative) * low**2)
    first = NOW - LEFT_OUT_BLOCKS - BASELINE_BLOCKS
    return [Block(first + number, n, total, squares) for number in range(BASELINE_BLOCKS)]


def test_of_labels_all_of_a_rise_shows() -> None:
    assert learned(blocks(0.15, 100), calibrated=True).sharpness == pytest.approx(1.0, abs=0.01)
    assert learned(blocks(0.15, 100), calibrated=True).budget == pytest.approx(0.1875, abs=0.002)


def test_of_a_blunt_scorer_a_part_of_the_rise_shows_and_the_budget_is_that_part() -> None:
    """Of 20 % it says 0.5 (right for half), of the others 0.0625 (right for those): 15 % are negative."""
    blunt = learned(said((0.0625, 0.5), 0.2), calibrated=True)
    assert blunt.mean == pytest.approx(0.15, abs=0.001)
    truth_of_negative = (0.2 * 0.5 * 0.5 + 0.8 * 0.0625 * 0.0625) / 0.15
    truth_of_others = (0.2 * 0.5 * 0.5 + 0.8 * 0.9375 * 0.0625) / 0.85
    assert blunt.sharpness == pytest.approx(truth_of_negative - truth_of_others, abs=0.01)
    assert share(blunt.budget, blunt) == pytest.approx(1.25 * blunt.mean, abs=0.001)
    doubled = 0.3 * truth_of_negative + 0.7 * truth_of_others
    assert share(doubled, blunt) == pytest.approx(0.3, abs=0.01)
    assert doubled < 1.5 * blunt.mean
    assert learned(said((0.0625, 0.5), 0.2)).sharpness == 1.0


@given(mean=st.floats(0.0, 1.0), sharpness=st.floats(0.1, 1.0), center=SHARES)
def test_a_share_is_a_share_and_the_usual_mean_is_the_usual_share(mean: float, sharpness: float, center: float) -> None:
    known = Usual(mean=center, budget=0.5, deff=1.0, sd=0.3, count=100.0, per_day=10.0, sharpness=sharpness)
    assert 0.0 <= share(mean, known) <= 1.0
    assert share(center, known) == pytest.approx(center)


def test_it_burns_by_the_last_day_or_by_an_hour_in_which_enough_spoke() -> None:
    assert burning(0, 0.0, 20, 0.25, 0.2)
    assert burning(10, 0.25, 200, 0.1, 0.2)
    assert not burning(9, 1.0, 200, 0.1, 0.2)
    assert not burning(10, 0.24, 20, 0.24, 0.2)
    assert not burning(0, 0.0, 0, 0.0, 0.2)


@given(budget=st.floats(0.001, 0.98))
def test_any_budget_can_burn(budget: float) -> None:
    assert burning(0, 0.0, 10, 1.0, budget)
    assert not burning(100, budget, 100, budget, budget)


def test_it_has_recovered_when_recent_votes_and_two_hours_are_within_the_budget() -> None:
    assert recovered(10, 0.1, 5, 0.1, 0.2)
    assert recovered(10, 0.1, 0, 0.0, 0.2)
    assert not recovered(10, 0.2, 5, 0.1, 0.2)
    assert not recovered(10, 0.1, 5, 0.2, 0.2)
    assert not recovered(0, 0.0, 0, 0.0, 0.2)


def test_where_many_speak_two_hours_tell_more_than_the_last_minutes() -> None:
    assert recovered(30, 0.5, 30, 0.1, 0.2)
    assert not recovered(30, 0.5, 29, 0.1, 0.2)
    assert not recovered(30, 0.1, 400, 0.3, 0.2)


@given(ages=st.lists(st.floats(0.0, 60 * 86400.0), max_size=60).map(sorted))
def test_recent_votes_are_at_most_thirty_of_three_days_but_at_least_eight(ages: list[float]) -> None:
    number = recent_votes(ages)
    assert min(8, len(ages)) <= number <= min(30, len(ages))
    if number > 8:
        assert ages[number - 1] <= 3 * 86400
    if 8 <= number < min(30, len(ages)):
        assert ages[number] > 3 * 86400


@given(mean=SHARES, budget=SHARES)
def test_a_burn_rate_of_one_uses_the_budget_just_up(mean: float, budget: float) -> None:
    assume(mean != budget)
    assert (burn(mean, budget) > 1) == (mean > budget)
    assert burn(budget, budget) == 1.0


def test_the_month_s_budget_is_gone_when_what_is_left_is_used_up_at_this_pace() -> None:
    assert gone_in_hours(0.4, 0.2, per_hour=10.0, spent=100.0, month_mentions=1000.0) == pytest.approx(25.0)
    assert gone_in_hours(0.4, 0.2, per_hour=10.0, spent=200.0, month_mentions=1000.0) == 0.0
    assert gone_in_hours(0.2, 0.2, per_hour=10.0, spent=100.0, month_mentions=1000.0) is None
    assert gone_in_hours(0.4, 0.2, per_hour=0.0, spent=100.0, month_mentions=1000.0) is None
