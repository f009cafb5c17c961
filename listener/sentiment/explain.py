"""Which words made the model say what it says, found by leaving each out in turn. Pure, for any engine.

What a word contributes is by how much the log-odds of an output fall when it is left out (occlusion: Zeiler and Fergus
2014; on words: Li, Monroe and Jurafsky 2016). It tells what moved this model on this text, not why; of two words that
say the same, each may seem to contribute nothing, since the other stays.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from listener.domain import Assessment, Sentiment
from listener.errors import ScoringError
from listener.protocols import Scorer
from listener.sentiment.scorer import score_safely

PIECES_MAX = 64  # a text of more words is taken apart in phrases
SURE = 1e-6  # log-odds beyond this probability mean nothing
_WORD = re.compile(r"\S{1,64}")  # where nothing separates words, stretches of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One word or phrase, ``text[start:end]``, and what it adds to the log-odds of the output; negative takes away."""

    start: int
    end: int
    text: str
    contribution: float


def probability(assessment: Assessment, output: str) -> float:
    """The probability 0..1 that an assessment gives to an output, named as its labels are (``emotions/anger``).

    ``sentiment`` alone is the most probable one's. Raises ScoringError when the model has no such output.
    """
    head, _, member = output.partition("/")
    if head == "sentiment":
        name = member or assessment.sentiment.value
        found = getattr(assessment.probabilities, name, None) if name in set(Sentiment) else None
    elif head in {"emotions", "loyalty"}:
        shares = assessment.emotions if head == "emotions" else assessment.loyalty
        found = (shares or {}).get(member)
    else:
        found = {"risk": assessment.risk, "wish": assessment.wish}.get(output)
    if found is None:
        raise ScoringError(
            f"the model {assessment.model} has no output {output!r}; there are: {', '.join(outputs(assessment))}"
        )
    return float(found)


def outputs(assessment: Assessment) -> list[str]:
    """The outputs that the model has, named as labels are."""
    single = {"risk": assessment.risk, "wish": assessment.wish}
    return [
        *(f"sentiment/{label.value}" for label in Sentiment),
        *(name for name, share in single.items() if share is not None),
        *(f"emotions/{name}" for name in assessment.emotions or ()),
        *(f"loyalty/{name}" for name in assessment.loyalty or ()),
    ]


def pieces(text: str) -> list[tuple[int, int]]:
    """The words of ``text``, or phrases of equally many where there are more than ``PIECES_MAX``: start and end."""
    words = [found.span() for found in _WORD.finditer(text)]
    size = max(1, math.ceil(len(words) / PIECES_MAX))
    groups = [words[at : at + size] for at in range(0, len(words), size)]
    return [(group[0][0], group[-1][1]) for group in groups]


def explain(scorer: Scorer, text: str, output: str = "risk", *, language: str | None) -> list[Contribution]:
    """What each word of ``text`` adds to the log-odds of ``output``, the largest first.

    What is left is read as in the ``language`` of the whole (ISO 639-1; None: not known): a guess from fewer words
    could be another, and the difference between two calibrations would look like the word's.

    ``sentiment`` means the one that the whole text has. A word without which nothing can be judged (the only one) is
    not in the list. Scores one text a word, at most ``PIECES_MAX`` and the whole. Raises ScoringError when the text
    cannot be judged or the model has no such output.
    """
    places = pieces(text)
    whole, *others = score_safely(scorer, [text, *_without(text, places)], [language] * (1 + len(places)))
    if isinstance(whole, ScoringError):
        raise whole
    chosen = f"sentiment/{whole.sentiment.value}" if output == "sentiment" else output
    before = log_odds(probability(whole, chosen))
    found = [
        Contribution(
            start=start,
            end=end,
            text=text[start:end],
            contribution=before - log_odds(probability(other, chosen)),
        )
        for (start, end), other in zip(places, others, strict=True)
        if isinstance(other, Assessment)
    ]
    return sorted(found, key=lambda one: (-one.contribution, one.start))


def log_odds(share: float) -> float:
    """log(p / (1 - p)), bounded where the model is too sure for it to mean anything."""
    bounded = min(max(share, SURE), 1 - SURE)
    return math.log(bounded / (1 - bounded))


def _without(text: str, places: Sequence[tuple[int, int]]) -> list[str]:
    return [text[:start] + text[end:] for start, end in places]
