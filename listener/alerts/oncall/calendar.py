"""An iCalendar (RFC 5545) read into who is on call when. Pure.

An event is the turn of every person whose name or slug stands in its SUMMARY as whole words. Events may overlap: then
all of them are on call. Times without a zone and whole days are local to the schedule. The text comes from elsewhere,
so its size, its rules and what they expand to are bounded, and whatever is wrong with it is one CalendarError.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import Any

import icalendar
import recurring_ical_events
from dateutil.rrule import rrulestr

from listener.alerts.oncall.hours import first_at
from listener.errors import ListenerError
from listener.matching.fold import fold

MOST_BYTES = 1024 * 1024
BEHIND_DAYS = 7  # how much of the past is kept, to say since when somebody is on call
AHEAD_DAYS = 400  # how far a copy reaches when it cannot be read anew
MOST_EVENTS = 2000  # that name somebody, with all exceptions of a series
MOST_STEPS = 50_000  # days from the start of each rule to the end of the copy, summed up
MOST_DATES = 5000  # single dates on which events are repeated, or are not
MOST_TURNS = 10_000
LATEST_YEAR = 9900
CYCLE_YEARS = 400  # after which the calendar is the same again, days of the week included
MOST_DEPTH = 5  # calendar, event, alarm; calendar, zone, standard time
MOST_ZONE_RULES = 100
LONGEST_REPEATED = timedelta(days=366)
FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
ZONE_PARTS = frozenset({"FREQ", "UNTIL", "BYMONTH", "BYDAY", "BYMONTHDAY", "INTERVAL", "WKST"})

_FOLDED_LINE = re.compile(rb"\r?\n[ \t]")
_PART_OF_ZONE = re.compile(rb"RRULE|EXRULE", re.IGNORECASE)

# What the libraries raise on broken input: they promise ValueError, but fuzzed calendars bring out the others.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class CalendarError(ListenerError):
    """A calendar cannot be read, or not within its bounds. The message never holds its text or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """One person's turn as the calendar has it, from ``starts_at`` until ``ends_at`` (not included)."""

    person: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Who is on call when, sorted by start; nothing is known outside of ``starts_at`` to ``ends_at``."""

    turns: tuple[OnCall, ...]
    starts_at: datetime
    ends_at: datetime

    def on_call(self, at: datetime) -> tuple[str, ...]:
        """All who are on call at ``at``, each once, the longest on call first."""
        return tuple(dict.fromkeys(one.person for one in self.turns if one.starts_at <= at < one.ends_at))

    def changes_at(self, at: datetime) -> datetime:
        """When next after ``at`` others are on call, or the end of what is known."""
        now = frozenset(self.on_call(at))
        turns = Counter(one.person for one in self.turns if one.starts_at <= at < one.ends_at)
        shifts: dict[datetime, list[tuple[str, int]]] = defaultdict(list)
        for one in self.turns:
            shifts[one.starts_at].append((one.person, 1))
            shifts[one.ends_at].append((one.person, -1))
        for edge in sorted(edge for edge in shifts if edge > at):
            for person, by in shifts[edge]:
                turns[person] += by
            # Up to this edge the same people were on call, so only those who begin or end here can differ.
            if any((turns[person] > 0) != (person in now) for person, _ in shifts[edge]):
                return edge
        return max(at, self.ends_at)


def read_calendar(text: bytes, *, people: Mapping[str, str], zone: str, now: datetime) -> Calendar:
    """The turns in ``text`` from a week before ``now`` to 400 days after it.

    ``people`` are the titles by slug of those who may be named; ``zone`` is the schedule's. Raises CalendarError.
    """
    _check(text)
    starts_at, ends_at = now - timedelta(days=BEHIND_DAYS), now + timedelta(days=AHEAD_DAYS)
    names = _Names(people)
    try:
        calendar = icalendar.Calendar.from_ical(text)
        calendar.subcomponents = _kept(calendar, names, ends_at)
        # Floating times may be off by a day against the bounds, which are exact below.
        found = recurring_ical_events.of(calendar).between(starts_at - timedelta(days=2), ends_at + timedelta(days=2))
        turns = sorted(
            (turn for event in found for turn in _turns(event, names, zone)),
            key=lambda turn: (turn.starts_at, turn.ends_at, turn.person),
        )
    except BROKEN as error:
        raise CalendarError(f"is no readable iCalendar ({type(error).__name__})") from error
    within = [turn for turn in turns if turn.ends_at > starts_at and turn.starts_at < ends_at]
    if len(within) > MOST_TURNS:
        raise CalendarError(f"holds more than {MOST_TURNS} turns")
    return Calendar(turns=tuple(within), starts_at=starts_at, ends_at=ends_at)


def _check(text: bytes) -> None:
    """Refuse what would be dear to parse: the parser expands the rules of time zones by itself."""
    if len(text) > MOST_BYTES:
        raise CalendarError(f"is larger than {MOST_BYTES // 1024} KiB")
    inside: list[bytes] = []
    rules = 0
    for line in _FOLDED_LINE.sub(b"", text).splitlines():
        head, _, value = line.partition(b":")
        word = head.strip().upper()
        if word == b"BEGIN":
            inside.append(value.strip().upper())
            if len(inside) > MOST_DEPTH:
                raise CalendarError("nests components too deeply")
        elif word == b"END" and inside:
            inside.pop()
        elif b"VTIMEZONE" in inside and _PART_OF_ZONE.match(head):
            rules += 1
            _check_zone_rule(value)
    if rules > MOST_ZONE_RULES:
        raise CalendarError(f"defines time zones with more than {MOST_ZONE_RULES} rules")


def _check_zone_rule(value: bytes) -> None:
    parts = dict(part.partition("=")[::2] for part in value.decode("ascii", "replace").upper().split(";") if part)
    if parts.get("FREQ", "").strip() != "YEARLY" or not parts.keys() <= ZONE_PARTS:
        raise CalendarError("defines a time zone by a rule that is not a plain yearly one")


# ------------------------------------------------------------------------------------------------------------- events


class _Names:
    """Finds people in a title: by name or slug, as whole words, whatever the case; the longest name wins."""

    def __init__(self, people: Mapping[str, str]) -> None:
        self._spellings = [
            (slug, re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)"))
            for slug, title in people.items()
            for spelling in {fold(slug), " ".join(fold(title).split())}
            if spelling
        ]

    def of(self, event: icalendar.Component) -> list[str]:
        """Who is named, in the order of their names in the title."""
        summary = event.get("SUMMARY", "")
        said = " ".join(map(str, summary)) if isinstance(summary, list) else str(summary)
        title = " ".join(fold(said).split())
        found = [(*match.span(), slug) for slug, spelling in self._spellings for match in spelling.finditer(title)]
        # "Mari Tamm" does not name another person who is only called "Mari".
        longest = [
            (start, slug)
            for start, end, slug in found
            if not any(a <= start and end <= b and b - a > end - start for a, b, _ in found)
        ]
        return list(dict.fromkeys(slug for _, slug in sorted(longest)))


def _kept(calendar: icalendar.Component, names: _Names, ends_at: datetime) -> list[icalendar.Component]:
    """The events of each series that names somebody, its exceptions too, with their rules bounded."""
    events = [one for one in calendar.subcomponents if one.name == "VEVENT"]
    wanted = {_series(one) for one in events if names.of(one)}
    kept = [one for one in events if _series(one) in wanted]
    if len(kept) > MOST_EVENTS:
        raise CalendarError(f"names people in more than {MOST_EVENTS} events")
    steps = 0
    if sum(len(one.dts) for event in kept for key in ("RDATE", "EXDATE") for one in _all(event, key)) > MOST_DATES:
        raise CalendarError(f"repeats events on more than {MOST_DATES} single dates")
    for event in kept:
        _length(event)
        for rule in _all(event, "RRULE"):
            steps += _bound(event, rule, ends_at)
            if steps > MOST_STEPS:
                raise CalendarError("repeats events so often or for so long that it takes too long to read")
    return kept


def _series(event: icalendar.Component) -> str:
    return str(event.get("UID", id(event)))


def _all(event: icalendar.Component, key: str) -> list[Any]:
    """A property that may stand in an event several times."""
    found = event.get(key, [])
    return found if isinstance(found, list) else [found]


def _when(event: icalendar.Component, key: str) -> date:
    """A date or a time of an event, with its zone where it has one. Raises TypeError where it is something else."""
    value: Any = event[key]
    found = value.dt
    if not isinstance(found, date):
        raise TypeError(key)
    if "TZID" in value.params and isinstance(found, datetime) and found.tzinfo is None:
        # Read as the schedule's own time it would wake the wrong person.
        raise CalendarError("names somebody in an event whose time zone is unknown")
    return found


def _bound(event: icalendar.Component, rule: Any, ends_at: datetime) -> int:
    """Let ``rule`` end with the copy, and say how many steps it takes; a rule that never matches would not end."""
    frequency = [str(one).upper() for one in rule.get("FREQ", [])]
    if len(frequency) != 1 or frequency[0] not in FREQUENCIES:
        raise CalendarError("repeats an event more often than daily")
    interval = int(rule.get("INTERVAL", [1])[0])
    start = _when(event, "DTSTART")
    length = _length(event)
    if interval < 1 or length > LONGEST_REPEATED:
        raise CalendarError("repeats an event that is longer than a year, or at no interval")
    begins = _naive(start)
    horizon = _naive(ends_at) + timedelta(days=2)
    until, count = rule.pop("UNTIL", []), rule.pop("COUNT", [])
    last = min([horizon, *(_naive(one) for one in until)])
    times = math.prod(max(1, len(rule.get(part, []))) for part in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    steps = ((last - begins + length).days // (interval if frequency[0] in {"DAILY", "WEEKLY"} else 1) + 1) * times
    if steps > MOST_STEPS:
        return steps
    text = rule.to_ical().decode()
    # A rule that never matches is followed to the year 9999: from there on it is not far.
    late = begins.replace(year=begins.year + (LATEST_YEAR - begins.year) // CYCLE_YEARS * CYCLE_YEARS)
    if next(iter(rrulestr(text, dtstart=late)), None) is None:
        raise CalendarError("repeats an event on days that never come")
    if count:
        repeats = list(islice(takewhile(lambda one: one <= last, rrulestr(text, dtstart=begins)), int(count[0])))
        last = repeats[-1] if len(repeats) == int(count[0]) else last
        rule["UNTIL"] = [_like(last, start)]
    else:
        rule["UNTIL"] = until if until and last != horizon else [_like(last, start)]
    return max(1, steps)


def _length(event: icalendar.Component) -> timedelta:
    start = _naive(_when(event, "DTSTART"))
    if "DURATION" in event:
        duration: Any = event["DURATION"]
        length: timedelta = duration.dt
        return length
    return (_naive(_when(event, "DTEND")) if "DTEND" in event else start) - start


def _naive(value: date) -> datetime:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())


def _like(local: datetime, start: date) -> date:
    """A local time as UNTIL must have it beside such a DTSTART (RFC 5545, 3.3.10)."""
    if not isinstance(start, datetime):
        return local.date()
    return local if start.tzinfo is None else local.replace(tzinfo=start.tzinfo).astimezone(UTC)


def _turns(event: icalendar.Component, names: _Names, zone: str) -> Iterator[OnCall]:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return
    people = names.of(event)
    if not people:
        return
    starts_at, ends_at = (_moment(_when(event, key), zone) for key in ("DTSTART", "DTEND"))
    if starts_at < ends_at:
        for person in people:
            yield OnCall(person=person, starts_at=starts_at, ends_at=ends_at)


def _moment(value: date, zone: str) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return first_at(_naive(value), zone)
