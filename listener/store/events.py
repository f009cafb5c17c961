"""Events: what was decided and people are to be told of. Written with the decision, closed when they were told."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.domain import AlertState, Event, Hold, Reason, Severity
from listener.store.database import Database, chunks, insert_into
from listener.store.responses import UNFINISHED
from listener.store.rows import legible
from listener.tables import event, response

OPEN = text("event.open")  # as its partial index has it: see ``store.outbox``
OPEN_MAX = 5_000  # looked at in one round: bounds memory, not work


async def write(connection: AsyncConnection, dialect: str, events: Sequence[Event]) -> None:
    """Keep events, inside the caller's transaction; one that is there already stays as it is."""
    if events:
        await connection.execute(
            insert_into(dialect, event).on_conflict_do_nothing(index_elements=["id"]), [_row(one) for one in events]
        )


async def anything(database: Database, *, now: datetime) -> bool:
    """Whether there is something to tell: an event that is not held, or a reminder that is due."""
    new = select(event.c.row).where(OPEN, event.c.hold.is_(None)).limit(1)
    due = select(response.c.alert_id).where(UNFINISHED, response.c.next_at <= now).limit(1)
    async with database.reading() as connection:
        return any([(await connection.execute(asked)).first() is not None for asked in (new, due)])


async def waiting(connection: AsyncConnection, *, held: bool) -> list[Event]:
    """The open events in the order of decision; without ``held`` only those of alerts of which one is not held."""
    chosen = select(event).where(OPEN).order_by(event.c.row).limit(OPEN_MAX)
    if not held:
        new = select(event.c.alert_id).where(OPEN, event.c.hold.is_(None))
        chosen = chosen.where(event.c.alert_id.in_(new))
    return list(legible(await connection.execute(chosen), _event))


async def newest(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, Event]:
    """The newest event of each alert that said that it fires."""
    return await _last(connection, alert_ids, event.c.state == AlertState.FIRING.value)


async def last(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, Event]:
    """The newest event of each alert that is closed: what is held back is no news yet."""
    return await _last(connection, alert_ids, event.c.open.is_(False))


async def _last(connection: AsyncConnection, alert_ids: Iterable[str], among: ColumnElement[bool]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for some in chunks(list(alert_ids)):
        newest = (
            select(event.c.alert_id, func.max(event.c.seq).label("seq"))
            .where(event.c.alert_id.in_(some), among)
            .group_by(event.c.alert_id)
            .subquery()
        )
        same = and_(event.c.alert_id == newest.c.alert_id, event.c.seq == newest.c.seq)
        rows = await connection.execute(select(event).join(newest, same))
        found.update((one.alert_id, one) for one in legible(rows, _event))
    return found


async def close(
    connection: AsyncConnection, outcomes: Mapping[str, str], holds: Mapping[str, Hold], *, now: datetime
) -> None:
    """Close events by id with what became of them, and mark why others wait; inside the caller's transaction."""
    for outcome in sorted(set(outcomes.values())):
        for some in chunks([one for one, found in outcomes.items() if found == outcome]):
            await connection.execute(
                update(event).where(event.c.id.in_(some)).values(open=False, outcome=outcome, dispatched_at=now)
            )
    for hold in sorted(set(holds.values())):
        for some in chunks([one for one, found in holds.items() if found == hold]):
            await connection.execute(update(event).where(event.c.id.in_(some)).values(hold=hold.value))


async def rewrite(connection: AsyncConnection, events: Iterable[Event]) -> None:
    """Keep the payloads of these events in place of what was kept, inside the caller's transaction."""
    for one in events:
        await connection.execute(update(event).where(event.c.id == one.id).values(payload=dict(one.payload)))


def _row(one: Event) -> dict[str, Any]:
    return {
        "id": one.id,
        "alert_id": one.alert_id,
        "seq": one.seq,
        "brand": one.brand,
        "rule": one.rule,
        "severity": one.severity.value,
        "reason": one.reason.value,
        "state": one.state.value,
        "payload": dict(one.payload),
        "market": list(one.market),
        "decided_at": one.decided_at,
        "open": True,
        "hold": None if one.hold is None else one.hold.value,
    }


def _event(row: Row[Any]) -> Event:
    return Event(
        alert_id=row.alert_id,
        seq=row.seq,
        brand=row.brand,
        rule=row.rule,
        severity=Severity(row.severity),
        reason=Reason(row.reason),
        state=AlertState(row.state),
        payload=row.payload,
        decided_at=row.decided_at,
        market=tuple(row.market or ()),
        row=row.row,
        hold=Hold(row.hold) if row.hold else None,
    )
