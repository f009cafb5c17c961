"""Votes: the queue of what waits to be counted, the ledger of what was, and how each brand stands.

Counting is one transaction with what it decided: votes, standing, alert and outbox. The ledger's key refuses a second
daemon that counts the same brand at the same time; what it took back is counted at the next look.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row, and_, case, delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.dedupe import is_somebody
from listener.domain import Alert, Assessment, Ballot, Event, Past, Probabilities, Repeats, Vote
from listener.domain.memories import Memory
from listener.domain.repeats import REPEAT, Spoken, key_of, repeated_by_brand
from listener.store import alerts, events, ledger, memories
from listener.store.database import Database, chunks, insert_into, reading
from listener.tables import assessment, ballot, block, mention, mention_brand, standing, vote

log = structlog.get_logger()

KEY_BYTES = 12
LOGGED = 10  # brands that are named in the log of one conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A mention of one brand that waits to be counted; ``ballot`` is None when it is a voice no more."""

    brand: str
    row: int
    ballot: Ballot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How a brand stands, as it is kept: the state as JSON values, and what the fleet needs to know of it.

    ``version`` grows with every look that is kept.
    """

    version: int
    position: int
    state: Mapping[str, Any]
    share: float
    dissatisfaction: float
    deff: float
    mentions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one look at one brand changes; see ``save``. ``before`` is the version it started from, 0 without any.

    From ``left_out_from`` on the brand's blocks no longer teach what is usual.
    """

    brand: str
    before: int
    kept: Kept
    waiting: Sequence[Waiting] = ()
    votes: Sequence[Vote] = ()
    added: Sequence[Past] = ()
    left_out_from: int | None = None
    alerts: Sequence[Alert] = ()
    events: Sequence[Event] = ()
    memories: Sequence[Memory] = ()
    rows: Mapping[str, int] = field(default_factory=dict)


async def waiting(database: Database, *, now: datetime, limit: int, without: Collection[str] = ()) -> list[Waiting]:
    """Up to ``limit`` mentions that wait to be counted and were said by ``now``, the oldest first.

    What is about the brands in ``without`` (at most some hundreds) stays on the queue.
    """
    chosen = select(ballot.c.brand, ballot.c.mention_row).where(ballot.c.at <= now)
    if without:
        chosen = chosen.where(ballot.c.brand.not_in(sorted(without)))
    async with database.reading() as connection:
        queue = await connection.execute(chosen.order_by(ballot.c.at).limit(limit))
        asked = [(row.brand, row.mention_row) for row in queue]
        found: dict[tuple[str, int], Ballot] = {}
        for some in chunks(asked):
            for row in await connection.execute(_voices(some)):
                found[row.brand, row.row] = _ballot(row)
        repeated = await _repeats(connection, [(brand, one) for (brand, _), one in found.items()])
    return [
        Waiting(
            brand=brand,
            row=row,
            ballot=None
            if (one := found.get((brand, row))) is None
            else replace(one, repeats=repeated.get((brand, one.mention))),
        )
        for brand, row in asked
    ]


async def kept(where: Database | AsyncConnection, brands: Iterable[str]) -> dict[str, Kept]:
    """How these brands stand; a brand that was never counted is absent."""
    found: dict[str, Kept] = {}
    async with reading(where) as connection:
        for some in chunks(list(brands)):
            for row in await connection.execute(select(standing).where(standing.c.brand.in_(some))):
                found[row.brand] = Kept(
                    version=row.version,
                    position=row.position,
                    state=row.state,
                    share=row.share,
                    dissatisfaction=row.dissatisfaction,
                    deff=row.deff,
                    mentions=row.mentions,
                )
    return found


async def versions(database: Database, brands: Iterable[str]) -> dict[str, int]:
    """The versions of these brands' standings: what was read of one before is still so while it has not grown."""
    found: dict[str, int] = {}
    async with database.reading() as connection:
        for some in chunks(list(brands)):
            rows = await connection.execute(
                select(standing.c.brand, standing.c.version).where(standing.c.brand.in_(some))
            )
            found.update((row.brand, row.version) for row in rows)
    return found


