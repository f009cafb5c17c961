"""Read the calendars of the schedules when they are due, and keep the last good copy of each, also over a restart."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import httpx2
import structlog

from listener import __version__
from listener.alerts.oncall.calendar import MOST_BYTES, Calendar, CalendarError, read_calendar
from listener.alerts.oncall.policy import Policy
from listener.config.oncall import Schedule
from listener.errors import FetchError, StoreError
from listener.fetch.body import codings_of, read_body
from listener.store import Database
from listener.store import calendars as stored
from listener.store.calendars import BadCopy, StoredCalendar

log = structlog.get_logger()

FetchText = Callable[[str], Awaitable[bytes]]

CONNECT_SECS = 10.0
READ_SECS = 20.0
TOTAL_SECS = 60.0
MOST_REDIRECTS = 5
RETRY_MINUTES = 5.0  # after a failure, where the calendar is read less often than that
STORED_MINUTES = 60.0  # how exactly the database knows when an unchanged calendar was last read

# What says nothing of who is on call when. It is not stored: it holds links to meetings, addresses of people, and at
# times the calendar's own address; and some servers write a new DTSTAMP into every event each time they are asked.
_BESIDE = re.compile(
    rb"^(?:DTSTAMP|DESCRIPTION|X-ALT-DESC|COMMENT|LOCATION|ATTENDEE|ORGANIZER|CONTACT|ATTACH|URL|SOURCE|CONFERENCE|IMAGE)"
    rb"[;:][^\n]*(?:\n(?:\r?\n)*[ \t][^\n]*)*(?:\n|\Z)",  # with the lines that are folded
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What is known of one schedule's calendar: the last good copy, and when it was tried.

    ``read_at`` is when ``calendar`` was read, maybe before a restart; both are None before that went well. ``text`` is
    what of it is worth storing, ``stored`` what the database is known to hold. ``failing_since_at`` is None when the
    last try went well, and ``error`` says why it did not.
    """

    calendar: Calendar | None = None
    read_at: datetime | None = None
    tried_at: datetime | None = None
    failing_since_at: datetime | None = None
    error: str | None = None
    text: bytes | None = field(default=None, repr=False)
    stored: StoredCalendar | None = None


NOTHING: Mapping[str, Copy] = MappingProxyType({})


def calendars_of(copies: Mapping[str, Copy]) -> dict[str, Calendar]:
    """The last good copies by schedule, as ``Policy`` asks for them."""
    return {name: copy.calendar for name, copy in copies.items() if copy.calendar is not None}


def is_due(schedule: Schedule, copy: Copy, now: datetime) -> bool:
    """Whether the schedule's calendar is to be read now."""
    if schedule.start is not None:
        return False
    minutes = schedule.calendar_minutes
    if copy.failing_since_at is not None:
        minutes = min(minutes, RETRY_MINUTES)
    return copy.tried_at is None or not copy.tried_at <= now < copy.tried_at + timedelta(minutes=minutes)


async def refresh_calendars(
    fetch_text: FetchText, policy: Policy, known: Mapping[str, Copy], now: datetime
) -> dict[str, Copy]:
    """All copies by schedule, with those that are due read anew; one that cannot be read stays as it was.

    ``fetch_text`` reads an address and raises CalendarError, as ``fetch_calendar`` does.
    """
    copies = _copies(policy, known)
    due = [name for name in copies if is_due(policy.schedules[name], copies[name], now)]
    read = await asyncio.gather(*(_refreshed(fetch_text, policy, name, copies[name], now) for name in due))
    return copies | dict(zip(due, read, strict=True))


def _copies(policy: Policy, known: Mapping[str, Copy]) -> dict[str, Copy]:
    return {name: known.get(name, Copy()) for name, one in policy.schedules.items() if one.start is None}


def worth_storing(text: bytes) -> bytes:
    """The calendar without what says nothing of who is on call when; ``read_calendar`` finds the same turns in it."""
    return _BESIDE.sub(b"", text)


async def _refreshed(fetch_text: FetchText, policy: Policy, name: str, copy: Copy, now: datetime) -> Copy:
    schedule = policy.schedules[name]
    people = policy.candidates(name)
    try:
        text = await _text(fetch_text, schedule)
        # Hundreds of events take a while, and other units go on meanwhile.
        calendar = await asyncio.to_thread(read_calendar, text, people=people, zone=schedule.timezone, now=now)
    except CalendarError as error:
        if copy.failing_since_at is None:  # once for the failure, once for the recovery
            read_at = None if copy.read_at is None else copy.read_at.isoformat()
            log.warning("calendar.failed", schedule=name, error=str(error), last_read_at=read_at)
        return replace(copy, tried_at=now, failing_since_at=copy.failing_since_at or now, error=str(error))
    if copy.tried_at is None or copy.failing_since_at is not None:
        since = None if copy.failing_since_at is None else copy.failing_since_at.isoformat()
        log.info("calendar.read", schedule=name, turns=len(calendar.turns), failing_since=since)
    return Copy(calendar=calendar, read_at=now, tried_at=now, text=worth_storing(text), stored=copy.stored)


