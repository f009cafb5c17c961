"""Promise 19: two listeners are as one to whoever listens, and one alone is enough."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from listener.alerts.mqtt.watch import Repeats, read
from listener.alerts.wire.payload import AlertPayload
from listener.domain import Checkpoint, Notification, PollResult, RawMention
from listener.pipeline import deliver, evaluate, tell
from listener.store import Database
from tests.mentions import NOW
from tests.promises.wired import complaint, following, names, rows
from tests.running import MINUTE, Bench, bench, voices

SHIFT = timedelta(seconds=37)
BEGINS = NOW + timedelta(minutes=3)
PAST = voices("Bolt", 100, bad=10, at=NOW - timedelta(days=2), start=0, every=timedelta(hours=4))
TURN = voices("Bolt", 15, bad=14, at=BEGINS + 15 * MINUTE, start=1000, every=MINUTE)


@contextlib.asynccontextmanager
async def fresh(template: bytes, file: Path) -> AsyncIterator[Bench]:
    """A listener with a database of its own."""
    file.write_bytes(template)  # noqa: ASYNC240 -- a test has nothing else to do
    database = Database(f"sqlite:///{file}")
    try:
        async with bench(database) as at:
            yield at
    finally:
        await database.close()


async def live(at: Bench, stream: Sequence[RawMention], *, shift: timedelta, dies_at: datetime | None = None) -> None:
    """Hear each mention at the first poll after it was said, and look once a minute, all of it later by ``shift``."""
    at.clock[0] = NOW + shift
    await at.heard(*PAST)
    heard_until = NOW - timedelta(days=1)
    end = max(one.published_at or NOW for one in stream) + 2 * MINUTE
    while at.clock[0] < end and (dies_at is None or at.clock[0] < dies_at):
        now = at.clock[0]
        new = [one for one in stream if heard_until < (one.published_at or NOW) <= now]
        heard_until = now
        if new:
            at.script(PollResult(mentions=tuple(new), checkpoint=Checkpoint(since_at=NOW)))
            assert await at.polled() == "ok"
            await at.work()
        await at.look()
        await deliver(at.parts, "inbox")
        at.clock[0] += MINUTE


def told_once(*taken: Sequence[Notification]) -> list[AlertPayload]:
    """What a person hears from all of them who drops what comes again."""
    repeats = Repeats()
    found = [read(json.dumps(dict(one.payload)).encode()) for some in taken for one in some]
    return [one for one in found if isinstance(one, AlertPayload) and repeats.is_new(one)]


HEAVY = (complaint("bolt", 1, at=BEGINS + timedelta(seconds=20)),)


@pytest.mark.parametrize("stream", [TURN, HEAVY], ids=["deterioration", "high_risk"])
async def test_promise_19_pair_of_listeners_tells_once(
    tmp_path: Path, sqlite_template: bytes, stream: Sequence[RawMention]
) -> None:
    """Each has its own database and looks 37 seconds after the other: the same alert, the same first event."""
    async with (
        fresh(sqlite_template, tmp_path / "one.db") as one,
        fresh(sqlite_template, tmp_path / "other.db") as other,
    ):
        await live(one, stream, shift=timedelta())
        await live(other, stream, shift=SHIFT)
        first, second = one.inbox.taken, other.inbox.taken
    assert len(first) >= 1
    assert (first[0].alert_id, first[0].seq, first[0].reason) == (second[0].alert_id, second[0].seq, second[0].reason)
    assert first[0].decided_at != second[0].decided_at  # they did not look at the same moments
    assert len({alert.alert_id for alert in told_once(first, second)}) == 1
    assert [alert.reason.value for alert in told_once(first, second)].count("first") == 1


async def test_promise_19_pair_of_which_one_is_dead_still_tells(tmp_path: Path, sqlite_template: bytes) -> None:
    """One dies before customers turn, or after it has told of it: the other one tells what it would have told."""
    for number, dies_at in enumerate((BEGINS, BEGINS + 3 * MINUTE)):
        async with (
            fresh(sqlite_template, tmp_path / f"one{number}.db") as one,
            fresh(sqlite_template, tmp_path / f"other{number}.db") as other,
        ):
            await live(one, HEAVY, shift=timedelta(), dies_at=dies_at)
            await live(other, HEAVY, shift=SHIFT)
            heard = told_once(one.inbox.taken, other.inbox.taken)
            assert len(one.inbox.taken) == number
            assert len(other.inbox.taken) == 1
            assert [alert.reason.value for alert in heard] == ["first"]


async def test_promise_19_pair_on_one_database_decides_once(database_url: str) -> None:
    """They look, tell and deliver at the same time: one decision, one message, whoever was first."""
    one, other = Database(database_url), Database(database_url)
    try:
        async with bench(one) as first, bench(other) as second:
            pair = [following(first, names(8)), following(second, names(8))]
            for name in names(8):
                await pair[0].heard(complaint(name, at=pair[0].clock[0]))
                for _ in range(2):  # who came second looks again at its next tick
                    await asyncio.gather(*(evaluate(at.parts) for at in pair))
                    await asyncio.gather(*(tell(at.parts) for at in pair))
                    await asyncio.gather(*(deliver(at.parts, "inbox") for at in pair))
            taken = [notification for at in pair for notification in at.inbox.taken]
        assert sorted(notification.brand for notification in taken) == names(8)
        for table in ("alert", "event", "notification"):
            assert await rows(one, f"SELECT count(*) FROM {table}") == [(8,)]  # noqa: S608 -- our own words
    finally:
        await one.close()
        await other.close()
