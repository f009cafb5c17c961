"""Which settings suit a brand: found on its own history, by simulation. Pure.

The best setting finds twice as many complaints soonest, and pages no more than asked for when all is well.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median

from listener.aggregate import FINE_SECS
from listener.alerts.detection.intervals import Z95
from listener.alerts.detection.rules import Deterioration, Rule
from listener.alerts.detection.standing import Fleet
from listener.alerts.detection.sums import x_of, y_of
from listener.backtest.replay import Event, Heard, Track, replay
from listener.backtest.resample import Days, days_of, turning
from listener.backtest.simulate import TIMES, TRIAL_DAYS, Effort, Setting, Tally, simulate
from listener.domain import Reason

VOTES_MIN, DAYS_MIN, QUIET_DAYS_MIN, COMPLAINTS_MIN = 200, 14, 10, 5
PROMISES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # false_alarms_per_month
RATIOS = (1.25, 1.5, 2.0)
VOLUMES = ((6.0, 6.0), (6.0, 7.0), (7.0, 8.0), (9.0, 10.0))  # warning, critical
LOOK_SECS, VOTE_SECS = 0.00035, 0.00005  # what one costs, roughly, on one core: decides how much is simulated
WORK_SECS = 16.0
BUSY, BUSY_TICK_SECS = 2000, 900  # votes a day from which on only every quarter of an hour is looked at
STRETCH_DAYS, STRETCHES_MIN, STRETCHES_MAX, STRETCH_DAYS_MIN = 30, 4, 16, 3
RATIOS_DAYS = 120  # with less simulated, other ratios are not tried
TOLD = 3.0  # pages that must be expected in all, if their number is to tell anything
CLOSE = 1.02  # delays that differ by less are equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How soon trouble was found: medians of those found, and the mean where the others count as ``TRIAL_DAYS``."""

    found: int
    trials: int
    hours: float | None
    mentions: float | None
    mean_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one setting: pages a month when all is well, with an interval (95 %), and delays by ``times``."""

    setting: Setting
    pages: int
    per_month: float
    low: float
    high: float
    delays: Mapping[float, Delay]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is recommended for one brand, or why nothing is (``refused``). ``notes`` say what to know of it."""

    brand: str
    votes: int
    days: float
    target: float
    rule: Deterioration | None
    refused: str | None = None
    quiet_days: int = 0
    months: float = 0.0
    notes: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    now: Tried | None = None
    best: Tried | None = None

    @property
    def kept(self) -> bool:
        """Whether the best setting keeps to the target."""
        return self.best is not None and self.best.per_month <= self.target


