"""Calendars as they are read: from a server that may misbehave or from a file, and the last good copy that stays."""

import gzip
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from listener.alerts.oncall.calendar import CalendarError
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.config.oncall import Person, Schedule
from listener.pipeline.calendars import Copy, calendars_of, fetch_calendar, is_due, refresh_calendars
from tests.misbehaving import Document, Misbehaving, misbehaving

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATH = "/calendar/secret-token.ics"


def text(person: str, *, events: int = 1) -> bytes:
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{count}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:{person}\r\n"
        "DTSTART:20261128T080000Z\r\nDTEND:20261130T080000Z\r\nEND:VEVENT\r\n"
        for count in range(events)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{body}END:VCALENDAR\r\n".encode()


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    async with misbehaving() as opened:
        yield opened


def policy(**calendar: Any) -> Policy:
    return Policy(
        receivers={"phone": ReceiverKind()},
        people={"mari": Person(title="Mari", receivers=("phone",)), "jaan": Person(title="Jaan", receivers=("phone",))},
        schedules={
            "night": Schedule(timezone="Europe/Tallinn", calendar_minutes=15, fallback="jaan", **calendar),
            "rota": Schedule(timezone="UTC", people=("mari",), start=datetime.fromisoformat("2026-01-05T09:00")),
        },
    )


def on_call(chosen: Policy, copies: dict[str, Copy], at: datetime = NOW) -> tuple[str, ...]:
    return chosen.duty("night", at, calendars_of(copies)).people


async def test_a_calendar_is_read_when_it_is_due_and_not_before(server: Misbehaving) -> None:
    chosen = policy(calendar=SecretStr(server.serve(PATH, text("Mari"))))
    copies = await refresh_calendars(fetch_calendar, chosen, {}, NOW)
    assert list(copies) == ["night"]
    assert on_call(chosen, copies) == ("mari",)
    server.serve(PATH, text("Jaan and Mari"))
    again = await refresh_calendars(fetch_calendar, chosen, copies, NOW + 14 * MINUTE)
    assert again == copies
    assert len(server.requests) == 1
    later = await refresh_calendars(fetch_calendar, chosen, copies, NOW + 15 * MINUTE)
    assert on_call(chosen, later) == ("jaan", "mari")
    assert later["night"].read_at == NOW + 15 * MINUTE


async def test_the_last_good_copy_stays_and_failure_and_recovery_are_logged_once_each(server: Misbehaving) -> None:
    chosen = policy(calendar=SecretStr(server.serve(PATH, text("Mari"))))
    with capture_logs() as logs:
        copies = await refresh_calendars(fetch_calendar, chosen, {}, NOW)
        server.serve(PATH, b"<html>sign in</html>")
        for tries in range(3):
            copies = await refresh_calendars(fetch_calendar, chosen, copies, NOW + (15 + 5 * tries) * MINUTE)
            assert on_call(chosen, copies) == ("mari",)
            assert copies["night"].failing_since_at == NOW + 15 * MINUTE
        server.serve(PATH, text("Jaan"))
        for tries in range(2):
            copies = await refresh_calendars(fetch_calendar, chosen, copies, NOW + (30 + 15 * tries) * MINUTE)
            assert on_call(chosen, copies) == ("jaan",)
    assert [one["event"] for one in logs] == ["calendar.read", "calendar.failed", "calendar.read"]
    assert copies["night"].error is None
    assert len(server.requests) == 6
    assert "secret-token" not in str(logs)


async def test_a_failing_calendar_that_is_read_daily_is_tried_again_within_minutes(server: Misbehaving) -> None:
    daily = (
        policy(calendar=SecretStr(server.url(PATH))).schedules["night"].model_copy(update={"calendar_minutes": 1440})
    )
    copy = Copy(tried_at=NOW, read_at=NOW)
    failing = replace(copy, failing_since_at=NOW, error="answers HTTP 500")
    assert (is_due(daily, copy, NOW + 5 * MINUTE), is_due(daily, failing, NOW + 5 * MINUTE)) == (False, True)
    assert is_due(daily, failing, NOW + 4 * MINUTE) is False
    assert is_due(daily, copy, NOW - MINUTE) is True  # the clock was set back


