"""The same pipeline, driven by the mentions' own times instead of the clock: what would have been alerted, and when.

Mentions are stored and scored first, since neither depends on the time; then the rules look once a tick, seeing only
the windows that had ended by then. Nothing is simulated: it is the daemon's own store, windows, rules and alerts.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from listener.aggregate import FINE_SECS, window_start
from listener.alerts.rules import Rule
from listener.config import Brand
from listener.config.starter import slug
from listener.domain import Assessment, Frozen, Mention, Notification, Page, Probabilities, RawMention, Sentiment
from listener.errors import ConfigError, Fault, ParseError, ScoringError
from listener.fetch import Fetcher, FetchPolicy
from listener.matching import Matcher
from listener.matching.topics import Topics
from listener.metrics import Metrics
from listener.normalise import normalise
from listener.pipeline import Parts, deliver, evaluate, refresh, score
from listener.protocols import Languages
from listener.sentiment.scorer import ThreadedScorer
from listener.sources.file import File
from listener.store import Database, mentions, migrate
from listener.store.sources import SourceState

SOURCE = "backtest"
STORE_AT_A_TIME = 500
SCORE_AT_A_TIME = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Mentions in the order of their times, and the brands they are about."""

    mentions: tuple[Mention, ...]
    brands: Mapping[str, Brand]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a backtest runs: ``on_alert`` is called with each alert's payload as it would have gone out."""

    history: History
    rules: Sequence[Rule]
    scorer: Callable[[], AbstractAsyncContextManager[ThreadedScorer]]
    on_alert: Callable[[Frozen], None]
    on_progress: Callable[[str, int, int], None]
    tick_secs: int = FINE_SECS


class Labelled:
    """A scorer that repeats what people said: each text's own label, for comparing the model with its readers."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:  # noqa: ARG002 -- people's labels have no calibration
        """Certain assessments. Raises ScoringError when a text has no label."""
        return [self._assessment(text) for text in texts]

    def _assessment(self, text: str) -> Assessment:
        label = self._labels.get(text)
        if label not in set(Sentiment):
            raise ScoringError(f"no label negative, neutral or positive, but {label!r}")
        certain = {one.value: float(one.value == label) for one in Sentiment}
        return Assessment(probabilities=Probabilities(**certain), model="labels@input")


class Collector:
    """The receiver of a backtest: hands the payload on."""

    def __init__(self, on_alert: Callable[[Frozen], None]) -> None:
        self._on_alert = on_alert

    connected = True

    async def deliver(self, notification: Notification) -> None:
        """Take it; nothing can fail."""
        self._on_alert(notification.payload)


def read_history(
    path: Path,
    *,
    brands: Mapping[str, Brand],
    matcher: Matcher,
    identify: Callable[[str], str | None],
    label_field: str | None = None,
) -> tuple[History, dict[str, str]]:
    """The mentions of a JSONL or CSV file, with their labels by text where ``label_field`` names them.

    A row's own fields ``brand`` and ``topic`` say what it is about; without them the configured brands' queries
    decide. Raises ConfigError or ParseError naming the line when the file cannot be used.
    """
    source = File(name=SOURCE, path=path)
    topics = Topics({name: brand.topics for name, brand in brands.items()})
    found: list[Mention] = []
    titles: dict[str, str] = {}
    labels: dict[str, str] = {}
    for line, raw, record in _rows(source, path):
        if raw.published_at is None:
            raise ParseError(f"{path.name}, line {line}: a backtest needs `published_at`")
        mention = normalise(raw, source=SOURCE, seen_at=raw.published_at, identify=identify)
        own = record.get("brand")
        if isinstance(own, str) and own.strip():
            name = slug(own)
            titles.setdefault(name, own.strip())
            about: tuple[str, ...] = (name,)
        else:
            about = tuple(matcher.brands_of(mention))
        if about:
            told = record.get("topic")
            topic = told.strip() if isinstance(told, str) else ""
            by_brand = dict.fromkeys(about, topic) if topic else topics.of(mention, about)
            found.append(replace(mention, brands=about, topics=by_brand))
            if label_field is not None:
                labels[mention.scored_text] = str(record.get(label_field))
    if not found:
        fix = "add a field `brand` to its rows, or name the brands in the configuration"
        raise ConfigError([Fault(path=str(path), problem="no row is about a brand", fix=fix)])
    watched = {name: Brand(names=(title,)) for name, title in titles.items()} | dict(brands)
    return History(mentions=tuple(sorted(found, key=lambda mention: mention.at)), brands=watched), labels


def _rows(source: File, path: Path) -> Iterator[tuple[int, RawMention, Mapping[str, object]]]:
    page = Page(url=str(path), status=200, headers={}, body=path.read_bytes(), fetched_at=datetime.now(UTC))
    for row in source.items(page):
        try:
            raw = source.mention(row)
        except ValueError as error:  # it names the line
            raise ParseError(f"{path.name}, {error}") from error
        yield row.line, raw, row.record if isinstance(row.record, Mapping) else {}


async def run(plan: Plan) -> None:
    """Run the history through the pipeline, in a database of its own that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="listener-backtest-") as folder:
        database = Database(f"sqlite:///{folder}/listener.db")
        try:
            await migrate.upgrade(database)
            async with plan.scorer() as scorer:
                await _replay(plan, database, scorer)
        finally:
            await database.close()


async def _replay(plan: Plan, database: Database, scorer: ThreadedScorer) -> None:
    history = plan.history
    clock = [history.mentions[0].at]
    parts = Parts(
        database=database,
        metrics=Metrics(),
        fetcher=Fetcher(FetchPolicy(user_agent="listener")),
        sources={},
        brands=history.brands,
        matcher=Matcher([]),
        identify=lambda _text: None,
        scorer=scorer,
        rules={
            name: [rule.for_brand(dict(brand.thresholds)) for rule in plan.rules]
            for name, brand in history.brands.items()
        },
        receivers={SOURCE: Collector(plan.on_alert)},
        now=lambda: clock[0],
        batch_mentions=SCORE_AT_A_TIME,
    )
    total = len(history.mentions)
    for start in range(0, total, STORE_AT_A_TIME):
        some = history.mentions[start : start + STORE_AT_A_TIME]
        await mentions.save_poll(database, some, SourceState(name=SOURCE, fingerprint=SOURCE), now=some[-1].at)
        plan.on_progress("stored", start + len(some), total)
    scored = 0
    while count := await score(parts):
        scored += count
        plan.on_progress("scored", scored, total)
    while await refresh(parts):
        pass
    # One more window than the longest memory of the rules: an alert that fires at the end may still resolve.
    first = window_start(history.mentions[0].at, FINE_SECS)
    last = history.mentions[-1].at + timedelta(days=1)
    ticks = int((last - first).total_seconds() // plan.tick_secs)
    for tick in range(1, ticks + 1):
        clock[0] = first + timedelta(seconds=tick * plan.tick_secs)
        evaluation = await evaluate(parts)
        if evaluation.told:
            while await deliver(parts, SOURCE):
                pass
        plan.on_progress("evaluated", tick, ticks)
