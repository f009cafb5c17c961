"""A slow fall over weeks: the evidence keeps its promise, and the digest tells of the brands that it is sure of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.budget import Block
from listener.alerts.detection.drift import (
    BEFORE_BLOCKS,
    INDEPENDENT,
    RECENT_BLOCKS,
    Drift,
    Spread,
    Stretch,
    digest,
    drift,
    e_bh,
    log_evidence,
    measure,
)

NOW = 80_000
FIRST = NOW - RECENT_BLOCKS - BEFORE_BLOCKS
BORDER = NOW - RECENT_BLOCKS

evidences = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.floats(-20, 20), max_size=12)
alphas = st.floats(0.01, 0.5)


def blocks(shares: Mapping[range, float], *, count: int = 20, seed: int | None = None) -> list[Block]:
    """Blocks of ``count`` mentions with these shares: exactly (over the blocks), or by chance from ``seed``."""
    found = []
    rng = np.random.default_rng(seed)
    for indexes, share in shares.items():
        owed = 0.0
        for index in indexes:
            owed += count * share
            bad = math.floor(owed + 1e-9) if seed is None else int(rng.binomial(count, share))
            owed -= bad
            found.append(Block(index, count, bad, bad))
    return found


def step(before: float, after: float, *, count: int = 20, seed: int | None = None) -> list[Block]:
    return blocks({range(FIRST, BORDER): before, range(BORDER, NOW): after}, count=count, seed=seed)


def stretch(count: float, total: float) -> Stretch:
    return Stretch(count=count, total=total, at_block=0.0)


def expected(before: Sequence[tuple[float, float]], recent: Sequence[tuple[float, float]], margin: float) -> float:
    """The mean of the e-value over everything that may happen. Each sample is (probability, sum of x)s of its total."""
    n, m = len(before) - 1, len(recent) - 1
    return math.fsum(
        p * q * math.exp(log_evidence(stretch(n, bad), stretch(m, worse), margin=margin))
        for (p, bad), (q, worse) in product(before, recent)
    )


def totals(shares: Sequence[float]) -> list[tuple[float, float]]:
    """The distribution of how many of independent mentions are negative, each with its own share."""
    chance = np.array([1.0])
    for share in shares:
        chance = np.convolve(chance, [1 - share, share])
    return [(float(p), float(bad)) for bad, p in enumerate(chance)]


# --- the evidence ---


@given(
    n=st.integers(1, 30),
    m=st.integers(1, 30),
    before=st.floats(0, 0.95),
    part=st.floats(0, 1),
    margin=st.sampled_from([0.0, 0.01, 0.05, 0.3]),
)
def test_the_e_value_is_at_most_1_on_average_wherever_the_share_has_not_risen_by_more_than_the_margin(
    n: int, m: int, before: float, part: float, margin: float
) -> None:
    recent = part * min(before + margin, 1.0)
    assert expected(totals([before] * n), totals([recent] * m), margin) <= 1 + 1e-9


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("n", "m"), [(8, 6), (40, 20), (200, 10), (10, 200)])
def test_the_e_value_is_at_most_1_on_average_at_the_edge_of_the_null(share: float, n: int, m: int) -> None:
    assert 0 < expected(totals([share] * n), totals([share + 0.01] * m), 0.01) <= 1 + 1e-9


@given(before=st.lists(st.floats(0, 0.9), min_size=1, max_size=10), times=st.integers(1, 3))
def test_mentions_need_not_have_the_same_share(before: list[float], times: int) -> None:
    """Only the average share of a stretch counts."""
    mean = math.fsum(before) / len(before)
    recent = [min(mean + 0.01, 1.0)] * (times * len(before))
    assert expected(totals(before), totals(recent), 0.01) <= 1 + 1e-9


@given(st.floats(0, 0.5), st.floats(0, 1))
def test_values_between_0_and_1_are_no_easier_than_0_and_1(mean: float, spread: float) -> None:
    """A mention is at the mean or spread out around it; the e-value sees sums only."""
    low, high = mean * (1 - spread), mean + spread * (1 - mean)
    p_high = (mean - low) / (high - low) if high > low else 0.0

    def chance(size: int) -> list[tuple[float, float]]:
        return [(p, low * (size - k) + high * k) for p, k in totals([p_high] * size)]

    assert expected(chance(8), chance(6), 0.0) <= 1 + 1e-9


@given(st.integers(30, 300), st.integers(30, 300), st.floats(0, 1), st.floats(0, 1))
def test_more_negative_mentions_now_and_fewer_before_are_more_evidence(n: int, m: int, p: float, q: float) -> None:
    bad, worse = round(p * (n - 1)), round(q * (m - 1))
    here = log_evidence(stretch(n, bad), stretch(m, worse))
    assert log_evidence(stretch(n, bad), stretch(m, worse + 1)) >= here
    assert log_evidence(stretch(n, bad + 1), stretch(m, worse)) <= here


def test_what_is_uncertain_is_less_evidence() -> None:
    before, recent = stretch(3000, 450), stretch(1500, 330)
    sure = log_evidence(before, recent)
    assert sure > log_evidence(before, recent, spread=Spread(deff=2.0)) > 0
    in_doubt = [log_evidence(before, recent, spread=Spread(freedom=freedom)) for freedom in (5.0, 40.0, 1e6)]
    assert in_doubt == sorted(in_doubt)
    assert in_doubt[-1] == pytest.approx(sure, abs=0.01)


# --- a brand ---


def test_a_doubling_is_told_with_its_numbers() -> None:
    found = drift(step(0.15, 0.3, seed=1), now_block=NOW)
    assert found.evidence is not None
    assert found.evidence > math.log(2000)
    assert found.before == pytest.approx(0.15, abs=0.02)
    assert found.recent == pytest.approx(0.3, abs=0.03)
    assert (found.before_count, found.recent_count) == (20 * BEFORE_BLOCKS, 20 * RECENT_BLOCKS)
    assert found.low is not None
    assert found.high is not None
    assert found.change is not None
    assert found.change == pytest.approx(0.15, abs=0.03)
    assert 0 < found.low < found.change < found.high < 0.3
    assert found.per_week == pytest.approx(found.change / 6)  # from the middle of the eight weeks to that of the four


def test_the_words_have_both_shares_the_change_and_how_sure_it_is() -> None:
    found = drift(step(0.1, 0.25), now_block=NOW)
    assert found.reason.startswith(
        "25.0% of the 2,240 mentions of the last four weeks are negative; it was 10.0% of 4,480 in the 8 weeks before: "
        "+15.0 points (95 %: +13.0 to +17.0), +2.50 a week; evidence "
    )


@pytest.mark.parametrize("after", [0.15, 0.155, 0.1])
def test_a_share_that_stays_rises_within_the_margin_or_falls_is_no_evidence(after: float) -> None:
    found = drift(step(0.15, after), now_block=NOW)
    assert found.evidence is not None
    assert found.evidence < 0
    assert found.reason.endswith("; no evidence of a fall.")


def test_blocks_of_alerts_count() -> None:
    some = step(0.15, 0.3, seed=2)
    assert drift([replace(one, left_out=one.index >= BORDER) for one in some], now_block=NOW) == drift(
        some, now_block=NOW
    )


def test_what_is_older_or_in_the_open_block_does_not_count_nor_does_the_order() -> None:
    some = step(0.15, 0.3, seed=3)
    others = [Block(FIRST - 1, 50, 50, 50), Block(NOW, 50, 50, 50), Block(NOW - 1, 0, 0, 0)]
    assert drift([*others, *reversed(some)], now_block=NOW) == drift(some, now_block=NOW)


@pytest.mark.parametrize(
    "some",
    [
        [],
        blocks({range(FIRST, BORDER): 0.1}),
        blocks({range(BORDER, NOW): 0.1}),
    ],
)
def test_silence_in_either_stretch_says_nothing(some: list[Block]) -> None:
    found = drift(some, now_block=NOW)
    assert (found.evidence, found.change, found.per_week) == (None, None, None)
    assert found.reason.startswith("Nobody spoke")


def test_less_than_two_weeks_of_history_before_the_four_or_a_few_mentions_say_nothing() -> None:
    short = drift(blocks({range(BORDER - 55, BORDER): 0.1, range(BORDER, NOW): 0.4}), now_block=NOW)
    few = drift(blocks({range(FIRST, BORDER): 0.1, range(NOW - 19, NOW): 1.0}, count=1), now_block=NOW)
    for found in (short, few):
        assert found.evidence is None
        assert found.change is not None
        assert found.reason.endswith("the history is too short for evidence.")
    assert drift(blocks({range(BORDER - 56, BORDER): 0.1, range(BORDER, NOW): 0.4}), now_block=NOW).evidence is not None


# --- the design effect ---


def test_independent_mentions_have_a_design_effect_near_1() -> None:
    some = step(0.2, 0.2, seed=4)
    assert 1 <= measure(some[:BEFORE_BLOCKS], some[BEFORE_BLOCKS:]).deff < 1.5


def test_the_fall_itself_is_not_taken_for_noise() -> None:
    slow = [
        Block(index, 100, bad, bad)
        for index in range(FIRST, NOW)
        for bad in [round(10 + 30 * max(0, index - FIRST - 112) / 224)]
    ]
    found = drift(slow, now_block=NOW)
    assert found.deff < 1.1
    assert found.evidence is not None
    assert found.evidence > math.log(1e6)


@pytest.mark.parametrize("weeks_ago", [2, 4, 6, 9])
def test_a_step_is_not_taken_for_noise(weeks_ago: int) -> None:
    begins = NOW - 28 * weeks_ago
    stepped = blocks({range(FIRST, begins): 0.15, range(begins, NOW): 0.3}, count=100, seed=5)
    assert drift(stepped, now_block=NOW).deff < 1.5


def test_what_moves_days_or_weeks_together_is_seen() -> None:
    days = [Block(index, 20, bad, bad) for index in range(FIRST, NOW) for bad in [6 if index // 4 % 2 else 2]]
    assert measure(days[:BEFORE_BLOCKS], days[BEFORE_BLOCKS:]).deff > 3
    weeks = [Block(index, 20, bad, bad) for index in range(FIRST, NOW) for bad in [6 if index // 28 % 2 else 2]]
    spread = measure(weeks[:BEFORE_BLOCKS], weeks[BEFORE_BLOCKS:])
    assert spread.deff > 10


def test_nothing_known_is_a_design_effect_of_1_that_nobody_is_sure_of() -> None:
    assert measure([], []) == Spread(deff=1.0, freedom=1.0)
    assert Spread() == INDEPENDENT


# --- many brands ---


@given(evidences, alphas)
def test_e_bh_selects_the_k_strongest_for_the_largest_k_that_is_strong_enough(
    log_e: dict[str, float], alpha: float
) -> None:
    chosen = e_bh(log_e, alpha=alpha)
    ordered = sorted(log_e.values(), reverse=True)
    largest = max(
        (k for k, one in enumerate(ordered, 1) if one >= math.log(len(log_e) / (alpha * k))),
        default=0,
    )
    assert len(chosen) == largest
    assert [log_e[brand] for brand in chosen] == ordered[:largest]


@given(evidences.filter(bool), alphas, st.floats(0, 20), st.data())
def test_raising_one_e_value_never_removes_a_brand(
    log_e: dict[str, float], alpha: float, more: float, data: st.DataObject
) -> None:
    raised = data.draw(st.sampled_from(sorted(log_e)))
    before = e_bh(log_e, alpha=alpha)
    after = e_bh({**log_e, raised: log_e[raised] + more}, alpha=alpha)
    assert set(before) <= set(after)


@given(evidences, alphas, st.integers(1, 50))
def test_every_brand_that_is_looked_at_counts(log_e: dict[str, float], alpha: float, more: int) -> None:
    weak = {f"weak {at}": -30.0 for at in range(more)}
    assert set(e_bh({**log_e, **weak}, alpha=alpha)) <= set(e_bh(log_e, alpha=alpha))


@given(evidences, alphas)
def test_equally_strong_brands_are_selected_together(log_e: dict[str, float], alpha: float) -> None:
    chosen = e_bh(log_e, alpha=alpha)
    if chosen:
        weakest = log_e[chosen[-1]]
        assert {brand for brand, one in log_e.items() if one >= weakest} == set(chosen)


def test_one_of_twenty_brands_needs_evidence_of_200_and_two_of_them_100_each() -> None:
    others = {f"other {at}": 0.0 for at in range(18)}
    assert e_bh({**others, "a": math.log(201), "b": 0.0}) == ("a",)
    assert e_bh({**others, "a": math.log(199), "b": 0.0}) == ()
    assert e_bh({**others, "a": math.log(101), "b": math.log(102)}) == ("b", "a")


def found(evidence: float | None) -> Drift:
    return Drift(evidence=evidence, before=0.1, recent=0.2, before_count=100, recent_count=50, reason="because")


def test_the_digest_is_ranked_and_says_how_much_was_needed() -> None:
    entries = digest({"a": found(4.0), "b": found(9.0), "calm": found(-3.0), "new": found(None)}, alpha=0.1)
    assert [(one.rank, one.brand) for one in entries] == [(1, "b"), (2, "a")]
    assert all(one.limit == pytest.approx(math.log(3 / (0.1 * 2))) for one in entries)
    assert entries[0].drift == found(9.0)


def test_a_digest_of_brands_that_are_all_new_or_of_none_is_empty() -> None:
    assert digest({"new": found(None)}) == ()
    assert digest({}) == ()


def test_the_surest_come_first() -> None:
    entries = digest({f"brand {at}": found(5.0 + at) for at in range(6)})
    assert all(
        one.drift.evidence >= two.drift.evidence
        for one, two in pairwise(entries)
        if one.drift.evidence and two.drift.evidence
    )
