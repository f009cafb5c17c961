"""Summing up: which weeks were quiet, how much earlier than volume, in words."""

from datetime import date, timedelta

import pytest

from listener.alerts.detection.rules import DEFAULT_RULES, Deterioration
from listener.backtest.compare import Outcome, Page, RuleSet, compare
from listener.backtest.weeks import Day, weeks
from listener.backtest.words import sentence, span
from listener.domain import Channel, Reason
from tests.backtesting import START, history

MONDAY = START.date()


def day(negative: int, counted: int = 100, budget: float = 0.25) -> Day:
    return Day(
        votes=counted,
        counted=counted,
        negative=negative,
        x=float(negative),
        budget=budget * counted,
        deff=1.0 * counted,
    )


def page(lead_minutes: float | None, *, quiet: bool = False, deteriorated: bool = True) -> Page:
    return Page(
        at=START,
        reason=Reason.FIRST,
        rule="deterioration",
        channels=(Channel.EVIDENCE,),
        deteriorated=deteriorated,
        quiet=quiet,
        volume_at=None if lead_minutes is None else START + timedelta(minutes=lead_minutes),
    )


def outcome(*pages: Page) -> Outcome:
    return Outcome(brand="acme", rules="configured", pages=pages, tickets=0, alerts=(), weeks=(), volume_pages=0)


def test_a_week_within_its_budget_and_its_usual_number_is_quiet() -> None:
    days = {MONDAY + timedelta(number): day(15) for number in range(28)}
    assert [week.quiet for week in weeks(days)] == [True] * 4
    assert weeks(days)[1].usual == pytest.approx(105)


def test_a_week_above_its_budget_is_not_quiet_though_its_number_is_usual() -> None:
    days = {MONDAY + timedelta(number): day(15, counted=100 if number < 7 else 40) for number in range(14)}
    assert [week.quiet for week in weeks(days)] == [True, False]


def test_a_week_with_many_more_complaints_than_usual_is_not_quiet_though_it_is_within_its_budget() -> None:
    days = {
        MONDAY + timedelta(number): day(10 if number < 7 else 30, counted=100 if number < 7 else 300)
        for number in range(14)
    }
    assert [week.quiet for week in weeks(days)] == [True, False]


def test_part_of_a_week_is_compared_with_as_many_days() -> None:
    days = {MONDAY + timedelta(number): day(15) for number in range(9)}
    assert weeks(days)[1].usual == pytest.approx(30)
    assert weeks(days)[1].quiet


def test_days_in_which_nobody_spoke_belong_to_their_week() -> None:
    found = weeks({MONDAY: day(5), MONDAY + timedelta(20): day(5)})
    assert [(week.begins, week.votes, week.quiet) for week in found] == [
        (MONDAY, 100, True),
        (MONDAY + timedelta(7), 0, True),
        (MONDAY + timedelta(14), 100, True),
    ]
    assert weeks({}) == []
    assert weeks({date(2026, 1, 11): day(1)})[0].begins == MONDAY


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ((), "would never have paged"),
        (
            (page(41, quiet=True), page(30, quiet=True), page(120)),
            "would have paged 3 times, 41 minutes earlier than volume, twice in quiet weeks",
        ),
        ((page(-10),), "would have paged once, 10 minutes later than volume, never in a quiet week"),
        ((page(0, quiet=True),), "would have paged once, at the same time as volume, once in a quiet week"),
        ((page(None),), "would have paged once, volume never fired, never in a quiet week"),
        (
            (page(180), page(None)),
            "would have paged twice, 3 hours earlier than volume, for 1 of 2 volume never fired, never in a quiet week",
        ),
        ((page(None, deteriorated=False),), "would have paged once, never in a quiet week"),
    ],
)
def test_it_is_said_in_a_sentence(pages: tuple[Page, ...], said: str) -> None:
    assert sentence(outcome(*pages)) == said


def test_time_is_told_in_the_unit_that_fits() -> None:
    assert [span(60), span(119 * 60), span(3 * 3600), span(72 * 3600)] == [
        "1 minute",
        "119 minutes",
        "3 hours",
        "3.0 days",
    ]


def test_sets_of_rules_are_compared_on_the_same_votes() -> None:
    heard = {"acme": history(24, 60, bad=range(20, 22))}
    strict = [Deterioration(name="deterioration", budget=0.97, volume=False)]
    sets = [
        RuleSet(name="configured", rules={"acme": DEFAULT_RULES}),
        RuleSet(name="strict", rules={"acme": strict}),
    ]
    outcomes, told = compare(heard, sets, alerting={})
    assert [(one.rules, bool(one.pages), one.votes) for one in outcomes] == [
        ("configured", True, 24 * 60),
        ("strict", False, 24 * 60),
    ]
    assert outcomes[0].pages[0].at.date() == (START + timedelta(days=20)).date()
    assert {event.brand for event in told} == {"acme"}
    (first, *_), (second, *_) = (one.weeks for one in outcomes)
    assert first == second  # one yardstick
    assert not [week.quiet for week in outcomes[0].weeks][2]
    assert outcomes[0].quiet_pages == 0


def test_volume_is_watched_though_the_rules_do_not() -> None:
    """A flood of complaints: volume fires, and how much later or earlier is known."""
    heard = {"acme": history(21, 60, bad=range(20, 21), bad_share=0.9)}
    flood = history(21, 600, bad=range(20, 21), bad_share=0.9, seed=3)
    heard["acme"] = sorted(
        [*heard["acme"], *(one for one in flood if one.at > START + timedelta(days=20, hours=12))],
        key=lambda one: (one.at, one.ballot.mention),
    )
    with_volume, _ = compare(heard, [RuleSet(name="a", rules={"acme": [Deterioration(name="d")]})], alerting={})
    without, _ = compare(
        heard, [RuleSet(name="a", rules={"acme": [Deterioration(name="d", volume=False)]})], alerting={}
    )
    assert with_volume[0].volume_pages == without[0].volume_pages == 1
    assert without[0].leads_secs
    assert without[0].leads_secs[0] > 0


def test_only_what_is_told_from_a_time_on_counts() -> None:
    heard = {"acme": history(24, 60, bad=range(20, 22))}
    sets = [RuleSet(name="configured", rules={"acme": DEFAULT_RULES})]
    outcomes, told = compare(heard, sets, alerting={}, since_at=START + timedelta(days=23))
    assert all(event.at >= START + timedelta(days=23) for event in told)
    assert outcomes[0].pages == ()
    assert [week.begins for week in outcomes[0].weeks] == [MONDAY + timedelta(21)]
