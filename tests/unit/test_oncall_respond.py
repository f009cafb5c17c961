"""What an action does, and what it can no longer do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from listener.alerts.oncall.respond import Handled, respond
from listener.domain import (
    Act,
    Action,
    Alert,
    AlertState,
    Channel,
    Outcome,
    Resolution,
    Response,
    Severity,
    Via,
)
from tests.alerting import NOW, alert, signal

ALERT = alert()


def action(act: Act, *, seq: int | None = 1, **changes: Any) -> Action:
    values: dict[str, Any] = {"id": f"{act}", "target": ALERT.id, "by": "mari", "via": Via.MQTT, "at": NOW}
    return Action(act=act, seq=seq, **{**values, **changes})


def told(**changes: Any) -> Response:
    values: dict[str, Any] = {"told_seq": 1, "told_at": NOW, "receivers": ("mqtt",), "next_at": NOW}
    return Response(alert_id=ALERT.id, brand=ALERT.brand, **{**values, **changes})


def done(one: Action, *, to: Alert = ALERT, response: Response | None = None) -> Handled:
    return respond(one, alert=to, response=response or told(), now=NOW, ack_minutes=24 * 60)


def over(**changes: Any) -> Alert:
    return replace(ALERT, state=AlertState.RESOLVED, seq=2, ended_at=NOW, resolution=Resolution.RECOVERED, **changes)


def test_an_ack_stops_repeats_and_says_who_and_at_which_level() -> None:
    found = done(action(Act.ACK))
    assert found.outcome is Outcome.DONE
    assert found.response.acked_by == "mari"
    assert found.response.acked_severity is Severity.CRITICAL
    assert found.response.next_at == NOW + timedelta(hours=24)


def test_a_second_ack_changes_nothing_and_says_who_is_on_it() -> None:
    first = done(action(Act.ACK)).response
    second = done(action(Act.ACK, by="jaan"), response=first)
    assert (second.outcome, second.response) == (Outcome.NOOP, first)
    assert "mari" in second.explanation


@pytest.mark.parametrize("act", [Act.ACK, Act.ASSIGN, Act.SNOOZE, Act.SILENCE, Act.RESOLVE])
@pytest.mark.parametrize("seq", [1, 2, None])
def test_an_answer_to_what_is_over_does_nothing(act: Act, seq: int | None) -> None:
    found = done(action(act, seq=seq, assignee="jaan"), to=over())
    assert found.outcome is Outcome.NOOP
    assert found.response == told()
    assert found.silence is None
    assert not found.resolves


@pytest.mark.parametrize("act", [Act.ACK, Act.ASSIGN, Act.SNOOZE, Act.SILENCE, Act.RESOLVE])
def test_an_answer_to_less_than_is_known_by_now_is_refused(act: Act) -> None:
    worse = replace(ALERT, seq=2)
    found = done(action(act, seq=1, assignee="jaan"), to=worse)
    assert found.outcome is Outcome.REFUSED
    assert "worse" in found.explanation
    assert found.response == told()


@pytest.mark.parametrize("act", list(Act))
def test_an_answer_to_what_has_not_happened_is_refused(act: Act) -> None:
    assert done(action(act, seq=7, assignee="jaan")).outcome is Outcome.REFUSED
    assert done(action(act, seq=7, assignee="jaan"), to=over()).outcome is Outcome.REFUSED


def test_an_answer_without_an_event_is_refused() -> None:
    assert done(action(Act.ACK, seq=None)).outcome is Outcome.REFUSED


def test_assigning_needs_somebody() -> None:
    assert done(action(Act.ASSIGN)).outcome is Outcome.REFUSED
    found = done(action(Act.ASSIGN, assignee="jaan"))
    assert (found.response.assignee, found.response.acked_by) == ("jaan", "mari")


def test_a_snooze_reminds_when_it_is_over() -> None:
    found = done(action(Act.SNOOZE, minutes=20.0))
    until = NOW + timedelta(minutes=20)
    assert (found.response.snoozed_until_at, found.response.next_at) == (until, until)


def test_an_ack_after_a_snooze_stays() -> None:
    snoozed = done(action(Act.SNOOZE)).response
    found = done(action(Act.ACK), response=snoozed)
    assert found.outcome is Outcome.DONE
    assert found.response.snoozed_until_at is None


def test_a_silence_is_of_the_brand_and_the_rule_and_ends() -> None:
    found = done(action(Act.SILENCE, minutes=30.0, comment="release"))
    assert found.silence is not None
    assert (found.silence.brand, found.silence.rule, found.silence.comment) == ("acme", "deterioration", "release")
    assert found.explanation.startswith("alerts of the rule deterioration of acme are silenced until 20")
    matching: dict[str, Any] = {"brand": "acme", "rule": "deterioration", "severity": Severity.CRITICAL}
    assert found.silence.matches(**matching, at=NOW)
    assert not found.silence.matches(**matching, at=NOW + timedelta(minutes=30))


def test_a_silence_names_the_brand_as_people_do() -> None:
    one = action(Act.SILENCE)
    found = respond(one, alert=ALERT, response=None, now=NOW, ack_minutes=None, title="Acme OÜ")
    assert found.explanation.startswith("alerts of the rule deterioration of Acme OÜ are silenced until ")


def test_resolving_keeps_the_cause_and_what_helped() -> None:
    found = done(action(Act.RESOLVE, comment="the lockers", helped="a refund"))
    assert found.resolves
    assert (found.response.cause, found.response.helped) == ("the lockers", "a refund")
    assert found.response.resolved_by == "mari"
    assert found.response.next_at is None


def test_what_is_written_after_the_end_is_kept() -> None:
    for act in (Act.RESOLVE, Act.NOTE):
        found = done(action(act, comment="the lockers"), to=over())
        assert (found.outcome, found.response.cause, found.resolves) == (Outcome.DONE, "the lockers", False)


def test_a_note_adds_to_what_was_written() -> None:
    before = told(cause="the lockers", helped="a refund")
    found = done(action(Act.NOTE, helped="a call"), response=before)
    assert (found.response.cause, found.response.helped) == ("the lockers", "a refund\n\na call")
    again = done(action(Act.NOTE, helped="a call"), response=found.response)
    assert again.response == found.response


def test_who_cannot_be_heard_cannot_be_called_well() -> None:
    deaf = alert(rule="blind", signal=signal(channels=(Channel.SOURCES,)))
    found = done(action(Act.RESOLVE), to=deaf)
    assert found.outcome is Outcome.REFUSED
    assert "snooze" in found.explanation


def test_an_alert_that_nobody_was_told_of_can_be_answered() -> None:
    found = respond(action(Act.ACK), alert=ALERT, response=None, now=NOW, ack_minutes=None)
    assert found.outcome is Outcome.DONE
    assert found.response.next_at is None
