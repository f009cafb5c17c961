"""Histories that never were, made of a brand's own quiet days, and trouble put into them. Pure; seeds decide.

Whole days are drawn (a weekday for a weekday, a weekend for a weekend), so that the hours of the day and what hangs
together within a day stay as they are. A conversation is drawn as a whole with the day in which it began. Days in which
an alert fired are left out: what is made of the others is what it is like when all is well.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from listener.backtest.replay import Heard
from listener.domain import Ballot

WEEKEND = 5  # of date.weekday(): Saturday


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days to draw from: what began in each, by weekday and weekend; and what a complaint of this brand is like."""

    by_kind: Mapping[bool, Sequence[tuple[date, Sequence[Heard]]]]
    complaints: Sequence[Ballot]
    share: float

    @property
    def count(self) -> int:
        """How many days there are."""
        return sum(len(days) for days in self.by_kind.values())


def days_of(heard: Sequence[Heard], left_out: Iterable[tuple[datetime, datetime]] = ()) -> Days:
    """The whole days of a history, without those that touch a stretch (from, to) that is ``left_out``.

    The first day and the last are parts of days, and not drawn from.
    """
    if not heard:
        return Days(by_kind={}, complaints=(), share=0.0)
    began: dict[str, date] = {}
    found: dict[date, list[Heard]] = {}
    for one in sorted(heard, key=lambda each: (each.ballot.at, each.ballot.mention)):
        day = one.ballot.at.astimezone(UTC).date()
        if one.ballot.conversation is not None:
            day = began.setdefault(one.ballot.conversation, day)
        found.setdefault(day, []).append(one)
    bad = {
        start.astimezone(UTC).date() + timedelta(number)
        for start, end in left_out
        for number in range((end.astimezone(UTC).date() - start.astimezone(UTC).date()).days + 1)
    }
    first, last = min(found), max(found)
    by_kind: dict[bool, list[tuple[date, Sequence[Heard]]]] = {}
    for number in range(1, (last - first).days):
        day = first + timedelta(number)
        if day not in bad:
            by_kind.setdefault(day.weekday() >= WEEKEND, []).append((day, found.get(day, ())))
    quiet = [one.ballot for days in by_kind.values() for _, said in days for one in said]
    complaints = [one for one in quiet if one.negative]
    return Days(by_kind=by_kind, complaints=complaints, share=len(complaints) / len(quiet) if quiet else 0.0)


def drawn(days: Days, rng: random.Random, first: date, count: int) -> list[Heard]:
    """What was heard in ``count`` days from ``first`` on, in order. What is drawn twice are other people."""
    found: list[Heard] = []
    for number in range(count):
        day = first + timedelta(number)
        kind = day.weekday() >= WEEKEND
        origin, said = rng.choice(days.by_kind.get(kind) or days.by_kind[not kind])
        shift = datetime.combine(day, time(), UTC) - datetime.combine(origin, time(), UTC)
        found += [Heard(one.at + shift, _moved(one.ballot, shift, number)) for one in said]
    return sorted(found, key=lambda one: (one.at, one.ballot.at, one.ballot.mention))


def _moved(ballot: Ballot, shift: timedelta, number: int) -> Ballot:
    return replace(
        ballot,
        mention=f"{ballot.mention}#{number}",
        at=ballot.at + shift,
        author=ballot.author and f"{ballot.author}#{number}",
        conversation=ballot.conversation and f"{ballot.conversation}#{number}",
        repeats=None,
    )


def worsened(heard: Sequence[Heard], days: Days, rng: random.Random, times: float) -> list[Heard]:
    """The same with ``times`` as many complaints: others turn at random, and say what complaints of this brand say."""
    turned = turning(days.share, times)
    return [
        Heard(one.at, _complaint(one.ballot, rng.choice(days.complaints)))
        if not one.ballot.negative and rng.random() < turned
        else one
        for one in heard
    ]


def turning(share: float, times: float) -> float:
    """How many of those that are content must turn; all of them where ``times`` as many is more than there are."""
    return min(1.0, share * (times - 1) / (1 - share)) if share < 1 else 0.0


def _complaint(ballot: Ballot, like: Ballot) -> Ballot:
    return replace(ballot, risk=like.risk, negative=True, polarity=like.polarity, doubtful=like.doubtful)
