"""Decisions and the outbox: an alert and its due notifications are one commit, so no decision is ever lost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, desc, func, select, update
from sqlalchemy.exc import IntegrityError

from listener import tables
from listener.domain import Alert, AlertState, Condition, Evidence, Notification, Reason, Severity, Signal
from listener.store.database import Database, insert_into
from listener.tables import assessment, mention, mention_brand

_TIMES = ("window_start_at", "window_end_at")


async def latest(database: Database) -> dict[str, Alert]:
    """The newest alert of each fingerprint, firing or not."""
    newest = (
        select(tables.alert.c.fingerprint, func.max(tables.alert.c.started_at).label("started_at"))
        .group_by(tables.alert.c.fingerprint)
        .subquery()
    )
    same = and_(tables.alert.c.fingerprint == newest.c.fingerprint, tables.alert.c.started_at == newest.c.started_at)
    async with database.reading() as connection:
        alerts = [_alert(row) for row in await connection.execute(select(tables.alert).join(newest, same))]
    return {alert.fingerprint: alert for alert in alerts}


async def recent(database: Database, *, limit: int, state: AlertState | None = None) -> list[Alert]:
    """The newest alerts first."""
    chosen = select(tables.alert).order_by(desc(tables.alert.c.started_at)).limit(limit)
    if state is not None:
        chosen = chosen.where(tables.alert.c.state == state.value)
    async with database.reading() as connection:
        return [_alert(row) for row in await connection.execute(chosen)]


async def save_decision(database: Database, alert: Alert, notifications: Sequence[Notification]) -> bool:
    """Keep an alert with what it makes due, in one transaction; False when another daemon decided first."""
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
        "signal": _document(alert.signal),
        "evidence": list(alert.evidence),
    }
    statement = insert_into(database.dialect, tables.alert).values(**values)
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: value for name, value in values.items() if name != "id"},
        # An older decision never overwrites a newer one.
        where=tables.alert.c.seq <= alert.seq,
    )
    try:
        async with database.writing() as connection:
            await connection.execute(statement)
            if notifications:
                await connection.execute(
                    insert_into(database.dialect, tables.notification).on_conflict_do_nothing(index_elements=["id"]),
                    [_outbox(one) for one in notifications],
                )
    except IntegrityError:  # the unique index: this fingerprint already fires under another id
        return False
    return True


async def evidence(
    database: Database, brand: str, *, start_at: datetime, end_at: datetime, limit: int
) -> list[Evidence]:
    """The mentions that weigh most against the brand in [``start_at``, ``end_at``), the worst first."""
    weight = func.coalesce(assessment.c.risk, assessment.c.p_negative)
    current = and_(
        assessment.c.mention_row == mention.c.row,
        assessment.c.content_hash == mention.c.content_hash,
        assessment.c.current.is_(True),
    )
    chosen = (
        select(mention.c.uid, mention.c.url, mention.c.source)
        .select_from(mention_brand.join(mention, mention.c.row == mention_brand.c.mention_row))
        .join(assessment, current)
        .where(
            mention_brand.c.brand == brand,
            mention_brand.c.at >= start_at,
            mention_brand.c.at < end_at,
            mention.c.copy_of.is_(None),
        )
        .order_by(desc(weight * (1.0 + func.coalesce(mention.c.reach, 0))), mention.c.row)
        .limit(limit)
    )
    async with database.reading() as connection:
        rows = await connection.execute(chosen)
        return [Evidence(id=row.uid, url=row.url, source=row.source) for row in rows]


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


def _document(signal: Signal) -> dict[str, Any]:
    document = asdict(signal)
    return {**document, **{name: document[name].isoformat() for name in _TIMES}}


def _signal(document: Mapping[str, Any]) -> Signal:
    severity = document["severity"]
    return Signal(
        **{
            **document,
            **{name: datetime.fromisoformat(document[name]) for name in _TIMES},
            "condition": Condition(document["condition"]),
            "severity": Severity(severity) if severity else None,
        }
    )


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
        signal=_signal(row.signal),
        evidence=tuple(row.evidence or ()),
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
