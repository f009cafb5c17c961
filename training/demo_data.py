"""What the demo's model learns from: a capped, balanced draw of freely licensed sets, and our own sentences."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LABELS = ("negative", "neutral", "positive")
OWN = Path(__file__).with_name("data") / "demo_customers.jsonl"
OWN_REPEATS = 5  # nothing else here is customer talk
UNPLEASANT = frozenset({"anger", "disgust", "fear", "sadness"})

# How many rows we take of each set at most, spread evenly over its labels. Here are only sets whose licence allows
# commercial use.
CAPS = {
    "sentiment.ekt1-valence.et": 1500,
    "sentiment.xed-derived.et": 300,  # projected from other languages, so weak
    "sentiment.uci-sentences.en": 1200,
    "sentiment.vader-amazon.en": 1200,
    "sentiment.vader-tweets.en": 1000,
    "sentiment.opensentimentcorpus.ru": 1500,
    "emotion.cedr.ru": 1200,
    "emotion.brighter.ru": 600,
    "sentiment.ltec.lv": 600,
    "sentiment.potts.de": 500,
    "sentiment.sb10k.de": 500,
    "sentiment.kajava-subtitles.fi": 300,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled text; ``label`` is a place in ``LABELS``."""

    text: str
    label: int
    origin: str


def sentiment_of(label: str | list[str]) -> str | None:
    """The sentiment of a row: its label, or what its emotions amount to; None where they contradict each other."""
    if isinstance(label, str):
        return label
    emotions = set(label)
    if not emotions:
        return "neutral"
    if emotions & UNPLEASANT:
        return None if "joy" in emotions else "negative"
    return "positive" if "joy" in emotions else None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _rows(path: Path, split: str, origin: str) -> list[Row]:
    found = []
    for line in _lines(path):
        sentiment = sentiment_of(line["label"])
        if line["split"] == split and sentiment is not None:
            found.append(Row(text=line["text"], label=LABELS.index(sentiment), origin=origin))
    return found


def draw(rows: Iterable[Row], cap: int) -> list[Row]:
    """At most ``cap`` rows, as even over the labels as they allow, always the same ones (ordered by a hash)."""
    ordered = sorted(rows, key=lambda row: hashlib.sha256(row.text.encode()).digest())
    by_label = sorted(([row for row in ordered if row.label == label] for label in range(len(LABELS))), key=len)
    taken: list[Row] = []
    for done, of_label in enumerate(by_label):
        taken += of_label[: (cap - len(taken)) // (len(LABELS) - done)]
    return taken


def own(author_pass: int) -> list[Row]:
    """Our own sentences of one pass: 1 is learnt from, 2 was written afterwards and is held out."""
    return [
        Row(text=line["text"], label=LABELS.index(line["label"]), origin=f"customers.{line['lang']}")
        for line in _lines(OWN)
        if line["pass"] == author_pass
    ]


def train(folder: Path) -> list[Row]:
    """The training rows from the files ``TASK.SET.LANG.jsonl.gz`` in ``folder``, and our own."""
    rows = [row for name, cap in CAPS.items() for row in draw(_rows(folder / f"{name}.jsonl.gz", "train", name), cap)]
    return rows + own(1) * OWN_REPEATS


def val(folder: Path) -> list[Row]:
    """The validation rows: all of each set, and our own second pass."""
    return [row for name in CAPS for row in _rows(folder / f"{name}.jsonl.gz", "val", name)] + own(2)
