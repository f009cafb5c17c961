"""What a finding makes of an alert: nothing, its beginning, a worse level, its end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from listener.domain import Alert, AlertState, Condition, Reason, Severity, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What became of an alert.

    ``alert`` is to be kept (equal to the one before when nothing changed); ``reason`` is set when people are to be
    told, and then ``alert.seq`` is one higher than what was published of it before. ``explanation`` is one sentence.
    """

    alert: Alert | None
    reason: Reason | None
    explanation: str


def advance(
    alert: Alert | None, signal: Signal, now: datetime, *, resolve_after_secs: float, evidence: Sequence[str]
) -> Transition:
    """Take one alert (the latest of its brand and rule, or None) one finding further.

    A breach fires when nothing does, and worsens when it is more severe; it never makes an alert milder, since a person
    who was woken must not find a smaller thing than what woke them. Calm resolves once it has lasted
    ``resolve_after_secs``. Unknown is not recovery: the stretch of time it ends does not count as calm, but the calm
    before it stays counted, so a brand that few talk about at night can still resolve.

    ``evidence`` are ids of the mentions that weigh most; it is kept with what it proves, at firing and at worsening.
    A ``now`` before the last look (a clock set back) counts as no time passed.
    """
    if alert is None or alert.state is AlertState.RESOLVED:
        return _idle(alert, signal, now, evidence)
    at = max(now, alert.updated_at)
    match signal.condition:
        case Condition.BREACHED:
            return _breached(alert, signal, at, evidence)
        case Condition.CALM:
            return _calm(alert, signal, at, resolve_after_secs)
        case Condition.UNKNOWN:
            return _unknown(alert, signal, at)


def _idle(alert: Alert | None, signal: Signal, now: datetime, evidence: Sequence[str]) -> Transition:
    """Nothing fires; ``alert`` is the one that fired last, if any."""
    if signal.condition is not Condition.BREACHED:
        return Transition(alert=alert, reason=None, explanation=f"nothing fires: {signal.reason}")
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
    )
    return Transition(alert=fired, reason=Reason.FIRST, explanation=f"fires: {signal.reason}")


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


def _calm(alert: Alert, signal: Signal, at: datetime, resolve_after_secs: float) -> Transition:
    since_at = alert.calm_since_at or at
    calm_secs = (at - since_at).total_seconds()
    if alert.calm_since_at is None or calm_secs < resolve_after_secs:
        waiting = replace(alert, calm_since_at=since_at, updated_at=at)
        explanation = f"calm for {calm_secs:.0f} of {resolve_after_secs:.0f} seconds: {signal.reason}"
        return Transition(alert=waiting, reason=None, explanation=explanation)
    resolved = replace(
        alert,
        state=AlertState.RESOLVED,
        signal=signal,
        seq=alert.seq + 1,
        updated_at=at,
        ended_at=at,
        calm_since_at=since_at,
    )
    explanation = f"calm for {calm_secs:.0f} seconds, resolved: {signal.reason}"
    return Transition(alert=resolved, reason=Reason.RESOLVED, explanation=explanation)


def _unknown(alert: Alert, signal: Signal, at: datetime) -> Transition:
    if alert.calm_since_at is not None:
        # Moving the start of calm takes the time since the last look out of it.
        alert = replace(alert, calm_since_at=alert.calm_since_at + (at - alert.updated_at), updated_at=at)
    return Transition(alert=alert, reason=None, explanation=f"still fires, nothing is known: {signal.reason}")


def _severity(signal: Signal) -> Severity:
    if signal.severity is None:
        raise ValueError(f"rule {signal.rule!r} says breached without a severity")
    return signal.severity
