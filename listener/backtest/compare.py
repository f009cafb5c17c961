"""What sets of rules would have done on a history, and whether sooner and more to the point than volume. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from listener.aggregate import FINE_SECS
from listener.alerts.detection.detect import VOLUME_CALM
from listener.alerts.detection.lifecycle import advance, patience_of
from listener.alerts.detection.rules import Deterioration, Rule
from listener.alerts.detection.standing import volume_score
from listener.backtest.replay import Event, Heard, OnProgress, Track, replay
from listener.backtest.weeks import Day, Week, add, monday, weeks
from listener.domain import Alert, Channel, Condition, Reason, Resolution, Severity, Signal
from listener.pipeline.look import ALERTING, Look, main_rule

SOONEST = timedelta(hours=24)  # how much earlier than a page volume may fire and still mean the same


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules under a name, by brand: with each brand's own thresholds."""

    name: str
    rules: Mapping[str, Sequence[Rule]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One time that somebody would have been woken.

    ``volume_at`` is when the number of negative mentions alone would have woken them for the same trouble, None where
    it never would have. ``deteriorated`` is False for what has nothing to do with it: a single mention of great reach.
    """

    at: datetime
    reason: Reason
    rule: str
    channels: tuple[Channel, ...]
    deteriorated: bool
    quiet: bool
    volume_at: datetime | None = None

    @property
    def lead_secs(self) -> float | None:
        """How much earlier than volume; negative when it was later, None when volume never fired."""
        return None if self.volume_at is None else (self.volume_at - self.at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One alert from its beginning to its end; ``ended_at`` is None where the history ends before it."""

    id: str
    rule: str
    severity: Severity
    started_at: datetime
    ended_at: datetime | None
    resolution: Resolution | None
    reopened: int
    channels: tuple[Channel, ...]

    @property
    def hours(self) -> float | None:
        """How long it lasted."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds() / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one set of rules would have done for one brand."""

    brand: str
    rules: str
    pages: tuple[Page, ...]
    tickets: int
    alerts: tuple[Lived, ...]
    weeks: tuple[Week, ...]
    volume_pages: int

    @property
    def votes(self) -> int:
        """How many were counted."""
        return sum(week.votes for week in self.weeks)

    @property
    def resolved(self) -> int:
        """How many alerts ended within the history."""
        return sum(one.ended_at is not None for one in self.alerts)

    @property
    def leads_secs(self) -> list[float]:
        """How much earlier than volume each page was, where volume fired at all."""
        return [one.lead_secs for one in self.pages if one.lead_secs is not None]

    @property
    def quiet_pages(self) -> int:
        """How many pages came in quiet weeks."""
        return sum(one.quiet for one in self.pages)


@dataclass(slots=True)
class Watcher:
    """Looks over the shoulder of a replay: what the days were like, and what the number of mentions alone would say."""

    rules: Mapping[str, Deterioration]
    days: dict[str, dict[date, Day]] = field(default_factory=dict)
    volume: dict[str, list[Event]] = field(default_factory=dict)
    _alerts: dict[str, Alert | None] = field(default_factory=dict)

    def __call__(self, now: datetime, found: Look) -> None:
        """Take note of one look."""
        brand = found.signal.brand
        rule = self.rules[brand]
        days = self.days.setdefault(brand, {})
        for vote in found.counted.votes:
            add(days.setdefault(vote.at.astimezone(UTC).date(), Day()), vote, rule)
        signal = volume_alone(found, rule)
        transition = advance(self._alerts.get(brand), signal, now, patience=patience_of(rule))
        self._alerts[brand] = transition.alert
        if transition.reason is not None and transition.alert is not None:
            self.volume.setdefault(brand, []).append(Event(at=now, reason=transition.reason, alert=transition.alert))


def volume_alone(found: Look, rule: Deterioration) -> Signal:
    """What the rule would find if it counted the negative mentions and nothing else."""
    score = volume_score(found.counted.standing)
    severity = None
    condition = Condition.CALM
    if score is not None and score >= rule.volume_warning:
        severity = Severity.CRITICAL if score >= rule.volume_critical else Severity.WARNING
        condition = Condition.BREACHED
    elif score is not None and score >= VOLUME_CALM * rule.volume_critical:
        condition = Condition.UNKNOWN
    return replace(
        found.signal,
        condition=condition,
        severity=severity,
        channels=(Channel.VOLUME,) if severity else (),
        reason="the number of negative mentions alone",
    )


def compare(
    heard: Mapping[str, Sequence[Heard]],
    sets: Sequence[RuleSet],
    *,
    alerting: Mapping[str, bool],
    since_at: datetime | None = None,
    tick_secs: int = FINE_SECS,
    on_progress: OnProgress | None = None,
) -> tuple[list[Outcome], list[Event]]:
    """Every set of rules on the same votes: outcomes by brand and set in order, and what the first set tells.

    Only what is told from ``since_at`` on counts; what was said before teaches what is usual. Volume and
    quiet weeks are judged by the limits and budgets of the first set.
    """
    outcomes: dict[str, list[Outcome]] = {brand: [] for brand in heard}
    first: list[Event] = []
    volume: Mapping[str, Sequence[Event]] = {}
    known: dict[str, list[Week]] = {}
    for index, one in enumerate(sets):
        watcher = Watcher({brand: main_rule(one.rules[brand]) for brand in heard})
        events = _replayed(heard, one.rules, alerting, tick_secs, watcher, on_progress)
        events = [event for event in events if since_at is None or event.at >= since_at]
        if index == 0:
            first = events
            known = {brand: weeks(watcher.days.get(brand, {})) for brand in heard}
            volume = watcher.volume if all(rule.volume for rule in watcher.rules.values()) else _volume(heard, one)
        for brand in heard:
            mine = [event for event in events if event.brand == brand]
            types = {rule.name: isinstance(rule, Deterioration) for rule in one.rules[brand]}
            outcomes[brand].append(
                _outcome(brand, one.name, mine, types, known[brand], volume.get(brand, ()), since_at)
            )
    return [outcome for each in outcomes.values() for outcome in each], first


def _replayed(
    heard: Mapping[str, Sequence[Heard]],
    rules: Mapping[str, Sequence[Rule]],
    alerting: Mapping[str, bool],
    tick_secs: int,
    watcher: Watcher,
    on_progress: OnProgress | None,
) -> list[Event]:
    tracks = [
        Track(brand=brand, rules=rules[brand], heard=said, alerting=alerting.get(brand, True))
        for brand, said in heard.items()
    ]
    return replay(tracks, tick_secs=tick_secs, on_look=watcher, on_progress=on_progress)


def _volume(heard: Mapping[str, Sequence[Heard]], one: RuleSet) -> Mapping[str, Sequence[Event]]:
    """What volume would say where the rules do not follow it."""
    rules = {brand: main_rule(one.rules[brand]).model_copy(update={"volume": True}) for brand in heard}
    watcher = Watcher(rules)
    tracks = [Track(brand=brand, rules=[rules[brand]], heard=said, alerting=False) for brand, said in heard.items()]
    replay(tracks, on_look=watcher)
    return watcher.volume


def _outcome(
    brand: str,
    name: str,
    events: Sequence[Event],
    types: Mapping[str, bool],
    known: Sequence[Week],
    volume: Sequence[Event],
    since_at: datetime | None,
) -> Outcome:
    quiet = {week.begins: week.quiet for week in known}
    waking = lived(volume, paging=True)
    pages: list[Page] = []
    for event in events:
        if event.reason not in ALERTING or event.severity is not Severity.CRITICAL:
            continue
        ended_at = next(
            (later.at for later in events if _ends(event, later)),
            None,
        )
        deteriorated = types.get(event.alert.rule, False)
        pages.append(
            Page(
                at=event.at,
                reason=event.reason,
                rule=event.alert.rule,
                channels=event.channels,
                deteriorated=deteriorated,
                quiet=quiet.get(monday(event.at), True),
                volume_at=_woken(event, ended_at, waking) if deteriorated else None,
            )
        )
    return Outcome(
        brand=brand,
        rules=name,
        pages=tuple(pages),
        tickets=sum(one.reason in ALERTING and one.severity is Severity.WARNING for one in events),
        alerts=tuple(lived(events)),
        weeks=tuple(week for week in known if since_at is None or week.begins >= monday(since_at)),
        volume_pages=sum(since_at is None or one.started_at >= since_at for one in waking),
    )


def _ends(event: Event, later: Event) -> bool:
    return later.alert.id == event.alert.id and later.reason is Reason.RESOLVED and later.at > event.at


def _woken(event: Event, ended_at: datetime | None, waking: Sequence[Lived]) -> datetime | None:
    """When volume would have woken somebody for what ``event`` tells of."""
    begins_at = min(event.at - SOONEST, event.signal.onset_at or event.at)
    return min(
        (
            one.started_at
            for one in waking
            if (one.ended_at is None or one.ended_at >= begins_at) and (ended_at is None or one.started_at <= ended_at)
        ),
        default=None,
    )


def lived(events: Sequence[Event], *, paging: bool = False) -> list[Lived]:
    """The alerts that the events tell of; with ``paging``, those that woke somebody, from then on."""
    started: dict[str, datetime] = {}
    latest: dict[str, Event] = {}
    channels: dict[str, list[Channel]] = {}
    for event in events:
        name = event.alert.id
        if not paging or event.severity is Severity.CRITICAL:
            started.setdefault(name, event.at if paging else event.alert.started_at)
        channels.setdefault(name, []).extend(one for one in event.channels if one not in channels.get(name, ()))
        latest[name] = event
    return [
        Lived(
            id=name,
            rule=latest[name].alert.rule,
            severity=latest[name].severity,
            started_at=at,
            ended_at=latest[name].alert.ended_at,
            resolution=latest[name].alert.resolution,
            reopened=latest[name].alert.reopened,
            channels=tuple(channels[name]),
        )
        for name, at in started.items()
    ]
