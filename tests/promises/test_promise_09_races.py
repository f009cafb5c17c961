"""Promise 9: in whatever order acks, ends and levels come, nothing comes back to life, nothing worse is hidden."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from listener.alerts.oncall.respond import respond
from listener.domain import Act, Action, Alert, AlertState, Outcome, Reason, Severity, Via
from tests.alerting import NOW, alert
from tests.oncall import World, event

SEQS = st.integers(1, 12)


class Races(RuleBasedStateMachine):
    """An alert that lives, people who answer any event of it at any time, and the rounds in which people are told."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.alert: Alert = replace(alert(), severity=Severity.WARNING)
        self.answered = 0
        self.world.decide(self._event(Reason.FIRST))
        self.world.round()

    def _event(self, reason: Reason):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return event(seq=self.alert.seq, reason=reason, state=self.alert.state, severity=self.alert.severity)

    @precondition(lambda self: self.alert.state is AlertState.FIRING and self.alert.severity is Severity.WARNING)
    @rule()
    def worsens(self) -> None:
        self.alert = replace(self.alert, severity=Severity.CRITICAL, seq=self.alert.seq + 1)
        self.world.decide(self._event(Reason.WORSENED))

    @precondition(lambda self: self.alert.state is AlertState.FIRING)
    @rule()
    def ends(self) -> None:
        self.alert = replace(self.alert, state=AlertState.RESOLVED, seq=self.alert.seq + 1, ended_at=NOW)
        self.world.decide(self._event(Reason.RESOLVED))

    @precondition(lambda self: self.alert.state is AlertState.RESOLVED)
    @rule()
    def comes_back(self) -> None:
        self.alert = replace(self.alert, state=AlertState.FIRING, seq=self.alert.seq + 1, ended_at=None)
        self.world.decide(self._event(Reason.REOPENED))

    @rule(minutes=st.integers(0, 200))
    def time_passes(self, minutes: int) -> None:
        self.world.round(timedelta(minutes=minutes))

    @rule(seq=SEQS, act=st.sampled_from([Act.ACK, Act.SNOOZE, Act.ASSIGN, Act.SILENCE]))
    def somebody_answers(self, seq: int, act: Act) -> None:
        key = event().alert_id
        before = self.world.responses.get(key)
        self.answered += 1
        action = Action(
            id=str(self.answered),
            target=key,
            act=act,
            seq=seq,
            by="mari",
            via=Via.MQTT,
            at=self.world.now,
            assignee="jaan",
        )
        found = respond(
            action,
            alert=replace(self.alert, signal=alert().signal),
            response=before,
            now=self.world.now,
            ack_minutes=24 * 60,
        )
        if seq < self.alert.seq or self.alert.state is AlertState.RESOLVED or seq > self.alert.seq:
            assert found.outcome is not Outcome.DONE
            assert before is None or found.response == before
        else:
            assert found.outcome in {Outcome.DONE, Outcome.NOOP}
            self.world.responses[key] = replace(found.response, alert_id=key)

    @invariant()
    def an_ack_holds_for_no_more_than_it_was_given_for(self) -> None:
        response = self.world.responses.get(event().alert_id)
        if response is None or response.acked_severity is None or self.alert.state is AlertState.RESOLVED:
            return
        untold = any(one.alert_id == response.alert_id for one in self.world.open.values())
        assert untold or response.acked_severity.rank >= self.alert.severity.rank

    @invariant()
    def what_is_over_asks_nobody(self) -> None:
        response = self.world.responses.get(event().alert_id)
        if response is not None and response.closed:
            assert response.next_at is None


Races.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_promise_09_races = Races.TestCase
