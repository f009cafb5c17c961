"""An alert's life: begins once, worsens, never gets milder, ends once, and only after calm that lasted."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.lifecycle import Transition, advance
from listener.alerts.notify import notifications
from listener.domain import Alert, AlertState, Condition, Reason, Severity, Signal

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CALM_SECS = 1800

Look = tuple[Condition, Severity | None]
WARNING: Look = (Condition.BREACHED, Severity.WARNING)
CRITICAL: Look = (Condition.BREACHED, Severity.CRITICAL)
CALM: Look = (Condition.CALM, None)
UNKNOWN: Look = (Condition.UNKNOWN, None)


def signal(look: Look, at: datetime = NOW) -> Signal:
    """A finding of one rule about one brand."""
    condition, severity = look
    return Signal(
        brand="acme",
        rule="share",
        condition=condition,
        severity=severity,
        reason="the numbers",
        observed=0.5,
        expected=0.2,
        window_start_at=at - timedelta(hours=1),
        window_end_at=at,
    )


def live(*looks: Look, every_secs: float = 300) -> list[Transition]:
    """Follow one alert through looks at a fixed interval."""
    return follow([(every_secs, look) for look in looks])


def follow(steps: list[tuple[float, Look]], *, restart: bool = False) -> list[Transition]:
    """Follow one alert through (seconds later, look); ``restart`` writes and reads it back before every look."""
    alert: Alert | None = None
    at, transitions = NOW, []
    for passed_secs, look in steps:
        at += timedelta(seconds=passed_secs)
        if restart:
            alert = pickle.loads(pickle.dumps(alert))  # noqa: S301 -- our own bytes
        step = advance(alert, signal(look, at), at, resolve_after_secs=CALM_SECS, evidence=("m1", "m2"))
        alert = step.alert
        transitions.append(step)
    return transitions


def told(transitions: list[Transition]) -> list[Reason]:
    """What people heard of."""
    return [step.reason for step in transitions if step.reason is not None]


def test_nothing_fires_without_a_breach() -> None:
    assert [step.alert for step in live(CALM, UNKNOWN, CALM)] == [None, None, None]


def test_a_breach_fires_once() -> None:
    steps = live(WARNING, WARNING, WARNING)
    assert told(steps) == [Reason.FIRST]
    first = steps[0].alert
    assert first is not None
    assert (first.state, first.severity, first.seq, first.evidence) == (
        AlertState.FIRING,
        Severity.WARNING,
        1,
        ("m1", "m2"),
    )
    assert first.started_at == first.updated_at == NOW + timedelta(seconds=300)
    assert steps[2].alert == first  # nothing changed, so nothing needs to be written


def test_it_worsens_but_never_gets_milder() -> None:
    steps = live(WARNING, CRITICAL, WARNING, CRITICAL)
    assert told(steps) == [Reason.FIRST, Reason.WORSENED]
    last = steps[-1].alert
    assert last is not None
    assert (last.severity, last.seq) == (Severity.CRITICAL, 2)
    assert steps[1].explanation == "was warning, is critical: the numbers"


def test_it_resolves_after_calm_that_lasted() -> None:
    """Calm is first seen at the second look; it has lasted half an hour at the eighth."""
    steps = live(WARNING, *[CALM] * 7)
    assert [step.reason for step in steps] == [Reason.FIRST, *[None] * 6, Reason.RESOLVED]
    last = steps[-1].alert
    assert last is not None
    assert (last.state, last.seq, last.ended_at) == (AlertState.RESOLVED, 2, NOW + timedelta(seconds=8 * 300))
    assert steps[-2].explanation == "calm for 1500 of 1800 seconds: the numbers"


def test_a_breach_breaks_the_calm() -> None:
    steps = live(WARNING, *[CALM] * 6, WARNING, *[CALM] * 6)
    assert told(steps) == [Reason.FIRST]


def test_unknown_is_not_recovery() -> None:
    assert told(live(WARNING, *[UNKNOWN] * 500)) == [Reason.FIRST]


def test_unknown_stops_the_clock_of_calm() -> None:
    """Ten minutes of calm, hours of nothing, and twenty minutes of calm more: only then half an hour is full."""
    steps = live(WARNING, CALM, CALM, CALM, *[UNKNOWN] * 50, CALM, CALM, CALM, CALM)
    assert [step.reason for step in steps[:-1]] == [Reason.FIRST, *[None] * 56]
    assert steps[-1].reason is Reason.RESOLVED


def test_calm_must_be_seen_again_to_resolve() -> None:
    """One calm look after a long time without looks is not half an hour of calm."""
    assert told(follow([(0, WARNING), (10 * CALM_SECS, CALM)])) == [Reason.FIRST]


def test_a_new_alert_after_a_resolved_one_has_its_own_id() -> None:
    steps = live(WARNING, *[CALM] * 7, WARNING)
    assert told(steps) == [Reason.FIRST, Reason.RESOLVED, Reason.FIRST]
    old, new = steps[-2].alert, steps[-1].alert
    assert old is not None
    assert new is not None
    assert old.id != new.id
    assert old.fingerprint == new.fingerprint
    assert new.seq == 1


def test_a_clock_set_back_counts_as_no_time() -> None:
    steps = follow([(0, WARNING), (300, CALM), (-7200, CALM), (7200, CALM)])
    assert told(steps) == [Reason.FIRST]
    last = steps[-1].alert
    assert last is not None
    assert last.updated_at == NOW + timedelta(seconds=300)


def test_a_breach_without_severity_is_a_bug() -> None:
    with pytest.raises(ValueError, match="without a severity"):
        advance(None, signal((Condition.BREACHED, None)), NOW, resolve_after_secs=1, evidence=())


LOOKS = st.sampled_from([WARNING, CRITICAL, CALM, UNKNOWN])
LIVES = st.lists(st.tuples(st.floats(1, 1200), LOOKS), max_size=60)


@given(LIVES)
def test_first_then_worse_then_resolved_once(steps: list[tuple[float, Look]]) -> None:
    """Per alert: one first, at most two worsenings, at most one resolved and it is the last; at most one fires."""
    transitions = follow(steps)
    heard: dict[str, list[tuple[Reason, int]]] = {}
    firing: str | None = None
    for step in transitions:
        if step.alert is None or step.reason is None:
            continue
        heard.setdefault(step.alert.id, []).append((step.reason, step.alert.seq))
        if step.reason is Reason.FIRST:
            assert firing is None
            firing = step.alert.id
        assert firing == step.alert.id
        if step.reason is Reason.RESOLVED:
            firing = None
    for events in heard.values():
        reasons = [reason for reason, _ in events]
        assert [seq for _, seq in events] == list(range(1, len(events) + 1))
        assert reasons[0] is Reason.FIRST
        assert all(reason is Reason.WORSENED for reason in reasons[1:-1])
        assert reasons.count(Reason.FIRST) == 1
        assert reasons.count(Reason.WORSENED) <= 1


@given(LIVES)
def test_severity_never_drops_while_it_fires(steps: list[tuple[float, Look]]) -> None:
    transitions = follow(steps)
    for before, after in pairwise(transitions):
        if before.alert is not None and after.alert is not None and before.alert.id == after.alert.id:
            assert after.alert.severity.rank >= before.alert.severity.rank


@given(LIVES)
def test_a_restart_before_every_look_changes_nothing(steps: list[tuple[float, Look]]) -> None:
    assert follow(steps, restart=True) == follow(steps)


@given(LIVES)
def test_the_same_look_twice_tells_once(steps: list[tuple[float, Look]]) -> None:
    """A tick that is repeated after a crash, with the same time and finding, tells people nothing new."""
    for (_, look), step in zip(steps, follow(steps), strict=True):
        if step.alert is not None and step.reason is not None and step.reason is not Reason.RESOLVED:
            again = advance(
                step.alert,
                signal(look, step.alert.updated_at),
                step.alert.updated_at,
                resolve_after_secs=CALM_SECS,
                evidence=("m1", "m2"),
            )
            assert again.reason is None
            assert again.alert == step.alert


def test_each_receiver_is_told_of_a_transition() -> None:
    (step,) = live(CRITICAL)
    rows = notifications(step, receivers=("mqtt", "pager"), payload={"a": 1}, now=NOW)
    assert [row.receiver for row in rows] == ["mqtt", "pager"]
    assert len({row.id for row in rows}) == 2
    (row, _) = rows
    assert step.alert is not None
    assert (row.alert_id, row.seq, row.brand) == (step.alert.id, 1, "acme")
    assert (row.severity, row.reason, row.payload) == (Severity.CRITICAL, Reason.FIRST, {"a": 1})
    assert (row.decided_at, row.due_at, row.attempt) == (NOW, NOW, 0)


def test_nobody_is_told_when_nothing_happened() -> None:
    quiet = live(WARNING, WARNING)[-1]
    assert notifications(quiet, receivers=("mqtt",), payload={}, now=NOW) == []
    assert notifications(replace(quiet, alert=None), receivers=("mqtt",), payload={}, now=NOW) == []
