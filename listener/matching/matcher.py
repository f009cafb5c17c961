"""Which brands a mention is about, and why."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from urllib.parse import urlsplit

from listener.domain import Mention
from listener.errors import QueryError
from listener.matching.fold import fold
from listener.matching.lexicon import Hit, Lexicon
from listener.matching.query import And, Expr, Field, Near, Not, Or, Term, parse, walk
from listener.matching.tokens import read_name

NAME_CHARS = 200
PLACES = ("title", "text")  # a phrase does not run from one into the other

Hits = Mapping[str, Mapping[Term, Sequence[Hit]]]  # by place


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """One way to write a brand's name; ``exact`` finds it only as it is spelled, without endings."""

    text: str
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What made a mention one of a brand: ``found`` at ``start``:``end`` of ``place`` is a form of ``term``.

    ``place`` is ``title`` or ``text``, or the name of the query's field that holds, where ``start`` and ``end`` are 0.
    """

    brand: str
    term: str
    place: str
    found: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandMatcher:
    """What a mention must say to be about one brand; see ``compile_brand``."""

    name: str
    names: tuple[Term, ...]
    exclusions: tuple[Term, ...]
    query: Expr | None
    languages: frozenset[str]

    @property
    def terms(self) -> Iterator[Term]:
        """All that must be looked for in a text."""
        yield from self.names
        yield from self.exclusions
        yield from self.sought

    @property
    def sought(self) -> list[Term]:
        """The terms of the query."""
        return [each for each in walk(self.query) if isinstance(each, Term)] if self.query else []

    @property
    def triggers(self) -> tuple[Term, ...] | None:
        """Terms without which no mention matches; None when a mention can match by its fields alone."""
        if self.names:
            return self.names
        return tuple(self.sought) if self.query is not None and _needs_term(self.query) else None


def compile_brand(
    name: str,
    names: Iterable[str | Spelling] = (),
    exclusions: Iterable[str | Spelling] = (),
    query: str | None = None,
    languages: Iterable[str] = (),
) -> BrandMatcher:
    """A matcher of one brand, called ``name`` in what it answers.

    A mention is about the brand when it

    - says one of ``names`` in any of its forms, if there are any, and
    - satisfies ``query``, if there is one (it narrows the names; alone, it is the whole condition), and
    - says none of ``exclusions``: one that contains a name ("Usain Bolt") takes away only that occurrence of it, and
    - is in one of ``languages``, if there are any; a mention of unknown language is.

    ``name`` itself is not looked for unless it is one of ``names``. Raises QueryError when a name has no letter or
    digit, when the query cannot be parsed, and when there is neither.
    """
    spelled, excluded = tuple(map(_term, names)), tuple(map(_term, exclusions))
    expr = parse(query) if query is not None else None
    if not spelled and expr is None:
        raise QueryError(f"brand {name!r} has neither names nor a query; expected one of them", column=1)
    return BrandMatcher(
        name=name,
        names=spelled,
        exclusions=excluded,
        query=expr,
        languages=frozenset(each.lower() for each in languages),
    )


class Matcher:
    """All brands at once: a mention costs its length, whatever their number."""

    def __init__(self, brands: Iterable[BrandMatcher]) -> None:
        self._brands = tuple(brands)
        self._lexicon = Lexicon(term for brand in self._brands for term in brand.terms)
        self._by_trigger: dict[Term, list[int]] = defaultdict(list)
        self._always: list[int] = []
        for at, brand in enumerate(self._brands):
            triggers = brand.triggers
            if triggers is None:
                self._always.append(at)
            for term in dict.fromkeys(triggers or ()):
                self._by_trigger[term].append(at)

    def brands_of(self, mention: Mention) -> tuple[str, ...]:
        """The names of the brands that ``mention`` is about, in the order of the configuration."""
        return tuple(brand.name for brand, _ in self._matches(mention))

    def why(self, mention: Mention) -> tuple[Evidence, ...]:
        """What of each brand was found where; empty when no brand matches."""
        return tuple(
            evidence for brand, facts in self._matches(mention) for evidence in _evidence(brand, facts, mention)
        )

    def _matches(self, mention: Mention) -> Iterator[tuple[BrandMatcher, "_Facts"]]:
        hits = {place: self._lexicon.find(getattr(mention, place)) for place in PLACES}
        touched = {at for found in hits.values() for term in found for at in self._by_trigger.get(term, ())}
        for at in sorted(touched.union(self._always)):
            facts = _facts(self._brands[at], hits, mention)
            if facts is not None and _holds_for(self._brands[at], facts):
                yield self._brands[at], facts


# ---------------------------------------------------------------------------------------------------------- evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is true of a mention, for one brand: where its terms stand outside its exclusions."""

    hits: Hits
    mention: Mention


