"""The last good copies of calendars in the database: what a restart knows while their servers are away."""

import asyncio
import base64
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text as sql
from structlog.testing import capture_logs

from listener.alerts.oncall.calendar import MOST_BYTES, read_calendar
from listener.alerts.oncall.policy import Policy
from listener.config import Settings
from listener.daemon import Daemon
from listener.errors import StoreError
from listener.pipeline.calendars import (
    Copy,
    calendars_of,
    fetch_calendar,
    recall_calendars,
    refresh_calendars,
    store_calendars,
    worth_storing,
)
from listener.store import Database, calendars, settings
from listener.store.calendars import BadCopy, StoredCalendar
from tests.integration.test_calendars import MINUTE, NOW, PATH, on_call, policy, text
from tests.integration.test_pipeline_beside import daemon_of, stage
from tests.misbehaving import Document, Misbehaving, misbehaving
from tests.mosquitto import until
from tests.promises.wired import rows
from tests.running import HOUR, bench

ADDRESS = f"http://127.0.0.1:1{PATH}"  # where nobody listens
AWAY = policy(calendar=SecretStr(ADDRESS))
DAY = 24 * HOUR


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    async with misbehaving() as opened:
        yield opened


def serving(body: bytes) -> Callable[[str], Awaitable[bytes]]:
    """A server that answers with this."""

    async def fetch(_address: str) -> bytes:
        return body

    return fetch


async def read_and_stored(
    database: Database, body: bytes, at: datetime = NOW, known: dict[str, Copy] | None = None, chosen: Policy = AWAY
) -> dict[str, Copy]:
    """What a daemon knows that has read the calendar, and has stored it."""
    copies = await refresh_calendars(serving(body), chosen, known or {}, at)
    return await store_calendars(database, chosen, copies)


async def value(database: Database, name: str) -> dict[str, Any]:
    found = await settings.get(database, name)
    assert found is not None
    return dict(found)


# ------------------------------------------------------------------------------------------------------- over a restart


async def test_after_a_restart_the_stored_copy_counts_until_the_address_answers(database: Database) -> None:
    await read_and_stored(database, text("Mari"))
    with capture_logs() as logs:
        copies = await recall_calendars(database, AWAY, NOW + HOUR)
        assert (on_call(AWAY, copies), copies["night"].read_at) == (("mari",), NOW)
        copies = await refresh_calendars(fetch_calendar, AWAY, copies, NOW + HOUR)
        assert (on_call(AWAY, copies), copies["night"].read_at) == (("mari",), NOW)
        assert copies["night"].error == "gives no answer (ConnectError)"
        copies = await refresh_calendars(serving(text("Jaan")), AWAY, copies, NOW + HOUR + 5 * MINUTE)
    assert (on_call(AWAY, copies), copies["night"].read_at) == (("jaan",), NOW + HOUR + 5 * MINUTE)
    assert [one["event"] for one in logs] == ["calendar.recalled", "calendar.failed", "calendar.read"]
    assert logs[1]["last_read_at"] == NOW.isoformat()


async def test_a_copy_counts_however_old_it_is_and_is_read_for_today(database: Database) -> None:
    """A rota that repeats without an end goes on, also past the 400 days that the copy reached when it was read."""
    weekly = text("Mari").replace(b"SUMMARY", b"RRULE:FREQ=DAILY\r\nSUMMARY")
    await read_and_stored(database, weekly)
    copies = await recall_calendars(database, AWAY, NOW + 1000 * DAY)
    assert on_call(AWAY, copies, NOW + 1000 * DAY) == ("mari",)
    assert copies["night"].read_at == NOW


async def test_a_copy_is_read_by_todays_people_and_zone(database: Database) -> None:
    await read_and_stored(database, text("Mari"))
    gone = replace(AWAY, people={"jaan": AWAY.people["jaan"]})
    assert on_call(gone, await recall_calendars(database, gone, NOW)) == ("jaan",)  # the fallback


@pytest.mark.parametrize(
    "other",
    [{"calendar": SecretStr(ADDRESS + "?other")}, {"calendar_file": "/nowhere/secret.ics"}],
    ids=["address", "file"],
)
async def test_the_copy_of_another_address_does_not_count(database: Database, other: dict[str, Any]) -> None:
    await read_and_stored(database, text("Mari"))
    chosen = policy(**other)
    copies = await recall_calendars(database, chosen, NOW)
    assert copies == {"night": Copy()}
    assert on_call(chosen, copies) == ("jaan",)  # the fallback
    copies = await read_and_stored(database, text("Mari"), chosen=policy(calendar=SecretStr(ADDRESS + "?other")))
    assert await recall_calendars(database, AWAY, NOW) == {"night": Copy()}


