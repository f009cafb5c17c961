"""A database that fails in every way that one can, and a daemon that is frozen: nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from listener.errors import StoreError
from listener.store import Database, migrate, responses
from listener.store import database as store
from tests.integration.test_migrate import downgraded

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
PATIENCE_SECS = 15.0


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database as another daemon has it."""
    other = Database(url)
    try:
        yield other
    finally:
        await other.close()


@POSTGRESQL
async def test_a_frozen_daemon_does_not_hold_up_the_other(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends its transaction, with the lock; when it wakes, it finds that out."""
    monkeypatch.setattr(store, "IDLE_SECS", 0.3)
    async with opened(database_url) as frozen, opened(database_url) as other, asyncio.timeout(PATIENCE_SECS):

        async def freeze() -> None:
            async with responses.deciding(frozen) as connection:
                async with responses.deciding(other):
                    pass
                await connection.execute(text("SELECT 1"))

        with pytest.raises(StoreError):
            await freeze()
        await frozen.ping()


@POSTGRESQL
async def test_sessions_are_bounded(database: Database) -> None:
    """Ended when a transaction idles, and when its daemon's machine is gone."""
    async with database.reading() as connection:
        found = [
            (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in ("idle_in_transaction_session_timeout", "tcp_keepalives_idle")
        ]
    assert found == ["30s", "60"]
    assert store.IDLE_SECS < store.COMMAND_SECS


class Network:
    """Between us and the server; once ``silent`` is set it says nothing more, and connections stay open."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self.silent = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = self._target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        far_source, far_sink = await asyncio.open_connection(self._target.host, self._target.port or 5432)
        for ends in ((source, far_sink), (far_source, sink)):
            self._tasks.add(asyncio.create_task(self._pipe(*ends)))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.silent.is_set():
                    await asyncio.Event().wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.transport.abort()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is long."""
    for name in ("COMMAND_SECS", "CONNECT_SECS", "CLOSE_SECS"):
        monkeypatch.setattr(store, name, 0.5)


@POSTGRESQL
@pytest.mark.usefixtures("impatient")
async def test_a_network_that_goes_silent_is_found_out(database_url: str) -> None:
    """In the middle of a transaction; after that no other old connection is trusted. A stop does not wait for it."""
    async with (
        Network(database_url) as network,
        asyncio.timeout(PATIENCE_SECS),
        opened(network.url) as database,
    ):
        async with database.reading() as one, database.reading() as other:
            await one.execute(text("SELECT 1"))
            await other.execute(text("SELECT 1"))

        async def work() -> None:
            async with database.writing() as connection:
                await connection.execute(text("SELECT 1"))
                network.silent.set()
                network.server.close()
                await connection.execute(text("SELECT 2"))

        with pytest.raises(StoreError, match="does not answer: no answer in time"):
            await work()
        with pytest.raises(StoreError, match="Connect call failed"):
            await database.ping()


@POSTGRESQL
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("known", [True, False], ids=["an idle connection", "a new one"])
async def test_a_silent_network_is_found_out_before_work_begins(database_url: str, known: bool) -> None:
    async with (
        Network(database_url) as network,
        asyncio.timeout(PATIENCE_SECS),
        opened(network.url) as database,
    ):
        if known:
            await database.ping()
        network.silent.set()
        with pytest.raises(StoreError, match="no answer in time"):
            await database.ping()


@POSTGRESQL
async def test_a_command_that_takes_too_long_is_given_up(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMMAND_SECS", 0.3)
    async with opened(database_url) as database, asyncio.timeout(PATIENCE_SECS):
        with pytest.raises(StoreError, match="no answer in time"):
            async with database.writing() as connection:
                await connection.execute(text("SELECT pg_sleep(60)"))
        await database.ping()


@POSTGRESQL
@pytest.mark.parametrize(
    "statements",
    [
        ["SET TRANSACTION READ ONLY", "DELETE FROM event"],
        ["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(60)"],
        ["SELECT pg_terminate_backend(pg_backend_pid())"],
        ["DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"],
        ["DO $$ BEGIN RAISE SQLSTATE '53100'; END $$"],
    ],
    ids=["read-only", "too long", "terminated", "deadlock", "disk full"],
)
async def test_a_database_that_cannot_now_is_no_bug(database: Database, statements: list[str]) -> None:
    async def work() -> None:
        async with database.writing() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    with pytest.raises(StoreError):
        await work()
    await database.ping()


@POSTGRESQL
@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELEKT", "SELECT CAST(:a AS integer)"])
async def test_our_mistakes_stay_bugs(database: Database, statement: str) -> None:
    """Were they a failing database, the same unit would be tried for ever, and the daemon ended for it."""
    with pytest.raises(DBAPIError):
        async with database.writing() as connection:
            await connection.execute(text(statement), {"a": "x"} if ":a" in statement else {})


@POSTGRESQL
async def test_a_database_that_is_not_there_is_no_bug(database_url: str) -> None:
    missing = make_url(database_url).set(database="no_such_database").render_as_string(hide_password=False)
    async with opened(missing) as database:
        with pytest.raises(StoreError, match="does not exist"):
            await database.ping()


@POSTGRESQL
async def test_an_upgrade_may_take_longer_than_a_command(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for who uses a table, as it would work on a million rows."""
    async with opened(database_url) as using:
        await downgraded(using, "0003")
        monkeypatch.setattr(store, "COMMAND_SECS", 0.3)
        async with opened(database_url) as database, asyncio.timeout(PATIENCE_SECS):
            async with using.reading() as connection:
                await connection.execute(text("LOCK TABLE alert IN ACCESS SHARE MODE"))
                upgrade = asyncio.create_task(migrate.prepare(database, auto_upgrade=True))
                await connection.execute(text("SELECT pg_sleep(1.5)"))
                assert not upgrade.done()
            await upgrade
            assert await migrate.version(database) == migrate.scripts().get_current_head()


@POSTGRESQL
async def test_the_queue_of_polls_may_take_longer_than_a_command(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as polling:
        await polling.ping()
        monkeypatch.setattr(store, "COMMAND_SECS", 0.4)
        async with opened(database_url) as database, asyncio.timeout(PATIENCE_SECS):

            async def next_poll() -> str:
                async with database.writing() as connection:
                    await database.lock_mentions(connection)
                    return str((await connection.execute(text("SHOW lock_timeout"))).scalar_one())

            async with polling.writing() as connection:
                await polling.lock_mentions(connection)
                waiting = asyncio.create_task(next_poll())
                await connection.execute(text("SELECT pg_sleep(1.5)"))
                assert not waiting.done()
            assert await waiting == "0"  # only the wait was bounded


@POSTGRESQL
async def test_one_poll_at_a_time_decides_what_is_new(database_url: str) -> None:
    """Also where the first try found the lock taken."""
    async with opened(database_url) as one, opened(database_url) as other, asyncio.timeout(PATIENCE_SECS):
        inside: list[str] = []

        async def poll(database: Database, name: str) -> None:
            async with database.writing() as connection:
                await database.lock_mentions(connection)
                inside.append(name)
                await connection.execute(text("SELECT pg_sleep(0.2)"))
                inside.append(name)

        await asyncio.gather(poll(one, "a"), poll(other, "b"), poll(one, "c"))
    assert inside[0::2] == inside[1::2]


@POSTGRESQL
async def test_statistics_that_cannot_be_taken_are_no_failure_of_what_was_stored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_SECS", 0.3)
    async with opened(database_url) as database, opened(database_url) as vacuuming, asyncio.timeout(PATIENCE_SECS):
        with capture_logs() as logs:
            async with vacuuming.upkeep(60) as connection:
                await connection.execute(text("LOCK TABLE mention IN SHARE UPDATE EXCLUSIVE MODE"))
                await database.grown(store.ANALYSE_FROM)
            assert [entry["event"] for entry in logs] == ["store.not_analysed"]
            await database.grown(2 * store.ANALYSE_FROM)
        assert len(logs) == 1
