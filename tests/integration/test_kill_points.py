"""Killed at every commit: before it, after it, and between a receiver's thanks and our note of it.

The poll, the scoring, the windows, the counting, the decision, the telling, the delivery and the answers of one turn of
a brand are run again and again, killed at a later point each time; a new process then carries on from the database
alone. What is stored, how the brand stands, what people were told and what became of their answers must be what an
undisturbed run gives.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from listener.domain import Act, Checkpoint, Notification, PollResult
from listener.pipeline import act, deliver, evaluate, tell
from listener.store import Database, alerts
from tests.mentions import NOW
from tests.running import Bench, asked, bench, voices

USUAL = voices("Bolt", 40, bad=4, at=NOW - timedelta(days=2), start=0, every=timedelta(minutes=10))
TURN = PollResult(
    mentions=(*USUAL, *voices("Bolt", 30, bad=29, at=NOW, start=100)), checkpoint=Checkpoint(since_at=NOW)
)
MORE = PollResult(mentions=voices("Bolt", 9, bad=5, at=NOW, start=200), checkpoint=Checkpoint(since_at=NOW))
ASSESSMENTS = """
    SELECT m.external_id, a.model, a.p_negative, a.current FROM assessment a JOIN mention m ON m.row = a.mention_row
    ORDER BY m.external_id
"""
FACTS = (
    "SELECT external_id, content_hash, copy_of, revision FROM mention ORDER BY external_id",
    ASSESSMENTS,
    'SELECT brand, size_secs, start_at, volume, copies, negative FROM "window" ORDER BY size_secs, start_at',
    "SELECT count(*) FROM scoring",
    "SELECT count(*) FROM dirty_window",
    "SELECT count(*) FROM ballot",
    """
    SELECT brand, position, mention, source, at, news, risk, negative, polarity, author, repeats, budget, deff FROM vote
    ORDER BY brand, position
    """,
    "SELECT brand, slot, n, negative, x, xx, y, yy, left_out FROM block ORDER BY brand, slot",
    "SELECT brand, position, CAST(state AS TEXT), share, dissatisfaction, mentions FROM standing ORDER BY brand",
    "SELECT brand, rule, severity, state, seq, evidence IS NULL, reopened, resolution FROM alert",
    "SELECT brand, rule, severity, seq, reason, state, open, hold, outcome FROM event ORDER BY seq",
    """
    SELECT brand, told_seq, messages, step, repeats, next_at IS NULL, escalated, acked_by, acked_severity, cause,
        helped, resolved_by, closed, CAST(receivers AS TEXT) FROM response
    """,
    'SELECT act, seq, "by", via, comment, outcome, explanation FROM action ORDER BY act',
    "SELECT alert_id, seq, reason, repeat, open, error FROM notification ORDER BY seq",
)


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


@dataclass
class Reaper:
    """Counts the instants at which a process can die, and kills at one of them."""

    at: int
    passed: int = 0

    def pass_by(self) -> None:
        """One such instant."""
        self.passed += 1
        if self.passed == self.at:
            raise Killed


class Mortal(Database):
    """A database whose process may die before or after each commit."""

    reaper = Reaper(at=0)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with super().writing() as connection:
            yield connection
            self.reaper.pass_by()  # before the commit: it is rolled back
        self.reaper.pass_by()  # after it


async def cycle(at: Bench, reaper: Reaper) -> None:
    """Everything that one turn of a brand sets in motion."""
    told = at.inbox.deliver

    async def deliver_and_die(notification: Notification) -> None:
        await told(notification)
        reaper.pass_by()  # the receiver has it, and we have not written that down

    at.inbox.deliver = deliver_and_die  # type: ignore[method-assign]
    for number, page in enumerate((TURN, MORE), 1):
        # Two minutes later, when a new process goes on, it is the same tick.
        at.clock[0] = max(at.clock[0], NOW + number * timedelta(minutes=5))
        at.script(page)
        await at.polled()
        await at.work()
        await at.look()
        await deliver(at.parts, "inbox")
        await answer(at, (Act.ACK, Act.RESOLVE)[number - 1])
    await tell(at.parts)
    await deliver(at.parts, "inbox")


async def answer(at: Bench, do: Act) -> None:
    """Somebody answers the alert, and asks for the same again when we come back."""
    (alert,) = await alerts.recent(at.parts.database, limit=2)
    await asked(at, alert.id, do, comment="the release")
    await act(at.parts)


async def facts(database: Database) -> list[list[tuple[object, ...]]]:
    """All that the run has left."""
    async with database.reading() as connection:
        return [[tuple(row) for row in await connection.execute(text(query))] for query in FACTS]


async def lived(database: Database, kill_at: int) -> tuple[int, list[Notification], list[list[tuple[object, ...]]]]:
    """Run, die at the given instant (0: never), come back, and finish: instants passed, what was told, what is left."""
    mortal = Mortal(database.url, durable=False)  # the process dies, not the machine
    mortal.reaper = Reaper(at=kill_at)
    told: list[Notification] = []
    try:
        async with bench(mortal) as first:
            first.inbox.taken = told
            try:
                await cycle(first, mortal.reaper)
            except Killed:
                later = first.clock[0]
            else:
                later = first.clock[0] - timedelta(hours=1)
    finally:
        await mortal.close()
    if kill_at:
        async with bench(database) as second:
            second.inbox.taken = told
            # Leases of the dead run out; then the new process does its work as ever.
            second.clock[0] = later + timedelta(minutes=2)
            await cycle(second, Reaper(at=0))
    async with bench(database) as last:  # a process that starts looks at every brand: so all stand in the same tick
        last.inbox.taken = told
        last.clock[0] = NOW + timedelta(minutes=20)
        await evaluate(last.parts)
        await deliver(last.parts, "inbox")
    return mortal.reaper.passed, told, await facts(database)


async def test_an_undisturbed_run_tells_once(database: Database) -> None:
    instants, told, left = await lived(database, 0)
    assert instants >= 30
    assert [one.reason.value for one in told] == ["first", "resolved"]
    assert [row[-2] for row in left[12]] == ["done", "done"]
    assert left[3] == left[4] == left[5] == [(0,)]
    assert len(left[6]) == 79


@pytest.mark.timeout(600)
async def test_a_kill_at_any_instant_changes_nothing(database: Database) -> None:
    """One database for all: each kill starts from empty tables. Every second on SQLite, every seventh on PostgreSQL."""
    instants, told, wanted = await lived(database, 0)
    for kill_at in range(1, instants + 1, 2 if database.dialect == "sqlite" else 7):
        async with database.writing() as connection:
            for table in SQLModel.metadata.sorted_tables:
                await connection.execute(delete(table))
        _, heard, left = await lived(database, kill_at)
        assert without_ids(left) == without_ids(wanted), f"killed at instant {kill_at}"
        once = {(one.alert_id, one.seq) for one in heard}
        assert len(once) == len(told), f"killed at instant {kill_at}: told {len(once)} times"


def without_ids(left: list[list[tuple[object, ...]]]) -> list[list[tuple[object, ...]]]:
    """An alert's id holds its start, which is later after a kill."""
    return [*left[:-1], [row[1:] for row in left[-1]]]
