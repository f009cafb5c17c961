"""The ledger of votes, read: what was counted, in order, and what it adds up to."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, or_, select, union

from listener.domain import Past, Repeats, Sums, Vote
from listener.store.database import Database
from listener.tables import ballot, block, standing, vote


async def past(database: Database, brand: str, *, first_slot: int, last_slot: int | None = None) -> list[Past]:
    """The brand's blocks of six hours from ``first_slot`` on, up to and without ``last_slot``."""
    chosen = select(block).where(block.c.brand == brand, block.c.slot >= first_slot).order_by(block.c.slot)
    if last_slot is not None:
        chosen = chosen.where(block.c.slot < last_slot)
    async with database.reading() as connection:
        return [
            Past(sums=Sums(row.slot, row.n, row.negative, row.x, row.xx, row.y, row.yy), left_out=row.left_out)
            for row in await connection.execute(chosen)
        ]


async def read(
    database: Database, brand: str, *, after: int = 0, until: int | None = None, since_at: datetime | None = None
) -> list[Vote]:
    """The brand's votes in order: positions above ``after``, up to ``until``, said from ``since_at`` on."""
    chosen = select(vote).where(vote.c.brand == brand, vote.c.position > after).order_by(vote.c.position)
    if until is not None:
        chosen = chosen.where(vote.c.position <= until)
    if since_at is not None:
        chosen = chosen.where(vote.c.at >= since_at)
    async with database.reading() as connection:
        return [_vote(row) for row in await connection.execute(chosen)]


async def groups(
    database: Database, brand: str, *, since_at: datetime, until_at: datetime
) -> dict[str, list[tuple[str | None, int, float, int]]]:
    """The votes of [``since_at``, ``until_at``) by source, lang, topic: (key, votes, sum of risks, negative)."""
    found: dict[str, list[tuple[str | None, int, float, int]]] = {}
    async with database.reading() as connection:
        for name in ("source", "lang", "topic"):
            column = vote.c[name]
            rows = await connection.execute(
                select(column, func.count(), func.sum(vote.c.risk), func.sum(case((vote.c.negative, 1), else_=0)))
                .where(vote.c.brand == brand, vote.c.at >= since_at, vote.c.at < until_at, vote.c.repeats.is_(None))
                .where(or_(vote.c.counted_at < until_at, vote.c.news.is_(False)))  # late news is of the time after
                .group_by(column)
                .order_by(column)
            )
            found[name] = [(row[0], int(row[1]), float(row[2]), int(row[3])) for row in rows]
    return found


async def followed(database: Database) -> list[str]:
    """The brands of which anything was counted or waits to be, in order."""
    both = union(select(standing.c.brand), select(ballot.c.brand))
    async with database.reading() as connection:
        return sorted(row.brand for row in await connection.execute(both))


def row_of(brand: str, one: Vote, mention_row: int) -> dict[str, Any]:
    """The row that a vote becomes."""
    values = {name: getattr(one, name) for name in _COLUMNS}
    values["repeats"] = None if one.repeats is None else one.repeats.value
    return {"brand": brand, "mention_row": mention_row, **values}


def _vote(row: Row[Any]) -> Vote:
    values = {name: getattr(row, name) for name in _COLUMNS}
    values["repeats"] = None if row.repeats is None else Repeats(row.repeats)
    return Vote(**values)


_COLUMNS = tuple(column.name for column in vote.columns if column.name not in {"brand", "mention_row"})
