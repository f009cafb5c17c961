"""Which weeks of a history were quiet, as it is known afterwards. Pure.

A week is quiet when it was nothing to be woken for: all its votes together are within the budgets that were in force
when they were counted, and its negative mentions are no more than usual. Usual is the number per day of up to four
weeks before, and two standard deviations of chance; where there is no week before, the budgets alone tell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.sums import x_of
from listener.domain import Vote

BEFORE_DAYS, BEFORE_DAYS_MIN = 28, 7  # what the number of a week is compared with
CHANCE_SDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One calendar week (Monday to Sunday, UTC) as it is known afterwards.

    ``share`` is the mean of what the rule counts, ``budget`` the mean of the budgets in force; ``usual`` how many
    negative mentions are usual in as many days, None where nothing came before.
    """

    begins: date
    votes: int
    share: float | None
    budget: float | None
    negative: int
    usual: float | None
    quiet: bool


@dataclass(slots=True)
class Day:
    """One day's votes added up."""

    votes: int = 0
    counted: int = 0
    negative: int = 0
    x: float = 0.0
    budget: float = 0.0
    deff: float = 0.0


def weeks(days: Mapping[date, Day]) -> list[Week]:
    """All weeks from the first day to the last, each judged as it is known afterwards."""
    if not days:
        return []
    first, last = min(days), max(days)
    found = []
    begins = monday(datetime(first.year, first.month, first.day, tzinfo=UTC))
    while begins <= last:
        until = min(begins + timedelta(7), last + timedelta(1))
        here = [days[one] for one in _dates(max(begins, first), until) if one in days]
        usual = _usual(days, begins, first, last)
        found.append(_week(begins, here, usual))
        begins += timedelta(7)
    return found


def monday(at: datetime) -> date:
    """The first day of the week (UTC)."""
    day = at.astimezone(UTC).date()
    return day - timedelta(day.weekday())


def _usual(days: Mapping[date, Day], begins: date, first: date, last: date) -> float | None:
    """How many negative mentions are usual in as many days as the history has of the week that begins then."""
    before = _dates(max(first, begins - timedelta(BEFORE_DAYS)), begins)
    if len(before) < BEFORE_DAYS_MIN:
        return None
    length = len(_dates(begins, min(begins + timedelta(7), last + timedelta(1))))
    return sum(days[one].negative for one in before if one in days) / len(before) * length


def _week(begins: date, here: Sequence[Day], usual: float | None) -> Week:
    counted = sum(day.counted for day in here)
    x, allowed = math.fsum(day.x for day in here), math.fsum(day.budget for day in here)
    negative = sum(day.negative for day in here)
    deff = math.fsum(day.deff for day in here) / counted if counted else 1.0
    many = usual is not None and negative > usual + CHANCE_SDS * math.sqrt(deff * max(usual, 1.0))
    return Week(
        begins=begins,
        votes=sum(day.votes for day in here),
        share=x / counted if counted else None,
        budget=allowed / counted if counted else None,
        negative=negative,
        usual=usual,
        quiet=x <= allowed and not many,
    )


def _dates(start: date, end: date) -> list[date]:
    return [start + timedelta(number) for number in range((end - start).days)]


def add(day: Day, vote: Vote, rule: Deterioration) -> None:
    """Add one vote to its day."""
    day.votes += 1
    if vote.weighs:
        day.counted += 1
        day.negative += vote.negative
        day.x += x_of(vote, rule)
        day.budget += vote.budget
        day.deff += vote.deff
