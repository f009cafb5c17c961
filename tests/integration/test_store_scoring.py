"""The scoring queue and the windows on real databases: claims return, nothing is scored twice into two rows."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import func, select

from listener import tables
from listener.aggregate import COARSE_SECS, FINE_SECS, window_start
from listener.domain import Window
from listener.store import Database, mentions, scoring, windows
from listener.store.sources import SourceState
from tests.mentions import NOW, assessment, mention

STATE = SourceState(name="forum", fingerprint="f")
LATER = NOW + timedelta(minutes=10)


async def stored(database: Database, *texts: str) -> None:
    found = [mention(str(number), text) for number, text in enumerate(texts)]
    await mentions.save_poll(database, found, STATE, now=NOW)


async def read(database: Database, size_secs: int = FINE_SECS) -> list[Window]:
    start_at = window_start(NOW, COARSE_SECS)
    return await windows.read(
        database, "bolt", start_at=start_at, end_at=start_at + timedelta(hours=2), size_secs=size_secs
    )


async def test_a_claim_is_for_one_and_returns_when_its_owner_dies(database: Database) -> None:
    await stored(database, "Bolt one", "Bolt two", "Bolt three")
    first = await scoring.claim(database, now=NOW, lease_secs=60, limit=2)
    second = await scoring.claim(database, now=NOW, lease_secs=60, limit=2)
    assert [claim.text for claim in first] == ["Bolt one", "Bolt two"]
    assert [claim.text for claim in second] == ["Bolt three"]
    assert await scoring.claim(database, now=NOW, lease_secs=60, limit=2) == []
    assert len(await scoring.claim(database, now=NOW + timedelta(seconds=61), lease_secs=60, limit=9)) == 3


async def test_scored_mentions_leave_the_queue_and_make_windows(database: Database) -> None:
    await stored(database, "Bolt one", "Bolt two")
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    results = [
        scoring.Scored(claim=claims[0], assessment=assessment(0.9)),
        scoring.Scored(claim=claims[1], assessment=assessment(0.2)),
    ]
    await scoring.save(database, results, now=NOW)
    assert await scoring.backlog(database) == 0
    assert await windows.refresh(database) == {"bolt"}
    assert await windows.refresh(database) == set()
    (fine,) = await read(database)
    (hour,) = await read(database, COARSE_SECS)
    assert (fine.volume, fine.negative) == (hour.volume, hour.negative) == (2, 1)
    assert hour.end_at - hour.start_at == timedelta(hours=1)


async def test_scoring_twice_is_scoring_once(database: Database) -> None:
    await stored(database, "Bolt one")
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    again = await scoring.claim(database, now=LATER, lease_secs=60, limit=9)  # its first owner was slow, not dead
    for taken in (claims, again):
        await scoring.save(database, [scoring.Scored(claim=taken[0], assessment=assessment(0.9))], now=NOW)
    await windows.refresh(database)
    assert (await read(database))[0].volume == 1


async def test_rescoring_adds_and_the_newest_counts(database: Database) -> None:
    await stored(database, "Bolt one")
    (claim,) = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    for model, negative in (("old@1", 0.9), ("new@2", 0.1)):
        said = assessment(negative, model=model)
        await scoring.save(database, [scoring.Scored(claim=claim, assessment=said)], now=NOW)
    await windows.refresh(database)
    assert (await read(database))[0].negative == 0
    async with database.reading() as connection:
        kept = (await connection.execute(select(func.count()).select_from(tables.assessment))).scalar_one()
    assert kept == 2


async def test_labels_are_kept_and_decide_what_counts_as_negative(database: Database) -> None:
    """The model's own threshold may lie elsewhere than at one half, and a window must be computed by it."""
    await stored(database, "Bolt one", "Bolt two", "Bolt three")
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    said = [
        assessment(0.2, risk=0.45, labels=("risk", "emotions/anger")),
        replace(assessment(0.9, risk=0.55, labels=()), abstained=("sentiment", "risk")),
        assessment(0.9, risk=0.55),
    ]
    results = [scoring.Scored(claim=claim, assessment=one) for claim, one in zip(claims, said, strict=True)]
    await scoring.save(database, results, now=NOW)
    await windows.refresh(database)
    assert (await read(database))[0].negative == 2
    async with database.reading() as connection:
        columns = select(tables.assessment.c.labels, tables.assessment.c.abstained).order_by(tables.assessment.c.row)
        kept = [tuple(row) for row in await connection.execute(columns)]
    assert kept == [(["risk", "emotions/anger"], None), ([], ["sentiment", "risk"]), (None, None)]


async def test_what_cannot_be_scored_is_marked_and_not_tried_for_ever(database: Database) -> None:
    await stored(database, "Bolt one")
    (claim,) = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    await scoring.save(database, [scoring.Scored(claim=claim, problem="no letters")], now=NOW)
    assert await scoring.claim(database, now=LATER, lease_secs=60, limit=9) == []
    assert await scoring.backlog(database) == 0


async def test_windows_follow_an_edit_that_takes_the_last_mention_away(database: Database) -> None:
    await stored(database, "Bolt one")
    (claim,) = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    await scoring.save(database, [scoring.Scored(claim=claim, assessment=assessment(0.9))], now=NOW)
    await windows.refresh(database)
    await mentions.save_poll(database, [mention("0", "Wolt, I meant", brands=("wolt",))], STATE, now=NOW)
    assert await windows.refresh(database) == {"bolt", "wolt"}
    assert await read(database) == []
    assert await read(database, COARSE_SECS) == []


async def test_a_copy_is_counted_but_has_no_voice(database: Database) -> None:
    text = "Bolt left me standing in the rain for forty minutes and charged me"
    await stored(database, text, text)
    claims = await scoring.claim(database, now=NOW, lease_secs=60, limit=9)
    await scoring.save(database, [scoring.Scored(claim=claims[0], assessment=assessment(0.9))], now=NOW)
    await windows.refresh(database)
    (fine,) = await read(database)
    assert (fine.volume, fine.copies) == (1, 1)
