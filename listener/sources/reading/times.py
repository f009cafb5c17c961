"""Times as sites write them. A time that is incomplete or unknown is an error, never today's date."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime

from dateutil import parser as dateutil_parser

_LENGTH_MAX = 100
_YEARS = range(1970, 2200)
# Two defaults that share no part: what differs between the results was not in the text.
_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001 -- naive, as the text may be
_NAMED_ZONE = re.compile(r"(?<=[\d\s])([A-Z]{2,5})$")
# RFC 822, 5.1, and what European servers add; names that mean several zones are not here.
_ZONES = {
    "UT": "+0000", "GMT": "+0000", "UTC": "+0000", "WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100",
    "CEST": "+0200", "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "EST": "-0500", "EDT": "-0400", "CST": "-0600",
    "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "AKST": "-0900", "AKDT": "-0800",
    "HST": "-1000",
}  # fmt: skip


def parse_time(value: str, zone: tzinfo = UTC) -> datetime:
    """The time in UTC; ``zone`` is for times that name none. Reads ISO 8601, RFC 5322 and whatever else dateutil does.

    Raises ValueError when a part of the date is missing, the zone's name is unknown, or the year is not in 1970-2199.
    """
    text = value.strip()
    if not text or len(text) > _LENGTH_MAX:
        raise ValueError("not a time: empty or too long")
    text = _NAMED_ZONE.sub(lambda found: _ZONES.get(found.group(1), found.group(1)), text)
    return in_utc(_read(text), zone)


def in_utc(moment: datetime, zone: tzinfo = UTC) -> datetime:
    """The moment in UTC, read in ``zone`` if naive. Raises ValueError outside of the years that mentions come from."""
    if moment.year not in _YEARS:
        raise ValueError(f"the year {moment.year} is not a mention's")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def from_unix(seconds: float) -> datetime:
    """The time that many seconds after 1970 in UTC. Raises ValueError when it is not a mention's."""
    try:
        return in_utc(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds after 1970 is no time") from error


def _read(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is not None or not text[-1].isalpha():  # it takes no notice of "PM" and of unknown zones
            return moment
    except (ValueError, TypeError, IndexError, OverflowError):
        pass
    try:
        one, other = (dateutil_parser.parse(text, default=default, tzinfos=_unknown_zone) for default in _DEFAULTS)
    except (OverflowError, TypeError, AttributeError, RecursionError) as error:  # dateutil's own slips on odd text
        raise ValueError("not a time") from error
    if one != other:
        raise ValueError("not a time: a part of the date is missing")
    return one


def _unknown_zone(name: str | None, offset: int | None) -> tzinfo | None:
    """For dateutil: an offset is what it says; a name that we did not replace is one that we do not know."""
    if name is None and offset is None:
        return None
    if offset is None:
        raise ValueError(f"the time zone {name!r} is unknown")
    return timezone(timedelta(seconds=offset))
