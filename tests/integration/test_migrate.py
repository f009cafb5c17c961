"""Migrations on real databases: an empty one is made, an older one is not touched unasked, a stranger's is refused."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select, text
from sqlmodel import SQLModel

from listener import tables
from listener.errors import StoreError
from listener.store import Database, alerts, ledger, mentions, migrate, scoring, votes
from listener.store.sources import SourceState
from tests import alerting
from tests.mentions import NOW, assessment, mention


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


async def downgraded(database: Database, revision: str) -> None:
    """Take the database back to an older version."""

    def down(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrate.scripts().dir))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with database.writing() as connection:
        await connection.run_sync(down)


async def test_an_older_database_waits_to_be_asked(database: Database) -> None:
    await downgraded(database, "0001")
    with pytest.raises(StoreError, match="listener db upgrade"):
        await migrate.prepare(database, auto_upgrade=False)


async def test_an_upgrade_keeps_the_assessments_and_gives_them_no_labels(database: Database) -> None:
    await downgraded(database, "0001")
    columns = "mention_row, content_hash, model, p_negative, p_neutral, p_positive, created_at, current"
    async with database.writing() as connection:
        await connection.execute(
            text(f"INSERT INTO assessment ({columns}) VALUES (1, 'h', 'old@1', 0.7, 0.2, 0.1, '2026-11-21', true)")  # noqa: S608 -- constants
        )
    await migrate.prepare(database, auto_upgrade=True)
    async with database.reading() as connection:
        (kept,) = (await connection.execute(select(tables.assessment))).all()
        assert await connection.run_sync(_differences) == []
    assert (kept.model, kept.p_negative, kept.labels, kept.abstained) == ("old@1", 0.7, None, None)


async def test_an_upgrade_queues_what_was_scored_before_there_was_a_ledger(database: Database) -> None:
    """Voices with a current assessment, for each of their brands; no copies, and nothing that waits for the model."""
    long = "Bolt was so late that I walked all the way home in the rain, once again"
    said = [
        mention("1", long, brands=("bolt", "wolt")),
        mention("2", long, source="news"),
        mention("3", "Bolt was fine"),
        mention("4", "Bolt was not scored yet"),
    ]
    for source in ("forum", "news"):
        some = [one for one in said if one.source == source]
        await mentions.save_poll(database, some, SourceState(name=source, fingerprint="f"), now=NOW)
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=2)
    results = [scoring.Scored(claim=claim, assessment=assessment(0.9)) for claim in claims]
    await scoring.save(database, results, now=NOW)
    edited = mention("3", "Bolt was awful, edited")
    await mentions.save_poll(database, [edited], SourceState(name="forum", fingerprint="f"), now=NOW)
    await downgraded(database, "0002")
    await migrate.prepare(database, auto_upgrade=True)
    waiting = await votes.waiting(database, now=NOW, limit=99)
    assert sorted((one.brand, one.ballot.mention) for one in waiting if one.ballot) == [
        ("bolt", said[0].id),
        ("wolt", said[0].id),
    ]
    assert len(waiting) == 2
    assert await ledger.read(database, "bolt") == []


async def test_an_upgrade_and_back_keeps_the_alerts(database: Database) -> None:
    fired = alerting.alert()
    async with database.writing() as connection:
        await alerts.write(connection, database.dialect, fired)
    await downgraded(database, "0002")
    await migrate.prepare(database, auto_upgrade=True)
    assert await alerts.latest(database, ["acme"]) == {fired.fingerprint: fired}