def _facts(brand: BrandMatcher, hits: Hits, mention: Mention) -> _Facts | None:
    """None when an exclusion stands on its own."""
    if not brand.exclusions:
        return _Facts(hits=hits, mention=mention)
    kept: dict[str, dict[Term, Sequence[Hit]]] = {}
    for place, found in hits.items():
        excluded = sorted((hit.start, hit.end) for term in brand.exclusions for hit in found.get(term, ()))
        mine = {term: found[term] for term in (*brand.names, *brand.sought) if term in found}
        starts = sorted(hit.start for some in mine.values() for hit in some)
        for start, end in excluded:
            at = bisect_left(starts, start)
            if at == len(starts) or starts[at] >= end:
                return None
        outside = {term: _outside(some, excluded) for term, some in mine.items()}
        kept[place] = {term: some for term, some in outside.items() if some}
    return _Facts(hits=kept, mention=mention)


def _outside(hits: Sequence[Hit], excluded: list[tuple[int, int]]) -> list[Hit]:
    """The hits that none of ``excluded`` (from, to; sorted) contains."""
    starts = [start for start, _ in excluded]
    reach = list(accumulate((end for _, end in excluded), max))  # how far those get that begin so early
    kept = []
    for hit in hits:
        at = bisect_right(starts, hit.start)
        if at == 0 or reach[at - 1] < hit.end:
            kept.append(hit)
    return kept


def _holds_for(brand: BrandMatcher, facts: _Facts) -> bool:
    lang = facts.mention.lang
    if brand.languages and lang is not None and lang not in brand.languages:
        return False
    if brand.names and not any(term in found for found in facts.hits.values() for term in brand.names):
        return False
    return brand.query is None or _holds(brand.query, facts)


def _needs_term(expr: Expr) -> bool:
    """Whether ``expr`` cannot hold where none of its terms stands."""
    match expr:
        case Term() | Near():
            return True
        case And(parts=parts):
            return any(map(_needs_term, parts))
        case Or(parts=parts):
            return all(map(_needs_term, parts))
    return False


def _holds(expr: Expr, facts: _Facts) -> bool:
    match expr:
        case Term():
            return any(expr in found for found in facts.hits.values())
        case Field():
            return _field_holds(expr, facts.mention)
        case Not(part=part):
            return not _holds(part, facts)
        case And(parts=parts):
            return all(_holds(part, facts) for part in parts)
        case Or(parts=parts):
            return any(_holds(part, facts) for part in parts)
        case Near():
            return any(_spans(expr, found) for found in facts.hits.values())


def _field_holds(field: Field, mention: Mention) -> bool:
    match field.name:
        case "lang":
            return mention.lang == field.value
        case "site":
            host = urlsplit(mention.url).hostname or ""
            return host == field.value or host.endswith(f".{field.value}")
        case "author":
            return " ".join(fold(mention.author or "").split()) == field.value
        case _:
            return fold(mention.source) == field.value


def _spans(expr: Expr, found: Mapping[Term, Sequence[Hit]]) -> list[tuple[int, int]]:
    """From which to which word of one place ``expr`` stands; only of terms, and of OR and NEAR over them."""
    match expr:
        case Term():
            return [(hit.first, hit.last) for hit in found.get(expr, ())]
        case Or(parts=parts):
            return sorted({span for part in parts for span in _spans(part, found)})
        case Near(left=left, right=right, words=words):
            return _near(_spans(left, found), _spans(right, found), words)
    return []


def _near(left: list[tuple[int, int]], right: list[tuple[int, int]], words: int) -> list[tuple[int, int]]:
    return sorted({*_followed(left, right, words), *_followed(right, left, words)})


def _followed(some: list[tuple[int, int]], others: list[tuple[int, int]], words: int) -> Iterator[tuple[int, int]]:
    """Each of ``some`` with the next of ``others`` after it, where at most ``words`` stand between.

    Only the next one: all pairs of a text that repeats two words would be a square of its length.
    """
    starts = [first for first, _ in others]
    for first, last in some:
        at = bisect_right(starts, last)
        if at < len(others) and others[at][0] <= last + words + 1:
            yield first, others[at][1]


# ------------------------------------------------------------------------------------------------------------ evidence


def _evidence(brand: BrandMatcher, facts: _Facts, mention: Mention) -> Iterator[Evidence]:
    terms = dict.fromkeys((*brand.names, *brand.sought))
    for place, found in facts.hits.items():
        text = getattr(mention, place)
        for term in terms:
            for hit in found.get(term, ()):
                yield Evidence(
                    brand=brand.name,
                    term=str(term),
                    place=place,
                    found=text[hit.start : hit.end],
                    start=hit.start,
                    end=hit.end,
                )
    for field in walk(brand.query) if brand.query else ():
        if isinstance(field, Field) and _field_holds(field, mention):
            yield Evidence(brand=brand.name, term=str(field), place=field.name, found=field.value, start=0, end=0)


def _term(name: str | Spelling) -> Term:
    spelling = Spelling(text=name) if isinstance(name, str) else name
    if len(spelling.text) > NAME_CHARS:
        raise QueryError(f"a name is longer than {NAME_CHARS} characters", column=NAME_CHARS + 1)
    if read_name(spelling.text) is None:
        raise QueryError(f"expected a name with a letter or digit, found {spelling.text!r}", column=1)
    return Term(text=" ".join(spelling.text.split()), exact=spelling.exact)
