"""Before the first run there is no database: the commands say so, and make none."""

import json
from pathlib import Path

import pytest

from listener.store import migrate
from tests.integration.test_cli import Listener, listener

__all__ = ["listener"]  # a fixture
EMPTY = "the database is empty: `listener run` makes it"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LISTENER_RECEIVERS__PHONE__URL", "https://phone.example/hook")
    path = tmp_path / "listener.toml"
    path.write_text(
        """
[database]
url = "sqlite:///listener.db"

[brands.acme]
names = ["Acme"]

[sources.reviews]
type = "feed"
url = "https://reviews.example/feed"

[receivers.phone]
type = "webhook"
"""
    )
    return path


@pytest.mark.parametrize("file", ["none", "empty"])
@pytest.mark.parametrize(
    "command",
    [
        ("alerts", "list"),
        ("alerts", "show", "abc"),
        ("alerts", "ack", "abc"),
        ("alerts", "simulate", "acme"),
        ("silences", "list"),
        ("silences", "add", "--all", "--minutes", "5"),
        ("silences", "end", "abc"),
        ("digest",),
        ("explain", "abc"),
    ],
)
def test_a_command_says_that_nothing_was_run_yet(
    listener: Listener, config: Path, tmp_path: Path, command: tuple[str, ...], file: str
) -> None:
    database = tmp_path / "listener.db"
    if file == "empty":
        database.touch()
    done = listener(*command, "-c", config)
    assert (done.code, EMPTY in done.err) == (1, True)
    assert "OperationalError" not in done.err
    assert database.exists() == (file == "empty")


def test_sources_were_not_polled_yet(listener: Listener, config: Path, tmp_path: Path) -> None:
    done = listener("sources", "-c", config, "--json")
    assert (done.code, [line["state"] for line in done.lines]) == (0, ["not polled yet"])
    assert not (tmp_path / "listener.db").exists()


def test_a_policy_can_be_asked_without_a_word_about_silences(listener: Listener, config: Path, tmp_path: Path) -> None:
    """Nobody can have silenced anything."""
    done = listener("oncall", "route", "acme", "critical", "-c", config)
    assert (done.code, done.err) == (0, "")
    assert "phone" in done.out
    assert not (tmp_path / "listener.db").exists()


def test_a_database_of_another_version_is_said_to_be_one(
    listener: Listener, config: Path, tmp_path: Path, sqlite_template: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def older(_: object) -> str:
        revisions = [script.revision for script in migrate.scripts().walk_revisions()]
        return revisions[-1]

    (tmp_path / "listener.db").write_bytes(sqlite_template)
    monkeypatch.setattr(migrate, "version", older)
    done = listener("alerts", "list", "-c", config)
    assert (done.code, "listener db upgrade" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ("nosuch", 2, "no such rule: use one of: blind, deterioration, drill, high_risk"),
        ("high-risk", 2, "did you mean 'high_risk'?"),
        ("high_risk", 0, ""),
        ("drill", 0, ""),
    ],
)
def test_a_silence_names_a_rule_that_there_is(
    listener: Listener, config: Path, tmp_path: Path, sqlite_template: bytes, rule: str, code: int, said: str
) -> None:
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    done = listener("silences", "add", "--rule", rule, "--minutes", "30", "-c", config)
    assert (done.code, said in done.err) == (code, True)
    kept = [json.loads(line)["rule"] for line in listener("silences", "list", "-c", config, "--json").out.splitlines()]
    assert kept == ([rule] if code == 0 else [])


def test_the_names_of_configured_rules_count(
    listener: Listener, config: Path, tmp_path: Path, sqlite_template: bytes
) -> None:
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    config.write_text(config.read_text() + '\n[rules.worse]\ntype = "deterioration"\n')
    assert listener("silences", "add", "--rule", "worse", "--minutes", "30", "-c", config).code == 0
    done = listener("silences", "add", "--rule", "deterioration", "--minutes", "30", "-c", config)
    assert (done.code, "drill, worse" in done.err) == (2, True)


def test_a_silence_at_the_end_of_time_is_refused(
    listener: Listener, config: Path, tmp_path: Path, sqlite_template: bytes
) -> None:
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    done = listener("silences", "add", "--all", "--from", "9999-12-31T23:59Z", "--minutes", "60", "-c", config)
    assert (done.code, "is too far away" in done.err) == (2, True)


@pytest.mark.parametrize("command", [("oncall", "--at"), ("oncall", "route", "acme", "critical", "--at")])
def test_a_time_that_is_none_is_answered_with_examples(
    listener: Listener, config: Path, command: tuple[str, ...]
) -> None:
    done = listener(*command, "yesterday", "-c", config)
    assert done.code == 2
    assert "2026-12-24T20:00" in done.err
    assert "%" not in done.err


@pytest.mark.parametrize("at", ["2026-12-24T20:00", "2026-12-24T20:00:30", "2026-12-24T20:00+02:00", "2026-12-24"])
def test_times_are_written_as_the_examples_say(listener: Listener, config: Path, at: str) -> None:
    assert listener("oncall", "--at", at, "-c", config).code == 0


def test_one_is_not_several(listener: Listener, config: Path) -> None:
    assert "good; 1 brand, 1 source, 3 rules" in listener("check-config", config).out
    config.write_text(config.read_text() + "\n[escalations.all]\nrepeat_minutes = 1\nrepeats_max = 1\n")
    done = listener("oncall", "route", "acme", "critical", "-c", config)
    assert "once more after a minute, unless" in done.out
