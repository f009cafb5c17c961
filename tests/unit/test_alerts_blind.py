"""When a brand cannot be heard: a source that fails for long, weighed by what it used to bring."""

from datetime import UTC, datetime, timedelta

import pytest

from listener.alerts.detection.blind import Ear, blindness, deaf, is_blind
from listener.alerts.detection.rules import Blind
from listener.domain import Channel, Condition, Severity

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RULE = Blind(name="blind")


def ear(name: str, *, failing_secs: float | None = None, interval_secs: float = 60) -> Ear:
    since_at = None if failing_secs is None else NOW - timedelta(seconds=failing_secs)
    return Ear(source=name, interval_secs=interval_secs, failing_since_at=since_at)


@pytest.mark.parametrize(
    ("failing_secs", "interval_secs", "found"),
    [(None, 60, False), (899, 60, False), (900, 60, True), (1199, 600, False), (1200, 600, True)],
)
def test_a_source_is_deaf_after_two_intervals_and_never_before_its_time(
    failing_secs: float | None, interval_secs: float, found: bool
) -> None:
    one = ear("forum", failing_secs=failing_secs, interval_secs=interval_secs)
    assert deaf([one], RULE, NOW) == ((one,) if found else ())


def test_who_brought_half_of_what_is_heard_makes_a_brand_blind() -> None:
    large, small = ear("large", failing_secs=3600), ear("small")
    assert is_blind([large, small], [large], {"large": 50.0, "small": 50.0}, RULE)
    assert not is_blind([large, small], [large], {"large": 49.0, "small": 51.0}, RULE)
    assert not is_blind([large, small], [], {"large": 100.0}, RULE)


def test_who_brought_nothing_can_fail_for_ever() -> None:
    silent, loud = ear("silent", failing_secs=10**6), ear("loud")
    assert not is_blind([silent, loud], [silent], {"loud": 3.0}, RULE)


def test_while_nothing_was_heard_yet_every_source_counts_the_same() -> None:
    one, other, third = ear("one", failing_secs=3600), ear("other", failing_secs=3600), ear("third")
    assert not is_blind([one, other, third], [one], {}, RULE)
    assert is_blind([one, other, third], [one, other], {}, RULE)


def test_the_share_is_the_users() -> None:
    rule = RULE.model_copy(update={"share": 1.0})
    one, other = ear("one", failing_secs=3600), ear("other", failing_secs=3600)
    assert not is_blind([one, other], [one], {"one": 99.0, "other": 1.0}, rule)
    assert is_blind([one, other], [one, other], {"one": 99.0, "other": 1.0}, rule)


def test_the_finding_names_the_sources_and_since_when() -> None:
    ears = [ear("news", failing_secs=3600), ear("forum", failing_secs=7200), ear("reviews")]
    signal = blindness(RULE, brand="acme", ears=ears, failing=ears[:2], blind=True, now=NOW)
    assert (signal.condition, signal.severity) == (Condition.BREACHED, Severity.WARNING)
    assert (signal.channels, signal.sources) == ((Channel.SOURCES,), ("forum", "news"))
    assert signal.onset_at == signal.window_start_at == NOW - timedelta(hours=2)
    assert signal.reason.startswith("2 of 3 sources fail (forum, news), the first since 2026-03-02 10:00 UTC")


def test_a_small_source_that_fails_is_told_and_is_no_breach() -> None:
    ears = [ear("forum", failing_secs=7200), ear("reviews")]
    signal = blindness(RULE, brand="acme", ears=ears, failing=ears[:1], blind=False, now=NOW)
    assert (signal.condition, signal.severity, signal.channels) == (Condition.CALM, None, ())
    assert signal.sources == ("forum",)
    assert "1 of 2 sources fail (forum)" in signal.reason


def test_all_well_says_so() -> None:
    signal = blindness(RULE, brand="acme", ears=[ear("forum")], failing=(), blind=False, now=NOW)
    assert (signal.condition, signal.sources, signal.onset_at) == (Condition.CALM, (), None)
    assert signal.reason == "all 1 sources can be heard"
    assert signal.window_start_at < signal.window_end_at
