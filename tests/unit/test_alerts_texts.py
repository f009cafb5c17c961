"""An alert in words, English and Estonian: what, how bad, since when, how sure, whose, what to do, how to answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from listener.alerts.detection.market import Market
from listener.alerts.wire import payload
from listener.alerts.words.texts import Text, Told, alert_words, past_words
from listener.domain import Alert, AlertState, Channel, Condition, Reason, Resolution, Severity
from tests import alerting
from tests.alerting import NOW, signal, strength

SPACE = "\u202f"  # narrow, between thousands
NAMES = {"wolt": "Wolt"}


def words(alert: Alert, reason: Reason, language: str) -> tuple[str, str]:
    """Headline and sentences."""
    told = payload.alert_payload(alert, reason, title="Acme", evidence=(), now=NOW, names=NAMES)
    return told.text[language].title, told.text[language].body


def firing(**changes: Any) -> Alert:
    return alerting.alert(evidence=("m0",), signal=signal(**changes))


def ended(resolution: Resolution, **changes: Any) -> Alert:
    """An alert that began eighty hours before its end."""
    calm: dict[str, Any] = {"condition": Condition.CALM, "severity": None, "channels": (), "onset_at": None}
    return alerting.alert(
        state=AlertState.RESOLVED,
        seq=2,
        ended_at=NOW + timedelta(hours=80, minutes=5),
        resolution=resolution,
        signal=signal(**{**calm, "observed": 0.15, **changes}),
    )


def test_an_alert_in_english() -> None:
    assert words(firing(), Reason.FIRST, "en") == (
        "CRITICAL: Acme, far more complaints than usual",
        (
            "60% of the 60 mentions of Acme in the last hour tell of a negative experience; 20% is usual, 30% is the "
            "budget. Perception fell by 60 points within an hour (45 to 75); 8 is the limit. The budget burns 2.0 "
            "times as fast as allowed; the month's is gone in 30 hours. It began at about 11:40 UTC; the alert came at "
            f"12:30 UTC. The evidence is 20{SPACE}000 to 1; 2{SPACE}000 to 1 wakes somebody. Start with the linked "
            f"mention. Ack with `listener alerts ack {firing().id[:8]}`; snooze and silence likewise."
        ),
    )


def test_an_alert_in_estonian() -> None:
    title, body = words(firing(), Reason.FIRST, "et")
    assert title == "KRIITILINE: Acme, kaebusi on tavalisest palju rohkem"
    for sentence in (
        "Acme: viimase tunni jooksul tulnud 60 mainimisest räägib halvast kogemusest 60%, tavaliselt 20%, lubatud on",
        "See algas umbes kell 11:40 UTC; häire tuli kell 12:30 UTC.",
        "Maine langes tunniga 60 punkti (45 kuni 75); piir on 8.",
        "Kuu eelarve kulub 2,0 korda lubatust kiiremini; see saab läbi 30 tunni pärast.",
        f"Tõendite kaal on 20{SPACE}000 ühe vastu; äratab alates 2{SPACE}000 ühe vastu.",
        "Alusta lingitud mainimisest.",
        f"Kinnita käsuga `listener alerts ack {firing().id[:8]}`",
    ):
        assert sentence in body


@pytest.mark.parametrize(
    ("reason", "english", "estonian"),
    [
        (Reason.FIRST, "", ""),
        (Reason.WORSENED, ", it is getting worse", ", olukord halveneb"),
        (Reason.REOPENED, ", again", ", jälle"),
    ],
)
@pytest.mark.parametrize(
    ("channels", "headlines"),
    [
        (
            (Channel.EVIDENCE,),
            ("Acme, far more complaints than usual", "Acme, kaebusi on tavalisest palju rohkem"),
        ),
        ((Channel.VOLUME,), ("Acme, complaints pile up", "Acme, kaebused kuhjuvad")),
        (
            (Channel.EVIDENCE, Channel.VOLUME),
            (
                "Acme, far more complaints, and more of them at once",
                "Acme, kaebusi on palju rohkem ja need kuhjuvad",
            ),
        ),
        ((Channel.SOURCES,), ("Acme cannot be heard", "Acme ei ole kuulda")),
        (
            (Channel.MENTION,),
            ("Acme, one complaint that many may see", "Acme, üks kaebus, mida võivad näha paljud"),
        ),
    ],
)
def test_headlines_name_the_channels_and_what_happened(
    reason: Reason, english: str, estonian: str, channels: tuple[Channel, ...], headlines: tuple[str, str]
) -> None:
    alert = replace(firing(channels=channels), severity=Severity.WARNING)
    assert words(alert, reason, "en")[0] == f"Warning: {headlines[0]}{english}"
    assert words(alert, reason, "et")[0] == f"Hoiatus: {headlines[1]}{estonian}"


def test_the_number_is_told_where_it_is_what_was_breached() -> None:
    volume = firing(channels=(Channel.VOLUME,))
    assert "36 complaints came in 3 hours; 12 are usual." in words(volume, Reason.FIRST, "en")[1]
    assert "Kaebusi tuli 3 tunniga 36, tavaliselt 12." in words(volume, Reason.FIRST, "et")[1]
    for alert, absent in ((volume, "to 1"), (volume, "budget burns"), (firing(), "in 3 hours")):
        assert absent not in words(alert, Reason.FIRST, "en")[1]


def test_sources_that_fail_are_named() -> None:
    alert = firing(channels=(Channel.SOURCES,), sources=("forum", "news"), strength=None)
    english, estonian = (words(alert, Reason.FIRST, language)[1] for language in ("en", "et"))
    assert "11:40 UTC: forum, news. What customers say there is not heard" in english
    assert "11:40 UTC: forum, news. Mida kliendid seal räägivad, ei ole kuulda" in estonian


def test_one_mention_is_told_with_its_risk_and_its_reach() -> None:
    alert = firing(channels=(Channel.MENTION,), reach=1_500_000, observed=0.9, strength=None)
    english, estonian = (words(alert, Reason.FIRST, language)[1] for language in ("en", "et"))
    assert f"(risk 90%) and may be seen by 1{SPACE}500{SPACE}000 people" in english
    assert f"(risk 90%) ja seda võib näha 1{SPACE}500{SPACE}000 inimest" in estonian


@pytest.mark.parametrize(
    ("gone_hours", "english", "estonian"),
    [
        (None, "as allowed.", "kiiremini."),
        (0.0, "; the month's is used up.", "; kuu oma on juba ära kulunud."),
        (30.2, "; the month's is gone in 30 hours.", "; see saab läbi 30 tunni pärast."),
        (96.0, "; the month's is gone in 4 days.", "; see saab läbi 4 päeva pärast."),
    ],
)
def test_when_the_months_budget_is_gone(gone_hours: float | None, english: str, estonian: str) -> None:
    alert = firing(strength=strength(gone_hours=gone_hours))
    assert english in words(alert, Reason.FIRST, "en")[1]
    assert estonian in words(alert, Reason.FIRST, "et")[1]


def test_no_fall_is_told_where_perception_rose_or_nobody_spoke() -> None:
    rates = strength().rates
    for points in (5.0, None):
        told = strength(rates=tuple(replace(rate, points=points) for rate in rates))
        assert "Perception fell" not in words(firing(strength=told), Reason.FIRST, "en")[1]
        assert "Maine langes" not in words(firing(strength=told), Reason.FIRST, "et")[1]


def test_within_a_day_the_fall_within_the_day_is_told() -> None:
    alert = firing(window_start_at=NOW - timedelta(days=1))
    english, estonian = (words(alert, Reason.FIRST, language)[1] for language in ("en", "et"))
    assert "in the last 24 hours tell of" in english
    assert "Perception fell by 12 points within a day (4 to 20)" in english
    assert "viimase 24 tunni jooksul" in estonian
    assert "Maine langes ööpäevaga 12 punkti (4 kuni 20)" in estonian


def test_a_proof_adds_its_sentences_and_the_market_its_verdict() -> None:
    alert = replace(firing(), proof=alerting.proof_document())
    english, estonian = (words(alert, Reason.FIRST, language)[1] for language in ("en", "et"))
    assert "It is broad: it would have fired without its five loudest authors too." in english
    assert "comes from forum" in english
    assert "It is this brand alone: Wolt did not move." in english
    assert "häire oleks tulnud ka ilma viie kõige häälekama autorita" in estonian
    assert "See on ainult selle brändi mure (Wolt ei muutunud)." in estonian


def test_a_whole_market_is_told_in_the_headline_too() -> None:
    moves = Market(verdict="whole_market", moving=("wolt",), still=(), unknown=(), reason="The whole market moves.")
    alert = replace(firing(), proof=alerting.proof_document(moves))
    title, body = words(alert, Reason.FIRST, "en")
    assert title.endswith("far more complaints than usual (whole market)")
    assert "The whole market moves: Wolt too." in body
    title, body = words(alert, Reason.FIRST, "et")
    assert title.endswith("(kogu turg)")
    assert "Liigub kogu turg: sama juhtus ka konkurentidega (Wolt)." in body


def test_nothing_is_said_of_a_market_that_is_not_known() -> None:
    unknown = Market(verdict="unknown", moving=(), still=(), unknown=("wolt",), reason="Too little is said.")
    alert = replace(firing(), proof=alerting.proof_document(unknown))
    assert "Wolt" not in words(alert, Reason.FIRST, "en")[1]
    assert "Wolt" not in words(alert, Reason.FIRST, "et")[1]


def test_no_links_are_promised_when_there_are_none() -> None:
    alert = replace(firing(), evidence=())
    assert "linked" not in words(alert, Reason.FIRST, "en")[1]
    assert "lingitud" not in words(alert, Reason.FIRST, "et")[1]


@pytest.mark.parametrize(
    ("alert", "english", "estonian"),
    [
        (
            ended(Resolution.RECOVERED),
            (
                "Resolved: Acme, complaints are back near the usual",
                (
                    "15% of the 60 mentions of Acme in the last hour tell of a negative experience; 20% is usual, "
                    "30% is the budget. The alert lasted 80 h 5 min. There is nothing to do."
                ),
            ),
            (
                "Lahenenud: Acme, kaebusi on jälle umbes nagu tavaliselt",
                (
                    "Acme: viimase tunni jooksul tulnud 60 mainimisest räägib halvast kogemusest 15%, tavaliselt 20%, "
                    "lubatud on 30%. Häire kestis 80 t 5 min. Midagi ei ole vaja teha."
                ),
            ),
        ),
        (
            ended(Resolution.NO_DATA),
            (
                "Closed without recovery: Acme, nobody speaks",
                "Nobody has spoken of Acme for 3 days: nothing tells whether it is over. The alert lasted 80 h 5 min.",
            ),
            (
                "Suletud ilma taastumiseta: Acme, keegi ei räägi",
                (
                    "Acme: 3 päeva ei ole keegi midagi öelnud ja miski ei näita, kas see on möödas. "
                    "Häire kestis 80 t 5 min."
                ),
            ),
        ),
        (
            ended(Resolution.EXPIRED, strength=None),
            (
                "Ended: Acme, one complaint that many may see",
                "The alert lasted 80 h 5 min. That says nothing of how it went on; look at the linked mention.",
            ),
            (
                "Lõppenud: Acme, üks kaebus, mida võivad näha paljud",
                "Häire kestis 80 t 5 min. See ei ütle midagi selle kohta, kuidas edasi läks; vaata lingitud mainimist.",
            ),
        ),
        (
            ended(Resolution.RECOVERED, strength=None),
            (
                "Resolved: Acme can be heard again",
                "The alert lasted 80 h 5 min. What was missed is counted late.",
            ),
            (
                "Lahenenud: Acme on jälle kuulda",
                "Häire kestis 80 t 5 min. Vahepealne loetakse tagantjärele.",
            ),
        ),
    ],
    ids=["recovered", "no data", "expired", "heard again"],
)
def test_each_end_says_how_it_ended(alert: Alert, english: tuple[str, str], estonian: tuple[str, str]) -> None:
    assert words(alert, Reason.RESOLVED, "en") == english
    assert words(alert, Reason.RESOLVED, "et") == estonian


def test_only_recovery_says_that_there_is_nothing_to_do() -> None:
    for resolution in Resolution:
        said = words(ended(resolution), Reason.RESOLVED, "en")[1]
        assert ("There is nothing to do" in said) is (resolution is Resolution.RECOVERED)


def test_an_alert_that_ends_in_silence_can_be_told() -> None:
    quiet = ended(Resolution.RECOVERED, mentions=0, observed=None, window_start_at=NOW - timedelta(minutes=90))
    english, estonian = (words(quiet, Reason.RESOLVED, language)[1] for language in ("en", "et"))
    assert english.startswith("Nobody has spoken of Acme in the last 90 minutes; 20% is usual, 30% is the budget.")
    assert estonian.startswith("Acme: viimase 90 minuti jooksul ei ole keegi midagi öelnud")


def told(alert: Alert, language: str, **changes: Any) -> Text:
    """The words with what others add to them."""
    values: dict[str, Any] = {"reason": Reason.FIRST, "title": "Acme", "proven": {}, "names": NAMES}
    return alert_words(Told(alert=alert, **{**values, **changes}))[language]


@pytest.mark.parametrize(
    ("channels", "numbers", "headline"),
    [
        ((Channel.EVIDENCE,), {"low": 0.31}, "far more complaints than usual"),
        ((Channel.EVIDENCE,), {"low": 0.29}, "more complaints than usual"),
        ((Channel.EVIDENCE,), {"low": None}, "more complaints than usual"),
        ((Channel.EVIDENCE,), {"low": 0.05, "observed": 0.1}, "it looks worse than usual"),
        ((Channel.EVIDENCE,), {"low": 0.04, "observed": 0.06, "expected": 0.01}, "more complaints than usual"),
        ((Channel.EVIDENCE, Channel.VOLUME), {"low": 0.31}, "far more complaints, and more of them at once"),
        ((Channel.EVIDENCE, Channel.VOLUME), {"low": 0.29}, "more complaints, and many at once"),
    ],
)
def test_a_headline_is_no_bolder_than_the_lower_bound(
    channels: tuple[Channel, ...], numbers: dict[str, Any], headline: str
) -> None:
    assert words(firing(channels=channels, **numbers), Reason.FIRST, "en")[0] == f"CRITICAL: Acme, {headline}"


def test_what_to_answer_and_what_helped_before_are_told_before_how_to_answer() -> None:
    past = past_words(brand="Bolt", started_at=NOW - timedelta(days=30), cause="queue stood", helped="a restart")
    extra: dict[str, Any] = {"articles": ("When the app is down", "Refunds"), "past": past, "links": True}
    id8 = firing().id[:8]
    assert told(firing(), "en", **extra).body.endswith(
        'Start with the linked mention. What to answer: the article "When the app is down". A similar alert (Bolt, '
        '31 Jan 2026): the cause was "queue stood"; what helped: "a restart". Ack, snooze or silence: with one of the '
        f"links, or `listener alerts ack {id8}`."
    )
    assert told(firing(), "et", **extra).body.endswith(
        "Alusta lingitud mainimisest. Mida vastata: artikkel „When the app is down“. Sarnane häire (Bolt, 31. jaan "
        "2026): põhjus oli „queue stood“, aitas „a restart“. Kinnita, lükka edasi või vaigista: lingiga või "
        f"käsuga `listener alerts ack {id8}`."
    )


@pytest.mark.parametrize(
    ("cause", "helped", "english"),
    [
        ("", "", "There was a similar alert (Bolt, 2 Mar 2026)."),
        ("rain", "", 'A similar alert (Bolt, 2 Mar 2026): the cause was "rain".'),
        ("", "tea", 'A similar alert (Bolt, 2 Mar 2026): what helped: "tea".'),
    ],
)
def test_of_a_past_alert_is_told_what_is_known(cause: str, helped: str, english: str) -> None:
    assert past_words(brand="Bolt", started_at=NOW, cause=cause, helped=helped)["en"] == english


def test_an_end_by_hand_says_who_says_so_and_what_it_was() -> None:
    alert = ended(Resolution.MANUAL)
    extra: dict[str, Any] = {"reason": Reason.RESOLVED, "by": "Mari", "cause": "bad\nrelease", "helped": "rollback"}
    assert told(alert, "en", **extra) == Text(
        title="Closed by hand: Acme, Mari says that it is dealt with",
        body=(
            "Mari says that it is dealt with. The alert lasted 80 h 5 min. What was said until now counts no more; if "
            'it goes on, you will be told again. The cause: "bad release". What helped: "rollback".'
        ),
    )
    assert told(alert, "et", **extra) == Text(
        title="Käsitsi suletud: Acme, Mari ütleb, et asi on lahendatud",
        body=(
            "Mari ütleb, et asi on lahendatud. Häire kestis 80 t 5 min. Seni öeldut enam ei arvestata; kui kaebusi "
            "tuleb juurde, tuleb uus teade. Põhjus: „bad release“. Aitas: „rollback“."
        ),
    )


def back(**changes: Any) -> Alert:
    """An alert that came at 12:30, ended, and fires again at 13:40."""
    again = signal(**{"onset_at": NOW + timedelta(minutes=50), **changes})
    return alerting.alert(seq=3, reopened=1, updated_at=NOW + timedelta(minutes=70), signal=again)


def test_what_is_back_says_since_when_who_had_closed_it_and_what_was_said_then() -> None:
    extra: dict[str, Any] = {"reason": Reason.REOPENED, "by": "Mari", "cause": "bad release", "helped": "rollback"}
    assert (
        "It began anew at about 13:20 UTC, and the alert is back since 13:40 UTC; it first came at 12:30 UTC. Mari had "
        'closed it by hand. The cause was then: "bad release". What helped then: "rollback". The evidence'
    ) in told(back(), "en", **extra).body
    assert (
        "See algas uuesti umbes kell 13:20 UTC ja häire tuli tagasi kell 13:40 UTC; esimest korda tuli see kell 12:30 "
        "UTC. Mari oli selle käsitsi sulgenud. Põhjus oli siis: „bad release“. Siis aitas: „rollback“. Tõendite"
    ) in told(back(), "et", **extra).body


@pytest.mark.parametrize(
    ("reason", "changes", "english"),
    [
        (Reason.REOPENED, {}, "It began anew at about 13:20 UTC, and the alert is back since 13:40 UTC; it first came"),
        (Reason.WORSENED, {}, "It began anew at about 13:20 UTC; the alert first came at 12:30 UTC. The"),
        (Reason.REOPENED, {"onset_at": None}, "The alert is back since 13:40 UTC; it first came at 12:30 UTC. The"),
        (Reason.WORSENED, {"onset_at": None}, "The alert first came at 12:30 UTC, and has come back since. The"),
        (Reason.REOPENED, {"onset_at": NOW}, "The alert is back since 13:40 UTC; it first came at 12:30 UTC. The"),
        (Reason.REOPENED, {"channels": (Channel.MENTION,)}, "The alert is back since 13:40 UTC; it first came at"),
    ],
)
def test_what_is_back_does_not_contradict_itself(reason: Reason, changes: dict[str, Any], english: str) -> None:
    body = told(back(**changes), "en", reason=reason).body
    assert english in body
    assert "had closed" not in body


def test_the_end_of_a_drill_promises_nothing_and_asks_for_no_cause() -> None:
    by_hand = replace(ended(Resolution.MANUAL), rule="drill")
    extra: dict[str, Any] = {"reason": Reason.RESOLVED, "by": "Mari"}
    assert told(by_hand, "en", **extra).body == "Mari says that it is dealt with. The alert lasted 80 h 5 min."
    assert told(by_hand, "et", **extra).body == "Mari ütleb, et asi on lahendatud. Häire kestis 80 t 5 min."
    forgotten = replace(ended(Resolution.EXPIRED), rule="drill")
    assert told(forgotten, "en", reason=Reason.RESOLVED) == Text(
        title="Ended: Acme", body="Its time was over, and nobody had closed it. The alert lasted 80 h 5 min."
    )


def test_evidence_that_is_cut_off_says_that_it_is_more() -> None:
    most = f"1{SPACE}000{SPACE}000{SPACE}000"
    body = {
        language: words(firing(strength=strength(evidence=29.5)), Reason.FIRST, language)[1]
        for language in ("en", "et")
    }
    assert f"The evidence is more than {most} to 1; 2{SPACE}000 to 1 wakes somebody." in body["en"]
    assert f"Tõendite kaal on üle {most} ühe vastu; äratab alates 2{SPACE}000 ühe vastu." in body["et"]
    assert "more than" not in words(firing(strength=strength(evidence=20.0)), Reason.FIRST, "en")[1]


def test_an_end_by_hand_without_a_cause_asks_for_it() -> None:
    assert "what it was and what helped: say so" in words(ended(Resolution.MANUAL), Reason.RESOLVED, "en")[1]


@pytest.mark.parametrize(
    ("observed", "title"),
    [(0.29, "complaints are back near the usual"), (0.35, "it is calm again"), (None, "it is calm again")],
)
def test_a_recovery_is_near_the_usual_only_where_the_numbers_are(observed: float | None, title: str) -> None:
    assert words(ended(Resolution.RECOVERED, observed=observed), Reason.RESOLVED, "en")[0] == f"Resolved: Acme, {title}"


def test_one_is_not_told_as_many() -> None:
    one = firing(mentions=1, channels=(Channel.VOLUME,), strength=strength(volume_seen=1.0))
    assert "There is 1 mention of Acme in the last hour, 60% negative" in words(one, Reason.FIRST, "en")[1]
    assert "1 complaint came in 3 hours" in words(one, Reason.FIRST, "en")[1]
    assert "tuli 1 mainimine, negatiivseid on 60%" in words(one, Reason.FIRST, "et")[1]


def test_times_of_another_day_carry_it() -> None:
    alert = firing(onset_at=NOW - timedelta(hours=13))
    assert "It began at about 23:30 UTC on 1 Mar; the alert came at 12:30 UTC." in words(alert, Reason.FIRST, "en")[1]
    assert "See algas umbes kell 23:30 UTC (1. märts);" in words(alert, Reason.FIRST, "et")[1]


def test_of_a_proof_the_night_hears_where_who_and_how_rare() -> None:
    proven = {"en": ("Where.", "Who.", "Rare.", "Repeats."), "et": ("Kus.", "Kes.", "Harv.", "Kordused.")}
    assert "Where. Who. Rare. Start" in told(firing(), "en", proven=proven).body
    assert "Kus. Kes. Harv. Alusta" in told(firing(), "et", proven=proven).body