async def test_what_was_read_since_is_not_replaced_by_what_was_stored(database: Database) -> None:
    await read_and_stored(database, text("Mari"))
    known = await refresh_calendars(serving(text("Jaan")), AWAY, {}, NOW)
    assert await recall_calendars(database, AWAY, NOW, known) == known


# ------------------------------------------------------------------------------------------------------ when it writes


async def test_an_unchanged_text_is_not_written_again_and_when_it_was_read_once_an_hour(database: Database) -> None:
    copies = await read_and_stored(database, text("Mari"))
    first = await value(database, "calendar:night")
    noted = []
    for quarters in range(1, 9):
        # Some servers write a new DTSTAMP each time.
        body = text("Mari").replace(b"DTSTAMP:20260101T000000Z", b"DTSTAMP:20261128T12000%dZ" % quarters)
        copies = await read_and_stored(database, body, NOW + 15 * quarters * MINUTE, copies)
        noted.append((await value(database, "calendar_read:night"))["read_at"])
    assert await value(database, "calendar:night") == first  # the salt would be another one
    hours = [NOW, NOW + HOUR, NOW + 2 * HOUR]
    assert noted == [hours[index].isoformat() for index in (0, 0, 0, 1, 1, 1, 1, 2)]
    assert (await recall_calendars(database, AWAY, NOW + DAY))["night"].read_at == NOW + 2 * HOUR
    await read_and_stored(database, text("Jaan"), NOW + 3 * HOUR, copies)
    changed = await recall_calendars(database, AWAY, NOW + DAY)
    assert (on_call(AWAY, changed), changed["night"].read_at) == (("jaan",), NOW + 3 * HOUR)


async def test_a_restart_that_reads_the_same_writes_no_text(database: Database) -> None:
    await read_and_stored(database, text("Mari"))
    first = await value(database, "calendar:night")
    recalled = await recall_calendars(database, AWAY, NOW + DAY)
    await read_and_stored(database, text("Mari"), NOW + DAY, recalled)
    assert await value(database, "calendar:night") == first
    assert (await recall_calendars(database, AWAY, NOW + DAY))["night"].read_at == NOW + DAY


async def test_a_clock_that_was_set_back_is_noted_once(database: Database) -> None:
    copies = await read_and_stored(database, text("Mari"))
    back = await read_and_stored(database, text("Mari"), NOW - DAY, copies)
    stored = back["night"].stored
    assert stored is not None
    assert stored.read_at == NOW - DAY
    assert await store_calendars(database, AWAY, back) == back


async def test_a_failing_calendar_writes_nothing(database: Database) -> None:
    copies = await refresh_calendars(fetch_calendar, AWAY, {}, NOW)
    assert await store_calendars(database, AWAY, copies) == copies
    assert await rows(database, "SELECT name FROM setting") == []


async def test_of_two_daemons_with_addresses_of_their_own_the_last_text_stays_whole(database: Database) -> None:
    """What the first one notes of its own text is not taken for the second one's."""
    first = await read_and_stored(database, text("Mari"))
    second = policy(calendar=SecretStr(ADDRESS + "?other"))
    await read_and_stored(database, text("Jaan"), NOW + HOUR, chosen=second)
    await read_and_stored(database, text("Mari"), NOW + 2 * HOUR, first)
    copies = await recall_calendars(database, second, NOW + DAY)
    assert (on_call(second, copies), copies["night"].read_at) == (("jaan",), NOW + HOUR)


# -------------------------------------------------------------------------------------------------------------- secrets


async def test_neither_the_address_nor_what_else_the_calendar_holds_is_stored(database: Database) -> None:
    secret = f"SOURCE;VALUE=URI:{ADDRESS}\r\nBEGIN:VEVENT".encode()
    body = text("Mari").replace(b"BEGIN:VEVENT", secret).replace(b"SUMMARY", b"DESCRIPTION:pin 4711\r\nSUMMARY")
    await read_and_stored(database, body)
    row = await value(database, "calendar:night")
    held = json.dumps(await rows(database, "SELECT * FROM setting")).encode()
    held += zlib.decompress(base64.b64decode(row["text"]))
    for word in (b"secret-token", b"127.0.0.1", b"4711"):
        assert word in body + ADDRESS.encode()
        assert word not in held
    await read_and_stored(database, text("Jaan"), NOW + HOUR)
    again = await value(database, "calendar:night")
    assert (row["salt"], row["address"]) != (again["salt"], again["address"])


