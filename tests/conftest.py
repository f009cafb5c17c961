"""Fixtures that many tests share: a database of each kind, always migrated by the real migrations."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import structlog

from listener.store import Database, migrate
from tests.services import require

POSTGRES = os.environ.get("LISTENER_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(POSTGRES, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _postgres_answers() -> bool:
    try:
        await _execute("SELECT 1")
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


async def _migrated(url: str) -> None:
    database = Database(url)
    await migrate.prepare(database, auto_upgrade=False)
    await database.close()


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """A migrated database on the real PostgreSQL, to copy one from for each test."""
    require(asyncio.run(_postgres_answers()), f"PostgreSQL at {POSTGRES}")
    name = f"listener_test_{uuid.uuid4().hex}"
    asyncio.run(_execute(f"CREATE DATABASE {name}"))
    asyncio.run(_migrated(_address(name)))
    yield name
    asyncio.run(_execute(f"DROP DATABASE {name}"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite file, to copy for each test."""
    path = tmp_path_factory.mktemp("template") / "listener.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path.read_bytes()


# Emptying a database costs a tenth of making one, of which PostgreSQL writes every file to disk.
EMPTY = """
DO $$ DECLARE found record; BEGIN
    SET LOCAL lock_timeout = '2s';
    FOR found IN SELECT quote_ident(tablename) AS name FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE 'DELETE FROM ' || found.name; END LOOP;
    FOR found IN SELECT quote_ident(sequencename) AS name FROM pg_sequences WHERE schemaname = 'public'
    LOOP EXECUTE 'ALTER SEQUENCE ' || found.name || ' RESTART'; END LOOP;
END $$
"""
SHAPE = """
SELECT (SELECT version_num FROM alembic_version),
       (SELECT string_agg(table_name || '.' || column_name, ',' ORDER BY table_name, column_name)
        FROM information_schema.columns WHERE table_schema = 'public'),
       (SELECT string_agg(indexdef, ',' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public')
"""


class Postgres:
    """Databases like the template: one is used again when a test has left it as it should be, but for its rows."""

    def __init__(self, template: str) -> None:
        self.template = template
        self._spare: list[str] = []
        self._shape = asyncio.run(self._emptied(template))

    def take(self) -> str:
        """A fresh one."""
        if self._spare:
            return self._spare.pop()
        name = f"listener_test_{uuid.uuid4().hex}"
        asyncio.run(_execute(f"CREATE DATABASE {name} TEMPLATE {self.template}"))
        return name

    def give_back(self, name: str) -> None:
        """A test is done with it."""
        if asyncio.run(self._emptied(name)) == self._shape:
            self._spare.append(name)
        else:
            self.drop(name)

    def close(self) -> None:
        """Leave nothing behind."""
        for name in self._spare:
            self.drop(name)

    @staticmethod
    def drop(name: str) -> None:
        """Whoever still uses it is thrown out."""
        asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))

    @staticmethod
    async def _emptied(name: str) -> tuple[object, ...] | None:
        """Its shape once it has no rows; None when it cannot be emptied."""
        try:
            connection = await asyncpg.connect(_address(name), timeout=5)
            try:
                await connection.execute(EMPTY)
                row = await connection.fetchrow(SHAPE)
                return None if row is None else tuple(row)
            finally:
                await connection.close()
        except asyncpg.PostgresError:
            return None


def _address(name: str) -> str:
    return f"{POSTGRES.rsplit('/', 1)[0]}/{name}"


@pytest.fixture(scope="session")
def postgres(postgres_template: str) -> Iterator[Postgres]:
    """The databases on the real PostgreSQL."""
    databases = Postgres(postgres_template)
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "listener.db"
        path.write_bytes(request.getfixturevalue("sqlite_template"))
        yield f"sqlite:///{path}"
        return
    databases: Postgres = request.getfixturevalue("postgres")
    name = databases.take()
    yield _address(name)
    databases.give_back(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database, once of each kind; it need not survive a power cut."""
    opened = Database(database_url, durable=False)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A command sets up logging for its process; here it must not outlive the test."""
    root = logging.getLogger()
    before = (root.handlers, root.level, structlog.get_config())
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.configure(**before[2])
