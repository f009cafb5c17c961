"""What people ask for, silences and settings on real databases."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from listener.domain import Act, Action, Outcome, Severity, Silence, Via, stable_id
from listener.store import Database, actions, settings, silences
from tests.alerting import NOW

ALERT = stable_id("alert", "acme")
MINUTE = timedelta(minutes=1)


def action(number: int, **changes: Any) -> Action:
    values: dict[str, Any] = {
        "id": stable_id("test", str(number)),
        "target": ALERT,
        "act": Act.ACK,
        "seq": number,
        "by": "mari",
        "via": Via.CLI,
        "at": NOW + number * MINUTE,
    }
    return Action(**{**values, **changes})


def silence(name: str, **changes: Any) -> Silence:
    values: dict[str, Any] = {
        "id": stable_id("silence", name),
        "starts_at": NOW,
        "ends_at": NOW + timedelta(hours=1),
        "created_by": "mari",
        "comment": "release",
        "brand": "acme",
        "rule": "deterioration",
        "severity": Severity.WARNING,
    }
    return Silence(**{**values, **changes})


async def handle(database: Database, action_id: str, outcome: Outcome = Outcome.DONE) -> bool:
    async with database.writing() as connection:
        return await actions.handled(connection, action_id, outcome=outcome, explanation="so it is", now=NOW)


async def ids(database: Database, *, limit: int = 100) -> Sequence[str]:
    return [one.id for one in await actions.waiting(database, limit=limit)]


async def test_an_action_waits_as_it_came_until_it_is_handled(database: Database) -> None:
    asked = action(1, act=Act.SNOOZE, minutes=90.5, assignee="jaan", comment="põhjus\nkaks", helped="restart")
    assert await actions.put(database, asked)
    assert await actions.waiting(database, limit=10) == [asked]
    assert await actions.of(database, ALERT) == [actions.Handled(action=asked)]
    assert await handle(database, asked.id, Outcome.REFUSED)
    assert await actions.waiting(database, limit=10) == []
    (kept,) = await actions.of(database, ALERT)
    assert kept.action == asked
    assert (kept.outcome, kept.explanation, kept.handled_at) == (Outcome.REFUSED, "so it is", NOW)
    assert await actions.by_id(database, asked.id) == kept


async def test_actions_wait_in_order_of_coming(database: Database) -> None:
    for number in (3, 1, 2):
        await actions.put(database, action(number))
    expected = [action(number).id for number in (3, 1, 2)]
    assert await ids(database) == expected
    assert await ids(database, limit=2) == expected[:2]


async def test_the_same_request_is_kept_once(database: Database) -> None:
    assert await actions.put(database, action(1))
    assert not await actions.put(database, action(1, comment="another"))
    assert await actions.waiting(database, limit=10) == [action(1)]


async def test_of_many_that_send_the_same_at_once_one_is_kept(database: Database) -> None:
    kept = await asyncio.gather(*(actions.put(database, action(1)) for _ in range(8)))
    assert sorted(kept) == [False] * 7 + [True]
    assert len(await actions.of(database, ALERT)) == 1


async def test_a_handled_action_does_not_wait_again_when_it_comes_again(database: Database) -> None:
    await actions.put(database, action(1))
    await handle(database, action(1).id)
    assert not await actions.put(database, action(1))
    assert await ids(database) == []


async def test_what_became_of_an_action_is_said_once(database: Database) -> None:
    await actions.put(database, action(1))
    assert await handle(database, action(1).id)
    assert not await handle(database, action(1).id, Outcome.REFUSED)
    assert not await handle(database, "no such action")
    (kept,) = await actions.of(database, ALERT)
    assert kept.outcome is Outcome.DONE


async def test_a_rolled_back_handling_leaves_the_action_waiting(database: Database) -> None:
    await actions.put(database, action(1))

    async def fails() -> None:
        async with database.writing() as connection:
            await actions.handled(connection, action(1).id, outcome=Outcome.DONE, explanation="", now=NOW)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await fails()
    assert await ids(database) == [action(1).id]


async def test_the_history_of_an_alert_has_what_was_done_to_the_bundles_that_name_it(database: Database) -> None:
    bundle = stable_id("bundle", "storm")
    await actions.put(database, action(1))
    await actions.put(database, action(2, target=bundle))
    await actions.put(database, action(3, target=stable_id("alert", "other")))
    assert [one.action.seq for one in await actions.of(database, ALERT, bundle)] == [1, 2]
    assert await actions.by_id(database, "none") is None


async def test_a_text_that_the_database_cannot_hold_is_kept_as_far_as_it_can(database: Database) -> None:
    await actions.put(database, action(1, comment="a\0b", helped="half \ud83d"))
    (kept,) = await actions.waiting(database, limit=1)
    assert (kept.comment, kept.helped) == ("ab", "half ?")


async def test_a_silence_is_active_from_its_start_until_its_end(database: Database) -> None:
    assert await silences.put(database, silence("one"))
    assert not await silences.put(database, silence("one", comment="again"))
    for at, expected in [
        (NOW - MINUTE, []),
        (NOW, [silence("one")]),
        (NOW + 59 * MINUTE, [silence("one")]),
        (NOW + 60 * MINUTE, []),
    ]:
        assert await silences.active(database, now=at) == expected


async def test_a_silence_is_kept_with_the_transaction_that_decides_it(database: Database) -> None:
    everything = silence("all", brand=None, rule=None, severity=None, comment="")

    async def fails() -> None:
        async with database.writing() as connection:
            await silences.put(connection, everything)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await fails()
    assert await silences.recent(database, limit=10) == []
    async with database.writing() as connection:
        assert await silences.put(connection, everything)
    assert await silences.recent(database, limit=10) == [everything]


async def test_silences_are_listed_by_their_end(database: Database) -> None:
    for name, hours in (("short", 1), ("long", 3), ("middle", 2)):
        await silences.put(database, silence(name, ends_at=NOW + timedelta(hours=hours)))
    listed = await silences.recent(database, limit=2)
    assert [one.id for one in listed] == [silence("long").id, silence("middle").id]
    active = await silences.active(database, now=NOW)
    assert [one.id for one in active] == [silence("short").id, silence("middle").id, silence("long").id]
    assert await silences.by_id(database, silence("long").id[:8]) == [listed[0]]


async def test_an_ended_silence_mutes_no_more_and_says_who_ended_it(database: Database) -> None:
    await silences.put(database, silence("one"))
    at = NOW + 10 * MINUTE
    ended = await silences.end(database, silence("one").id, now=at, by="jaan")
    assert ended == replace(silence("one"), ends_at=at, comment="release (ended early by jaan)")
    assert await silences.active(database, now=at) == []
    assert await silences.end(database, silence("one").id, now=at, by="jaan") is None
    assert await silences.end(database, "none", now=at, by="jaan") is None


async def test_a_silence_that_has_not_begun_can_be_ended(database: Database) -> None:
    later = silence("later", starts_at=NOW + MINUTE)
    await silences.put(database, later)
    ended = await silences.end(database, later.id, now=NOW, by="mari")
    assert ended is not None
    assert (ended.starts_at, ended.ends_at) == (NOW, NOW)
    assert await silences.active(database, now=NOW + 2 * MINUTE) == []


async def test_a_setting_is_what_was_put_last(database: Database) -> None:
    assert await settings.get(database, "bucket") is None
    for tokens in (5, 4):
        await settings.put(database, "bucket", {"tokens": tokens})
    assert await settings.get(database, "bucket") == {"tokens": 4}


async def test_of_many_that_make_a_key_all_use_the_first_ones(database: Database) -> None:
    made = iter(range(100))
    found = await asyncio.gather(
        *(settings.once(database, "key", lambda: {"key": f"key {next(made)}"}) for _ in range(8))
    )
    assert all(one == found[0] for one in found)
    assert await settings.get(database, "key") == found[0]
    assert await settings.once(database, "key", lambda: {"key": "another"}) == found[0]
