"""An alert's life: begins once, worsens, never gets milder, ends once, and only after calm that lasted."""

import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.lifecycle import Patience, Transition, advance, by_hand, patience_of
from listener.alerts.detection.rules import Blind, Deterioration, HighRisk
from listener.alerts.oncall.events import event_of
from listener.domain import Alert, AlertState, Channel, Condition, Reason, Resolution, Severity, Signal

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CALM_SECS = 1800
PATIENCE = Patience(resolve_after_secs=CALM_SECS)
PATIENT = Patience(resolve_after_secs=CALM_SECS, stale_after_secs=3 * 86400, reopen_within_secs=86400)

Look = tuple[Condition, Severity | None, tuple[Channel, ...]]
WARNING: Look = (Condition.BREACHED, Severity.WARNING, (Channel.EVIDENCE,))
CRITICAL: Look = (Condition.BREACHED, Severity.CRITICAL, (Channel.EVIDENCE,))
MANY: Look = (Condition.BREACHED, Severity.CRITICAL, (Channel.VOLUME,))
BOTH: Look = (Condition.BREACHED, Severity.CRITICAL, (Channel.EVIDENCE, Channel.VOLUME))
CALM: Look = (Condition.CALM, None, ())
UNKNOWN: Look = (Condition.UNKNOWN, None, ())
BLIND: Look = (Condition.BLIND, None, ())


def signal(
    look: Look = CRITICAL, at: datetime = NOW, spoke_at: datetime | None = None, onset_at: datetime | None = None
) -> Signal:
    """A finding of one rule about one brand."""
    condition, severity, channels = look
    return Signal(
        brand="acme",
        rule="deterioration",
        condition=condition,
        severity=severity,
        channels=channels,
        reason="the numbers",
        observed=0.5,
        expected=0.2,
        window_start_at=at - timedelta(hours=1),
        window_end_at=at,
        spoke_at=spoke_at,
        onset_at=onset_at,
    )


def live(*looks: Look, every_secs: float = 300, patience: Patience = PATIENCE) -> list[Transition]:
    """Follow one alert through looks at a fixed interval."""
    return follow([(every_secs, look) for look in looks], patience=patience)


def follow(
    steps: list[tuple[float, Look]], *, restart: bool = False, patience: Patience = PATIENCE
) -> list[Transition]:
    """Follow one alert through (seconds later, look); ``restart`` writes and reads it back before every look."""
    alert: Alert | None = None
    at, transitions = NOW, []
    for passed_secs, look in steps:
        at += timedelta(seconds=passed_secs)
        if restart:
            alert = pickle.loads(pickle.dumps(alert))  # noqa: S301 -- our own bytes
        step = advance(alert, signal(look, at), at, patience=patience, evidence=("m1", "m2"))
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
        advance(None, signal((Condition.BREACHED, None, ())), NOW, patience=PATIENCE)


# -------------------------------------------------------------------------------------------------------- other ends


def ended(*, first: Look = WARNING) -> list[tuple[float, Look]]:
    """An alert that has just resolved."""
    return [(0, first), (300, CALM), (CALM_SECS, CALM)]


def last(steps: list[tuple[float, Look]], patience: Patience = PATIENT) -> Transition:
    return follow(steps, patience=patience)[-1]


def test_recovery_says_so() -> None:
    alert = last(ended()).alert
    assert alert is not None
    assert (alert.state, alert.resolution) == (AlertState.RESOLVED, Resolution.RECOVERED)


def test_a_breach_soon_after_the_end_is_the_same_alert_again() -> None:
    steps = follow([*ended(first=CRITICAL), (86_399, WARNING)], patience=PATIENT)
    assert told(steps) == [Reason.FIRST, Reason.RESOLVED, Reason.REOPENED]
    first, again = steps[0].alert, steps[-1].alert
    assert first is not None
    assert again is not None
    assert again.id == first.id
    assert (again.state, again.severity, again.seq, again.reopened) == (AlertState.FIRING, Severity.CRITICAL, 3, 1)
    assert (again.started_at, again.ended_at, again.resolution) == (first.started_at, None, None)
    assert again.calm_since_at is None


def test_a_breach_later_is_a_new_alert() -> None:
    steps = follow([*ended(), (86_400, WARNING)], patience=PATIENT)
    assert told(steps) == [Reason.FIRST, Reason.RESOLVED, Reason.FIRST]
    assert steps[-1].alert is not None
    assert steps[-1].alert.reopened == 0


