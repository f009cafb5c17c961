"""What is drawn of an alert: bins that show when it began, the evidence as it was, and times on round clocks."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.intervals import wilson
from listener.alerts.detection.proof import replay
from listener.alerts.detection.standing import Origin
from listener.alerts.drawing.chart import BINS_MAX, BINS_MIN, Chart, chart
from listener.alerts.words.chart_texts import clean, days, mentions, moment, number, odds, summary, ticks
from listener.domain import Repeats, Vote

START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
TALLINN = ZoneInfo("Europe/Tallinn")


def vote(position: int, minute: float, *, negative: bool = False, **changes: Any) -> Vote:
    at = START + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "mention": f"m{position}",
        "source": "forum",
        "at": at,
        "risk": 0.9 if negative else 0.1,
        "negative": negative,
        "polarity": -0.8 if negative else 0.4,
        "position": position,
        "counted_at": at,
        "news": True,
        "budget": 0.25,
        "deff": 1.0,
    }
    return Vote(**{**values, **changes})


def story(calm_hours: int = 24, bad_minutes: int = 60) -> list[Vote]:
    """A vote every ten minutes, one in five of them negative; then a negative one every two minutes."""
    calm = [vote(number, 10 * number, negative=number % 5 == 0) for number in range(1, 6 * calm_hours + 1)]
    return calm + [
        vote(len(calm) + number, 60 * calm_hours + 2 * number, negative=True)
        for number in range(1, bad_minutes // 2 + 1)
    ]


def drawn(votes: list[Vote], **changes: Any) -> Chart:
    values: dict[str, Any] = {
        "usual": 0.2,
        "budget": 0.25,
        "onset_at": START + timedelta(hours=24),
        "decided_at": START + timedelta(hours=25),
        "limit": math.log(1000),
        "use_risk": False,
    }
    return chart(votes, **{**values, **changes})


@given(st.floats(1, 5e6), st.floats(0, 1), st.booleans())
def test_there_are_always_40_to_120_bins_and_all_marks_lie_in_them(minutes: float, when: float, onset: bool) -> None:
    decided = START + timedelta(minutes=minutes)
    began = START + timedelta(minutes=minutes * when) if onset else None
    for since in (None, START):
        found = drawn([vote(1, 0), vote(2, minutes)], onset_at=began, decided_at=decided, since_at=since)
        assert BINS_MIN <= len(found.bins) <= BINS_MAX
        assert found.start_at <= (began or decided) <= decided < found.end_at
        assert len(found.bins) * found.width_secs == (found.end_at - found.start_at).total_seconds()
        assert [one.start_at for one in found.bins] == sorted(one.start_at for one in found.bins)
        assert found.path[0].at == found.start_at
        assert found.path[-1].at == decided


def test_a_bin_holds_the_votes_of_its_time() -> None:
    found = drawn([*story(), vote(200, 24 * 60 + 30, negative=True, repeats=Repeats.AUTHOR)])
    assert found.width_secs == 600
    bad = next(one for one in found.bins if one.start_at == START + timedelta(hours=24, minutes=30))
    assert (bad.votes, bad.repeats, bad.total) == (5, 1, 5.0)
    assert sum(one.votes for one in found.bins if one.start_at >= START + timedelta(hours=24)) == 31


def test_few_votes_are_joined_by_earlier_ones_but_never_across_the_onset() -> None:
    found = drawn(story())
    at = {one.start_at: one for one in found.bins}
    calm, first = at[START + timedelta(hours=23)], at[START + timedelta(hours=24)]
    assert calm.share == pytest.approx(2 / 12)  # two hours of one vote in ten minutes
    assert (calm.low, calm.high) == wilson(2 / 12, 12)
    assert first.share == pytest.approx(4 / 5)  # the last calm vote is counted in the first bad bin
    assert found.share == 1.0


def test_the_first_bins_are_joined_by_what_is_not_drawn() -> None:
    found = drawn(story(), since_at=START + timedelta(hours=12))
    assert (found.bins[0].votes, found.bins[0].low, found.bins[0].high) == (1, *wilson(2 / 12, 12))


def test_long_silence_is_a_gap() -> None:
    found = drawn([vote(1, 0), vote(2, 24 * 60)], onset_at=None)
    assert found.bins[len(found.bins) // 2].share is None
    assert drawn([], onset_at=None).share is None


def test_the_path_is_the_evidence_of_the_replay_up_to_the_decision() -> None:
    votes = story()
    looks = replay(votes, use_risk=False)
    found = drawn(votes, since_at=START + timedelta(hours=20))
    before = [look.evidence for look in looks if look.counted_at < found.start_at]
    assert found.path[0].evidence == before[-1]
    assert [point.evidence for point in found.path[1:-1]] == [look.evidence for look in looks[len(before) :]]
    assert found.evidence == looks[-1].evidence > found.limit
    earlier = drawn(votes, decided_at=START + timedelta(hours=24, minutes=10))
    assert earlier.path[-1].evidence < found.evidence


def test_the_path_begins_where_the_evidence_stood_at_its_origin() -> None:
    votes = story()
    whole, looks = drawn(votes), replay(votes, use_risk=False)
    middle = next(look for look in looks if look.counted_at > whole.start_at + timedelta(hours=2))
    origin = Origin(position=middle.position, wealth=middle.wealth, wealth_rate=middle.wealth_rate)
    found = drawn(votes, origin=origin)
    assert found.bins == whole.bins
    assert found.path[0].evidence == middle.evidence
    assert found.path[1:] == whole.path[-len(found.path) + 1 :]


def test_history_lies_where_it_was_written_and_is_no_evidence() -> None:
    at = START + timedelta(hours=24)
    votes = [vote(number, 10 * number, negative=True, news=False, counted_at=at) for number in range(1, 145)]
    found = drawn(votes)
    assert max(one.votes for one in found.bins) <= 2
    assert found.evidence == 0.0


def test_the_calm_before_is_shown_long_enough_to_compare() -> None:
    quick, slow = drawn(story(48)), drawn(story(48), onset_at=START + timedelta(hours=20))
    assert START + timedelta(hours=11, minutes=30) <= quick.start_at <= START + timedelta(hours=12)
    assert slow.start_at == START
    assert drawn(story(48), onset_at=None).start_at == START + timedelta(hours=1)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (-1.0, "1 : 1"),
        (math.log(9.7), "10 : 1"),
        (math.log(3000), "3 000 : 1"),
        (math.log(96_000), "10⁵ : 1"),
        (math.log(2e6), "2·10⁶ : 1"),
        (800.0, "3·10³⁴⁷ : 1"),
    ],
)
def test_evidence_is_told_as_odds(evidence: float, words: str) -> None:
    assert odds(evidence) == words
    assert number(evidence) == words.removesuffix(" : 1")


def test_the_three_numbers_that_matter_come_first() -> None:
    found = drawn(story())
    assert summary(found, "en") == "100% negative now, 20% is usual, 25% is the budget"
    assert summary(found, "et") == "praegu on negatiivseid 100%, tavaliselt 20%, lubatud on 25%"
    assert summary(drawn([]), "en") == "20% negative is usual, 25% is the budget"
    assert summary(drawn([]), "et") == "negatiivseid on tavaliselt 20%, lubatud on 25%"


def test_what_the_bars_count_is_told_in_words() -> None:
    wanted = {
        1: ("Mentions per 5 minutes", "Mainimisi 5 minuti kohta"),
        100: ("Mentions per hour", "Mainimisi tunni kohta"),
        200: ("Mentions per 2 hours", "Mainimisi 2 tunni kohta"),
        2400: ("Mentions per day", "Mainimisi ööpäeva kohta"),
        24 * 300: ("Mentions per 3 days", "Mainimisi 3 ööpäeva kohta"),
    }
    for hours, words in wanted.items():
        found = drawn([], since_at=START, decided_at=START + timedelta(hours=hours), onset_at=None)
        assert (mentions(found, "en"), mentions(found, "et")) == words


def test_times_carry_their_zone_and_their_day_where_it_is_another() -> None:
    found = drawn(story(), decided_at=START + timedelta(hours=25))
    assert moment(found.decided_at, found, "en", UTC) == "01:00 UTC"
    assert moment(START, found, "en", UTC) == "2 Mar 00:00 UTC"
    assert moment(START, found, "et", TALLINN) == "2. märts 02:00 EET"
    assert days(found, "et", TALLINN) == "2. märts – 3. märts 2026, EET"
    same_day = drawn(story(), since_at=START + timedelta(hours=24))
    assert days(same_day, "en", ZoneInfo("America/New_York")) == "2 Mar 2026, EST"


@given(st.floats(1, 1e6), st.integers(3, 12))
def test_ticks_are_few_and_within_the_chart(minutes: float, most: int) -> None:
    found = drawn([vote(1, 0)], decided_at=START + timedelta(minutes=minutes), onset_at=None, since_at=START)
    for zone in (UTC, TALLINN):
        times = [at for at, _ in ticks(found, "en", zone, most=most)]
        assert len(times) <= most + 1
        assert all(found.start_at <= at <= found.end_at for at in times)
        assert times == sorted(times)


def test_ticks_stay_round_when_summer_time_begins() -> None:
    night = datetime(2026, 3, 28, 18, 0, tzinfo=UTC)
    found = drawn([], since_at=night, decided_at=night + timedelta(hours=14), onset_at=None)
    labels = [label for _, label in ticks(found, "et", TALLINN, most=6)]
    assert labels == ["21:00", "29. märts", "03:00", "06:00", "09:00"]


def test_a_title_cannot_drive_a_terminal() -> None:
    assert clean("Acme\x1b[2J\u202e!") == "Acme[2J!"
