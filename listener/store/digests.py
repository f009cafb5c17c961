"""Digests: one a day, kept with the notifications that tell of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import desc, select

from listener import tables
from listener.domain import Notification
from listener.store import outbox
from listener.store.database import Database, insert_into


async def last(database: Database) -> tuple[str, Mapping[str, Any]] | None:
    """The day (ISO 8601) and the content of the newest digest; None before the first."""
    async with database.reading() as connection:
        chosen = select(tables.digest.c.day, tables.digest.c.content).order_by(desc(tables.digest.c.day)).limit(1)
        row = (await connection.execute(chosen)).first()
    return None if row is None else (row.day, row.content)


async def save(
    database: Database, day: str, content: Mapping[str, Any], notifications: Sequence[Notification], *, now: datetime
) -> bool:
    """Keep the digest of ``day`` with what it makes due, in one transaction; False when it was made already."""
    async with database.writing() as connection:
        statement = insert_into(database.dialect, tables.digest).values(day=day, made_at=now, content=dict(content))
        made = await connection.execute(statement.on_conflict_do_nothing().returning(tables.digest.c.day))
        if made.first() is None:
            return False
        await outbox.enqueue(connection, database.dialect, notifications)
    return True
