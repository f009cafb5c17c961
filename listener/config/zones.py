"""Time zones as options."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone. Raises ValueError when there is none of this name."""
    try:
        return ZoneInfo(name)
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ) as error:  # the first is a KeyError, which pydantic lets through
        raise ValueError(f"{name!r} is not an IANA time zone, such as Europe/Tallinn") from error


def _zone_name(name: str) -> str:
    zone_of(name)
    return name


ZoneName = Annotated[str, AfterValidator(_zone_name)]
"""The name of an IANA time zone, as an option."""
