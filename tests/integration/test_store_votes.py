"""The queue, the ledger and the standings on real databases: every voice counts once, or not at all."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from listener import tables
from listener.alerts.detection import standing as standings
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Fleet
from listener.domain import Ballot, Mention, Past, Repeats, Sums, Vote
from listener.store import Database, ledger, mentions, scoring, votes
from listener.store.sources import SourceState
from listener.store.votes import Change, Kept, Waiting
from tests.mentions import NOW, assessment, mention

RULE = Deterioration(name="deterioration", budget=0.25)
HOUR = timedelta(hours=1)


def said(
    number: int, author: str | None = None, *, at: datetime = NOW, thread: str | None = None, **of: Any
) -> Mention:
    """A complaint that says something of its own."""
    found = mention(str(number), f"Bolt was {number} minutes late", author=author, at=at, **of)
    return replace(found, conversation=thread)


async def stored(database: Database, *found: Mention, risk: float = 0.9, now: datetime = NOW) -> None:
    """These mentions are polled and scored."""
    by_source: dict[str, list[Mention]] = {}
    for one in found:
        by_source.setdefault(one.source, []).append(one)
    for source, some in by_source.items():
        await mentions.save_poll(database, some, SourceState(name=source, fingerprint="f"), now=now)
    await scored(database, risk=risk, now=now)


async def scored(database: Database, *, risk: float = 0.9, now: datetime = NOW, model: str = "test@1") -> None:
    claims = await scoring.claim(database, now=now, lease_secs=60, limit=999)
    said_of = [scoring.Scored(claim=claim, assessment=assessment(risk, model=model)) for claim in claims]
    await scoring.save(database, said_of, now=now)


async def waiting(database: Database, *, now: datetime = NOW, limit: int = 999) -> list[Waiting]:
    return await votes.waiting(database, now=now, limit=limit)


async def ballots(database: Database, *, now: datetime = NOW) -> list[Ballot]:
    return [one.ballot for one in await waiting(database, now=now) if one.ballot is not None]


async def change_of(
    database: Database, queue: Sequence[Waiting], *, brand: str = "bolt", now: datetime = NOW, **changes: Any
) -> Change:
    """What a look at the brand changes that counts this queue."""
    found = [one.ballot for one in queue if one.ballot is not None]
    kept = (await votes.kept(database, [brand])).get(brand)
    before = None if kept is None else standings.from_json(kept.state)
    counted = standings.count(before, found, rule=RULE, now=now, fleet=Fleet(), past=())
    version = 0 if kept is None else kept.version
    values: dict[str, Any] = {
        "brand": brand,
        "before": version,
        "kept": Kept(
            version=version + 1,
            position=counted.standing.position,
            state=standings.as_json(counted.standing),
            share=0.2,
            dissatisfaction=0.4,
            deff=1.5,
            mentions=float(counted.standing.position),
        ),
        "waiting": queue,
        "votes": counted.votes,
        "added": counted.added,
        "rows": {one.ballot.mention: one.row for one in queue if one.ballot is not None},
    }
    return Change(**{**values, **changes})


async def counted(database: Database, *, now: datetime = NOW, **changes: Any) -> list[Vote]:
    """Count all that waits; the ledger's new rows."""
    change = await change_of(database, await waiting(database, now=now), now=now, **changes)
    assert await votes.save(database, [change], now=now)
    return list(change.votes)


def as_kept(change: Change) -> Kept:
    """What the database hands out of it: JSON has no tuples."""
    return replace(change.kept, state=json.loads(json.dumps(change.kept.state, allow_nan=False)))


async def rows(database: Database, table: str) -> int:
    async with database.reading() as connection:
        chosen = select(func.count()).select_from(getattr(tables, table))
        return int((await connection.execute(chosen)).scalar_one())


# ------------------------------------------------------------------------------------------------------------- queue


async def test_what_was_scored_waits_to_be_counted_the_oldest_first(database: Database) -> None:
    await stored(database, said(1), said(2, at=NOW - HOUR), said(3, at=NOW + HOUR))
    assert [one.at for one in await ballots(database)] == [NOW - HOUR, NOW]
    assert [one.at for one in await ballots(database, now=NOW + HOUR)] == [NOW - HOUR, NOW, NOW + HOUR]
    assert [one.ballot.at for one in await waiting(database, limit=1) if one.ballot] == [NOW - HOUR]


async def test_what_was_not_scored_does_not_wait(database: Database) -> None:
    await mentions.save_poll(database, [said(1)], SourceState(name="forum", fingerprint="f"), now=NOW)
    assert await waiting(database) == []


