"""A query means what it says, and a wrong one is told where and what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import QueryError
from listener.matching.query import DEPTH, QUERY_CHARS, And, Expr, Field, Near, Not, Or, Term, parse


def term(text: str, *, exact: bool = False) -> Term:
    """A term as the parser builds it; the column is not compared."""
    return Term(text=text, exact=exact)


A, B, C, D = map(term, "abcd")


@pytest.mark.parametrize(
    ("query", "expr"),
    [
        ("a", A),
        ("a AND b", And(parts=(A, B))),
        ("a b", And(parts=(A, B))),
        ("a OR b", Or(parts=(A, B))),
        ("a b OR c d", Or(parts=(And(parts=(A, B)), And(parts=(C, D))))),
        ("a AND (b OR c)", And(parts=(A, Or(parts=(B, C))))),
        ("a NOT b", And(parts=(A, Not(part=B)))),
        ("a AND NOT (b OR c)", And(parts=(A, Not(part=Or(parts=(B, C)))))),
        ("a NOT NOT b", And(parts=(A, Not(part=Not(part=B))))),
        ("a NEAR/3 b", Near(left=A, right=B, words=3)),
        ("a NEAR/0 b NEAR/100 c", Near(left=Near(left=A, right=B, words=0), right=C, words=100)),
        ("NOT a NEAR/1 b c", And(parts=(Not(part=Near(left=A, right=B, words=1)), C))),
        ("(a OR b) NEAR/2 c", Near(left=Or(parts=(A, B)), right=C, words=2)),
        ('"lux  express"', term("lux express")),
        ("“lux express”", term("lux express")),
        ("=Wise", term("Wise", exact=True)),
        ('="Circle K"', term("Circle K", exact=True)),
        ("a or b", And(parts=(A, term("or"), B))),
        ('"AND"', term("AND")),
        ("NEARBY", term("NEARBY")),
        ("((a))", A),
        ("a(b)c", And(parts=(A, B, C))),
        ("lang:ET-ee", Field(name="lang", value="et")),
        ("site:https://www.Err.ee/uudised", Field(name="site", value="err.ee")),
        ('author:"Mari  Maasikas"', Field(name="author", value="mari maasikas")),
        ("source:reviews", Field(name="source", value="reviews")),
        ('"VR:n"', term("VR:n")),
        ("H&M", term("H&M")),
        ("bolt.eu", term("bolt.eu")),
    ],
)
def test_queries_are_read(query: str, expr: Expr) -> None:
    """NOT binds closer than NEAR's result, NEAR closer than AND, AND closer than OR."""
    assert parse(query) == expr


@pytest.mark.parametrize(
    ("query", "column", "problem"),
    [
        ("", 1, "the query is empty; expected a word"),
        ("   ", 4, "the query is empty"),
        ('bolt "lux', 6, 'never closed; expected a second "'),
        ('bolt author:"x', 13, "never closed"),
        ("bolt (a OR b", 6, "never closed; expected a )"),
        ("bolt a)", 7, "closes nothing; expected a ("),
        ("bolt ()", 6, "group is empty; expected a word"),
        ("bolt AND", 9, "AND has nothing after it; expected a word"),
        ("bolt AND OR x", 10, "AND has nothing after it"),
        ("OR bolt", 1, "OR has nothing before it; expected"),
        ("(a OR)", 6, "OR has nothing after it"),
        ("bolt NOT", 9, "NOT has nothing after it"),
        ("a NEAR b", 3, "expected NEAR/ and a number"),
        ("a NEAR/ b", 3, "expected NEAR/ and a number"),
        ("a NEAR/x b", 3, "expected NEAR/ and a number"),
        ("a NEAR/101 b", 3, "from 0 to 100"),
        ("a NEAR/-1 b", 3, "expected NEAR/"),
        ("a NEAR/99999999999999999999 b", 3, "expected NEAR/"),
        ("a NEAR/5", 9, "NEAR has nothing after it"),
        ("a NEAR/5 lang:et", 3, "NEAR joins words and phrases"),
        ("a NEAR/5 (b c)", 3, "NEAR joins words and phrases"),
        ("bolt lnag:et", 6, "unknown field lnag:; did you mean lang:"),
        ("bolt LANG:et", 6, "did you mean lang:"),
        ("bolt x:et", 6, "expected one of author:, lang:, site:, source:"),
        ("https://err.ee", 1, "unknown field https:"),
        ("bolt lang:", 6, "language code after lang:"),
        ("bolt lang:estonian", 6, "language code after lang:"),
        ("bolt lang:(et OR ru)", 6, "language code after lang:"),
        ("bolt site:", 6, "host after site:"),
        ('bolt site:"a b"', 6, "host after site:"),
        ("bolt author:", 6, "name after author:"),
        ('bolt ""', 6, "with a letter or digit"),
        ("bolt & taxi", 6, "with a letter or digit"),
        ("bolt =", 6, "with a letter or digit"),
        ("bolt -usain", 6, "expected NOT usain"),
        ("bolt*", 1, "no wildcards"),
        ("NOT a", 1, "only says what must not be there"),
        ("NOT a AND NOT b", 1, "only says what must not be there"),
        ("a OR NOT b", 6, "only says what must not be there"),
        ("(" * (DEPTH + 1) + "a" + ")" * (DEPTH + 1), DEPTH + 1, "deeper than 50"),
        ("a" + " NOT" * (DEPTH + 1) + " b", 3 + 4 * DEPTH, "deeper than 50"),
        ("a" * (QUERY_CHARS + 1), QUERY_CHARS + 1, "longer than 4096"),
    ],
)
def test_wrong_queries_say_where_and_what(query: str, column: int, problem: str) -> None:
    """The column counts characters from 1, as an editor does."""
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert caught.value.column == column
    assert problem in caught.value.problem


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit is a limit, not one less."""
    assert parse("(" * DEPTH + "a" + ")" * DEPTH) == A


@given(st.text(st.sampled_from('ab()"= :/*-&ANDORTE5“langsite.'), max_size=40))
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    """Nothing that a person types raises anything else, and the column lies in the text."""
    problem = None
    try:
        parse(text)
    except QueryError as error:
        problem = error
    assert problem is None or (1 <= problem.column <= len(text) + 1 and problem.problem)
