"""Which pieces of the tokenizer stay: those that texts in the fourteen languages are written with.

Chosen are, of the full vocabulary of 250,002 pieces: every piece that the training texts are cut into at least twice;
those of the commonest words of each language (``wordfreq``; for Estonian, which it lacks, the inflected forms in
``simplemma``), also capitalised; every single Latin or Cyrillic letter, digit, sign and emoji, so that no text becomes
unknown: what a trimmed vocabulary lacks falls into smaller pieces.

    python -m training.vocabulary --data DIR      # rows, and per language how many pieces of held-out texts stay
"""

import argparse
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import wordfreq
from simplemma.strategies.dictionaries.dictionary_factory import DefaultDictionaryFactory
from tokenizers import Tokenizer

from training import base, datasets

LANGUAGES = ("et", "en", "ru", "uk", "fi", "lv", "lt", "de", "sv", "fr", "es", "it", "pt", "pl")
WORDS = 18_000  # the commonest of each language
WORDS_AT_HOME = 60_000  # of Estonian, whose forms are many; the rarer ones share their pieces
SEEN = 2  # a piece seen once in the training texts proves nothing
SINGLE = frozenset("LNPSZM")


def words(language: str) -> list[str]:
    """The commonest words of ``language``, the commonest first; Estonian ones as they come in the dictionary."""
    if language != "et":
        return wordfreq.top_n_list(language, WORDS)
    texts = sorted(DefaultDictionaryFactory().get_dictionary("et"))
    step = max(1, len(texts) // WORDS_AT_HOME)
    return texts[::step]


def spellings(found: Iterable[str]) -> list[str]:
    """Words as they stand in texts: in lower case and capitalised."""
    return [form for word in found for form in (word, word.capitalize())]


def is_single(piece: str) -> bool:
    """One letter, digit or sign, with or without the mark of a word's beginning; letters Latin or Cyrillic."""
    char = piece.removeprefix("\u2581")
    return len(char) <= 1 and (not char or (unicodedata.category(char)[0] in SINGLE and base.keeps(char)))


def cut(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[int]:
    """How often each piece occurs in ``texts``."""
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    return counts


def choose(spec: Mapping[str, Any], texts: Iterable[str]) -> set[int]:
    """The ids that stay, given the training texts."""
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    chosen = {piece for piece, count in cut(tokenizer, texts).items() if count >= SEEN}
    for language in LANGUAGES:
        chosen |= set(cut(tokenizer, spellings(words(language))))
    pieces = spec["model"]["vocab"]
    chosen |= {place for place, (piece, _) in enumerate(pieces) if is_single(piece)}
    return {place for place in chosen if base.keeps(pieces[place][0])} | {token["id"] for token in spec["added_tokens"]}


def coverage(spec: Mapping[str, Any], kept: set[int], texts: Iterable[str]) -> float:
    """The share of the pieces of ``texts`` that stay."""
    counts = cut(Tokenizer.from_str(json.dumps(spec)), texts)
    return sum(count for piece, count in counts.items() if piece in kept) / sum(counts.values())


def main() -> None:
    """Print how large the vocabulary is and what it covers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data
    spec = base.full_tokenizer()
    kept = choose(spec, (row.text for row in datasets.public(folder, "train")))
    print(f"{len(kept)} of {len(spec['model']['vocab'])} rows")
    held = [*datasets.public(folder, "val"), *datasets.own("val")]
    for language in LANGUAGES:
        texts = [row.text for row in held if row.language == language]
        if texts:
            print(f"{language}: {coverage(spec, kept, texts):.4f} of the pieces of {len(texts)} held-out texts")


if __name__ == "__main__":
    main()
