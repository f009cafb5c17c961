"""The chain: who is asked next and when, until somebody answers or everybody was asked often enough."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from listener.alerts.oncall.chain import answered, begun, due_again, first_steps, over, reminded
from listener.config.oncall import Escalation, Step
from listener.domain import Event, Reason, Response, Severity
from tests.alerting import NOW
from tests.oncall import MINUTE, event

NONE = Response(alert_id=event().alert_id, brand="acme")
CHAIN = Escalation(
    steps=(Step(to=("night",)), Step(to=("lead",), after_minutes=15), Step(to=("boss",), after_minutes=40)),
    repeat_minutes=30,
    repeats_max=2,
)


def begin(escalation: Escalation | None, response: Response = NONE, *, seq: int = 1) -> Response:
    return begun(response, event(seq=seq), ("mqtt",), escalation, NOW)


def test_the_steps_without_a_wait_are_taken_at_once() -> None:
    assert [step.to for step in first_steps(CHAIN)] == [("night",)]
    assert list(first_steps(Escalation())) == []
    assert list(first_steps(None)) == []


def test_when_it_is_told_the_next_step_is_due_after_its_time() -> None:
    found = begin(CHAIN)
    assert (found.told_seq, found.told_at, found.receivers) == (1, NOW, ("mqtt",))
    assert (found.step, found.next_at) == (1, NOW + 15 * MINUTE)


@pytest.mark.parametrize(
    ("escalation", "next_minutes"),
    [(None, None), (Escalation(), 30), (Escalation(repeats_max=0), None), (Escalation(repeat_minutes=7), 7)],
)
def test_without_steps_it_repeats_where_an_answer_is_wanted(
    escalation: Escalation | None, next_minutes: float | None
) -> None:
    assert begin(escalation).next_at == (None if next_minutes is None else NOW + next_minutes * MINUTE)


def test_something_worse_asks_again_whoever_had_answered_and_keeps_what_is_history() -> None:
    answered = replace(
        begin(CHAIN),
        receivers=("old",),
        messages=4,
        repeats=2,
        escalated=True,
        acked_at=NOW,
        acked_by="mari",
        acked_severity=Severity.WARNING,
        assignee="mari",
        snoozed_until_at=NOW,
        resolved_by="mari",
        closed=True,
        cause="the release",
        first_told_at=NOW - timedelta(days=1),
        first_acked_at=NOW - timedelta(hours=1),
    )
    found = begin(CHAIN, answered, seq=2)
    assert (found.acked_at, found.acked_by, found.acked_severity, found.snoozed_until_at) == (None,) * 4
    assert (found.messages, found.repeats, found.escalated, found.closed, found.resolved_by) == (
        0,
        0,
        False,
        False,
        None,
    )
    assert found.receivers == ("old", "mqtt")
    assert (found.cause, found.assignee) == ("the release", "mari")
    assert (found.first_told_at, found.first_acked_at) == (answered.first_told_at, answered.first_acked_at)


def test_the_whole_chain_in_order() -> None:
    response, found = begin(CHAIN), []
    while response.next_at is not None:
        now = response.next_at
        reminder = reminded(response, CHAIN, now)
        found.append(((now - NOW) / MINUTE, reminder.reason, reminder.to, reminder.last))
        response = reminder.response
    assert found == [
        (15, Reason.ESCALATED, ("lead",), False),
        (40, Reason.ESCALATED, ("boss",), False),
        (70, Reason.REPEAT, (), False),
        (100, Reason.REPEAT, (), True),
    ]
    assert (response.escalated, response.messages, response.step, response.repeats) == (True, 4, 3, 2)


def test_a_step_that_comes_late_does_not_move_the_next_one() -> None:
    late = reminded(begin(CHAIN), CHAIN, NOW + 35 * MINUTE).response
    assert late.next_at == NOW + 40 * MINUTE
    later = reminded(begin(CHAIN), CHAIN, NOW + 90 * MINUTE).response
    assert later.next_at == NOW + 90 * MINUTE


def test_where_nothing_repeats_the_last_step_is_the_last_call() -> None:
    chain = CHAIN.model_copy(update={"repeats_max": 0})
    second = reminded(begin(chain), chain, NOW + 15 * MINUTE)
    third = reminded(second.response, chain, NOW + 40 * MINUTE)
    assert (second.last, third.last) == (False, True)
    assert (third.response.escalated, third.response.next_at) == (True, None)


@pytest.mark.parametrize("snoozed", [True, False])
def test_an_answer_that_has_run_out_is_forgotten_and_all_are_asked_again(snoozed: bool) -> None:
    done = replace(begin(CHAIN), step=3, repeats=2, escalated=True, acked_at=NOW, acked_by="mari", messages=5)
    done = replace(done, acked_severity=Severity.CRITICAL, snoozed_until_at=NOW if snoozed else None)
    now = NOW + timedelta(hours=24)
    found = reminded(done, CHAIN, now)
    assert (found.reason, found.to, found.last) == (Reason.REPEAT, (), False)
    after = found.response
    assert (after.acked_at, after.acked_by, after.acked_severity, after.snoozed_until_at) == (None,) * 4
    assert (after.messages, after.repeats, after.escalated) == (6, 0, False)
    assert after.next_at == now + 30 * MINUTE


def test_a_chain_that_was_cut_short_since_repeats_from_where_it_is() -> None:
    response = replace(begin(CHAIN), step=3)
    found = reminded(response, Escalation(repeats_max=1), NOW + 40 * MINUTE)
    assert (found.reason, found.last) == (Reason.REPEAT, True)


def test_where_nobody_need_answer_any_more_the_timer_ends() -> None:
    found = reminded(begin(CHAIN), None, NOW + 15 * MINUTE)
    assert (found.reason, found.last, found.response.next_at) == (Reason.REPEAT, True, None)


def test_a_reminder_that_reaches_nobody_comes_later_and_does_not_count() -> None:
    before = begin(CHAIN)
    after = due_again(before, CHAIN, NOW)
    assert after == replace(before, next_at=NOW + 30 * MINUTE)
    assert due_again(before, None, NOW).next_at == NOW + MINUTE


# ------------------------------------------------------------------------------------- answered before it was told

DAY = timedelta(hours=24)


def acked(**changes: Any) -> Response:
    """Mari has acked, a minute ago, the event that was decided five minutes ago."""
    values: dict[str, Any] = {
        "acked_at": NOW - MINUTE,
        "acked_by": "mari",
        "acked_severity": Severity.CRITICAL,
        "next_at": NOW + DAY,
    }
    return replace(NONE, **{**values, **changes})


WAITED = event(decided_at=NOW - 5 * MINUTE)


@pytest.mark.parametrize(
    ("response", "escalation", "until_at"),
    [
        (acked(), CHAIN, NOW - MINUTE + DAY),
        (acked(), CHAIN.model_copy(update={"ack_minutes": None}), None),
        (acked(), None, None),
        (acked(snoozed_until_at=NOW + MINUTE), CHAIN, NOW + MINUTE),
        (acked(snoozed_until_at=NOW + MINUTE), None, NOW + MINUTE),
        (acked(acked_at=WAITED.decided_at, closed=True, next_at=None), CHAIN, NOW - 5 * MINUTE + DAY),
    ],
)
def test_an_answer_to_what_was_held_back_holds_when_it_is_told(
    response: Response, escalation: Escalation | None, until_at: datetime | None
) -> None:
    """It lasts as long as any other, whatever its timer was put off to; the chain goes on after it."""
    assert answered(response, WAITED, escalation, NOW)
    found = begun(response, WAITED, ("mqtt",), escalation, NOW)
    assert (found.acked_at, found.acked_by, found.acked_severity) == (response.acked_at, "mari", Severity.CRITICAL)
    assert (found.snoozed_until_at, found.next_at) == (response.snoozed_until_at, until_at)
    assert (found.told_seq, found.receivers, found.closed) == (1, ("mqtt",), False)


@pytest.mark.parametrize(
    ("response", "waited"),
    [
        (NONE, WAITED),
        (acked(acked_at=WAITED.decided_at - MINUTE), WAITED),  # it came back since
        (acked(acked_severity=Severity.WARNING), WAITED),  # it became worse since
        (acked(snoozed_until_at=NOW), WAITED),
        (acked(acked_at=NOW - DAY), replace(WAITED, decided_at=NOW - DAY)),
    ],
)
def test_an_answer_to_something_else_or_one_that_has_run_out_does_not_hold(response: Response, waited: Event) -> None:
    assert not answered(response, waited, CHAIN, NOW)
    found = begun(response, waited, ("mqtt",), CHAIN, NOW)
    assert (found.acked_at, found.snoozed_until_at, found.next_at) == (None, None, NOW + 15 * MINUTE)


def test_of_what_is_over_nothing_is_due() -> None:
    found = over(acked(snoozed_until_at=NOW + MINUTE))
    assert (found.closed, found.next_at, found.snoozed_until_at, found.acked_by) == (True, None, None, "mari")
