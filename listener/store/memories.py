"""What alerts were about: kept with the decision, read when a later alert may be about the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, desc, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from listener import tables
from listener.domain.alerts import AlertState, Channel, Resolution
from listener.domain.memories import Memory, PastAlert
from listener.domain.responses import Act, Outcome
from listener.store.database import Database, chunks, insert_into
from listener.tables import action, alert, memory, mention, mention_brand, response


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a mention says: its text with its title before it, its language and its topic where they are known."""

    id: str
    text: str
    lang: str | None
    topic: str | None = None


async def write(connection: AsyncConnection, dialect: str, one: Memory) -> None:
    """Keep what an alert is about, inside the caller's transaction; what was kept of it before is replaced."""
    values = {"alert_id": one.alert_id, "model": one.model, "at": one.at, "vector": one.vector}
    fresh = {name: value for name, value in values.items() if name != "alert_id"}
    statement = insert_into(dialect, tables.memory).values(**values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["alert_id"], set_=fresh))


async def recent(
    database: Database, *, model: str, limit: int = 1000, before: datetime | None = None, since: datetime | None = None
) -> list[PastAlert]:
    """The alerts that have ended (before ``before``, not before ``since``) and that ``model`` remembers, newest first.

    Cause and help are those of the response; where it has none, those of the notes that people left.
    """
    chosen = _past().where(memory.c.model == model).order_by(desc(alert.c.ended_at)).limit(limit)
    if before is not None:
        chosen = chosen.where(alert.c.ended_at < before)
    if since is not None:
        chosen = chosen.where(alert.c.ended_at >= since)
    async with database.reading() as connection:
        rows = (await connection.execute(chosen)).all()
        noted = await _notes(connection, [row.id for row in rows])
    return [_past_alert(row, noted.get(row.id, ("", ""))) for row in rows]


async def said(database: Database, mentions: Sequence[str], *, brand: str) -> list[Said]:
    """What these mentions say of ``brand``, in the order given; those that are gone are left out."""
    about = and_(mention_brand.c.mention_row == mention.c.row, mention_brand.c.brand == brand)
    async with database.reading() as connection:
        chosen = select(mention.c.uid, mention.c.title, mention.c.text, mention.c.lang, mention_brand.c.topic)
        rows = await connection.execute(
            chosen.select_from(mention).outerjoin(mention_brand, about).where(mention.c.uid.in_(list(mentions)))
        )
        found = {
            row.uid: Said(
                id=row.uid, text="\n".join(filter(None, (row.title, row.text))), lang=row.lang, topic=row.topic
            )
            for row in rows
        }
    return [found[uid] for uid in mentions if uid in found]


async def topics(database: Database, past: Sequence[PastAlert]) -> dict[str, str]:
    """What most of the mentions that an alert showed are about, by alert; absent where no topic is known."""
    uids = sorted({uid for one in past for uid in one.evidence})
    found: dict[tuple[str, str], str] = {}
    for some in chunks(uids):
        chosen = (
            select(mention.c.uid, mention_brand.c.brand, mention_brand.c.topic)
            .join(mention_brand, mention_brand.c.mention_row == mention.c.row)
            .where(mention.c.uid.in_(some), mention_brand.c.topic.is_not(None))
        )
        async with database.reading() as connection:
            for row in await connection.execute(chosen):
                found[row.uid, row.brand] = row.topic
    told: dict[str, str] = {}
    for one in past:
        seen = [found[uid, one.brand] for uid in one.evidence if (uid, one.brand) in found]
        if seen:
            told[one.alert_id] = max(seen, key=seen.count)
    return told


async def taught(database: Database, *, since: datetime | None = None) -> int:
    """How many ended alerts have a cause or what helped written down, whatever model remembers them; no drills."""
    noted = (
        select(action.c.row)
        .where(action.c.target == alert.c.id, action.c.outcome == Outcome.DONE.value)
        .where(or_(action.c.comment.is_not(None), action.c.helped.is_not(None)), action.c.act.in_(_NOTES))
        .exists()
    )
    chosen = (
        select(func.count())
        .select_from(alert.outerjoin(response, response.c.alert_id == alert.c.id))
        .where(alert.c.state == AlertState.RESOLVED.value, alert.c.rule != _DRILL)
        .where(or_(response.c.cause.is_not(None), response.c.helped.is_not(None), noted))
    )
    if since is not None:
        chosen = chosen.where(alert.c.ended_at >= since)
    async with database.reading() as connection:
        return int((await connection.execute(chosen)).scalar_one())


_NOTES = (Act.NOTE.value, Act.RESOLVE.value)
_DRILL = "drill"  # as `listener.alerts.oncall.rounds` has it, which stands above the store


async def _notes(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The newest cause and the newest help that people left with a note or when they resolved, by alert."""
    found: dict[str, tuple[str, str]] = {}
    for some in chunks(ids):
        chosen = (
            select(action.c.target, action.c.comment, action.c.helped)
            .where(action.c.target.in_(some), action.c.act.in_(_NOTES), action.c.outcome == Outcome.DONE.value)
            .order_by(action.c.row)
        )
        for row in await connection.execute(chosen):
            cause, helped = found.get(row.target, ("", ""))
            found[row.target] = row.comment or cause, row.helped or helped
    return found


def _past() -> Select[Any]:
    return (
        select(
            alert.c.id,
            alert.c.brand,
            alert.c.started_at,
            alert.c.ended_at,
            alert.c.resolution,
            alert.c.signal,
            alert.c.evidence,
            memory.c.vector,
            response.c.cause,
            response.c.helped,
            response.c.resolved_by,
        )
        .join(memory, memory.c.alert_id == alert.c.id)
        .outerjoin(response, response.c.alert_id == alert.c.id)
        .where(and_(alert.c.state == AlertState.RESOLVED.value, alert.c.ended_at.is_not(None)))
    )


def _past_alert(row: Row[Any], noted: tuple[str, str]) -> PastAlert:
    return PastAlert(
        alert_id=row.id,
        brand=row.brand,
        started_at=row.started_at,
        ended_at=row.ended_at,
        resolution=None if row.resolution is None else Resolution(row.resolution),
        channels=tuple(Channel(one) for one in (row.signal or {}).get("channels", ())),
        evidence=tuple(row.evidence or ()),
        vector=row.vector,
        cause=row.cause or noted[0],
        helped=row.helped or noted[1],
        resolved_by=row.resolved_by or "",
    )
