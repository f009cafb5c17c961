"""To answer, to silence and to drill from a terminal, with a stand-in for the daemon's stage."""

import asyncio
import getpass
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from listener.alerts.oncall.drill import drill
from listener.alerts.wire.payload import AlertPayload
from listener.cli import answers, silences, simulate
from listener.domain import (
    Act,
    Action,
    Alert,
    AlertState,
    Bundle,
    Member,
    Notification,
    Outcome,
    Reason,
    Response,
    Severity,
    Silence,
    Via,
)
from listener.store import Database, actions, alerts, events, outbox, responses
from listener.store import silences as store
from tests.alerting import NOW, alert
from tests.integration.test_cli import Listener, listener

__all__ = ["listener"]  # a fixture
COMMANDS = (answers, silences, simulate)  # each adds its commands to the application
ALERT = alert(seq=3)
T = TypeVar("T")


@pytest.fixture
def config(tmp_path: Path, sqlite_template: bytes) -> Path:
    """A configuration over a migrated database with one alert that fires."""
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    path = tmp_path / "listener.toml"
    path.write_text(
        """
[database]
url = "sqlite:///listener.db"

[brands.acme]
names = ["Acme [bold]"]

[sources.reviews]
type = "feed"
url = "https://reviews.example/feed"

[people.mari]
title = "Mari"

[people.jaan]
title = "Jaan"
"""
    )
    with_database(tmp_path, lambda database: kept(database, ALERT))
    return path


async def kept(database: Database, *found: Alert) -> None:
    async with database.writing() as connection:
        for one in found:
            await alerts.write(connection, database.dialect, one)


def with_database(folder: Path, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Do something with the database, as another process would."""

    async def run() -> T:
        database = Database(f"sqlite:///{folder / 'listener.db'}")
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


@contextmanager
def daemon(folder: Path, handle: Callable[[Database], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Another thread that handles things as they come until the block ends."""
    stop = threading.Event()

    async def work(database: Database) -> None:
        while not stop.wait(0.02):
            await handle(database)

    thread = threading.Thread(target=with_database, args=(folder, work))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def handling(outcome: Outcome, explanation: str) -> Callable[[Database], Coroutine[Any, Any, None]]:
    async def handle(database: Database) -> None:
        for action in await actions.waiting(database, limit=10):
            async with database.writing() as connection:
                await actions.handled(connection, action.id, outcome=outcome, explanation=explanation, now=NOW)

    return handle


def asked(folder: Path) -> list[Action]:
    return with_database(folder, lambda database: actions.waiting(database, limit=10))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["ack"], {"act": Act.ACK}),
        (["assign", "jaan"], {"act": Act.ASSIGN, "assignee": "jaan"}),
        (["snooze"], {"act": Act.SNOOZE, "minutes": 60.0}),
        (["snooze", "--minutes", "15"], {"act": Act.SNOOZE, "minutes": 15.0}),
        (["silence", "--comment", "release"], {"act": Act.SILENCE, "minutes": 120.0, "comment": "release"}),
        (["resolve"], {"act": Act.RESOLVE}),
        (
            ["resolve", "--cause", " a release ", "--helped", "back to the old one"],
            {"act": Act.RESOLVE, "comment": "a release", "helped": "back to the old one"},
        ),
        (["note", "--helped", "tea"], {"act": Act.NOTE, "helped": "tea"}),
    ],
)
def test_an_answer_waits_for_the_daemon_with_the_event_that_was_seen(
    listener: Listener, config: Path, tmp_path: Path, command: list[str], expected: dict[str, object]
) -> None:
    name, *rest = command
    done = listener("alerts", name, ALERT.id[:6], *rest, "-c", config, "--wait-secs", "0")
    assert (done.code, "queued: the daemon is not running" in done.err) == (0, True)
    (action,) = asked(tmp_path)
    assert (action.target, action.seq, action.via, action.by) == (ALERT.id, 3, Via.CLI, getpass.getuser())
    for field in ("act", "minutes", "assignee", "comment", "helped"):
        assert getattr(action, field) == expected.get(field), field


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.DONE, 0), (Outcome.NOOP, 0), (Outcome.REFUSED, 1)])
def test_what_became_of_an_answer_is_said(
    listener: Listener, config: Path, tmp_path: Path, outcome: Outcome, code: int
) -> None:
    with daemon(tmp_path, handling(outcome, "so [b]it[/b] is")):
        said = listener("alerts", "ack", ALERT.id, "--by", "mari", "-c", config, "--wait-secs", "20")
        document = listener("alerts", "ack", ALERT.id, "-c", config, "--wait-secs", "20", "--json")
    assert (said.code, document.code) == (code, code)
    assert f"{outcome.value}: so [b]it[/b] is" in said.out + said.err
    assert document.lines[0]["outcome"] == outcome.value


