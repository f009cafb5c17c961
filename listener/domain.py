"""The values that flow from stage to stage: one frozen type per arrow, no I/O.

Times are aware and UTC and end in ``_at``; durations carry their unit. The words are those of ``docs/glossary.md``.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from listener.errors import SourceError

NAMESPACE = uuid.UUID(
    "6f0b8f0e-5d0c-5b1e-9a55-1a57e4e20001"
)  # of all ids here: equal input, equal id, on every machine

Frozen = Mapping[str, Any]
EMPTY: Frozen = MappingProxyType({})


def stable_id(*parts: str) -> str:
    """The same id for the same parts, so that every step can be repeated safely (UUID version 5, RFC 9562)."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def require_aware(name: str, value: datetime | None) -> None:
    """Refuse a naive time: which hour a review was written in decides which window it counts in."""
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} has no time zone: {value.isoformat()}")


class Sentiment(StrEnum):
    """The label of an assessment."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Severity(StrEnum):
    """How loudly an alert asks: ``warning`` is for the next working day, ``critical`` wakes somebody."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Larger is louder."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """What dedupe says of an incoming mention."""

    NEW = "new"
    EDITED = "edited"
    DUPLICATE = "duplicate"
    UNCHANGED = "unchanged"


class AlertState(StrEnum):
    """Where an alert is in its life."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why a notification goes out."""

    FIRST = "first"
    WORSENED = "worsened"
    RESOLVED = "resolved"


# ---------------------------------------------------------------------------------------------------------------- poll


class Accept(StrEnum):
    """What a request hopes for; decides the Accept header, the size limit, and whether robots.txt is asked."""

    FEED = "feed"
    JSON = "json"
    PAGE = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request that a plug-in asks for.

    ``headers`` and ``url`` may carry secrets: neither is ever logged whole. ``conditional`` lets the fetcher add stored
    validators, so that the answer may be ``not_modified``; a plug-in sets it on the first page of a poll only.
    """

    url: str
    accept: Accept
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    conditional: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a server answered: ``body`` is decoded from its content encoding and capped; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime

    @property
    def not_modified(self) -> bool:
        """The server says 304: what we have is still what it has."""
        return self.status == 304  # noqa: PLR2004 -- RFC 9110, 15.4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """What a server gave to ask "has it changed?" with, kept byte for byte (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a source was read. Written in the same transaction as the mentions it covers.

    ``since_at`` is the newest ``published_at`` of completed polls; ``cursor`` is the plug-in's own (JSON values only);
    ``refreshed_at`` is the last fetch without validators, since some servers answer 304 for ever.
    """

    since_at: datetime | None = None
    cursor: Frozen = field(default_factory=lambda: EMPTY)
    validators: Mapping[str, Validator] = field(default_factory=dict)
    refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMention:
    """What the site said of one item, before we clean it.

    ``text`` and ``title`` may hold HTML. ``rating`` is on 0..1; ``reach`` counts people who may have seen it.
    Raises ValueError on an empty id, a missing text and title, and on naive times.
    """

    external_id: str
    url: str
    text: str
    title: str | None = None
    author: str | None = None
    published_at: datetime | None = None
    edited_at: datetime | None = None
    rating: float | None = None
    reach: int | None = None
    lang: str | None = None

    def __post_init__(self) -> None:
        if not self.external_id.strip():
            raise ValueError("external_id is empty")
        if not self.text.strip() and not (self.title or "").strip():
            raise ValueError(f"item {self.external_id!r} has neither text nor title")
        require_aware("published_at", self.published_at)
        require_aware("edited_at", self.edited_at)
        if self.rating is not None and not 0.0 <= self.rating <= 1.0:
            raise ValueError(f"rating {self.rating} is not on 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One item that could not be read: its place in the page (from 0) and why. Counted, never fatal."""

    position: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What one visit to a source brought.

    ``checkpoint`` never points past a page that was not read: when a later page fails, the mentions before it are kept,
    ``failure`` says why, and ``checkpoint`` is the old one. ``pause_secs`` is how long the site asks to be left alone.
    """

    mentions: tuple[RawMention, ...]
    checkpoint: Checkpoint
    rejected: tuple[Rejected, ...] = ()
    not_modified: bool = False
    pause_secs: float | None = None
    failure: SourceError | None = None


# --------------------------------------------------------------------------------------------------------------- store


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One stored utterance that matches a brand.

    Identity is (``source``, ``external_id``): an edit is a new ``content_hash``, never a new mention. ``url`` is the
    site's own link, ``canonical_url`` the form that joins the same article seen through different sources. ``text_key``
    is equal for texts that say the same. ``reach`` stays None when unknown.
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
    ``name@revision``: an assessment is never without its model, and re-scoring adds one, never overwrites.
    """

    probabilities: Probabilities
    model: str
    risk: float | None = None
    emotions: Mapping[str, float] | None = None
    loyalty: Mapping[str, float] | None = None
    wish: float | None = None

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
        """Whether the mention counts against the brand: by its risk, or by its sentiment where the model has no risk."""
        return self.risk >= 0.5 if self.risk is not None else self.sentiment is Sentiment.NEGATIVE  # noqa: PLR2004


# ----------------------------------------------------------------------------------------------------------- perception


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


# --------------------------------------------------------------------------------------------------------------- alert


class Condition(StrEnum):
    """What a rule sees: ``unknown`` (too little was said) is not recovery."""

    BREACHED = "breached"
    CALM = "calm"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One finding of a rule about a brand; explains itself: always both numbers, and why.

    ``observed`` and ``expected`` are in the rule's unit (``negative_share``: 0..1); ``low`` and ``high`` bound
    ``observed``. ``severity`` is set when ``condition`` is breached.
    """

    brand: str
    rule: str
    condition: Condition
    severity: Severity | None
    reason: str
    observed: float | None
    expected: float | None
    low: float | None = None
    high: float | None = None
    mentions: int = 0
    perception: float | None = None
    perception_before: float | None = None
    window_start_at: datetime
    window_end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One mention that an alert points at: its id, the site's link, and the name of its source."""

    id: str
    url: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that fires for a brand, from ``started_at`` to ``ended_at``.

    One alert at most fires per ``fingerprint``. ``seq`` counts what was published of it; ``calm_since_at`` is since when
    the rule has been calm without a break.
    """

    brand: str
    rule: str
    severity: Severity
    state: AlertState
    started_at: datetime
    updated_at: datetime
    signal: Signal
    seq: int = 1
    ended_at: datetime | None = None
    calm_since_at: datetime | None = None
    evidence: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Derived from what fired and when it began: two listeners over the same data agree on it."""
        return stable_id("alert", self.brand, self.rule, self.started_at.isoformat())

    @property
    def fingerprint(self) -> str:
        """What is the same from one alert to the next: brand and rule."""
        return stable_id("fingerprint", self.brand, self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One alert to one receiver for one reason: a row of the outbox.

    ``payload`` is fixed at the decision, so that a retry says what was decided. Delivery is at least once: ``id`` stays
    the same over retries and restarts, so that a receiver can drop what it has seen.
    """

    alert_id: str
    seq: int
    brand: str
    severity: Severity
    receiver: str
    reason: Reason
    payload: Frozen
    decided_at: datetime
    due_at: datetime
    attempt: int = 0

    @property
    def id(self) -> str:
        """Stable over retries."""
        return stable_id("notification", self.alert_id, str(self.seq), self.receiver)
