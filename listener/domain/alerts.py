"""What a rule finds, the alert that it makes, and the notifications that tell of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Literal

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
    REOPENED = "reopened"
    RESOLVED = "resolved"
    REPEAT = "repeat"  # nobody has answered yet
    ESCALATED = "escalated"  # nobody has answered: the next step of the chain
    DIGEST = "digest"
    WATCHDOG = "watchdog"  # all is well with us; its absence is the alarm
    TEST = "test"  # a person tries a receiver out


class Condition(StrEnum):
    """What a rule sees: neither ``unknown`` (too little was said) nor ``blind`` (sources fail) is recovery."""

    BREACHED = "breached"
    CALM = "calm"
    UNKNOWN = "unknown"
    BLIND = "blind"


class Resolution(StrEnum):
    """How an alert ended: only ``recovered`` says that things are better."""

    RECOVERED = "recovered"
    NO_DATA = "no_data"  # nobody has spoken for so long that nothing can be said any more
    EXPIRED = "expired"  # it told of one event, and its time is over
    MANUAL = "manual"  # a person says that it is dealt with
    UNWATCHED = "unwatched"  # its brand or its rule is not watched any more: nobody looks whether it is over


class Channel(StrEnum):
    """What of a rule was breached."""

    EVIDENCE = "evidence"  # the share of negative mentions, or the fall of perception
    VOLUME = "volume"  # the number of negative mentions
    MENTION = "mention"  # one mention
    SOURCES = "sources"  # nothing can be heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast perception moves against what is usual: points of -100..100 per hour or per day, negative when it falls.

    ``low`` and ``high`` bound ``points`` (95 %); all three are None when nobody spoke. ``threshold`` is how large a
    fall is too fast, set by the user or (``implied``) what follows from the budget.
    """

    per: Literal["hour", "day"]
    threshold: float
    implied: bool
    points: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How sure a finding is, and how bad: what decided.

    ``evidence`` and ``limit`` are natural logarithms (evidence e : 1 against chance); ``budget`` is the share of
    negative experiences that is still allowed, and a ``burn`` of 1 uses it just up. ``gone_hours`` is when the month's
    budget is gone at this pace. ``volume`` is the score of the number of negative mentions against ``volume_limit``:
    ``volume_seen`` came in the last three hours, ``volume_usual`` are usual then.
    ``false_alarms_per_month`` is the promise that ``limit`` keeps. ``deff`` is the design effect.
    """

    evidence: float
    limit: float
    budget: float
    burn_hour: float | None
    burn_day: float | None
    burn_recent: float | None
    gone_hours: float | None
    volume: float | None
    volume_limit: float
    volume_seen: float
    volume_usual: float
    deff: float
    false_alarms_per_month: float
    ticks_per_month: float
    rates: tuple[Rate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One finding of a rule about a brand; explains itself: always both numbers, and why.

    ``observed`` and ``expected`` are shares of negative experiences (0..1; for one mention: its risk, and nothing);
    ``low`` and ``high`` bound ``observed``. ``severity`` and ``channels`` are set when ``condition`` is breached.
    ``onset_at`` is when it began, ``spoke_at`` when anybody last spoke; ``position`` is the last vote that was counted
    (see ``Vote``); ``mention`` is the id of the one that is told of and ``reach`` who may see it, where
    it is one; ``sources`` are those that fail, where that is it.
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
    negative: int = 0
    channels: tuple[Channel, ...] = ()
    onset_at: datetime | None = None
    spoke_at: datetime | None = None
    position: int = 0
    mention: str | None = None
    reach: int | None = None
    sources: tuple[str, ...] = ()
    strength: Strength | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One mention that an alert points at: its id, the site's link, and the name of its source."""

    id: str
    url: str
    source: str


@lru_cache(maxsize=100_000)
def fingerprint(brand: str, rule: str) -> str:
    """What is the same from one alert of a brand and rule to the next; asked for at every look."""
    return stable_id("fingerprint", brand, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that fires for a brand, from ``started_at`` to ``ended_at``.

    One alert at most fires per ``fingerprint``. ``seq`` counts what was published of it; ``calm_since_at`` is since
    when the rule has been calm without a break. A breach soon after the end opens the same alert again.
    ``resolution`` says how it ended. ``proof`` is what was shown of it when people were last told (see
    ``listener.alerts.detection.proof``), as JSON values. ``origin_at`` is when what it tells of began, as the mentions
    say; ``started_at`` when we saw it.
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
    resolution: Resolution | None = None
    reopened: int = 0
    proof: Frozen | None = None
    origin_at: datetime | None = None

    @property
    def id(self) -> str:
        """Derived from what fired and since when: two listeners over the same data agree on it."""
        return stable_id("alert", self.brand, self.rule, (self.origin_at or self.started_at).isoformat())

    @property
    def fingerprint(self) -> str:
        """What is the same from one alert to the next: brand and rule."""
        return fingerprint(self.brand, self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one receiver for one reason: a row of the outbox.

    ``alert_id`` is the alert's, the bundle's, or the digest's. ``payload`` is fixed, so that a retry says what was
    decided. ``repeat`` counts the repeats of one event. Delivery is at least once: ``id`` stays the same over retries
    and restarts, so that a receiver can drop what it has seen.
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
    repeat: int = 0

    @property
    def id(self) -> str:
        """Stable over retries."""
        parts = ["notification", self.alert_id, str(self.seq), self.receiver]
        return stable_id(*parts, *([str(self.repeat)] if self.repeat else []))

    @property
    def opening(self) -> bool:
        """Whether it says that something fires, so that a message of its end is due later."""
        return self.reason in OPENING


SEVERAL = "*"  # the brand of a message about several
OPENING = frozenset({Reason.FIRST, Reason.WORSENED, Reason.REOPENED, Reason.REPEAT, Reason.ESCALATED})
