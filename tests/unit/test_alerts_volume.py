"""The volume channel: what it remembers, when it speaks, and how the benchmark of it is scored."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import nab
from benchmarks._nab_scoring import LOW_FN, LOW_FP, Outcome, Series, outcome
from listener.alerts.detection.volume import (
    LEARNING_TICKS,
    SILENCE_TICKS_MAX,
    TICKS_PER_DAY,
    Volume,
    as_json,
    excess,
    from_json,
    observe,
    score,
    start,
)

FIRST = 19_500 * TICKS_PER_DAY  # midnight (UTC) of a day in 2023
WEEK = 7 * TICKS_PER_DAY


def after(counts: Sequence[int], *, state: Volume | None = None, at: int = FIRST) -> Volume:
    """The state when a tick after the other was observed, the last of them still open."""
    state = start() if state is None else state
    for tick, count in enumerate(counts, at):
        state = observe(state, tick, {tick: count})
    return state


def flow(mean: float, ticks: int, seed: int = 1) -> list[int]:
    """Chance alone."""
    return [int(count) for count in np.random.default_rng(seed).poisson(mean, ticks)]


def episodes(counts: Sequence[int], theta: float) -> list[int]:
    """At which ticks (from 0) an alert begins, with a day of rest after each."""
    state, found = start(), list[int]()
    for tick, count in enumerate(counts, FIRST):
        state = observe(state, tick, {tick: count})
        if (score(state) or 0.0) >= theta and (not found or tick - FIRST - found[-1] >= TICKS_PER_DAY):
            found.append(tick - FIRST)
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), ticks=st.integers(1, 400), settle=st.integers(0, 40))
def test_a_state_survives_json_exactly(seed: int, ticks: int, settle: int) -> None:
    """Also with open ticks, and it goes on as if nothing had happened."""
    state = observe(start(), FIRST, {}, settle_ticks=settle)
    counts = dict(enumerate(flow(1.3, ticks, seed), FIRST))
    state = observe(state, FIRST + ticks, counts, settle_ticks=settle)
    again = from_json(json.loads(json.dumps(as_json(state))))
    assert again == state
    assert hash(again) == hash(state)
    later = {FIRST + ticks: 7}
    assert observe(again, FIRST + ticks + 2, later) == observe(state, FIRST + ticks + 2, later)


def test_the_first_state_survives_json() -> None:
    assert from_json(json.loads(json.dumps(as_json(start())))) == start()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("format"),
        lambda document: document.update(format=0),
        lambda document: document.pop("silent"),
        lambda document: document.update(more=1),
        lambda document: document.update(counts=[1, 2]),
        lambda document: document.update(scale_sums=3.0),
    ],
)
def test_what_another_version_wrote_is_refused(spoil: Any) -> None:
    document = as_json(start())
    spoil(document)
    with pytest.raises(ValueError, match=r"volume channel|scale_sums|counts"):
        from_json(document)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), settle=st.integers(0, 30))
def test_how_calls_are_split_up_changes_nothing(data: st.DataObject, settle: int) -> None:
    """Counts come in parts, in any order, as long as they come before their tick settles."""
    steps = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=15))
    state, now, everything = observe(start(), FIRST, {}, settle_ticks=settle), FIRST, dict[int, int]()
    for step in steps:
        now += step
        ticks = st.integers(state.settled, now)
        parts = data.draw(st.dictionaries(ticks, st.integers(1, 50), max_size=6))
        for tick, more in parts.items():
            everything[tick] = everything.get(tick, 0) + more
        state = observe(state, now, parts, settle_ticks=settle)
    at_once = observe(observe(start(), FIRST, {}, settle_ticks=settle), now, everything, settle_ticks=settle)
    assert state == at_once


def test_a_late_count_for_a_settled_tick_is_ignored() -> None:
    """A backlog must not look like a burst."""
    state = after(flow(2, WEEK))
    now = state.now_tick
    assert observe(state, now, {now - 1: 5000, now - 300: 5000}) == state


def test_a_tick_that_has_not_settled_grows_and_then_teaches() -> None:
    """With twelve ticks of patience, what comes an hour late counts where it belongs, and is still news."""
    state = observe(start(), FIRST, {}, settle_ticks=12)
    state = observe(state, FIRST + 400, dict(enumerate(flow(2, 400), FIRST)), settle_ticks=12)
    assert (score(state) or 0.0) < 3
    grown = observe(state, FIRST + 400, {FIRST + 390: 90}, settle_ticks=12)
    assert (score(grown) or 0.0) > 7
    assert excess(grown)[0] == excess(state)[0] + 90
    before = dict(state.open)
    later = observe(grown, FIRST + 401, {FIRST + 388: 60, FIRST + 387: 60}, settle_ticks=12)
    assert later.counts[-2:] == (state.counts[-1], before.get(FIRST + 388, 0) + 60)


def test_a_burst_that_comes_late_scores_as_if_it_had_come_at_once() -> None:
    """Half an hour late, with every tick since then empty."""
    counts = [*flow(3, WEEK), 50, 60, 70]
    at_once = after(counts)
    begun = observe(observe(start(), FIRST, {}, settle_ticks=12), at_once.now_tick - 3, {}, settle_ticks=12)
    assert begun.settled == at_once.now_tick - 15
    quiet = after(counts[:-15])
    late = observe(quiet, at_once.now_tick + 6, dict(enumerate(counts[-15:], at_once.now_tick - 14)), settle_ticks=20)
    assert late.now_tick - late.settled == 20
    assert (score(late) or 0.0) == pytest.approx(score(at_once), rel=0.1)


def test_nothing_is_said_in_the_future() -> None:
    """A wrong clock elsewhere must neither lose mentions nor fill the state."""
    state = after(flow(2, 300))
    now = state.now_tick
    assert observe(state, now, {now + 10**6: 3}) == observe(state, now, {now: 3})


def test_numbers_below_one_are_ignored() -> None:
    state = after(flow(2, 300))
    assert observe(state, state.now_tick, {state.now_tick: -5, state.now_tick - 1: 0}) == state


def test_a_clock_set_back_means_that_no_time_has_passed() -> None:
    state = after(flow(2, 300))
    now = state.now_tick
    assert observe(state, now - 100, {}) == state
    assert observe(state, now - 100, {now: 3}) == observe(state, now, {now: 3})


def test_less_patience_settles_more_and_more_patience_unsettles_nothing() -> None:
    state = observe(start(), FIRST, {}, settle_ticks=20)
    state = observe(state, FIRST + 50, {FIRST + 40: 2}, settle_ticks=20)
    sooner = observe(state, FIRST + 50, {}, settle_ticks=5)
    assert sooner.settled == FIRST + 45
    assert observe(sooner, FIRST + 50, {}, settle_ticks=20) == sooner


def test_there_is_no_score_in_the_first_day() -> None:
    state = after(flow(2, LEARNING_TICKS))
    assert score(start()) is None
    assert score(state) is None
    assert score(observe(state, state.now_tick + 1, {})) is not None


@pytest.mark.parametrize("mean", [0.02, 0.4, 5.0, 100.0])
def test_a_burst_is_worth_a_page_and_a_steady_flow_is_not(mean: float) -> None:
    """Of a brand of any size: ten times the usual, and at least twenty in each of three ticks."""
    counts = flow(mean, 3 * WEEK)
    assert episodes(counts, 6) == []
    begin = 2 * WEEK + 100
    for tick in range(begin, begin + 6):
        counts[tick] += max(20, round(10 * mean))
    (found,) = episodes(counts, 7)
    assert begin <= found < begin + 3


def test_a_single_crowded_tick_counts_for_less_than_a_burst_that_lasts() -> None:
    state = after(flow(5, 2 * WEEK))
    once = after([60, 5, 5, 5, 5, 5, 5, 5, 5], state=state, at=state.now_tick + 1)
    lasting = after([60, 60, 60, 60, 60, 60, 60, 60, 60], state=state, at=state.now_tick + 1)
    assert (score(once) or 0.0) < 0.5 * (score(lasting) or 0.0)


@pytest.mark.parametrize("per_day", [0.1, 0.5, 2, 20])
def test_what_is_expected_of_a_quiet_brand_is_what_comes(per_day: float) -> None:
    """A lone mention after days of silence, at an hour that never had one, must not look like a flood to come."""
    state, expected = start(), list[float]()
    for at, count in enumerate(flow(per_day / TICKS_PER_DAY, 8 * WEEK)):
        state = observe(state, FIRST + at, {FIRST + at: count} if count else {})
        expected.append(excess(state)[1])
    usual = per_day / 8
    assert max(expected[WEEK:]) < 0.5 + 3 * usual
    assert np.mean(expected[WEEK:]) == pytest.approx(usual, rel=0.5, abs=0.01)
    burst = after([5, 5, 5], state=state, at=state.now_tick + 1)
    assert (score(burst) or 0.0) > 7


@pytest.mark.parametrize("within", [1, 3, 12])
def test_three_within_an_hour_are_nothing_to_a_brand_that_has_two_a_day(within: int) -> None:
    counts = flow(2 / TICKS_PER_DAY, 2 * WEEK)
    for number in range(3):
        counts[2 * WEEK - 1 - number * within // 3] += 1
    assert (score(after(counts)) or 0.0) < 2


def test_a_quiet_brand_needs_about_ten_at_once() -> None:
    """However rare its mentions are: fewer are never worth a page, in whatever time."""
    state = after([0] * WEEK)
    found = {many: score(after([many], state=state, at=state.now_tick + 1)) or 0.0 for many in (3, 10, 11)}
    assert found[3] < 3
    assert found[10] < 7 <= found[11]


def test_what_a_brand_does_every_day_is_usual() -> None:
    """A daily crowd at the same hour stops being news; the same crowd elsewhere is news."""
    crowd = [40 if tick % TICKS_PER_DAY < 12 else 4 for tick in range(4 * WEEK)]
    assert [at for at in episodes(crowd, 6) if at >= WEEK] == []
    crowd[3 * WEEK + 140 : 3 * WEEK + 164] = [80] * 24
    assert [at for at in episodes(crowd, 6) if at >= WEEK] == [3 * WEEK + 140 + 1]


def test_a_gap_is_silence_whoever_called() -> None:
    state = after(flow(2, WEEK))
    quietly = state
    for tick in range(state.now_tick + 1, state.now_tick + 500):
        quietly = observe(quietly, tick, {})
    assert observe(state, state.now_tick + 499, {}) == quietly


def test_a_silence_of_more_than_28_days_teaches_no_more() -> None:
    """So that a gap of ten years costs what one of a month costs, and the state stays of use."""
    state = after(flow(2, WEEK))
    month = observe(state, state.now_tick + SILENCE_TICKS_MAX + 100, {})
    years = observe(state, state.now_tick + 130 * SILENCE_TICKS_MAX, {})
    assert years.silent == month.silent == SILENCE_TICKS_MAX
    assert replace(years, now_tick=0, settled=0) == replace(month, now_tick=0, settled=0)
    woken = observe(years, years.now_tick + 1, {years.now_tick + 1: 200})
    assert (score(woken) or 0.0) > 7
    one_call = observe(state, woken.now_tick, {woken.now_tick: 200})
    assert one_call == woken


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    mean=st.sampled_from([0.01, 1.0, 30.0]),
    fewer=st.integers(0, 500),
    more=st.integers(1, 99),
)
def test_more_in_the_newest_tick_never_lower_the_score(seed: int, mean: float, fewer: int, more: int) -> None:
    state = after([*flow(mean, LEARNING_TICKS + 40, seed), 0])
    now = state.now_tick
    low, high = score(observe(state, now, {now: fewer})), score(observe(state, now, {now: fewer + more}))
    assert low is not None
    assert high is not None
    assert 0 <= low <= high


def test_the_excess_is_what_an_alert_says() -> None:
    state = after([4] * (2 * WEEK))
    observed, expected = excess(observe(state, state.now_tick, {state.now_tick: 50}))
    assert observed == 36 * 4 + 50
    assert expected == pytest.approx(36 * 4, rel=1e-6)


def decayed(values: NDArray[np.float64], half_life: float) -> float:
    """The sum of values, the newest last, each half as heavy as one that is ``half_life`` newer."""
    return float(values @ 0.5 ** (np.arange(len(values))[::-1] / half_life))


def reference(counts: NDArray[np.float64], first: int) -> list[float]:
    """The formulas of docs/detection.md, with every sum taken over all of the past; a score a tick."""
    hours = (first + np.arange(len(counts))) // 12 % 24
    usual, level, learned, profile, scores = (np.zeros(len(counts)) for _ in range(5))
    for t, count in enumerate(counts):
        level[t] = decayed(learned[:t], 288) / decayed(profile[:t], 288) if t else count
        same = np.flatnonzero(hours[:t] == hours[t])
        prior = 6 * level[t] + 6
        profile[t] = (decayed(learned[same], 84) + prior) / (decayed(level[same], 84) + prior)
        usual[t] = level[t] * profile[t]
        weight = decayed(usual[:t] ** 2, 288)
        spread = decayed((learned[:t] - usual[:t]) ** 2 - usual[:t], 288) / weight if weight else 0.0
        learned[t] = min(count, usual[t] + 3 * np.sqrt(usual[t] + max(spread, 0) * usual[t] ** 2) + 1)
        zs = []
        for window in (3, 12, 36):
            x = np.array([(counts - usual)[max(0, s + 1 - window) : s + 1].sum() for s in range(t + 1)])
            scale = decayed(x[:-1] ** 2, 28 * 288) / decayed(np.ones(t), 28 * 288) if t else 0.0
            zs.append(x[-1] / np.sqrt(max(scale, usual[max(0, t + 1 - window) : t + 1].sum() + 4)))
        scores[t] = 4 / 3 * np.prod(zs) ** (1 / 3) if min(zs) > 0 else 0.0
    return scores.tolist()


@pytest.mark.parametrize(("mean", "seed"), [(0.05, 1), (3.0, 2), (40.0, 3)])
def test_scores_agree_with_the_formulas(mean: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean * rng.gamma(2, 0.5, 380))
    counts[330:340] += rng.poisson(20 + 5 * mean, 10)
    expected = reference(counts.astype(float), FIRST)
    state = start()
    for at, count in enumerate(counts.tolist()):
        state = observe(state, FIRST + at, {FIRST + at: count})
        found = score(state)
        if at >= LEARNING_TICKS:
            assert found == pytest.approx(expected[at], rel=1e-9, abs=1e-9)
    assert max(expected[LEARNING_TICKS:]) > 3


# 10 000 rows of 5 minutes: 750 of probation; one window from row 2000 to 2400, another from 6000 to 6400.
SERIES = Series(
    name="made up",
    times=tuple(300.0 * row for row in range(10_000)),
    values=(0,) * 10_000,
    windows=((2000, 2400), (6000, 6400)),
)


def test_a_detection_at_the_left_edge_of_every_window_is_perfect() -> None:
    result = outcome(SERIES, [2000, 6000])
    assert result.score() == pytest.approx(100)
    assert result.score(LOW_FN) == pytest.approx(100)
    assert (result.found, result.episodes, result.delays_secs) == (2, 0, (-60_000, -60_000))


def test_no_detection_scores_0() -> None:
    result = outcome(SERIES, [])
    assert (result.score(), result.score(LOW_FP), result.score(LOW_FN)) == (0, 0, 0)


def test_a_detection_in_the_middle_of_its_window_is_worth_what_nab_says() -> None:
    """At y = -201/401, sigma(y) / sigma(-1): half of the two windows' worth and the miss of the other."""
    worth = (2 / (1 + np.exp(-5 * 201 / 401)) - 1) / (2 / (1 + np.exp(-5)) - 1)
    assert outcome(SERIES, [2200]).score() == pytest.approx(100 * (worth - 1 + 2) / 4)


