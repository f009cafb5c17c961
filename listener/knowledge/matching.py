"""Which articles answer what mentions say, by the vectors of their meanings; nothing where nothing fits. Pure.

Customers and articles in different languages lie near each other when they mean the same, so every version of an
article counts, whatever language the mentions are in. The limits come from ``python -m benchmarks.knowledge --fit``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from listener.knowledge.articles import Article

Floats = NDArray[np.float32]

# Least nearness at which an article is shown: the mean over many mentions lies nearer to what they have in common
# than one mention does, so one alone has to be nearer.
LIMIT_MANY = 0.159
LIMIT_ONE = 0.420
TOPIC = 0.10  # worth of a topic in common: whoever wrote the article says by it which mentions it is for
STEEPNESS = 12.0  # how fast, around its limit, a nearness becomes sure


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """An article with the vector of each of its chunks, [chunks, width], of length 1."""

    article: Article
    vectors: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An article that fits, in the version to show. ``similarity`` is 0..1, 0.5 at the limit; ``reason`` is English."""

    article: Article
    similarity: float
    reason: str


def match(
    mentions: Floats, shelf: Sequence[Shelved], *, brand: str | None, topic: str | None, lang: str | None, limit: int
) -> list[Match]:
    """The articles that fit these mentions, [mentions, width] of length 1, the best first, at most ``limit``.

    Only approved ones for all brands or for this one; ``brand`` None looks at those of every brand. ``lang`` is the
    language that most mentions are in: the version in it is shown, else the English one, else any.
    """
    if not len(mentions) or limit < 1:
        return []
    versions: dict[str, list[Shelved]] = {}
    for one in shelf:
        if one.article.approved and len(one.vectors) and brand in (None, *(one.article.brands or (brand,))):
            versions.setdefault(one.article.id, []).append(one)
    found = [_weighed(mentions, several, topic=topic, lang=lang) for several in versions.values()]
    fitting = [one for one in found if one is not None]
    return sorted(fitting, key=lambda one: (-one.similarity, one.article.id))[:limit]


def limit_of(mentions: int) -> float:
    """The least nearness at which an article is shown for so many mentions."""
    return LIMIT_MANY + (LIMIT_ONE - LIMIT_MANY) / math.sqrt(mentions)


def nearness(mentions: Floats, vectors: Iterable[Floats]) -> Floats:
    """How near each mention is to the nearest chunk of any version, [mentions]."""
    best: Floats = np.max(mentions @ np.concatenate(list(vectors)).T, axis=1)
    return best


def main_language(languages: Sequence[str | None]) -> str | None:
    """The language that most are in; of several the one that comes first; None when none is known."""
    known = [lang for lang in languages if lang is not None]
    return max(known, key=known.count) if known else None


def version_for(lang: str | None, versions: Mapping[str, Shelved]) -> Shelved:
    """The version to show to who reads ``lang``: that one, else the English one, else the first by language."""
    for wanted in (lang, "en"):
        if wanted is not None and wanted in versions:
            return versions[wanted]
    return versions[min(versions)]


def _weighed(mentions: Floats, versions: Sequence[Shelved], *, topic: str | None, lang: str | None) -> Match | None:
    near = nearness(mentions, [one.vectors for one in versions])
    shared = topic is not None and any(topic in one.article.topics for one in versions)
    bar = limit_of(len(mentions)) - (TOPIC if shared else 0.0)
    score = float(near.mean())
    if score < bar:
        return None
    shown = version_for(lang, {one.article.lang: one for one in versions})
    return Match(
        article=shown.article,
        similarity=1.0 / (1.0 + math.exp(-STEEPNESS * (score - bar))),
        reason=_reason(mentions, near, shown, bar, topic if shared else None),
    )


def _reason(mentions: Floats, near: Floats, shown: Shelved, bar: float, topic: str | None) -> str:
    """Why it fits, quoting the article only."""
    which = int(np.argmax((mentions @ shown.vectors.T).mean(axis=0)))
    chunk = shown.article.chunks()[which]
    title = "what this article's title says" if which == 0 else "what this article says"
    what = f"what this article's example «{chunk}» answers" if which and shown.article.examples else title
    count = len(mentions)
    told = int((near >= bar).sum())
    who = "the mention speaks" if count == 1 else f"{told} of {count} mentions speak"
    return f"{who} of {what}" + (f"; the topic {topic} is the same" if topic is not None else "")
