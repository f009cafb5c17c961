"""Bringing the database to the version that this program needs (Alembic, scripts in ``migrations/``)."""

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from listener.errors import StoreError

if TYPE_CHECKING:
    from listener.store.database import Database

PACKAGED = Path(__file__).parents[1] / "_migrations"  # in the wheel
CHECKOUT = Path(__file__).parents[2] / "migrations"  # in a source tree
STEP_SECS = 6 * 3600.0  # one statement over all mentions, or its wait for others that use the table


def scripts() -> ScriptDirectory:
    """The migrations that belong to this program."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(PACKAGED if PACKAGED.exists() else CHECKOUT))
    return config


async def version(database: "Database") -> str | None:
    """The version that the database is at; None for an empty one. Raises StoreError on a database of somebody else."""
    async with database.reading() as connection:
        return await connection.run_sync(_version)


def _version(connection: Connection) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None and (tables := inspect(connection).get_table_names()):
        raise StoreError(
            f"the database is not empty and not ours (it has the table {min(tables)!r}); "
            "give listener a database of its own"
        )
    return current


async def upgrade(database: "Database", revision: str = "head") -> None:
    """Bring the database to ``revision``, in one transaction."""
    async with database.upkeep(STEP_SECS) as connection:
        await connection.run_sync(_upgrade, revision)


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def prepare(database: "Database", *, auto_upgrade: bool) -> None:
    """Make the database ready for use, or say what to do.

    An empty database is brought up to date. An older one is upgraded only when ``auto_upgrade`` says so: an upgrade of
    a large database takes time, and wants a backup first. Raises StoreError.
    """
    head = scripts().get_current_head()
    current = await version(database)
    if current == head:
        return
    known = {script.revision for script in scripts().walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"the database is at version {current}, which this listener does not know: it was made by a newer one; "
            "install that one, or restore a backup"
        )
    if current is not None and not auto_upgrade:
        raise StoreError(
            f"the database is at version {current}, this listener needs {head}: make a backup, then run "
            "`listener db upgrade` (or set database.auto_upgrade = true)"
        )
    await upgrade(database)
