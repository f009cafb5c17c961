"""Migrations on real databases: an empty one is made, an older one is not touched unasked, a stranger's is refused."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from listener.errors import StoreError
from listener.store import Database, migrate


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


async def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(_differences) == []


async def test_a_current_database_is_left_alone(database: Database) -> None:
    await migrate.prepare(database, auto_upgrade=False)
    assert await migrate.version(database) == migrate.scripts().get_current_head()


async def _set_version(database: Database, version: str) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


async def test_a_newer_database_is_refused(database: Database) -> None:
    await _set_version(database, "9999")
    with pytest.raises(StoreError, match="made by a newer one"):
        await migrate.prepare(database, auto_upgrade=True)


async def test_a_strangers_database_is_refused(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(StoreError, match="not empty and not ours"):
        await migrate.prepare(database, auto_upgrade=True)


async def test_an_older_database_waits_to_be_asked(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one migration so far: a head that is said to be newer stands for a second."""
    scripts = migrate.scripts()
    monkeypatch.setattr(type(scripts), "get_current_head", lambda _self: "0002")
    with pytest.raises(StoreError, match="listener db upgrade"):
        await migrate.prepare(database, auto_upgrade=False)
