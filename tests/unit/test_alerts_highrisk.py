"""One mention that fires by itself: when it does, how loudly, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.highrisk import Finding, judge, weigh
from listener.domain import Severity
from listener.domain.votes import Ballot, Repeats

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BALLOT = Ballot(mention="m1", source="forum", at=AT, risk=0.9, negative=True, polarity=-0.8, reach=20_000)

risks = st.floats(0, 1)
reaches = st.integers(0, 10**8)


def look(ballot: Ballot) -> Finding | None:
    return weigh(ballot, weight_min=10_000, reach_great=1_000_000)


@pytest.mark.parametrize(
    ("risk", "reach", "severity"),
    [
        (0.9, 11_000, None),
        (0.9, 20_000, Severity.WARNING),
        (0.5, 20_000, Severity.WARNING),
        (0.9, 200_000, Severity.CRITICAL),
        (0.2, 499_999, Severity.WARNING),
        (0.2, 500_000, Severity.CRITICAL),
        (0.0, 5_000_000, None),
    ],
)
def test_risk_times_reach_decides(risk: float, reach: int, severity: Severity | None) -> None:
    finding = look(replace(BALLOT, risk=risk, reach=reach))
    assert (finding.severity if finding else None) == severity


def test_an_author_of_great_reach_fires_below_the_weight_and_is_critical() -> None:
    finding = weigh(replace(BALLOT, risk=0.5, reach=1_000_000), weight_min=10**7, reach_great=1_000_000)
    assert finding is not None
    assert (finding.great, finding.severity, finding.weight) == (True, Severity.CRITICAL, 500_000)
    assert finding.reason == (
        "One mention at forum, risk 0.50, may be seen by 1,000,000 people; a great reach begins at 1,000,000; "
        "its weight of 500,000 (risk x reach) is below the limit of 10,000,000."
    )


def test_a_great_reach_needs_more_risk_than_not() -> None:
    assert weigh(replace(BALLOT, risk=0.49, reach=1_000_000), weight_min=10**7, reach_great=1_000_000) is None


def test_a_weight_says_its_numbers() -> None:
    finding = look(BALLOT)
    assert finding is not None
    assert (finding.ballot, finding.great) == (BALLOT, False)
    assert finding.reason == (
        "One mention at forum, risk 0.90, may be seen by 20,000 people; "
        "its weight of 18,000 (risk x reach) reaches the limit of 10,000."
    )


@given(risk=risks, reach=reaches)
def test_nothing_fires_without_a_known_reach_or_that_is_not_negative_or_in_doubt(risk: float, reach: int) -> None:
    ballot = replace(BALLOT, risk=risk, reach=reach)
    assert look(replace(ballot, reach=None)) is None
    assert look(replace(ballot, negative=False)) is None
    assert look(replace(ballot, doubtful=True)) is None


@pytest.mark.parametrize("repeats", [Repeats.AUTHOR, Repeats.CONVERSATION])
def test_a_repeated_voice_is_seen_again(repeats: Repeats) -> None:
    assert look(replace(BALLOT, repeats=repeats)) is not None


@given(risk=risks, reach=reaches, more=st.integers(0, 10**8))
def test_more_reach_never_makes_it_milder(risk: float, reach: int, more: int) -> None:
    less, greater = look(replace(BALLOT, risk=risk, reach=reach)), look(replace(BALLOT, risk=risk, reach=reach + more))
    if less is not None:
        assert greater is not None
        assert greater.severity.rank >= less.severity.rank


def test_of_several_the_heaviest_is_told_and_a_critical_one_before_any_warning() -> None:
    light = replace(BALLOT, mention="light")
    heavy = replace(BALLOT, mention="heavy", reach=90_000)
    great = replace(BALLOT, mention="great", risk=0.5, reach=100_000)
    silent = replace(BALLOT, mention="silent", reach=None)

    def heaviest(*ballots: Ballot) -> str | None:
        finding = judge(ballots, weight_min=10_000, reach_great=100_000)
        return finding.ballot.mention if finding else None

    assert heaviest(light, heavy, silent) == "heavy"
    assert heaviest(light, heavy, great) == "great"
    assert heaviest(silent) is None
    assert heaviest() is None


@given(st.permutations(range(4)))
def test_the_order_in_which_they_are_given_does_not_matter(order: list[int]) -> None:
    ballots = [
        replace(BALLOT, mention="b", at=AT),
        replace(BALLOT, mention="a", at=AT),
        replace(BALLOT, mention="c", at=AT - timedelta(minutes=1)),
        replace(BALLOT, mention="d", at=AT - timedelta(hours=1), reach=15_000),
    ]
    finding = judge([ballots[at] for at in order], weight_min=10_000, reach_great=1_000_000)
    assert finding is not None
    assert finding.ballot.mention == "c"
