"""Words that move a model, found by leaving them out; the model here adds up what its words are worth."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Assessment, Probabilities
from listener.errors import ScoringError
from listener.protocols import Languages
from listener.sentiment.explain import PIECES_MAX, explain, log_odds, outputs, pieces, probability
from listener.sentiment.labels import sigmoid

WORTH = {"broken": 2.0, "late": 1.0, "great": -1.5}


class Additive:
    """The log-odds of risk are the sum of the words' worth; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.languages: list[str | None] = []

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        self.calls.append(len(texts))
        self.languages += languages or []
        if not all(text.split() for text in texts):
            raise ScoringError("the text has no letter")
        return [self._said(text) for text in texts]

    def _said(self, text: str) -> Assessment:
        risk = sigmoid(sum(WORTH.get(word, 0.0) for word in text.split()))
        shares = Probabilities(negative=risk, neutral=0.0, positive=1 - risk)
        return Assessment(probabilities=shares, model="m@1", risk=risk, emotions={"anger": 0.5})


def test_a_words_contribution_is_what_its_absence_takes_away() -> None:
    found = explain(Additive(), "late and  broken but great", language=None)
    assert [one.text for one in found] == ["broken", "late", "and", "but", "great"]
    assert [one.contribution for one in found] == pytest.approx([2.0, 1.0, 0.0, 0.0, -1.5])
    assert [(one.start, one.end) for one in found[:2]] == [(10, 16), (0, 4)]


def test_all_variants_are_one_call() -> None:
    scorer = Additive()
    explain(scorer, "late and broken", language=None)
    assert scorer.calls == [4]


def test_what_is_left_is_read_in_the_language_of_the_whole() -> None:
    scorer = Additive()
    explain(scorer, "late and broken", language="en")
    explain(scorer, "late and", language=None)
    assert scorer.languages == ["en"] * 4 + [None] * 3


def test_another_output_can_be_asked_for() -> None:
    found = explain(Additive(), "late great", "sentiment/positive", language=None)
    assert found[0].text == "great"
    assert found[0].contribution == pytest.approx(1.5)
    assert {one.contribution for one in explain(Additive(), "late great", "emotions/anger", language=None)} == {0.0}


def test_sentiment_is_the_one_that_the_whole_text_has() -> None:
    """Without its word the text would be positive: the word still counts for what the whole was."""
    found = explain(Additive(), "broken great", "sentiment", language=None)
    assert [one.text for one in found] == ["broken", "great"]
    assert [one.contribution for one in found] == pytest.approx([2.0, -1.5])


@pytest.mark.parametrize(
    "output", ["wish", "loyalty/warn", "emotions/joy", "emotions", "sentiment/mixed", "hunger", ""]
)
def test_an_output_that_the_model_lacks_is_an_error_that_lists_those_it_has(output: str) -> None:
    with pytest.raises(ScoringError, match="emotions/anger"):
        explain(Additive(), "late and broken", output, language=None)


def test_a_word_that_stands_alone_cannot_be_left_out() -> None:
    assert explain(Additive(), "broken", language=None) == []


def test_what_cannot_be_judged_cannot_be_explained() -> None:
    with pytest.raises(ScoringError, match="no letter"):
        explain(Additive(), "  ", language=None)


def test_a_long_text_is_taken_apart_in_phrases() -> None:
    text = " ".join(["and"] * 200 + ["broken"])
    scorer = Additive()
    found = explain(scorer, text, language=None)
    assert sum(scorer.calls) <= PIECES_MAX + 1
    assert found[0].text.endswith("broken")


@given(st.text(max_size=400))
def test_pieces_are_few_in_order_and_cover_all_words(text: str) -> None:
    found = pieces(text)
    assert len(found) <= PIECES_MAX
    assert found == sorted(found)
    assert all(start < end for start, end in found)
    covered = {place for start, end in found for place in range(start, end)}
    assert all(place in covered for place, char in enumerate(text) if not char.isspace())


def test_outputs_are_named_as_labels_are() -> None:
    (said,) = Additive().score(["late"])
    assert outputs(said) == ["sentiment/negative", "sentiment/neutral", "sentiment/positive", "risk", "emotions/anger"]
    assert probability(said, "risk") == said.risk
    assert probability(said, "sentiment") == said.probabilities.negative


def test_log_odds_are_bounded() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0))
    assert log_odds(1.0) < 14