async def recall_calendars(
    database: Database, policy: Policy, now: datetime, known: Mapping[str, Copy] = NOTHING
) -> dict[str, Copy]:
    """All copies by schedule, those of which nothing was read yet as the database has kept them, read for ``now``.

    However old a copy is, it counts until the calendar can be read: who was to be on call is a better guess than
    nobody. What cannot be had is logged, and is as if it had not been kept.
    """
    copies = _copies(policy, known)
    for name, copy in copies.items():
        if copy.calendar is None:
            copies[name] = await _recalled(database, policy, name, copy, now)
    return copies


async def _recalled(database: Database, policy: Policy, name: str, copy: Copy, now: datetime) -> Copy:
    schedule = policy.schedules[name]
    people = policy.candidates(name)
    try:
        found = await stored.get(database, name, _place(schedule), bytes_max=MOST_BYTES)
        if found is None:
            return copy
        calendar = await asyncio.to_thread(read_calendar, found.text, people=people, zone=schedule.timezone, now=now)
    except (BadCopy, CalendarError, StoreError) as error:
        log.warning("calendar.copy_ignored", schedule=name, error=str(error))
        return copy
    log.info("calendar.recalled", schedule=name, turns=len(calendar.turns), read_at=found.read_at.isoformat())
    return replace(copy, calendar=calendar, read_at=found.read_at, text=found.text, stored=found)


async def store_calendars(database: Database, policy: Policy, copies: Mapping[str, Copy]) -> dict[str, Copy]:
    """The copies, with those in the database whose text has changed; when it was read is noted once an hour.

    Raises StoreError; the copies are good all the same.
    """
    after = dict(copies)
    for name, copy in copies.items():
        if copy.text is None or copy.read_at is None:
            continue
        new = StoredCalendar(text=copy.text, read_at=copy.read_at)
        if copy.stored is None or copy.stored.text != new.text:
            await stored.put(database, name, _place(policy.schedules[name]), new)
        elif not timedelta() <= new.read_at - copy.stored.read_at < timedelta(minutes=STORED_MINUTES):
            await stored.touch(database, name, new)
        else:
            continue
        after[name] = replace(copy, stored=new)
    return after


def _place(schedule: Schedule) -> str:
    """Where the calendar is read, which is a secret: a copy from elsewhere is not the calendar's."""
    if schedule.calendar is not None:
        return schedule.calendar.get_secret_value()
    return f"file {schedule.calendar_file}"


async def _text(fetch_text: FetchText, schedule: Schedule) -> bytes:
    if schedule.calendar is not None:
        return await fetch_text(schedule.calendar.get_secret_value())
    if schedule.calendar_file is None:
        raise CalendarError("has neither an address nor a file")
    return await asyncio.to_thread(_file, schedule.calendar_file)


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CalendarError(f"cannot be read ({error.strerror})") from None


async def fetch_calendar(address: str) -> bytes:
    """The text at an http, https or webcal address, at most ``MOST_BYTES`` of it.

    The address is the operator's own, so it may be inside the network. Raises CalendarError, without the address: who
    knows it can read the calendar.
    """
    timeout = httpx2.Timeout(READ_SECS, connect=CONNECT_SECS)
    headers = {
        "user-agent": f"listener/{__version__}",
        "accept": "text/calendar, */*;q=0.5",
        "accept-encoding": "gzip, deflate",
    }
    client = httpx2.AsyncClient(timeout=timeout, headers=headers, trust_env=False)
    try:
        async with asyncio.timeout(TOTAL_SECS), client:
            url = _url(address)
            for _ in range(MOST_REDIRECTS + 1):
                async with client.stream("GET", url) as answer:
                    if not answer.has_redirect_location:
                        return await _body(answer)
                    url = _next(url, answer.headers["location"])
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, TimeoutError, ValueError) as error:
        # Their messages hold the address.
        raise CalendarError(f"gives no answer ({type(error).__name__})") from None
    raise CalendarError(f"redirects more than {MOST_REDIRECTS} times")


def _url(address: str) -> httpx2.URL:
    url = httpx2.URL(address)
    if url.scheme in {"webcal", "webcals"}:  # what calendars call an https address that is subscribed to
        url = url.copy_with(scheme="https")
    if url.scheme not in {"http", "https"} or not url.host:
        raise CalendarError("has an address that is not http, https or webcal")
    return url


def _next(url: httpx2.URL, location: str) -> httpx2.URL:
    """Where a redirect leads: by the same scheme, or from http to https."""
    after = url.join(location)
    if after.scheme not in {url.scheme, "https"}:
        raise CalendarError("redirects to another scheme")
    return after


async def _body(answer: httpx2.Response) -> bytes:
    if answer.status_code != httpx2.codes.OK:
        raise CalendarError(f"answers HTTP {answer.status_code}")
    try:
        codings = codings_of(answer.headers.get("content-encoding"), host="its server")
        return await read_body(answer.aiter_raw(), codings=codings, limit=MOST_BYTES, host="its server")
    except FetchError as error:
        raise CalendarError(str(error)) from None