async def fleet(database: Database) -> tuple[float, float, float] | None:
    """The usual share of negative mentions, dissatisfaction and design effect of all brands; None without history."""
    async with database.reading() as connection:
        row = (
            await connection.execute(
                select(
                    func.sum(standing.c.mentions),
                    func.sum(standing.c.mentions * standing.c.share),
                    func.sum(standing.c.mentions * standing.c.dissatisfaction),
                    func.sum(standing.c.mentions * standing.c.deff),
                )
            )
        ).one()
    return (row[1] / row[0], row[2] / row[0], row[3] / row[0]) if row[0] else None


async def save(database: Database, changes: Sequence[Change], *, now: datetime) -> bool:
    """Keep all ``changes`` in one transaction; False, and nothing kept, when another daemon counted one of them.

    Which of the keys refused it is logged: one that goes on refusing is no other daemon.
    """
    try:
        async with database.writing() as connection:
            await _append(connection, changes)
            await _add_blocks(connection, database.dialect, changes)
            for change in changes:
                await _leave_out(connection, change)
            await stand(connection, database.dialect, changes, now)
            await _take_off(connection, [(one.brand, one.row) for change in changes for one in change.waiting])
            for change in changes:
                for alert in change.alerts:
                    await alerts.write(connection, database.dialect, alert)
            await events.write(connection, database.dialect, [one for change in changes for one in change.events])
            for memory in (one for change in changes for one in change.memories):
                await memories.write(connection, database.dialect, memory)
    except Conflict:
        log.info("votes.conflict", brands=_names(changes), why="the standing has changed since")
        return False
    except IntegrityError as error:
        # The first line names the key; what may follow holds values.
        why = str(error.orig).partition("\n")[0]
        log.warning("votes.conflict", brands=_names(changes), why=why)
        return False
    return True


def _names(changes: Sequence[Change]) -> list[str]:
    return [change.brand for change in changes[:LOGGED]]


async def forget(database: Database, some: Sequence[Waiting]) -> None:
    """Take what needs not be counted off the queue."""
    async with database.writing() as connection:
        await _take_off(connection, [(one.brand, one.row) for one in some])


class Conflict(Exception):
    """Another daemon was first."""


async def _leave_out(connection: AsyncConnection, change: Change) -> None:
    """Take what a firing alert tells of out of the usual, also what was added before it fired, and now."""
    if change.left_out_from is not None:
        await connection.execute(
            update(block)
            .where(block.c.brand == change.brand, block.c.slot >= change.left_out_from)
            .values(left_out=True)
        )


