"""The language of short customer texts is told, or it is said that it cannot be told."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from listener.sentiment import language
from listener.sentiment.language import MIN_CONFIDENCE, guess, identify


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Bolti juht oli väga ebaviisakas ja sõit jäi ära.", "et"),
        ("Väga hea teenindus, soovitan!", "et"),
        ("Kuljettaja oli töykeä ja kyyti peruttiin.", "fi"),
        ("Erittäin hyvä palvelu, suosittelen!", "fi"),
        ("The driver was rude and the ride was cancelled.", "en"),
        ("Водитель был очень груб, поездку отменили.", "ru"),
        ("Водій був дуже грубий, поїздку скасували.", "uk"),
        ("Vadītājs bija ļoti nepieklājīgs, brauciens tika atcelts.", "lv"),
        ("Vairuotojas buvo labai nemandagus, kelionė atšaukta.", "lt"),
        ("Der Fahrer war sehr unhöflich und die Fahrt wurde storniert.", "de"),
        ("Föraren var mycket otrevlig och resan ställdes in.", "sv"),
        ("Kierowca był bardzo niegrzeczny i przejazd odwołano.", "pl"),
        ("@bolt #fail https://t.co/abc Juht ei tulnudki kohale!", "et"),
        ("这家公司的服务非常好我很满意", "zh"),
        ("Η υπηρεσία ήταν πολύ καλή", "el"),
    ],
)
def test_customers_languages_are_told(text: str, lang: str) -> None:
    """Estonian is not taken for Finnish, nor Ukrainian for Russian; handles and links do not count."""
    assert identify(text) == lang


@pytest.mark.parametrize(
    "text", ["", "OK", "Super!", "5/5", "👍👍👍👍👍👍👍👍👍👍👍", "12345678901234", "https://www.postimees.ee/a-b-c @x"]
)
def test_too_little_is_no_language(text: str) -> None:
    """Fewer than ten letters of its own say nothing, whatever else there is."""
    assert guess(text) is None
    assert identify(text) is None


def test_an_unsure_guess_is_not_an_answer() -> None:
    """Names alone are in every language."""
    unsure = guess("Bolt Bolt Bolt")
    assert unsure is not None
    assert unsure.confidence < MIN_CONFIDENCE
    assert identify("Bolt Bolt Bolt") is None


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    """A megabyte costs what a paragraph costs."""
    text = "Bolti juht oli väga ebaviisakas. " * 20
    assert guess(text) == guess(text + "The driver was rude. " * 50_000)


def test_threads_load_the_model_once_and_agree() -> None:
    """The pipeline may ask from several threads at once."""
    language._load.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(identify, ["Juht ei tulnudki kohale, kahju."] * 32))
    assert set(found) == {"et"}
    assert language._load.cache_info().misses == 1
