"""Brands are found where they are meant: names, exclusions, queries and fields, all at once."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Mention
from listener.errors import QueryError
from listener.matching import Evidence, Matcher, Spelling, compile_brand
from listener.matching.tokens import tokenise

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def mention(text: str, **said: Any) -> Mention:
    """A mention of which only ``said`` is special."""
    fields = {
        "source": "reviews",
        "external_id": "1",
        "url": "https://www.err.ee/1",
        "canonical_url": "https://err.ee/1",
        "title": "",
        "text": text,
        "author": "Mari Maasikas",
        "lang": "et",
        "published_at": None,
        "seen_at": NOW,
        "rating": None,
        "reach": None,
        "content_hash": "",
        "text_key": "",
    }
    return Mention(**(fields | said))


def matches(text: str, said: dict[str, Any] | None = None, **brand: Any) -> bool:
    """Whether one brand is found in ``text``."""
    return Matcher([compile_brand("it", **brand)]).brands_of(mention(text, **(said or {}))) == ("it",)


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("bolt taxi", "Bolti takso ja taxi", True),
        ("bolt taxi", "ainult Bolt", False),
        ("bolt OR taxi", "üks taxi", True),
        ("bolt NOT usain", "Bolt", True),
        ("bolt NOT usain", "Usain Bolt", False),
        ('"lux express"', "Lux Expressiga Riiga", True),
        ('"lux express"', "express ja lux", False),
        ("bolt NEAR/2 hilines", "Bolt jälle kord hilines", True),
        ("bolt NEAR/2 hilines", "Hilines kord jälle Bolt", True),
        ("bolt NEAR/2 hilines", "Bolt jälle üks kord hilines", False),
        ("bolt NEAR/0 hilines", "Bolt hilines", True),
        ("bolt NEAR/3 bolt", "Bolt", False),
        ("bolt NEAR/3 bolt", "Bolt või Bolt", True),
        ("(bolt OR wolt) NEAR/1 (hiline OR kallis)", "Wolt on kallis", True),
        ("a1 NEAR/1 b1 NEAR/1 c1", "a1 x b1 x c1", True),
        ("a1 NEAR/1 b1 NEAR/1 c1", "a1 x b1 x x c1", False),
        ("=Wise", "Wise on hea", True),
        ("=Wise", "olen wise", False),
        ("bolt lang:et", "Bolt", True),
        ("bolt lang:ru", "Bolt", False),
        ("bolt site:err.ee", "Bolt", True),
        ("bolt site:ee", "Bolt", True),
        ("bolt site:rr.ee", "Bolt", False),
        ('bolt author:"mari maasikas"', "Bolt", True),
        ("bolt author:mari", "Bolt", False),
        ("bolt source:reviews", "Bolt", True),
        ("bolt source:review", "Bolt", False),
        ("source:reviews", "täiesti teine jutt", True),
        ("bolt OR source:reviews", "täiesti teine jutt", True),
        ("wolt OR (bolt source:forum)", "Bolt", False),
    ],
)
def test_queries_hold_where_they_should(query: str, text: str, found: bool) -> None:
    """Operators, forms, distance and fields."""
    assert matches(text, query=query) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Usain Bolt jooksis", False),
        ("Usain Bolti rekord", False),
        ("#UsainBolt", False),
        ("Usain Bolt sõitis Boltiga", True),
        ("Usain ja Bolt", True),
        ("Bolt ja kruvikeeraja", False),
        ("Bolt", True),
    ],
)
def test_exclusions_take_away_what_they_contain_or_the_whole(text: str, found: bool) -> None:
    """A person of that name is not the brand; a tool next to it says that no brand was meant."""
    assert matches(text, names=["Bolt"], exclusions=["Usain Bolt", "kruvikeeraja"]) is found


def test_an_exclusion_alone_excludes_nothing_that_matters() -> None:
    """Without a name there is no match to take away."""
    assert not matches("kruvikeeraja", names=["Bolt"], exclusions=["kruvikeeraja"])


def test_a_query_narrows_the_names() -> None:
    """An ambiguous name is found where the query says that it is meant."""
    brand: dict[str, Any] = {"names": [Spelling(text="Wise", exact=True)], "query": "kaart OR ülekanne"}
    assert matches("Wise kaart ei tööta", **brand)
    assert not matches("Wise mees", **brand)
    assert not matches("Kaart ei tööta", **brand)


def test_an_exclusion_covers_the_terms_of_a_query_too() -> None:
    """Without names the query's terms are what it takes away."""
    assert not matches("Usain Bolt", query="bolt", exclusions=["Usain Bolt"])
    assert matches("Usain Bolt ja Bolt", query="bolt", exclusions=["Usain Bolt"])


@pytest.mark.parametrize(("lang", "found"), [("et", True), ("ru", False), (None, True)])
def test_languages_narrow_and_unknown_passes(lang: str | None, found: bool) -> None:
    """A short text of unknown language is not lost."""
    assert matches("Bolt", {"lang": lang}, names=["Bolt"], languages=["ET"]) is found