async def _append(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    rows = [ledger.row_of(change.brand, one, change.rows[one.mention]) for change in changes for one in change.votes]
    if rows:
        await connection.execute(vote.insert(), rows)


async def _add_blocks(connection: AsyncConnection, dialect: str, changes: Sequence[Change]) -> None:
    values = [
        {"brand": change.brand, **one.sums._asdict(), "left_out": one.left_out}
        for change in changes
        for one in change.added
    ]
    if values:
        statement = insert_into(dialect, block)
        grown: dict[str, Any] = {
            name: block.c[name] + statement.excluded[name] for name in ("n", "negative", "x", "xx", "y", "yy")
        }
        grown["left_out"] = case((block.c.left_out, True), else_=statement.excluded.left_out)
        await connection.execute(statement.on_conflict_do_update(index_elements=["brand", "slot"], set_=grown), values)


async def stand(connection: AsyncConnection, dialect: str, changes: Sequence[Change], now: datetime) -> None:
    """Write the standings, in the caller's transaction. Raises Conflict when one is not what its change began from."""
    values = [
        {
            "brand": change.brand,
            "position": change.kept.position,
            "version": change.before + 1,
            "state": dict(change.kept.state),
            "share": change.kept.share,
            "dissatisfaction": change.kept.dissatisfaction,
            "deff": change.kept.deff,
            "mentions": change.kept.mentions,
            "updated_at": now,
        }
        for change in changes
    ]
    before = {change.brand: change.before for change in changes}
    for some in chunks([change.brand for change in changes]):
        there = select(standing.c.brand, standing.c.version).where(standing.c.brand.in_(some))
        if dialect == "postgresql":
            there = there.with_for_update()
        if any(row.version != before[row.brand] for row in await connection.execute(there)):
            raise Conflict
    statement = insert_into(dialect, standing)
    fresh = {name: statement.excluded[name] for name in values[0] if name != "brand"}
    await connection.execute(statement.on_conflict_do_update(index_elements=["brand"], set_=fresh), values)


async def _take_off(connection: AsyncConnection, keys: Sequence[tuple[str, int]]) -> None:
    for some in chunks(keys):
        await connection.execute(delete(ballot).where(tuple_(ballot.c.brand, ballot.c.mention_row).in_(some)))


def _voices(asked: Sequence[tuple[str, int]]) -> Any:
    """The voices among these (brand, mention row): no copies, with an assessment, not counted yet."""
    current = and_(
        assessment.c.mention_row == mention.c.row,
        assessment.c.content_hash == mention.c.content_hash,
        assessment.c.current.is_(True),
    )
    counted = and_(vote.c.mention_row == mention.c.row, vote.c.brand == mention_brand.c.brand)
    return (
        select(
            mention_brand.c.brand,
            mention_brand.c.at,
            mention_brand.c.topic,
            mention.c.row,
            mention.c.uid,
            mention.c.source,
            mention.c.author,
            mention.c.conversation,
            mention.c.lang,
            mention.c.reach,
            assessment.c.model,
            assessment.c.p_negative,
            assessment.c.p_neutral,
            assessment.c.p_positive,
            assessment.c.risk,
            assessment.c.labels,
            assessment.c.abstained,
        )
        .select_from(mention_brand.join(mention, mention.c.row == mention_brand.c.mention_row))
        .join(assessment, current)
        .outerjoin(vote, counted)
        .where(
            mention_brand.c.mention_row.in_([row for _, row in asked]),
            mention_brand.c.brand.in_(sorted({brand for brand, _ in asked})),
            mention.c.copy_of.is_(None),
            vote.c.position.is_(None),
        )
    )


def _ballot(row: Row[Any]) -> Ballot:
    said = Assessment(
        model=row.model,
        probabilities=Probabilities(negative=row.p_negative, neutral=row.p_neutral, positive=row.p_positive),
        risk=row.risk,
        labels=None if row.labels is None else tuple(row.labels),
        abstained=tuple(row.abstained or ()),
    )
    risk = said.probabilities.negative if said.risk is None else said.risk
    return Ballot(
        mention=row.uid,
        source=row.source,
        at=row.at,
        risk=min(1.0, max(0.0, risk)),
        negative=said.negative,
        polarity=said.polarity,
        lang=row.lang,
        topic=row.topic,
        author=_key(row.source, row.author) if is_somebody(row.author) else None,
        conversation=_key(row.source, row.conversation) if row.conversation else None,
        reach=row.reach,
        doubtful="risk" in said.abstained,
    )


def _key(source: str, name: str) -> str:
    """Equal for the same author or thread of one source, and not their name: the ledger outlives what it counted."""
    return hashlib.sha256(f"{source}\n{name.casefold()}".encode("utf-8", "surrogatepass")).hexdigest()[: 2 * KEY_BYTES]


async def _repeats(connection: AsyncConnection, found: Sequence[tuple[str, Ballot]]) -> dict[tuple[str, str], Repeats]:
    """Which of these, by (brand, mention), repeat an author or a conversation that had a vote within a day."""
    spoken: dict[str, Spoken] = defaultdict(dict)
    for what, column in ((Repeats.AUTHOR, vote.c.author), (Repeats.CONVERSATION, vote.c.conversation)):
        keys = sorted({(brand, key) for brand, one in found if (key := key_of(one, what)) is not None})
        times = [one.at for _, one in found if key_of(one, what) is not None]
        for some in chunks(keys):
            rows = await connection.execute(
                select(vote.c.brand, column.label("key"), vote.c.at).where(
                    tuple_(vote.c.brand, column).in_(some),
                    vote.c.at > min(times) - REPEAT,
                    vote.c.at < max(times) + REPEAT,
                    vote.c.repeats.is_(None),
                )
            )
            for row in rows:
                spoken[row.brand].setdefault((what, row.key), []).append(row.at)
    return repeated_by_brand(found, spoken)


async def uncounted(database: Database, brand: str) -> list[Ballot]:
    """What waits to be counted for one brand, the oldest first; nothing is taken.

    Whether a voice repeats another is not told: that depends on what is counted before it.
    """
    async with database.reading() as connection:
        queue = await connection.execute(select(ballot.c.brand, ballot.c.mention_row).where(ballot.c.brand == brand))
        asked = [(row.brand, row.mention_row) for row in queue]
        found = [_ballot(row) for some in chunks(asked) for row in await connection.execute(_voices(some))]
    return sorted(found, key=lambda one: (one.at, one.mention))
