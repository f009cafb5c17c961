"""Lists on a narrow terminal, what is held back, and messages about several alerts."""

import io
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from listener.cli import root
from listener.cli.alerts import Held
from listener.domain import (
    Act,
    Action,
    AlertState,
    Bundle,
    Event,
    Hold,
    Member,
    Reason,
    Severity,
    Silence,
    Via,
)
from listener.store import Database, actions, events, responses, silences
from tests.alerting import NOW
from tests.integration.test_cli import Listener, listener
from tests.integration.test_cli_alerts import ALERT, config, kept, with_database

__all__ = ["config", "listener"]  # fixtures
OTHER = replace(ALERT, brand="kiirkott", state=AlertState.RESOLVED, ended_at=NOW + timedelta(hours=1), seq=4)
QUIET = """
[quiet_hours.noon]
timezone = "UTC"
start = "12:00"
end = "14:00"
severities = ["info", "warning", "critical"]
"""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns."""
    screen = io.StringIO()
    for module in (root, __import__("listener.cli.alerts", fromlist=["out"])):
        monkeypatch.setattr(module, "out", Console(file=screen, width=80, force_terminal=True, color_system=None))
    return screen


def test_alerts_can_be_read_and_answered_from_a_narrow_terminal(
    listener: Listener, config: Path, narrow: io.StringIO
) -> None:
    now = datetime.now(UTC)
    fresh = replace(ALERT, brand="coolbrand", started_at=now, updated_at=now)
    with_database(config.parent, lambda database: kept(database, fresh, OTHER))
    assert listener("alerts", "list", "-c", config).code == 0
    screen = narrow.getvalue()
    assert max(map(len, screen.splitlines())) <= 80
    assert "…" not in screen
    for one in (ALERT, fresh, OTHER):
        (line,) = [line for line in screen.splitlines() if one.id[:8] in line]
        for said in (one.brand, one.severity.value, one.state.value, "deterioration"):
            assert said in line
    assert f"{now:%d %b %H:%M}" in screen
    assert "Left out, for the terminal is narrow: ended UTC, what" in screen


def test_silences_can_be_read_and_ended_from_a_narrow_terminal(
    listener: Listener, config: Path, narrow: io.StringIO
) -> None:
    now = datetime.now(UTC)
    silence = Silence(
        id=str(uuid.uuid4()),
        starts_at=now,
        ends_at=now + timedelta(hours=2),
        created_by="mari",
        comment="a release that takes longer than it was thought to take, as they do",
        brand="coolbrand",
        rule="deterioration",
        severity=Severity.CRITICAL,
    )

    async def keep(database: Database) -> None:
        await silences.put(database, silence)

    with_database(config.parent, keep)
    assert listener("silences", "list", "-c", config).code == 0
    screen = narrow.getvalue()
    assert max(map(len, screen.splitlines())) <= 80
    (line,) = [line for line in screen.splitlines() if silence.id[:8] in line]
    for said in ("mutes", "coolbrand", "deterioration", "critical", f"{silence.ends_at.astimezone():%d %b %H:%M}"):
        assert said in line


def test_a_pipe_gets_whole_lines(listener: Listener, config: Path) -> None:
    """What reads it line by line finds all of an alert in one."""
    (line,) = [line for line in listener("alerts", "list", "-c", config).out.splitlines() if ALERT.id[:8] in line]
    assert ALERT.signal.reason in line


# -------------------------------------------------------------------------------------------------------------- held


async def held_back(database: Database, hold: Hold | None) -> None:
    event = Event(
        alert_id=ALERT.id,
        seq=ALERT.seq,
        brand=ALERT.brand,
        rule=ALERT.rule,
        severity=ALERT.severity,
        reason=Reason.FIRST,
        state=ALERT.state,
        payload={"type": "alert"},
        decided_at=NOW,
        hold=hold,
    )
    async with database.writing() as connection:
        await events.write(connection, database.dialect, [event])


def test_what_is_held_back_is_said_with_why_and_until_when(
    listener: Listener, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.cli.alerts.utc_now", lambda: NOW)
    with config.open("a") as file:
        file.write(QUIET)
    with_database(config.parent, lambda database: held_back(database, Hold.QUIET_HOURS))
    assert "held by quiet hours until 2026-03-02 14:00 UTC" in listener("alerts", "list", "-c", config).out
    shown = listener("alerts", "show", ALERT.id, "-c", config)
    assert "held      by quiet hours until 2026-03-02 14:00 UTC" in shown.out
    (document,) = listener("alerts", "show", ALERT.id, "-c", config, "--json").lines
    assert (document["hold"], document["held_until"]) == ("quiet_hours", "2026-03-02T14:00:00Z")


def test_what_holds_it_now_counts_for_until_when(
    listener: Listener, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silence may have come over quiet hours."""
    monkeypatch.setattr("listener.cli.alerts.utc_now", lambda: NOW)
    silence = Silence(id="one", starts_at=NOW, ends_at=NOW + timedelta(hours=5), created_by="mari", brand="acme")

    async def keep(database: Database) -> None:
        await held_back(database, Hold.QUIET_HOURS)
        await silences.put(database, silence)

    with_database(config.parent, keep)
    (listed,) = listener("alerts", "list", "-c", config, "--json").lines
    assert (listed["hold"], listed["held_until"]) == ("silence", "2026-03-02T17:30:00Z")


def test_what_is_not_held_back_says_nothing_of_it(listener: Listener, config: Path) -> None:
    with_database(config.parent, lambda database: held_back(database, None))
    (listed,) = listener("alerts", "list", "-c", config, "--json").lines
    assert (listed["hold"], listed["held_until"]) == (None, None)
    assert "held" not in listener("alerts", "show", ALERT.id, "-c", config).out


@pytest.mark.parametrize("hold", Hold)
def test_every_hold_has_words(hold: Hold) -> None:
    assert str(Held(by=hold)).startswith("held")


# ------------------------------------------------------------------------------------------------------------ bundles


def test_a_message_about_several_is_shown_with_its_alerts(listener: Listener, config: Path) -> None:
    members = (Member(alert_id=OTHER.id, seq=4), Member(alert_id=ALERT.id, seq=3))
    bundle = Bundle(id=str(uuid.uuid4()), kind="storm", at=NOW, members=members)

    async def keep(database: Database) -> None:
        await kept(database, OTHER)
        async with database.writing() as connection:
            await responses.write_bundles(connection, database.dialect, [bundle])
        await actions.put(database, action(bundle.id))

    with_database(config.parent, keep)
    shown = listener("alerts", "show", bundle.id[:8], "-c", config)
    assert shown.code == 0
    assert f"message   {bundle.id}, about 2 alerts" in shown.out
    assert shown.out.index(OTHER.id[:8]) < shown.out.index(ALERT.id[:8])
    assert "acme" in shown.out
    assert "kiirkott" in shown.out
    (document,) = listener("alerts", "show", bundle.id, "-c", config, "--json").lines
    named: Any = document["alerts"]
    done: Any = document["actions"]
    assert (document["id"], [one["id"] for one in named]) == (bundle.id, [OTHER.id, ALERT.id])
    assert [one["by"] for one in done] == ["mari"]


def action(target: str) -> Action:
    return Action(id="answer", target=target, act=Act.ACK, seq=1, by="mari", via=Via.MQTT, at=NOW)
