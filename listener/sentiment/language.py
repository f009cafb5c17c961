"""Which language a text is in: py3langid over a closed set of languages.

py3langid was chosen over lingua by ``benchmarks/language.py``: on short customer texts it is at least as right, several
times faster, and needs a fraction of the memory. The model (numpy arrays, no pickle) is loaded at the first call.
"""

import re
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Protocol

# The languages that we tell apart. Those of one script compete, so every language more costs its neighbours some
# accuracy: Bulgarian and Belarusian are left out, since they would take one short Russian text in ten.
LANGUAGES = "et en ru uk fi sv no da lv lt pl de nl fr es it pt ro cs tr"
# Written in scripts of their own: they cost nothing, and keep their texts from being called something else.
OTHER_SCRIPTS = "el ar fa he hi ja ko th zh"

MIN_LETTERS = 10  # below, even a person guesses ("Super!", "OK")
MIN_CONFIDENCE = 0.6  # of 20 letters: 99 in 100 of what is answered is right, and 85 in 100 are answered
SAMPLE_CHARS = 400  # of a text; more does not change the answer

# Addresses, handles and hashtags are in no language. Bounded, so that hostile text costs linear time.
_NO_LANGUAGE = re.compile(r"https?://\S{1,2048}|[@#]\w{1,100}|\b[\w.]{1,64}@[\w.]{1,255}", re.IGNORECASE)
_LOADING = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A language (ISO 639-1) and how sure the identifier is of it, 0..1."""

    lang: str
    confidence: float


class _Identifier(Protocol):
    """What we use of py3langid, which publishes no types."""

    def classify(self, text: str) -> tuple[str, float]: ...

    def set_languages(self, langs: list[str]) -> None: ...


def guess(text: str) -> Guess | None:
    """The most probable language of ``text``, however unsure; None when it has fewer than ``MIN_LETTERS`` letters.

    Reads at most ``SAMPLE_CHARS`` characters, without addresses, handles and hashtags. Safe to call from any thread.
    """
    sample = " ".join(_NO_LANGUAGE.sub(" ", text[: 4 * SAMPLE_CHARS]).split())[:SAMPLE_CHARS]
    if sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return None
    lang, confidence = _identifier().classify(sample)
    return Guess(lang=lang, confidence=float(confidence))


def identify(text: str) -> str | None:
    """The language of ``text`` as ISO 639-1, or None when it is too short or the identifier is not sure enough."""
    found = guess(text)
    return found.lang if found is not None and found.confidence >= MIN_CONFIDENCE else None


def _identifier() -> _Identifier:
    with _LOADING:  # two threads at start must not load it twice
        return _load()


@cache
def _load() -> _Identifier:
    # Imported here, since importing it costs time and memory that only callers pay for; it publishes no types.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]  # noqa: PLC0415

    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*LANGUAGES.split(), *OTHER_SCRIPTS.split()])
    return identifier
