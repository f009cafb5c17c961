"""The JSON of an assessment: every key always there, null where the model says nothing."""

import json

from listener.domain import Assessment, Probabilities
from listener.sentiment.output import assessment_json

SHARES = Probabilities(negative=0.70001, neutral=0.2, positive=0.09999)


def test_heads_that_a_model_lacks_are_null() -> None:
    assert assessment_json(Assessment(probabilities=SHARES, model="m@1"), None) == {
        "sentiment": "negative",
        "probabilities": {"negative": 0.7, "neutral": 0.2, "positive": 0.1},
        "polarity": -0.6,
        "risk": None,
        "emotions": None,
        "loyalty": None,
        "wish": None,
        "labels": None,
        "abstained": [],
        "language": None,
        "model": "m@1",
    }


def test_what_the_model_says_is_there_and_is_json() -> None:
    full = Assessment(
        probabilities=SHARES,
        model="m@1",
        risk=0.91239,
        emotions={"anger": 0.5},
        loyalty={"warn": 0.0},
        wish=0.12341,
        labels=("sentiment/negative", "risk", "emotions/anger"),
        abstained=("sentiment",),
    )
    said = assessment_json(full, "et")
    assert json.loads(json.dumps(said)) == said
    assert (said["risk"], said["wish"], said["language"]) == (0.9124, 0.1234, "et")
    assert said["labels"] == ["sentiment/negative", "risk", "emotions/anger"]
    assert said["abstained"] == ["sentiment"]
    assert (said["emotions"], said["loyalty"]) == ({"anger": 0.5}, {"warn": 0.0})
