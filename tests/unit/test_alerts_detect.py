"""What the rule ``negative_share`` sees in windows, and how it explains itself."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from listener.alerts.detect import PRIOR_SHARE, detect, limit, usual_of, wilson
from listener.alerts.rules import RULE_TYPES, NegativeShare
from listener.domain import Condition, Severity, Signal, Window

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RULE = NegativeShare(name="share")


def window(ago_secs: float, volume: int, negative: int, *, length_secs: float = 300) -> Window:
    """A window that ended ``ago_secs`` before NOW; a negative voice counts -1, any other +1."""
    end_at = NOW - timedelta(seconds=ago_secs)
    return Window(
        brand="acme",
        start_at=end_at - timedelta(seconds=length_secs),
        end_at=end_at,
        volume=volume,
        negative=negative,
        polarity_sum=float(volume - 2 * negative),
    )


def history(share: float, *, per_hour: int = 20, days: int = 28) -> list[Window]:
    """Hourly windows with the same share throughout."""
    return [window(3600 * hour, per_hour, round(share * per_hour), length_secs=3600) for hour in range(days * 24)]


def look(volume: int, negative: int, baseline: list[Window] | None = None, usual_share: float | None = None) -> Signal:
    """What the rule says of one recent window."""
    recent = [window(0, volume, negative)]
    past = history(0.2) if baseline is None else baseline
    return detect(RULE, brand="acme", recent=recent, baseline=past, usual_share=usual_share, now=NOW)


@pytest.mark.parametrize(
    ("volume", "negative", "condition", "severity"),
    [
        (0, 0, Condition.UNKNOWN, None),
        (9, 9, Condition.UNKNOWN, None),
        (10, 1, Condition.CALM, None),
        (100, 20, Condition.CALM, None),
        (100, 35, Condition.UNKNOWN, None),
        (100, 48, Condition.BREACHED, Severity.WARNING),
        (100, 80, Condition.BREACHED, Severity.CRITICAL),
    ],
)
def test_the_share_is_judged_against_the_usual_20_percent(
    volume: int, negative: int, condition: Condition, severity: Severity | None
) -> None:
    """Too few, as usual, more than usual but perhaps by chance, clearly more, and far more."""
    signal = look(volume, negative)
    assert (signal.condition, signal.severity) == (condition, severity)


def test_a_signal_carries_all_its_numbers() -> None:
    signal = look(100, 80)
    assert (signal.brand, signal.rule, signal.mentions, signal.observed) == ("acme", "share", 100, 0.8)
    assert signal.expected == pytest.approx(0.2)
    assert signal.low is not None
    assert signal.high is not None
    assert signal.low < 0.8 < signal.high
    assert (signal.perception, signal.perception_before) == (-60.0, 60.0)
    assert (signal.window_start_at, signal.window_end_at) == (NOW - timedelta(hours=1), NOW)
    assert "80 of 100 mentions are negative (80%)" in signal.reason
    assert "20% is usual (from 12960 earlier mentions)" in signal.reason
    assert "the limit is 40%" in signal.reason


def test_silence_has_numbers_too() -> None:
    signal = look(0, 0)
    assert (signal.observed, signal.low, signal.high, signal.perception) == (None, None, None, None)
    assert signal.expected == pytest.approx(0.2)
    assert "0 mentions in the window are too few to judge (10 are needed)" in signal.reason


def test_only_the_window_of_the_rule_is_judged() -> None:
    """Windows that touch the last hour count, older and later ones do not."""
    recent = [window(-300, 50, 50), window(0, 10, 0), window(3300, 10, 0), window(3599, 10, 0), window(3600, 50, 50)]
    signal = detect(RULE, brand="acme", recent=recent, baseline=history(0.2), now=NOW)
    assert (signal.mentions, signal.observed) == (30, 0.0)


def test_the_last_day_is_left_out_of_the_baseline() -> None:
    """A slow start of trouble must not become usual."""
    trouble = [
        replace(one, negative=one.volume) if one.end_at > NOW - timedelta(hours=24) else one for one in history(0.1)
    ]
    assert look(100, 50, trouble).expected == pytest.approx(0.1, abs=0.001)


def test_what_is_older_than_the_baseline_does_not_count() -> None:
    old = [window(3600 * 24 * 29, 1000, 1000, length_secs=3600)]
    assert look(100, 50, [*history(0.1), *old]).expected == pytest.approx(0.1, abs=0.001)


def test_a_young_brand_is_compared_with_all_before_the_rules_window() -> None:
    """Three hours of history: the hour that is judged is not its own yardstick."""
    young = [window(3600 * hour, 40, 40 if hour == 0 else 4, length_secs=3600) for hour in range(3)]
    assert look(40, 40, young).expected == pytest.approx((8 + 4) / (80 + 20))


def test_without_history_the_usual_is_assumed_and_says_so() -> None:
    signal = look(100, 80, [])
    assert signal.expected == PRIOR_SHARE
    assert "assumed, there is no history yet" in signal.reason


def test_the_users_own_figure_wins_over_history() -> None:
    signal = look(100, 48, history(0.2), usual_share=0.5)
    assert (signal.condition, signal.expected) == (Condition.CALM, 0.5)
    assert signal.perception_before == 60.0
    assert "50% is usual (as configured)" in signal.reason


def test_a_brand_that_most_people_scold_can_still_breach() -> None:
    """1.5 times 60 % is near the top and twice is above it: the limits are mirrored there."""
    assert limit(0.6, 1.5) == pytest.approx(1 - 0.4 / 1.5)
    assert limit(0.6, 2.0) == pytest.approx(0.8)
    assert look(200, 190, usual_share=0.6).severity is Severity.CRITICAL


def test_next_to_nothing_doubled_is_nothing_to_wake_for() -> None:
    assert look(100, 3, history(0.0)).condition is Condition.CALM


@given(share=st.floats(0, 1), ratio=st.floats(1.01, 20), more=st.floats(0, 20))
def test_limits_are_above_the_usual_and_in_order(share: float, ratio: float, more: float) -> None:
    assert share - 1e-12 <= limit(share, ratio) <= limit(share, ratio + more) + 1e-12
    assert limit(share, ratio) <= 1.0


@given(mentions=st.integers(1, 10_000), data=st.data(), confidence=st.floats(0.5, 0.9999))
def test_wilson_bounds_hold_the_share_and_stay_shares(mentions: int, data: st.DataObject, confidence: float) -> None:
    negative = data.draw(st.integers(0, mentions))
    low, high = wilson(negative, mentions, confidence)
    assert 0.0 <= low <= negative / mentions + 1e-12
    assert negative / mentions - 1e-12 <= high <= 1.0


def test_wilson_agrees_with_a_published_value() -> None:
    """15 of 148 at 95 %: 0.0624 to 0.1605 (Newcombe 1998, Statistics in Medicine 17, table I, method 3)."""
    low, high = wilson(15, 148, 0.95)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), max_size=14))
def test_more_negative_mentions_never_calm(counts: list[tuple[int, float]]) -> None:
    """Turning every mention negative never gives a milder finding."""
    mild = [window(300 * index, volume, int(volume * share)) for index, (volume, share) in enumerate(counts)]
    harsh = [replace(one, negative=one.volume) for one in mild]
    order = [Condition.CALM, Condition.UNKNOWN, Condition.BREACHED]
    first = detect(RULE, brand="acme", recent=mild, baseline=history(0.2, days=3), now=NOW)
    second = detect(RULE, brand="acme", recent=harsh, baseline=history(0.2, days=3), now=NOW)
    if first.mentions >= RULE.mentions_min:
        assert order.index(second.condition) >= order.index(first.condition)
    assert math.isfinite(second.expected or 0.0)


def test_the_basis_is_the_beta_posterior() -> None:
    usual = usual_of(RULE, [window(2 * 86400, 30, 30, length_secs=3600)], usual_share=None, now=NOW)
    assert usual.share == pytest.approx((30 + 4) / (30 + 20))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ratio": 1.0},
        {"ratio": 3.0, "ratio_critical": 2.0},
        {"mentions_min": 0},
        {"confidence": 1.0},
        {"window_secs": 86400, "baseline_secs": 86400},
        {"treshold": 3},
        {"type": "volume"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NegativeShare.model_validate({"name": "share", **wrong})


def test_the_loader_finds_every_type_of_rule_by_its_name() -> None:
    assert {name: model.model_fields["type"].default for name, model in RULE_TYPES.items()} == {
        "negative_share": "negative_share"
    }