def test_a_reopened_alert_can_resolve_and_reopen_again() -> None:
    again: list[tuple[float, Look]] = [(60, WARNING), (300, CALM), (CALM_SECS, CALM)]
    steps = follow([*ended(), *again, *again], patience=PATIENT)
    assert told(steps) == [Reason.FIRST, *[Reason.RESOLVED, Reason.REOPENED] * 2, Reason.RESOLVED]
    alert = steps[-1].alert
    assert alert is not None
    assert (alert.reopened, alert.seq) == (2, 6)


def test_the_number_alone_does_not_reopen_in_its_cooldown() -> None:
    step = last([*ended(), (3600, MANY)])
    assert step.reason is None
    assert step.alert is not None
    assert step.alert.state is AlertState.RESOLVED
    assert step.explanation == "in its cooldown: the numbers"


@pytest.mark.parametrize("look", [BOTH, CRITICAL])
def test_evidence_reopens_whatever_the_number_does(look: Look) -> None:
    assert last([*ended(), (3600, look)]).reason is Reason.REOPENED


def test_after_the_cooldown_the_number_alone_fires_anew() -> None:
    assert last([*ended(), (86_400, MANY)]).reason is Reason.FIRST


def quiet(condition: Look, silent: timedelta) -> Transition:
    """What becomes of an alert when nobody has spoken for so long."""
    fired = advance(None, signal(CRITICAL), NOW, patience=PATIENT).alert
    at = NOW + silent
    return advance(fired, signal(condition, at, spoke_at=NOW), at, patience=PATIENT)


def test_three_days_of_silence_close_an_alert_and_say_that_nothing_is_known() -> None:
    assert quiet(UNKNOWN, timedelta(days=3) - timedelta(seconds=1)).reason is None
    step = quiet(UNKNOWN, timedelta(days=3))
    assert step.reason is Reason.RESOLVED
    assert step.alert is not None
    assert step.alert.resolution is Resolution.NO_DATA
    assert step.explanation.startswith("closed without recovery, nobody has spoken since 2026-03-02T12:00:00+00:00")


def test_silence_is_counted_from_the_beginning_when_nobody_ever_spoke() -> None:
    fired = advance(None, signal(CRITICAL), NOW, patience=PATIENT).alert
    at = NOW + timedelta(days=3)
    step = advance(fired, signal(UNKNOWN, at), at, patience=PATIENT)
    assert step.alert is not None
    assert step.alert.resolution is Resolution.NO_DATA


def test_while_blind_not_even_silence_closes_an_alert() -> None:
    step = quiet(BLIND, timedelta(days=30))
    assert step.reason is None
    assert step.alert is not None
    assert step.alert.state is AlertState.FIRING


def test_blind_is_not_recovery_and_stops_the_clock_of_calm() -> None:
    assert told(live(WARNING, *[BLIND] * 500, patience=PATIENT)) == [Reason.FIRST]
    steps = live(WARNING, CALM, CALM, CALM, *[BLIND] * 50, CALM, CALM, CALM, CALM)
    assert [step.reason for step in steps[:-1]] == [Reason.FIRST, *[None] * 56]
    assert steps[-1].reason is Reason.RESOLVED


def test_the_end_of_its_time_says_nothing_of_recovery() -> None:
    rule = HighRisk(name="high_risk", cooldown_secs=3600)
    steps = follow([(0, CRITICAL), (60, CALM), (3600, CALM)], patience=patience_of(rule))
    assert told(steps) == [Reason.FIRST, Reason.RESOLVED]
    assert steps[-1].alert is not None
    assert steps[-1].alert.resolution is Resolution.EXPIRED


def test_each_rule_has_its_patience() -> None:
    deterioration = Deterioration(name="d", resolve_after_secs=60, stale_after_secs=7200, reopen_within_secs=120)
    assert patience_of(deterioration) == Patience(resolve_after_secs=60, stale_after_secs=7200, reopen_within_secs=120)
    assert patience_of(HighRisk(name="h", cooldown_secs=90)) == Patience(resolve_after_secs=90, expires=True)
    assert patience_of(Blind(name="b", after_secs=70)) == Patience(resolve_after_secs=0.0, reopen_within_secs=70)


# --------------------------------------------------------------------------------------------------------- properties

LOOKS = st.sampled_from([WARNING, CRITICAL, MANY, BOTH, CALM, UNKNOWN, BLIND])
PATIENCES = st.sampled_from([PATIENCE, PATIENT])
LIVES = st.lists(st.tuples(st.floats(1, 1200) | st.floats(1, 100_000), LOOKS), max_size=60)


