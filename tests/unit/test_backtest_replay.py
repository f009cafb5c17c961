"""The daemon's looks in memory."""

from datetime import datetime, timedelta

import pytest

from listener.alerts.detection.rules import DEFAULT_RULES, Deterioration, HighRisk
from listener.alerts.detection.standing import Fleet
from listener.backtest import Heard, Track, replay
from listener.backtest.replay import Follower
from listener.domain import Reason, Severity
from listener.pipeline.look import Look
from tests.backtesting import START, ballot, history

TROUBLE = history(24, 60, bad=range(20, 22))


def test_trouble_fires_when_it_comes_and_resolves_when_it_goes() -> None:
    events = replay([Track(brand="acme", rules=DEFAULT_RULES, heard=TROUBLE)])
    assert {event.reason for event in events} >= {Reason.FIRST, Reason.RESOLVED}
    assert events[0].reason is Reason.FIRST
    began = START + timedelta(days=20)
    pages = [event for event in events if event.severity is Severity.CRITICAL and event.reason is not Reason.RESOLVED]
    assert began < pages[0].at < began + timedelta(days=1)
    assert events[-1].reason is Reason.RESOLVED


def test_nothing_said_is_nothing_told() -> None:
    assert replay([]) == []
    assert replay([Track(brand="acme", rules=DEFAULT_RULES, heard=())]) == []


def test_a_competitor_is_followed_and_nobody_is_told() -> None:
    looks: list[Look] = []
    events = replay(
        [Track(brand="acme", rules=DEFAULT_RULES, heard=TROUBLE, alerting=False)],
        on_look=lambda _now, found: looks.append(found),
    )
    assert events == []
    assert sum(len(found.counted.votes) for found in looks) == len(TROUBLE)


def test_it_ends_when_it_is_told_to() -> None:
    until = START + timedelta(days=20)
    assert all(
        event.at <= until for event in replay([Track(brand="a", rules=DEFAULT_RULES, heard=TROUBLE)], until=until)
    )


def test_what_came_late_is_counted_late() -> None:
    late = [Heard(one.at + timedelta(hours=30), one.ballot) for one in TROUBLE]
    counted: list[bool] = []
    events = replay(
        [Track(brand="acme", rules=DEFAULT_RULES, heard=late)],
        on_look=lambda _now, found: counted.extend(vote.news for vote in found.counted.votes),
    )
    assert not any(counted)  # all of it is history: older than a day when it comes
    assert events == []


def test_a_brand_without_history_begins_with_what_is_usual_for_the_fleet() -> None:
    usual: dict[str, float] = {}

    def note(now: datetime, found: Look) -> None:
        if now > START + timedelta(days=11):
            usual.setdefault(found.signal.brand, found.counted.standing.usual.mean)

    new = [one for one in history(12, 20, share=0.1, seed=2) if one.at > START + timedelta(days=11)]
    old = history(12, 100, share=0.5)
    tracks = [Track(brand="new", rules=[Deterioration(name="d")], heard=new, alerting=False)]
    replay([*tracks, Track(brand="old", rules=[Deterioration(name="d")], heard=old, alerting=False)], on_look=note)
    assert usual["new"] == pytest.approx(usual["old"], abs=0.05)
    replay(tracks, fleet=Fleet(x=0.9), on_look=lambda now, found: usual.update({str(now): found.signal.expected or 0}))
    assert usual[str(START + timedelta(days=11, hours=12))] == pytest.approx(0.9)


def test_a_copy_goes_on_as_the_original_would() -> None:
    """And what one of them hears, the other does not."""
    fleet = Fleet()
    begin = START + timedelta(days=20)
    before = [one.ballot for one in TROUBLE if one.at <= begin]
    after = [one for one in TROUBLE if one.at > begin]
    original = Follower("acme", DEFAULT_RULES)
    original.look(begin, before, fleet)
    copy = original.copy(begin)
    ends = []
    for follower in (copy, original):
        events = []
        for hour in range(1, 49):
            now = begin + timedelta(hours=hour)
            heard = [one.ballot for one in after if now - timedelta(hours=1) < one.at <= now]
            events += follower.look(now, heard, fleet)[1]
        ends.append((follower.standing, follower.alerts, events))
    assert ends[0] == ends[1]
    assert ends[0][2]


def test_a_single_mention_of_great_reach_is_told_as_it_is_by_the_daemon() -> None:
    loud = ballot("loud", START, negative=True, reach=5_000_000)
    events = replay([Track(brand="acme", rules=[HighRisk(name="reach")], heard=[Heard(START, loud)])])
    assert [(event.reason, event.signal.mention) for event in events] == [
        (Reason.FIRST, "loud"),
        (Reason.RESOLVED, None),
    ]