def test_an_answer_that_makes_no_sense_is_not_kept(listener: Listener, config: Path, tmp_path: Path) -> None:
    other = replace(ALERT, brand="other")
    with_database(tmp_path, lambda database: kept(database, other))
    unknown = listener("alerts", "ack", "ffffffffff", "-c", config)
    assert (unknown.code, "no alert has this id" in unknown.err) == (2, True)
    ambiguous = listener("alerts", "ack", "", "-c", config)
    assert ambiguous.code == 2
    assert ALERT.id in ambiguous.err
    assert other.id in ambiguous.err
    nobody = listener("alerts", "assign", ALERT.id, "nobody", "-c", config)
    assert (nobody.code, "there are: mari, jaan" in nobody.err) == (2, True)
    assert listener("alerts", "note", ALERT.id, "-c", config).code == 2
    assert listener("alerts", "snooze", ALERT.id, "--minutes", "0", "-c", config).code == 2
    assert asked(tmp_path) == []


def test_to_resolve_at_a_terminal_asks_for_what_was_not_said(
    listener: Listener, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = iter(["the weather", ""])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_args, **_options: next(replies))
    assert listener("alerts", "resolve", ALERT.id, "-c", config, "--wait-secs", "0").code == 0
    (action,) = asked(tmp_path)
    assert (action.comment, action.helped) == ("the weather", None)


def test_an_alert_is_shown_with_who_did_what_and_what_was_sent(
    listener: Listener, config: Path, tmp_path: Path
) -> None:
    told = notification(ALERT)

    async def history(database: Database) -> None:
        async with database.writing() as connection:
            response = Response(alert_id=ALERT.id, brand="acme", receivers=("mqtt",), assignee="jaan", cause="[bug]")
            await responses.write(connection, database.dialect, [response])
            await outbox.enqueue(connection, database.dialect, [told])
        await outbox.dead(database, told, now=NOW, error="refused [401]")
        await actions.put(database, action(comment="[red]seen"))

    with_database(tmp_path, history)
    shown = listener("alerts", "show", ALERT.id[:6], "-c", config)
    assert shown.code == 0
    flat = " ".join(shown.out.split())
    for said in ("event 3", "jaan", "cause [bug]", "mari", "waiting", "dead"):
        assert said in flat
    (document,) = listener("alerts", "show", ALERT.id, "-c", config, "--json").lines
    assert document["id"] == ALERT.id
    assert [(one["act"], one["comment"]) for one in document["actions"]] == [("ack", "[red]seen")]  # type: ignore[attr-defined]
    assert [(one["outcome"], one["error"]) for one in document["notifications"]] == [("dead", "refused [401]")]  # type: ignore[attr-defined]
    (listed,) = listener("alerts", "list", "-c", config, "--json").lines
    assert listed["response"]["assignee"] == "jaan"  # type: ignore[index]


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({}, ""),
        ({"escalated": True}, "nobody answered"),
        ({"acked_at": NOW, "acked_by": "mari"}, "mari"),
        ({"acked_at": NOW, "acked_by": "mari", "assignee": "jaan"}, "jaan"),
        ({"acked_by": "mari", "snoozed_until_at": NOW + timedelta(hours=1)}, "mari, snoozed until 13:30 UTC"),
        ({"acked_at": NOW, "acked_by": "mari", "snoozed_until_at": NOW}, "mari"),
        ({"assignee": "jaan", "resolved_by": "mari"}, "resolved by mari"),
    ],
)
def test_a_list_says_who_is_on_it(response: dict[str, Any], said: str) -> None:
    from listener.cli.alerts import who  # noqa: PLC0415

    assert who(Response(alert_id=ALERT.id, brand="acme", **response), NOW) == said
    assert who(None, NOW) == ""


