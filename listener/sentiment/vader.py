"""VADER (Hutto and Gilbert 2014) as a scorer: a list of English words and rules, the floor that a model must clear."""

from collections.abc import Sequence
from importlib.metadata import version

from listener.domain import Assessment, Probabilities, Sentiment
from listener.errors import ConfigError, Fault
from listener.protocols import Languages

LANGUAGE = "en"
EDGE = 0.05  # the authors' own threshold on the compound score, -1..1


class Vader:
    """Implements ``protocols.Scorer``. VADER gives no probabilities: what it says is taken as certain.

    Raises ConfigError when the package ``vaderSentiment`` is not installed.
    """

    def __init__(self) -> None:
        try:
            # An extra: only who compares with it has it. It publishes no types.
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415
        except ImportError:
            fix = "install it: pip install 'listener[eval]'"
            raise ConfigError([Fault(path="--vader", problem="vaderSentiment is not installed", fix=fix)]) from None
        self._model = f"vader@{version('vaderSentiment')}"
        self._analyzer = SentimentIntensityAnalyzer()

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:  # noqa: ARG002 -- it knows English only
        """One assessment a text, in order, with sentiment alone."""
        return [self._assessment(self._analyzer.polarity_scores(text)["compound"]) for text in texts]

    def _assessment(self, compound: float) -> Assessment:
        said = (
            Sentiment.POSITIVE if compound >= EDGE else Sentiment.NEGATIVE if compound <= -EDGE else Sentiment.NEUTRAL
        )
        return Assessment(
            probabilities=Probabilities(**{label.value: float(label is said) for label in Sentiment}),
            model=self._model,
        )
