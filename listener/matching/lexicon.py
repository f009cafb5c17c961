"""Find all terms of all brands in a text in one pass."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from listener.matching.fold import strip_marks
from listener.matching.inflection import BARE, FALSE_FRIENDS, Endings, Stem, exactly, stems
from listener.matching.query import Term
from listener.matching.tokens import Name, Token, gap_fits, is_space, read_name, tokenise

GLUED_LETTERS = 5  # of a name written as one word; fewer make another word: "Go On" and #goon
_HEAD = 3  # letters; most words of a text begin unlike all stems


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A term found: its words are ``first``..``last`` of the text, its characters ``start``:``end``."""

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Word:
    """One word of a term, and its forms; without them it is found as spelled."""

    spelling: str
    stems: tuple[Stem, ...] = ()

    @property
    def beginnings(self) -> tuple[str, str]:
        """How a token begins that is spelled as the name is, with or without its diacritics."""
        return self.spelling, strip_marks(self.spelling)

    def fits(self, token: Token) -> bool:
        if not self.stems:
            return token.text == self.spelling
        return any(
            token.folded.startswith(stem.text) and _fits(stem.endings, len(stem.text), token, self)
            for stem in self.stems
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a first word leads to. ``glued_at`` is where the first of the words ends that are written as one."""

    term: Term
    name: Name
    first: _Word
    rest: tuple[_Word, ...]
    endings: Endings
    glued_at: int = 0


def _fits(endings: Endings, cut: int, token: Token, word: _Word) -> bool:
    """Whether what follows the first ``cut`` letters of ``token`` is an ending of ``word``."""
    suffix = token.folded[cut:]
    if suffix and token.folded in FALSE_FRIENDS:
        return False
    return suffix in endings.free or (suffix in endings.spelled and token.text.startswith(word.beginnings))


class Lexicon:
    """Terms by the stems of their first words.

    A text costs its length, whatever the number of terms: every word is looked up in one dictionary, as it is and with
    1, 2, … last letters off.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self._by_stem: dict[str, list[_Entry]] = defaultdict(list)
        self._by_spelling: dict[str, list[_Entry]] = defaultdict(list)
        for term in dict.fromkeys(terms):
            for stem, entry in _entries(term):
                (self._by_spelling if term.exact else self._by_stem)[stem].append(entry)
        self._heads = frozenset(stem[:_HEAD] for stem in self._by_stem)
        self._longest = max(
            (len(each) for entries in self._by_stem.values() for entry in entries for each in entry.endings.all),
            default=0,
        )

    def find(self, text: str) -> Mapping[Term, list[Hit]]:
        """Where each term stands in ``text``, in order; terms that do not are left out."""
        found: dict[Term, dict[Hit, None]] = defaultdict(dict)
        tokens = tokenise(text)
        for at, token in enumerate(tokens):
            for entry in self._entries_of(token):
                last = _last(entry, tokens, at, text)
                if last is not None:
                    found[entry.term][Hit(first=at, last=last, start=token.start, end=tokens[last].end)] = None
        return {term: list(hits) for term, hits in found.items()}

    def _entries_of(self, token: Token) -> Iterator[_Entry]:
        yield from self._by_spelling.get(token.text, ())
        folded = token.folded
        if not (folded[:_HEAD] in self._heads or folded[:2] in self._heads or folded[:1] in self._heads):
            return
        for cut in range(len(folded), max(0, len(folded) - self._longest - 1), -1):
            for entry in self._by_stem.get(folded[:cut], ()):
                if _fits(entry.endings, cut, token, entry.first):
                    yield entry


def _entries(term: Term) -> Iterator[tuple[str, _Entry]]:
    """By which first words, and by which stems of them, ``term`` is found."""
    name = read_name(term.text)
    assert name is not None  # noqa: S101 -- the parser and compile_brand have refused others
    words = tuple(_word(term, name, at) for at in range(len(name.words)))
    if term.exact:
        yield name.words[0], _Entry(term, name, words[0], words[1:], BARE)
        return
    for stem in words[0].stems:
        yield stem.text, _Entry(term, name, words[0], words[1:], stem.endings)
    letters = sum(map(len, name.words))
    if len(name.words) > 1 and letters >= GLUED_LETTERS and not name.head + name.tail:
        glued = _Word("".join(name.words), stems("".join(name.words), phrase=True))
        for stem in glued.stems:
            yield stem.text, _Entry(term, name, glued, (), stem.endings, len(name.words[0]))


def _word(term: Term, name: Name, at: int) -> _Word:
    spelling = name.words[at]
    if term.exact:
        return _Word(spelling)
    if name.tail and at == len(name.words) - 1:  # "Disney+" has its sign where an ending would be
        return _Word(spelling, exactly(spelling))
    return _Word(spelling, stems(spelling, phrase=len(name.words) > 1))


def _last(entry: _Entry, tokens: list[Token], at: int, text: str) -> int | None:
    """The position of the term's last word when it begins at ``at``; None when it does not stand there."""
    token, name = tokens[at], entry.name
    if entry.glued_at:
        return at if _is_glued(entry, token) else None
    if not text.startswith(name.head, max(0, token.start - len(name.head))):
        return None
    for gap, word in zip(name.gaps, entry.rest, strict=True):
        previous = tokens[at]
        at += 1
        while at < len(tokens) and tokens[at].start < previous.end:  # the words of a hashtag that has been taken whole
            at += 1
        if at == len(tokens) or not word.fits(tokens[at]):
            return None
        tagged = previous.tagged and tokens[at].tagged
        if not gap_fits(gap, text[previous.end : tokens[at].start], tagged=tagged):
            return None
    return at if text.startswith(name.tail, tokens[at].end) else None


def _is_glued(entry: _Entry, token: Token) -> bool:
    """Whether one word is a name of several: a hashtag or handle, #luxexpress, or LuxExpress, Tele2, McDonalds."""
    if token.tagged or all(gap == "'" for gap in entry.name.gaps):
        return True
    before, after = token.text[entry.glued_at - 1 : entry.glued_at], token.text[entry.glued_at : entry.glued_at + 1]
    return all(map(is_space, entry.name.gaps)) and (
        (after.isupper() and not before.isupper()) or before.isalpha() != after.isalpha()
    )
