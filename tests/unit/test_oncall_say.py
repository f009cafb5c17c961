"""The row of the outbox for a message: what the wire's models say, fixed, once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from listener.alerts.oncall.drill import drill
from listener.alerts.oncall.events import event_of
from listener.alerts.oncall.rounds import Message, Tell
from listener.alerts.oncall.say import Target, notification, target
from listener.alerts.wire import schemas
from listener.alerts.wire.findings import AnswerFindings
from listener.alerts.wire.payload import alert_payload, as_json
from listener.domain import (
    SEVERAL,
    Alert,
    AlertState,
    Brief,
    Bundle,
    BundleKind,
    Event,
    Hold,
    Member,
    Notification,
    Reason,
    Resolution,
    Response,
    Severity,
)
from tests.alerting import NOW, alert

LATER = NOW + timedelta(minutes=31)
ANSWER = AnswerFindings(seq=1, topic="listener/v1/brand/acme/alert/x/ack", links={"ack": "https://l.example/act/t"})


def happened(one: Alert, reason: Reason = Reason.FIRST) -> Event:
    payload = alert_payload(one, reason, title=one.brand.title(), evidence=(), now=NOW)
    return event_of(one, reason, payload=as_json(payload), now=NOW)


def tell(one: Alert | None = None, reason: Reason = Reason.FIRST, **changes: Any) -> Tell:
    one = one or alert()
    event = happened(one, Reason.RESOLVED if one.state is AlertState.RESOLVED else Reason.FIRST)
    before = Response(alert_id=one.id, brand=one.brand)
    values: dict[str, Any] = {"response": before, "before": before, "chain": (event,)}
    return Tell(event=event, reason=reason, targets=("inbox",), **{**values, **changes})


def over(brand: str = "acme") -> Alert:
    return replace(
        alert(brand=brand),
        state=AlertState.RESOLVED,
        seq=2,
        ended_at=LATER,
        updated_at=LATER,
        resolution=Resolution.RECOVERED,
    )


def bundle(kind: BundleKind, *tells: Tell, **changes: Any) -> Message:
    members = tuple(Member(alert_id=one.event.alert_id, seq=one.event.seq) for one in tells)
    made = Bundle(id="00000000-0000-4000-8000-000000000001", kind=kind, at=LATER, members=members)
    return Message(receiver="inbox", tells=tells, bundle=made, **changes)


def said(
    message: Message,
    *,
    answer: AnswerFindings | None = ANSWER,
    briefs: dict[str, Brief] | None = None,
    now: datetime = LATER,
) -> Notification:
    found = notification(message, answer=answer, briefs=briefs or {}, now=now)
    Draft202012Validator(schemas.load(found.payload["type"])).validate(dict(found.payload))
    return found


def brief(one: Alert) -> Brief:
    return Brief(
        alert_id=one.id,
        brand=one.brand,
        rule=one.rule,
        severity=one.severity,
        state=one.state,
        seq=one.seq,
        started_at=one.started_at,
        ended_at=one.ended_at,
        resolution=one.resolution,
    )


# ---------------------------------------------------------------------------------------------------------- one alert


def test_a_page_is_what_was_decided_with_the_way_to_answer() -> None:
    one = tell()
    found = said(Message(receiver="inbox", tells=(one,)))
    assert (found.alert_id, found.seq, found.repeat, found.receiver) == (one.event.alert_id, 1, 0, "inbox")
    assert (found.severity, found.brand, found.reason) == (Severity.CRITICAL, "acme", Reason.FIRST)
    assert found.payload == {**one.event.payload, "answer": ANSWER.model_dump(mode="json")}


def test_news_is_as_old_as_its_decision_and_what_waited_is_news_from_now_on() -> None:
    one = tell()
    waited = replace(one, chain=(replace(one.event, hold=Hold.SILENCE),))
    assert said(Message(receiver="inbox", tells=(one,))).decided_at == NOW
    assert said(Message(receiver="inbox", tells=(waited,))).decided_at == LATER


@pytest.mark.parametrize(("reason", "title"), [(Reason.REPEAT, "Reminder 2: "), (Reason.ESCALATED, "Unanswered: ")])
def test_a_reminder_is_a_message_of_its_own_with_the_words_of_one(reason: Reason, title: str) -> None:
    one = tell(reason=reason, minutes=31, escalate=True)
    one = replace(one, response=replace(one.response, messages=3, repeats=2), chain=())
    found = said(Message(receiver="inbox", tells=(one,)))
    first = said(Message(receiver="inbox", tells=(tell(),)))
    assert found.id != first.id
    assert (found.repeat, found.payload["repeat"], found.payload["escalate"]) == (3, 3, True)
    assert found.payload["reason"] == reason.value
    assert found.payload["text"]["en"]["title"] == title + one.event.payload["text"]["en"]["title"]
    assert "for 31 minutes" in found.payload["text"]["en"]["body"]
    assert found.decided_at == LATER
    assert "Reminder" not in str(one.event.payload)  # what was decided stays as it was


def test_the_first_reminder_after_the_steps_of_a_chain_is_the_first_reminder() -> None:
    one = tell(reason=Reason.REPEAT, minutes=60)
    one = replace(one, response=replace(one.response, messages=3, repeats=1), chain=())
    found = said(Message(receiver="inbox", tells=(one,)))
    assert found.repeat == found.payload["repeat"] == 3  # what tells messages apart
    assert found.payload["text"]["en"]["title"].startswith("Reminder 1: ")
    assert found.payload["text"]["et"]["title"].startswith("Meeldetuletus 1: ")


def test_a_reminder_after_an_answer_that_has_run_out_does_not_say_that_nobody_had_answered() -> None:
    one = tell(reason=Reason.REPEAT, minutes=60)
    one = replace(one, response=replace(one.response, messages=4, repeats=0), chain=())
    text = said(Message(receiver="inbox", tells=(one,))).payload["text"]
    assert text["en"]["title"].startswith("Reminder: CRITICAL")
    assert text["en"]["body"].startswith("Somebody was on it, and that has run out: it still fires. ")
    assert text["et"]["title"].startswith("Meeldetuletus: KRIITILINE")
    assert text["et"]["body"].startswith("Keegi tegeles sellega, aga tema vastuse aeg on läbi ja häire kestab. ")


def test_without_a_way_to_answer_there_is_no_answer() -> None:
    assert said(Message(receiver="inbox", tells=(tell(),)), answer=None).payload["answer"] is None


def test_the_number_of_messages_means_nothing_where_it_is_no_reminder() -> None:
    one = tell()
    assert (
        said(Message(receiver="inbox", tells=(replace(one, response=replace(one.response, messages=5)),))).repeat == 0
    )


# -------------------------------------------------------------------------------------------------------------- target


def test_an_answer_is_about_the_event_that_was_told() -> None:
    one = tell()
    expected = Target(id=one.event.alert_id, brand="acme", seq=1, receiver="inbox")
    assert target(Message(receiver="inbox", tells=(one,))) == expected
    ended = target(Message(receiver="inbox", tells=(tell(over(), Reason.RESOLVED),)))
    assert (ended.over, ended.seq) == (True, 2)


def test_an_answer_to_a_bundle_is_about_all_of_it_and_it_is_over_when_all_are() -> None:
    fires, ends = tell(alert(brand="bolt")), tell(over(), Reason.RESOLVED)
    mixed = bundle("storm", fires, ends)
    assert mixed.bundle is not None
    assert target(mixed) == Target(id=mixed.bundle.id, brand=SEVERAL, seq=1, receiver="inbox")
    assert target(bundle("storm", ends, ends)).over


# ------------------------------------------------------------------------------------------------------------- several


def test_a_storm_names_all_and_asks_for_an_answer() -> None:
    tells = [tell(alert(brand=brand)) for brand in ("acme", "bolt", "wolt")]
    found = said(bundle("storm", *tells, alone=5))
    assert (found.brand, found.seq, found.reason, found.severity) == (SEVERAL, 1, Reason.FIRST, Severity.CRITICAL)
    assert [one["brand"] for one in found.payload["alerts"]] == ["acme", "bolt", "wolt"]
    assert found.payload["answer"] == ANSWER.model_dump(mode="json")
    assert found.payload["bundle_id"] == found.alert_id
    assert found.alert_id[:8] in found.payload["text"]["en"]["body"]


@pytest.mark.parametrize("kind", ["held", "missed"])
def test_what_is_told_late_wakes_nobody_and_asks_for_nothing(kind: BundleKind) -> None:
    found = said(bundle(kind, tell(), holds=frozenset({Hold.QUIET_HOURS})))
    assert (found.reason, found.severity, found.payload["severity"]) == (Reason.DIGEST, Severity.INFO, "info")
    assert found.payload["answer"] is None
    assert found.alert_id[:8] not in found.payload["text"]["en"]["body"]


def test_a_bundle_says_how_its_alerts_are_now_not_how_they_were() -> None:
    worse = replace(alert(brand="bolt"), severity=Severity.CRITICAL, seq=2)
    was = tell(replace(alert(brand="bolt"), severity=Severity.WARNING))
    ended = over()
    found = said(bundle("missed", tell(), was), briefs={ended.id: brief(ended), worse.id: brief(worse)})
    first, second = found.payload["alerts"]
    assert (first["state"], first["resolution"], first["ended_at"] is not None) == ("resolved", "recovered", True)
    assert (second["state"], second["severity"]) == ("firing", "critical")


def test_a_bundle_of_ends_is_an_end_and_as_loud_as_what_ended() -> None:
    ends = [tell(over(brand), Reason.RESOLVED) for brand in ("acme", "bolt")]
    found = said(bundle("storm", *ends))
    assert found.reason is Reason.RESOLVED
    assert not found.opening


def test_a_bundle_of_reminders_says_so_and_which_one_it_is() -> None:
    tells = []
    for number, brand in enumerate(("acme", "bolt"), 1):
        one = tell(alert(brand=brand), Reason.REPEAT, minutes=30 * number, escalate=number == 2)
        tells.append(replace(one, response=replace(one.response, messages=number + 3, repeats=number), chain=()))
    found = said(bundle("storm", *tells))
    assert found.reason is Reason.REPEAT
    assert found.payload["escalate"] is True
    assert found.payload["text"]["en"]["title"].startswith("Reminder 2: ")
    assert "for 60 minutes" in found.payload["text"]["en"]["body"]
    assert found.payload["repeat"] == 0  # each has an id of its own


def test_a_bundle_of_steps_of_a_chain_counts_no_reminders() -> None:
    tells = [tell(alert(brand=brand), Reason.ESCALATED, minutes=10, chain=()) for brand in ("acme", "bolt")]
    found = said(bundle("storm", *tells))
    assert found.reason is Reason.REPEAT
    assert found.payload["text"]["en"]["title"].startswith("Unanswered: CRITICAL: 2 more")


def drilled(brand: str = "acme", **changes: Any) -> Tell:
    """A drill, as it is decided."""
    alert, event = drill(brand, title=brand.title(), severity=Severity.WARNING, by="mari", now=NOW)
    before = Response(alert_id=alert.id, brand=brand)
    values: dict[str, Any] = {"reason": Reason.FIRST, "response": before, "before": before, "chain": (event,)}
    return Tell(event=event, targets=("inbox",), **{**values, **changes})


@pytest.mark.parametrize("kind", ["storm", "held", "missed"])
def test_a_bundle_of_drills_says_so_to_people_and_to_machines(kind: BundleKind) -> None:
    found = said(bundle(kind, drilled(), drilled("bolt")))
    assert found.payload["drill"] is True
    assert [one["drill"] for one in found.payload["alerts"]] == [True, True]
    for language, word, sentence in (
        ("en", "DRILL: ", "This is a drill: nothing has happened. "),
        ("et", "ÕPPUS: ", "See on õppus: midagi ei ole juhtunud. "),
    ):
        text = found.payload["text"][language]
        assert text["title"].startswith(word)
        assert text["body"].startswith(sentence)


def test_a_held_drill_that_is_told_later_is_marked_as_well() -> None:
    one = drilled()
    waited = replace(one, reason=Reason.DIGEST, chain=(replace(one.event, hold=Hold.MAINTENANCE),))
    found = said(bundle("held", waited, holds=frozenset({Hold.MAINTENANCE})))
    assert found.payload["drill"] is True
    assert found.payload["text"]["et"]["title"] == "ÕPPUS: Hoiatus: Hiljem teatatud: 1 häire, see kestab"


def test_a_bundle_of_reminders_of_drills_says_both() -> None:
    tells = [drilled(brand, reason=Reason.REPEAT, minutes=30, chain=()) for brand in ("acme", "bolt")]
    tells = [replace(one, response=replace(one.response, messages=1, repeats=1)) for one in tells]
    title = said(bundle("storm", *tells)).payload["text"]["en"]["title"]
    assert title.startswith("Reminder 1: DRILL: Warning: 2 more brands have alerts at once")


def test_drills_among_what_was_missed_are_named_as_that() -> None:
    found = said(bundle("missed", tell(alert(brand="bolt")), drilled()))
    assert found.payload["drill"] is False
    assert [one["drill"] for one in found.payload["alerts"]] == [False, True]
    text = found.payload["text"]["en"]
    assert text["title"] == "CRITICAL: Missed: 1 alert, it still fires"
    assert "One alert fires. Critical: Bolt (60% negative" in text["body"]
    assert "A drill was among it, nothing has happened: Acme." in text["body"]


def test_a_digest_says_who_is_on_what_was_held_back() -> None:
    one, other = tell(), tell(alert(brand="bolt"))
    acked = replace(one.response, acked_at=NOW, acked_by="mari", assignee="jaan")
    found = said(bundle("held", replace(one, response=acked, reason=Reason.DIGEST), other))
    assert [(two["acked_by"], two["assignee"]) for two in found.payload["alerts"]] == [("mari", "jaan"), (None, None)]
    assert "Somebody is on it already: Acme (jaan)." in found.payload["text"]["en"]["body"]
    assert "Keegi juba tegeleb: Acme (jaan)." in found.payload["text"]["et"]["body"]
    ended = said(bundle("held", replace(one, response=acked, reason=Reason.DIGEST)), briefs={over().id: brief(over())})
    assert ended.payload["alerts"][0]["acked_by"] is None


def test_reminders_beside_news_are_news() -> None:
    old = tell(alert(brand="bolt"), Reason.REPEAT, minutes=30, chain=())
    found = said(bundle("storm", tell(), old))
    assert found.reason is Reason.FIRST
    assert not found.payload["text"]["en"]["title"].startswith("Reminder")
