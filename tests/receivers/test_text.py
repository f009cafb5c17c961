"""What people read: the words in their language, what to click, and nothing that must not be clicked."""

import pytest

from listener.alerts.receivers.text import one_line, plain, usable_link, words
from listener.domain import Reason
from tests.receivers.payloads import ANSWER, alert_json, bundle_json, every_kind


def test_an_alert_says_what_to_read_what_to_answer_and_how() -> None:
    text = plain(words(alert_json(), "en"))
    assert text.count("- forum: https://foorum.example/") == 3
    assert "- Kullerid hilinevad: https://wiki.example/d" in text
    assert "- Refunds <b>" in text
    assert f"- I am on it: {ANSWER.links['ack']}" in text
    assert text.index("Read first:") < text.index("What to answer:") < text.index("Answer:")


def test_it_speaks_estonian() -> None:
    text = plain(words(alert_json(), "et"))
    assert "Loe kõigepealt:" in text
    assert f"- Tegelen sellega: {ANSWER.links['ack']}" in text
    assert words(alert_json(), "et").title != words(alert_json(), "en").title


def test_where_all_is_over_to_resolve_it_is_to_add_a_note() -> None:
    over, link = alert_json(Reason.RESOLVED), "https://listener.example/act/r"
    answer = {"seq": 2, "links": {"resolve": link}}
    ended = {**bundle_json(), "alerts": [{**one, "state": "resolved"} for one in bundle_json()["alerts"]]}
    mixed = {**ended, "alerts": [*ended["alerts"], bundle_json()["alerts"][0]]}
    found = [words({**one, "answer": answer}, "en").answers[0].label for one in (over, ended, mixed, alert_json())]
    assert found == ["Add a note", "Add a note", "It is dealt with", "It is dealt with"]
    assert words({**over, "answer": answer}, "et").answers[0].label == "Lisa märkus"


def test_a_language_that_a_payload_lacks_becomes_english() -> None:
    payload = {**alert_json(), "text": {"en": {"title": "One", "body": "Two"}}}
    assert words(payload, "et").title == "One"


@pytest.mark.parametrize("name", every_kind())
def test_every_kind_has_words(name: str) -> None:
    said = words(every_kind()[name], "en")
    assert said.title
    assert said.body in plain(said)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "", "//x", "https://x/\r\nBcc: y", None])
def test_what_is_no_link_is_not_given_to_click(url: str | None) -> None:
    assert not usable_link(url)
    links = [{"id": "m", "url": url, "source": "forum"}]
    payload = {**alert_json(), "evidence": links, "articles": [{"title": "Refunds", "url": url}]}
    payload["answer"] = {"seq": 1, "links": {"ack": url}}
    said = words(payload, "en")
    assert (said.evidence, said.answers) == ((), ())
    assert [(one.label, one.url) for one in said.articles] == [("Refunds", "")]


def test_a_title_is_one_line_whatever_the_brand_is_called() -> None:
    assert one_line("Õun\r\nBcc: x@y\x00\u2028!") == "Õun Bcc: x@y !"
    payload = {**alert_json(), "text": {"en": {"title": "a\nb", "body": "c"}}}
    assert words(payload, "en").title == "a b"
