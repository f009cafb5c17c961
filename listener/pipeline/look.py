"""One look at one brand: all its rules judge it, and what changes is put together for one transaction. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.blind import Ear, blindness, deaf, is_blind
from listener.alerts.detection.budget import BLOCK_TICKS, LEFT_OUT_AFTER_ALERT_BLOCKS, TICK_SECS
from listener.alerts.detection.detect import detect
from listener.alerts.detection.highrisk import judge
from listener.alerts.detection.lifecycle import Transition, advance, patience_of
from listener.alerts.detection.rules import Blind, Deterioration, HighRisk, Rule
from listener.alerts.detection.standing import Counted, Fleet, Standing
from listener.domain import (
    Alert,
    AlertState,
    Ballot,
    Channel,
    Condition,
    Past,
    Reason,
    Severity,
    Signal,
    fingerprint,
)

# What has been bad for longer than this is what is usual now.
NEW_NORMAL = timedelta(seconds=LEFT_OUT_AFTER_ALERT_BLOCKS * BLOCK_TICKS * TICK_SECS)
DEFAULT_RULE = Deterioration(name="deterioration")
ALERTING = frozenset({Reason.FIRST, Reason.WORSENED, Reason.REOPENED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known of a brand when it is looked at. ``alerts`` are the newest ones by fingerprint."""

    brand: str
    rules: Sequence[Rule]
    standing: Standing | None
    ballots: Sequence[Ballot]
    fleet: Fleet
    now: datetime
    alerting: bool = True
    past: Sequence[Past] | None = None
    ears: Sequence[Ear] = ()
    alerts: Mapping[str, Alert] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look found: what was counted, how the brand stands now, and what becomes of its alerts.

    ``standing`` is what is to be kept; while an alert is decided it is what the decision was made from
    (``counted.standing``), and ``firing`` whether an alert fired already. ``left_out_from`` is the block from which the
    brand's votes teach nothing any more.
    """

    counted: Counted
    standing: Standing
    signal: Signal
    transitions: tuple[tuple[Rule, Transition], ...]
    blind: bool
    firing: bool
    left_out_from: int | None


def main_rule(rules: Sequence[Rule]) -> Deterioration:
    """The rule by which a brand's votes are counted; with its defaults where none is set."""
    return next((rule for rule in rules if isinstance(rule, Deterioration)), DEFAULT_RULE)


def look(case: Case) -> Look:
    """Count what is new of the brand, let every rule judge, and take its alerts further."""
    rule = main_rule(case.rules)
    before = {one.name: case.alerts.get(fingerprint(case.brand, one.name)) for one in case.rules}
    firing = before.get(rule.name)
    firing_from_at = _onset(firing) if firing is not None and _pages(firing) else None
    blind, signals = _blind(case, before)
    counted = standings.count(
        case.standing,
        case.ballots,
        rule=rule,
        now=case.now,
        fleet=case.fleet,
        past=case.past,
        firing_from_at=firing_from_at,
        frozen=firing is not None and _fires(firing) and case.now - _onset(firing) < NEW_NORMAL,
        blind=blind,
    )
    signal = detect(
        rule,
        brand=case.brand,
        standing=counted.standing,
        now=case.now,
        firing=firing is not None and _fires(firing),
        blind=blind,
    )
    transitions: list[tuple[Rule, Transition]] = []
    standing, left_out_from = counted.standing, None
    for one in case.rules if case.alerting else ():
        match one:
            case _ if not _may_change(before[one.name], one, signal, signals, case):
                transitions.append((one, Transition(alert=before[one.name], reason=None, explanation="nothing fires")))
                continue
            case Deterioration():
                found: Signal = signal
            case HighRisk():
                found = high_risk(one, case)
            case Blind():
                found = signals[one.name]
        transition = advance(before[one.name], found, case.now, patience=patience_of(one))
        transitions.append((one, transition))
        paging = transition.alert is not None and _pages(transition.alert) and transition.reason in ALERTING
        if isinstance(one, Deterioration) and paging and signal.onset_at is not None:
            # Mentions come late: what was counted now and said before the onset tells of the trouble too.
            said_at = min([signal.onset_at, *(vote.at for vote in counted.votes if vote.news)])
            left_out_from = sums.tick_of(said_at) // BLOCK_TICKS
        if isinstance(one, Deterioration) and transition.reason is Reason.RESOLVED:
            standing = standings.restarted(standing)
    return Look(
        counted=counted,
        standing=standing,
        signal=signal,
        transitions=tuple(transitions),
        blind=blind,
        firing=firing is not None and _fires(firing),
        left_out_from=left_out_from,
    )


def _may_change(before: Alert | None, rule: Rule, signal: Signal, signals: Mapping[str, Signal], case: Case) -> bool:
    """Whether there is anything to decide: an alert that fires, or something that may fire."""
    if before is not None and before.state is AlertState.FIRING:
        return True
    match rule:
        case Deterioration():
            return signal.severity is not None
        case Blind():
            return rule.name in signals
        case HighRisk():
            return any(one.reach is not None for one in case.ballots)


def high_risk(rule: HighRisk, case: Case) -> Signal:
    """The finding of the rule about single mentions: the heaviest of the new ones, if it is heavy enough."""
    news = [one for one in case.ballots if case.now - one.at < timedelta(seconds=standings.NEWS_SECS)]
    found = judge(news, weight_min=rule.weight_min, reach_great=rule.reach_great, risk_min=rule.risk_min)
    calm = Signal(
        brand=case.brand,
        rule=rule.name,
        condition=Condition.CALM,
        severity=None,
        reason="no single mention is so heavy",
        observed=None,
        expected=None,
        window_start_at=case.now - timedelta(seconds=standings.NEWS_SECS),
        window_end_at=case.now,
    )
    if found is None:
        return calm
    return replace(
        calm,
        condition=Condition.BREACHED,
        severity=found.severity,
        reason=found.reason,
        observed=found.ballot.risk,
        mentions=1,
        negative=1,
        perception=100 * found.ballot.polarity,
        channels=(Channel.MENTION,),
        onset_at=found.ballot.at,
        spoke_at=found.ballot.at,
        mention=found.ballot.mention,
        reach=found.ballot.reach,
    )


def _blind(case: Case, before: Mapping[str, Alert | None]) -> tuple[bool, dict[str, Signal]]:
    """Whether the brand is blind, and the findings of the rules that say so."""
    blind, signals = False, {}
    failing_somewhere = any(one.failing_since_at is not None for one in case.ears)
    for rule in case.rules:
        if not isinstance(rule, Blind):
            continue
        last = before[rule.name]
        if failing_somewhere or (last is not None and _fires(last)):
            failing = deaf(case.ears, rule, case.now)
            shares = dict(case.standing.sources) if case.standing is not None else {}
            here = is_blind(case.ears, failing, shares, rule)
            blind = blind or here
            signals[rule.name] = blindness(
                rule, brand=case.brand, ears=case.ears, failing=failing, blind=here, now=case.now
            )
    return blind, signals


def _fires(alert: Alert) -> bool:
    return alert.state is AlertState.FIRING


def _pages(alert: Alert) -> bool:
    """Whether what is said now is trouble, and must not become usual: for less the usual would be drawn downwards."""
    return _fires(alert) and alert.severity is Severity.CRITICAL


def _onset(alert: Alert) -> datetime:
    return min(alert.signal.onset_at or alert.started_at, alert.started_at)
