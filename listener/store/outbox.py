"""The outbox: every message to a receiver until it was taken; kept afterwards as the record of what was sent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import OPENING, SEVERAL, Notification, Reason, Severity
from listener.store.database import Database, chunks, insert_into

# As the partial index has it: SQLite uses the index for no other spelling (``open = 1``, ``open IS 1``).
OPEN = text("notification.open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An open message, but for what it says. ``alerts`` are those that it names: its own, or those of its bundle."""

    row: int
    brand: str
    severity: Severity
    alerts: tuple[str, ...]
    decided_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits for one receiver of one severity: how much, and since when the oldest was decided."""

    receiver: str
    severity: Severity
    count: int
    decided_at: datetime


async def enqueue(connection: AsyncConnection, dialect: str, notifications: Sequence[Notification]) -> None:
    """Put notifications into the outbox, inside the caller's transaction; one that is there already stays as it is."""
    if notifications:
        await connection.execute(
            insert_into(dialect, tables.notification).on_conflict_do_nothing(index_elements=["id"]),
            [_outbox(one) for one in notifications],
        )


async def waiting(database: Database, receiver: str) -> list[Waiting]:
    """All that waits for one receiver, due or not, in the order of decision."""
    table, member = tables.notification.c, tables.bundle_member.c
    waits = (table.receiver == receiver, OPEN)
    naming = (
        select(member.bundle, member.alert_id)
        .join(tables.notification, table.alert_id == member.bundle)
        .where(table.brand == SEVERAL, *waits)
        .distinct()
    )
    chosen = (
        select(table.row, table.alert_id, table.brand, table.severity, table.decided_at, table.due_at)
        .where(*waits)
        .order_by(table.row)
    )
    named: dict[str, list[str]] = {}
    async with database.reading() as connection:
        rows = (await connection.execute(chosen)).all()
        if any(row.brand == SEVERAL for row in rows):
            for bundle, alert_id in await connection.execute(naming):
                named.setdefault(bundle, []).append(alert_id)
    return [
        Waiting(
            row=row.row,
            brand=row.brand,
            severity=Severity(row.severity),
            alerts=tuple(named.get(row.alert_id, ())) if row.brand == SEVERAL else (row.alert_id,),
            decided_at=row.decided_at,
            due_at=row.due_at,
        )
        for row in rows
    ]


async def claim(database: Database, row: int, *, now: datetime, lease_secs: float) -> Notification | None:
    """Take one message for ``lease_secs``; None when another daemon has it, or it is not due or not open any more."""
    table = tables.notification
    async with database.writing() as connection:
        # The lease is the next due time: a claim whose owner died is simply due again.
        taken = await connection.execute(
            update(table)
            .where(table.c.row == row, table.c.open.is_(True), table.c.due_at <= now)
            .values(due_at=now + timedelta(seconds=lease_secs))
            .returning(table)
        )
        found = taken.first()
    return None if found is None else _notification(found)


async def sent(database: Database, notification: Notification, *, now: datetime) -> None:
    """The receiver has taken it."""
    await _close(database, notification, sent_at=now, error=None)


async def dead(database: Database, notification: Notification, *, now: datetime, error: str) -> None:
    """No further attempt will be made."""
    await _close(database, notification, dead_at=now, error=error[:500])


async def again(database: Database, notification: Notification, *, due_at: datetime, error: str) -> None:
    """This attempt failed; the next is due at ``due_at``."""
    async with database.writing() as connection:
        await connection.execute(
            update(tables.notification)
            .where(tables.notification.c.id == notification.id, tables.notification.c.open.is_(True))
            .values(attempt=notification.attempt + 1, due_at=due_at, error=error[:500])
        )


async def _close(database: Database, notification: Notification, **values: object) -> None:
    async with database.writing() as connection:
        await connection.execute(
            update(tables.notification)
            # What somebody else has closed meanwhile stays as it is: an attempt may outlast its lease.
            .where(tables.notification.c.id == notification.id, tables.notification.c.open.is_(True))
            .values(open=False, attempt=notification.attempt + 1, **values)
        )


async def backlogs(database: Database) -> list[Backlog]:
    """What is still to deliver, by receiver and severity."""
    table = tables.notification.c
    chosen = (
        select(table.receiver, table.severity, func.count().label("count"), func.min(table.decided_at))
        .where(OPEN)
        .group_by(table.receiver, table.severity)
        .order_by(table.receiver, table.severity)
    )
    async with database.reading() as connection:
        return [
            Backlog(receiver=receiver, severity=Severity(severity), count=count, decided_at=decided_at)
            for receiver, severity, count, decided_at in await connection.execute(chosen)
        ]


