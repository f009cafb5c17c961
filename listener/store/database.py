"""Connections and transactions, on SQLite (WAL) and PostgreSQL alike."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import URL, Table, event, make_url, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from listener.errors import StoreError

log = structlog.get_logger()

T = TypeVar("T")

# Bound parameters in one statement: SQLite allows 32766, PostgreSQL 32767 (asyncpg); stay well below both.
CHUNK = 500
# Serialises the writers of mentions on PostgreSQL, so that two sources cannot both think that they saw a text first.
MENTIONS_LOCK = 7_301_001
ANALYSE_FROM, ANALYSE_MOST = 1_000, 100_000  # rows added between two refreshes of the planner's statistics
ANALYSE_SECS = 600.0
CONNECT_SECS = 10.0
# A network that has gone silent looks like a server that computes: our longest command takes a few seconds.
COMMAND_SECS = 60.0
# PostgreSQL ends a transaction whose daemon says nothing (it was stopped, its machine is gone), with the locks that it
# holds: less than COMMAND_SECS, so that who waits for them gets them. Ours do nothing else while they are open.
IDLE_SECS, UPKEEP_IDLE_SECS = 30.0, 600.0
CLOSE_SECS = 10.0
# SQLSTATE (PostgreSQL, appendix A) of a server that cannot do its work now, by class; or alone, where others of the
# class are our mistakes: read-only after a failover, a transaction ended for its idleness or its length.
LOCK_NOT_AVAILABLE = "55P03"
AWAY_CLASSES = frozenset({"08", "28", "3D", "40", "53", "57", "58", "XX"})
AWAY_STATES = frozenset({"25006", "25P03", "25P04", LOCK_NOT_AVAILABLE})


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
            engine = create_async_engine(
                self.url,
                pool_size=8,
                max_overflow=8,
                pool_pre_ping=True,
                connect_args={"timeout": CONNECT_SECS, "command_timeout": COMMAND_SECS},
            )
            _bounded(engine, idle_secs=IDLE_SECS)
            return engine
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

    @contextlib.asynccontextmanager
    async def upkeep(self, secs: float) -> AsyncIterator[AsyncConnection]:
        """Like ``writing``, on a connection of its own, with commands that may take up to ``secs``: for upgrades."""
        if self.dialect != "postgresql":
            async with self.writing() as connection:
                yield connection
            return
        limits = {"timeout": CONNECT_SECS, "command_timeout": secs}
        engine = create_async_engine(self.url, poolclass=NullPool, connect_args=limits)
        _bounded(engine, idle_secs=UPKEEP_IDLE_SECS)
        with _store_errors():
            async with engine.begin() as connection:
                yield connection

    async def lock_mentions(self, connection: AsyncConnection) -> None:
        """Let one transaction at a time decide what is new; released with it.

        However long that takes: many large polls may be in the queue. It waits in parts, each of which shows that the
        server is there.
        """
        if self.dialect != "postgresql":
            return
        trying = text("SELECT pg_try_advisory_xact_lock(:key)")
        if (await connection.execute(trying, {"key": MENTIONS_LOCK})).scalar_one():
            return
        while not await _locked_in_time(connection, MENTIONS_LOCK):
            log.info("store.waiting", lock="mentions")

    async def grown(self, rows: int) -> None:
        """Note that ``rows`` mentions were added, and refresh the planner's statistics when the tables have doubled.

        PostgreSQL plans by them: without any it reads a whole table where an index would do. Its autovacuum does the
        same, unless it is late (a first import) or switched off.
        """
        self._grown += rows
        if self.dialect != "postgresql" or self._grown < self._analyse_at:
            return
        self._grown, self._analyse_at = 0, min(2 * self._analyse_at, ANALYSE_MOST)
        try:
            async with self.upkeep(ANALYSE_SECS) as connection:
                # A VACUUM of the operator's may hold a table for long, and sees to its statistics itself.
                await connection.execute(text(f"SET LOCAL lock_timeout = {round(IDLE_SECS * 1000)}"))
                await connection.execute(text("ANALYZE mention, mention_brand, scoring, assessment, vote, ballot"))
        except StoreError as error:  # the rows are stored: a plan that is worse for a while is no failure of theirs
            log.warning("store.not_analysed", error=str(error))

    async def ping(self) -> None:
        """Return when the database answers; raises StoreError."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back; a server that has gone silent is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
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


def _bounded(engine: AsyncEngine, *, idle_secs: float) -> None:
    """Let neither side of a connection to PostgreSQL wait for ever for the other."""
    # Not among the connection's first words: a pooler in between refuses those that it does not know.
    settings = {
        "idle_in_transaction_session_timeout": round(idle_secs * 1000),
        # A session whose machine is gone: the operating system would look for it after two hours. asyncpg offers none
        # for our side, where the limit on commands does the same.
        "tcp_keepalives_idle": 60,
        "tcp_keepalives_interval": 10,
        "tcp_keepalives_count": 3,
    }
    chosen = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"SELECT {chosen}")
        cursor.close()
        connection.autocommit = False

    @event.listens_for(engine.sync_engine, "handle_error")
    def distrust(context: Any) -> None:
        # A network that has gone silent has done so for all: each connection would be waited for in turn.
        if isinstance(context.original_exception, TimeoutError):
            context.invalidate_pool_on_disconnect = True


async def _locked_in_time(connection: AsyncConnection, key: int) -> bool:
    """Wait for a lock of the transaction, for a while; whether it is ours."""
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = {round(COMMAND_SECS * 500)}"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            await connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    except DBAPIError as error:
        if _sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Make a failing database a StoreError; our own mistakes (SQL, types) stay what they are: bugs."""
    try:
        yield
    except DBAPIError as error:
        if _is_away(error):
            # The statement's parameters hold texts and authors: name the driver's complaint alone.
            raise StoreError(f"{type(error).__name__}: {error.orig}") from error
        raise
    except (OSError, TimeoutError) as error:
        problem = str(error) or "no answer in time"
        raise StoreError(f"the database does not answer: {problem}") from error
    except SQLAlchemyError as error:
        if "QueuePool" in str(error):
            raise StoreError("no free database connection") from error
        raise


def _is_away(error: DBAPIError) -> bool:
    """Whether the database cannot do now what it could at another time."""
    state = _sqlstate(error)
    return (
        error.connection_invalidated
        or type(error).__name__ in {"OperationalError", "InterfaceError", "InternalError"}
        or state[:2] in AWAY_CLASSES
        or state in AWAY_STATES
    )


def _sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's word for what is wrong; empty where it said none."""
    return getattr(error.orig, "sqlstate", None) or ""


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """The values in slices that fit one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT: both databases do, SQLAlchemy's generic one does not."""
    return postgresql_insert(table) if dialect == "postgresql" else sqlite_insert(table)
