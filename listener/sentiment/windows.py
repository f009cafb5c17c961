"""Long texts in stretches that fit a model, and texts that no model can judge. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from listener.domain import Assessment
from listener.errors import ScoringError
from listener.sentiment.labels import pool

CHARS_MAX = 32_768  # beyond what a mention holds (20,000, and a title): bounds the work that one text can cause
OVERLAP = 8  # a window repeats this fraction (1/8) of the one before, so that no phrase is cut in both
SPEAKING = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "So"})  # letters, and emoji: Unicode's categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of one text that fits the model: the text's place, and its token ids with the special ones."""

    text: int
    ids: tuple[int, ...]


def stretches(tokens: Sequence[int], room: int) -> Iterator[Sequence[int]]:
    """``tokens`` in stretches of at most ``room``, each repeating the last eighth of the one before."""
    overlap = room // OVERLAP
    for start in range(0, max(1, len(tokens) - overlap), room - overlap):
        yield tokens[start : start + room]


def require_readable(text: str) -> None:
    """Raise ScoringError for what no model can judge; an emoji alone is judged."""
    if len(text) > CHARS_MAX:
        raise ScoringError(f"the text has {len(text)} characters, more than {CHARS_MAX}")
    if not speaking(text):
        raise ScoringError("the text has no letter and no emoji")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ScoringError("the text is not valid Unicode: it has half a surrogate pair")


def speaking(text: str) -> int:
    """How many letters and emoji there are."""
    return sum(unicodedata.category(char) in SPEAKING for char in text)


def pooled(texts: int, windows: Sequence[Window], read: Sequence[Assessment]) -> list[Assessment]:
    """One assessment for each of ``texts`` texts, from those of its windows."""
    by_text: list[list[int]] = [[] for _ in range(texts)]
    for place, window in enumerate(windows):
        by_text[window.text].append(place)
    return [
        pool([read[place] for place in places], [len(windows[place].ids) for place in places]) for places in by_text
    ]
