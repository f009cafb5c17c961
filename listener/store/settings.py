"""What the daemons of one database agree on, by name: the links' key, the storm's buckets, copies of calendars."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain import Frozen
from listener.store.database import Database, insert_into, reading, writing


async def get(where: Database | AsyncConnection, name: str) -> Frozen | None:
    """The value (JSON), or None when nobody has set it."""
    async with reading(where) as connection:
        chosen = select(tables.setting.c.value).where(tables.setting.c.name == name)
        found: Frozen | None = (await connection.execute(chosen)).scalar()
    return found


async def put(where: Database | AsyncConnection, name: str, value: Frozen) -> None:
    """Set the value, whatever it was; in a transaction of its own or inside the caller's."""
    async with writing(where) as connection:
        statement = insert_into(connection.dialect.name, tables.setting).values(name=name, value=dict(value))
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
        )


async def once(database: Database, name: str, make: Callable[[], Frozen]) -> Frozen:
    """The value, made by ``make`` when there is none; of several that make one at a time, the first one's stays."""
    found = await get(database, name)
    if found is not None:
        return found
    statement = insert_into(database.dialect, tables.setting).values(name=name, value=dict(make()))
    async with database.writing() as connection:
        await connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        chosen = select(tables.setting.c.value).where(tables.setting.c.name == name)
        kept: Frozen = (await connection.execute(chosen)).scalar_one()
    return kept