def test_only_the_earliest_detection_in_a_window_counts() -> None:
    assert outcome(SERIES, [2100, 2101, 2300]) == replace(outcome(SERIES, [2100]))


def test_a_false_positive_far_from_windows_costs_in_full() -> None:
    """0.11 of a hit, or 0.22: before the first window, and more than three window widths after one."""
    perfect = [2000, 6000]
    for row in (800, 4000, 9000):
        result = outcome(SERIES, sorted([*perfect, row]))
        assert result.score() == pytest.approx(100 - 100 * 0.11 / 4)
        assert result.score(LOW_FP) == pytest.approx(100 - 100 * 0.22 / 4)
        assert (result.false_points, result.episodes) == (1, 1)


def test_a_false_positive_soon_after_a_window_costs_less() -> None:
    """40 rows after a window 400 rows long, y = 0.1."""
    cost = 0.11 * (1 - 2 / (1 + np.exp(0.5)))
    assert outcome(SERIES, [2000, 2440, 6000]).score() == pytest.approx(100 - 100 * cost / 4)


def test_probation_is_not_scored() -> None:
    assert outcome(SERIES, [0, 749]) == outcome(SERIES, [])
    assert outcome(SERIES, [750]).false_points == 1


def test_false_positives_within_12_hours_are_one_episode() -> None:
    result = outcome(SERIES, [1000, 1144, 1288, 1433, 4000])
    assert (result.false_points, result.episodes) == (5, 3)


