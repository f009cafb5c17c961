"""Alerts: what was decided, firing or over."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, and_, desc, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Alert, AlertState, Brief, Evidence, Hold, Resolution, Severity, Signal
from listener.store.database import Database, chunks, insert_into, reading
from listener.store.rows import legible
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


async def one(where: Database | AsyncConnection, alert_id: str) -> Alert | None:
    """The alert with this id."""
    async with reading(where) as connection:
        row = (await connection.execute(select(tables.alert).where(tables.alert.c.id == alert_id))).first()
    return None if row is None else _alert(row)


async def several(where: Database | AsyncConnection, alert_ids: Sequence[str]) -> list[Alert]:
    """The alerts with these ids, in the order given; those that are gone are left out."""
    found: dict[str, Alert] = {}
    async with reading(where) as connection:
        for some in chunks(alert_ids):
            for row in await connection.execute(select(tables.alert).where(tables.alert.c.id.in_(some))):
                found[row.id] = _alert(row)
    return [found[one] for one in alert_ids if one in found]


async def held(where: Database | AsyncConnection, alert_ids: Sequence[str]) -> dict[str, Hold]:
    """Why nobody was told yet of the newest event of these alerts; those of which nothing is held back are absent."""
    found: dict[str, Hold] = {}
    table = tables.event.c
    async with reading(where) as connection:
        for some in chunks(alert_ids):
            chosen = select(table.alert_id, table.hold).where(table.alert_id.in_(some), table.open.is_(True))
            for row in await connection.execute(chosen.where(table.hold.is_not(None)).order_by(table.seq)):
                found[row.alert_id] = Hold(row.hold)
    return found


async def of_rule(database: Database, rule: str, *, state: AlertState) -> list[Alert]:
    """The alerts of one rule that are in this state."""
    async with database.reading() as connection:
        chosen = select(tables.alert).where(tables.alert.c.state == state.value, tables.alert.c.rule == rule)
        return [_alert(row) for row in await connection.execute(chosen)]


async def ended_since(connection: AsyncConnection, since_at: datetime) -> list[str]:
    """The ids of the alerts that have ended since then."""
    return list(
        (await connection.execute(select(tables.alert.c.id).where(tables.alert.c.ended_at >= since_at))).scalars()
    )


async def briefs(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, Brief]:
    """These alerts as they are now, without what they were decided from."""
    table = tables.alert.c
    wanted = (table.id, table.brand, table.rule, table.severity, table.state, table.seq, table.started_at)
    found: dict[str, Brief] = {}
    for some in chunks(list(alert_ids)):
        chosen = select(*wanted, table.ended_at, table.resolution).where(table.id.in_(some))
        found.update((one.alert_id, one) for one in legible(await connection.execute(chosen), _brief))
    return found


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
        "origin_at": alert.origin_at,
    }
    statement = insert_into(dialect, tables.alert).values(**values)
    fresh = {name: value for name, value in values.items() if name != "id"}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=fresh, where=tables.alert.c.seq <= alert.seq)
    )


async def links(where: Database | AsyncConnection, mentions: Sequence[str]) -> list[Evidence]:
    """Where these mentions can be read, in the order given; those that are gone are left out."""
    async with reading(where) as connection:
        rows = await connection.execute(
            select(mention.c.uid, mention.c.url, mention.c.source).where(mention.c.uid.in_(list(mentions)))
        )
        found = {row.uid: Evidence(id=row.uid, url=row.url, source=row.source) for row in rows}
    return [found[uid] for uid in mentions if uid in found]


def _brief(row: Row[Any]) -> Brief:
    return Brief(
        alert_id=row.id,
        brand=row.brand,
        rule=row.rule,
        severity=Severity(row.severity),
        state=AlertState(row.state),
        seq=row.seq,
        started_at=row.started_at,
        ended_at=row.ended_at,
        resolution=Resolution(row.resolution) if row.resolution else None,
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
        signal=SIGNAL.validate_python(row.signal),
        evidence=tuple(row.evidence or ()),
        resolution=Resolution(row.resolution) if row.resolution else None,
        reopened=row.reopened,
        proof=row.proof,
        origin_at=row.origin_at,
    )
