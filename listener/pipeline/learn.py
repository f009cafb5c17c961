"""What ended alerts teach becomes drafts of articles; what an article covers already is left alone, and said."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from listener.knowledge import drafts
from listener.knowledge.articles import DRAFTS, Article
from listener.knowledge.drafts import Lesson
from listener.knowledge.library import Shelf
from listener.knowledge.past import mean_of, vectors_of
from listener.pipeline.advise import Adviser
from listener.store import Database, memories

ALERTS_MAX = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What became of one lesson: ``file`` was written, or ``why`` not."""

    alerts: tuple[str, ...]
    file: Path | None
    written: bool
    why: str = ""


async def learn(
    database: Database,
    adviser: Adviser,
    folder: Path,
    *,
    since: datetime | None,
    identify: Callable[[str], str | None],
) -> tuple[list[Learnt], int]:
    """Write a draft into ``folder`` for each lesson; what became of each, and how many alerts nothing is remembered of.

    An alert that an article names already (``alerts``) teaches nothing new. Raises StoreError, ScoringError,
    ConfigError, and OSError when a draft cannot be written.
    """
    model, width = await adviser.model()
    recent = await memories.recent(database, model=model, limit=ALERTS_MAX, since=since)
    teaching = [one for one in recent if one.teaches]
    forgotten = max(0, await memories.taught(database, since=since) - len(teaching))
    known = _known(Shelf(folder).library().articles)
    fresh = [one for one in teaching if one.alert_id not in known]
    topics = await memories.topics(database, fresh)
    found = [await _taught(adviser, folder, one, width, identify) for one in drafts.lessons(fresh, width, topics)]
    return found, forgotten


def _known(articles: tuple[Article, ...]) -> set[str]:
    """The alerts that articles name; of drafts only those that a person has edited: the others are made anew."""
    return {
        alert
        for article in articles
        for alert in article.alerts
        if article.file.parent.name != DRAFTS or drafts.edited(article.file.read_text("utf-8"))
    }


async def _taught(
    adviser: Adviser, folder: Path, lesson: Lesson, width: int, identify: Callable[[str], str | None]
) -> Learnt:
    alerts = tuple(one.alert_id for one in lesson.past)
    about = mean_of(np.asarray(vectors_of(lesson.past, width)))
    cover = None if about is None else await adviser.covered(about, brand=lesson.past[0].brand)
    if cover is not None:
        file = cover.article.file
        return Learnt(alerts=alerts, file=file, written=False, why=f"the article {cover.article.id!r} covers it")
    notes = "\n".join(part for one in lesson.past for part in (one.cause, one.helped) if part)
    lang = identify(notes) or "en"
    file, written = await asyncio.to_thread(drafts.write, folder, lesson, lang)
    return Learnt(alerts=alerts, file=file, written=written, why="" if written else "it is as it was")
