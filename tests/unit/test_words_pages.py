"""What the pages of links say: how long, since when, who has answered, in English and Estonian."""

from dataclasses import replace
from datetime import timedelta

import pytest

from listener.alerts.words import page_texts
from listener.alerts.words.label_texts import labels
from listener.alerts.words.languages import LANGUAGES, TITLE_CHARS_MAX, tongue
from listener.domain import Act, AlertState, Response
from tests.alerting import NOW, alert

EN, ET = tongue("en"), tongue("et")
YESTERDAY = NOW - timedelta(days=1)
FIRING = alert()


@pytest.mark.parametrize(
    ("minutes", "english", "estonian"),
    [
        (60, "1 h", "1 t"),
        (120, "2 h", "2 t"),
        (90, "1 h 30 min", "1 t 30 min"),
        (59.6, "1 h", "1 t"),
        (30, "30 min", "30 min"),
        (0.1, "1 min", "1 min"),
        (0, "1 min", "1 min"),
    ],
)
def test_a_button_says_for_how_long(minutes: float, english: str, estonian: str) -> None:
    assert page_texts.button(EN, Act.SNOOZE, minutes=minutes) == f"Remind me in {english}"
    assert page_texts.button(ET, Act.SILENCE, minutes=minutes) == f"Vaigista: {estonian}"
    assert page_texts.does(EN, Act.SILENCE, minutes=minutes).startswith(f"For {english} nobody is told")


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("act", [Act.ACK, Act.RESOLVE])
def test_the_button_says_what_the_link_in_the_message_said(code: str, act: Act) -> None:
    assert page_texts.button(tongue(code), act, minutes=0) == labels(code)[act]


def test_who_has_answered_is_told_and_until_when_it_is_put_off() -> None:
    response = Response(
        alert_id=FIRING.id,
        brand="acme",
        acked_at=YESTERDAY,
        acked_by="mari",
        assignee="jaan",
        snoozed_until_at=NOW + timedelta(minutes=30),
    )
    assert page_texts.answered(EN, response, now=NOW) == (
        "mari is on it since 12:30 UTC on 1 Mar; it is with jaan; snoozed until 13:00 UTC"
    )
    assert page_texts.answered(ET, response, now=NOW) == (
        "mari tegeleb sellega alates 12:30 UTC (1. märts); tegeleja: jaan; edasi lükatud kuni 13:00 UTC"
    )
    later = NOW + timedelta(minutes=30)
    assert "snoozed" not in page_texts.answered(EN, response, now=later)
    assert page_texts.answered(EN, Response(alert_id=FIRING.id, brand="acme"), now=NOW) == ""


def test_an_alert_still_fires_or_ended_then() -> None:
    over = replace(FIRING, state=AlertState.RESOLVED, ended_at=YESTERDAY)
    assert [page_texts.state(t, FIRING, now=NOW) for t in (EN, ET)] == ["it still fires", "häire kestab"]
    assert [page_texts.state(t, over, now=NOW) for t in (EN, ET)] == [
        "it ended at 12:30 UTC on 1 Mar",
        "häire lõppes kell 12:30 UTC (1. märts)",
    ]


def test_names_keep_to_their_line_and_their_length() -> None:
    assert page_texts.acting_as(ET, "Mari\n\u202eM") == "Tegutsed nimega Mari M"
    assert len(page_texts.untold(EN, FIRING, title="x" * 500)) <= TITLE_CHARS_MAX
    assert page_texts.untold(ET, FIRING, title="Acme {0}") == "Acme {0}: häire deterioration"


def test_how_many_are_not_shown_is_written_as_a_number() -> None:
    assert page_texts.more(EN, 1500) == "... and 1\u202f500 more."
