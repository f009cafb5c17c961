"""An assessment as the JSON object that ``listener score`` prints."""

from typing import Any

from listener.domain import Assessment, Sentiment

DIGITS = 4  # what a probability is worth on paper


def assessment_json(assessment: Assessment, language: str | None) -> dict[str, Any]:
    """JSON values only: probabilities rounded to four digits, labels, and null for what the model does not say.

    ``language`` is an ISO 639-1 code, or None when it is not known.
    """
    shares = assessment.probabilities
    return {
        "sentiment": assessment.sentiment.value,
        "probabilities": {label.value: round(getattr(shares, label.value), DIGITS) for label in Sentiment},
        "polarity": round(assessment.polarity, DIGITS),
        "risk": _rounded(assessment.risk),
        "emotions": assessment.emotions and {name: round(share, DIGITS) for name, share in assessment.emotions.items()},
        "loyalty": assessment.loyalty and {name: round(share, DIGITS) for name, share in assessment.loyalty.items()},
        "wish": _rounded(assessment.wish),
        "labels": None if assessment.labels is None else list(assessment.labels),
        "abstained": list(assessment.abstained),
        "language": language,
        "model": assessment.model,
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DIGITS)