async def abandon(database: Database, backlog: Backlog, *, decided_before: datetime, now: datetime, error: str) -> int:
    """Make no further attempt for what of this was decided before then; how many."""
    table = tables.notification.c
    async with database.writing() as connection:
        closed = await connection.execute(
            update(tables.notification)
            .where(table.receiver == backlog.receiver, OPEN, table.severity == backlog.severity.value)
            .where(table.decided_at < decided_before)
            .values(open=False, dead_at=now, error=error)
        )
        return int(closed.rowcount)


async def pending(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """By alert, the receivers that a message about it, alone or among others, still waits for."""
    table, member = tables.notification.c, tables.bundle_member.c
    found: dict[str, set[str]] = {}
    for some in chunks(list(alert_ids)):
        alone = select(table.alert_id, table.receiver).where(table.alert_id.in_(some), table.open.is_(True))
        among = (
            select(member.alert_id, table.receiver)
            .join(tables.bundle_member, member.bundle == table.alert_id)
            .where(member.alert_id.in_(some), table.open.is_(True))
        )
        for chosen in (alone, among):
            for row in await connection.execute(chosen):
                found.setdefault(row.alert_id, set()).add(row.receiver)
    return {alert_id: frozenset(receivers) for alert_id, receivers in found.items()}


async def was_told(database: Database, receiver: str, ids: Collection[str]) -> bool:
    """Whether the receiver has taken a message that one of these alerts or bundles fires."""
    table = tables.notification.c
    opening = [reason.value for reason in (*OPENING, Reason.DIGEST)]
    async with database.reading() as connection:
        chosen = (
            select(table.row)
            .where(
                table.alert_id.in_(list(ids)),
                table.receiver == receiver,
                table.sent_at.is_not(None),
                table.reason.in_(opening),
            )
            .limit(1)
        )
        return (await connection.execute(chosen)).first() is not None


async def old(
    connection: AsyncConnection, receiver: str, limits: Mapping[Severity, datetime], *, now: datetime
) -> list[Notification]:
    """What is due to a receiver and was decided before its severity's limit, in order.

    What is not due may be on its way: another daemon holds it. With it come the messages about what was missed that
    wait themselves: they are joined into one.
    """
    table = tables.notification.c
    missed = select(tables.bundle.c.id).where(tables.bundle.c.kind == "missed")
    waiting = select(tables.notification).where(table.receiver == receiver, OPEN, table.alert_id.in_(missed))
    due = _too_old(receiver, limits).where(table.due_at <= now)
    found = {row.row: row for chosen in (due, waiting) for row in await connection.execute(chosen)}
    return [_notification(found[row]) for row in sorted(found)]


def _too_old(receiver: str, limits: Mapping[Severity, datetime]) -> Select[Any]:
    table = tables.notification.c
    old = or_(*(and_(table.severity == one.value, table.decided_at < at) for one, at in limits.items()))
    return select(tables.notification).where(table.receiver == receiver, OPEN, old).order_by(table.row)


async def give_up(connection: AsyncConnection, ids: Sequence[str], *, now: datetime, error: str) -> None:
    """Make no further attempt for these, inside the caller's transaction."""
    for some in chunks(ids):
        await connection.execute(
            update(tables.notification)
            .where(tables.notification.c.id.in_(some), tables.notification.c.open.is_(True))
            .values(open=False, dead_at=now, error=error)
        )


def _outbox(notification: Notification) -> dict[str, Any]:
    return {
        "id": notification.id,
        "alert_id": notification.alert_id,
        "seq": notification.seq,
        "brand": notification.brand,
        "severity": notification.severity.value,
        "receiver": notification.receiver,
        "reason": notification.reason.value,
        "payload": dict(notification.payload),
        "decided_at": notification.decided_at,
        "due_at": notification.due_at,
        "attempt": notification.attempt,
        "repeat": notification.repeat,
        "open": True,
    }


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        alert_id=row.alert_id,
        seq=row.seq,
        brand=row.brand,
        severity=Severity(row.severity),
        receiver=row.receiver,
        reason=Reason(row.reason),
        payload=row.payload,
        decided_at=row.decided_at,
        due_at=row.due_at,
        attempt=row.attempt,
        repeat=row.repeat,
    )
