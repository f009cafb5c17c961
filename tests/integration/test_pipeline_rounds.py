"""Rounds of looks over real databases: restarts and several daemons decide once, and only what is due is looked at."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlmodel import SQLModel

from listener import tables
from listener.alerts.detection import standing as standings
from listener.pipeline.parts import Agenda
from listener.store import Database, ledger, mentions, votes
from listener.store.sources import SourceState
from tests.mentions import NOW, mention
from tests.running import HOUR, MINUTE, TICK, bench, state_of, told, turned, turns, usual, voices


async def test_two_daemons_on_one_database_decide_once(database: Database) -> None:
    async with bench(database) as one, bench(database) as other:
        await turned(one)
        other.clock[0] = one.clock[0] + timedelta(seconds=1)
        found = [*(await one.look()).told, *(await other.look()).told]
        both = [*await told(one), *await told(other)]
    assert len(found) == len(both) == 1


@pytest.mark.parametrize("counted", [0, 12])
async def test_two_daemons_that_look_at_the_same_moment_decide_once(database: Database, counted: int) -> None:
    async with bench(database) as one, bench(database) as other:
        await usual(one)
        if counted:
            await one.heard(*voices("Bolt", counted, bad=3, at=one.clock[0], start=500))
            await one.look()
        await turns(one)
        other.clock[0] = one.clock[0] + timedelta(seconds=1)
        looks = await asyncio.gather(one.look(), other.look())
        rounds = [alert for found in looks for alert in found.told]
        rounds += [*(await one.look(TICK)).told, *(await other.look(TICK)).told]
        both = [*await told(one), *await told(other)]
    assert len(rounds) == len(both) == 1
    counted_votes = await ledger.read(database, "bolt")
    assert [vote.position for vote in counted_votes] == list(range(1, 431 + counted))
    assert len({vote.mention for vote in counted_votes}) == len(counted_votes)


async def test_a_daemon_that_starts_anew_pages_nobody_again_and_stands_where_it_stood(database: Database) -> None:
    async with bench(database) as before:
        await usual(before)
        await turns(before)
        await before.look()
        assert len(await told(before)) == 1
    stood = await votes.kept(database, ["bolt", "wolt"])
    async with bench(database) as after:
        after.clock[0] = before.clock[0]
        found = await after.look()
        assert await told(after) == []
    assert state_of(found).state == "critical"
    kept = await votes.kept(database, ["bolt", "wolt"])
    assert {name: one.state for name, one in kept.items()} == {name: one.state for name, one in stood.items()}


async def test_counting_in_many_looks_gives_the_same_ledger_and_standing_as_in_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = voices("Bolt", 30, bad=24, at=NOW, start=1000, every=MINUTE)
    left = []
    for size in (5_000, 7):
        monkeypatch.setattr(sys.modules["listener.pipeline.evaluate"], "BALLOTS", size)
        async with bench(database) as at:
            await at.heard(*some)
            await at.look()
        (kept,) = (await votes.kept(database, ["bolt"])).values()
        counted_votes = await ledger.read(database, "bolt")
        left.append((counted_votes, standings.evidence_of(standings.from_json(kept.state)), kept.state["ticks"]))
        async with database.writing() as connection:
            for table in SQLModel.metadata.sorted_tables:
                await connection.execute(delete(table))
    assert left[0] == left[1]


# ------------------------------------------------------------------------------------------------------ what it costs


async def test_only_brands_of_which_something_is_new_or_due_are_looked_at(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await usual(at, "Wolt")
        assert {state.brand for state in (await at.look(MINUTE)).states} == set()
        await at.heard(*voices("Wolt", 1, bad=0, at=at.clock[0], start=500))
        assert {state.brand for state in (await at.look()).states} == {"wolt"}
        assert {state.brand for state in (await at.look(TICK)).states} == {"wolt"}  # its windows slide on
        assert {state.brand for state in (await at.look(7 * HOUR)).states} == {"bolt", "wolt"}


async def test_what_is_said_of_a_brand_that_is_followed_no_more_is_forgotten(database: Database) -> None:
    async with bench(database) as at:
        await at.heard(*voices("Wolt", 3, bad=0, at=at.clock[0], start=0))
        brands = {"bolt": at.parts.brands["bolt"]}
        at.parts = replace(at.parts, brands=brands, agenda=Agenda())
        found = await at.look()
    assert {state.brand for state in found.states} == {"bolt"}
    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(tables.ballot))).scalar_one() == 0
    assert await ledger.read(database, "wolt") == []


async def test_a_mention_of_the_future_waits_until_it_was_said(database: Database) -> None:
    async with bench(database) as at:
        soon = at.clock[0] + HOUR
        ahead = SourceState(name="forum", fingerprint="f")
        await mentions.save_poll(database, [mention("1", "Bolt was awful", at=soon)], ahead, now=at.clock[0])
        await at.work()
        await at.look()
        assert await ledger.read(database, "bolt") == []
        await at.look(HOUR)
        assert [vote.at for vote in await ledger.read(database, "bolt")] == [soon]
