"""Texts as people type them in a hurry: for training, so that the model reads them too.

Our own mentions are read several times; from the second time on some lose what hasty writers leave out. The labels
stay true: nothing is changed that a reader would not make up for.
"""

import random
import re
import unicodedata
from collections.abc import Callable

SHARE = 0.2  # of the mentions, each time
WORD = re.compile(r"\w{5,}")
MARKS = r"[.,:;!–—\"„“”«»]"  # not question marks, which carry meaning
PUNCTUATION = re.compile(rf"(?<!\d){MARKS}|{MARKS}(?!\d)")  # not inside a number
SPECIALS = str.maketrans({"ø": "o", "ł": "l", "ß": "ss", "Ł": "L", "ё": "е", "Ё": "Е"})
KEEP = frozenset("йЙїЇґҐ")  # letters of their own, which nobody types as their base letter
CYRILLIC = {
    **dict(zip("абвгдеёзийклмнопрстуфхцыэ", "abvgdeezijklmnoprstufhcye", strict=True)),
    "ж": "zh",
    "ч": "ch",
    "ш": "sh",
    "щ": "sch",
    "ъ": "",
    "ь": "",
    "ю": "ju",
    "я": "ja",
}


def lowered(text: str, draw: random.Random) -> str:  # noqa: ARG001 -- all of these are called alike
    """No capitals."""
    return text.lower()


def bare(text: str, draw: random.Random) -> str:  # noqa: ARG001
    """No diacritics: ``öösel`` becomes ``oosel``."""
    letters = (char if char in KEEP else _base(char) for char in text.translate(SPECIALS))
    return "".join(letters)


def unpointed(text: str, draw: random.Random) -> str:
    """No capitals and no punctuation."""
    return " ".join(PUNCTUATION.sub(" ", lowered(text, draw)).split())


def swapped(text: str, draw: random.Random) -> str:
    """Two letters of one longer word change places."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    word = draw.choice(words)
    at = draw.randrange(word.start() + 1, word.end() - 2)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def latin(text: str, draw: random.Random) -> str:  # noqa: ARG001
    """Russian in Latin letters."""
    return "".join(CYRILLIC.get(char, char) for char in text.lower())


def sloppy(text: str, language: str, draw: random.Random) -> str:
    """``text``, or, for a share of the texts, what a hasty writer would have made of it."""
    if draw.random() >= SHARE:
        return text
    ways: list[Callable[[str, random.Random], str]] = [lowered, bare, unpointed, swapped]
    if language == "ru":
        ways.append(latin)
    return draw.choice(ways)(text, draw)


def _base(char: str) -> str:
    return unicodedata.normalize("NFD", char)[0]