async def test_a_ballot_says_what_the_model_said(database: Database) -> None:
    one = replace(said(1, "Mari", reach=700, thread="t9"), topics={"bolt": "delivery"})
    await mentions.save_poll(database, [one], SourceState(name="forum", fingerprint="f"), now=NOW)
    (claim,) = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    found = replace(assessment(0.7, risk=0.45, labels=("risk",)), abstained=("risk",))
    await scoring.save(database, [scoring.Scored(claim=claim, assessment=found)], now=NOW)
    (ballot,) = await ballots(database)
    assert (ballot.mention, ballot.source, ballot.at, ballot.reach) == (one.id, "forum", NOW, 700)
    assert (ballot.risk, ballot.negative, ballot.doubtful) == (0.45, True, True)
    assert ballot.polarity == pytest.approx(-0.4)
    assert (ballot.lang, ballot.topic, ballot.repeats) == ("en", "delivery", None)
    assert ballot.author is not None
    assert "mari" not in ballot.author.casefold()
    assert ballot.conversation not in (None, "t9")


async def test_a_mention_of_two_brands_waits_for_both(database: Database) -> None:
    await stored(database, said(1, brands=("bolt", "wolt")), said(2, brands=("wolt",)))
    assert sorted(one.brand for one in await waiting(database)) == ["bolt", "wolt", "wolt"]
    assert await ledger.followed(database) == ["bolt", "wolt"]
    assert len(await votes.uncounted(database, "wolt")) == 2


async def test_copies_never_vote(database: Database) -> None:
    text = "Bolt left me standing in the rain for forty minutes and charged me for it"
    await stored(database, mention("1", text), mention("2", text, source="news"))
    assert len(await ballots(database)) == 1


async def test_what_became_a_copy_while_it_waited_is_taken_off(database: Database) -> None:
    text = "Bolt left me standing in the rain for forty minutes and charged me for it"
    await stored(database, mention("1", text), mention("2", "Bolt was short"))
    await mentions.save_poll(database, [mention("2", text)], SourceState(name="forum", fingerprint="f"), now=NOW)
    assert [one.ballot is None for one in await waiting(database)] == [False, True]
    assert len(await counted(database)) == 1
    assert await waiting(database) == []


async def test_what_is_about_another_brand_now_is_taken_off(database: Database) -> None:
    await stored(database, said(1))
    edited = mention("1", "Wolt, I meant", brands=("wolt",))
    await mentions.save_poll(database, [edited], SourceState(name="forum", fingerprint="f"), now=NOW)
    assert await ballots(database) == []
    await scored(database)
    assert [(one.brand, one.ballot is None) for one in await waiting(database)] == [("bolt", True), ("wolt", False)]


async def test_an_edited_mention_waits_for_the_model_and_votes_once(database: Database) -> None:
    await stored(database, said(1))
    await mentions.save_poll(
        database, [mention("1", "Bolt was lovely, edited")], SourceState(name="forum", fingerprint="f"), now=NOW
    )
    assert await ballots(database) == []  # its old assessment is not of what it says now
    await scored(database, risk=0.1)
    (vote,) = await counted(database)
    assert vote.risk == pytest.approx(0.1)


async def test_what_was_counted_is_never_counted_again(database: Database) -> None:
    """Edited, scored anew, or scored by another model: a vote is a vote."""
    await stored(database, said(1))
    assert len(await counted(database)) == 1
    edited = mention("1", "Bolt was lovely, edited")
    await mentions.save_poll(database, [edited], SourceState(name="forum", fingerprint="f"), now=NOW)
    await scored(database, risk=0.1, model="other@2")
    assert [one.ballot for one in await waiting(database)] == [None]
    assert await counted(database) == []
    (kept,) = await ledger.read(database, "bolt")
    assert kept.risk == pytest.approx(0.9)
    assert await rows(database, "ballot") == 0


async def test_what_is_forgotten_is_off_the_queue(database: Database) -> None:
    await stored(database, said(1), said(2))
    first, second = await waiting(database)
    await votes.forget(database, [first])
    assert await waiting(database) == [second]


# ----------------------------------------------------------------------------------------------------------- repeats


async def repeats(database: Database, *found: Mention, now: datetime = NOW + timedelta(days=9)) -> list[Repeats | None]:
    """What of these, in the order of their times, is a repeat, all counted at once."""
    await stored(database, *found)
    return [one.repeats for one in await ballots(database, now=now)]


@pytest.mark.parametrize(("hours", "repeat"), [(0, True), (23.99, True), (24, False)])
async def test_an_author_has_one_vote_a_day(database: Database, hours: float, repeat: bool) -> None:
    found = await repeats(database, said(1, "Mari"), said(2, "MARI", at=NOW + timedelta(hours=hours)))
    assert sorted(found, key=str) == sorted([None, Repeats.AUTHOR if repeat else None], key=str)


async def test_a_conversation_has_one_vote_a_day(database: Database) -> None:
    later = [said(number, f"user{number}", at=NOW + number * HOUR, thread="t1") for number in (1, 2, 25)]
    assert await repeats(database, *later) == [None, Repeats.CONVERSATION, None]


