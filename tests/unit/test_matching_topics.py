"""What a mention says of a brand: the first of the brand's topics that it matches."""

from dataclasses import replace

import pytest

from listener.domain import Mention
from listener.errors import QueryError
from listener.matching.topics import NO_TOPICS, Topics
from tests.mentions import mention

TOPICS = Topics(
    {
        "bolt": {"delivery": "kuller OR courier OR доставка", "app": "äpp OR app", "site": "site:forum.example kallis"},
        "wolt": {"app": "app NOT crash", "delivery": "courier"},
        "tele": {},
    }
)


def said(text: str) -> Mention:
    return mention("1", text)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Bolti kulleriga sõitis äpp minema", "delivery"),
        ("Äpis on kullerid kadunud", "delivery"),
        ("Äpp ei avane", "app"),
        ("Доставкой недоволен", "delivery"),
        ("Liiga kallis", "site"),
        ("Rongis oli soe", None),
    ],
)
def test_the_first_topic_that_matches_counts(text: str, topic: str | None) -> None:
    """In the order of the configuration, wherever in the text it stands, in all its forms."""
    assert TOPICS.of(said(text), ["bolt"]) == ({} if topic is None else {"bolt": topic})


def test_every_brand_has_its_own_topics() -> None:
    text = said("The courier does not know the app")
    assert TOPICS.of(text, ("bolt", "wolt", "tele", "unknown")) == {"bolt": "delivery", "wolt": "app"}
    assert TOPICS.of(text, ("wolt",)) == {"wolt": "app"}
    assert TOPICS.of(text, ()) == {}


def test_a_title_has_topics_too() -> None:
    assert TOPICS.of(replace(said("No comment"), title="Courier"), ["wolt"]) == {"wolt": "delivery"}


def test_without_topics_there_is_nothing_to_look_for() -> None:
    assert NO_TOPICS.of(said("The courier"), ["bolt"]) == {}


def test_names_that_look_like_others_stay_apart() -> None:
    topics = Topics({"a.b": {"c": "üks"}, "a": {"b.c": "kaks"}})
    assert topics.of(said("üks kaks"), ["a", "a.b"]) == {"a.b": "c", "a": "b.c"}


@pytest.mark.parametrize(
    ("query", "column", "problem"),
    [
        ("app OR", 7, "OR has nothing after it"),
        ("", 1, "the query is empty"),
        ("NOT app", 1, "only says what must not"),
    ],
)
def test_a_query_that_cannot_be_parsed_names_brand_and_topic(query: str, column: int, problem: str) -> None:
    with pytest.raises(QueryError, match=problem) as caught:
        Topics({"bolt": {"delivery": "kuller", "app": query}})
    assert "topic 'app' of brand 'bolt'" in str(caught.value)
    assert caught.value.column == column
