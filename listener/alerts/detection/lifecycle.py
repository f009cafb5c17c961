"""What a finding makes of an alert: nothing, its beginning, a worse level, its end, its return. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from listener.alerts.detection.rules import Blind, HighRisk, Rule
from listener.domain import Alert, AlertState, Channel, Condition, Reason, Resolution, Severity, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long things must last before an alert changes.

    ``calm`` resolves it after ``resolve_after_secs``; a silence of ``stale_after_secs`` closes it without recovery
    (None: never); a breach within ``reopen_within_secs`` of the end is the same alert again. ``expires``: the end of
    that time says nothing of recovery.
    """

    resolve_after_secs: float
    stale_after_secs: float | None = None
    reopen_within_secs: float = 0.0
    expires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What became of an alert.

    ``alert`` is to be kept (equal to the one before when nothing changed); ``reason`` is set when people are to be
    told, and then ``alert.seq`` is one higher than what was published of it before. ``explanation`` is one sentence.
    """

    alert: Alert | None
    reason: Reason | None
    explanation: str


def patience_of(rule: Rule) -> Patience:
    """How patient a rule is."""
    match rule:
        case HighRisk():
            return Patience(resolve_after_secs=rule.cooldown_secs, expires=True)
        case Blind():
            return Patience(resolve_after_secs=0.0, reopen_within_secs=rule.after_secs)
        case _:
            return Patience(
                resolve_after_secs=rule.resolve_after_secs,
                stale_after_secs=rule.stale_after_secs,
                reopen_within_secs=rule.reopen_within_secs,
            )


def advance(
    alert: Alert | None, signal: Signal, now: datetime, *, patience: Patience, evidence: Sequence[str] = ()
) -> Transition:
    """Take one alert (the latest of its brand and rule, or None) one finding further.

    A breach fires when nothing does, and worsens when it is more severe; it never makes an alert milder, since a person
    who was woken must not find a smaller thing than what woke them. Calm resolves once it has lasted. Unknown and blind
    are not recovery: the stretch of time they end does not count as calm, but the calm before it stays counted, so a
    brand that few talk about at night can still resolve. A long silence closes an alert, and says that it knows
    nothing; while blind not even that.

    ``evidence`` are ids of the mentions that weigh most; it is kept with what it proves.
    A ``now`` before the last look (a clock set back) counts as no time passed.
    """
    if alert is None or alert.state is AlertState.RESOLVED:
        return _idle(alert, signal, now, patience, evidence)
    at = max(now, alert.updated_at)
    match signal.condition:
        case Condition.BREACHED:
            return _breached(alert, signal, at, evidence)
        case Condition.CALM:
            return _calm(alert, signal, at, patience)
        case Condition.UNKNOWN | Condition.BLIND:
            return _unknown(alert, signal, at, patience)


def _idle(
    alert: Alert | None, signal: Signal, now: datetime, patience: Patience, evidence: Sequence[str]
) -> Transition:
    """Nothing fires; ``alert`` is the one that fired last, if any."""
    if signal.condition is not Condition.BREACHED:
        return Transition(alert=alert, reason=None, explanation=f"nothing fires: {signal.reason}")
    if alert is not None and alert.ended_at is not None:
        since_end = max(now, alert.updated_at) - alert.ended_at
        if since_end < timedelta(seconds=patience.reopen_within_secs):
            return _again(alert, signal, max(now, alert.updated_at), evidence)
    # The start is in the id, so a new alert must not start when an older one did, whatever the clock says.
    started_at = now if alert is None else max(now, alert.updated_at)
    fired = Alert(
        brand=signal.brand,
        rule=signal.rule,
        severity=_severity(signal),
        state=AlertState.FIRING,
        started_at=started_at,
        updated_at=started_at,
        signal=signal,
        evidence=tuple(evidence),
        origin_at=_origin(alert, signal, started_at),
    )
    return Transition(alert=fired, reason=Reason.FIRST, explanation=f"fires: {signal.reason}")


def _origin(last: Alert | None, signal: Signal, started_at: datetime) -> datetime:
    """When it began by the mentions' own times, on which two listeners agree; never when an older alert did."""
    origin_at = signal.onset_at
    if origin_at is None or (last is not None and origin_at <= (last.origin_at or last.started_at)):
        return started_at
    return origin_at