async def test_a_repeat_is_nobodys_vote_and_begins_no_new_day(database: Database) -> None:
    """The day runs from the vote that counted, not from what was said again."""
    found = [said(number, "Mari", at=NOW + hours * HOUR) for number, hours in enumerate((0, 20, 30))]
    assert await repeats(database, *found) == [None, Repeats.AUTHOR, None]


async def test_a_repeat_of_an_author_does_not_use_up_a_conversation(database: Database) -> None:
    found = [
        said(1, "Mari"),
        said(2, "Mari", at=NOW + HOUR, thread="t"),
        said(3, "Jüri", at=NOW + 2 * HOUR, thread="t"),
    ]
    assert await repeats(database, *found) == [None, Repeats.AUTHOR, None]


@pytest.mark.parametrize("name", [None, "", "Anonymous", "külaline", "[deleted]", "Аноним"])
async def test_who_has_no_name_is_nobody_and_repeats_nobody(database: Database, name: str | None) -> None:
    found = [said(number, name, at=NOW + number * HOUR) for number in range(3)]
    assert await repeats(database, *found) == [None, None, None]
    assert {one.author for one in await ballots(database, now=NOW + timedelta(days=9))} == {None}


async def test_the_same_name_at_another_source_is_another_author(database: Database) -> None:
    assert await repeats(database, said(1, "Mari"), said(2, "Mari", source="news", at=NOW + HOUR)) == [None, None]


async def test_an_author_has_a_vote_for_each_brand(database: Database) -> None:
    await stored(database, said(1, "Mari", brands=("bolt",)), said(2, "Mari", brands=("wolt",)))
    assert [one.repeats for one in await ballots(database)] == [None, None]


async def test_a_vote_that_was_counted_makes_what_comes_later_a_repeat(database: Database) -> None:
    await stored(database, said(1, "Mari", thread="t"))
    await counted(database)
    late = said(2, "Mari", at=NOW - 2 * HOUR)  # said before, and seen after it was counted
    await stored(database, late, said(3, "Jüri", at=NOW + HOUR, thread="t"), said(4, "Mari", at=NOW + 25 * HOUR))
    found = await ballots(database, now=NOW + timedelta(days=2))
    assert [one.repeats for one in found] == [Repeats.AUTHOR, Repeats.CONVERSATION, None]
    (first, *more) = await counted(database, now=NOW + timedelta(days=2))
    assert not first.weighs
    assert [one.position for one in [first, *more]] == [2, 3, 4]


# ------------------------------------------------------------------------------------------------ ledger and standing


async def test_votes_come_back_as_they_were_counted(database: Database) -> None:
    await stored(database, said(1, "Mari", reach=5, thread="t"), said(2, "Mari", at=NOW - timedelta(days=3)), said(3))
    made = await counted(database)
    assert await ledger.read(database, "bolt") == made
    assert [one.position for one in made] == [1, 2, 3]
    assert [one.news for one in made] == [False, True, True]
    assert await ledger.read(database, "bolt", after=1) == made[1:]
    assert await ledger.read(database, "bolt", until=2) == made[:2]
    assert await ledger.read(database, "bolt", since_at=NOW) == made[1:]
    assert await ledger.read(database, "wolt") == []


async def test_a_standing_comes_back_as_it_was_kept(database: Database) -> None:
    await stored(database, *(said(number, f"user{number}") for number in range(40)))
    change = await change_of(database, await waiting(database))
    assert await votes.save(database, [change], now=NOW)
    kept = await votes.kept(database, ["bolt", "nobody"])
    assert kept == {"bolt": as_kept(change)}
    assert await votes.versions(database, ["bolt", "nobody"]) == {"bolt": 1}


async def test_of_two_daemons_that_count_the_same_one_keeps_nothing(database: Database) -> None:
    await stored(database, said(1), said(2))
    queue = await waiting(database)
    first, second = await change_of(database, queue), await change_of(database, queue[:1])
    assert await votes.save(database, [first], now=NOW)
    assert not await votes.save(database, [second], now=NOW)
    assert [one.position for one in await ledger.read(database, "bolt")] == [1, 2]
    assert (await ledger.past(database, "bolt", first_slot=0))[0].sums.n == 2.0
    assert (await votes.kept(database, ["bolt"]))["bolt"] == as_kept(first)


async def test_of_several_daemons_at_once_one_is_first(database: Database) -> None:
    await stored(database, said(1), said(2))
    queue = await waiting(database)
    changes = [await change_of(database, queue) for _ in range(4)]
    kept = await asyncio.gather(*(votes.save(database, [change], now=NOW) for change in changes))
    assert sum(kept) == 1
    assert await rows(database, "vote") == 2


