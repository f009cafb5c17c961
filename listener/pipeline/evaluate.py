"""Let every rule look at every brand, and keep what changed together with the notifications that it makes due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from listener.aggregate import COARSE_SECS, FINE_SECS, window_start
from listener.alerts.detect import detect
from listener.alerts.lifecycle import Transition, advance
from listener.alerts.notify import notifications
from listener.alerts.payload import StatePayload, alert_payload, as_json, state_payload
from listener.alerts.rules import Rule
from listener.config import Brand
from listener.domain import Alert, AlertState, Condition, Evidence, Reason, Severity, Signal, stable_id
from listener.pipeline.parts import Parts
from listener.store import alerts, windows

log = structlog.get_logger()

EVIDENCE = 3  # mentions that an alert shows
EVENTS = {Reason.FIRST: "alert.fired", Reason.WORSENED: "alert.worsened", Reason.RESOLVED: "alert.resolved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One look of all rules at all brands: the alerts that people are told of, and how every watched brand stands."""

    told: tuple[Alert, ...]
    states: tuple[StatePayload, ...]


async def evaluate(parts: Parts) -> Evaluation:
    """Let every rule look at every brand once, and keep what changed with the notifications it makes due.

    A brand without alerts (a competitor) is followed like the others, and nobody is told.
    """
    now = parts.now()
    latest = await alerts.latest(parts.database)
    told: list[Alert] = []
    states: list[StatePayload] = []
    for name, brand in parts.brands.items():
        rules = parts.rules.get(name, ())
        signals = [await _look(parts, rule, name, brand, now) for rule in rules]
        current: list[Alert] = []
        for rule, signal in zip(rules, signals, strict=True) if brand.alerts else ():
            before = latest.get(stable_id("fingerprint", name, rule.name))
            transition = await _advance(parts, rule, signal, before, brand.title, now)
            if transition.alert is not None:
                current.append(transition.alert)
            if transition.alert is not None and transition.reason is not None:
                told.append(transition.alert)
        if signals:
            states.append(state_payload(name, title=brand.title, alerts=current, signal=signals[0], now=now))
        _count_firing(parts, name, current)
    parts.metrics.evaluated.set(now.timestamp())
    return Evaluation(told=tuple(told), states=tuple(states))


async def _look(parts: Parts, rule: Rule, name: str, brand: Brand, now: datetime) -> Signal:
    recent_from_at = window_start(now, FINE_SECS) - timedelta(seconds=rule.window_secs)
    recent = await windows.read(parts.database, name, start_at=recent_from_at, end_at=now)
    baseline_from_at = now - timedelta(seconds=rule.baseline_secs)
    baseline = await windows.read(parts.database, name, start_at=baseline_from_at, end_at=now, size_secs=COARSE_SECS)
    signal = detect(
        rule,
        brand=name,
        recent=recent,
        baseline=baseline,
        usual_share=brand.thresholds.usual_negative_share,
        now=now,
    )
    for gauge, value in (
        (parts.metrics.negative_share, signal.observed),
        (parts.metrics.usual_share, signal.expected),
        (parts.metrics.perception, signal.perception),
    ):
        gauge.labels(brand=name).set(float("nan") if value is None else value)
    parts.metrics.volume.labels(brand=name).set(signal.mentions)
    return signal


async def _advance(
    parts: Parts, rule: Rule, signal: Signal, before: Alert | None, title: str, now: datetime
) -> Transition:
    proof: list[Evidence] = []
    if signal.condition is Condition.BREACHED:
        proof = await alerts.evidence(
            parts.database,
            signal.brand,
            start_at=signal.window_start_at,
            end_at=signal.window_end_at,
            limit=EVIDENCE,
        )
    transition = advance(
        before,
        signal,
        now,
        resolve_after_secs=rule.resolve_after_secs,
        evidence=[one.id for one in proof],
    )
    alert, reason = transition.alert, transition.reason
    if alert is None or alert == before:
        return transition
    body = {} if reason is None else as_json(alert_payload(alert, reason, title=title, evidence=proof, now=now))
    due = notifications(transition, receivers=tuple(parts.receivers), payload=body, now=now)
    if not await alerts.save_decision(parts.database, alert, due):
        # Another daemon on this database decided first; its decision is read at the next look.
        return Transition(alert=before, reason=None, explanation="another daemon decided first")
    if reason is not None:
        log.warning(
            EVENTS[reason],
            alert=alert.id,
            brand=alert.brand,
            rule=alert.rule,
            severity=alert.severity.value,
            seq=alert.seq,
            explanation=transition.explanation,
        )
    return transition


def _count_firing(parts: Parts, brand: str, current: Sequence[Alert]) -> None:
    for severity in Severity:
        count = sum(alert.state is AlertState.FIRING and alert.severity is severity for alert in current)
        parts.metrics.alerts_firing.labels(brand=brand, severity=severity.value).set(count)
