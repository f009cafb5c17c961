"""What goes with an alert's words: reminders, drills, several alerts in one message, the watchdog, a test."""

import re
from datetime import timedelta
from typing import Any

import pytest

from listener.alerts.words import oncall_texts
from listener.alerts.words.bundle_texts import bundle_words
from listener.alerts.words.oncall_texts import again, drill, watchdog_words
from listener.alerts.words.texts import Text
from listener.domain import Hold, Reason
from tests.alerting import NOW
from tests.words import member

WORDS = {"en": {"title": "CRITICAL: Acme", "body": "It burns."}, "et": {"title": "KRIITILINE: Acme", "body": "Põleb."}}
OVER: dict[str, Any] = {"state": "resolved", "ended_at": NOW, "resolution": "recovered"}


def test_a_reminder_says_which_one_it_is_and_how_long_nobody_has_answered() -> None:
    assert again(WORDS, reason=Reason.REPEAT, repeat=3, minutes=30, escalate=False) == {
        "en": {"title": "Reminder 3: CRITICAL: Acme", "body": "Nobody has answered for 30 minutes. It burns."},
        "et": {"title": "Meeldetuletus 3: KRIITILINE: Acme", "body": "30 minutit ei ole keegi vastanud. Põleb."},
    }


def test_the_last_call_says_that_nobody_will_be_asked_again() -> None:
    words = again(WORDS, reason=Reason.ESCALATED, repeat=0, minutes=180, escalate=True)
    assert words == {
        "en": {
            "title": "Unanswered: CRITICAL: Acme",
            "body": (
                "Nobody has answered for 3 hours. This is the last call, nobody will be asked again: take it further. "
                "It burns."
            ),
        },
        "et": {
            "title": "Vastuseta: KRIITILINE: Acme",
            "body": (
                "3 tundi ei ole keegi vastanud. See on viimane teade, rohkem kelleltki ei küsita: pöördu ise kellegi "
                "teise poole. "
                "Põleb."
            ),
        },
    }


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "Nobody has answered yet."),
        (1, "Nobody has answered for a minute."),
        (119, "Nobody has answered for 119 minutes."),
        (120, "Nobody has answered for 2 hours."),
        (47 * 60, "Nobody has answered for 47 hours."),
        (48 * 60, "Nobody has answered for 2 days."),
    ],
)
def test_how_long_nobody_has_answered(minutes: int, said: str) -> None:
    words = again(WORDS, reason=Reason.REPEAT, repeat=1, minutes=minutes, escalate=False)
    assert words["en"]["body"] == f"{said} It burns."


def test_the_words_that_are_told_again_stay_as_they_are() -> None:
    again(WORDS, reason=Reason.REPEAT, repeat=1, minutes=5, escalate=True)
    drill(WORDS)
    assert WORDS["en"] == {"title": "CRITICAL: Acme", "body": "It burns."}


def test_a_drill_says_so_first() -> None:
    words = drill(WORDS)
    assert words["en"] == {"title": "DRILL: CRITICAL: Acme", "body": "This is a drill: nothing has happened. It burns."}
    assert words["et"] == {"title": "ÕPPUS: KRIITILINE: Acme", "body": "See on õppus: midagi ei ole juhtunud. Põleb."}


def test_a_storm_names_all_the_worst_first() -> None:
    some = [*(member(number) for number in range(15)), member(99, title="Bolt", severity="warning")]
    words = bundle_words("storm", some, now=NOW, alone=5, bundle_id="f" * 32, links=True)
    names = ", ".join(f"Brand{number}" for number in range(15))
    assert words["en"].title == (
        "CRITICAL: 16 more brands turn bad at once: Brand0, Brand1, Brand2, Brand3, Brand4, Brand5, Brand6, "
        "Brand7 and 8 more"
    )
    assert words["en"].body == (
        f"16 alerts fire, the worst first. Critical: {names}. Warning: Bolt. The worst 5 were told one by one. Start "
        "with the first. An answer to this message is one to all that it names. Ack, snooze or silence: with one of "
        "the links, or `listener alerts ack ffffffff`."
    )
    assert words["et"].title.startswith("KRIITILINE: olukord halvenes korraga veel 16 brändil: Brand0, Brand1,")
    assert f"Kestab 16 häiret, halvimad eespool. Kriitiline: {names}. Hoiatus: Bolt. Halvimad 5" in words["et"].body


@pytest.mark.parametrize("kind", ["storm", "market", "held", "missed"])
@pytest.mark.parametrize("state", [{}, OVER])
def test_two_hundred_are_all_named(kind: Any, state: dict[str, Any]) -> None:
    some = [member(number, title=f"<{number}>", **state) for number in range(200)]
    for text in bundle_words(kind, some, now=NOW, bundle_id="1").values():
        assert all(f"<{number}>" in text.body for number in range(200))
        assert "200" in text.body
        assert len(text.body) < 3000


def test_few_are_told_with_their_numbers() -> None:
    some = [member(49, title="Acme"), member(9, title="Bolt", observed=None)]
    words = bundle_words("market", some, now=NOW)
    assert words["en"] == Text(
        title="CRITICAL: the whole market moves: Acme and Bolt",
        body=(
            "These brands move together: look for one common cause. 2 alerts fire, the worst first. Critical: Acme "
            "(60% negative, 20% is usual, since 11:40 UTC), Bolt (since 12:20 UTC). Start with the first."
        ),
    )
    assert words["et"] == Text(
        title="KRIITILINE: liigub kogu turg: Acme ja Bolt",
        body=(
            "Need brändid liiguvad koos: otsi üht ühist põhjust. Kestab 2 häiret, halvimad eespool. Kriitiline: Acme "
            "(negatiivseid 60%, tavaliselt 20%, algus kell 11:40 UTC), Bolt (algus kell 12:20 UTC). Alusta esimesest."
        ),
    )