def test_what_is_left_out_changes_nobodys_turn() -> None:
    """Also where lines are folded, in any case, and between blank lines, as the parser takes them."""
    beside = (
        b'Description;ALTREP="cid:x":Jaan\r\n  is\r\n\tSUMMARY:Jaan\r\nLOCATION:x\nATTENDEE;CN=Jaan:mailto:j@x\r\n'
        b"ORGANIZER:mailto:j@x\r\n\r\n  folded\r\nURL:https://x\r\nCONFERENCE:https://x\r\nATTACH:https://x\r\n"
    )
    alarm = b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Jaan\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\n"
    plain = text("Mari", events=3).replace(b"SUMMARY", b"RRULE:FREQ=WEEKLY\r\nSUMMARY")
    full = plain.replace(b"SUMMARY", beside + b"SUMMARY").replace(b"END:VEVENT", alarm + b"END:VEVENT")
    less = worth_storing(full)
    assert less == plain.replace(b"DTSTAMP:20260101T000000Z\r\n", b"").replace(
        b"END:VEVENT", alarm.replace(b"DESCRIPTION:Jaan\r\n", b"") + b"END:VEVENT"
    )
    read = [
        read_calendar(one, people={"mari": "Mari", "jaan": "Jaan"}, zone="UTC", now=NOW) for one in (full, less, plain)
    ]
    assert read[0].turns
    assert read[0] == read[1] == read[2]
    assert worth_storing(b"SUMMARY:x\r\nURL:y") == b"SUMMARY:x\r\n"


# ------------------------------------------------------------------------------------------------ what cannot be read


def packed(body: bytes) -> str:
    return base64.b64encode(zlib.compress(body)).decode()


BOMB = zlib.compress(b"x" * (MOST_BYTES + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"text": packed(text("Mari"))[:-8]},
        {"text": base64.b64encode(zlib.compress(text("Mari"))[:-9]).decode()},
        {"text": "no base64 !"},
        {"text": base64.b64encode(b"not packed").decode()},
        {"text": base64.b64encode(BOMB).decode()},
        {"text": packed(b"<html>sign in</html>")},
        {"text": packed(b"")},
        {"text": None},
        {"text": ["x"]},
        {"salt": "no hex"},
        {"salt": 7},
        {"address": "\u00f5"},
        {"read_at": "yesterday"},
        {"read_at": "2026-11-28T12:00:00"},
        {"read_at": "0001-01-01T00:00:00+14:00"},
        {"read_at": 7},
    ],
    ids=lambda one: str(one)[:40],
)
async def test_a_copy_that_cannot_be_read_is_ignored_with_one_warning(
    database: Database, changes: dict[str, Any]
) -> None:
    await read_and_stored(database, text("Mari"))
    await settings.put(database, "calendar:night", {**await value(database, "calendar:night"), **changes})
    await settings.put(database, "calendar_read:night", {"content": "of another text", "read_at": NOW.isoformat()})
    with capture_logs() as logs:
        copies = await recall_calendars(database, AWAY, NOW)
        assert copies == {"night": Copy()}
        assert on_call(AWAY, copies) == ("jaan",)  # the fallback
        copies = await read_and_stored(database, text("Mari"), NOW, copies)
    assert [one["event"] for one in logs] == ["calendar.copy_ignored", "calendar.read"]
    assert on_call(AWAY, await recall_calendars(database, AWAY, NOW)) == ("mari",)  # it was written anew


@pytest.mark.parametrize("row", ["[]", '"x"', "7", "{}", "[" * 3000 + "]" * 3000], ids=lambda one: one[:9])
@pytest.mark.parametrize("name", ["calendar:night", "calendar_read:night"])
async def test_a_row_of_any_shape_is_ignored(database: Database, name: str, row: str) -> None:
    await read_and_stored(database, text("Mari"))
    await ignored_with(database, name, row)


