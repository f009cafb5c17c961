"""The demo's story is worth telling: three languages, a turn, no two voices alike, a name in all its cases."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import combinations, pairwise

import pytest
from pydantic import ValidationError

from listener.demo.story import Row, load_story
from listener.domain import Sentiment

STORY = load_story()
HISTORY = [row for row in STORY if row.at_hours is not None]
TURN = [row for row in STORY if row.at_secs is not None]
TURNED_SECS = 25
NAME = re.compile(r"(?<!\w)(?:kiirkott?(?:i|ti|ist|il|ile|ilt|iga|is|'s)?|кийркотт?(?:а|у|ом|е)?)(?!\w)", re.IGNORECASE)
SHINGLE_CHARS = 5


def said(row: Row) -> str:
    """All that a reader sees of the row."""
    return f"{row.title or ''} {row.text}"


def share(rows: Iterable[Row], sentiment: Sentiment) -> float:
    """How many of those about the brand feel like this, 0..1."""
    labels = [row.sentiment for row in rows if row.about == "brand"]
    return labels.count(sentiment) / len(labels)


def shingles(text: str) -> frozenset[str]:
    """The text's character 5-grams, without regard to case and white space."""
    text = " ".join(text.lower().split())
    return frozenset(text[start : start + SHINGLE_CHARS] for start in range(max(1, len(text) - SHINGLE_CHARS + 1)))


def test_is_long_enough_and_tells_of_before_and_after() -> None:
    """Two weeks to know what is usual, two minutes to turn."""
    assert len(HISTORY) >= 200
    assert len(TURN) >= 140
    assert min(row.at_hours or 0 for row in HISTORY) >= -14 * 24
    assert max(row.at_secs or 0 for row in TURN) <= 120


def test_every_id_is_its_own() -> None:
    """An id names a post or a review, and is equal for no two."""
    assert len({row.id for row in STORY}) == len(STORY)
    assert all(row.id.startswith("r" if row.place == "reviews" else "p") for row in STORY)


def test_half_is_estonian_and_the_rest_english_and_russian() -> None:
    """The languages that an Estonian brand is spoken of in."""
    langs = Counter(row.lang for row in STORY)
    assert langs["et"] / len(STORY) == pytest.approx(0.5, abs=0.05)
    assert langs["en"] / len(STORY) == pytest.approx(0.25, abs=0.05)
    assert langs["ru"] / len(STORY) == pytest.approx(0.25, abs=0.05)


def test_both_places_speak_before_and_after() -> None:
    """Neither source falls silent when it matters."""
    for rows in (HISTORY, TURN):
        places = Counter(row.place for row in rows)
        assert min(places["feed"], places["reviews"]) >= len(rows) / 5


@pytest.mark.parametrize("lang", ["et", "en", "ru"])
def test_the_customers_turn_in_every_language(lang: str) -> None:
    """About a fifth complain in usual times, more than four fifths after the turn."""
    usual = [row for row in HISTORY if row.lang == lang]
    turned = [row for row in TURN if row.lang == lang and (row.at_secs or 0) >= TURNED_SECS]
    assert 0.15 <= share(usual, Sentiment.NEGATIVE) <= 0.27
    assert share(usual, Sentiment.POSITIVE) >= 0.25
    assert share(turned, Sentiment.NEGATIVE) >= 0.8


def test_usual_times_last_until_the_turn() -> None:
    """The first seconds of the story look like the two weeks before."""
    opening = [row for row in TURN if (row.at_secs or 0) < TURNED_SECS]
    assert len(opening) >= 15
    assert share(opening, Sentiment.NEGATIVE) <= 0.27
    assert 0.2 <= share(HISTORY, Sentiment.NEGATIVE) <= 0.25


def test_not_everybody_is_angry_after_the_turn() -> None:
    """A share of 100 % would be a story that nobody believes."""
    turned = [row for row in TURN if (row.at_secs or 0) >= TURNED_SECS]
    assert share(turned, Sentiment.NEUTRAL) > 0.05
    assert share(turned, Sentiment.POSITIVE) > 0.02


def test_people_sleep() -> None:
    """The nine hours of night of every day hold far less than their part of the history."""
    at_night = [row for row in HISTORY if 9 < (row.at_hours or 0) % 24 < 18]
    assert 0 < len(at_night) / len(HISTORY) < 0.15


