"""How an alert looks on a terminal, and that nothing from outside can drive the terminal."""

import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from rich.console import Console

from listener.alerts import console
from listener.alerts.mqtt.watch import MESSAGE_BYTES_MAX, REMEMBERED_MAX, Connection, Event, Repeats, read
from listener.alerts.oncall.drill import drill
from listener.alerts.wire import payload
from listener.alerts.wire.findings import AnswerFindings, Words
from listener.alerts.wire.payload import AlertPayload, as_json
from listener.domain import AlertState, Condition, Evidence, Reason, Severity, Signal
from tests import alerting
from tests.alerting import NOW
from tests.mqtt_messages import (
    ARTICLE,
    BUNDLE_ID,
    PAST,
    action_payload,
    alert_payload,
    bundle_payload,
    every_payload,
    state_payload,
    test_payload,
    watchdog_payload,
)


def alert(reason: Reason = Reason.FIRST, *, title: str = "Acme", url: str = "https://example.org/1") -> AlertPayload:
    """A critical alert as it arrives."""
    over = reason is Reason.RESOLVED
    began = {"started_at": NOW - timedelta(minutes=80), "evidence": ("m1",)}
    ended = {"state": AlertState.RESOLVED, "ended_at": NOW} if over else {}
    domain = alerting.alert(**began, **ended)
    evidence = [Evidence(id="m1", url=url, source="reviews")]
    return payload.alert_payload(domain, reason, title=title, evidence=evidence, now=NOW)


def shown(event: Event, *, terminal: bool) -> str:
    """What a console prints, with colours as escapes when it is a terminal."""
    out = io.StringIO()
    console.show(
        Console(file=out, force_terminal=terminal, color_system="standard" if terminal else None, width=100),
        event,
        now=NOW,
    )
    return out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    text = shown(alert(), terminal=False)
    lines = text.splitlines()
    assert lines[0] == "CRITICAL Acme (new)"
    assert lines[1].startswith("  60% of the 60 mentions of Acme in the last hour tell of a negative experience; 20%")
    assert lines[2] == "  Negative    60%, usually 20%"
    assert lines[3] == "  Perception  +12 → -48, of -100 to +100"
    assert lines[4].endswith(", 1 h 20 min ago")
    assert lines[5] == "  1. https://example.org/1"
    assert lines[6].startswith("  More: listener explain ")
    assert "\x1b" not in text


def test_a_terminal_gets_a_card() -> None:
    text = shown(alert(), terminal=True)
    assert "\x1b[1;37;41m CRITICAL \x1b[0m" in text
    assert "Acme" in text
    assert "https://example.org/1" in text
    assert "━━━━" in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("reason", [Reason.FIRST, Reason.WORSENED, Reason.REOPENED, Reason.RESOLVED])
def test_every_reason_can_be_shown(reason: Reason, terminal: bool) -> None:
    assert console.REASONS[reason] in shown(alert(reason), terminal=terminal)


def test_the_bar_marks_the_usual_share() -> None:
    picture = console.bar(alert()).plain
    assert picture[:40] == "━" * 8 + "┃" + "━" * 15 + "─" * 16
    assert picture[40:] == "  60%, usually 20%"


def test_the_end_is_shown_as_an_end() -> None:
    text = shown(alert(Reason.RESOLVED), terminal=False)
    assert text.startswith("RESOLVED Acme (over)")
    assert "after 1 h 20 min" in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("make", [alert_payload, bundle_payload, action_payload])
