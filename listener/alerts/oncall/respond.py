"""What an action does: to the alert's response, to silences, to the alert itself. Pure.

An action answers one event. When the alert has become worse since, the answer is to something smaller than what is
known now, and is refused; when it is over, there is nothing left to answer. So neither can an old ack hide a new level,
nor an ack that crosses the end bring anything back.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from listener.domain import Act, Action, Alert, AlertState, Channel, Outcome, Response, Severity, Silence, stable_id

SNOOZE_MINUTES = 60.0
SILENCE_MINUTES = 120.0
NOTES_CHARS_MAX = 10_000  # of all that is written about one alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an action. ``resolves`` says that the alert is to be ended by hand."""

    outcome: Outcome
    explanation: str
    response: Response
    silence: Silence | None = None
    resolves: bool = False


def respond(
    action: Action,
    *,
    alert: Alert,
    response: Response | None,
    now: datetime,
    ack_minutes: float | None,
    title: str | None = None,
) -> Handled:
    """Do what ``action`` asks for, if it still can be asked for.

    ``ack_minutes`` is how long an ack lasts, None for as long as the alert; ``title`` is the brand's name for people.
    """
    response = response or Response(alert_id=alert.id, brand=alert.brand)
    if action.act is Act.NOTE and (action.seq is None or action.seq <= alert.seq):
        return _noted(action, response, "noted")
    if alert.state is AlertState.RESOLVED and (action.seq is None or action.seq <= alert.seq):
        if action.act is Act.RESOLVE and (action.comment or action.helped):
            return _noted(action, response, "it was over already; what you wrote is kept with it")
        return Handled(outcome=Outcome.NOOP, explanation="it is over already", response=response)
    if (problem := _problem(action, alert)) is not None:
        return _refused(action, response, problem)
    return _done(action, alert, response, _acked(action, alert, response, now, ack_minutes), now, title or alert.brand)


def _refused(action: Action, response: Response, problem: str) -> Handled:
    """What was written of the cause is not lost with it."""
    kept = _with_notes(action, response) if action.act is Act.RESOLVE else response
    explanation = problem if kept == response else f"{problem}; what you wrote is kept with it"
    return Handled(outcome=Outcome.REFUSED, explanation=explanation, response=kept)


def _problem(action: Action, alert: Alert) -> str | None:
    """Why this cannot be done now."""
    if action.seq is None:
        return f"say which event you answer; the newest is {alert.seq}"
    if action.seq > alert.seq:
        return f"there is no event {action.seq} of this alert; the newest is {alert.seq}"
    if action.seq < alert.seq:
        what = "has come back" if alert.reopened else "has become worse"
        return f"it {what} since: you answer event {action.seq}, it is at {alert.seq} ({alert.severity.value})"
    if action.act is Act.ASSIGN and not action.assignee:
        return "say whom it is assigned to"
    if action.act is Act.RESOLVE and Channel.SOURCES in alert.signal.channels:
        return "its sources still fail, so it would come back at once; snooze or silence it"
    return None


def _done(action: Action, alert: Alert, response: Response, acked: Response, now: datetime, title: str) -> Handled:
    """``acked`` is the response with somebody on it."""
    done = Handled(outcome=Outcome.DONE, explanation="acked: no more repeats", response=acked)
    match action.act:
        case Act.ASSIGN:
            given = replace(acked, assignee=action.assignee)
            return replace(done, explanation=f"it is {action.assignee}'s now", response=given)
        case Act.SNOOZE:
            until_at = now + timedelta(minutes=action.minutes or SNOOZE_MINUTES)
            snoozed = replace(acked, snoozed_until_at=until_at, next_at=None if response.closed else until_at)
            return replace(done, explanation=f"snoozed until {_clock(until_at)}", response=snoozed)
        case Act.SILENCE:
            silence = _silence(action, alert, now)
            explanation = f"alerts of the rule {alert.rule} of {title} are silenced until {_clock(silence.ends_at)}"
            return replace(done, explanation=explanation, silence=silence)
        case Act.RESOLVE:
            ended = replace(_with_notes(action, response), resolved_by=action.by, next_at=None, snoozed_until_at=None)
            return replace(done, explanation="resolved", response=ended, resolves=True)
        case _:
            return _ack(alert, response, done)


def _ack(alert: Alert, response: Response, done: Handled) -> Handled:
    if response.acked_at is not None and response.snoozed_until_at is None and _holds(response, alert.severity):
        explanation = f"{response.acked_by} is on it already"
        return Handled(outcome=Outcome.NOOP, explanation=explanation, response=response)
    return done


def _holds(response: Response, severity: Severity) -> bool:
    return response.acked_severity is not None and response.acked_severity.rank >= severity.rank


def _acked(action: Action, alert: Alert, response: Response, now: datetime, ack_minutes: float | None) -> Response:
    """Somebody is on it, at the level that it has now."""
    return replace(
        response,
        acked_at=now,
        acked_by=action.by,
        acked_severity=alert.severity,
        first_acked_at=response.first_acked_at or now,
        snoozed_until_at=None,
        next_at=None if ack_minutes is None or response.closed else now + timedelta(minutes=ack_minutes),
    )


def _silence(action: Action, alert: Alert, now: datetime) -> Silence:
    return Silence(
        id=stable_id("silence", action.id, alert.id),
        starts_at=now,
        ends_at=now + timedelta(minutes=action.minutes or SILENCE_MINUTES),
        created_by=action.by,
        comment=action.comment or "",
        brand=alert.brand,
        rule=alert.rule,
    )


def _noted(action: Action, response: Response, explanation: str) -> Handled:
    return Handled(outcome=Outcome.DONE, explanation=explanation, response=_with_notes(action, response))


def _with_notes(action: Action, response: Response) -> Response:
    """The cause and what helped: what is new comes below what was written before."""
    return replace(
        response, cause=_added(response.cause, action.comment), helped=_added(response.helped, action.helped)
    )


def _added(known: str | None, new: str | None) -> str | None:
    if not known or not new:
        return new or known
    return known if new in known.split("\n\n") else f"{known}\n\n{new}"[:NOTES_CHARS_MAX]


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
