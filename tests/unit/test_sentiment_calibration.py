"""Calibrated logits, and the labels that probabilities earn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Assessment, Probabilities
from listener.sentiment.calibration import Calibration, Decisions

PLAIN = Calibration(scale=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0))
THRESHOLDS = {"risk": 0.4, "emotions/anger": 0.3, "emotions/joy": 0.6, "loyalty/warn": 0.5, "wish": 0.5}


def decisions(*, sentiment_min: float = 0.45, risk_band: tuple[float, float] = (0.35, 0.45)) -> Decisions:
    return Decisions(
        default=PLAIN, languages={}, thresholds=THRESHOLDS, sentiment_min=sentiment_min, risk_band=risk_band
    )


def said(negative: float = 0.6, **heads: object) -> Assessment:
    shares = Probabilities(negative=negative, neutral=(1 - negative) / 2, positive=(1 - negative) / 2)
    return Assessment(probabilities=shares, model="m@1", **heads)  # type: ignore[arg-type]  # the heads of one test


def test_a_calibration_is_affine_on_each_logit() -> None:
    assert Calibration(scale=(2.0, 0.5), shift=(1.0, -1.0)).of([3.0, 4.0]) == [7.0, 1.0]


def test_a_language_has_its_own_values_where_it_has_any() -> None:
    own = PLAIN.with_own([None, 2.0, None], [0.5, None, None])
    assert own == Calibration(scale=(1.0, 2.0, 1.0), shift=(0.5, 0.0, 0.0))
    some = Decisions(
        default=PLAIN, languages={"et": own}, thresholds=THRESHOLDS, sentiment_min=0.0, risk_band=(0.5, 0.5)
    )
    assert some.calibration("et") is own
    assert some.calibration("fi") is some.calibration(None) is PLAIN


def test_outputs_pass_at_their_own_thresholds() -> None:
    whole = said(risk=0.5, emotions={"anger": 0.3, "joy": 0.59}, loyalty={"warn": 0.49}, wish=0.7)
    assert decisions().labelled(whole).labels == ("sentiment/negative", "risk", "emotions/anger", "wish")


def test_heads_that_are_not_there_have_no_labels() -> None:
    assert decisions().labelled(said()).labels == ("sentiment/negative",)


@pytest.mark.parametrize(
    ("risk", "labels", "abstained"),
    [
        (0.34, (), ()),
        (0.35, (), ("risk",)),
        (0.39, (), ("risk",)),
        (0.40, ("risk",), ("risk",)),
        (0.44, ("risk",), ("risk",)),
        (0.45, ("risk",), ()),
    ],
)
def test_near_its_threshold_the_risk_is_in_doubt_and_its_label_stands(
    risk: float, labels: tuple[str, ...], abstained: tuple[str, ...]
) -> None:
    whole = decisions().labelled(said(risk=risk))
    assert whole.labels == ("sentiment/negative", *labels)
    assert whole.abstained == abstained
    assert whole.negative == bool(labels)


@pytest.mark.parametrize(("negative", "abstained"), [(0.4, ("sentiment",)), (0.44, ("sentiment",)), (0.45, ())])
def test_a_sentiment_that_is_hardly_likelier_than_the_others_is_in_doubt_and_its_label_stands(
    negative: float, abstained: tuple[str, ...]
) -> None:
    whole = decisions().labelled(said(negative=negative))
    assert (whole.labels, whole.abstained) == (("sentiment/negative",), abstained)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_no_doubt_changes_a_label(
    negative: float, risk: float, sentiment_min: float, risk_band: tuple[float, float]
) -> None:
    """Counts of labels are unbiased only when every text is counted."""
    whole = said(negative=negative, risk=risk)
    doubtful = decisions(sentiment_min=sentiment_min, risk_band=risk_band).labelled(whole)
    sure = decisions(sentiment_min=0.0, risk_band=(0.0, 0.0)).labelled(whole)
    assert (doubtful.labels, doubtful.negative) == (sure.labels, sure.negative)
    assert sure.abstained == ()


@given(st.floats(0, 1), st.floats(0, 1))
def test_without_bands_nothing_is_in_doubt(negative: float, risk: float) -> None:
    whole = decisions(sentiment_min=0.0, risk_band=(0.4, 0.4)).labelled(said(negative=negative, risk=risk))
    assert whole.abstained == ()
    assert whole.labels is not None
    assert ("risk" in whole.labels) == (risk >= 0.4)


def test_only_labels_are_added() -> None:
    whole = said(risk=0.9)
    marked = decisions().labelled(whole)
    assert (marked.probabilities, marked.risk, marked.model) == (whole.probabilities, whole.risk, whole.model)


def test_negative_goes_by_labels_by_risk_or_by_sentiment() -> None:
    """Labels where the model says them, else risk, else sentiment."""
    assert said(negative=0.9, risk=0.6).negative
    assert not said(negative=0.9, risk=0.4).negative
    assert said(negative=0.9).negative
    assert said(negative=0.1, risk=0.47, labels=("risk",)).negative
    assert not said(negative=0.9, risk=0.6, labels=()).negative
    assert said(negative=0.9, labels=("sentiment/negative",)).negative
