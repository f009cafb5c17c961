"""Storing what a poll brought: mentions and the source's checkpoint in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.dedupe import WINDOW, Judgement, Known, Original, judge, lookup_of, story_of
from listener.domain import Mention, Verdict
from listener.store import sources
from listener.store.database import Database, chunks, insert_into
from listener.store.scoring import mark_dirty
from listener.store.sources import SourceState
from listener.tables import mention, mention_brand, scoring


async def save_poll(
    database: Database, found: Sequence[Mention], state: SourceState, *, now: datetime
) -> dict[Verdict, int]:
    """Store what is new or edited among ``found`` (all of one source) and how far the source was read.

    How many mentions had each verdict. Voices are queued for scoring, copies are linked to their original and are not;
    the windows that change are marked. An identity that comes twice counts as it came last.
    """
    batch = list({one.id: one for one in found}.values())
    async with database.writing() as connection:
        await database.lock_mentions(connection)
        known = await _known(connection, [one.id for one in batch])
        originals = await _originals(connection, batch, now)
        judged = list(zip(batch, judge(batch, known=known, originals=originals), strict=True))
        await _insert(connection, database.dialect, [one for one in judged if one[0].id not in known], now)
        edits = [one for one in judged if one[1].verdict is Verdict.EDITED]
        await _edit(connection, database.dialect, edits, now)
        await sources.write(connection, database.dialect, state)
    await database.grown(len(batch) - len(known))
    return dict(Counter(judgement.verdict for _, judgement in judged))


Judged = tuple[Mention, Judgement]


async def _known(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for some in chunks(ids):
        rows = await connection.execute(
            select(mention.c.uid, mention.c.content_hash, mention.c.copy_of).where(mention.c.uid.in_(some))
        )
        known.update((row.uid, Known(content_hash=row.content_hash, copy_of=row.copy_of)) for row in rows)
    return known


async def _originals(connection: AsyncConnection, batch: Sequence[Mention], now: datetime) -> list[Original]:
    """What the batch may be copies of: a bounded number of look-ups by index, see ``listener.dedupe``."""
    if not batch:
        return []
    lookup, source = lookup_of(batch), batch[0].source
    conditions: list[ColumnElement[bool]] = [mention.c.text_key.in_(some) for some in chunks(sorted(lookup.long_keys))]
    conditions += [
        and_(tuple_(mention.c.text_key, mention.c.author).in_(some), mention.c.source == source)
        for some in chunks(sorted(lookup.authored))
    ]
    conditions += [
        and_(mention.c.story.in_(some), mention.c.source != source) for some in chunks(sorted(lookup.stories))
    ]
    rows: dict[int, Original] = {}
    for condition in conditions:
        found = await connection.execute(
            select(
                mention.c.row,
                mention.c.uid,
                mention.c.source,
                mention.c.author,
                mention.c.title,
                mention.c.canonical_url,
                mention.c.text_key,
            ).where(condition, mention.c.copy_of.is_(None), mention.c.seen_at >= now - WINDOW)
        )
        for row in found:
            rows[row.row] = Original(
                id=row.uid,
                source=row.source,
                author=row.author,
                title=row.title,
                canonical_url=row.canonical_url,
                text_key=row.text_key,
            )
    return [original for _, original in sorted(rows.items())]


async def _insert(connection: AsyncConnection, dialect: str, judged: Sequence[Judged], now: datetime) -> None:
    for some in chunks(judged, 200):
        values = [
            {
                "uid": one.id,
                "source": one.source,
                "external_id": one.external_id,
                "seen_at": one.seen_at,
                "revision": 1,
                **_content(one, judgement),
            }
            for one, judgement in some
        ]
        made = await connection.execute(insert_into(dialect, mention).returning(mention.c.uid, mention.c.row), values)
        rows = {row.uid: row.row for row in made}
        await _follow(connection, dialect, some, rows, now)


async def _edit(connection: AsyncConnection, dialect: str, judged: Sequence[Judged], now: datetime) -> None:
    for edits in chunks(judged, 200):
        ids = [one.id for one, _ in edits]
        found = await connection.execute(
            select(mention.c.uid, mention.c.row, mention.c.seen_at).where(mention.c.uid.in_(ids))
        )
        rows, first_seen = {}, {}
        for row in found:
            rows[row.uid], first_seen[row.uid] = row.row, row.seen_at
        # A mention without a time of its own stays in the window in which it was first seen.
        some = [(replace(one, seen_at=first_seen[one.id]), judgement) for one, judgement in edits]
        before = await connection.execute(
            select(mention_brand.c.brand, mention_brand.c.at).where(mention_brand.c.mention_row.in_(rows.values()))
        )
        await mark_dirty(connection, dialect, [(row.brand, row.at) for row in before])
        await connection.execute(delete(mention_brand).where(mention_brand.c.mention_row.in_(rows.values())))
        await connection.execute(delete(scoring).where(scoring.c.mention_row.in_(rows.values())))
        await connection.execute(
            update(mention)
            .where(mention.c.uid == bindparam("edited_uid"))
            .values(revision=mention.c.revision + 1, edited_at=now),
            [{"edited_uid": one.id, **_content(one, judgement)} for one, judgement in some],
        )
        # What was a copy of one that has become a copy itself is a copy of the same original.
        for one, judgement in some:
            if judgement.copy_of is not None:
                await connection.execute(
                    update(mention).where(mention.c.copy_of == one.id).values(copy_of=judgement.copy_of)
                )
        await _follow(connection, dialect, some, rows, now)


async def _follow(
    connection: AsyncConnection, dialect: str, judged: Sequence[Judged], rows: Mapping[str, int], now: datetime
) -> None:
    """What follows from a stored or edited mention: its brands, its place in the queue, the windows that change."""
    brands = [
        {"brand": brand, "at": one.at, "mention_row": rows[one.id], "topic": one.topics.get(brand)}
        for one, _ in judged
        for brand in one.brands
    ]
    if brands:
        await connection.execute(insert_into(dialect, mention_brand), brands)
    queued = [
        {"mention_row": rows[one.id], "content_hash": one.content_hash, "enqueued_at": now, "dead": False}
        for one, judgement in judged
        if judgement.copy_of is None
    ]
    if queued:
        await connection.execute(insert_into(dialect, scoring), queued)
    # A voice changes its windows once it is scored; a copy does so now, and an edit takes its old version away now.
    touched = [
        (brand, one.at)
        for one, judgement in judged
        if judgement.copy_of is not None or judgement.verdict is Verdict.EDITED
        for brand in one.brands
    ]
    await mark_dirty(connection, dialect, touched)


def _content(one: Mention, judgement: Judgement) -> dict[str, Any]:
    """The columns that an edit changes."""
    return {
        "url": one.url,
        "canonical_url": one.canonical_url,
        "title": one.title,
        "text": one.text,
        "author": one.author,
        "lang": one.lang,
        "published_at": one.published_at,
        "rating": one.rating,
        "reach": one.reach,
        "content_hash": one.content_hash,
        "text_key": one.text_key,
        "story": story_of(one),
        "copy_of": judgement.copy_of,
        "conversation": one.conversation,
    }
