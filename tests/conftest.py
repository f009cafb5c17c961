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
    asyncio.run(_migrated(f"{POSTGRES.rsplit('/', 1)[0]}/{name}"))
    yield name
    asyncio.run(_execute(f"DROP DATABASE {name}"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite file, to copy for each test."""
    path = tmp_path_factory.mktemp("template") / "listener.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path.read_bytes()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "listener.db"
        path.write_bytes(request.getfixturevalue("sqlite_template"))
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    name = f"listener_test_{uuid.uuid4().hex}"
    asyncio.run(_execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield f"{POSTGRES.rsplit('/', 1)[0]}/{name}"
    asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))


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
