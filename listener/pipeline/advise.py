"""What an alert brings along: articles that answer it, past alerts like it, and its own memory for later ones."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog

from listener.alerts.wire.findings import ArticleFindings, PastFindings
from listener.config.oncall import KnowledgeOptions
from listener.domain.memories import Memory
from listener.errors import ConfigError, ScoringError
from listener.knowledge.articles import Article
from listener.knowledge.library import Library, Shelf
from listener.knowledge.matching import Floats, Match, Shelved, main_language, match
from listener.knowledge.past import Alike, alike, mean_of
from listener.store import Database, memories

if TYPE_CHECKING:
    from listener.sentiment.meaning import Meanings  # loads onnxruntime: only who asks for meanings

MENTIONS_MAX = 5
CHARS_MAX = 1_000  # of a mention: what it is about stands in its beginning
BATCH = 32  # chunks embedded at a time, so that scoring has its turns between
PAST_MAX = 1_000  # past alerts that are looked at, the newest

log = structlog.get_logger()


class Encoder(Protocol):
    """What says what texts are about: ``listener.sentiment.scorer.ThreadedScorer``."""

    async def embed(self, texts: Sequence[str]) -> "Meanings":
        """One vector a text; raises ScoringError and ConfigError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What goes with an alert. ``memory`` is to be kept in one transaction with it."""

    articles: tuple[ArticleFindings, ...] = ()
    past: tuple[PastFindings, ...] = ()
    memory: Memory | None = None


class Adviser:
    """Finds what goes with alerts, by the articles in ``options.folder`` and by what the database remembers.

    Made once; remembers the vectors of the articles by their texts, so that only what changed is read by the encoder.
    """

    def __init__(self, options: KnowledgeOptions, encoder: Encoder) -> None:
        self._options = options
        self._encoder = encoder
        self._shelf = None if options.folder is None else Shelf(options.folder)
        self._vectors: dict[str, Floats] = {}
        self._reading = asyncio.Lock()
        self._complaints: set[str] = set()

    async def warm(self) -> None:
        """Read all articles and load the encoder before the first alert needs them; never fails."""
        if not self._wanted():
            return
        try:
            if not await self._shelved():
                await self._encoder.embed(["warm"])
        except (ScoringError, ConfigError) as error:
            self._complain(error)

    async def advise(
        self,
        database: Database,
        mentions: Sequence[str],
        *,
        alert_id: str,
        brand: str,
        now: datetime,
    ) -> Advice:
        """What goes with the alert ``alert_id`` of ``brand`` that shows ``mentions`` (ids, the most telling first).

        Nothing where nothing fits, or when the articles or the encoder fail: that is logged once and never fails an
        alert. Raises StoreError only.
        """
        if not self._wanted() or not mentions:
            return Advice()
        said = await memories.said(database, mentions[:MENTIONS_MAX], brand=brand)
        try:
            read = await self._encoder.embed([one.text[:CHARS_MAX] for one in said]) if said else None
            shelved = await self._shelved() if said else []
        except (ScoringError, ConfigError) as error:
            self._complain(error)
            return Advice()
        vectors = [vector for vector in (read.vectors if read is not None else ()) if vector is not None]
        if read is None or not vectors:
            return Advice()
        meant = np.stack(vectors)
        lang = main_language([one.lang for one in said])
        topics = Counter(one.topic for one in said if one.topic is not None)
        topic = topics.most_common(1)[0][0] if topics else None
        limit = self._options.articles_max
        found = match(meant, shelved, brand=brand, topic=topic, lang=lang, limit=limit)
        about = mean_of(meant)
        if about is None:
            return Advice(articles=tuple(map(self._article, found)))
        past: list[Alike] = []
        if self._options.past_max:
            recent = await memories.recent(database, model=read.model, limit=PAST_MAX, before=now)
            others = [one for one in recent if one.alert_id != alert_id]
            past = alike(about, others, brand=brand, limit=self._options.past_max)
        return Advice(
            articles=tuple(map(self._article, found)),
            past=tuple(map(_past, past)),
            memory=Memory(alert_id=alert_id, model=read.model, at=now, vector=about.tobytes()),
        )

    async def find(self, text: str, *, brand: str | None = None, lang: str | None = None) -> list[Match]:
        """The articles that a mention with this text would bring along. Raises ScoringError and ConfigError."""
        (vector,) = (await self._encoder.embed([text[:CHARS_MAX]])).vectors
        if vector is None:
            raise ScoringError("the model knows too few words of the text")
        limit = self._options.articles_max
        return match(vector[None], await self._shelved(), brand=brand, topic=None, lang=lang, limit=limit)

    async def model(self) -> tuple[str, int]:
        """The encoder's name and how long its vectors are. Raises ScoringError and ConfigError."""
        read = await self._encoder.embed(["what an alert is about"])
        return read.model, max(len(vector) for vector in read.vectors if vector is not None)

    async def covered(self, vector: Floats, *, brand: str) -> Match | None:
        """The approved article that answers what an alert was about, if there is one."""
        found = match(vector[None], await self._shelved(), brand=brand, topic=None, lang=None, limit=1)
        return found[0] if found else None

    def _wanted(self) -> bool:
        return self._shelf is not None or self._options.past_max > 0

    async def _shelved(self) -> list[Shelved]:
        """The approved articles with their vectors; what has changed since the last time is read by the encoder."""
        if self._shelf is None or not self._options.articles_max:
            return []
        async with self._reading:
            library = await asyncio.to_thread(self._shelf.library)
            self._report(library)
            wanted = {_key(chunk): chunk for article in library.approved for chunk in article.chunks()}
            lacking = [(key, chunk) for key, chunk in wanted.items() if key not in self._vectors]
            for start in range(0, len(lacking), BATCH):
                await self._embed(lacking[start : start + BATCH])
            self._vectors = {key: self._vectors[key] for key in wanted}
            return [self._shelve(article) for article in library.approved]

    async def _embed(self, lacking: Sequence[tuple[str, str]]) -> None:
        read = await self._encoder.embed([chunk for _, chunk in lacking])
        for (key, _), vector in zip(lacking, read.vectors, strict=True):
            # What cannot be read is near nothing.
            self._vectors[key] = np.empty(0, dtype=np.float32) if vector is None else vector

    def _shelve(self, article: Article) -> Shelved:
        vectors = [self._vectors[_key(chunk)] for chunk in article.chunks()]
        width = max((len(vector) for vector in vectors), default=0)
        full = [vector if len(vector) else np.zeros(width, dtype=np.float32) for vector in vectors]
        return Shelved(article=article, vectors=np.stack(full) if width else np.empty((0, 0), dtype=np.float32))

    def _article(self, found: Match) -> ArticleFindings:
        article, url = found.article, self._options.url
        return ArticleFindings(
            id=article.id,
            title=article.title,
            url="" if url is None else url.replace("{id}", article.id),
            language=article.lang,
            similarity=found.similarity,
            reason=found.reason,
        )

    def _report(self, library: Library) -> None:
        for fault in library.faults:
            if str(fault) not in self._complaints:
                self._complaints.add(str(fault))
                log.warning("article.refused", file=fault.path, problem=fault.problem, fix=fault.fix)

    def _complain(self, error: Exception) -> None:
        if str(error) not in self._complaints:
            self._complaints.add(str(error))
            log.warning("advice.failed", problem=str(error))


def _past(found: Alike) -> PastFindings:
    past = found.past
    return PastFindings(
        alert_id=past.alert_id,
        brand=past.brand,
        started_at=past.started_at,
        ended_at=past.ended_at,
        resolution=past.resolution,
        similarity=found.similarity,
        cause=past.cause,
        helped=past.helped,
        resolved_by=past.resolved_by,
    )


def _key(chunk: str) -> str:
    return hashlib.sha256(chunk.encode()).hexdigest()
