"""Words of a text and of a name, and what may stand between them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from listener.matching.fold import fold

WORD_CHARS = 100  # a longer run of letters is no word

# An address counts by its host alone: what a link's path spells is not what a person says.
_WORD_OR_ADDRESS = re.compile(r"https?://([^\s/?#]+)\S*|[^\W_]+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans("’‘`´ʼʹ′＇‛", "'" * 9)  # noqa: RUF001 -- those that people and keyboards put in
_SPACE = re.compile(r"[\s\-‐‑–_]{1,3}")  # noqa: RUF001 -- between the words of a name, "Lux-Express" too


class Token(NamedTuple):
    """A word at ``start``:``end`` of its text. ``text`` is as written, ``folded`` as compared.

    ``tagged`` says that it is a hashtag or a handle, or one word of it.
    """

    text: str
    folded: str
    start: int
    end: int
    tagged: bool


@dataclass(frozen=True, slots=True)
class Name:
    """A name's words as written, the gaps between them, and the signs before and after that belong to it ("C++")."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    head: str
    tail: str


def tokenise(text: str) -> list[Token]:
    """The words of ``text`` in order; a hyphen, an apostrophe, a dot and an underscore end a word.

    A hashtag or handle of several words in capitals (#BoltFood) comes whole and then word by word.
    """
    found: list[Token] = []
    for match in _WORD_OR_ADDRESS.finditer(text):
        if match[1] is None:
            found.extend(_tokens(text, *match.span()))
        else:
            for word in _WORD.finditer(text, *match.span(1)):
                found.extend(_tokens(text, *word.span()))
    return found


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    if end - start > WORD_CHARS:
        return
    word, tagged = text[start:end], start > 0 and text[start - 1] in "#@"
    yield Token(word, fold(word), start, end, tagged)
    if tagged:
        humps = [at for at in range(1, len(word)) if word[at].isupper() and not word[at - 1].isupper()]
        for first, last in pairwise([0, *humps, len(word)] if humps else []):
            yield Token(word[first:last], fold(word[first:last]), start + first, start + last, tagged)


def read_name(text: str) -> Name | None:
    """The words and signs of a configured name; None when it has no letter and no digit.

    Closing punctuation is dropped ("Yahoo!" is written without), other signs are not ("Disney+", ".NET", "@bolt").
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    if not spans:
        return None
    return Name(
        words=tuple(text[start:end] for start, end in spans),
        gaps=tuple(text[end:start].translate(_APOSTROPHES) for (_, end), (start, _) in pairwise(spans)),
        head=text[: spans[0][0]].strip().strip("\"'“”„«»()[]-_ "),
        tail=text[spans[-1][1] :].strip().strip("\"'“”„«»()[]-_.,;:!? "),
    )


def is_space(gap: str) -> bool:
    """Whether a name's gap is one that texts write in several ways (a space, a hyphen)."""
    return _SPACE.fullmatch(gap.replace(". ", " ")) is not None


def gap_fits(gap: str, between: str, *, tagged: bool) -> bool:
    """Whether ``between`` two words of a text may stand for ``gap`` in a name; ``tagged``: both are of one hashtag."""
    if tagged and not between:
        return True
    if is_space(gap):
        return _SPACE.fullmatch(between.replace(".", "", 1) if "." in gap else between) is not None
    if "." in gap:  # "bolt.eu", but not "Bolt. Eu"
        return between == gap
    return "".join(between.translate(_APOSTROPHES).split()) == "".join(gap.split())
