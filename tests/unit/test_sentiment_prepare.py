"""Texts as the bundled model was trained to read them; whatever is thrown at it, in linear work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.sentiment.prepare import prepared


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Thanks @Mari_K!", "Thanks @user!"),
        ("@bolt @wolt hinnad", "@user @user hinnad"),
        ("see https://a.b/c?d=e#f.", "see http."),
        ("(www.pood.ee/pakid) ja HTTP://X.YZ", "(http) ja http"),
        ("kirjuta info@pood.ee, palun", "kirjuta email, palun"),
        ("mari.k+1@mail.co.uk", "email"),
        ("price @ 5 €", "price @ 5 €"),
        ("me@home and a@", "me@home and a@"),
        ("<p>pakk<br/>oli <b>katki</b></p>", "pakk oli katki"),
        ("AT&amp;T &lt;3 &#8364;5 &#x20AC;", "AT&T <3 €5 €"),
        ("5 < 6 > 4 <unknown>", "5 < 6 > 4 <unknown>"),
        ("a\x00b\u200b\u202ec\r\n\td", "a bc d"),
        ("soft\u00adhyphen", "softhyphen"),
        ("здоров\u02bcя", "здоров\u2019я"),
        ("👨\u200d👩\u200d👧 👍🏽 ❤️", "👨\u200d👩\u200d👧 👍🏽 ❤️"),
        ("שלום עולם مرحبا", "שלום עולם مرحبا"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_what_names_a_person_or_a_place_goes_and_the_rest_stays(text: str, read: str) -> None:
    assert prepared(text) == read


@given(st.text(max_size=200))
def test_any_text_is_taken_and_spaces_are_single(text: str) -> None:
    read = prepared(text)
    assert read == " ".join(read.split())
    assert "\x00" not in read


@given(st.lists(st.sampled_from(["pakk", "@user", "http", "email", "katki!", "😀"]), max_size=12))
def test_a_text_that_is_prepared_already_stays_as_it_is(words: list[str]) -> None:
    text = " ".join(words)
    assert prepared(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "@",
        "a.",
        "a@",
        "a@b.",
        "&",
        "&a",
        "<a ",
        "<",
        "http://",
        "www.",
        "-",
        "+.",
        "\u0301",
        "é\u0323",
        "&#1",
        "/",
    ],
)
def test_hostile_texts_cost_linear_work(unit: str) -> None:
    """So long a text would not end within the time limit of a test if anything went back over what it has read."""
    assert prepared(unit * (300_000 // len(unit))) is not None
