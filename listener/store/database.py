"""Connections and transactions, on SQLite (WAL) and PostgreSQL alike."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import URL, Table, event, make_url, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from listener.errors import StoreError

T = TypeVar("T")

# Bound parameters in one statement: SQLite allows 32766, PostgreSQL 32767 (asyncpg); stay well below both.
CHUNK = 500
# Serialises the writers of mentions on PostgreSQL, so that two sources cannot both think that they saw a text first.
MENTIONS_LOCK = 7_301_001
ANALYSE_FROM, ANALYSE_MOST = 1_000, 100_000  # rows added between two refreshes of the planner's statistics


def driver_url(url: str) -> URL:
    """The async driver for ``sqlite:///path`` and ``postgresql://…``. Raises ValueError on other databases."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    if backend not in drivers:
        raise ValueError(f"database {backend!r} is not supported, use sqlite or postgresql")
    return parsed.set(drivername=drivers[backend])


class Database:
    """One pool of connections; ``reading`` and ``writing`` are the two ways in.

    ``durable``: a commit survives a power cut; not needed of a SQLite file that is thrown away.
    """

    def __init__(self, url: str | URL, *, durable: bool = True) -> None:
        self._durable = durable
        self.url = driver_url(url) if isinstance(url, str) else url
        self.dialect = self.url.get_backend_name()
        self.engine = self._engine()
        # SQLite has one writer: queue here, in order, rather than in its busy loop.
        self._writer = asyncio.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()
        self._grown = 0
        self._analyse_at = ANALYSE_FROM

    def _engine(self) -> AsyncEngine:
        if self.dialect == "postgresql":
            return create_async_engine(self.url, pool_size=8, max_overflow=8, pool_pre_ping=True)
        engine = create_async_engine(self.url, connect_args={"timeout": 30})

        @event.listens_for(engine.sync_engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            # We say BEGIN ourselves: the driver's own begins late and without IMMEDIATE, so that a transaction which
            # reads first and writes later can fail with "database is locked" in the middle.
            connection.isolation_level = None
            cursor = connection.cursor()
            # FULL: a commit survives a power cut, and so does "this page was sent".
            synchronous = "FULL" if self._durable else "OFF"
            for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "cache_size=-32000"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            writing = connection.get_execution_options().get("listener_writing", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

        return engine

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view; nothing is written. Raises StoreError when the database does not answer."""
        with _store_errors():
            async with self.engine.connect() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises. Raises StoreError."""
        with _store_errors():
            async with self._writer, self.engine.connect() as connection:
                await connection.execution_options(listener_writing=True)
                async with connection.begin():
                    yield connection

    async def lock_mentions(self, connection: AsyncConnection) -> None:
        """Let one transaction at a time decide what is new; released with it."""
        if self.dialect == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MENTIONS_LOCK})

    async def grown(self, rows: int) -> None:
        """Note that ``rows`` mentions were added, and refresh the planner's statistics when the tables have doubled.

        PostgreSQL plans by them: without any it reads a whole table where an index would do. Its autovacuum does the
        same, unless it is late (a first import) or switched off.
        """
        self._grown += rows
        if self.dialect != "postgresql" or self._grown < self._analyse_at:
            return
        self._grown, self._analyse_at = 0, min(2 * self._analyse_at, ANALYSE_MOST)
        async with self.writing() as connection:
            await connection.execute(text("ANALYZE mention, mention_brand, scoring, assessment, vote, ballot"))

    async def ping(self) -> None:
        """Return when the database answers; raises StoreError."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


@contextlib.asynccontextmanager
async def reading(where: Database | AsyncConnection) -> AsyncIterator[AsyncConnection]:
    """A view of its own, or the caller's transaction."""
    if isinstance(where, AsyncConnection):
        yield where
        return
    async with where.reading() as connection:
        yield connection


@contextlib.asynccontextmanager
async def writing(where: Database | AsyncConnection) -> AsyncIterator[AsyncConnection]:
    """A transaction of its own, or the caller's."""
    if isinstance(where, AsyncConnection):
        yield where
        return
    async with where.writing() as connection:
        yield connection


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Make a failing database a StoreError; our own mistakes (SQL, types) stay what they are: bugs."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or type(error).__name__ in {
            "OperationalError",
            "InterfaceError",
            "InternalError",
        }:
            # The statement's parameters hold texts and authors: name the driver's complaint alone.
            raise StoreError(f"{type(error).__name__}: {error.orig}") from error
        raise
    except (OSError, TimeoutError) as error:
        raise StoreError(f"the database does not answer: {error}") from error
    except SQLAlchemyError as error:
        if "QueuePool" in str(error):
            raise StoreError("no free database connection") from error
        raise


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """The values in slices that fit one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT: both databases do, SQLAlchemy's generic one does not."""
    return postgresql_insert(table) if dialect == "postgresql" else sqlite_insert(table)
