"""When the digest is due, and what it says."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from listener.alerts.detection.budget import Block
from listener.alerts.detection.drift import digest, drift
from listener.alerts.wire import schemas
from listener.alerts.wire.digest import digest_payload, due_day
from listener.alerts.wire.payload import as_json
from tests.alerting import NOW, alert

TALLINN = ZoneInfo("Europe/Tallinn")
BLOCK = 80_000


def history(before: float, recent: float, *, per_block: float = 100.0) -> list[Block]:
    """Twelve weeks: eight with one share, four with another."""
    shares = [before] * 224 + [recent] * 112
    first = BLOCK - len(shares)
    return [
        Block(first + number, per_block, share * per_block, share * per_block) for number, share in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("utc", "made", "day"),
    [
        ("2026-03-02T05:59", None, None),
        ("2026-03-02T06:00", None, date(2026, 3, 2)),
        ("2026-03-02T06:00", "2026-03-01", date(2026, 3, 2)),
        ("2026-03-02T06:01", "2026-03-02", None),
        ("2026-03-02T11:59", "2026-03-01", date(2026, 3, 2)),
        ("2026-03-02T12:00", "2026-03-01", None),
        ("2026-07-02T04:59", None, None),
        ("2026-07-02T05:00", None, date(2026, 7, 2)),
    ],
)
def test_it_is_due_once_a_day_from_its_local_time_on_and_not_much_later(
    utc: str, made: str | None, day: date | None
) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert due_day(now, at="08:00", zone=TALLINN, made=made) == day


@pytest.mark.parametrize(
    ("utc", "made", "day"),
    [
        ("2026-03-02T21:49", "2026-03-01", None),
        ("2026-03-02T21:50", "2026-03-01", date(2026, 3, 2)),
        ("2026-03-02T22:05", "2026-03-01", date(2026, 3, 2)),  # five past midnight
        ("2026-03-02T22:05", "2026-03-02", None),
        ("2026-03-03T03:49", None, date(2026, 3, 2)),
        ("2026-03-03T03:50", "2026-03-01", None),
        ("2026-03-29T02:49", "2026-03-27", date(2026, 3, 28)),  # six hours, of which the clock skips one
        ("2026-03-29T03:50", "2026-03-27", None),
    ],
)
def test_what_was_missed_late_in_the_evening_is_made_up_for_over_midnight(
    utc: str, made: str | None, day: date | None
) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert due_day(now, at="23:50", zone=TALLINN, made=made) == day


def test_in_the_night_when_the_hour_is_skipped_it_still_comes_once() -> None:
    """Clocks in Tallinn jump from 3:00 to 4:00 on 29 March 2026."""
    start = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
    made: str | None = "2026-03-28"
    days = []
    for minute in range(24 * 60):
        day = due_day(start + timedelta(minutes=minute), at="03:30", zone=TALLINN, made=made)
        if day is not None:
            days.append(day)
            made = day.isoformat()
    assert days == [date(2026, 3, 29)]


def test_it_names_slow_falls_with_their_numbers_and_the_open_alerts_in_both_languages() -> None:
    drifts = {
        "acme": drift(history(0.15, 0.30), now_block=BLOCK),
        "bolt": drift(history(0.15, 0.15), now_block=BLOCK),
    }
    content = digest_payload(
        digest(drifts),
        looked_at=2,
        alpha=0.1,
        alerts=[alert(brand="bolt")],
        titles={"acme": "Acme", "bolt": "Bolt"},
        day=date(2026, 3, 2),
        now=NOW + timedelta(hours=5),
    )
    document = as_json(content)
    Draft202012Validator(schemas.load("digest")).validate(document)
    assert [one.brand for one in content.drifting] == ["acme"]
    assert content.drifting[0].before == pytest.approx(0.15)
    assert content.drifting[0].recent == pytest.approx(0.30)
    assert content.drifting[0].low > 0.1
    assert [one.brand for one in content.open_alerts] == ["bolt"]
    assert "Acme: 30% of" in content.text["en"].body
    assert "Bolt: critical, for 5 h." in content.text["en"].body
    assert "Acme: nelja nädala" in content.text["et"].body
    assert "Bolt: kriitiline, kestab 5 t." in content.text["et"].body


def test_a_calm_day_says_that_it_is_calm() -> None:
    content = digest_payload([], looked_at=3, alpha=0.1, alerts=[], titles={}, day=date(2026, 3, 2), now=NOW)
    assert content.text["en"].title == "Digest: all calm"
    assert content.text["et"].title == "Päevakokkuvõte: kõik on rahulik"