def test_the_title_counts_and_phrases_do_not_run_into_the_text() -> None:
    """Title and text are two places."""
    assert matches("x", {"title": "Bolt hilines"}, names=["Bolt"])
    assert not matches("Express", {"title": "Lux"}, names=["Lux Express"])
    assert not matches("hilines", {"title": "Bolt"}, query="bolt NEAR/5 hilines")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Bolt", "https://news.example/bolt-hilines?x=bolt", False),
        ("bolt.eu", "https://bolt.eu/et?utm=x", True),
        ("Bolt", "vt https://bolt.eu/", True),
        ("Bolt", "#BoltSucks", True),
        ("Bolt", "@BoltEesti aitäh", True),
        ("Bolt", "@bolt_eesti aitäh", True),
        ("Bolt", "#thunderbolt", False),
        ("Bolt Food", "#BoltFood", True),
        ("Bolt Food", "#boltfoodeesti", False),
        ("Tele2", "#Tele2Fail", True),
        ("@bolt", "bolt", False),
        ("@bolt", "hei @bolt!", True),
        (".NET", "the .NET runtime", True),
        (".NET", "the net", False),
        ("C++", "C++ ja C", True),
        ("Bolt", "anti-Bolt", True),
        ("Bolt", "„Bolt“", True),
        ("Bolt", "Bolt.", True),
        ("Eesti Energia", "Eesti\u00a0Energia", True),
        ("Eesti Energia", "Eesti – Energia", True),
        ("Eesti Energia", "Eesti, Energia", False),
        ("Eesti Energia", "Eesti. Energia", False),
    ],
)
def test_names_are_found_in_tags_addresses_and_punctuation(name: str, text: str, found: bool) -> None:
    """The path of a link is not what a person says; a handle is."""
    assert matches(text, names=[name]) is found


def test_all_brands_are_found_in_the_order_of_the_configuration() -> None:
    """Also when they share a name."""
    matcher = Matcher(
        [
            compile_brand("food", names=["Bolt Food"]),
            compile_brand("bolt", names=["Bolt", "Болт"]),
            compile_brand("rides", names=["Bolt"], query="sõit"),
            compile_brand("wolt", names=["Wolt"]),
        ]
    )
    assert matcher.brands_of(mention("Woltiga hästi, Bolt Foodiga mitte")) == ("food", "bolt", "wolt")
    assert matcher.brands_of(mention("Поездка Болтом, sõit")) == ("bolt",)
    assert matcher.brands_of(mention("ei midagi")) == ()


def test_why_names_the_term_the_form_and_the_place() -> None:
    """What ``listener poll`` shows."""
    matcher = Matcher(
        [compile_brand("bolt", names=["Bolt"], query="hilines OR site:err.ee", exclusions=["Usain Bolt"])]
    )
    got = matcher.why(mention("Usain Bolt läks Boltiga", title="Boldist"))
    assert got == (
        Evidence(brand="bolt", term="Bolt", place="title", found="Boldist", start=0, end=7),
        Evidence(brand="bolt", term="Bolt", place="text", found="Boltiga", start=16, end=23),
        Evidence(brand="bolt", term="site:err.ee", place="site", found="err.ee", start=0, end=0),
    )
    assert matcher.why(mention("Usain Bolt")) == ()


@pytest.mark.parametrize(
    ("brand", "problem"),
    [
        ({}, "neither names nor a query"),
        ({"names": ["?!"]}, "letter or digit"),
        ({"names": ["Bolt"], "exclusions": [" "]}, "letter or digit"),
        ({"names": ["a" * 201]}, "longer than 200"),
        ({"names": ["Bolt"], "query": "bolt AND"}, "AND has nothing after it"),
        ({"names": ["Bolt"], "query": ""}, "the query is empty"),
    ],
)
def test_a_brand_that_cannot_be_looked_for_is_refused(brand: dict[str, Any], problem: str) -> None:
    """At the start, not at the first mention."""
    with pytest.raises(QueryError) as caught:
        compile_brand("it", **brand)
    assert problem in caught.value.problem


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", ["bolt ", "bolt x ", "usain bolt ", "#BoltBolt", "b" * 99 + " ", "https://bolt.", "bolt'"]
)
def test_hostile_repetition_is_bounded(piece: str) -> None:
    """A text of twenty thousand characters that repeats the name costs its length."""
    matcher = Matcher(
        [
            compile_brand("a", names=["Bolt", "Usain Bolt"], exclusions=["Usain Bolt"]),
            compile_brand("b", query="bolt NEAR/100 bolt NEAR/100 usain NEAR/100 bolt"),
        ]
    )
    text = piece * (20_000 // len(piece))
    for _ in range(5):
        matcher.brands_of(mention(text, title=text))


@given(st.text(max_size=200))
def test_any_text_is_searched(text: str) -> None:
    """Tokens lie in the text, in order, and no character fails."""
    tokens = tokenise(text)
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)
    Matcher([compile_brand("it", names=["Bolt", "H&M", "Рога и копыта"], query="a OR b1 NEAR/3 c1")]).why(mention(text))


WORDS = st.lists(
    st.sampled_from(["bolt", "Boltiga", "wolt", "usain", "hilines", "ja", "#BoltWolt", "https://bolt.eu/x"])
)


@given(WORDS, st.permutations(range(4)))
def test_brands_do_not_influence_each_other(words: list[str], order: list[int]) -> None:
    """All at once finds what each alone finds."""
    brands = [
        compile_brand("a", names=["Bolt"]),
        compile_brand("b", names=["Wolt", "Bolt"], exclusions=["Usain Bolt"]),
        compile_brand("c", query="bolt NEAR/1 hilines OR wolt NOT usain"),
        compile_brand("d", query="lang:et NOT bolt"),
    ]
    said = mention(" ".join(words))
    alone = [brand.name for brand in brands if Matcher([brand]).brands_of(said)]
    assert sorted(Matcher([brands[at] for at in order]).brands_of(said)) == alone