@pytest.mark.parametrize("name", ["calendar:night", "calendar_read:night"])
async def test_a_row_that_is_torn_is_ignored(tmp_path: Path, sqlite_template: bytes, name: str) -> None:
    """Only SQLite takes it; PostgreSQL looks whether it is JSON."""
    (tmp_path / "listener.db").write_bytes(sqlite_template)
    database = Database(f"sqlite:///{tmp_path}/listener.db", durable=False)
    await read_and_stored(database, text("Mari"))
    await ignored_with(database, name, '{"salt":')
    await database.close()


async def ignored_with(database: Database, name: str, row: str) -> None:
    """Whatever somebody wrote into a row, it is one warning."""
    change = {
        "postgresql": "UPDATE setting SET value = CAST(:row AS JSON) WHERE name = :name",
        "sqlite": "UPDATE setting SET value = :row WHERE name = :name",
    }[database.dialect]
    async with database.writing() as connection:
        await connection.execute(sql(change), {"row": row, "name": name})
    with pytest.raises(BadCopy, match="cannot be read"):
        await calendars.get(database, "night", ADDRESS, bytes_max=MOST_BYTES)
    with capture_logs() as logs:
        assert await recall_calendars(database, AWAY, NOW) == {"night": Copy()}
    assert [one["event"] for one in logs] == ["calendar.copy_ignored"]


async def test_a_copy_as_large_as_a_calendar_may_be_is_kept_whole(database: Database) -> None:
    large = StoredCalendar(text=b"x" * MOST_BYTES, read_at=NOW)
    await calendars.put(database, "night", ADDRESS, large)
    assert await calendars.get(database, "night", ADDRESS, bytes_max=MOST_BYTES) == large
    assert await calendars.get(database, "other", ADDRESS, bytes_max=MOST_BYTES) is None
    for bytes_max in (MOST_BYTES - 1, 10):
        with pytest.raises(BadCopy):
            await calendars.get(database, "night", ADDRESS, bytes_max=bytes_max)


# ----------------------------------------------------------------------------------------------------------- the daemon


def night(address: str) -> tuple[Settings, Policy]:
    chosen = policy(calendar=SecretStr(address))
    only = {"night": chosen.schedules["night"]}
    return Settings.model_validate({"http": {"port": 0}, "people": chosen.people, "schedules": only}), chosen


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[None]:
    """All of it: its start, its stages and its HTTP side."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(daemon.run())
        try:
            yield
        finally:
            task.cancel()


async def test_a_bug_in_reading_a_copy_does_not_keep_the_daemon_from_starting(
    database: Database, server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object) -> dict[str, Copy]:
        raise AssertionError("a bug")

    settings_, chosen = night(server.serve(PATH, text("Mari")))
    monkeypatch.setattr("listener.daemon.recall_calendars", broken)
    async with bench(database) as at:
        at.parts = replace(at.parts, policy=chosen, sources={})
        async with running(daemon := daemon_of(at, settings_)):
            await until(lambda: daemon.app.calendars)
        assert daemon.app.calendars["night"].on_call(NOW) == ("mari",)


async def test_a_database_that_fails_costs_no_copy_and_is_tried_again(
    database: Database, server: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_, chosen = night(server.serve(PATH, text("Mari")))
    put = calendars.put

    async def away(*_arguments: object) -> None:
        raise StoreError("gone")

    async with bench(database) as at:
        at.parts = replace(at.parts, policy=chosen)
        reading = stage(daemon := daemon_of(at, settings_), "calendars")
        monkeypatch.setattr(calendars, "put", away)
        with capture_logs() as logs:
            await reading.once()
        assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["store.failed"]
        assert daemon.app.calendars["night"].on_call(NOW) == ("mari",)
        assert calendars_of(daemon.calendars) == daemon.app.calendars
        monkeypatch.setattr(calendars, "put", put)
        server.serve(PATH, Document(body=b"", status=503))
        at.clock[0] += MINUTE  # it is not due yet, but still to be stored
        await reading.once()
        assert reading.failures == 0
    assert len(server.requests) == 1
    copies = await recall_calendars(database, chosen, NOW)
    assert on_call(chosen, copies) == ("mari",)


async def test_a_database_that_fails_at_the_start_is_logged(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await read_and_stored(database, text("Mari"))

    async def away(*_arguments: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(settings, "get", away)
    with capture_logs() as logs:
        assert await recall_calendars(database, AWAY, NOW) == {"night": Copy()}
    assert [(one["event"], one["error"]) for one in logs] == [("calendar.copy_ignored", "gone")]
