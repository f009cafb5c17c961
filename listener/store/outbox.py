"""The outbox: every message to a receiver until it was taken; kept afterwards as the record of what was sent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import OPENING, SEVERAL, Notification, Reason, Severity
from listener.store.database import Database, chunks, insert_into

# Serialises the daemons that take what is due to one receiver, on PostgreSQL, so that they keep its order.
CLAIM_LOCK = 7_301_003


async def enqueue(connection: AsyncConnection, dialect: str, notifications: Sequence[Notification]) -> None:
    """Put notifications into the outbox, inside the caller's transaction; one that is there already stays as it is."""
    if notifications:
        await connection.execute(
            insert_into(dialect, tables.notification).on_conflict_do_nothing(index_elements=["id"]),
            [_outbox(one) for one in notifications],
        )


async def due(database: Database, receiver: str, *, now: datetime, lease_secs: float, limit: int) -> list[Notification]:
    """Take what is due to one receiver, in the order of decision, for ``lease_secs``.

    A brand whose oldest open notification is not due yet (it waits for its next attempt) is left out whole, so that
    what is told of a brand is told in order. The end of an alert also waits for a bundle, which may have named it, and
    a bundle for what is told of the alerts that it names.
    """
    table, member = tables.notification.c, tables.bundle_member.c
    earlier = tables.notification.alias("earlier")
    named = and_(earlier.c.brand == SEVERAL, table.reason == Reason.RESOLVED.value)
    naming = select(member.place).where(member.bundle == table.alert_id, member.alert_id == earlier.c.alert_id)
    names = and_(table.brand == SEVERAL, naming.correlate(tables.notification, earlier).exists())
    blocked = (
        select(earlier.c.row)
        .where(
            earlier.c.receiver == table.receiver,
            or_(earlier.c.brand == table.brand, named, names),
            earlier.c.open.is_(True),
            earlier.c.row < table.row,
            earlier.c.due_at > now,
        )
        .exists()
    )
    picked = (
        select(tables.notification)
        .where(table.receiver == receiver, table.open.is_(True), table.due_at <= now, ~blocked)
        .order_by(table.row)
        .limit(limit)
    )
    if database.dialect == "postgresql":
        picked = picked.with_for_update(skip_locked=True)
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            # Skipping what another daemon is just taking must not mean overtaking it.
            claiming = text("SELECT pg_advisory_xact_lock(:key, hashtext(:receiver))")
            await connection.execute(claiming, {"key": CLAIM_LOCK, "receiver": receiver})
        rows = (await connection.execute(picked)).all()
        if rows:
            # The lease is the next due time: a claim whose owner died is simply due again.
            await connection.execute(
                update(tables.notification)
                .where(table.row.in_([row.row for row in rows]))
                .values(due_at=now + timedelta(seconds=lease_secs))
            )
    return [_notification(row) for row in rows]


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
            .where(tables.notification.c.id == notification.id)
            .values(attempt=notification.attempt + 1, due_at=due_at, error=error[:500])
        )


async def _close(database: Database, notification: Notification, **values: object) -> None:
    async with database.writing() as connection:
        await connection.execute(
            update(tables.notification)
            .where(tables.notification.c.id == notification.id)
            .values(open=False, attempt=notification.attempt + 1, **values)
        )


async def depth(database: Database) -> tuple[int, datetime | None]:
    """How many notifications are still to deliver, and since when the oldest has waited."""
    table = tables.notification.c
    async with database.reading() as connection:
        chosen = select(func.count(), func.min(table.decided_at)).where(table.open.is_(True))
        count, oldest = (await connection.execute(chosen)).one()
        return int(count), oldest


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


async def any_old(database: Database, receiver: str, limits: Mapping[Severity, datetime]) -> bool:
    """Whether anything waits for a receiver that was decided before its severity's limit."""
    async with database.reading() as connection:
        return (await connection.execute(_too_old(receiver, limits).limit(1))).first() is not None


async def old(connection: AsyncConnection, receiver: str, limits: Mapping[Severity, datetime]) -> list[Notification]:
    """What waits for a receiver and was decided before its severity's limit, in order.

    With it come the messages about what was missed that wait themselves: they are joined into one.
    """
    table = tables.notification.c
    missed = select(tables.bundle.c.id).where(tables.bundle.c.kind == "missed")
    waiting = select(tables.notification).where(
        table.receiver == receiver, table.open.is_(True), table.alert_id.in_(missed)
    )
    found = {
        row.row: row for chosen in (_too_old(receiver, limits), waiting) for row in await connection.execute(chosen)
    }
    return [_notification(found[row]) for row in sorted(found)]


def _too_old(receiver: str, limits: Mapping[Severity, datetime]) -> Select[Any]:
    table = tables.notification.c
    old = or_(*(and_(table.severity == one.value, table.decided_at <= at) for one, at in limits.items()))
    return select(tables.notification).where(table.receiver == receiver, table.open.is_(True), old).order_by(table.row)


async def give_up(connection: AsyncConnection, ids: Sequence[str], *, now: datetime, error: str) -> None:
    """Make no further attempt for these, inside the caller's transaction."""
    for some in chunks(ids):
        await connection.execute(
            update(tables.notification)
            .where(tables.notification.c.id.in_(some))
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
