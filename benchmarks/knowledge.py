"""How often an alert brings the right article along, and how often none where none fits; how fast.

    python -m benchmarks.knowledge [--fit] [--paragraphs]

The mentions in ``knowledge_set.toml`` are our own: 13 themes that an article answers and 12 that none does, each in
Estonian, English and Russian; articles are in Estonian and English (those of ``config/knowledge`` and, for themes that
it has none for, some of the set). Mentions in even places and half of the unanswered themes serve to choose the limits
(``--fit`` prints what they should be: one in fifty alerts that nothing answers may get an article); the others are
reported. An alert is one mention, or any three of one theme and language. ``raw`` is the cosine of the model's last
layer instead, as the scorer has it, at limits chosen the same way. ``--paragraphs`` compares mentions with the bodies
of articles, too.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from listener.config.oncall import KnowledgeOptions
from listener.domain import RawMention
from listener.knowledge.articles import Article
from listener.knowledge.library import check_folder
from listener.knowledge.matching import Floats, limit_of
from listener.knowledge.past import LIMIT_PAST, mean_of
from listener.normalise import normalise
from listener.pipeline.advise import Adviser
from listener.sentiment.meaning import Meanings, load_meaning
from listener.sentiment.scorer import load_scorer
from listener.store import Database, memories, mentions, migrate
from listener.store.sources import SourceState

SET = Path(__file__).with_name("knowledge_set.toml")
ARTICLES = Path(__file__).parents[1] / "config" / "knowledge"
LANGUAGES = ("et", "en", "ru")
FALSE_MATCHES = 0.02  # of alerts that no article answers may get one, on the half that limits are chosen on
SIZES = (1, 3)

Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert of ``size`` mentions: how near each article is, and which is right (None: none)."""

    size: int
    lang: str
    theme: str
    right: str | None
    near: Floats
    about: Floats


def articles(document: dict[str, Any]) -> list[Article]:
    """Those that come with listener, and those of the set."""
    extra = [
        Article(
            id=name,
            lang=lang,
            title=one["title"],
            status="approved",
            file=SET,
            examples=tuple(one["examples"]),
            body=one["body"],
        )
        for name, versions in document["articles"].items()
        for lang, one in versions.items()
    ]
    return [*check_folder(ARTICLES).approved, *extra]


def cases(document: dict[str, Any], half: str, embed: Embed, *, paragraphs: bool) -> tuple[list[str], list[Case]]:
    """The articles' ids, and every alert of that half."""
    known = articles(document)
    ids = sorted({one.id for one in known})
    parts = [
        (ids.index(one.id), chunk)
        for one in known
        for chunk in (*one.chunks(), *(filter(None, one.body.split("\n\n")) if paragraphs else ()))
    ]
    chunks = embed([chunk for _, chunk in parts])
    owners = np.array([owner for owner, _ in parts])
    found = []
    for name, theme in document["themes"].items():
        for lang in LANGUAGES:
            if theme.get("half", half) != half:
                continue
            said = theme[lang] if "half" in theme else theme[lang][0 if half == "tune" else 1 :: 2]
            vectors = embed(said)
            near = vectors @ chunks.T
            best = np.stack([near[:, owners == place].max(axis=1) for place in range(len(ids))], axis=1)
            for size in SIZES:
                for group in itertools.combinations(range(len(said)), size):
                    chosen = list(group)
                    about = mean_of(vectors[chosen])
                    assert about is not None
                    found.append(
                        Case(
                            size=size,
                            lang=lang,
                            theme=name,
                            right=theme.get("article"),
                            near=best[chosen].mean(axis=0),
                            about=about,
                        )
                    )
    return ids, found


def limits(tuned: Sequence[Case]) -> dict[int, float]:
    """The least nearness, by the number of mentions, that keeps ``FALSE_MATCHES`` on the half for choosing."""
    return {
        size: float(
            np.quantile([one.near.max() for one in tuned if one.right is None and one.size == size], 1 - FALSE_MATCHES)
        )
        for size in SIZES
    }


def rates(ids: Sequence[str], some: Sequence[Case], limit: float) -> dict[str, float]:
    """Of answered alerts: the right article first, shown first, shown among three; of the others: any shown."""
    order = [[ids[place] for place in np.argsort(-one.near) if one.near[place] >= limit] for one in some]
    first = [ids[int(one.near.argmax())] == one.right for one in some if one.right]
    answered = [(one.right, shown) for one, shown in zip(some, order, strict=True) if one.right]
    unanswered = [bool(shown) for one, shown in zip(some, order, strict=True) if not one.right]
    wrong = [bool(shown) and shown[0] != right for right, shown in answered]
    return {
        "ranked first": statistics.mean(first),
        "recall@1": statistics.mean(shown[:1] == [right] for right, shown in answered),
        "recall@3": statistics.mean(right in shown[:3] for right, shown in answered),
        "another first": statistics.mean(wrong),
        "false match": statistics.mean(unanswered),
    }


