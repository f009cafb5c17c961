"""The query language: what a mention must say to be about a brand.

::

    query  = and { "OR" and }
    and    = not { [ "AND" ] not }             words side by side mean AND
    not    = { "NOT" } near
    near   = atom { "NEAR/" n atom }           at most n words stand between the two, in either order
    atom   = word | '"' phrase '"' | "=" word | '="' phrase '"' | field | "(" query ")"
    field  = ( "lang" | "site" | "author" | "source" ) ":" ( word | '"' phrase '"' )

Operators are upper case: "or" is a word to find. A word or phrase is found in all its forms, whatever its case (see
``inflection``); after "=" only as it is spelled. ``site:`` compares the end of the host, ``author:`` and ``source:``
the whole name.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from listener.errors import QueryError
from listener.matching.tokens import read_name

QUERY_CHARS = 4096
DEPTH = 50
NEAR_WORDS = 100
FIELDS = ("author", "lang", "site", "source")
OPERAND = 'a word, a "phrase", a field or ('


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word or phrase to find; ``exact`` as it is spelled, else in all its forms."""

    text: str
    exact: bool = False
    column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        return ("=" if self.exact else "") + (f'"{self.text}"' if " " in self.text else self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What must be true of the mention beside its text; ``value`` is in the form that is compared."""

    name: str
    value: str
    column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        return f"{self.name}:" + (f'"{self.value}"' if " " in self.value else self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """``part`` must not hold."""

    part: "Expr"
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All of ``parts`` must hold."""

    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """One of ``parts`` must hold."""

    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """``left`` and ``right`` must stand in one title or text with at most ``words`` words between them."""

    left: "Expr"
    right: "Expr"
    words: int


Expr = Term | Field | Not | And | Or | Near


def parse(text: str) -> Expr:
    """The query in ``text``; raises QueryError that says at which column what was expected."""
    if len(text) > QUERY_CHARS:
        raise QueryError(f"the query is longer than {QUERY_CHARS} characters", column=QUERY_CHARS + 1)
    parser = _Parser(list(_lex(text.translate(_QUOTES))))
    found = parser.query()
    if not says_something(found):
        column = next(each.column for each in walk(found) if isinstance(each, Not))
        raise QueryError("the query only says what must not be there; expected also what must be there", column=column)
    return found


def says_something(expr: Expr) -> bool:
    """Whether ``expr`` needs something to be there: a query of NOT alone would match the whole web."""
    match expr:
        case Not():
            return False
        case And(parts=parts):
            return any(map(says_something, parts))
        case Or(parts=parts):
            return all(map(says_something, parts))
    return True


def walk(expr: Expr) -> Iterator[Expr]:
    """``expr`` and all that it is made of, in the order of writing."""
    yield expr
    match expr:
        case Not(part=part):
            yield from walk(part)
        case And(parts=parts) | Or(parts=parts):
            for each in parts:
                yield from walk(each)
        case Near(left=left, right=right):
            yield from walk(left)
            yield from walk(right)


# --------------------------------------------------------------------------------------------------------------- lexing

_QUOTES = str.maketrans("“”„‟«»", '"' * 6)  # as word processors put them; one for one, so that columns hold
_ATOM = re.compile(
    r'(?:(?P<exact>=)|(?P<field>[^\W\d_]\w*):)?(?:"(?P<phrase>[^"]*)(?P<closed>")?|(?P<word>[^\s()"]+))?'
)
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_LANG = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lexeme:
    """``kind`` is "(", ")", "AND", "OR", "NOT", "NEAR", "end", or "atom" with its expression."""

    kind: str
    column: int
    atom: Term | Field | None = None
    words: int = 0


def _lex(text: str) -> Iterator[_Lexeme]:
    at = 0
    while at < len(text):
        column = at + 1
        if text[at].isspace():
            at += 1
        elif text[at] in "()":
            yield _Lexeme(kind=text[at], column=column)
            at += 1
        else:
            match = _ATOM.match(text, at)
            assert match is not None  # noqa: S101 -- every part of the pattern is optional
            yield _lexeme(match, column)
            at = match.end()
    yield _Lexeme(kind="end", column=len(text) + 1)


def _lexeme(match: re.Match[str], column: int) -> _Lexeme:
    phrase, word, name = match["phrase"], match["word"], match["field"]
    if phrase is not None and match["closed"] is None:
        raise QueryError('this quotation mark is never closed; expected a second "', column=match.start("phrase"))
    if name is not None:
        return _Lexeme(kind="atom", column=column, atom=_field(name, phrase if phrase is not None else word, column))
    if phrase is None and match["exact"] is None and word is not None:
        if word in {"AND", "OR", "NOT"}:
            return _Lexeme(kind=word, column=column)
        if word == "NEAR" or word.startswith("NEAR/"):
            return _Lexeme(kind="NEAR", column=column, words=_near_words(word, column))
    text = phrase if phrase is not None else word or ""
    return _Lexeme(kind="atom", column=column, atom=_term(text, exact=match["exact"] is not None, column=column))


def _near_words(word: str, column: int) -> int:
    count = word.removeprefix("NEAR").removeprefix("/")
    if not (count.isascii() and count.isdigit() and int(count[:9]) <= NEAR_WORDS):
        raise QueryError(f"expected NEAR/ and a number of words from 0 to {NEAR_WORDS}, as in NEAR/5", column=column)
    return int(count)


def _term(text: str, *, exact: bool, column: int) -> Term:
    if text.startswith(("-", "!")) and text[1:]:
        raise QueryError(f"expected NOT {text[1:]} instead of {text}", column=column)
    if "*" in text:
        raise QueryError(
            "there are no wildcards; expected a word, whose endings are found by themselves", column=column
        )
    if read_name(text) is None:
        raise QueryError(f"expected a word or phrase with a letter or digit, found {text!r}", column=column)
    return Term(text=" ".join(text.split()), exact=exact, column=column)


def _field(name: str, value: str | None, column: int) -> Field:
    if name not in FIELDS:
        near = difflib.get_close_matches(name.lower(), FIELDS, n=1)
        hint = f"did you mean {near[0]}:" if near else f"expected one of {', '.join(f'{each}:' for each in FIELDS)}"
        raise QueryError(f'unknown field {name}:; {hint} (to find a word with a colon, quote it: "…")', column=column)
    compared = " ".join((value or "").split())
    if name == "lang":
        compared = compared.lower().partition("-")[0]
        if not _LANG.fullmatch(compared):
            raise QueryError("expected a language code after lang:, as in lang:et", column=column)
    elif name == "site":
        compared = re.sub(r"^(?:https?://)?(?:www\.)?|/.*$", "", compared.lower())
        if not _HOST.fullmatch(compared):
            raise QueryError("expected a host after site:, as in site:err.ee", column=column)
    elif not compared:
        raise QueryError(f'expected a name after {name}:, as in {name}:"Mari Maasikas"', column=column)
    return Field(name=name, value=compared.casefold(), column=column)


# -------------------------------------------------------------------------------------------------------------- parsing


class _Parser:
    """Recursive descent, one method a line of the grammar."""

    def __init__(self, lexemes: list[_Lexeme]) -> None:
        self._lexemes = lexemes
        self._at = 0

    def query(self) -> Expr:
        found = self._or(0)
        if self._next.kind == ")":
            raise QueryError("this parenthesis closes nothing; expected a ( before it", column=self._next.column)
        return found

    @property
    def _next(self) -> _Lexeme:
        return self._lexemes[self._at]

    def _take(self) -> _Lexeme:
        taken = self._next
        self._at += 1
        return taken

    def _or(self, depth: int) -> Expr:
        parts = [self._and(depth)]
        while self._next.kind == "OR":
            self._take()
            parts.append(self._and(depth))
        return parts[0] if len(parts) == 1 else Or(parts=tuple(parts))

    def _and(self, depth: int) -> Expr:
        parts = [self._not(depth)]
        while self._next.kind not in {"OR", ")", "end"}:
            if self._next.kind == "AND":
                self._take()
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else And(parts=tuple(parts))

    def _not(self, depth: int) -> Expr:
        if self._next.kind != "NOT":
            return self._near(depth)
        column = self._take().column
        return Not(part=self._not(self._deeper(depth, column)), column=column)

    def _near(self, depth: int) -> Expr:
        left = self._atom(depth)
        while self._next.kind == "NEAR":
            near = self._take()
            right = self._atom(depth)
            if not (_can_be_near(left) and _can_be_near(right)):
                raise QueryError("NEAR joins words and phrases; expected those, or (a OR b)", column=near.column)
            left = Near(left=left, right=right, words=near.words)
        return left

    def _atom(self, depth: int) -> Expr:
        taken = self._take()
        if taken.atom is not None:
            return taken.atom
        if taken.kind != "(":
            raise QueryError(self._missing(taken), column=taken.column)
        if self._next.kind == ")":
            raise QueryError(f"this group is empty; expected {OPERAND} after the (", column=taken.column)
        found = self._or(self._deeper(depth, taken.column))
        if self._take().kind != ")":
            raise QueryError("this parenthesis is never closed; expected a )", column=taken.column)
        return found

    def _missing(self, taken: _Lexeme) -> str:
        before = self._lexemes[self._at - 2] if self._at > 1 else None
        if before is None and taken.kind == "end":
            return f"the query is empty; expected {OPERAND}"
        if before is not None and before.kind in {"AND", "OR", "NOT", "NEAR"}:
            return f"{before.kind} has nothing after it; expected {OPERAND}"
        return f"{taken.kind} has nothing before it; expected {OPERAND}"

    @staticmethod
    def _deeper(depth: int, column: int) -> int:
        if depth >= DEPTH:
            raise QueryError(
                f"the query is nested deeper than {DEPTH} levels; expected fewer parentheses", column=column
            )
        return depth + 1


def _can_be_near(expr: Expr) -> bool:
    match expr:
        case Term() | Near():
            return True
        case Or(parts=parts):
            return all(map(_can_be_near, parts))
    return False
