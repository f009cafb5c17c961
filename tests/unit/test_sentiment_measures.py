"""The measures against figures worked out by hand, and against what must hold for any labels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.sentiment.measures import (
    accuracy,
    brier,
    confusion,
    expected_calibration_error,
    f1,
    macro_f1,
    reliability,
)

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40)
SHARES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


def test_macro_f1_counts_each_class_alike() -> None:
    """``a``: 2 of 3 said, both true: 0.8. ``b``: 1 of 2 said is true, all found: 2/3."""
    assert macro_f1(["a", "a", "a", "b"], ["a", "a", "b", "b"]) == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_class_that_is_only_said_counts_as_wrong() -> None:
    assert macro_f1(["a", "a"], ["a", "c"]) == pytest.approx((2 / 3 + 0) / 2)


def test_f1_of_one_class() -> None:
    assert f1([1, 0, 1, 0], [1, 1, 0, 0]) == 0.5
    assert f1(["x", "y"], ["x", "y"], "x") == 1.0
    assert math.isnan(f1([0, 0], [0, 0]))


@given(LABELS)
def test_all_right_is_one_and_order_does_not_matter(pairs: list[tuple[str, str]]) -> None:
    truth, said = [one for one, _ in pairs], [other for _, other in pairs]
    assert macro_f1(truth, truth) == accuracy(truth, truth) == 1.0
    assert macro_f1(truth, said) == pytest.approx(macro_f1(said, truth))
    assert accuracy(truth, said) == pytest.approx(confusion(truth, said, "abc").trace() / len(pairs))


def test_confusion_has_the_truth_in_rows() -> None:
    assert confusion(["n", "n", "p"], ["n", "p", "p"], ["n", "p"]).tolist() == [[1, 1], [0, 1]]
    with pytest.raises(KeyError):
        confusion(["x"], ["n"], ["n", "p"])


def test_lists_of_unequal_length_are_refused() -> None:
    for measure in (accuracy, macro_f1, f1):
        with pytest.raises(ValueError, match="argument"):
            measure(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="confidences"):
        reliability([0.5], [1, 0])
    with pytest.raises(ValueError, match="probabilities"):
        brier([[0.5, 0.5]], [1])


def test_nothing_measured_is_nan() -> None:
    assert math.isnan(accuracy([], []))
    assert math.isnan(macro_f1([], []))
    assert math.isnan(brier([], []))
    assert math.isnan(expected_calibration_error([], []))
    assert reliability([], []) == []


def test_brier_of_one_output_and_of_classes() -> None:
    assert brier([0.8, 0.4], [1, 0]) == pytest.approx((0.04 + 0.16) / 2)
    assert brier([[0.7, 0.2, 0.1]], [[1, 0, 0]]) == pytest.approx(0.09 + 0.04 + 0.01)
    assert brier([[0.0, 1.0]], [[1, 0]]) == 2.0


def test_calibration_error_by_hand() -> None:
    """Two bins: 0.9 sure and half right, 0.1 sure and never right."""
    sure, right = [0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0]
    assert expected_calibration_error(sure, right, bins=2) == pytest.approx((0.4 + 0.1) / 2)


def test_bins_hold_their_upper_edge_and_empty_ones_are_left_out() -> None:
    low, high = reliability([0.0, 0.5, 1.0], [0, 1, 1], bins=2)
    assert (low.low, low.high, low.count, low.accuracy) == (0.0, 0.5, 2, 0.5)
    assert (high.low, high.high, high.count, high.confidence) == (0.5, 1.0, 1, 1.0)
    assert len(reliability([0.95, 0.96], [1, 1])) == 1


@pytest.mark.parametrize("sure", [[1.1], [-0.1], [math.nan]])
def test_what_is_no_probability_is_refused(sure: list[float]) -> None:
    with pytest.raises(ValueError, match="outside"):
        reliability(sure, [1])


@given(SHARES)
def test_errors_stay_in_their_range(pairs: list[tuple[float, int]]) -> None:
    sure, right = [one for one, _ in pairs], [other for _, other in pairs]
    assert 0 <= expected_calibration_error(sure, right) <= 1
    assert 0 <= brier(sure, right) <= 1
    assert sum(one.count for one in reliability(sure, right)) == len(pairs)
    assert all(one.low <= one.confidence <= one.high + 1e-12 for one in reliability(sure, right))


def test_one_who_is_as_right_as_sure_has_no_error() -> None:
    draw = np.random.default_rng(5)
    sure = draw.random(200_000)
    assert expected_calibration_error(sure, draw.random(200_000) < sure) < 0.01
