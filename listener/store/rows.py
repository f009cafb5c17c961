"""Rows that this version cannot read, say since another one wrote them: logged and left out, in nobody's way."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import structlog
from sqlalchemy import Row

log = structlog.get_logger()

T = TypeVar("T")


def legible(rows: Iterable[Row[Any]], read: Callable[[Row[Any]], T]) -> Iterator[T]:
    """What ``read`` makes of each row; without those that hold what it does not know. They stay as they are."""
    for row in rows:
        try:
            found = read(row)
        except (ValueError, TypeError, LookupError) as error:
            known = row._mapping  # noqa: SLF001 -- SQLAlchemy's public name for it
            log.error(  # noqa: TRY400 -- what is wrong with it says all
                "row.unreadable", alert=known.get("alert_id", known.get("id")), seq=known.get("seq"), error=str(error)
            )
        else:
            yield found
