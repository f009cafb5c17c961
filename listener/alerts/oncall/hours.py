"""Local time as people set it, also in the two nights of a year in which the clock is changed. Pure.

A local time is one moment, but for those two nights. In spring the clock skips some times: such a time is the moment at
which the clock has passed it. In autumn the clock shows some times twice: hours begin at the first of the two and end
when the clock shows a time before their end for the last time. So quiet hours are always one unbroken stretch, and in
none of their minutes as a clock on the wall shows them is anybody woken.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from listener.config.oncall import WEEKDAYS, Maintenance, QuietHours

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
CHAIN = 1 + 2 * len(WEEKDAYS)  # stretches one right after the other that are followed to their common end


@lru_cache(maxsize=4096)
def first_at(local: datetime, zone: str) -> datetime:
    """The first moment at which the clock of ``zone`` shows the naive ``local`` or has passed it; UTC."""
    first, second = _readings(local, zone)
    return _passed_at(local, zone, second, first) if first > second else first


@lru_cache(maxsize=4096)
def last_at(local: datetime, zone: str) -> datetime:
    """The moment from which on the clock of ``zone`` never again shows a time before the naive ``local``; UTC."""
    first, second = _readings(local, zone)
    if first > second:
        return _passed_at(local, zone, second, first)
    # The clock was set back to just this time: before the second showing it had not been earlier again.
    return second if _shown(second - TICK, zone) < local else first


def _readings(local: datetime, zone: str) -> tuple[datetime, datetime]:
    """The first and the second moment that ``local`` names; the first is the later one where the clock skips it."""
    place = ZoneInfo(zone)
    first, second = (local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _shown(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _passed_at(local: datetime, zone: str, before: datetime, after: datetime) -> datetime:
    """When the clock jumped over ``local``: found to the second by halving."""
    while after - before > SECOND:
        middle = before + timedelta(seconds=(after - before) // SECOND // 2)
        if _shown(middle, zone) < local:
            before = middle
        else:
            after = middle
    return after


def quiet(hours: QuietHours, at: datetime) -> bool:
    """Whether ``at`` is in these hours; whose alerts they are about is not asked here."""
    return _night_until_at(hours, at) is not None


def quiet_until_at(hours: QuietHours, at: datetime) -> datetime | None:
    """When the quiet hours around ``at`` end, or None outside of them.

    Hours that follow one right after the other (a weekend, both days from 00:00 to 24:00) end together.
    """
    found = _night_until_at(hours, at)
    for _ in range(CHAIN):
        longer = _night_until_at(hours, found) if found is not None else None
        if longer is None:
            break
        found = longer
    return found


def _night_until_at(hours: QuietHours, at: datetime) -> datetime | None:
    # A stretch is at most a day, and a day of the calendar at most two: it began today, yesterday or the day before.
    today = _shown(at, hours.timezone).date()
    ends = []
    for day in (today - 2 * DAY, today - DAY, today):
        if WEEKDAYS[day.weekday()] in hours.days:
            starts_at, ends_at = stretch(hours, day)
            if starts_at <= at < ends_at:
                ends.append(ends_at)
    return max(ends, default=None)


def stretch(hours: QuietHours, day: date) -> tuple[datetime, datetime]:
    """Start and end (not included) of the hours that begin on ``day``; empty where the clock skips all of them."""
    return _stretch(hours.start, hours.end, hours.timezone, day)


@lru_cache(maxsize=4096)
def _stretch(start: str, end: str, zone: str, day: date) -> tuple[datetime, datetime]:
    wrapped = end <= start or end == "24:00"
    ends = time() if end == "24:00" else time.fromisoformat(end)
    return (
        first_at(datetime.combine(day, time.fromisoformat(start)), zone),
        last_at(datetime.combine(day + DAY if wrapped else day, ends), zone),
    )


def maintenance_until_at(window: Maintenance, at: datetime) -> datetime | None:
    """When the window around ``at`` ends, or None outside of it; whose alerts it is about is not asked here."""
    ends_at = last_at(window.end, window.timezone)
    return ends_at if first_at(window.start, window.timezone) <= at < ends_at else None
