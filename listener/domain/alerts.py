"""What a rule finds, the alert that it makes, and the notifications that tell of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from listener.domain.identity import Frozen, stable_id


class Severity(StrEnum):
    """How loudly an alert asks: ``warning`` is for the next working day, ``critical`` wakes somebody."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Larger is louder."""
        return list(Severity).index(self)


class AlertState(StrEnum):
    """Where an alert is in its life."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why a notification goes out."""

    FIRST = "first"
    WORSENED = "worsened"
    RESOLVED = "resolved"


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

    One alert at most fires per ``fingerprint``. ``seq`` counts what was published of it; ``calm_since_at`` is since
    when the rule has been calm without a break.
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