def test_outcomes_of_several_series_add_up() -> None:
    both = outcome(SERIES, [2000, 6000]) + outcome(SERIES, [])
    assert both.score() == pytest.approx(50)
    assert sum([outcome(SERIES, [800]), both], Outcome()).episodes == 1
    assert SERIES.scored_months == pytest.approx(9250 * 300 / 86400 / 30.4375)


def test_the_benchmark_takes_any_series_without_other_detectors(tmp_path: Path) -> None:
    times = [f"2015-03-{1 + at // 288:02} {at // 12 % 24:02}:{at % 12 * 5:02}:53" for at in range(2000)]
    counts = [200 if 1500 <= at < 1506 else 5 for at in range(2000)]
    for name in ("A", "B"):
        rows = "".join(f"{at},{count}\n" for at, count in zip(times, counts, strict=True))
        (tmp_path / f"Twitter_volume_{name}.csv").write_text("timestamp,value\n" + rows)
        labels = {f"realTweets/Twitter_volume_{each}.csv": [[times[1450], times[1550]]] for each in ("A", "B")}
        (tmp_path / "combined_windows.json").write_text(json.dumps(labels))
        document = nab.measure(tmp_path, thin=False)
        assert (document["best"]["found"], document["prototype"]["theta 7"]["found"]) == ((1, 1), (2, 2))[name == "B"]
        assert (document["leave_one_out"] is None, document["peers"]) == (name == "A", {})
        nab.show(document)
