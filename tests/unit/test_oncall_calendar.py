"""An iCalendar read into turns: what calendars hold, and what a hostile one tries."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.alerts.oncall.calendar import Calendar, CalendarError, OnCall, read_calendar

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PEOPLE = {"mari": "Mari Tamm", "jaan": "Jaan", "m_saar": "Mari", "ott": "Õtt Öö"}
SPARE_SECS = 20.0  # far more than it takes, far less than what is refused would


def calendar(*parts: str) -> bytes:
    lines = "".join(parts)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{lines}END:VCALENDAR\r\n".encode()


def event(summary: str, *lines: str, uid: str = "1") -> str:
    body = "".join(f"{line}\r\n" for line in lines)
    return f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:{summary}\r\n{body}END:VEVENT\r\n"


def read(*parts: str, zone: str = "Europe/Tallinn", now: datetime = NOW) -> Calendar:
    return read_calendar(calendar(*parts), people=PEOPLE, zone=zone, now=now)


def turns(*parts: str) -> list[tuple[str, str, str]]:
    """Person, start and end in UTC."""
    return [
        (one.person, f"{one.starts_at:%Y-%m-%d %H:%M}", f"{one.ends_at:%Y-%m-%d %H:%M}") for one in read(*parts).turns
    ]


DAY = ("DTSTART:20261201T080000Z", "DTEND:20261201T200000Z")
AT_DAY = ("2026-12-01 08:00", "2026-12-01 20:00")


@pytest.mark.parametrize(
    ("summary", "people"),
    [
        ("mari", ["mari", "m_saar"]),  # one's slug is the other's name: both are meant
        ("On call: Mari Tamm (backup: JAAN)", ["mari", "jaan"]),
        ("MARI   TAMM", ["mari"]),
        ("jaanuar", []),
        ("Jaan's week", ["jaan"]),
        ("Jaan/õtt öö", ["jaan", "ott"]),
        ("õTT O\u0308\u00f6", ["ott"]),  # the same letters, put together otherwise
        ("m_saar", ["m_saar"]),
        ("Team lunch", []),
        ("", []),
    ],
)
def test_an_event_is_for_those_whom_its_title_names_as_whole_words(summary: str, people: list[str]) -> None:
    assert sorted(person for person, *_ in turns(event(summary, *DAY))) == sorted(people)


def test_events_that_overlap_put_all_of_them_on_call() -> None:
    found = read(
        event("Jaan", *DAY),
        event("Mari Tamm", "DTSTART:20261201T180000Z", "DTEND:20261202T080000Z", uid="2"),
    )
    assert found.on_call(datetime(2026, 12, 1, 17, 59, tzinfo=UTC)) == ("jaan",)
    assert found.on_call(datetime(2026, 12, 1, 18, tzinfo=UTC)) == ("jaan", "mari")
    assert found.on_call(datetime(2026, 12, 1, 20, tzinfo=UTC)) == ("mari",)
    assert found.on_call(datetime(2026, 12, 2, 8, tzinfo=UTC)) == ()


def test_it_says_when_others_are_on_call() -> None:
    found = read(event("Jaan", *DAY), event("Jaan", "DTSTART:20261201T200000Z", "DURATION:PT2H", uid="2"))
    assert found.changes_at(NOW) == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert found.changes_at(datetime(2026, 12, 1, 9, tzinfo=UTC)) == datetime(2026, 12, 1, 22, tzinfo=UTC)
    assert found.changes_at(datetime(2026, 12, 1, 23, tzinfo=UTC)) == NOW + timedelta(days=400)


HOURS = st.integers(-5, 12)
SHORT_TURNS = st.lists(st.tuples(st.sampled_from(["jaan", "mari", "ott"]), HOURS, st.integers(1, 5)), max_size=8)


def copy_of(some: Sequence[tuple[str, int, int]], *, ends_at: datetime = NOW + timedelta(hours=14)) -> Calendar:
    """Turns by person, from so many hours after now on, so many hours long."""
    hour = timedelta(hours=1)
    taken = sorted((NOW + start * hour, NOW + (start + length) * hour, who) for who, start, length in some)
    return Calendar(
        turns=tuple(OnCall(person=who, starts_at=start, ends_at=end) for start, end, who in taken),
        starts_at=NOW - timedelta(days=1),
        ends_at=ends_at,
    )


@given(some=SHORT_TURNS, half_hours=st.integers(-12, 30))
def test_others_are_on_call_when_it_says_and_not_before(some: list[tuple[str, int, int]], half_hours: int) -> None:
    """As who looks every half hour sees it, however turns of one person overlap or touch."""
    found = copy_of(some)
    half = timedelta(minutes=30)
    at = NOW + half_hours * half
    looks = [at + number * half for number in range(1, 80)]
    expected = next((one for one in looks if set(found.on_call(one)) != set(found.on_call(at))), max(at, found.ends_at))
    assert found.changes_at(at) == expected


def test_until_when_somebody_is_on_call_takes_a_few_passes_over_the_turns_however_many_there_are() -> None:
    passes = []

    class Counted(tuple[OnCall, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[OnCall]:
            passes.append(len(self))
            return super().__iter__()

    known = copy_of([("jaan", number, 1) for number in range(500)], ends_at=NOW + timedelta(days=400))
    found = Calendar(turns=Counted(known.turns), starts_at=known.starts_at, ends_at=known.ends_at)
    assert found.changes_at(NOW) == NOW + timedelta(hours=500)
    assert 0 < len(passes) <= 5


def test_a_weekly_turn_keeps_its_local_time_over_the_change_of_the_clock() -> None:
    start = ("DTSTART;TZID=Europe/Tallinn:20261019T090000", "DTEND;TZID=Europe/Tallinn:20261026T090000")
    text = calendar(event("Jaan", *start, "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=2"))
    found = read_calendar(text, people=PEOPLE, zone="UTC", now=datetime(2026, 10, 20, tzinfo=UTC))
    assert [(one.starts_at, one.ends_at) for one in found.turns] == [
        (datetime(2026, 10, 19, 6, tzinfo=UTC), datetime(2026, 10, 26, 7, tzinfo=UTC)),
        (datetime(2026, 11, 2, 7, tzinfo=UTC), datetime(2026, 11, 9, 7, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;COUNT=3",
        "FREQ=DAILY;UNTIL=20261203T080000Z",
        "FREQ=DAILY;UNTIL=20261204T075959Z",
        "FREQ=WEEKLY;BYDAY=TU,WE,TH;COUNT=3",
    ],
)
def test_a_rule_ends_where_it_says(rule: str) -> None:
    found = turns(event("Jaan", *DAY, f"RRULE:{rule}"))
    assert [start for _, start, _ in found] == [f"2026-12-0{day} 08:00" for day in (1, 2, 3)]


def test_a_rule_that_began_long_ago_and_has_been_counted_down_is_over() -> None:
    old = ("DTSTART:20261001T080000Z", "DURATION:PT1H")
    assert turns(event("Jaan", *old, "RRULE:FREQ=DAILY;COUNT=30")) == []
    assert len(turns(event("Jaan", *old, "RRULE:FREQ=DAILY;COUNT=60"))) == 8  # to November 29th


def test_a_rule_without_an_end_reaches_as_far_as_a_copy_does() -> None:
    found = read(event("Jaan", *DAY, "RRULE:FREQ=DAILY"))
    assert found.ends_at == NOW + timedelta(days=400)
    assert found.turns[-1].starts_at == datetime(2028, 1, 2, 8, tzinfo=UTC)


def test_dates_taken_out_moved_and_called_off_are_not_anybodys() -> None:
    series = event("Jaan", *DAY, "RRULE:FREQ=DAILY;COUNT=5", "EXDATE:20261202T080000Z")
    swapped = event("Mari Tamm", "RECURRENCE-ID:20261203T080000Z", "DTSTART:20261203T090000Z", "DURATION:PT1H")
    off = event("-", "RECURRENCE-ID:20261204T080000Z", "DTSTART:20261204T080000Z", "DURATION:PT1H", "STATUS:CANCELLED")
    assert turns(series, swapped, off, event("Jaan", *DAY, "STATUS:CANCELLED", uid="2")) == [
        ("jaan", *AT_DAY),
        ("mari", "2026-12-03 09:00", "2026-12-03 10:00"),
        ("jaan", "2026-12-05 08:00", "2026-12-05 20:00"),
    ]


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (("DTSTART;VALUE=DATE:20261201", "DTEND;VALUE=DATE:20261203"), "2026-11-30 22:00", "2026-12-02 22:00"),
        (("DTSTART;VALUE=DATE:20261201",), "2026-11-30 22:00", "2026-12-01 22:00"),
        (("DTSTART;VALUE=DATE:20270328", "DURATION:P1D"), "2027-03-27 22:00", "2027-03-28 21:00"),  # 23 hours
        (("DTSTART:20261201T100000", "DTEND:20261201T120000"), "2026-12-01 08:00", "2026-12-01 10:00"),
        (("DTSTART:20270328T033000", "DTEND:20270328T060000"), "2027-03-28 01:00", "2027-03-28 03:00"),  # skipped
        (
            ("DTSTART;TZID=FLE Standard Time:20261201T100000", "DURATION:PT1H"),
            "2026-12-01 08:00",
            "2026-12-01 09:00",
        ),
        (
            ("DTSTART;TZID=America/New_York:20261201T100000", "DURATION:PT1H"),
            "2026-12-01 15:00",
            "2026-12-01 16:00",
        ),
    ],
    ids=["days", "one day", "short day", "floating", "floating, skipped", "a Windows zone", "another zone"],
)
def test_days_and_times_without_a_zone_are_the_schedules(lines: tuple[str, ...], start: str, end: str) -> None:
    assert turns(event("Jaan", *lines)) == [("jaan", start, end)]


def test_a_zone_that_the_calendar_defines_itself_counts() -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Own\r\nBEGIN:STANDARD\r\nDTSTART:16011028T040000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;"
        "BYMONTH=10\r\nTZOFFSETFROM:+0400\r\nTZOFFSETTO:+0300\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    assert turns(zone, event("Jaan", "DTSTART;TZID=Own:20261201T100000", "DURATION:PT1H")) == [
        ("jaan", "2026-12-01 07:00", "2026-12-01 08:00")
    ]


def test_other_peoples_oddities_do_not_matter() -> None:
    odd = event("Backup", *DAY, "RRULE:FREQ=SECONDLY", uid="odd")
    strange = event("Team lunch", "DTSTART;TZID=Mars:20261201T080000", "DURATION:PT1H", uid="strange")
    assert turns(odd, strange, event("Jaan", *DAY)) == [("jaan", *AT_DAY)]


# --------------------------------------------------------------------------------------------------- what is refused

ZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Z{n}\r\nBEGIN:STANDARD\r\nDTSTART:00010101T000000\r\nTZOFFSETFROM:+0200\r\n"
    "TZOFFSETTO:+0300\r\nRRULE:{rule}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
SECONDS = ",".join(f"20261201T{at // 3600:02}{at // 60 % 60:02}{at % 60:02}Z" for at in range(20_000))
HOSTILE = {
    "nothing": (b"", "no readable iCalendar"),
    "a web page": (b"<html>sign in</html>", "no readable iCalendar"),
    "bytes": (bytes(range(256)) * 100, "no readable iCalendar"),
    "two calendars": (calendar() * 2, "no readable iCalendar"),
    "no start": (calendar(event("Jaan")), "no readable iCalendar"),
    "too large": (calendar(event("x" * 1024 * 1024, *DAY)), "larger than 1024 KiB"),
    "deep": (calendar("BEGIN:VEVENT\r\n" * 50_000), "too deeply"),
    "every second": (calendar(event("Jaan", *DAY, "RRULE:FREQ=SECONDLY")), "more often than daily"),
    "no interval": (calendar(event("Jaan", *DAY, "RRULE:FREQ=DAILY;INTERVAL=0")), "no interval"),
    "never": (calendar(event("Jaan", *DAY, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")), "never come"),
    "counted, never": (calendar(event("Jaan", *DAY, "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3")), "never come"),
    "never, by the week": (calendar(event("Jaan", *DAY, "RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=FR")), "never come"),
    "many times a day": (
        calendar(event("Jaan", *DAY, f"RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5,6;BYMINUTE={','.join(map(str, range(60)))}")),
        "takes too long",
    ),
    "since ever": (
        calendar(*(event("Jaan", "DTSTART:19800101T080000Z", "RRULE:FREQ=DAILY", uid=f"{n}") for n in range(5))),
        "takes too long",
    ),
    "many rules": (calendar(*(event("Jaan", *DAY, "RRULE:FREQ=DAILY", uid=f"{n}") for n in range(200))), "too long"),
    "long and often": (
        calendar(event("Jaan", "DTSTART:20261201T080000Z", "DURATION:P400D", "RRULE:FREQ=DAILY")),
        "longer than a year",
    ),
    "many dates": (calendar(event("Jaan", *DAY, f"RDATE:{SECONDS}")), "single dates"),
    "many exceptions": (calendar(event("Jaan", *DAY, "RRULE:FREQ=DAILY", f"EXDATE:{SECONDS}")), "single dates"),
    "many events": (calendar(*(event("Jaan", *DAY, uid=f"{n}") for n in range(2001))), "more than 2000 events"),
    "unknown zone": (
        calendar(event("Jaan", "DTSTART;TZID=Mars:20261201T080000", "DURATION:PT1H")),
        "time zone is unknown",
    ),
    "zone by the second": (calendar(ZONE.format(n=1, rule="FREQ=SECONDLY")), "not a plain yearly one"),
    "zone by lists": (calendar(ZONE.format(n=1, rule="FREQ=YEARLY;BYSECOND=1,2,3")), "not a plain yearly one"),
    "folded zone": (calendar(ZONE.format(n=1, rule="FREQ=SEC\r\n ONDLY")), "not a plain yearly one"),
    "many zones": (calendar(*(ZONE.format(n=n, rule="FREQ=YEARLY") for n in range(101))), "more than 100 rules"),
    "endless": (calendar(event("Jaan", "DTSTART:20261201T080000Z", "DURATION:P9999999999W")), "no readable iCalendar"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_calendar_or_too_much_of_one_is_refused_in_time(name: str) -> None:
    text, said = HOSTILE[name]
    started = time.perf_counter()
    with pytest.raises(CalendarError, match=said):
        read_calendar(text, people=PEOPLE, zone="Europe/Tallinn", now=NOW)
    assert time.perf_counter() - started < SPARE_SECS


def test_the_error_does_not_hold_what_the_calendar_says() -> None:
    with pytest.raises(CalendarError) as caught:
        read(event("Jaan", "DTSTART:secret"))
    assert "secret" not in str(caught.value)


PIECES = st.sampled_from(
    [
        *("BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "BEGIN:VALARM", "END:VALARM", "UID:1"),
        *("SUMMARY:Jaan", "SUMMARY:Mari Tamm", "DTSTART:20261201T080000Z", "DTSTART;VALUE=DATE:20261201", "DTEND:1"),
        *("DTSTART;TZID=Mars:20261201T080000", "DTEND:20261101T080000Z", "DURATION:PT1H", "DURATION:-P1W", "DURATION:"),
        *("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY;BYDAY=XX", "RRULE:COUNT=2", "RRULE:FREQ=DAILY;COUNT=-1", "RRULE:"),
        *("RRULE:FREQ=YEARLY;BYMONTH=13", "RRULE:FREQ=MONTHLY;BYSETPOS=999", "RRULE:FREQ=DAILY;UNTIL=x", "EXDATE:x"),
        *("RDATE:20261202T080000Z", "RDATE;VALUE=PERIOD:20261202T080000Z/PT1H", "EXDATE:20261201", "TZID:Own", ":"),
        *("RECURRENCE-ID:20261201T080000Z", "STATUS:CANCELLED", "SEQUENCE:x", "RRULE:FREQ=DAILY;UNTIL=20261203", ";"),
        *("X-WR-TIMEZONE:Mars", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261202T080000Z", "RRULE:FREQ=DAILY;INTERVAL=x"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(PIECES, max_size=12), whole=st.booleans())
def test_whatever_it_holds_it_is_read_or_refused(lines: list[str], whole: bool) -> None:
    body = [f"{line}\r\n" for line in lines]
    text = event("Jaan", *lines) if whole else "".join(body)
    try:
        found = read(text)
    except CalendarError:
        return
    assert all(one.starts_at < one.ends_at and one.person in PEOPLE for one in found.turns)
