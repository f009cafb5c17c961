"""What a backtest runs on: mentions of a file with their times, and what a store has counted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from listener.backtest.replay import Heard
from listener.config import Brand
from listener.config.starter import slug
from listener.domain import Assessment, Ballot, Mention, Page, Probabilities, RawMention, Sentiment, Vote
from listener.errors import ConfigError, Fault, ParseError, ScoringError
from listener.matching import Matcher
from listener.matching.topics import Topics
from listener.normalise import normalise
from listener.protocols import Languages
from listener.sources.file import File
from listener.store import Database, ledger, votes

SOURCE = "backtest"
BALLOT_FIELDS = tuple(Ballot.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Mentions in the order of their times, and the brands they are about."""

    mentions: tuple[Mention, ...]
    brands: Mapping[str, Brand]


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


async def stored(
    database: Database,
    brand: str,
    *,
    since_at: datetime | None = None,
    until_at: datetime | None = None,
    late: bool = True,
) -> list[Heard]:
    """What is stored of ``brand``: its votes, and what waits to be counted. Nothing is written.

    What was news is heard when it was counted, late as that may have been (unless ``late`` is False); what came as
    history (it was older than a day by then) is heard when it was said, as if listener had been there. So is what
    waits. Only what was said from ``since_at`` on and heard by ``until_at`` is taken.
    """
    heard = [
        Heard(vote.counted_at if late and vote.news else vote.at, ballot_of(vote))
        for vote in await ledger.read(database, brand, since_at=since_at)
    ]
    heard += [
        Heard(one.at, one) for one in await votes.uncounted(database, brand) if since_at is None or one.at >= since_at
    ]
    return sorted(
        (one for one in heard if until_at is None or one.at <= until_at),
        key=lambda one: (one.at, one.ballot.at, one.ballot.mention),
    )


def ballot_of(vote: Vote) -> Ballot:
    """The vote as it was before it was counted; whether it repeats a voice is asked anew."""
    return replace(Ballot(**{name: getattr(vote, name) for name in BALLOT_FIELDS}), repeats=None)
