"""What the rule ``deterioration`` finds in how a brand stands, and how it explains itself."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from listener.alerts.detection.detect import TICKET, detect, implied_fall, next_look, odds
from listener.alerts.detection.evidence import Wealth
from listener.alerts.detection.rules import RULE_TYPES, Blind, Deterioration, HighRisk
from listener.alerts.detection.standing import Standing, volume_score
from listener.alerts.detection.sums import moment
from listener.domain import Channel, Condition, Severity, Signal
from tests.alerting import NOW, RULE, Followed, ballot, ballots, followed, history, minutes, turned

BAD, CONTENT = 18, 2  # of 20 voices in the last hour


def standing_of(rule: Deterioration = RULE, *, bad: int = BAD, count: int = 20) -> Standing:
    """Three quiet weeks, and then so many bad voices within the hour."""
    return followed(rule).count(NOW, ballots(count, NOW, bad=bad, every_secs=60))


def sure(standing: Standing, logarithm: float) -> Standing:
    """The same with so much evidence."""
    ln = (logarithm,) * len(standing.wealth.carried)
    none = (0.0,) * len(ln)
    wealth = Wealth(tick=standing.tick, carried=ln, opened=none, lead=ln, since=(standing.tick - 7,) * len(ln))
    return replace(standing, wealth=wealth)


def found(standing: Standing, rule: Deterioration = RULE, *, blind: bool = False) -> Signal:
    return detect(rule, brand="acme", standing=standing, now=NOW, blind=blind)


def limit_of(standing: Standing, rule: Deterioration = RULE) -> tuple[float, float]:
    """The evidence that wakes somebody, and the ticks a month that it was made from."""
    strength = found(standing, rule).strength
    assert strength is not None
    return strength.limit, strength.ticks_per_month


LIMIT, _ = limit_of(standing_of())


@pytest.mark.parametrize(
    ("evidence", "severity"),
    [
        (0.0, None),
        (LIMIT - TICKET - 0.01, None),
        (LIMIT - TICKET + 0.01, Severity.WARNING),
        (LIMIT - 0.01, Severity.WARNING),
        (LIMIT + 0.01, Severity.CRITICAL),
        (700.0, Severity.CRITICAL),
    ],
)
def test_a_page_asks_for_the_whole_evidence_and_a_ticket_for_a_tenth(
    evidence: float, severity: Severity | None
) -> None:
    signal = found(sure(standing_of(), evidence))
    assert signal.severity is severity
    assert (signal.condition is Condition.BREACHED) is (severity is not None)
    assert signal.channels == (() if severity is None else (Channel.EVIDENCE,))


@pytest.mark.parametrize(("bad", "breached"), [(0, False), (5, False), (8, True), (20, True)])
def test_what_no_longer_burns_wakes_nobody_whatever_was_proven(bad: int, breached: bool) -> None:
    """The budget is 25 %, and burning is a quarter more than that."""
    signal = found(sure(standing_of(bad=bad), LIMIT + 5))
    assert (signal.condition is Condition.BREACHED) is breached


@given(st.floats(0, 20), st.floats(0, 20))
def test_more_evidence_is_never_milder(some: float, more: float) -> None:
    standing = standing_of()
    before, after = (found(sure(standing, ln)).severity for ln in (some, some + more))
    assert before is None or (after is not None and before.rank <= after.rank)


def test_the_limit_keeps_the_promise_on_false_alarms() -> None:
    standing = standing_of()
    limit, ticks = limit_of(standing)
    assert limit == pytest.approx(math.log(ticks / 0.5))
    rarely, _ = limit_of(standing, RULE.model_copy(update={"false_alarms_per_month": 0.05}))
    assert rarely == pytest.approx(limit + math.log(10))
    busy, more = limit_of(standing_of(count=2000))
    assert busy > limit
    assert ticks < more <= 30 * 288


def volume_at(score: float) -> tuple[Standing, Deterioration]:
    """A brand of which so many negative mentions come that the score is what a ticket or a page needs, and its rule.

    ``score`` is in units of what wakes somebody.
    """
    brand = followed(now=NOW - timedelta(days=2))
    for at in minutes(NOW - timedelta(days=2), 2 * 288):
        brand.count(at, ballots(2, at, bad=1, first=int(at.timestamp())))
    standing = brand.count(NOW, ballots(60, NOW, bad=20, every_secs=30))
    reached = volume_score(standing) or 0.0
    limits = {"volume_critical": reached / score, "volume_warning": 0.8 * reached / score}
    return standing, RULE.model_copy(update=limits)


@pytest.mark.parametrize(("score", "severity"), [(0.7, None), (0.9, Severity.WARNING), (1.1, Severity.CRITICAL)])
def test_the_number_alone_can_be_a_ticket_or_a_page(score: float, severity: Severity | None) -> None:
    standing, rule = volume_at(score)
    signal = found(sure(standing, 0.0), rule)
    assert signal.severity is severity
    if severity is None:
        assert signal.condition is Condition.UNKNOWN  # many, if not enough: that is no calm
    else:
        assert signal.channels == (Channel.VOLUME,)
        assert signal.onset_at == moment(standing.tick - 36)
        assert "negative mentions in 3 hours where" in signal.reason


def test_two_tickets_by_both_channels_are_one_page_that_names_both() -> None:
    standing, rule = volume_at(0.9)
    signal = found(sure(standing, limit_of(standing, rule)[0] - 1), rule)
    assert signal.severity is Severity.CRITICAL
    assert signal.channels == (Channel.EVIDENCE, Channel.VOLUME)
    assert signal.onset_at == moment(standing.tick - 7)  # the evidence knows better when it began


def test_where_the_number_is_not_watched_it_has_no_score() -> None:
    standing, rule = volume_at(1.1)
    signal = found(sure(standing, 0.0), rule.model_copy(update={"volume": False}))
    assert signal.severity is None
    assert signal.strength is not None
    assert signal.strength.volume is None


def test_perception_that_falls_too_fast_fires_though_the_risk_is_as_usual() -> None:
    """Nobody tells of harm, and nobody is content any more."""
    sour = [replace(one, polarity=-0.6) for one in ballots(40, NOW, bad=8, every_secs=60)]
    limited = RULE.model_copy(update={"points_per_hour": 30.0})
    signal = followed(limited).look(NOW, sour)
    assert (signal.severity, signal.channels) == (Severity.CRITICAL, (Channel.EVIDENCE,))
    assert signal.strength is not None
    hour, day = signal.strength.rates
    assert (hour.threshold, hour.implied, day.implied) == (30.0, False, True)
    assert hour.points is not None
    assert hour.points < -60
    assert signal.strength.burn_hour is not None
    assert signal.strength.burn_hour < 1
    assert followed().look(NOW, sour).severity is None


@pytest.mark.parametrize("limit", ["points_per_hour", "points_per_day"])
def test_a_fall_below_the_users_threshold_does_not_fire(limit: str) -> None:
    sour = [replace(one, polarity=0.2) for one in ballots(40, NOW, bad=8, every_secs=60)]
    assert followed(RULE.model_copy(update={limit: 60.0})).look(NOW, sour).severity is None


def test_nobody_spoke_is_unknown_and_never_calm() -> None:
    signal = followed().look(NOW)
    assert signal.condition is Condition.UNKNOWN
    assert (signal.observed, signal.low, signal.high, signal.perception, signal.mentions) == (None, None, None, None, 0)
    assert signal.expected == pytest.approx(0.19, abs=0.01)
    assert signal.reason.startswith("nobody has spoken for a day; 19% is usual (from 480 earlier mentions)")
    assert Followed().look(NOW).condition is Condition.UNKNOWN


def test_blind_is_blind_whether_anybody_spoke_or_not() -> None:
    assert followed().look(NOW, blind=True).condition is Condition.BLIND
    signal = followed().look(NOW, ballots(20, NOW, bad=2, every_secs=60), blind=True)
    assert (signal.condition, signal.severity) == (Condition.BLIND, None)
    assert signal.reason.startswith("sources fail, so what is missing is not known; ")


def test_a_breach_is_told_though_the_brand_is_half_blind() -> None:
    signal = found(sure(standing_of(), LIMIT + 1), blind=True)
    assert (signal.condition, signal.severity) == (Condition.BREACHED, Severity.CRITICAL)


@pytest.mark.parametrize(("bad", "condition"), [(2, Condition.CALM), (4, Condition.CALM), (7, Condition.UNKNOWN)])
def test_calm_is_within_the_budget(bad: int, condition: Condition) -> None:
    assert followed().look(NOW, ballots(20, NOW, bad=bad, every_secs=60)).condition is condition


def test_after_a_day_of_silence_a_brand_is_not_calm_any_more() -> None:
    brand = followed()
    brand.count(NOW, ballots(20, NOW, bad=2, every_secs=60))
    assert brand.look(NOW + timedelta(hours=20)).condition is Condition.CALM
    assert brand.look(NOW + timedelta(hours=26)).condition is Condition.UNKNOWN


def test_with_ten_the_last_hour_is_shown_and_with_fewer_the_last_day() -> None:
    long_ago = ballots(5, NOW - timedelta(hours=5), bad=5, first=100)
    hour = followed().look(NOW, [*long_ago, *ballots(10, NOW, bad=1, every_secs=60)])
    day = followed().look(NOW, [*long_ago, *ballots(9, NOW, bad=1, every_secs=60)])
    assert (hour.mentions, hour.negative, hour.window_end_at - hour.window_start_at) == (10, 1, timedelta(hours=1))
    assert (day.mentions, day.negative, day.window_end_at - day.window_start_at) == (14, 6, timedelta(days=1))


def test_a_signal_carries_all_its_numbers() -> None:
    signal = turned().look(NOW)
    assert (signal.brand, signal.rule, signal.mentions, signal.negative) == ("acme", "deterioration", 30, 24)
    assert signal.low is not None
    assert signal.high is not None
    assert signal.observed is not None
    assert signal.low < signal.observed <= signal.high
    # The mean risk is 73 %; a scorer that is never sure shows less of a rise than there is (see budget.share).
    assert 0.73 <= signal.observed <= 1.0
    assert signal.perception == pytest.approx(100 * (24 / 30 * -0.8 + 6 / 30 * 0.6))
    assert signal.perception_before == pytest.approx(33.2, abs=0.2)
    assert signal.onset_at == NOW - timedelta(minutes=25)
    assert (signal.position, signal.spoke_at) == (510, NOW)
    strength = signal.strength
    assert strength is not None
    assert (strength.false_alarms_per_month, strength.volume_limit) == (0.5, 7.0)
    assert strength.budget == pytest.approx(0.25, abs=0.05)
    assert strength.burn_hour is not None
    assert strength.burn_hour > 2
    assert f"{signal.observed:.0%} of 30 mentions in the last hour tell of a negative experience" in signal.reason
    assert f"19% is usual (from 480 earlier mentions), {strength.budget:.0%} is the budget" in signal.reason
    assert f"the evidence is {odds(strength.evidence)}, {odds(strength.limit)} wakes somebody" in signal.reason


def test_by_labels_the_share_is_that_of_the_labels() -> None:
    signal = turned(RULE.model_copy(update={"counts": "label"})).look(NOW)
    assert signal.observed == pytest.approx(24 / 30)
    assert "80% of 30 mentions in the last hour tell of a negative experience" in signal.reason


def test_a_signal_survives_json_exactly() -> None:
    kept = TypeAdapter(Signal)
    signal = turned().look(NOW)
    assert kept.validate_python(json.loads(json.dumps(kept.dump_python(signal, mode="json")))) == signal


def test_a_brand_without_history_says_that_it_assumes() -> None:
    assert "20% is usual (assumed, no history yet)" in Followed().look(NOW, ballots(5, NOW)).reason


def test_what_counts_is_the_risk_or_the_label() -> None:
    """The label may lie elsewhere than at one half: what is said to count decides."""
    labels = Deterioration(name="deterioration", budget=0.25, counts="label")
    lukewarm = [ballot(number, NOW, risk=0.4, negative=True) for number in range(10)]
    assert Followed(RULE).look(NOW, lukewarm).observed == pytest.approx(0.4)
    assert Followed(labels).look(NOW, lukewarm).observed == 1.0


def test_the_month_is_gone_when_it_burns_and_not_when_it_does_not() -> None:
    burning = turned().look(NOW).strength
    calm = followed().look(NOW, ballots(20, NOW, bad=2, every_secs=60)).strength
    assert burning is not None
    assert calm is not None
    assert burning.gone_hours is not None
    assert 0 < burning.gone_hours < 30 * 24
    assert calm.gone_hours is None


def test_the_implied_threshold_follows_from_the_budget() -> None:
    """Overspending the budget means that so many of the content turn, and say the worst."""
    standing = replace(standing_of(), usual=replace(standing_of().usual, mean=0.2))
    assert 0 < implied_fall(standing, 0.22) < implied_fall(standing, 0.4)
    assert implied_fall(replace(standing, usual=replace(standing.usual, mean=0.5)), 0.3) == 0.1


@pytest.mark.parametrize(
    ("logarithm", "words"),
    [(0.0, "1.0:1"), (math.log(3.5), "3.5:1"), (math.log(10), "10:1"), (math.log(12345), "12,345:1")],
)
def test_evidence_in_words(logarithm: float, words: str) -> None:
    assert odds(logarithm) == words


@pytest.mark.parametrize(
    ("silent", "wait"),
    [
        (timedelta(0), timedelta(minutes=5)),
        (timedelta(hours=1, minutes=59), timedelta(minutes=5)),
        (timedelta(hours=3), timedelta(hours=1)),
        (timedelta(days=3), timedelta(hours=6)),
        (None, timedelta(hours=6)),
    ],
)
def test_who_is_silent_is_looked_at_less_often(silent: timedelta | None, wait: timedelta) -> None:
    spoke = None if silent is None else (NOW - silent).timestamp()
    assert next_look(replace(standing_of(), spoke=spoke), NOW) == NOW + wait


@given(bad=st.integers(0, 30), count=st.integers(0, 30), blind=st.booleans())
def test_severity_channels_and_onset_come_with_a_breach_only(bad: int, count: int, blind: bool) -> None:
    some = ballots(count, NOW, bad=min(bad, count), every_secs=60) if count else []
    signal = followed().look(NOW, some, blind=blind)
    breached = signal.condition is Condition.BREACHED
    assert (signal.severity is not None) is (signal.channels != ()) is (signal.onset_at is not None) is breached


# -------------------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": 0.0},
        {"budget": 1.0},
        {"budget_ratio": 1.0},
        {"points_per_hour": 0.0},
        {"points_per_day": 201.0},
        {"false_alarms_per_month": 0.0},
        {"counts": "stars"},
        {"volume_critical": 5.0, "volume_warning": 6.0},
        {"resolve_after_secs": 10},
        {"treshold": 3},
        {"type": "volume"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Deterioration.model_validate({"name": "deterioration", **wrong})


def test_a_brands_own_thresholds_win_where_they_are_set() -> None:
    own = {"budget": 0.4, "points_per_hour": None, "points_per_day": 12.0, "false_alarms_per_month": 2.0}
    fitted = RULE.model_copy(update={"points_per_hour": 9.0}).for_brand(own)
    assert (fitted.budget, fitted.points_per_hour, fitted.points_per_day) == (0.4, 9.0, 12.0)
    assert fitted.false_alarms_per_month == 2.0
    assert HighRisk(name="high_risk").for_brand(own) == HighRisk(name="high_risk")


def test_a_threshold_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError):
        RULE.for_brand({"budget": 1.5})


def test_the_loader_finds_every_type_of_rule_by_its_name() -> None:
    assert {"deterioration": Deterioration, "high_risk": HighRisk, "blind": Blind} == RULE_TYPES


def test_history_makes_the_budget_where_none_is_set() -> None:
    brand = Followed(Deterioration(name="deterioration"))
    brand.count(NOW - timedelta(hours=1), history(NOW))
    signal = brand.look(NOW, ballots(12, NOW, bad=2, every_secs=60))
    assert signal.strength is not None
    assert signal.expected is not None
    assert signal.strength.budget == pytest.approx(1.25 * signal.expected, rel=0.1)