# ---------------------------------------------------------------------------------------------------------- silences


def kept_silences(folder: Path) -> list[Silence]:
    return with_database(folder, lambda database: store.recent(database, limit=10))


def test_a_silence_is_added_listed_and_ended(listener: Listener, config: Path, tmp_path: Path) -> None:
    add = ["--brand", "acme", "--severity", "warning", "--minutes", "30", "--comment", "a [bold] release"]
    made = listener("silences", "add", *add, "--by", "mari", "-c", config, "--json")
    assert made.code == 0
    (silence,) = kept_silences(tmp_path)
    assert (silence.brand, silence.rule, silence.severity) == ("acme", None, Severity.WARNING)
    assert (silence.created_by, silence.comment) == ("mari", "a [bold] release")
    assert silence.ends_at - silence.starts_at == timedelta(minutes=30)
    assert listener("silences", "list", "--active", "-c", config, "--json").lines[0]["active"] is True
    assert "mutes" in listener("silences", "list", "-c", config).out
    assert listener("silences", "end", silence.id[:6], "--by", "jaan", "-c", config).code == 0
    again = listener("silences", "end", silence.id, "-c", config)
    assert (again.code, "is over already" in again.err) == (2, True)
    assert listener("silences", "list", "--active", "-c", config, "--json").lines == []
    (ended,) = listener("silences", "list", "-c", config, "--json").lines
    assert ended["comment"] == "a [bold] release (ended early by jaan)"
    assert listener("silences", "end", "nothing", "-c", config).code == 2


