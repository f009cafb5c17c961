"""Storing what a poll brought, on real SQLite and real PostgreSQL: once, with its checkpoint, in one transaction."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from listener import tables
from listener.domain import Checkpoint, Mention, Validator, Verdict
from listener.store import Database, mentions, scoring, sources
from listener.store.sources import SourceState
from tests.mentions import NOW, mention

LONG = "Bolt left me standing in the rain for forty minutes and then charged me for it"
STATE = SourceState(name="forum", fingerprint="f")


async def save(database: Database, *found: Mention, state: SourceState = STATE) -> dict[Verdict, int]:
    saved = await mentions.save_poll(database, found, state, now=NOW)
    return {verdict: count for verdict, count in saved.items() if count}


async def count(database: Database, table: str) -> int:
    async with database.reading() as connection:
        chosen = select(func.count()).select_from(getattr(tables, table))
        return int((await connection.execute(chosen)).scalar_one())


async def test_a_poll_twice_is_a_poll_once(database: Database) -> None:
    found = [mention("1", "Bolt was fine"), mention("2", "Bolt was late")]
    assert await save(database, *found) == {Verdict.NEW: 2}
    assert await save(database, *found) == {Verdict.UNCHANGED: 2}
    assert await count(database, "mention") == 2
    assert await count(database, "scoring") == 2


async def test_an_edit_is_a_new_version_of_the_same_mention(database: Database) -> None:
    await save(database, mention("1", "Bolt was fine"))
    (claim,) = await scoring.claim(database, now=NOW, lease_secs=60, limit=10)
    assert await save(database, mention("1", "Bolt was awful, edited")) == {Verdict.EDITED: 1}
    # The claim of the old version may end now; the new version stays queued.
    await scoring.save(database, [scoring.Scored(claim=claim, problem="late")], now=NOW)
    (again,) = await scoring.claim(database, now=NOW + timedelta(minutes=5), lease_secs=60, limit=10)
    assert again.text == "Bolt was awful, edited"
    assert await count(database, "mention") == 1


async def test_an_edit_stays_where_it_was_first_seen(database: Database) -> None:
    """A site that tells no times: a later edit does not move the mention into the present."""
    later = NOW + timedelta(days=1)
    undated = [
        replace(mention("1", text, seen_at=at), published_at=None) for text, at in (("a b", NOW), ("a c", later))
    ]
    for one in undated:
        await save(database, one)
    async with database.reading() as connection:
        assert (await connection.execute(select(tables.mention_brand.c.at))).scalars().all() == [NOW]


async def test_an_edit_may_change_what_it_is_about(database: Database) -> None:
    await save(database, mention("1", "Bolt was fine"))
    await save(database, mention("1", "Wolt was fine, I meant", brands=("wolt",)))
    async with database.reading() as connection:
        brands = (await connection.execute(select(tables.mention_brand.c.brand))).scalars().all()
        dirty = (await connection.execute(select(tables.dirty_window.c.brand))).scalars().all()
    assert brands == ["wolt"]
    assert set(dirty) == {"bolt", "wolt"}


async def test_the_thread_and_the_topics_are_kept(database: Database) -> None:
    found = replace(
        mention("1", "Bolt and Wolt were late", brands=("bolt", "wolt")), conversation="t7", topics={"bolt": "delivery"}
    )
    await save(database, found)
    assert await kept(database) == ("t7", {"bolt": "delivery", "wolt": None})
    edited = mention("1", "Bolt and Wolt were late, and the app crashed", brands=("bolt", "wolt"))
    await save(database, replace(edited, conversation="t8", topics={"wolt": "app"}))
    assert await kept(database) == ("t8", {"bolt": None, "wolt": "app"})


async def kept(database: Database) -> tuple[str | None, dict[str, str | None]]:
    """The only mention's thread, and its topics by brand."""
    async with database.reading() as connection:
        thread = (await connection.execute(select(tables.mention.c.conversation))).scalar_one()
        about = await connection.execute(select(tables.mention_brand.c.brand, tables.mention_brand.c.topic))
        return thread, {row.brand: row.topic for row in about}


async def test_the_same_text_elsewhere_is_a_copy(database: Database) -> None:
    await save(database, mention("1", LONG))
    assert await save(database, mention("9", f"RT @anna: {LONG}!", source="feed")) == {Verdict.DUPLICATE: 1}
    async with database.reading() as connection:
        copy = (await connection.execute(select(tables.mention).where(tables.mention.c.source == "feed"))).one()
    assert copy.copy_of == mention("1", LONG).id
    assert await count(database, "scoring") == 1  # a copy is not read again


async def test_copies_inside_one_poll_are_seen(database: Database) -> None:
    assert await save(database, mention("1", LONG), mention("2", LONG)) == {Verdict.NEW: 1, Verdict.DUPLICATE: 1}


async def test_one_id_twice_in_one_poll_is_one_mention(database: Database) -> None:
    await save(database, mention("1", "Bolt was fine"), mention("1", "Bolt was fine"))
    assert await count(database, "mention") == 1


async def test_two_sources_at_once_do_not_both_think_that_they_were_first(database: Database) -> None:
    results = await asyncio.gather(*(save(database, mention("1", LONG, source=f"feed{number}")) for number in range(5)))
    assert sum(result.get(Verdict.NEW, 0) for result in results) == 1
    assert sum(result.get(Verdict.DUPLICATE, 0) for result in results) == 4


async def test_the_checkpoint_comes_with_the_mentions(database: Database) -> None:
    checkpoint = Checkpoint(
        since_at=NOW, cursor={"page": 3}, validators={"u": Validator(etag='W/"1"')}, refreshed_at=NOW
    )
    await save(database, mention("1", "Bolt was fine"), state=replace(STATE, checkpoint=checkpoint, polled_at=NOW))
    assert (await sources.state(database, "forum", "f")).checkpoint == checkpoint


async def test_a_failing_write_keeps_neither(database: Database) -> None:
    poisoned = replace(mention("1", "Bolt was fine"), seen_at=NOW.replace(tzinfo=None))
    with pytest.raises(Exception, match="naive time"):
        await save(database, poisoned, state=replace(STATE, polled_at=NOW))
    assert await count(database, "mention") == 0
    assert (await sources.state(database, "forum", "f")).polled_at is None


async def test_a_changed_configuration_starts_afresh_but_not_from_the_beginning(database: Database) -> None:
    checkpoint = Checkpoint(since_at=NOW, validators={"u": Validator(etag="1")}, cursor={"page": 3})
    await save(database, state=replace(STATE, checkpoint=checkpoint, failures=4, gone=True))
    fresh = await sources.state(database, "forum", "other")
    assert fresh == SourceState(name="forum", fingerprint="other", checkpoint=Checkpoint(since_at=NOW))


async def test_many_mentions_at_once(database: Database) -> None:
    found = [mention(str(number), f"Bolt ride number {number} was an adventure") for number in range(1800)]
    assert await save(database, *found) == {Verdict.NEW: 1800}
    assert await save(database, *found) == {Verdict.UNCHANGED: 1800}
