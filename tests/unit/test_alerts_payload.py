"""What goes over the wire: valid against the shipped schemas, complete, and free of what nobody needs to see."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from listener.alerts import payload, schemas
from listener.alerts.payload import AlertPayload, HeartbeatPayload, as_json
from listener.alerts.topics import Topics, slug, subscriptions
from listener.domain import Alert, AlertState, Condition, Evidence, Reason, Severity, Signal
from tests import alerting

NOW = datetime(2026, 3, 2, 12, 30, 0, 123_456, tzinfo=UTC)
LINKS = [Evidence(id=f"m{number}", url=f"https://example.org/{number}", source="reviews") for number in range(7)]


def make_signal(**changes: Any) -> Signal:
    """A breach whose numbers do not come out even."""
    uneven = {"expected": 1 / 6, "high": 0.745, "perception": -47.99999999, "perception_before": 12.5}
    times = {"window_start_at": NOW - timedelta(hours=1), "window_end_at": NOW}
    return alerting.signal(**{**uneven, **times, **changes})


def make_alert(**changes: Any) -> Alert:
    """A critical alert that fires since a quarter of an hour."""
    began = {"started_at": NOW - timedelta(minutes=15), "updated_at": NOW, "evidence": ("m0", "m1")}
    return alerting.alert(**{**began, "signal": make_signal(), **changes})


def resolved() -> Alert:
    """The same alert at its end."""
    return make_alert(state=AlertState.RESOLVED, seq=2, ended_at=NOW)


def check(kind: str, values: dict[str, Any]) -> None:
    """Validate against the shipped schema, through JSON as it goes over the wire."""
    Draft202012Validator(schemas.load(kind), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(json.dumps(values, allow_nan=False))
    )


@pytest.mark.parametrize("kind", schemas.MODELS)
def test_the_shipped_schema_is_that_of_the_model(kind: str) -> None:
    """When this fails on purpose: python -m listener.alerts.schemas."""
    Draft202012Validator.check_schema(schemas.load(kind))
    assert schemas.load(kind) == schemas.generate(kind)


@pytest.mark.parametrize(
    ("alert", "reason"),
    [(make_alert(), Reason.FIRST), (make_alert(seq=2), Reason.WORSENED), (resolved(), Reason.RESOLVED)],
)
def test_an_alert_is_valid_and_complete(alert: Alert, reason: Reason) -> None:
    values = as_json(payload.alert_payload(alert, reason, title="Acme Ltd", evidence=LINKS, now=NOW))
    check("alert", values)
    assert values["schema"] == "listener/v1"
    assert (values["alert_id"], values["seq"], values["reason"]) == (alert.id, alert.seq, reason.value)
    assert (values["brand"], values["title"], values["rule"]) == ("acme", "Acme Ltd", "share")
    assert (values["observed"], values["expected"], values["perception"]) == (0.6, 0.1667, -48.0)
    assert values["started_at"] == "2026-03-02T12:15:00.123000Z"
    assert values["window"] == {"start_at": "2026-03-02T11:30:00.123000Z", "end_at": "2026-03-02T12:30:00.123000Z"}
    assert [link["id"] for link in values["evidence"]] == ["m0", "m1", "m2", "m3", "m4"]
    assert set(values["text"]) == {"en", "et"}


def test_what_was_written_can_be_read_back() -> None:
    written = payload.alert_payload(make_alert(), Reason.FIRST, title="Acme", evidence=LINKS, now=NOW)
    assert AlertPayload.model_validate_json(json.dumps(as_json(written))) == written


def test_a_reader_ignores_what_a_newer_writer_adds() -> None:
    values = as_json(payload.alert_payload(make_alert(), Reason.FIRST, title="Acme", evidence=(), now=NOW))
    assert AlertPayload.model_validate({**values, "escalation": 3}).alert_id == values["alert_id"]


def test_a_missing_field_is_not_valid() -> None:
    """The schema can fail."""
    values = as_json(payload.alert_payload(make_alert(), Reason.FIRST, title="Acme", evidence=(), now=NOW))
    del values["seq"]
    with pytest.raises(ValidationError, match="seq"):
        check("alert", values)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "", "https://e.org/" + "a" * 2000])
def test_a_link_that_nobody_should_click_is_left_out(url: str) -> None:
    evidence = [Evidence(id="m", url=url, source="reviews")]
    values = as_json(payload.alert_payload(make_alert(), Reason.FIRST, title="Acme", evidence=evidence, now=NOW))
    assert values["evidence"] == [{"id": "m", "url": "", "source": "reviews"}]


def test_times_of_other_zones_become_utc() -> None:
    tallinn = timezone(timedelta(hours=2))
    beat = HeartbeatPayload(instance="one", at=NOW.astimezone(tallinn))
    assert as_json(beat)["at"] == "2026-03-02T12:30:00.123000Z"
    check("heartbeat", as_json(beat))


def test_rounding_heals_what_adding_floats_leaves() -> None:
    signal = make_signal(perception=100.00000000000001, high=1.0000000000000002)
    check("state", as_json(payload.state_payload("acme", title="Acme", alerts=(), signal=signal, now=NOW)))


def test_the_state_is_that_of_the_loudest_firing_alert() -> None:
    warning = make_alert(rule="other", severity=Severity.WARNING)
    state = payload.state_payload("acme", title="Acme", alerts=[warning, make_alert()], signal=make_signal(), now=NOW)
    check("state", as_json(state))
    assert (state.state, state.alert_id, state.seq, state.rule) == ("critical", make_alert().id, 1, "share")
    assert state.since == make_alert().started_at.replace(microsecond=123_000)


def test_a_resolved_alert_leaves_an_ok_brand() -> None:
    state = payload.state_payload("acme", title="Acme", alerts=[resolved()], signal=make_signal(), now=NOW)
    check("state", as_json(state))
    assert (state.state, state.alert_id, state.since) == ("ok", None, None)


def test_a_silent_brand_is_ok_but_unknown() -> None:
    nothing = make_signal(
        condition=Condition.UNKNOWN,
        observed=None,
        low=None,
        high=None,
        perception=None,
        perception_before=None,
        mentions=0,
    )
    state = payload.state_payload("acme", title="Acme", alerts=(), signal=nothing, now=NOW)
    check("state", as_json(state))
    assert (state.state, state.condition, state.perception) == ("ok", Condition.UNKNOWN, None)


def test_a_state_is_news_when_numbers_or_alert_change_but_not_when_time_passes() -> None:
    signal = make_signal()
    later = replace(signal, window_start_at=NOW, window_end_at=NOW + timedelta(hours=1))
    before = payload.state_payload("acme", title="Acme", alerts=(), signal=signal, now=NOW)
    same = payload.state_payload("acme", title="Acme", alerts=(), signal=later, now=NOW + timedelta(hours=1))
    numbers = payload.state_payload("acme", title="Acme", alerts=(), signal=replace(signal, mentions=61), now=NOW)
    fired = payload.state_payload("acme", title="Acme", alerts=[make_alert()], signal=signal, now=NOW)
    assert payload.same_news(before, same)
    assert not payload.same_news(before, numbers)
    assert not payload.same_news(before, fired)


def test_birth_goodbye_and_will_are_valid() -> None:
    birth = payload.birth_payload("one", version="0.1", now=NOW)
    goodbye = payload.goodbye_payload("one", version="0.1", now=NOW)
    will = payload.will_payload("one", version="0.1")
    for status in (birth, goodbye, will):
        check("status", as_json(status))
    assert [(one.state, one.reason) for one in (birth, goodbye, will)] == [
        ("online", "started"),
        ("offline", "stopped"),
        ("offline", "lost"),
    ]


# ------------------------------------------------------------------------------------------------------------- texts


def words(alert: Alert, reason: Reason, language: str) -> tuple[str, str]:
    """Headline and sentences of an alert."""
    text = payload.alert_payload(alert, reason, title="Acme", evidence=(), now=NOW).text[language]
    return text.title, text.body


def test_the_words_in_english() -> None:
    assert words(make_alert(), Reason.FIRST, "en") == (
        "CRITICAL: Acme, far more complaints than usual",
        (
            "60% of the 60 mentions of Acme in the last hour are negative; 17% is usual. The alert began at 12:15 UTC. "
            "Allowing for chance, it is between 44% and 74%. Start with the linked mentions."
        ),
    )
    assert words(make_alert(seq=2), Reason.WORSENED, "en")[0] == "CRITICAL: Acme, it is getting worse"


def test_the_words_in_estonian() -> None:
    assert words(make_alert(), Reason.FIRST, "et") == (
        "KRIITILINE: Acme, kaebusi on tavalisest palju rohkem",
        (
            "Acme: viimase tunni jooksul on 60 mainimisest negatiivsed 60%, tavaliselt 17%. "
            "Häire algas kell 12:15 UTC. Juhuslikkust arvestades on see 44% ja 74% vahel. Alusta lingitud mainimistest."
        ),
    )


def test_the_words_at_the_end() -> None:
    calm = replace(resolved(), signal=make_signal(observed=0.15, window_start_at=NOW - timedelta(minutes=90)))
    assert words(calm, Reason.RESOLVED, "en") == (
        "Resolved: Acme, complaints are back near the usual",
        (
            "15% of the 60 mentions of Acme in the last 90 minutes are negative; 17% is usual. "
            "The alert lasted 15 min. There is nothing to do."
        ),
    )
    longer = replace(calm, started_at=NOW - timedelta(hours=26, minutes=5), signal=make_signal(observed=0.15))
    assert words(longer, Reason.RESOLVED, "et")[1].endswith("Häire kestis 26 t 5 min. Midagi ei ole vaja teha.")


def test_no_links_are_promised_when_there_are_none() -> None:
    assert "linked" not in words(make_alert(evidence=()), Reason.FIRST, "en")[1]
    assert "lingitud" not in words(make_alert(evidence=()), Reason.FIRST, "et")[1]


# ------------------------------------------------------------------------------------------------------------ topics


def test_the_layout_of_topics() -> None:
    topics = Topics(prefix="listener/v1", instance="one")
    assert topics.status == "listener/v1/one/status"
    assert topics.heartbeat == "listener/v1/one/heartbeat"
    assert topics.state("acme") == "listener/v1/brand/acme/state"
    assert topics.alert("acme", Severity.CRITICAL) == "listener/v1/brand/acme/alert/critical"
    assert subscriptions("listener/v1") == (
        "listener/v1/brand/+/alert/+",
        "listener/v1/brand/+/state",
        "listener/v1/+/status",
    )


@pytest.mark.parametrize(
    ("name", "begins"),
    [("elisa_eesti", "elisa_eesti"), ("Õhtuleht", "Ohtuleht-"), ("a/+/#", "a-"), ("../..", ""), ("Болт", ""), ("", "")],
)
def test_a_name_becomes_one_readable_level(name: str, begins: str) -> None:
    assert slug(name).startswith(begins)


@given(st.text(max_size=100))
def test_a_slug_is_safe_and_stable(name: str) -> None:
    level = slug(name)
    assert level == slug(name)
    assert 1 <= len(level) <= 80
    assert level.isascii()
    assert not set(level) & set("+#/$\0 .")


@given(st.lists(st.text(alphabet="aAõ /+#-._0f", max_size=12), max_size=30, unique=True))
def test_different_names_have_different_slugs(names: list[str]) -> None:
    assert len({slug(name) for name in names}) == len(names)


def test_a_name_that_looks_like_our_digest_cannot_take_anothers_topic() -> None:
    assert slug(slug("A/B")) != slug("A/B")
