"""A rota: people who take turns of whole days of the calendar. Pure.

The turns have no beginning and no end: before ``start`` the rota runs backwards, so that there is always somebody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from listener.alerts.oncall.hours import first_at
from listener.config.oncall import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One person's turn, from ``starts_at`` until ``ends_at`` (not included)."""

    person: str
    starts_at: datetime
    ends_at: datetime


def turn(schedule: Schedule, at: datetime) -> Turn:
    """The turn in which ``at`` is. The hand-over is at the local time of ``start``, whatever the clock did meanwhile.

    Raises ValueError when the schedule is no rota.
    """
    if schedule.start is None or not schedule.people:
        raise ValueError("the schedule is no rota")
    shown = at.astimezone(ZoneInfo(schedule.timezone)).replace(tzinfo=None)
    number = (shown - schedule.start) // timedelta(days=schedule.turn_days)
    # What the clock shows may be off by as much as it was changed: the moments decide.
    while _begins_at(schedule, schedule.start, number) > at:
        number -= 1
    while _begins_at(schedule, schedule.start, number + 1) <= at:
        number += 1
    return Turn(
        person=schedule.people[number % len(schedule.people)],
        starts_at=_begins_at(schedule, schedule.start, number),
        ends_at=_begins_at(schedule, schedule.start, number + 1),
    )


def _begins_at(schedule: Schedule, start: datetime, number: int) -> datetime:
    return first_at(start + timedelta(days=number * schedule.turn_days), schedule.timezone)


def on_call(schedule: Schedule, at: datetime) -> str:
    """Whose turn it is at ``at``."""
    return turn(schedule, at).person


def handover_at(schedule: Schedule, at: datetime) -> datetime:
    """When the turn around ``at`` ends and the next one begins."""
    return turn(schedule, at).ends_at