def test_that_brands_turn_bad_is_said_only_where_shares_say_so() -> None:
    words = bundle_words("storm", [member(0), member(1, observed=None)], now=NOW)
    assert words["en"].title == "CRITICAL: 2 more brands have alerts at once: Brand0 and Brand1"


def test_a_storm_that_is_over() -> None:
    words = bundle_words("storm", [member(number, **OVER) for number in range(2)], now=NOW, alone=3)
    assert words["en"] == Text(
        title="2 alerts are over: Brand0 and Brand1",
        body="2 alerts are over. Critical: Brand0, Brand1. There is nothing to do.",
    )
    assert words["et"] == Text(
        title="2 häiret on lõppenud: Brand0 ja Brand1",
        body="2 häiret on lõppenud. Kriitiline: Brand0, Brand1. Midagi ei ole vaja teha.",
    )


def test_what_ended_without_recovery_is_told_as_that() -> None:
    some = [member(0, **OVER), member(1, **{**OVER, "resolution": "no_data"})]
    body = bundle_words("missed", some, now=NOW)["en"].body
    assert "Critical: Brand0, Brand1 (nobody speaks)." in body
    assert "nothing to do" not in body


def test_what_was_held_back_says_why_and_what_still_fires() -> None:
    some = [member(0, severity="warning", **OVER), member(1), member(2, brand="brand1", title="Brand1", **OVER)]
    reasons = [Hold.QUIET_HOURS, Hold.MAINTENANCE]
    words = bundle_words("held", some, now=NOW, reasons=reasons, names={"brand0": "Acme"})
    assert words["en"] == Text(
        title="CRITICAL: Held back: 3 alerts, 1 of them still firing",
        body=(
            "Nobody was told of this until now; the reason: maintenance and quiet hours. One alert fires. Critical: "
            "Brand1 (60% negative, 20% is usual, since 12:28 UTC). 2 alerts are over. Critical: Brand1. Warning: Acme."
        ),
    )
    assert words["et"].title == "KRIITILINE: Hiljem teatatud: 3 häiret, neist kestab 1"
    assert "Põhjus: hooldus ja vaikne aeg. Kestab üks häire." in words["et"].body


@pytest.mark.parametrize("state", [{}, OVER])
def test_two_hundred_drills_are_marked_in_a_title_that_says_how_many_there_are(state: dict[str, Any]) -> None:
    some = [member(number, drill=True, **state) for number in range(200)]
    for language, text in bundle_words("storm", some, now=NOW).items():
        assert text.title.startswith({"en": "DRILL: ", "et": "ÕPPUS: "}[language])
        assert re.search(r" and 1\d\d more$| ja veel 1\d\d$", text.title)
        assert len(text.title) <= 120


def test_drills_beside_what_is_real_are_neither_counted_nor_do_they_make_it_louder() -> None:
    some = [member(0, severity="warning"), *(member(number, drill=True) for number in (1, 2)), member(3, drill=True)]
    words = bundle_words("missed", some, now=NOW)
    assert words["en"].title == "Warning: Missed: 1 alert, it still fires"
    assert "3 drills were among it, nothing has happened: Brand1, Brand2, Brand3." in words["en"].body
    assert "Nende seas oli 3 õppust, midagi ei ole juhtunud: Brand1, Brand2, Brand3." in words["et"].body


def test_whoever_is_on_it_is_named_and_nobody_is_told_to_start_there() -> None:
    some = [member(0, acked_by="mari"), member(1)]
    body = bundle_words("held", some, now=NOW)["en"].body
    assert "Somebody is on it already: Brand0 (mari)." in body
    assert "Start with the first" not in body
    assert "Start with the first" in bundle_words("held", some[::-1], now=NOW)["en"].body


def test_several_alerts_of_one_brand_are_named_once_with_their_number() -> None:
    some = [member(number, title="Acme", brand="acme") for number in range(12)]
    body = bundle_words("missed", some, now=NOW)["en"].body
    assert "12 alerts fire, the worst first. Critical: 12x Acme." in body


def test_what_was_missed_is_told_when_the_receiver_is_back() -> None:
    words = bundle_words("missed", [member(0, started_at=NOW - timedelta(days=1), **OVER)], now=NOW)
    assert words["en"].title == "Missed: 1 alert, it is over"
    assert words["et"].title == "Kohale jõudmata: 1 häire, see on lõppenud"


def test_the_watchdog_says_what_its_silence_means() -> None:
    words = watchdog_words("one", 5.0)
    assert words["en"] == Text(
        title="All is well: one watches",
        body=(
            "This message comes every 5 minutes. There is nothing to do while it comes. If it stays away, nobody "
            "watches: look at one."
        ),
    )
    assert words["et"].title == "Kõik on korras: one valvab"
    assert "See teade tuleb iga minut." in watchdog_words("one", 0.5)["et"].body


def test_a_test_says_that_nothing_has_happened() -> None:
    words = oncall_texts.test_words("mail", "one")
    assert words["en"].title == "Test: mail works"
    assert words["en"].body.startswith("one tries the receiver mail out: nothing has happened")
    assert words["et"].body.startswith("one proovib vastuvõtjat mail: midagi ei ole juhtunud")
