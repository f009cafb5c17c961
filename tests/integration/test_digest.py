"""The digest of the day, from the blocks in the database to the receiver."""

from datetime import timedelta

from listener.alerts.detection import standing as standings
from listener.alerts.detection.rules import Deterioration
from listener.config.models import DigestOptions
from listener.domain import Past, Reason, Sums
from listener.pipeline import deliver, make_digest
from listener.store import Database, digests, votes
from listener.store.votes import Change, Kept
from tests.mentions import NOW
from tests.running import bench, decided

OPTIONS = DigestOptions(at=f"{NOW - timedelta(hours=1):%H:%M}")


async def drifted(database: Database, brand: str) -> None:
    """Twelve weeks of votes, of which the last four are twice as bad."""
    last = int(NOW.timestamp()) // 21600
    blocks = [
        Past(sums=Sums(last - back, 100.0, 100 * share, 100 * share, 100 * share, 40.0, 20.0))
        for back in range(1, 337)
        for share in [0.30 if back <= 112 else 0.15]
    ]
    standing = standings.count(
        None, [], rule=Deterioration(name="d"), now=NOW, fleet=standings.Fleet(), past=blocks
    ).standing
    kept = Kept(
        version=1,
        position=0,
        state=standings.as_json(standing),
        share=0.2,
        dissatisfaction=0.4,
        deff=1.0,
        mentions=1000.0,
    )
    assert await votes.save(database, [Change(brand=brand, before=0, kept=kept, added=blocks)], now=NOW)


async def test_a_slow_fall_is_told_once_a_day(database: Database) -> None:
    async with bench(database) as at:
        await drifted(database, "bolt")
        assert await make_digest(at.parts, OPTIONS) == 1
        assert await make_digest(at.parts, OPTIONS) == 0
        assert await deliver(at.parts, "inbox") == 1
        (told,) = at.inbox.taken
        assert told.reason is Reason.DIGEST
        assert [one["brand"] for one in told.payload["drifting"]] == ["bolt"]
        at.clock[0] += timedelta(days=1)
        assert await make_digest(at.parts, OPTIONS) == 1
        assert await deliver(at.parts, "inbox") == 1
    kept = await digests.last(database)
    assert kept is not None
    assert kept[0] == f"{NOW + timedelta(days=1):%Y-%m-%d}"


async def test_a_competitor_is_not_looked_at_and_off_is_off(database: Database) -> None:
    async with bench(database) as at:
        await drifted(database, "wolt")
        await decided(at, "bolt")
        assert await make_digest(at.parts, DigestOptions(at=OPTIONS.at, enabled=False)) == 0
        assert await make_digest(at.parts, OPTIONS) == 1
        assert await deliver(at.parts, "inbox") == 1
    assert at.inbox.taken[0].payload["drifting"] == []


async def test_a_fresh_start_does_not_say_that_all_is_calm(database: Database) -> None:
    async with bench(database) as at:
        assert await make_digest(at.parts, OPTIONS) == 1
        assert await deliver(at.parts, "inbox") == 0
    assert await digests.last(database) is not None  # it is looked for once a day all the same


async def test_one_that_nobody_made_before_midnight_is_made_after_it_as_that_days(database: Database) -> None:
    """The daemon is away at 23:50 and back at 00:05: the evening's digest comes, and the next evening's, too."""
    options = DigestOptions(at="23:50")
    async with bench(database) as at:
        await drifted(database, "bolt")
        at.clock[0] = (NOW + timedelta(days=1)).replace(hour=0, minute=5)
        assert await make_digest(at.parts, options) == 1
        assert await make_digest(at.parts, options) == 0
        assert await deliver(at.parts, "inbox") == 1
        at.clock[0] = at.clock[0].replace(hour=23, minute=50)
        assert await make_digest(at.parts, options) == 1
        assert await deliver(at.parts, "inbox") == 1
    assert [one.payload["day"] for one in at.inbox.taken] == [f"{NOW + timedelta(days=day):%Y-%m-%d}" for day in (0, 1)]
