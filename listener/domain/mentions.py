"""What was said of a brand, what the model says of it, and how that adds up over time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from listener.domain.identity import stable_id


class Sentiment(StrEnum):
    """The label of an assessment."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Verdict(StrEnum):
    """What dedupe says of an incoming mention."""

    NEW = "new"
    EDITED = "edited"
    DUPLICATE = "duplicate"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One stored utterance that matches a brand.

    Identity is (``source``, ``external_id``): an edit is a new ``content_hash``, never a new mention. ``url`` is the
    site's own link, ``canonical_url`` the form that joins the same article seen through different sources. ``text_key``
    is equal for texts that say the same. ``reach`` stays None when unknown. ``conversation`` is the source's id of the
    thread, its first mention included, None when the site does not tell. ``topics`` has what the mention is about by
    brand; brands without a topic are absent.
    """

    source: str
    external_id: str
    url: str
    canonical_url: str
    title: str
    text: str
    author: str | None
    lang: str | None
    published_at: datetime | None
    seen_at: datetime
    rating: float | None
    reach: int | None
    content_hash: str
    text_key: str
    brands: tuple[str, ...] = ()
    conversation: str | None = None
    topics: Mapping[str, str] = field(default_factory=dict, hash=False)  # a mention has a hash, a mapping none

    @property
    def id(self) -> str:
        """Derived from the identity, so that storing twice is storing once."""
        return stable_id("mention", self.source, self.external_id)

    @property
    def at(self) -> datetime:
        """When it was said; when it was first seen, if the site does not tell."""
        return self.published_at or self.seen_at

    @property
    def scored_text(self) -> str:
        """What the model reads."""
        return self.joined(self.title, self.text)

    @staticmethod
    def joined(title: str, text: str) -> str:
        """Title and text as one: the title belongs to what was said, unless the text repeats it."""
        return f"{title}\n{text}".strip() if title and title not in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Probabilities:
    """The three sentiment probabilities; they sum to 1."""

    negative: float
    neutral: float
    positive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """All that the model says of one mention; a head that the model lacks is None, never zero.

    ``risk`` is the calibrated probability that the mention tells of a negative experience. ``model`` is
    ``name@revision``: an assessment is never without its model, and re-scoring adds one, never overwrites. ``labels``
    are the most probable sentiment and the outputs that passed the model's own thresholds (``risk``,
    ``emotions/anger``), None where the model has none of its own; ``abstained`` names the heads (``sentiment``,
    ``risk``) in doubt: their labels stand and are counted, but a single one proves nothing.
    """

    probabilities: Probabilities
    model: str
    risk: float | None = None
    emotions: Mapping[str, float] | None = None
    loyalty: Mapping[str, float] | None = None
    wish: float | None = None
    labels: tuple[str, ...] | None = None
    abstained: tuple[str, ...] = ()

    @property
    def sentiment(self) -> Sentiment:
        """The most probable label."""
        return max(Sentiment, key=lambda label: getattr(self.probabilities, label.value))

    @property
    def polarity(self) -> float:
        """-1 (negative) to 1 (positive): the expected sign."""
        return self.probabilities.positive - self.probabilities.negative

    @property
    def negative(self) -> bool:
        """Whether the mention counts against the brand: by its risk, or by its sentiment where there is no risk."""
        if self.labels is not None and self.risk is not None:
            return "risk" in self.labels
        return self.risk >= 0.5 if self.risk is not None else self.sentiment is Sentiment.NEGATIVE  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was said of a brand in [``start_at``, ``end_at``), aligned to UTC.

    ``volume`` counts voices with an assessment; ``copies`` counts duplicates, which carry no weight. ``risk_sum`` sums
    the risk (the negative probability where the model has no risk head). ``reach`` is None when no mention told it.
    """

    brand: str
    start_at: datetime
    end_at: datetime
    volume: int = 0
    copies: int = 0
    polarity_sum: float = 0.0
    negative: int = 0
    risk_sum: float = 0.0
    reach: int | None = None

    @property
    def perception(self) -> float | None:
        """-100..100: the mean polarity; None when nobody spoke, which is not the same as neutral."""
        return 100.0 * self.polarity_sum / self.volume if self.volume else None

    @property
    def negative_share(self) -> float | None:
        """0..1; None when nobody spoke."""
        return self.negative / self.volume if self.volume else None
