"""``listener oncall`` from a terminal: by the calendar that can be read, else by the copy that a daemon has kept."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from listener.app import database_of, load_settings
from listener.store import calendars
from listener.store.calendars import StoredCalendar
from tests.integration.test_calendars import text
from tests.integration.test_cli import Listener, listener

__all__ = ["listener"]  # a fixture
ADDRESS = "http://127.0.0.1:1/secret-token.ics"  # where nobody listens
AT = ("--at", "2026-11-28T12:00+00:00")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A schedule by a calendar whose server is away, without a database."""
    monkeypatch.setenv("LISTENER_SCHEDULES__NIGHT__CALENDAR", ADDRESS)
    monkeypatch.setenv("LISTENER_RECEIVERS__PHONE__URL", "https://phone.example/")
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

[people.mari]
title = "Mari"
receivers = ["phone"]

[people.jaan]
title = "Jaan"
receivers = ["phone"]

[schedules.night]
timezone = "UTC"
fallback = "jaan"

[escalations.all]
steps = [{ to = ["night"], after_minutes = 5 }]
"""
    )
    return path


@pytest.fixture
def stored(tmp_path: Path, config: Path, sqlite_template: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with the copy of a daemon that read it three days ago."""
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    monkeypatch.chdir(tmp_path)
    keep(config, ADDRESS, age=timedelta(days=3))
    return config


def keep(config: Path, address: str, *, age: timedelta) -> None:
    async def put() -> None:
        database = database_of(load_settings(config))
        copy = StoredCalendar(text=text("Mari"), read_at=datetime.now(UTC) - age)
        await calendars.put(database, "night", address, copy)
        await database.close()

    asyncio.run(put())


def test_the_stored_copy_counts_where_the_address_is_dead_and_that_is_said(listener: Listener, stored: Path) -> None:
    done = listener("oncall", *AT, "--json", "-c", stored)
    assert done.code == 0
    assert [(line["people"], line["fallback"]) for line in done.lines] == [(["mari"], False)]
    assert "the calendar of night gives no answer (ConnectError); what counts is the copy of 20" in done.err
    assert "UTC, 3 days ago" in done.err
    assert "secret-token" not in done.out + done.err


def test_a_young_copy_is_said_to_be_hours_old(listener: Listener, stored: Path) -> None:
    keep(stored, ADDRESS, age=timedelta(hours=5))
    assert "UTC, 5 h ago" in listener("oncall", *AT, "-c", stored).err


def test_a_route_goes_by_the_stored_copy_too(listener: Listener, stored: Path) -> None:
    done = listener("oncall", "route", "acme", "critical", *AT, "--json", "-c", stored)
    assert done.code == 0
    (line,) = done.lines
    assert isinstance(line["steps"], list)
    assert [step["people"] for step in line["steps"]] == [[], ["mari"]]
    assert "3 days ago" in done.err


def test_without_a_copy_the_fallback_counts_and_that_is_said(listener: Listener, config: Path) -> None:
    """There is not even a database."""
    done = listener("oncall", *AT, "--json", "-c", config)
    assert done.code == 0
    assert [(line["people"], line["fallback"]) for line in done.lines] == [(["jaan"], True)]
    assert "gives no answer (ConnectError); no copy of it was found" in done.err


def test_the_copy_of_another_address_does_not_count(listener: Listener, stored: Path) -> None:
    keep(stored, ADDRESS + "?other", age=timedelta())
    done = listener("oncall", *AT, "--json", "-c", stored)
    assert [(line["people"], line["fallback"]) for line in done.lines] == [(["jaan"], True)]
    assert "no copy of it was found" in done.err


def test_a_calendar_that_can_be_read_needs_no_database(
    listener: Listener, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LISTENER_SCHEDULES__NIGHT__CALENDAR")
    (tmp_path / "oncall.ics").write_bytes(text("Mari"))
    config.write_text(config.read_text().replace("fallback =", 'calendar_file = "oncall.ics"\nfallback ='))
    done = listener("oncall", *AT, "--json", "-c", config)
    assert [line["people"] for line in done.lines] == [["mari"]]
    assert done.err == ""
    assert not (tmp_path / "listener.db").exists()