def test_ratings_and_feelings_agree() -> None:
    """Nobody gives one star and thanks, or five and complains."""
    for row in STORY:
        if row.rating is not None:
            assert row.rating < 5 or row.sentiment is not Sentiment.NEGATIVE, row.id
            assert row.rating > 2 or row.sentiment is Sentiment.NEGATIVE, row.id


def test_no_two_voices_say_the_same() -> None:
    """Texts that are not marked as copies share less than six tenths of their character 5-grams (Jaccard)."""
    voices = [(row.id, shingles(row.text)) for row in STORY if row.copy_of is None]
    alike = [
        (a, b) for (a, these), (b, those) in combinations(voices, 2) if len(these & those) >= 0.6 * len(these | those)
    ]
    assert alike == []


def test_no_two_voices_begin_alike() -> None:
    """Four first words that come twice would betray a template."""
    openings = Counter(tuple(row.text.lower().split()[:4]) for row in STORY if row.copy_of is None)
    assert [opening for opening, uses in openings.items() if uses > 1] == []


def test_copies_repeat_an_earlier_text_under_another_name() -> None:
    """So dedupe has something to link: the same words later, elsewhere."""
    by_id = {row.id: row for row in STORY}
    copies = [(row, by_id[row.copy_of]) for row in STORY if row.copy_of is not None]
    assert 6 <= len(copies) <= 10
    for copy, original in copies:
        assert (copy.text, copy.title) == (original.text, original.title)
        assert copy.author != original.author
        assert STORY.index(copy) > STORY.index(original)


def test_what_is_about_the_brand_names_it_and_nothing_else_does() -> None:
    """Kirkorov, kiirkohting and kiirkotlet are not the brand, and neither are its competitors."""
    wrong = [row.id for row in STORY if bool(NAME.search(said(row))) != (row.about == "brand")]
    assert wrong == []
    assert Counter(row.about for row in STORY)["other"] >= 6
    assert Counter(row.about for row in STORY)["competitor"] >= 4


@pytest.mark.parametrize(
    "form",
    [
        *("Kiirkott", "Kiirkoti", "Kiirkotti", "Kiirkotis", "Kiirkotist", "Kiirkotile", "Kiirkotil", "Kiirkotilt"),
        *("Kiirkotiga", "Kiirkott's", "Кийркотт", "Кийркотта", "Кийркотту", "Кийркоттом", "Кийркотте"),
    ],
)
def test_the_name_is_inflected(form: str) -> None:
    """Estonian cases with gradation, the English genitive, Russian cases."""
    assert any(form in NAME.findall(said(row)) for row in STORY)


def test_some_write_without_their_own_letters() -> None:
    """Russian in Latin letters, Estonian without dots, and lower case are how people type."""
    latin = [row for row in STORY if row.lang == "ru" and not re.search(r"[а-яё]", said(row), re.IGNORECASE)]
    assert len(latin) >= 6
    assert sum(row.text[0].islower() for row in STORY) >= 30


def test_some_things_happen_out_of_order() -> None:
    """Posts are edited, appear late, and do not tell their language."""
    assert 2 <= sum(bool(row.edits) for row in STORY) <= 5
    assert sum(row.appears_secs is not None for row in STORY) >= 3
    assert 5 <= sum(row.untagged for row in STORY) < sum(row.place == "reviews" for row in STORY) / 4


def test_is_kept_in_the_order_of_its_dates() -> None:
    """A reader of the file reads it as it happened."""
    dates = [(row.at_hours or 0) * 3600 + (row.at_secs or 0) for row in STORY]
    assert all(earlier <= later for earlier, later in pairwise(dates))


@pytest.mark.parametrize(
    "change",
    [
        {"at_secs": 1.0},
        {"at_hours": None},
        {"rating": 4},
        {"edits": ({"at_secs": 9, "text": "b"}, {"at_secs": 5, "text": "c"})},
        {"appears_secs": 20, "edits": ({"at_secs": 9, "text": "b"},)},
        {"at_hours": 3.0},
        {"mood": "negative"},
    ],
)
def test_a_row_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    """Two dates or none, a rated post, edits that run backwards or come before it, a future past, unknown fields."""
    row = {
        "id": "p1",
        "place": "feed",
        "lang": "et",
        "sentiment": "neutral",
        "at_hours": -1.0,
        "author": "a",
        "text": "t",
    }
    Row.model_validate(row)
    with pytest.raises(ValidationError):
        Row.model_validate(row | change)
