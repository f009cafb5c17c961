"""Decisions and the outbox: an alert and its due notifications are one commit, so no decision is ever lost."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, and_, desc, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Alert, AlertState, Evidence, Notification, Reason, Resolution, Severity, Signal
from listener.store.database import Database, chunks, insert_into
from listener.tables import mention

SIGNAL = TypeAdapter(Signal)  # reads and writes a finding as JSON values, exactly


async def latest(database: Database, brands: Iterable[str]) -> dict[str, Alert]:
    """The newest alert of each fingerprint of these brands, firing or not."""
    found: dict[str, Alert] = {}
    for some in chunks(list(brands)):
        newest = (
            select(tables.alert.c.fingerprint, func.max(tables.alert.c.started_at).label("started_at"))
            .where(tables.alert.c.brand.in_(some))
            .group_by(tables.alert.c.fingerprint)
            .subquery()
        )
        same = and_(
            tables.alert.c.fingerprint == newest.c.fingerprint, tables.alert.c.started_at == newest.c.started_at
        )
        async with database.reading() as connection:
            for row in await connection.execute(select(tables.alert).join(newest, same)):
                found[row.fingerprint] = _alert(row)
    return found


async def firing(database: Database) -> set[str]:
    """The brands for which an alert fires."""
    async with database.reading() as connection:
        chosen = select(tables.alert.c.brand).where(tables.alert.c.state == AlertState.FIRING.value)
        return set((await connection.execute(chosen)).scalars())


async def by_id(database: Database, start: str) -> list[Alert]:
    """The alerts whose id begins with ``start``: people shorten ids."""
    async with database.reading() as connection:
        chosen = select(tables.alert).where(tables.alert.c.id.startswith(start, autoescape=True)).limit(10)
        return [_alert(row) for row in await connection.execute(chosen)]


async def recent(database: Database, *, limit: int, state: AlertState | None = None) -> list[Alert]:
    """The newest alerts first."""
    chosen = select(tables.alert).order_by(desc(tables.alert.c.started_at)).limit(limit)
    if state is not None:
        chosen = chosen.where(tables.alert.c.state == state.value)
    async with database.reading() as connection:
        return [_alert(row) for row in await connection.execute(chosen)]


async def write(connection: AsyncConnection, dialect: str, alert: Alert) -> None:
    """Keep an alert, inside the caller's transaction.

    Raises IntegrityError when its fingerprint fires under another id. An older decision never overwrites a newer one.
    """
    values = {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "brand": alert.brand,
        "rule": alert.rule,
        "severity": alert.severity.value,
        "state": alert.state.value,
        "seq": alert.seq,
        "started_at": alert.started_at,
        "updated_at": alert.updated_at,
        "ended_at": alert.ended_at,
        "calm_since_at": alert.calm_since_at,
        "signal": SIGNAL.dump_python(alert.signal, mode="json"),
        "evidence": list(alert.evidence),
        "resolution": None if alert.resolution is None else alert.resolution.value,
        "reopened": alert.reopened,
        "proof": None if alert.proof is None else dict(alert.proof),
    }
    statement = insert_into(dialect, tables.alert).values(**values)
    fresh = {name: value for name, value in values.items() if name != "id"}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=fresh, where=tables.alert.c.seq <= alert.seq)
    )


async def enqueue(connection: AsyncConnection, dialect: str, notifications: Sequence[Notification]) -> None:
    """Put notifications into the outbox, inside the caller's transaction; one that is there already stays as it is."""
    if notifications:
        await connection.execute(
            insert_into(dialect, tables.notification).on_conflict_do_nothing(index_elements=["id"]),
            [_outbox(one) for one in notifications],
        )


async def links(database: Database, mentions: Sequence[str]) -> list[Evidence]:
    """Where these mentions can be read, in the order given; those that are gone are left out."""
    async with database.reading() as connection:
        rows = await connection.execute(
            select(mention.c.uid, mention.c.url, mention.c.source).where(mention.c.uid.in_(list(mentions)))
        )
        found = {row.uid: Evidence(id=row.uid, url=row.url, source=row.source) for row in rows}
    return [found[uid] for uid in mentions if uid in found]


async def due(database: Database, receiver: str, *, now: datetime, lease_secs: float, limit: int) -> list[Notification]:
    """Take what is due to one receiver, in the order of decision, for ``lease_secs``.

    A brand whose oldest open notification is not due yet (it waits for its next attempt) is left out whole, so that
    what is told of a brand is told in order.
    """
    table = tables.notification.c
    earlier = tables.notification.alias("earlier")
    blocked = (
        select(earlier.c.row)
        .where(
            earlier.c.receiver == table.receiver,
            earlier.c.brand == table.brand,
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


async def outbox_depth(database: Database) -> tuple[int, datetime | None]:
    """How many notifications are still to deliver, and since when the oldest has waited."""
    table = tables.notification.c
    async with database.reading() as connection:
        chosen = select(func.count(), func.min(table.decided_at)).where(table.open.is_(True))
        count, oldest = (await connection.execute(chosen)).one()
        return int(count), oldest


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        brand=row.brand,
        rule=row.rule,
        severity=Severity(row.severity),
        state=AlertState(row.state),
        seq=row.seq,
        started_at=row.started_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        calm_since_at=row.calm_since_at,
        signal=SIGNAL.validate_python(row.signal),
        evidence=tuple(row.evidence or ()),
        resolution=Resolution(row.resolution) if row.resolution else None,
        reopened=row.reopened,
        proof=row.proof,
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
    )