@given(LIVES, PATIENCES)
def test_first_then_worse_then_resolved_in_turn(steps: list[tuple[float, Look]], patience: Patience) -> None:
    """Per alert: one first, a worsening at most, each reopening after an end, each end after a beginning; one fires."""
    transitions = follow(steps, patience=patience)
    heard: dict[str, list[tuple[Reason, int]]] = {}
    firing: str | None = None
    for step in transitions:
        if step.alert is None or step.reason is None:
            continue
        heard.setdefault(step.alert.id, []).append((step.reason, step.alert.seq))
        if step.reason in {Reason.FIRST, Reason.REOPENED}:
            assert firing is None
            firing = step.alert.id
        assert firing == step.alert.id
        if step.reason is Reason.RESOLVED:
            firing = None
    for events in heard.values():
        reasons = [reason for reason, _ in events]
        assert [seq for _, seq in events] == list(range(1, len(events) + 1))
        assert reasons[0] is Reason.FIRST
        assert reasons.count(Reason.FIRST) == 1
        assert reasons.count(Reason.WORSENED) <= 1
        for before, after in pairwise(reasons):
            assert (before is Reason.RESOLVED) is (after is Reason.REOPENED)


@given(LIVES, PATIENCES)
def test_severity_of_one_alert_never_drops(steps: list[tuple[float, Look]], patience: Patience) -> None:
    transitions = follow(steps, patience=patience)
    for before, after in pairwise(transitions):
        if before.alert is not None and after.alert is not None and before.alert.id == after.alert.id:
            assert after.alert.severity.rank >= before.alert.severity.rank


@given(LIVES, PATIENCES)
def test_a_restart_before_every_look_changes_nothing(steps: list[tuple[float, Look]], patience: Patience) -> None:
    assert follow(steps, restart=True, patience=patience) == follow(steps, patience=patience)


@given(LIVES)
def test_the_same_look_twice_tells_once(steps: list[tuple[float, Look]]) -> None:
    """A tick that is repeated after a crash, with the same time and finding, tells people nothing new."""
    for (_, look), step in zip(steps, follow(steps, patience=PATIENT), strict=True):
        if step.alert is not None and step.reason is not None and step.reason is not Reason.RESOLVED:
            again = advance(
                step.alert,
                signal(look, step.alert.updated_at),
                step.alert.updated_at,
                patience=PATIENT,
                evidence=("m1", "m2"),
            )
            assert again.reason is None
            assert again.alert == step.alert


def test_an_event_says_what_changed() -> None:
    (step,) = live(CRITICAL)
    assert step.alert is not None
    found = event_of(step.alert, Reason.FIRST, payload={"a": 1}, now=NOW, market=["bolt"])
    assert (found.alert_id, found.seq, found.brand, found.rule) == (step.alert.id, 1, "acme", step.alert.rule)
    assert (found.severity, found.reason, found.state) == (Severity.CRITICAL, Reason.FIRST, AlertState.FIRING)
    assert (found.payload, found.decided_at, found.market) == ({"a": 1}, NOW, ("bolt",))
    assert found.id == event_of(step.alert, Reason.FIRST, payload={}, now=NOW + timedelta(hours=1)).id


def test_two_listeners_that_look_at_different_times_make_the_same_alert() -> None:
    onset_at = NOW - timedelta(minutes=20)
    one = advance(None, signal(onset_at=onset_at), NOW, patience=PATIENT)
    found = advance(None, signal(onset_at=onset_at), NOW + timedelta(seconds=37), patience=PATIENT)
    assert one.alert is not None
    assert found.alert is not None
    assert found.alert.id == one.alert.id
    assert found.alert.started_at != one.alert.started_at


def test_an_alert_that_begins_when_the_last_one_did_is_another_one() -> None:
    onset_at = NOW - timedelta(minutes=20)
    first = advance(None, signal(onset_at=onset_at), NOW, patience=PATIENT).alert
    assert first is not None
    ended = by_hand(first, NOW + timedelta(minutes=1))
    later = NOW + timedelta(days=9)
    second = advance(ended, signal(onset_at=onset_at), later, patience=PATIENT).alert
    assert second is not None
    assert second.id != first.id
    assert second.origin_at == later


def test_an_end_by_hand_says_so() -> None:
    first = advance(None, signal(), NOW, patience=PATIENT).alert
    assert first is not None
    ended = by_hand(first, NOW + timedelta(minutes=5))
    assert (ended.state, ended.resolution, ended.seq) == (AlertState.RESOLVED, Resolution.MANUAL, 2)
    assert ended.ended_at == NOW + timedelta(minutes=5)
    assert ended.id == first.id