def advise(
    brand: str,
    heard: Sequence[Heard],
    rules: Sequence[Rule],
    *,
    target: float,
    seed: int = 1,
    work_secs: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Advice:
    """The settings for ``brand`` that page at most ``target`` times a month when all is well.

    ``work_secs`` is about how long it may take on one core; ``WORK_SECS`` if None.
    """
    work_secs = WORK_SECS if work_secs is None else work_secs
    rule = next((one for one in rules if isinstance(one, Deterioration)), None)
    span_days = (heard[-1].at - heard[0].at).total_seconds() / 86400 if heard else 0.0
    known = Advice(brand=brand, votes=len(heard), days=span_days, target=target, rule=rule)
    if rule is None:
        return _refused(known, "no rule of type deterioration watches it: there is nothing to set")
    if len(heard) < VOTES_MIN or span_days < DAYS_MIN:
        return _refused(known, _too_short(known, rule))
    fleet = _fleet(heard, rule)
    days = days_of(heard, _alerts(replay([Track(brand=brand, rules=[rule], heard=heard)], fleet=fleet), heard[-1].at))
    if days.count < QUIET_DAYS_MIN:
        return _refused(
            known,
            f"an alert fired on all but {days.count} of its days, and what is normal takes {QUIET_DAYS_MIN}: "
            "look at those alerts first",
        )
    if len(days.complaints) < COMPLAINTS_MIN:
        return _refused(
            known,
            f"only {len(days.complaints)} negative mentions on days without alerts: twice as many is no trouble yet",
        )
    per_day = sum(len(said) for of_kind in days.by_kind.values() for _, said in of_kind) / days.count
    ratios = (rule.budget_ratio,) if rule.budget is not None else tuple(sorted({*RATIOS, rule.budget_ratio}))
    effort = effort_of(per_day, len(ratios), work_secs)
    if effort.stretches * effort.days < RATIOS_DAYS:
        ratios = (rule.budget_ratio,)
        effort = effort_of(per_day, 1, work_secs)
    settings = _settings(rule, ratios)
    tallies = simulate(rule, settings, days, fleet=fleet, effort=effort, seed=seed, on_progress=on_progress)
    months = effort.stretches * effort.days / 30
    tried = tuple(_tried(one, tallies[one], months) for one in settings)
    now = next(one for one in tried if one.setting == setting_of(rule))
    return Advice(
        brand=brand,
        votes=len(heard),
        days=span_days,
        target=target,
        rule=rule,
        quiet_days=days.count,
        months=months,
        notes=tuple(_notes(rule, days, effort, ratios, target, months)),
        tried=tried,
        now=now,
        best=best_of(tried, now, target=target, months=months),
    )


def setting_of(rule: Deterioration) -> Setting:
    """The setting that a rule has."""
    return Setting(**{name: getattr(rule, name) for name in Setting.__dataclass_fields__})


def effort_of(per_day: float, ratios: int, work_secs: float) -> Effort:
    """How much can be simulated of a brand with ``per_day`` votes in ``work_secs`` or so."""
    busy = per_day > BUSY
    looks = min(per_day, 86400 / (BUSY_TICK_SECS if busy else FINE_SECS)) + 24
    days = work_secs / (ratios * (looks * LOOK_SECS + per_day * VOTE_SECS))
    stretches = min(max(round(days / STRETCH_DAYS), STRETCHES_MIN), STRETCHES_MAX)
    length = min(max(int(days / stretches), STRETCH_DAYS_MIN), STRETCH_DAYS)
    return Effort(stretches=stretches, days=length, tick_secs=BUSY_TICK_SECS if busy else FINE_SECS)


def best_of(tried: Sequence[Tried], now: Tried, *, target: float, months: float) -> Tried:
    """The setting that finds trouble soonest among those that keep to ``target``; the quietest where none does.

    Where so little was simulated that the number of pages tells nothing, the rule's own promise must keep to it too.
    Of settings that are as soon, the one that is nearest to what is set now.
    """
    promise = math.inf if target * months >= TOLD else target
    kept = [one for one in tried if one.per_month <= target and one.setting.false_alarms_per_month <= promise]
    if not kept:
        return min(tried, key=lambda one: (one.per_month, one.delays[TIMES[0]].mean_hours))
    for times in TIMES:
        soonest = min(one.delays[times].mean_hours for one in kept)
        kept = [one for one in kept if one.delays[times].mean_hours <= CLOSE * soonest]
    return min(kept, key=lambda one: (_far(one.setting, now.setting), one.per_month))


def _far(one: Setting, other: Setting) -> float:
    """How far apart two settings are; what is set for all brands weighs more than what is a brand's own."""
    shared = (one.budget_ratio != other.budget_ratio) + (one.volume_critical != other.volume_critical)
    return 100.0 * shared + abs(math.log(one.false_alarms_per_month / other.false_alarms_per_month))


def _refused(known: Advice, why: str) -> Advice:
    return Advice(
        brand=known.brand, votes=known.votes, days=known.days, target=known.target, rule=known.rule, refused=why
    )


def _too_short(known: Advice, rule: Deterioration) -> str:
    lacks = []
    if known.votes < VOTES_MIN:
        lacks.append(f"{VOTES_MIN - known.votes} more mentions")
    if known.days < DAYS_MIN:
        lacks.append(f"{DAYS_MIN - known.days:.1f} more days")
    return (
        f"{known.votes} mentions in {known.days:.1f} days do not show what is normal ({' and '.join(lacks)} would, at "
        f"{VOTES_MIN} mentions and {DAYS_MIN} days). Until then only the promise of the rule is known: chance pages at "
        f"most {rule.false_alarms_per_month:g} times a month; false_alarms_per_month = {known.target:g} promises your "
        "target"
    )


def _fleet(heard: Sequence[Heard], rule: Deterioration) -> Fleet:
    return Fleet(
        x=fmean(x_of(one.ballot, rule) for one in heard),
        y=fmean(y_of(one.ballot) for one in heard),
    )


def _alerts(events: Sequence[Event], last_at: datetime) -> list[tuple[datetime, datetime]]:
    """From when to when something was wrong, as the alerts tell it."""
    found: dict[str, tuple[datetime, datetime]] = {}
    for event in events:
        begins_at = min(event.signal.onset_at or event.at, event.alert.started_at)
        before = found.get(event.alert.id)
        ends_at = event.at if event.reason is Reason.RESOLVED else last_at
        found[event.alert.id] = (begins_at if before is None else min(before[0], begins_at), ends_at)
    return list(found.values())


def _settings(rule: Deterioration, ratios: Sequence[float]) -> list[Setting]:
    volumes = (
        sorted({*VOLUMES, (rule.volume_warning, rule.volume_critical)})
        if rule.volume
        else [(rule.volume_warning, rule.volume_critical)]
    )
    return [
        Setting(budget_ratio=ratio, volume_warning=warning, volume_critical=critical, false_alarms_per_month=promise)
        for ratio in ratios
        for warning, critical in volumes
        for promise in sorted({*PROMISES, rule.false_alarms_per_month})
    ]


def _tried(setting: Setting, tally: Tally, months: float) -> Tried:
    low, high = poisson(tally.pages)
    return Tried(
        setting=setting,
        pages=tally.pages,
        per_month=tally.pages / months,
        low=low / months,
        high=high / months,
        delays={times: _delay(tally, times) for times in TIMES},
    )


def _delay(tally: Tally, times: float) -> Delay:
    trials = [one for one in tally.trials if one.times == times]
    hours = [one.hours for one in trials if one.hours is not None]
    mentions = [one.mentions for one in trials if one.mentions is not None]
    most = 24.0 * TRIAL_DAYS
    return Delay(
        found=len(hours),
        trials=len(trials),
        hours=median(hours) if hours else None,
        mentions=median(mentions) if mentions else None,
        mean_hours=fmean([*hours, *[most] * (len(trials) - len(hours))]) if trials else most,
    )


def poisson(count: int) -> tuple[float, float]:
    """The interval (95 %) of a mean of which ``count`` came (Byar's approximation)."""

    def bound(number: int, z: float) -> float:
        return number * (1 - 1 / (9 * number) + z / (3 * math.sqrt(number))) ** 3 if number else 0.0

    return bound(count, -Z95), bound(count + 1, Z95)


def _notes(
    rule: Deterioration, days: Days, effort: Effort, ratios: Sequence[float], target: float, months: float
) -> list[str]:
    notes = []
    if target * months < TOLD:
        notes.append(
            f"{months:.1f} months were simulated: too few to tell {target:g} pages a month from none, so that "
            "the rule's own promise must keep to it too"
        )
    if effort.tick_secs > FINE_SECS:
        notes.append(f"it is looked at every {effort.tick_secs // 60} minutes only: there are so many mentions")
    if len(ratios) == 1 and rule.budget is None:
        notes.append("other values of budget_ratio were not tried: there are so many mentions")
    notes += [
        f"{times:g} times as many complaints are more than there are mentions: all of them complain then"
        for times in TIMES
        if turning(days.share, times) >= 1
    ]
    return notes
