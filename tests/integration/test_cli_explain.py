"""``listener explain`` and ``listener digest`` over a database in which a brand's customers have turned."""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from listener.cli import main
from listener.cli import root as cli_root
from listener.store import Database, migrate
from tests.running import bench, turned, usual

Command = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, structlog.get_config())
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.configure(**before[2])


@pytest.fixture
def alert(tmp_path: Path) -> str:
    """A configuration, and a database in which Bolt's alert fires; its id."""

    async def prepare() -> str:
        database = Database(f"sqlite:///{tmp_path}/listener.db")
        await migrate.upgrade(database)
        async with bench(database) as at:
            await usual(at)
            await turned(at)
            (told,) = (await at.look(timedelta(minutes=5))).told or (await at.look(timedelta(minutes=5))).told
        await database.close()
        return told.id

    (tmp_path / "listener.toml").write_text(
        '[database]\nurl = "sqlite:///listener.db"\n[brands.bolt]\nnames = ["Bolt"]\n'
        '[sources.forum]\ntype = "feed"\nurl = "https://forum.example/feed"\n',
        encoding="utf-8",
    )
    return asyncio.run(prepare())


@pytest.fixture
def listener(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["listener", *map(str, arguments)])
        for module in ("explain", "digest"):
            monkeypatch.setattr(sys.modules[f"listener.cli.{module}"], "out", Console(width=200))
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def test_an_alert_is_decided_again_to_the_last_bit(listener: Command, alert: str) -> None:
    code, text = listener("explain", alert[:12])
    assert code == 0
    assert alert in text
    assert text.count("same to the last bit") == 6
    assert "DIFFERS" not in text
    assert "https://forum.example/" in text


def test_a_vote_that_was_tampered_with_is_found(listener: Command, alert: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "listener.db") as connection:
        connection.execute("UPDATE vote SET risk = 0.5 WHERE position = (SELECT max(position) FROM vote)")
    connection.close()
    code, text = listener("explain", alert)
    assert code == 1
    assert "DIFFERS" in text


def test_the_picture_is_drawn_and_the_same_each_time(listener: Command, alert: str, tmp_path: Path) -> None:
    assert listener("explain", alert, "--draw", "one.svg", "--language", "et")[0] == 0
    assert listener("explain", alert, "--draw", "two.svg", "--language", "et")[0] == 0
    first = (tmp_path / "one.svg").read_bytes()
    assert first.startswith(b"<?xml")
    assert first == (tmp_path / "two.svg").read_bytes()


def test_an_unknown_alert_is_named(listener: Command, alert: str) -> None:
    code, text = listener("explain", "ffffffff")
    assert code == 2
    assert "no alert has this id" in text
    assert alert not in text


def test_a_language_that_we_do_not_speak_is_refused(listener: Command, alert: str) -> None:
    assert listener("explain", alert, "--language", "fi")[0] == 2


def test_the_digest_lists_what_is_open(listener: Command, alert: str) -> None:
    code, text = listener("digest")
    assert code == 0
    assert alert
    assert "critical: bolt" in text
    assert "0 brands have enough history" in text
    assert cli_root.out is not None