def _again(alert: Alert, signal: Signal, at: datetime, evidence: Sequence[str]) -> Transition:
    """A breach soon after the end. The number of mentions alone has its cooldown: it may rise again as it falls."""
    if signal.channels == (Channel.VOLUME,):
        return Transition(alert=alert, reason=None, explanation=f"in its cooldown: {signal.reason}")
    severity = max(alert.severity, _severity(signal), key=lambda one: one.rank)
    reopened = replace(
        alert,
        severity=severity,
        state=AlertState.FIRING,
        signal=signal,
        seq=alert.seq + 1,
        updated_at=at,
        ended_at=None,
        calm_since_at=None,
        resolution=None,
        reopened=alert.reopened + 1,
        evidence=tuple(evidence),
    )
    return Transition(alert=reopened, reason=Reason.REOPENED, explanation=f"fires again: {signal.reason}")


def _breached(alert: Alert, signal: Signal, at: datetime, evidence: Sequence[str]) -> Transition:
    severity = _severity(signal)
    if severity.rank > alert.severity.rank:
        worse = replace(
            alert,
            severity=severity,
            signal=signal,
            seq=alert.seq + 1,
            updated_at=at,
            calm_since_at=None,
            evidence=tuple(evidence),
        )
        explanation = f"was {alert.severity.value}, is {severity.value}: {signal.reason}"
        return Transition(alert=worse, reason=Reason.WORSENED, explanation=explanation)
    if alert.calm_since_at is not None:
        alert = replace(alert, calm_since_at=None, updated_at=at)
    return Transition(alert=alert, reason=None, explanation=f"still fires: {signal.reason}")


def _calm(alert: Alert, signal: Signal, at: datetime, patience: Patience) -> Transition:
    since_at = alert.calm_since_at or at
    calm_secs = (at - since_at).total_seconds()
    if alert.calm_since_at is None or calm_secs < patience.resolve_after_secs:
        waiting = replace(alert, calm_since_at=since_at, updated_at=at)
        explanation = f"calm for {calm_secs:.0f} of {patience.resolve_after_secs:.0f} seconds: {signal.reason}"
        return Transition(alert=waiting, reason=None, explanation=explanation)
    how = Resolution.EXPIRED if patience.expires else Resolution.RECOVERED
    return _ended(alert, signal, at, how, f"calm for {calm_secs:.0f} seconds, resolved: {signal.reason}")


def _unknown(alert: Alert, signal: Signal, at: datetime, patience: Patience) -> Transition:
    spoke_at = signal.spoke_at or alert.started_at
    stale = patience.stale_after_secs is not None and at - spoke_at >= timedelta(seconds=patience.stale_after_secs)
    if stale and signal.condition is Condition.UNKNOWN:
        explanation = f"closed without recovery, nobody has spoken since {spoke_at.isoformat()}: {signal.reason}"
        return _ended(alert, signal, at, Resolution.NO_DATA, explanation)
    if alert.calm_since_at is not None:
        # Moving the start of calm takes the time since the last look out of it.
        alert = replace(alert, calm_since_at=alert.calm_since_at + (at - alert.updated_at), updated_at=at)
    return Transition(alert=alert, reason=None, explanation=f"still fires, nothing is known: {signal.reason}")


def by_hand(alert: Alert, now: datetime) -> Alert:
    """The alert when a person says that it is dealt with; the signal stays the last one that was seen."""
    at = max(now, alert.updated_at)
    return replace(
        alert,
        state=AlertState.RESOLVED,
        seq=alert.seq + 1,
        updated_at=at,
        ended_at=at,
        resolution=Resolution.MANUAL,
    )


def _ended(alert: Alert, signal: Signal, at: datetime, how: Resolution, explanation: str) -> Transition:
    resolved = replace(
        alert,
        state=AlertState.RESOLVED,
        signal=signal,
        seq=alert.seq + 1,
        updated_at=at,
        ended_at=at,
        resolution=how,
    )
    return Transition(alert=resolved, reason=Reason.RESOLVED, explanation=explanation)


def _severity(signal: Signal) -> Severity:
    if signal.severity is None:
        raise ValueError(f"rule {signal.rule!r} says breached without a severity")
    return signal.severity
