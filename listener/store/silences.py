"""Silences: timed, attributed mutes. They mute delivery, never detection, and are kept for good."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, desc, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Severity, Silence
from listener.store.database import Database, insert_into, reading, writing
from listener.store.texts import storable


async def put(where: Database | AsyncConnection, silence: Silence) -> bool:
    """Keep a silence, in a transaction of its own or inside the caller's; False when its id is known."""
    values = {
        "id": silence.id,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "created_by": storable(silence.created_by),
        "comment": storable(silence.comment) or "",
        "brand": storable(silence.brand),
        "rule": storable(silence.rule),
        "severity": None if silence.severity is None else silence.severity.value,
    }
    async with writing(where) as connection:
        statement = insert_into(connection.dialect.name, tables.silence).values(**values)
        kept = await connection.execute(
            statement.on_conflict_do_nothing(index_elements=["id"]).returning(tables.silence.c.id)
        )
        return kept.first() is not None


async def active(where: Database | AsyncConnection, *, now: datetime) -> list[Silence]:
    """Those that mute something at ``now``, the first to end first."""
    table = tables.silence.c
    chosen = select(tables.silence).where(table.ends_at > now, table.starts_at <= now)
    async with reading(where) as connection:
        rows = await connection.execute(chosen.order_by(table.ends_at, table.id))
        return [_silence(row) for row in rows]


async def recent(database: Database, *, limit: int) -> list[Silence]:
    """The ones that end last first: what mutes, what will, and what did."""
    table = tables.silence.c
    chosen = select(tables.silence).order_by(desc(table.ends_at), table.id).limit(limit)
    async with database.reading() as connection:
        return [_silence(row) for row in await connection.execute(chosen)]


async def by_id(database: Database, start: str) -> list[Silence]:
    """The silences whose id begins with ``start``: people shorten ids."""
    async with database.reading() as connection:
        chosen = select(tables.silence).where(tables.silence.c.id.startswith(start, autoescape=True)).limit(10)
        return [_silence(row) for row in await connection.execute(chosen)]


async def end(database: Database, silence_id: str, *, now: datetime, by: str) -> Silence | None:
    """End a silence at ``now``, one that has not begun too; the comment keeps who did.

    Gives what is kept of it now; None when there is none, or when it is over already.
    """
    table = tables.silence.c
    async with database.writing() as connection:
        chosen = select(tables.silence).where(table.id == silence_id, table.ends_at > now)
        row = (await connection.execute(chosen.with_for_update())).first()
        if row is None:
            return None
        ended = await connection.execute(
            update(tables.silence)
            .where(table.id == silence_id)
            .values(
                starts_at=min(row.starts_at, now),
                ends_at=now,
                comment=f"{row.comment} (ended early by {by})".strip(),
            )
            .returning(*tables.silence.c)
        )
        return _silence(ended.one())


def _silence(row: Row[Any]) -> Silence:
    return Silence(
        id=row.id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        created_by=row.created_by,
        comment=row.comment,
        brand=row.brand,
        rule=row.rule,
        severity=Severity(row.severity) if row.severity else None,
    )
