"""What is known of each source between two polls: its checkpoint and its health."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Checkpoint, Validator
from listener.store.database import Database, insert_into

ERROR_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a source has been doing. ``failures`` counts polls failed in a row; ``gone`` means that the server said 410.

    ``page`` is the start of the page that could not be read, for whoever mends the plug-in.
    """

    name: str
    fingerprint: str
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    failures: int = 0
    paused_until_at: datetime | None = None
    polled_at: datetime | None = None
    succeeded_at: datetime | None = None
    failing_since_at: datetime | None = None
    error: str | None = None
    page: bytes | None = None
    gone: bool = False


async def state(database: Database, name: str, fingerprint: str) -> SourceState:
    """The state of a source; a fresh one when it is new or its configuration has changed.

    A changed configuration keeps the time up to which the source was read, and drops the rest: validators belong to the
    old URL, the cursor to the old paging, and pauses to the old failures.
    """
    async with database.reading() as connection:
        row = (
            (await connection.execute(select(tables.source_state).where(tables.source_state.c.name == name)))
            .mappings()
            .first()
        )
    if row is None:
        return SourceState(name=name, fingerprint=fingerprint)
    checkpoint = _checkpoint(row["checkpoint"])
    if row["fingerprint"] != fingerprint:
        return SourceState(name=name, fingerprint=fingerprint, checkpoint=Checkpoint(since_at=checkpoint.since_at))
    values = {key: row[key] for key in row if key not in {"checkpoint", "error"}}
    return SourceState(**values, checkpoint=checkpoint, error=row["error"])


async def states(database: Database) -> dict[str, SourceState]:
    """All states by name."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(tables.source_state))).mappings().all()
    return {row["name"]: SourceState(**{**row, "checkpoint": _checkpoint(row["checkpoint"])}) for row in rows}


async def failing(database: Database) -> dict[str, datetime]:
    """Since when the sources fail that do."""
    table = tables.source_state.c
    async with database.reading() as connection:
        rows = await connection.execute(
            select(table.name, table.failing_since_at).where(table.failing_since_at.is_not(None))
        )
        return {row.name: row.failing_since_at for row in rows}


async def save(database: Database, value: SourceState) -> None:
    """Keep the state of a source whose poll brought nothing to store."""
    async with database.writing() as connection:
        await write(connection, database.dialect, value)


async def write(connection: AsyncConnection, dialect: str, value: SourceState) -> None:
    """Keep the state of a source, inside the caller's transaction."""
    values = {name: getattr(value, name) for name in SourceState.__dataclass_fields__ if name != "checkpoint"}
    values["checkpoint"] = _document(value.checkpoint)
    values["error"] = value.error[:ERROR_CHARS] if value.error else None
    statement = insert_into(dialect, tables.source_state).values(**values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "since_at": checkpoint.since_at.isoformat() if checkpoint.since_at else None,
        "refreshed_at": checkpoint.refreshed_at.isoformat() if checkpoint.refreshed_at else None,
        "cursor": json.loads(json.dumps(dict(checkpoint.cursor))),
        "validators": {url: asdict(validator) for url, validator in checkpoint.validators.items()},
    }


def _checkpoint(document: Mapping[str, Any] | None) -> Checkpoint:
    if not document:
        return Checkpoint()
    since, refreshed = document["since_at"], document["refreshed_at"]
    return Checkpoint(
        since_at=datetime.fromisoformat(since) if since else None,
        refreshed_at=datetime.fromisoformat(refreshed) if refreshed else None,
        cursor=document["cursor"],
        validators={url: Validator(**fields) for url, fields in document["validators"].items()},
    )