def test_nothing_that_others_noted_drives_the_terminal(make: Callable[..., Event], terminal: bool) -> None:
    wild = "x\x1b[2J\u202e\a"
    changes: dict[Callable[..., Event], dict[str, object]] = {
        alert_payload: {
            "articles": (ARTICLE.model_copy(update={"title": wild, "url": wild}),),
            "past": (PAST.model_copy(update={"cause": wild, "helped": wild}),),
            "answer": AnswerFindings(seq=1, links={wild: wild}),
        },
        bundle_payload: {"text": {"en": Words(title=wild, body=wild)}, "answer": AnswerFindings(seq=1, topic=wild)},
        action_payload: {"by": wild, "explanation": wild, "target": wild},
    }
    text = shown(make(**changes[make]), terminal=terminal)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "\a" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_from_outside_drives_the_terminal(terminal: bool) -> None:
    """Escapes, the reading direction and rich's own markup in a name or a link stay harmless."""
    wild = alert(title="A\x1b[2Jc\u202eme\a [red]x[/red]", url="https://example.org/\x1b]8;;evil\x07\n1")
    text = shown(wild, terminal=terminal)
    assert "\x1b[2J" not in text
    assert "\x1b]8" not in text
    assert "\u202e" not in text
    assert "\a" not in text
    assert "[red]x[/red]" in text


def test_states_daemons_and_the_connection_take_one_line() -> None:
    signal = Signal(
        brand="acme",
        rule="deterioration",
        condition=Condition.UNKNOWN,
        severity=None,
        reason="nothing",
        observed=None,
        expected=0.2,
        window_start_at=NOW - timedelta(hours=1),
        window_end_at=NOW,
    )
    state = payload.state_payload("acme", title="Acme", alerts=(), signal=signal, now=NOW)
    birth = payload.birth_payload("one", version="0.1", now=NOW)
    events: list[Event] = [state, birth, Connection(problem=None), Connection(problem="refused")]
    assert [shown(event, terminal=False)[10:] for event in events] == [
        "Acme is ok: perception ?, ? of 0 mentions negative\n",
        "listener one is online (started)\n",
        "connected to the broker\n",
        "no connection to the broker: refused\n",
    ]


@pytest.mark.parametrize("kind", ["alert", "bundle", "state", "status", "digest", "watchdog", "test", "action"])
def test_what_we_write_is_read(kind: str) -> None:
    content = every_payload()[kind]
    assert read(json.dumps(as_json(content)).encode()) == content


@pytest.mark.parametrize("terminal", [True, False])
def test_what_to_do_is_on_the_card(terminal: bool) -> None:
    text = shown(alert_payload(), terminal=terminal)
    for expected in (
        "What to answer",
        "A delivery is late: https://help.example.org/late (87% alike)",
        "It was like this",
        "The courier's app was down; A notice on the front page",
        "ack: https://listener.example.org/act/eyJ0",
    ):
        assert expected in text


def test_without_links_the_topic_for_commands_is_shown() -> None:
    answer = AnswerFindings(seq=4, topic="listener/v1/brand/acme/alert/x/ack")
    text = shown(alert_payload(answer=answer, articles=(), past=()), terminal=False)
    assert "Answer: listener/v1/brand/acme/alert/x/ack (seq 4)" in text
    assert "What to answer" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_drill_is_marked_clearly(terminal: bool) -> None:
    assert "DRILL: nothing has happened" in shown(alert_payload(drill=True), terminal=terminal)
    assert "DRILL" not in shown(alert_payload(), terminal=terminal)


def test_a_reminder_is_one() -> None:
    """The words count them; ``repeat`` counts the steps of the chain, too."""
    text = shown(alert_payload(reason=Reason.REPEAT, repeat=3), terminal=False)
    assert "(reminder)" in text.splitlines()[0]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("make", [alert_payload, bundle_payload])
def test_that_nobody_answers_is_said_first(make: Callable[..., Event], terminal: bool) -> None:
    assert console.ESCALATE in shown(make(escalate=True), terminal=terminal)
    assert console.ESCALATE not in shown(make(), terminal=terminal)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("kind", list(console.BUNDLES))
def test_a_bundle_names_all_of_its_alerts(kind: str, terminal: bool) -> None:
    text = shown(bundle_payload(kind=kind, repeat=2), terminal=terminal)
    assert f"2 alerts at once ({console.BUNDLES[kind]}, reminder)" in text
    assert "Acme" in text
    assert "Bolt" in text
    assert f"listener/v1/one/alert/{BUNDLE_ID[:8]}" in text


