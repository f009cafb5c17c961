"""The chain: what happens until somebody answers. Steps one after the other, then repeats, then no more. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from listener.config.oncall import Escalation, Step
from listener.domain import Event, Reason, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """What is due: ``to`` whom (empty: all that were told), and how the response stands when it was done.

    ``last`` says that nobody will be asked again.
    """

    reason: Reason
    to: tuple[str, ...]
    response: Response
    last: bool


def first_steps(escalation: Escalation | None) -> Sequence[Step]:
    """The steps that are taken at once."""
    return () if escalation is None else [step for step in escalation.steps if step.after_minutes == 0]


def begun(
    response: Response, event: Event, receivers: Sequence[str], escalation: Escalation | None, now: datetime
) -> Response:
    """The response when ``event`` is told now: whoever acked something smaller is asked again."""
    told = tuple(dict.fromkeys((*response.receivers, *receivers)))
    step = len(first_steps(escalation))
    after = replace(
        response,
        told_seq=event.seq,
        told_at=now,
        first_told_at=response.first_told_at or now,
        receivers=told,
        messages=0,
        step=step,
        repeats=0,
        next_at=_next_at(escalation, now, step, 0, now),
        escalated=False,
        resolved_by=None,
        closed=False,
    )
    if answered(response, event, escalation, now):
        return replace(after, next_at=_answered_until_at(response, escalation))
    return replace(after, acked_at=None, acked_by=None, acked_severity=None, snoozed_until_at=None)


def answered(response: Response, event: Event, escalation: Escalation | None, now: datetime) -> bool:
    """Whether somebody is on ``event`` already, though nobody was told of it until now.

    They have seen it elsewhere (the state, the command line) while something held it back, and answered it at its
    level: nobody needs to be woken for it. Such an answer lasts as long as any other.
    """
    if response.acked_at is None or response.acked_severity is None:
        return False
    # What was acked before this event was decided is something else: it became worse since, or came back.
    same = response.acked_at >= event.decided_at and response.acked_severity.rank >= event.severity.rank
    until_at = _answered_until_at(response, escalation)
    return same and (until_at is None or now < until_at)


def _answered_until_at(response: Response, escalation: Escalation | None) -> datetime | None:
    """When a snooze or an ack runs out, whatever the timer says: it is put off while a hold lasts."""
    minutes = None if escalation is None else escalation.ack_minutes
    if response.snoozed_until_at is not None or response.acked_at is None or minutes is None:
        return response.snoozed_until_at
    return response.acked_at + timedelta(minutes=minutes)


def reminded(response: Response, escalation: Escalation | None, now: datetime) -> Reminder:
    """What the timer of a response that is due asks for.

    A snooze or an ack that has run out is forgotten, and everybody is asked again; otherwise it is the next step's
    turn, or all are asked once more.
    """
    messages = response.messages + 1
    told_at = response.told_at or now
    if response.acked_at is not None:
        awake = replace(response, acked_at=None, acked_by=None, acked_severity=None, snoozed_until_at=None)
        next_at = _next_at(escalation, told_at, response.step, 0, now)
        after = replace(awake, messages=messages, repeats=0, escalated=False, next_at=next_at)
        return Reminder(reason=Reason.REPEAT, to=(), response=after, last=False)
    steps = () if escalation is None else escalation.steps
    if response.step < len(steps):
        step = response.step + 1
        last = escalation is not None and step == len(steps) and escalation.repeats_max == 0
        next_at = None if last else _next_at(escalation, told_at, step, 0, now)
        after = replace(response, messages=messages, step=step, escalated=last, next_at=next_at)
        return Reminder(reason=Reason.ESCALATED, to=steps[response.step].to, response=after, last=last)
    repeats = response.repeats + 1
    last = escalation is None or repeats >= escalation.repeats_max
    next_at = None if last else _next_at(escalation, told_at, response.step, repeats, now)
    after = replace(response, messages=messages, repeats=repeats, escalated=last, next_at=next_at)
    return Reminder(reason=Reason.REPEAT, to=(), response=after, last=last)


def due_again(response: Response, escalation: Escalation | None, now: datetime) -> Response:
    """The response when its reminder could reach nobody: later, and not counted."""
    minutes = 1.0 if escalation is None else escalation.repeat_minutes
    return replace(response, next_at=now + timedelta(minutes=minutes))


def over(response: Response) -> Response:
    """The response when the alert is over: nothing is due any more."""
    return replace(response, closed=True, next_at=None, snoozed_until_at=None)


def _next_at(
    escalation: Escalation | None, told_at: datetime, step: int, repeats: int, now: datetime
) -> datetime | None:
    """When the next step or repeat is due; None when none follows."""
    if escalation is None:
        return None
    if step < len(escalation.steps):
        return max(now, told_at + timedelta(minutes=escalation.steps[step].after_minutes))
    return None if repeats >= escalation.repeats_max else now + timedelta(minutes=escalation.repeat_minutes)
