"""How good labels and probabilities are: the measures that ``listener eval`` prints. Pure, numpy only.

Labels are sequences of names (or 0 and 1); probabilities lie in 0..1. A measure of nothing is NaN, never 0. The
definitions are those of scikit-learn (F1), Guo et al. 2017 (calibration) and Brier 1950.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15  # as in Guo et al. 2017

Label = str | int
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The texts whose probability lies in (``low``, ``high``]: how sure the model was, how often it was right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def accuracy(truth: Sequence[Label], said: Sequence[Label]) -> float:
    """The share of texts whose label is right; NaN without texts. Raises ValueError on unequal lengths."""
    pairs = list(zip(truth, said, strict=True))
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else math.nan


def confusion(truth: Sequence[Label], said: Sequence[Label], classes: Sequence[Label]) -> NDArray[np.int64]:
    """Counts [true class, said class] in the order of ``classes``. Raises KeyError on a label of no class."""
    places = {label: place for place, label in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for one, other in zip(truth, said, strict=True):
        counts[places[one], places[other]] += 1
    return counts


def f1(truth: Sequence[Label], said: Sequence[Label], label: Label = 1) -> float:
    """F1 of one class: 2tp / (2tp + fp + fn); NaN where the class is neither true nor said of any text."""
    pairs = list(zip(truth, said, strict=True))
    hits = sum(one == label and other == label for one, other in pairs)
    either = sum(one == label for one, _ in pairs) + sum(other == label for _, other in pairs)
    return 2 * hits / either if either else math.nan


def macro_f1(truth: Sequence[Label], said: Sequence[Label]) -> float:
    """The mean F1 of the classes that are true or said of some text, each counted alike; NaN without texts."""
    classes = {*truth, *said}
    return math.fsum(f1(truth, said, label) for label in classes) / len(classes) if classes else math.nan


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The mean squared error of probabilities; NaN without texts.

    Both are [texts] with a truth of 0 or 1 (then the score lies in 0..1), or [texts, classes] with a 1 at the true
    class: the squares are summed over the classes (0..2), as Brier did. Raises ValueError on unequal shapes.
    """
    said, true = _numbers(probabilities), _numbers(truth)
    if said.shape != true.shape:
        raise ValueError(f"probabilities are {said.shape}, the truth is {true.shape}")
    return float(((said - true) ** 2).sum() / len(said)) if len(said) else math.nan


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> list[Bin]:
    """The texts in ``bins`` bins of equal width over 0..1, without the empty ones.

    ``confidence`` [texts] is a probability, ``correct`` [texts] (0 or 1) whether what it is the probability of is so:
    the confidence in the said label and whether it was right, or the probability of an output and its truth.
    """
    sure, right = _numbers(confidence), _numbers(correct)
    if sure.shape != right.shape:
        raise ValueError(f"confidences are {sure.shape}, what is correct is {right.shape}")
    if len(sure) and not (sure.min() >= 0 and sure.max() <= 1):
        raise ValueError("a confidence lies outside 0..1")
    places = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    return [
        Bin(
            low=place / bins,
            high=(place + 1) / bins,
            count=int((places == place).sum()),
            confidence=float(sure[places == place].mean()),
            accuracy=float(right[places == place].mean()),
        )
        for place in sorted({int(place) for place in places})
    ]


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """The mean distance between confidence and accuracy over bins of equal width, weighted by texts; NaN without any.

    Arguments as for ``reliability``.
    """
    found = reliability(confidence, correct, bins)
    total = sum(one.count for one in found)
    return math.fsum(one.count * abs(one.confidence - one.accuracy) for one in found) / total if total else math.nan


def _numbers(values: Any) -> Numbers:
    return np.asarray(values, dtype=np.float64)
