"""What goes over the wire: valid against the shipped schemas, complete, and free of what nobody needs to see."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from listener.alerts.mqtt.topics import Topics, slug, subscriptions
from listener.alerts.wire import payload, schemas
from listener.alerts.wire.payload import AlertPayload, HeartbeatPayload, as_json
from listener.domain import (
    Alert,
    AlertState,
    Channel,
    Condition,
    Evidence,
    Frozen,
    Reason,
    Resolution,
    Severity,
    Signal,
)
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
    return make_alert(state=AlertState.RESOLVED, seq=2, ended_at=NOW, resolution=Resolution.RECOVERED)


def check(kind: str, values: dict[str, Any]) -> None:
    """Validate against the shipped schema, through JSON as it goes over the wire."""
    Draft202012Validator(schemas.load(kind), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(json.dumps(values, allow_nan=False))
    )


@pytest.mark.parametrize("kind", schemas.MODELS)
def test_the_shipped_schema_is_that_of_the_model(kind: str) -> None:
    """When this fails on purpose: python -m listener.alerts.wire.schemas."""
    Draft202012Validator.check_schema(schemas.load(kind))
    assert schemas.load(kind) == schemas.generate(kind)


CHANNELS = [(one,) for one in Channel] + [(Channel.EVIDENCE, Channel.VOLUME)]
BEGINNINGS = [Reason.FIRST, Reason.WORSENED, Reason.REOPENED]


def of(channels: tuple[Channel, ...]) -> Signal:
    """A breach of the rule that has these channels."""
    if channels == (Channel.SOURCES,):
        none = {"observed": None, "expected": None, "low": None, "high": None, "mentions": 0, "negative": 0}
        heard = {"perception": None, "perception_before": None, "strength": None, "spoke_at": None}
        return make_signal(rule="blind", channels=channels, sources=("forum", "reviews"), **none, **heard)
    if channels == (Channel.MENTION,):
        one = {"expected": None, "low": None, "high": None, "mentions": 1, "negative": 1, "strength": None}
        return make_signal(rule="high_risk", channels=channels, mention="m0", reach=1_500_000, **one)
    return make_signal(channels=channels)


@pytest.mark.parametrize("proof", [None, alerting.proof_document()], ids=["without proof", "with proof"])
@pytest.mark.parametrize("reason", BEGINNINGS)
@pytest.mark.parametrize("channels", CHANNELS, ids="+".join)
@pytest.mark.parametrize("severity", Severity)
def test_every_beginning_of_every_channel_is_valid(
    channels: tuple[Channel, ...], reason: Reason, severity: Severity, proof: Frozen | None
) -> None:
    alert = make_alert(signal=of(channels), severity=severity, proof=proof)
    values = as_json(payload.alert_payload(alert, reason, title="Acme Ltd", evidence=LINKS, now=NOW))
    check("alert", values)
    assert values["channels"] == [one.value for one in channels]
    assert (values["proof"] is not None) is (values["market"] is not None) is (proof is not None)
    assert all(words["title"] and words["body"] for words in values["text"].values())


@pytest.mark.parametrize("proof", [None, alerting.proof_document(market=None)], ids=["without proof", "with proof"])
@pytest.mark.parametrize("resolution", Resolution)
@pytest.mark.parametrize("channels", CHANNELS, ids="+".join)
def test_every_end_of_every_channel_is_valid(
    channels: tuple[Channel, ...], resolution: Resolution, proof: Frozen | None
) -> None:
    calm = replace(of(channels), condition=Condition.CALM, severity=None, channels=(), onset_at=None)
    alert = replace(resolved(), signal=calm, resolution=resolution, proof=proof)
    values = as_json(payload.alert_payload(alert, Reason.RESOLVED, title="Acme Ltd", evidence=(), now=NOW))
    check("alert", values)
    assert (values["state"], values["resolution"]) == ("resolved", resolution.value)
    assert all(words["title"] and words["body"] for words in values["text"].values())


def test_an_alert_is_complete() -> None:
    alert = make_alert(seq=3, reopened=1)
    values = as_json(payload.alert_payload(alert, Reason.REOPENED, title="Acme Ltd", evidence=LINKS, now=NOW))
    assert values["schema"] == "listener/v1"
    assert (values["alert_id"], values["seq"], values["reason"], values["reopened"]) == (alert.id, 3, "reopened", 1)
    assert (values["brand"], values["title"], values["rule"]) == ("acme", "Acme Ltd", "deterioration")
    assert (values["observed"], values["expected"], values["perception"]) == (0.6, 0.1667, -48.0)
    assert (values["mentions"], values["negative"], values["resolution"]) == (60, 36, None)
    assert values["started_at"] == "2026-03-02T12:15:00.123000Z"
    assert values["onset"] == "2026-03-02T11:40:00Z"
    assert values["window"] == {"start_at": "2026-03-02T11:30:00.123000Z", "end_at": "2026-03-02T12:30:00.123000Z"}
    assert [link["id"] for link in values["evidence"]] == ["m0", "m1", "m2", "m3", "m4"]
    assert set(values["text"]) == {"en", "et"}


def test_an_alert_says_how_sure_it_is_and_how_bad_it_is() -> None:
    told = as_json(payload.alert_payload(make_alert(), Reason.FIRST, title="Acme", evidence=(), now=NOW))
    strength = told["strength"]
    assert (strength["evidence"], strength["evidence_limit"], strength["budget"]) == (9.903488, 7.600902, 0.3)
    assert (strength["burn_hour"], strength["burn_day"], strength["burn_recent"]) == (2.0, 1.2, 2.1)
    assert (strength["budget_gone_hours"], strength["design_effect"]) == (30.25, 1.2)
    assert (strength["volume_score"], strength["volume_seen"], strength["volume_usual"]) == (3.5, 36.0, 12.5)
    assert [(one["per"], one["points"], one["implied"]) for one in strength["rates"]] == [
        ("hour", -60.0, True),
        ("day", -12.0, True),
    ]


def test_a_proof_is_told_with_sums_that_come_out() -> None:
    alert = make_alert(proof=alerting.proof_document())
    told = as_json(payload.alert_payload(alert, Reason.FIRST, title="Acme", evidence=(), now=NOW))
    proof = told["proof"]
    assert (proof["voices"], proof["repeats"], proof["authors"], proof["broad"]) == (30, 0, 30, True)
    assert len(proof["replay_key"]) == 16
    for name in ("source", "topic"):
        change = proof[name]
        assert change["change"] == pytest.approx(change["mix"] + change["within"], abs=1e-5)
        parts = [(part["mix"], part["within"]) for part in change["parts"]]
        assert sum(mix for mix, _ in parts) == pytest.approx(change["mix"], abs=1e-5)
        assert sum(within for _, within in parts) == pytest.approx(change["within"], abs=1e-5)
        assert change["after"] - change["before"] == pytest.approx(change["change"], abs=1e-5)
    assert proof["language"]["change"] is None
    assert [one["share"] for one in proof["top"]] == sorted((one["share"] for one in proof["top"]), reverse=True)
    assert told["market"]["verdict"] == "own"
    assert told["market"]["still"] == ["wolt"]


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
    assert (state.state, state.alert_id, state.seq, state.rule) == ("critical", make_alert().id, 1, "deterioration")
    assert state.since == make_alert().started_at.replace(microsecond=123_000)


def test_a_brand_that_only_cannot_be_heard_is_blind_and_not_in_trouble() -> None:
    deaf = make_alert(rule="blind", severity=Severity.WARNING, signal=of((Channel.SOURCES,)))
    unheard = make_signal(condition=Condition.BLIND, severity=None, channels=())
    blind = payload.state_payload("acme", title="Acme", alerts=[deaf], signal=unheard, blind=True, now=NOW)
    both = payload.state_payload("acme", title="Acme", alerts=[deaf, make_alert()], signal=unheard, blind=True, now=NOW)
    for state in (blind, both):
        check("state", as_json(state))
    assert (blind.state, blind.alert_id, blind.condition) == ("blind", None, Condition.BLIND)
    assert (both.state, both.rule) == ("critical", "deterioration")


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


# ------------------------------------------------------------------------------------------------------------ topics


def test_the_layout_of_topics() -> None:
    topics = Topics(prefix="listener/v1", instance="one")
    assert topics.status == "listener/v1/one/status"
    assert topics.heartbeat == "listener/v1/one/heartbeat"
    assert topics.state("acme") == "listener/v1/brand/acme/state"
    assert topics.alert("acme", Severity.CRITICAL) == "listener/v1/brand/acme/alert/critical"
    assert topics.digest == "listener/v1/one/digest"
    assert subscriptions("listener/v1") == (
        "listener/v1/brand/+/alert/+",
        "listener/v1/brand/+/state",
        "listener/v1/+/status",
        "listener/v1/+/digest",
        "listener/v1/+/watchdog",
        "listener/v1/+/test",
        "listener/v1/+/actions",
        "listener/v1/+/alert/+",
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