@pytest.fixture
def tallinn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This computer stands in Tallinn."""
    with monkeypatch.context() as here:
        here.setenv("TZ", "Europe/Tallinn")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tallinn")
def test_times_are_taken_with_their_offset_or_as_the_clock_here_says(
    listener: Listener, config: Path, tmp_path: Path
) -> None:
    arguments = ["--all", "--from", "2098-12-24T18:00Z", "--until", "2098-12-24T23:00"]
    made = listener("silences", "add", *arguments, "-c", config)
    assert (made.code, "2098-12-24 20:00 +0200 until 2098-12-24 23:00 +0200" in made.out) == (0, True)
    (silence,) = kept_silences(tmp_path)
    assert silence.starts_at == datetime(2098, 12, 24, 18, tzinfo=UTC)
    assert silence.ends_at == datetime(2098, 12, 24, 21, tzinfo=UTC)
    assert (silence.brand, silence.rule, silence.severity) == (None, None, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--minutes", "30"],
        ["--all", "--brand", "acme", "--minutes", "30"],
        ["--brand", "acme"],
        ["--brand", "acme", "--minutes", "30", "--until", "2099-01-01T00:00Z"],
        ["--brand", "acme", "--until", "2001-01-01T00:00Z"],
        ["--brand", "acme", "--until", "2099-01-01T00:00Z"],
        ["--brand", "acme", "--until", "tomorrow"],
        ["--brand", "acne", "--minutes", "30"],
        ["--severity", "loud", "--minutes", "30"],
    ],
)
def test_a_silence_that_is_not_clear_is_refused(
    listener: Listener, config: Path, tmp_path: Path, arguments: list[str]
) -> None:
    assert listener("silences", "add", *arguments, "-c", config).code == 2
    assert kept_silences(tmp_path) == []


# ------------------------------------------------------------------------------------------------------------ drills


def test_a_drill_says_that_it_is_one_in_all_that_people_read() -> None:
    found, event = drill("acme", title="Acme", severity=Severity.CRITICAL, by="mari", now=NOW)
    payload = AlertPayload.model_validate(event.payload)
    assert (found.rule, found.state, found.origin_at) == ("drill", AlertState.FIRING, NOW)
    assert payload.drill
    assert payload.text["en"].title == "DRILL: CRITICAL: Acme"
    for words in payload.text.values():
        assert found.id[:8] in words.body
    assert "nothing has happened" in payload.text["en"].body
    assert payload.text["et"].title != payload.text["en"].title


def test_a_drill_is_kept_as_a_decision_for_the_daemon_to_tell(listener: Listener, config: Path, tmp_path: Path) -> None:
    done = listener("alerts", "simulate", "acme", "--severity", "warning", "-c", config)
    assert done.code == 0

    async def read(database: Database) -> tuple[list[Alert], list[Any]]:
        found = await alerts.recent(database, limit=10)
        async with database.reading() as connection:
            return found, await events.waiting(connection, held=True)

    found, waiting = with_database(tmp_path, read)
    (made,) = [one for one in found if one.rule == "drill"]
    assert made.id in done.out
    assert (made.severity, made.state) == (Severity.WARNING, AlertState.FIRING)
    assert [(one.alert_id, one.rule, one.reason) for one in waiting] == [(made.id, "drill", Reason.FIRST)]
    again = listener("alerts", "simulate", "acme", "-c", config)
    assert (again.code, f"listener alerts resolve {made.id}" in again.err) == (1, True)
    assert listener("alerts", "simulate", "acne", "-c", config).code == 2


def test_a_drill_that_nobody_is_told_of_fails(listener: Listener, config: Path) -> None:
    done = listener("alerts", "simulate", "acme", "--wait", "--timeout-secs", "0", "-c", config)
    assert (done.code, "Nobody was told" in done.out) == (1, True)


def test_a_drill_that_is_held_back_says_by_what(listener: Listener, config: Path, tmp_path: Path) -> None:
    async def held(database: Database) -> None:
        async with database.writing() as connection:
            await connection.execute(text("UPDATE event SET hold = 'silence'"))

    with daemon(tmp_path, held):
        done = listener("alerts", "simulate", "acme", "--wait", "--timeout-secs", "3", "-c", config)
    assert (done.code, "Nobody was told yet: held by a silence" in done.out) == (1, True), done.out


@pytest.mark.parametrize("takes", [True, False])
def test_a_drill_is_followed_until_somebody_answers(
    listener: Listener, config: Path, tmp_path: Path, takes: bool
) -> None:
    async def chain(database: Database) -> None:
        """Tell one receiver, which takes it or not, and answer."""
        for one in await alerts.recent(database, limit=5):
            if one.rule != "drill" or await actions.of(database, one.id):
                continue
            told = notification(one)
            async with database.writing() as connection:
                await outbox.enqueue(connection, database.dialect, [told])
            if takes:
                await outbox.sent(database, told, now=NOW)
            else:
                await outbox.dead(database, told, now=NOW, error="401")
            await actions.put(database, action(target=one.id))
        await handling(Outcome.DONE, "acked")(database)

    with daemon(tmp_path, chain):
        done = listener("alerts", "simulate", "acme", "--wait", "--timeout-secs", "30", "-c", config)
    assert done.code == (0 if takes else 1)
    assert ("sent" if takes else "dead") in done.out
    assert "ack by mari via mqtt: done" in done.out


def notification(told: Alert) -> Notification:
    return Notification(
        alert_id=told.id,
        seq=told.seq,
        brand=told.brand,
        severity=told.severity,
        receiver="mqtt",
        reason=Reason.FIRST,
        payload={"type": "alert"},
        decided_at=NOW,
        due_at=NOW,
    )


def action(target: str = ALERT.id, comment: str | None = None) -> Action:
    return Action(
        id=f"action {target}", target=target, act=Act.ACK, seq=1, by="mari", via=Via.MQTT, at=NOW, comment=comment
    )


def test_a_message_about_several_is_answered_by_its_id_too(config: Path, listener: Listener) -> None:
    bundle = Bundle(
        id=str(uuid.uuid4()),
        kind="storm",
        at=NOW,
        members=(Member(alert_id=ALERT.id, seq=3), Member(alert_id=str(uuid.uuid4()), seq=1)),
    )

    async def keep(database: Database) -> None:
        async with database.writing() as connection:
            await responses.write_bundles(connection, database.dialect, [bundle])

    with_database(config.parent, keep)
    with daemon(config.parent, handling(Outcome.DONE, "done for 2 of 2 alerts")):
        done = listener("alerts", "ack", bundle.id[:8], "-c", config, "--wait-secs", "20")
    assert (done.code, "done for 2 of 2 alerts" in done.out) == (0, True)
    (kept_one,) = with_database(config.parent, lambda database: actions.of(database, bundle.id))
    assert (kept_one.action.target, kept_one.action.act, kept_one.action.seq) == (bundle.id, Act.ACK, 1)
