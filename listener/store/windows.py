"""Windows: computed from the mentions in them, and read by detection."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.aggregate import COARSE_SECS, FINE_SECS, Voice, merge, roll_up, window_start
from listener.domain import Assessment, Probabilities, Window
from listener.store.database import Database, insert_into
from listener.tables import assessment, dirty_window, mention, mention_brand


async def refresh(database: Database, *, limit: int = 500) -> set[str]:
    """Compute up to ``limit`` changed windows anew, and the hours around them; the brands that changed.

    The cost is that of the mentions inside the changed windows, however many are stored beside them.
    """
    keys = select(dirty_window.c.brand, dirty_window.c.start_at).order_by(dirty_window.c.brand, dirty_window.c.start_at)
    if database.dialect == "postgresql":
        keys = keys.with_for_update(skip_locked=True)
    async with database.writing() as connection:
        dirty = [(row.brand, row.start_at) for row in await connection.execute(keys.limit(limit))]
        if not dirty:
            return set()
        fine = [await _computed(connection, brand, start_at) for brand, start_at in dirty]
        await _write(connection, database.dialect, FINE_SECS, fine)
        hours = sorted({(brand, window_start(start_at, COARSE_SECS)) for brand, start_at in dirty})
        coarse = []
        for brand, start_at in hours:
            end_at = start_at + timedelta(seconds=COARSE_SECS)
            inside = await _read(connection, brand, start_at, end_at, FINE_SECS)
            coarse.append(merge(brand, start_at, end_at, inside))
        await _write(connection, database.dialect, COARSE_SECS, coarse)
        for brand, start_at in dirty:
            await connection.execute(
                delete(dirty_window).where(dirty_window.c.brand == brand, dirty_window.c.start_at == start_at)
            )
    return {brand for brand, _ in dirty}


async def read(
    database: Database, brand: str, *, start_at: datetime, end_at: datetime, size_secs: int = FINE_SECS
) -> list[Window]:
    """The brand's windows of one size that start in [``start_at``, ``end_at``), in order; silent ones are absent."""
    async with database.reading() as connection:
        return await _read(connection, brand, start_at, end_at, size_secs)


async def _read(
    connection: AsyncConnection, brand: str, start_at: datetime, end_at: datetime, size_secs: int
) -> list[Window]:
    found = await connection.execute(
        select(tables.window)
        .where(
            tables.window.c.brand == brand,
            tables.window.c.size_secs == size_secs,
            tables.window.c.start_at >= start_at,
            tables.window.c.start_at < end_at,
        )
        .order_by(tables.window.c.start_at)
    )
    return [
        Window(
            brand=row.brand,
            start_at=row.start_at,
            end_at=row.start_at + timedelta(seconds=row.size_secs),
            volume=row.volume,
            copies=row.copies,
            polarity_sum=row.polarity_sum,
            negative=row.negative,
            risk_sum=row.risk_sum,
            reach=row.reach,
        )
        for row in found
    ]


async def _computed(connection: AsyncConnection, brand: str, start_at: datetime) -> Window:
    """One fine window from its rows, summed in the order they were stored, so that equal rows give equal floats."""
    current = and_(
        assessment.c.mention_row == mention.c.row,
        assessment.c.content_hash == mention.c.content_hash,
        assessment.c.current.is_(True),
    )
    found = await connection.execute(
        select(
            mention.c.copy_of,
            mention.c.reach,
            assessment.c.model,
            assessment.c.p_negative,
            assessment.c.p_neutral,
            assessment.c.p_positive,
            assessment.c.risk,
            assessment.c.labels,
        )
        .select_from(mention_brand.join(mention, mention.c.row == mention_brand.c.mention_row))
        .outerjoin(assessment, current)
        .where(
            mention_brand.c.brand == brand,
            mention_brand.c.at >= start_at,
            mention_brand.c.at < start_at + timedelta(seconds=FINE_SECS),
        )
        .order_by(mention.c.row)
    )
    return roll_up(brand, start_at, FINE_SECS, [_voice(row) for row in found])


def _voice(row: Row[*tuple[Any, ...]]) -> Voice:
    said = row.model is not None and Assessment(
        model=row.model,
        probabilities=Probabilities(negative=row.p_negative, neutral=row.p_neutral, positive=row.p_positive),
        risk=row.risk,
        labels=None if row.labels is None else tuple(row.labels),
    )
    return Voice(assessment=said or None, copy=row.copy_of is not None, reach=row.reach)


async def _write(connection: AsyncConnection, dialect: str, size_secs: int, windows: Sequence[Window]) -> None:
    silent = [(one.brand, size_secs, one.start_at) for one in windows if not (one.volume or one.copies)]
    if silent:
        table = tables.window.c
        await connection.execute(
            delete(tables.window).where(tuple_(table.brand, table.size_secs, table.start_at).in_(silent))
        )
    values = [
        {
            "brand": one.brand,
            "size_secs": size_secs,
            "start_at": one.start_at,
            "volume": one.volume,
            "copies": one.copies,
            "polarity_sum": one.polarity_sum,
            "negative": one.negative,
            "risk_sum": one.risk_sum,
            "reach": one.reach,
        }
        for one in windows
        if one.volume or one.copies
    ]
    if values:
        key = ["brand", "size_secs", "start_at"]
        statement = insert_into(dialect, tables.window)
        fresh = {name: statement.excluded[name] for name in values[0] if name not in key}
        await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=fresh), values)
