"""``listener backtest`` as people and programs call it."""

import asyncio
import json
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.alerts.detection.rules import Deterioration
from listener.backtest import tune
from listener.backtest.simulate import Setting
from listener.backtest.tune import Advice, Tried
from listener.cli.backtest_report import snippet
from listener.store import Database
from tests.backtesting import START, history
from tests.integration.test_backtest import daemon, written
from tests.integration.test_cli import Done, Listener, listener

__all__ = ["listener"]  # a fixture

CONFIGURATION = """
[database]
url = "sqlite:///listener.db"

[brands.acme]
names = ["Acme"]

[brands.bolt]
names = ["Bolt"]
alerts = false
"""
BAD = range(16, 18)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Twenty days of a brand, with two bad ones, and the labels of people."""
    file = tmp_path / "rows.jsonl"
    lines = [
        {
            "id": one.ballot.mention,
            "brand": "Acme",
            "text": f"parcel {one.ballot.mention}",
            "published_at": one.at.isoformat(),
            "label": "negative" if one.ballot.negative else "positive",
        }
        for one in history(20, 30, bad=BAD)
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, sqlite_template: bytes) -> bytes:
    """A database that has counted the same twenty days, but for the last."""
    path = tmp_path_factory.mktemp("counted") / "listener.db"
    path.write_bytes(sqlite_template)

    async def fill() -> None:
        database = Database(f"sqlite:///{path}")
        said = written(history(20, 30, bad=BAD), "acme")
        try:
            await daemon(database, said, ["acme"], days=19, tick=timedelta(hours=2))
        finally:
            await database.close()

    asyncio.run(fill())
    return path.read_bytes()


@pytest.fixture
def filled(tmp_path: Path, counted: bytes) -> Path:
    """A configuration with that database."""
    (tmp_path / "listener.db").write_bytes(counted)
    (tmp_path / "listener.toml").write_text(CONFIGURATION, encoding="utf-8")
    return tmp_path / "listener.toml"


def read(done: Done) -> list[Any]:
    """Its lines."""
    return list(done.lines)


def from_file(listener: Listener, rows: Path, *more: object) -> Any:
    return listener("backtest", "-i", rows, "--label-field", "label", "--tick-secs", 7200, *more)


def test_alerts_come_as_lines_and_the_summary_for_people_apart(listener: Listener, rows: Path) -> None:
    done = from_file(listener, rows)
    assert done.code == 0
    assert done.lines[0]["reason"] == "first"
    assert "Acme: would have paged" in done.err
    assert {"alert_id", "decided_at", "evidence"} <= done.lines[0].keys()
    assert done.lines[0]["evidence"]


def test_the_summary_is_the_last_line_for_programs(listener: Listener, rows: Path) -> None:
    done = from_file(listener, rows, "--json")
    *alerts, summary = done.lines
    (acme,) = summary["summary"]
    assert acme["brand"] == "acme"
    assert acme["mentions"] == 600
    assert len(acme["pages"]) == sum(one["severity"] == "critical" and one["reason"] != "resolved" for one in alerts)
    assert acme["pages"]
    assert acme["resolved"] == sum(one["reason"] == "resolved" for one in alerts)
    assert [week["quiet"] for week in acme["weeks"]] == [True, True, False]
    assert acme["pages_in_quiet_weeks"] == 0


def test_rules_of_a_file_are_compared_with_those_that_are_set(listener: Listener, rows: Path, tmp_path: Path) -> None:
    other = tmp_path / "deaf.toml"
    other.write_text('[rules.deaf]\ntype = "deterioration"\nbudget = 0.97\nvolume = false\n', encoding="utf-8")
    done = from_file(listener, rows, "--json", "--rules", other)
    first, second = done.lines[-1]["summary"]
    assert (first["rules"], second["rules"]) == ("configured", "deaf.toml")
    assert first["pages"]
    assert not second["pages"]
    assert "Acme with deaf.toml: would never have paged" in done.err


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('[rules.a]\ntype = "deterioration"\nbuget = 0.2', "rules.a.buget", "budget"),
        ('[rules.a]\ntype = "deteriorating"', "rules.a.type", "deterioration"),
        ('[rules.a]\ntype = "deterioration"\n[rules.b]\ntype = "deterioration"', "rules.b", "second rule"),
        ("[brands.acme]", "brands", "is not read here"),
        ("", "rules", "no rules"),
        ("rules = 3", "rules", "no rules"),
        ("[rules]\na = 3", "rules.a", "is not a table"),
        ("[rules", "set.toml", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_of_rules_is_told_by_its_place(
    listener: Listener, rows: Path, tmp_path: Path, text: str, place: str, problem: str
) -> None:
    (tmp_path / "set.toml").write_text(text, encoding="utf-8")
    done = from_file(listener, rows, "--rules", "set.toml")
    assert done.code == 2
    assert "set.toml" in done.err
    assert place in done.err
    assert problem in done.err


def test_the_store_is_replayed_and_nothing_is_written(listener: Listener, filled: Path) -> None:
    database = filled.with_name("listener.db")
    before = database.read_bytes()
    done = listener("backtest", "--store", "--json")
    assert done.code == 0
    assert database.read_bytes() == before
    *alerts, summary = read(done)
    acme, bolt = summary["summary"]
    assert acme["mentions"] == 600  # what waits, too
    assert bolt["mentions"] == 0
    assert alerts[0]["reason"] == "first"
    assert alerts[0]["evidence"]
    assert alerts[0]["evidence"][0]["url"].startswith("https://forum.example/acme-16-")
    assert len(acme["pages"]) >= 1


def test_part_of_the_store_is_replayed(listener: Listener, filled: Path) -> None:
    assert filled.exists()
    bad = START + timedelta(days=16)
    before = listener("backtest", "--store", "--json", "--brand", "acme", "--until", f"{bad:%Y-%m-%d}")
    assert [len(line) for line in before.lines] == [1]  # no alert, the summary alone
    after = listener("backtest", "--store", "--json", "--brand", "acme", "--since", f"{bad:%Y-%m-%d}")
    assert read(after)[0]["reason"] == "first"
    assert read(after)[-1]["summary"][0]["mentions"] < 600


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--store", "--brand", "acne"), "acme, bolt"),
        (("--store", "--since", "yesterday"), "2026-01-31"),
        (("--store", "--label-field", "label"), "scored already"),
        (("--store", "-i", "listener.toml"), "one of the two"),
        ((), "one of the two"),
        (("--store", "--until", "2001-01-01"), "no votes"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    listener: Listener, tmp_path: Path, sqlite_template: bytes, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    (tmp_path / "listener.toml").write_text(CONFIGURATION, encoding="utf-8")
    done = listener("backtest", *arguments)
    assert done.code == 2
    assert told in " ".join(done.err.replace("│", " ").split())


def test_a_store_that_is_not_there_is_not_made(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "listener.toml").write_text(CONFIGURATION, encoding="utf-8")
    done = listener("backtest", "--store")
    assert done.code == 2
    assert "database.url" in done.err
    assert not (tmp_path / "listener.db").exists()


def test_a_short_history_gets_no_recommendation_but_a_reason(listener: Listener, rows: Path) -> None:
    lines = rows.read_text(encoding="utf-8").splitlines()[:150]
    rows.write_text("\n".join(lines), encoding="utf-8")
    done = from_file(listener, rows, "--target-pages-per-month", 0.5, "--json")
    assert done.code == 1
    assert "50 more mentions" in done.err
    assert done.lines[-1]["advice"][0]["refused"]


def test_settings_are_recommended_with_lines_to_paste(
    listener: Listener, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "STRETCHES_MIN", 1)  # less work: the figures are not the point here
    monkeypatch.setattr(tune, "WORK_SECS", 1.0)
    done = from_file(listener, rows, "--target-pages-per-month", 0.5, "--json")
    assert done.code == 0
    (advice,) = done.lines[-1]["advice"]
    assert advice["refused"] is None
    assert advice["best"]["pages_per_month"] <= 0.5
    assert "promise: false_alarms_per_month" in done.err
    assert " ".join(advice["toml"].split()) in done.err


def test_only_what_differs_is_to_be_pasted() -> None:
    """A brand's own promise is the brand's; what it shares with others is set for all, and says so."""
    now = Setting(budget_ratio=1.25, volume_warning=6.0, volume_critical=7.0, false_alarms_per_month=0.5)

    def pasted(**changes: float) -> dict[str, Any]:
        rule = Deterioration(name="watch")
        advice = Advice(
            brand="acme", votes=1, days=1.0, target=0.5, rule=rule, now=tried(now), best=tried(replace(now, **changes))
        )
        return tomllib.loads(snippet(advice))

    def tried(setting: Setting) -> Tried:
        return Tried(setting=setting, pages=0, per_month=0.0, low=0.0, high=0.0, delays={})

    assert pasted() == {}
    assert pasted(false_alarms_per_month=0.1) == {"brands": {"acme": {"thresholds": {"false_alarms_per_month": 0.1}}}}
    assert pasted(budget_ratio=1.5, volume_critical=8.0) == {
        "rules": {"watch": {"type": "deterioration", "budget_ratio": 1.5, "volume_critical": 8.0}}
    }
