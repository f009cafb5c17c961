"""Mentions on their way through the model: claimed for a while, so that a claim returns when its owner dies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.aggregate import FINE_SECS, window_start
from listener.domain import Assessment, Mention
from listener.store.database import Database, chunks, insert_into
from listener.tables import mention, mention_brand, scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One mention to score; ``content_hash`` says which version of it."""

    row: int
    content_hash: str
    text: str
    lang: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the model said of a claim: an assessment, or why there is none."""

    claim: Claim
    assessment: Assessment | None = None
    problem: str | None = None


async def claim(database: Database, *, now: datetime, lease_secs: float, limit: int) -> list[Claim]:
    """Take up to ``limit`` mentions that nobody is scoring, oldest first, for ``lease_secs``."""
    free = and_(scoring.c.dead.is_(False), or_(scoring.c.claimed_until_at.is_(None), scoring.c.claimed_until_at <= now))
    picked = select(scoring.c.mention_row).where(free).order_by(scoring.c.mention_row).limit(limit)
    if database.dialect == "postgresql":
        picked = picked.with_for_update(skip_locked=True)
    async with database.writing() as connection:
        rows = (await connection.execute(picked)).scalars().all()
        if not rows:
            return []
        await connection.execute(
            update(scoring)
            .where(scoring.c.mention_row == bindparam("picked_row"))
            .values(claimed_until_at=now + timedelta(seconds=lease_secs)),
            [{"picked_row": row} for row in rows],
        )
        claims = []
        for some in chunks(rows):
            found = await connection.execute(
                select(mention.c.row, scoring.c.content_hash, mention.c.title, mention.c.text, mention.c.lang)
                .join(scoring, scoring.c.mention_row == mention.c.row)
                .where(mention.c.row.in_(some))
                .order_by(mention.c.row)
            )
            claims += [
                Claim(
                    row=one.row, content_hash=one.content_hash, text=Mention.joined(one.title, one.text), lang=one.lang
                )
                for one in found
            ]
    return claims


async def save(database: Database, results: Sequence[Scored], *, now: datetime) -> None:
    """Keep the assessments, take their mentions off the queue and mark the windows that change.

    A mention that was edited while the model read it stays queued: its new version has another hash.
    """
    good = [(one.claim, one.assessment) for one in results if one.assessment is not None]
    bad = [one for one in results if one.assessment is None]
    async with database.writing() as connection:
        for some in chunks(good, 100):
            rows = [claim.row for claim, _ in some]
            await connection.execute(
                update(tables.assessment).where(tables.assessment.c.mention_row.in_(rows)).values(current=False)
            )
            values = [_values(claim, said, now) for claim, said in some]
            statement = insert_into(database.dialect, tables.assessment)
            identity = ["mention_row", "content_hash", "model"]
            fresh = {name: statement.excluded[name] for name in values[0] if name not in identity}
            await connection.execute(statement.on_conflict_do_update(index_elements=identity, set_=fresh), values)
            touched = (
                await connection.execute(
                    select(mention_brand.c.brand, mention_brand.c.at, mention_brand.c.mention_row).where(
                        mention_brand.c.mention_row.in_(rows)
                    )
                )
            ).all()
            await mark_dirty(connection, database.dialect, [(one.brand, one.at) for one in touched])
            if touched:  # they can be counted now; a mention that was counted before is passed over then
                await connection.execute(
                    insert_into(database.dialect, tables.ballot).on_conflict_do_nothing(),
                    [{"brand": one.brand, "mention_row": one.mention_row, "at": one.at} for one in touched],
                )
        if good:
            done = and_(
                scoring.c.mention_row == bindparam("done_row"), scoring.c.content_hash == bindparam("done_hash")
            )
            await connection.execute(
                delete(scoring).where(done),
                [{"done_row": claim.row, "done_hash": claim.content_hash} for claim, _ in good],
            )
        for one in bad:
            await connection.execute(
                update(scoring)
                .where(scoring.c.mention_row == one.claim.row, scoring.c.content_hash == one.claim.content_hash)
                .values(dead=True, error=(one.problem or "")[:500], claimed_until_at=None)
            )


async def release(database: Database, claims: Sequence[Claim]) -> None:
    """Put claimed mentions back at once, when their batch was given up for a reason that is not theirs."""
    async with database.writing() as connection:
        for some in chunks([claim.row for claim in claims]):
            await connection.execute(
                update(scoring).where(scoring.c.mention_row.in_(some)).values(claimed_until_at=None)
            )


async def backlog(database: Database) -> int:
    """How many mentions wait for the model."""
    async with database.reading() as connection:
        counted = await connection.execute(select(func.count()).select_from(scoring).where(scoring.c.dead.is_(False)))
        return int(counted.scalar_one())


async def mark_dirty(connection: AsyncConnection, dialect: str, touched: Sequence[tuple[str, datetime]]) -> None:
    """Ask for these brands' windows around these times to be computed anew, inside the caller's transaction."""
    keys = sorted({(brand, window_start(at, FINE_SECS)) for brand, at in touched})
    if keys:
        await connection.execute(
            insert_into(dialect, tables.dirty_window).on_conflict_do_nothing(),
            [{"brand": brand, "start_at": start_at} for brand, start_at in keys],
        )


def _values(claim: Claim, said: Assessment, now: datetime) -> dict[str, object]:
    return {
        "mention_row": claim.row,
        "content_hash": claim.content_hash,
        "model": said.model,
        "p_negative": said.probabilities.negative,
        "p_neutral": said.probabilities.neutral,
        "p_positive": said.probabilities.positive,
        "risk": said.risk,
        "wish": said.wish,
        "emotions": dict(said.emotions) if said.emotions is not None else None,
        "loyalty": dict(said.loyalty) if said.loyalty is not None else None,
        "labels": list(said.labels) if said.labels is not None else None,
        "abstained": list(said.abstained) or None,
        "created_at": now,
        "current": True,
    }
