"""How people respond to alerts, kept row by row; and the lock under which it is decided who is told."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.domain import Bundle, Response, Severity
from listener.store.database import Database, chunks, insert_into, reading
from listener.store.rows import legible
from listener.tables import bundle, bundle_member, response

UNFINISHED = text("NOT response.closed")  # as its partial index has it: see ``store.outbox``

# One daemon at a time decides who is told: two that share a database must not both page.
TELL_LOCK = 7_301_002


@contextlib.asynccontextmanager
async def deciding(database: Database) -> AsyncIterator[AsyncConnection]:
    """One transaction, alone among all daemons, in which it is decided who is told and what an action does."""
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TELL_LOCK})
        yield connection


async def of(where: Database | AsyncConnection, alert_ids: Iterable[str]) -> dict[str, Response]:
    """The responses to these alerts, as far as there are any."""
    found: dict[str, Response] = {}
    asked = list(alert_ids)
    if not asked:
        return found
    async with reading(where) as connection:
        for some in chunks(asked):
            rows = await connection.execute(select(response).where(response.c.alert_id.in_(some)))
            found.update((one.alert_id, one) for one in legible(rows, _response))
    return found


async def unfinished(connection: AsyncConnection) -> dict[str, Response]:
    """All that are not closed: of alerts that fire and that people were told of."""
    rows = await connection.execute(select(response).where(UNFINISHED))
    return {one.alert_id: one for one in legible(rows, _response)}


async def write(connection: AsyncConnection, dialect: str, responses: Sequence[Response]) -> None:
    """Keep responses, inside the caller's transaction."""
    if not responses:
        return
    values = [_row(one) for one in responses]
    statement = insert_into(dialect, response)
    fresh = {name: statement.excluded[name] for name in values[0] if name != "alert_id"}
    await connection.execute(statement.on_conflict_do_update(index_elements=["alert_id"], set_=fresh), values)


async def write_bundles(connection: AsyncConnection, dialect: str, bundles: Sequence[Bundle]) -> None:
    """Keep what bundles name, inside the caller's transaction; one that is there already stays as it is."""
    if not bundles:
        return
    await connection.execute(
        insert_into(dialect, bundle).on_conflict_do_nothing(index_elements=["id"]),
        [{"id": one.id, "kind": one.kind, "at": one.at} for one in bundles],
    )
    await connection.execute(
        insert_into(dialect, bundle_member).on_conflict_do_nothing(index_elements=["bundle", "place"]),
        [
            {"bundle": one.id, "place": place, "alert_id": member.alert_id, "seq": member.seq}
            for one in bundles
            for place, member in enumerate(one.members)
        ],
    )


async def members(connection: AsyncConnection, bundle_id: str) -> list[tuple[str, int]]:
    """The alerts that a bundle names, with the event of each; empty when there is no such bundle."""
    named = select(bundle_member.c.alert_id, bundle_member.c.seq).where(bundle_member.c.bundle == bundle_id)
    return [(row.alert_id, row.seq) for row in await connection.execute(named.order_by(bundle_member.c.place))]


async def bundle_ids(database: Database, start: str) -> list[str]:
    """The ids of bundles that begin with ``start``: people shorten ids."""
    async with database.reading() as connection:
        chosen = select(bundle.c.id).where(bundle.c.id.startswith(start, autoescape=True)).limit(10)
        return list((await connection.execute(chosen)).scalars())


async def bundles_of(where: Database | AsyncConnection, alert_id: str) -> list[str]:
    """The ids of the bundles that name an alert."""
    async with reading(where) as connection:
        named = select(bundle_member.c.bundle).where(bundle_member.c.alert_id == alert_id).distinct()
        return list((await connection.execute(named)).scalars())


def _row(one: Response) -> dict[str, Any]:
    values = asdict(one)
    values["receivers"] = list(one.receivers)
    values["acked_severity"] = None if one.acked_severity is None else one.acked_severity.value
    return values


def _response(row: Row[Any]) -> Response:
    values = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
    values["receivers"] = tuple(row.receivers or ())
    values["acked_severity"] = Severity(row.acked_severity) if row.acked_severity else None
    return Response(**values)