def report(name: str, ids: Sequence[str], held: Sequence[Case], bars: dict[int, float]) -> None:
    """One table a size."""
    for size in SIZES:
        print(f"\n{name}, {size} mention{'s' if size > 1 else ''} an alert, limit {bars[size]:.3f}")
        for lang in (*LANGUAGES, "all"):
            some = [one for one in held if one.size == size and lang in (one.lang, "all")]
            values = "  ".join(f"{what} {value:4.0%}" for what, value in rates(ids, some, bars[size]).items())
            print(f"  {lang:4}{len(some):4} alerts  {values}")


def pairs(some: Sequence[Case]) -> Iterator[tuple[bool, float]]:
    """Two alerts of three mentions in different languages or themes: whether of one theme, and how near."""
    whole = [one for one in some if one.size == max(SIZES)]
    firsts = {(one.theme, one.lang): one for one in whole}
    for one, other in itertools.combinations(firsts.values(), 2):
        yield one.theme == other.theme, float(one.about @ other.about)


def past(tuned: Sequence[Case], held: Sequence[Case]) -> None:
    """How well past alerts are told apart, at the limit in use and at the one that the other half suggests."""
    apart = float(np.quantile([near for same, near in pairs(tuned) if not same], 1 - FALSE_MATCHES / 2))
    for limit in (LIMIT_PAST, apart):
        same = statistics.mean(near >= limit for alike, near in pairs(held) if alike)
        other = statistics.mean(near >= limit for alike, near in pairs(held) if not alike)
        print(f"past alerts at {limit:.3f}: {same:.0%} of those of one theme, in two languages, {other:.1%} of others")


class Direct:
    """The encoder on a thread, as the daemon has it."""

    def __init__(self) -> None:
        self._encoder = load_meaning()

    async def embed(self, texts: Sequence[str]) -> Meanings:
        """One vector a text."""
        return await asyncio.to_thread(self._encoder.embed, texts)


async def speed(rounds: int = 20, count: int = 200) -> None:
    """Milliseconds for the advice on three mentions, with ``count`` articles of six chunks."""
    document = tomllib.loads(SET.read_text(encoding="utf-8"))
    said = [text for theme in document["themes"].values() for lang in LANGUAGES for text in theme[lang]]
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "knowledge"
        folder.mkdir()
        plain = [text for text in said if "'" not in text]
        for number in range(count):
            lines = [f"  - '{number} {plain[(7 * number + step) % len(plain)]}'" for step in range(5)]
            front = [f"title: Article {number} says what to do", "status: approved", "examples:", *lines]
            (folder / f"a{number}.en.md").write_text("\n".join(["---", *front, "---", "Text.\n"]), encoding="utf-8")
        database = Database(f"sqlite:///{place}/listener.db")
        await migrate.prepare(database, auto_upgrade=False)
        kept = [
            normalise(
                RawMention(external_id=str(number), url=f"https://a.example/{number}", text=text, published_at=now),
                source="forum",
                seen_at=now,
                identify=lambda _: "en",
            )
            for number, text in enumerate(said)
        ]
        await mentions.save_poll(database, kept, SourceState(name="forum", fingerprint="f"), now=now)
        adviser = Adviser(KnowledgeOptions(folder=folder), Direct())
        start = time.perf_counter()
        await adviser.warm()
        warm = time.perf_counter() - start
        took = []
        for number in range(rounds):
            shown = [one.id for one in kept[3 * number : 3 * number + 3]]
            start = time.perf_counter()
            advice = await adviser.advise(
                database, shown, alert_id=f"a{number}", brand="b", now=now + timedelta(days=1)
            )
            took.append(1000 * (time.perf_counter() - start))
            assert advice.memory is not None
            async with database.writing() as connection:
                await memories.write(connection, database.dialect, advice.memory)
        await database.close()
    print(
        f"\nadvice on 3 mentions, {count} articles: median {statistics.median(took):.0f} ms, "
        f"worst of {rounds} {max(took):.0f} ms; warming up {warm:.1f} s once"
    )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--paragraphs", action="store_true")
    options = parser.parse_args()
    document = tomllib.loads(SET.read_text(encoding="utf-8"))
    encoder = load_meaning()

    def meaning(texts: Sequence[str]) -> Floats:
        return np.stack([vector for vector in encoder.embed(texts).vectors if vector is not None])

    print(machine())
    ids, tuned = cases(document, "tune", meaning, paragraphs=options.paragraphs)
    _, held = cases(document, "report", meaning, paragraphs=options.paragraphs)
    in_use = {size: limit_of(size) for size in SIZES}
    report("meaning", ids, held, in_use)
    scorer: Any = load_scorer(None, device="cpu")
    _, raw_tuned = cases(document, "tune", scorer.embed, paragraphs=options.paragraphs)
    _, raw_held = cases(document, "report", scorer.embed, paragraphs=options.paragraphs)
    report("raw", ids, raw_held, limits(raw_tuned))
    print()
    past(tuned, held)
    if options.fit:
        found = limits(tuned)
        slope = (found[1] - found[3]) / (1 - 3**-0.5)
        print(f"\nLIMIT_ONE = {found[1]:.3f}\nLIMIT_MANY = {found[1] - slope:.3f}")
    asyncio.run(speed())


if __name__ == "__main__":
    main()
