"""Which output of a model means what, and what its logits say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Sentiment
from listener.errors import ConfigError
from listener.sentiment.labels import EMOTIONS, LOYALTY, Heads, pool, read_heads, read_logits, sigmoid

THREE = {0: "negative", 1: "neutral", 2: "positive"}
ALL_HEADS = dict(
    enumerate(
        [
            *(f"sentiment/{label}" for label in Sentiment),
            "risk",
            *(f"emotions/{name}" for name in EMOTIONS),
            *(f"loyalty/{name}" for name in LOYALTY),
            "wish",
        ]
    )
)


def sentiment_of(heads: Heads) -> dict[str, tuple[int, ...]]:
    return {label.value: places for label, places in heads.sentiment.items()}


@pytest.mark.parametrize(
    "names",
    [
        ["negative", "neutral", "positive"],
        ["Negative", "Neutral", "Positive"],
        ["NEG", "NEU", "POS"],
        ["neg", " neutral ", "POSITIVE"],
        ["sentiment/negative", "sentiment/NEU", "Sentiment/pos"],
    ],
)
def test_usual_names_of_three_labels_need_no_mapping(names: list[str]) -> None:
    heads = read_heads(dict(enumerate(names)), {})
    assert sentiment_of(heads) == {"negative": (0,), "neutral": (1,), "positive": (2,)}
    assert (heads.risk, heads.wish, dict(heads.emotions), dict(heads.loyalty)) == (None, None, {}, {})


def test_order_of_outputs_is_the_models_own() -> None:
    assert sentiment_of(read_heads({0: "POS", 1: "NEG"}, {})) == {"positive": (0,), "negative": (1,)}


def test_stars_are_summed_into_three_labels() -> None:
    heads = read_heads({0: "1 star", 1: "2 stars", 2: "3 stars", 3: "4 stars", 4: "5 stars"}, {})
    assessment = read_logits([0.0] * 5, heads, model="m@1")
    assert assessment.probabilities.negative == pytest.approx(0.4)
    assert assessment.probabilities.neutral == pytest.approx(0.2)
    assert assessment.probabilities.positive == pytest.approx(0.4)


def test_a_mapping_gives_names_that_say_nothing_a_meaning() -> None:
    heads = read_heads({0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": "negative", "LABEL_1": "positive"})
    assert sentiment_of(heads) == {"negative": (0,), "positive": (1,)}


def test_several_labels_may_be_mapped_to_one_sentiment() -> None:
    heads = read_heads({**THREE, 3: "speech", 4: "skip"}, {"speech": "neutral", "skip": "neutral"})
    assert sentiment_of(heads)["neutral"] == (1, 3, 4)


@pytest.mark.parametrize(
    ("id2label", "labels", "path", "says"),
    [
        ({0: "LABEL_0", 1: "LABEL_1"}, {}, "scoring.labels.LABEL_0", "no meaning"),
        ({**THREE, 3: "emotions/hunger"}, {}, "scoring.labels.emotions/hunger", "no meaning"),
        ({**THREE, 3: "risk", 4: "Risk"}, {}, "scoring.labels.Risk", "twice"),
        ({**THREE, 3: "risk/high"}, {}, "scoring.labels.risk/high", "no meaning"),
        (THREE, {"LABEL_0": "negative"}, "scoring.labels.LABEL_0", "no such label"),
        (THREE, {"neutral": "meh"}, "scoring.labels.neutral", "'meh'"),
        ({0: "risk", 1: "wish"}, {}, "scoring.model", "negative or positive"),
        ({0: "negative", 1: "neutral"}, {}, "scoring.model", "positive"),
    ],
)
def test_labels_without_a_meaning_are_faults_that_name_them(
    id2label: dict[int, str], labels: dict[str, str], path: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_heads(id2label, labels)
    assert path in [fault.path for fault in caught.value.faults]
    assert says in str(caught.value)


def test_every_unknown_label_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_heads({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, {})
    assert len(caught.value.faults) == 3


def test_heads_of_one_model_are_told_apart() -> None:
    heads = read_heads(ALL_HEADS, {})
    logits = [0.0] * len(ALL_HEADS)
    logits[3] = 2.0  # risk
    logits[4] = -1.0  # emotions/anger
    logits[4 + len(EMOTIONS) + 3] = 30.0  # loyalty/warn
    assessment = read_logits(logits, heads, model="m@1")
    assert assessment.probabilities.neutral == pytest.approx(1 / 3)
    assert assessment.risk == pytest.approx(0.8808, abs=1e-4)
    assert assessment.emotions is not None
    assert assessment.loyalty is not None
    assert assessment.emotions["anger"] == pytest.approx(0.2689, abs=1e-4)
    assert assessment.emotions["joy"] == 0.5
    assert assessment.loyalty["warn"] == pytest.approx(1.0)
    assert tuple(assessment.loyalty) == LOYALTY
    assert assessment.wish == 0.5


def test_heads_that_a_model_lacks_stay_none() -> None:
    assessment = read_logits([1.0, 0.0, 0.0], read_heads(THREE, {}), model="m@1")
    assert (assessment.risk, assessment.emotions, assessment.loyalty, assessment.wish) == (None, None, None, None)


def test_a_binary_model_has_no_neutral() -> None:
    assessment = read_logits([0.0, math.log(3)], read_heads({0: "NEGATIVE", 1: "POSITIVE"}, {}), model="m@1")
    assert assessment.probabilities.neutral == 0.0
    assert assessment.probabilities.positive == pytest.approx(0.75)


@given(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_probabilities_are_a_distribution_for_all_finite_logits(logits: list[float]) -> None:
    shares = read_logits(logits, read_heads(THREE, {}), model="m@1").probabilities
    values = [shares.negative, shares.neutral, shares.positive]
    assert sum(values) == pytest.approx(1)
    assert all(0 <= value <= 1 for value in values)
    assert values[logits.index(max(logits))] == max(values)


@given(st.floats(-1e6, 1e6))
def test_sigmoid_never_overflows_and_is_symmetric(logit: float) -> None:
    assert 0 <= sigmoid(logit) <= 1
    assert sigmoid(logit) + sigmoid(-logit) == pytest.approx(1)


def test_what_any_window_tells_is_told_and_sentiment_is_that_of_the_whole() -> None:
    heads = read_heads(ALL_HEADS, {})
    quiet = read_logits([0.0] * len(ALL_HEADS), heads, model="m@1")
    loud = read_logits([50.0] + [0.0] * 2 + [50.0] * (len(ALL_HEADS) - 3), heads, model="m@1")
    pooled = pool([quiet, loud], [100, 300])
    assert pooled.probabilities.negative == pytest.approx((1 / 3 + 3) / 4)
    assert pooled.risk == pytest.approx(1)
    assert pooled.wish == pytest.approx(1)
    assert pooled.emotions is not None
    assert pooled.loyalty is not None
    assert pooled.emotions["joy"] == pytest.approx(1)
    assert pooled.loyalty["warn"] == pytest.approx(1)
    assert pooled.model == "m@1"


def test_pooling_keeps_missing_heads_missing() -> None:
    one = read_logits([1.0, 0.0, 0.0], read_heads(THREE, {}), model="m@1")
    pooled = pool([one, one], [3, 5])
    assert (pooled.risk, pooled.emotions, pooled.loyalty, pooled.wish) == (None, None, None, None)
    assert pooled.probabilities.negative == pytest.approx(one.probabilities.negative)
