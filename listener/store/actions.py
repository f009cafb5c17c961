"""What people ask for: kept as it comes, until the stage that answers it says what became of it, and for good after."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Act, Action, Outcome, Via
from listener.store.database import Database, chunks, insert_into
from listener.store.texts import storable

HISTORY_MAX = 500  # actions of one alert that are read
# One daemon at a time looks whether another one has heard the same.
HEARD_LOCK = 7_301_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """An action and what became of it; ``outcome``, ``explanation`` and ``handled_at`` are None while it waits."""

    action: Action
    outcome: Outcome | None = None
    explanation: str | None = None
    handled_at: datetime | None = None


async def put(database: Database, action: Action) -> bool:
    """Keep an action until it is handled; False when one with its id is known: the same request came twice."""
    async with database.writing() as connection:
        return await _put(connection, database.dialect, action)


async def put_heard(
    database: Database, action: Action, *, within: timedelta, ours: Collection[str]
) -> tuple[str, bool]:
    """Keep an action that other daemons of this database hear, too: its id there, and whether it is new.

    One that asks for the same, came by the same way, and was heard within so much time of this one is this one, under
    an id of its own; unless that is among ``ours``, which this daemon has heard: then somebody asks twice.
    """
    table = tables.action.c
    same = [table[name].is_not_distinct_from(value) for name, value in _asked(action).items()]
    near = table.at.between(action.at - within, action.at + within)
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": HEARD_LOCK})
        found = (await connection.execute(select(table.id).where(*same, near).order_by(table.row))).scalars().all()
        if action.id not in found and (theirs := [one for one in found if one not in ours]):
            return theirs[0], False
        return action.id, await _put(connection, database.dialect, action)


async def _put(connection: AsyncConnection, dialect: str, action: Action) -> bool:
    values = {"id": action.id, "at": action.at, **_asked(action)}
    statement = insert_into(dialect, tables.action).values(**values)
    kept = await connection.execute(
        statement.on_conflict_do_nothing(index_elements=["id"]).returning(tables.action.c.id)
    )
    return kept.first() is not None


def _asked(action: Action) -> dict[str, Any]:
    """What is asked for, and by whom, as columns."""
    return {
        "target": action.target,
        "act": action.act.value,
        "seq": action.seq,
        "by": storable(action.by),
        "via": action.via.value,
        "minutes": action.minutes,
        "assignee": storable(action.assignee),
        "comment": storable(action.comment),
        "helped": storable(action.helped),
    }


async def waiting(database: Database, *, limit: int) -> list[Action]:
    """Actions that nobody has handled, in the order in which they were kept."""
    table = tables.action.c
    chosen = select(tables.action).where(table.outcome.is_(None)).order_by(table.row).limit(limit)
    async with database.reading() as connection:
        return [_action(row) for row in await connection.execute(chosen)]


async def handled(
    connection: AsyncConnection, action_id: str, *, outcome: Outcome, explanation: str, now: datetime
) -> bool:
    """Say what became of an action, inside the caller's transaction.

    False when somebody has said so already, and then nothing is changed: undo what else the transaction did.
    """
    table = tables.action.c
    done = await connection.execute(
        update(tables.action)
        .where(table.id == action_id, table.outcome.is_(None))
        .values(outcome=outcome.value, explanation=explanation, handled_at=now)
    )
    return done.rowcount > 0


async def by_id(database: Database, action_id: str) -> Handled | None:
    """One action, or None when none has this id."""
    async with database.reading() as connection:
        row = (await connection.execute(select(tables.action).where(tables.action.c.id == action_id))).first()
    return None if row is None else _handled(row)


async def of(database: Database, target: str, *others: str) -> list[Handled]:
    """The actions upon an alert or a bundle in order, the newest 500; ``others`` are bundles that name the alert."""
    return await _newest(database, [target, *others])


async def _newest(database: Database, targets: Sequence[str]) -> list[Handled]:
    table = tables.action.c
    found: list[Row[Any]] = []
    async with database.reading() as connection:
        for some in chunks(targets):
            chosen = select(tables.action).where(table.target.in_(some)).order_by(table.row.desc()).limit(HISTORY_MAX)
            found += (await connection.execute(chosen)).all()
    return [_handled(row) for row in sorted(found, key=lambda row: int(row.row))]


def _handled(row: Row[Any]) -> Handled:
    return Handled(
        action=_action(row),
        outcome=Outcome(row.outcome) if row.outcome else None,
        explanation=row.explanation,
        handled_at=row.handled_at,
    )


def _action(row: Row[Any]) -> Action:
    return Action(
        id=row.id,
        target=row.target,
        act=Act(row.act),
        seq=row.seq,
        by=row.by,
        via=Via(row.via),
        at=row.at,
        minutes=row.minutes,
        assignee=row.assignee,
        comment=row.comment,
        helped=row.helped,
    )