async def test_a_conflict_over_one_brand_keeps_nothing_of_the_others(database: Database) -> None:
    await stored(database, said(1, brands=("bolt",)), said(2, brands=("wolt",)))
    bolt, wolt = sorted(await waiting(database), key=lambda one: one.brand)
    first = await change_of(database, [bolt])
    both = [await change_of(database, [wolt], brand="wolt"), await change_of(database, [bolt])]
    assert await votes.save(database, [first], now=NOW)
    assert not await votes.save(database, both, now=NOW)
    assert await ledger.read(database, "wolt") == []
    assert [one.brand for one in await waiting(database)] == ["wolt"]
    assert await votes.save(database, both[:1], now=NOW)


async def test_a_look_that_counts_nothing_conflicts_too(database: Database) -> None:
    """An alert that ended in between has begun the evidence anew: an older standing must not undo that."""
    await stored(database, said(1))
    await counted(database)
    first, second = await change_of(database, []), await change_of(database, [])
    assert await votes.save(database, [first], now=NOW)
    assert not await votes.save(database, [second], now=NOW)


# ------------------------------------------------------------------------------------------------- blocks and groups


async def test_blocks_add_up(database: Database) -> None:
    for number in range(3):
        await stored(database, said(number, at=NOW - number * HOUR / 60))
        await counted(database)
    (found,) = [one.sums for one in await ledger.past(database, "bolt", first_slot=0)]
    assert (found.n, found.negative) == (3.0, 3.0)
    assert found[3:] == pytest.approx((2.7, 3 * 0.81, 2.7, 3 * 0.81))


async def test_blocks_are_told_from_one_on_and_up_to_another(database: Database) -> None:
    await stored(database, *(said(number, at=NOW - number * 6 * HOUR) for number in range(4)))
    await counted(database)
    every = await ledger.past(database, "bolt", first_slot=0)
    first = every[0].sums.slot
    assert [one.sums.slot for one in every] == [first, first + 1, first + 2, first + 3]
    assert await ledger.past(database, "bolt", first_slot=first + 1, last_slot=first + 3) == every[1:3]


async def test_what_is_left_out_stays_left_out(database: Database) -> None:
    out, back = (Past(sums=Sums(7, 1.0), left_out=left_out) for left_out in (True, False))
    for added in ([out], [back], [back]):
        await counted(database, added=added)
    (found,) = await ledger.past(database, "bolt", first_slot=0)
    assert (found.left_out, found.sums.n) == (True, 3.0)


async def test_a_page_leaves_out_what_was_added_before_it_from_its_onset_on(database: Database) -> None:
    await counted(database, added=[Past(sums=Sums(slot, 1.0)) for slot in (6, 7, 8)])
    await counted(database, left_out_from=7)
    assert [one.left_out for one in await ledger.past(database, "bolt", first_slot=0)] == [False, True, True]


async def test_a_page_leaves_out_what_it_was_decided_from_too(database: Database) -> None:
    """All in one look: the first votes of these six hours are those that fire."""
    await counted(database, added=[Past(sums=Sums(7, 1.0))], left_out_from=7)
    assert [one.left_out for one in await ledger.past(database, "bolt", first_slot=0)] == [True]


async def test_groups_add_up_voices_by_source_language_and_topic(database: Database) -> None:
    about = [
        replace(said(1, "Mari"), topics={"bolt": "app"}),
        said(2, "Jüri", source="news", at=NOW - HOUR),
        said(3, "Mari", at=NOW - HOUR / 2),
        said(4, "Kati", at=NOW - timedelta(days=2)),
    ]
    await stored(database, *about)
    await counted(database)
    found = await ledger.groups(database, "bolt", since_at=NOW - timedelta(days=1), until_at=NOW + HOUR)
    rounded = {
        name: [(key, count, round(risk, 9), bad) for key, count, risk, bad in some] for name, some in found.items()
    }
    assert rounded == {
        "source": [("forum", 1, 0.9, 1), ("news", 1, 0.9, 1)],
        "lang": [("en", 2, 1.8, 2)],
        "topic": [(None, 2, 1.8, 2)],
    }
    nothing = await ledger.groups(database, "bolt", since_at=NOW, until_at=NOW + HOUR)
    assert nothing == {"source": [], "lang": [], "topic": []}


async def test_the_fleet_is_what_all_brands_have_in_common_by_their_mentions(database: Database) -> None:
    assert await votes.fleet(database) is None
    for brand, share, of in (("bolt", 0.1, 300.0), ("wolt", 0.5, 100.0), ("new", 0.9, 0.0)):
        change = await change_of(database, [], brand=brand)
        kept = replace(change.kept, share=share, mentions=of)
        assert await votes.save(database, [replace(change, kept=kept)], now=NOW)
    assert await votes.fleet(database) == pytest.approx((0.2, 0.4, 1.5))