def test_what_is_no_alert_takes_one_line() -> None:
    events: list[Event] = [
        watchdog_payload(),
        test_payload(),
        action_payload(),
        state_payload(acked_by="mari", escalate=True),
    ]
    lines = [shown(event, terminal=False)[10:] for event in events]
    assert lines[0].startswith("listener one watches: the rules looked at ")
    assert lines[1:] == [
        "a test of mqtt by listener one: it arrives\n",
        f"mari (mqtt): ack of {alert_payload().alert_id[:8]}, done: mari has seen it; repeats and escalation stop\n",
        (
            "Acme is critical: perception -48, 60% of 60 mentions negative; mari is on it; "
            "Nobody has answered, and nobody is asked again: take it further.\n"
        ),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"type":"alert"}',
        b'{"type":"other","schema":"listener/v1"}',
        b'{"schema":"listener/v2","type":"heartbeat","instance":"one","at":"2026-03-02T12:30:00Z"}',
        b"[" * 100_000,
        b" " * (MESSAGE_BYTES_MAX + 1),
    ],
)
def test_what_others_write_is_passed_over(body: bytes) -> None:
    assert read(body) is None


def test_a_bundle_is_told_once_and_again_as_a_reminder() -> None:
    repeats = Repeats()
    assert repeats.is_new(bundle_payload())
    assert not repeats.is_new(bundle_payload())
    assert repeats.is_new(bundle_payload(repeat=1))
    assert [repeats.is_new(test_payload()) for _ in range(2)] == [True, True]


def test_a_repeat_is_told_once() -> None:
    repeats = Repeats()
    assert repeats.is_new(alert())
    assert not repeats.is_new(alert())
    assert repeats.is_new(alert().model_copy(update={"seq": 2}))
    assert repeats.is_new(alert().model_copy(update={"seq": 2, "repeat": 1}))
    assert not repeats.is_new(alert().model_copy(update={"seq": 2, "repeat": 1}))


def test_memory_for_repeats_is_bounded() -> None:
    repeats = Repeats()
    for seq in range(1, REMEMBERED_MAX + 2):
        assert repeats.is_new(alert_with(seq))
    assert len(repeats._seen) == REMEMBERED_MAX
    assert not repeats.is_new(alert_with(2))


BASE = alert()


def alert_with(seq: int) -> AlertPayload:
    """The same alert with another number."""
    return BASE.model_copy(update={"seq": seq})


# ---------------------------------------------------------------------------------------------- what is not known


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_drill_cannot_know_is_left_out(terminal: bool) -> None:
    _, event = drill("acme", title="Acme", severity=Severity.CRITICAL, by="mari", now=NOW)
    text = shown(AlertPayload.model_validate(event.payload), terminal=terminal)
    assert "?" not in text
    assert "Negative" not in text
    assert "Perception" not in text
    assert "listener alerts show" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_an_end_without_numbers_shows_none(terminal: bool) -> None:
    nothing = {"observed": None, "expected": None, "perception": None, "perception_before": None}
    text = shown(alert(Reason.RESOLVED).model_copy(update=nothing), terminal=terminal)
    assert "?" not in text
    assert "Negative" not in text


def test_a_share_without_a_usual_one_stands_alone() -> None:
    text = shown(alert().model_copy(update={"expected": None}), terminal=False)
    assert "  Negative    60%\n" in text


def test_a_bundle_leaves_out_shares_that_are_not_known() -> None:
    bundle = bundle_payload()
    unknown = [one.model_copy(update={"observed": None, "expected": None}) for one in bundle.alerts]
    assert "?" not in shown(bundle.model_copy(update={"alerts": tuple(unknown)}), terminal=False)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bundle_names_its_alerts_by_the_ids_that_commands_take(terminal: bool) -> None:
    bundle = bundle_payload()
    text = shown(bundle, terminal=terminal)
    assert bundle.alerts
    assert all(one.alert_id[:8] in text for one in bundle.alerts)


def test_one_mention_is_not_several() -> None:
    assert "100% of 1 mention negative" in shown(state_payload(observed=1.0, mentions=1), terminal=False)