async def test_before_the_first_good_copy_the_fallback_is_on_call(server: Misbehaving) -> None:
    chosen = policy(calendar=SecretStr(server.serve(PATH, Document(body=b"", status=503))))
    copies = await refresh_calendars(fetch_calendar, chosen, {}, NOW)
    assert on_call(chosen, copies) == ("jaan",)
    assert copies["night"].error == "answers HTTP 503"


async def test_a_calendar_may_be_a_file_and_gone_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "oncall.ics"
    path.write_bytes(text("Mari"))
    chosen = policy(calendar_file=path)
    copies = await refresh_calendars(fetch_calendar, chosen, {}, NOW)
    path.unlink()
    copies = await refresh_calendars(fetch_calendar, chosen, copies, NOW + 15 * MINUTE)
    assert on_call(chosen, copies) == ("mari",)
    assert copies["night"].error == f"cannot be read ({os.strerror(2)})"


async def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "oncall.ics"
    with path.open("wb") as file:
        file.truncate(1024**4)
    copies = await refresh_calendars(fetch_calendar, policy(calendar_file=path), {}, NOW)
    assert copies["night"].error == "is larger than 1024 KiB"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_followed(server: Misbehaving, status: int) -> None:
    server.serve(PATH, text("Mari"))
    start = server.serve("/start", Document(body=b"", status=status, headers=(("location", PATH),)))
    assert await fetch_calendar(start) == text("Mari")


async def test_a_compressed_calendar_is_read(server: Misbehaving) -> None:
    packed = Document(body=gzip.compress(text("Mari")), headers=(("content-encoding", "gzip"),))
    assert await fetch_calendar(server.serve(PATH, packed)) == text("Mari")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (Document(body=b"", status=404), "answers HTTP 404"),
        (Document(body=b"x" * (1024 * 1024 + 1)), "larger than 1048576 bytes"),
        (Document(body=b"", status=302, headers=(("location", "file:///etc/passwd"),)), "redirects to another scheme"),
        (Document(body=b"", status=302, headers=(("location", "ftp://example.test/"),)), "redirects to another scheme"),
        (Document(body=b"", status=302, headers=(("location", PATH),)), "redirects more than 5 times"),
        (Document(body=b"", status=302, headers=(("location", "http://[secret"),)), "gives no answer"),
        (Document(body=b"secret", headers=(("content-encoding", "secret!"),)), "malformed content encoding"),
    ],
    ids=["missing", "large", "file", "ftp", "loop", "broken", "encoding"],
)
async def test_what_cannot_be_had_is_said_without_the_address(
    server: Misbehaving, document: Document, said: str
) -> None:
    with pytest.raises(CalendarError, match=said) as caught:
        await fetch_calendar(server.serve(PATH, document))
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1/secret.ics", "gives no answer"),
        ("webcal://127.0.0.1:1/secret.ics", "gives no answer"),
        ("file:///secret.ics", "not http, https or webcal"),
        ("secret", "not http, https or webcal"),
        ("http://[secret", "gives no answer"),
    ],
)
async def test_an_address_that_leads_nowhere_is_said_without_it(address: str, said: str) -> None:
    with pytest.raises(CalendarError, match=said) as caught:
        await fetch_calendar(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/gzip-bomb", "/endless", "/garbage", "/drop", "/hang", "/partial", "/partial-gzip", "/endless-headers"]
)
async def test_a_server_that_misbehaves_costs_little(
    server: Misbehaving, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.pipeline.calendars.READ_SECS", 0.2)
    chosen = policy(calendar=SecretStr(server.url(path)))
    copies = await refresh_calendars(fetch_calendar, chosen, {}, NOW)
    assert copies["night"].error is not None
    assert "127.0.0.1" not in copies["night"].error
