"""One look at one brand: what it makes of alerts, and what is left out of the usual. With the store played by lists."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.blind import Ear
from listener.alerts.detection.budget import BLOCK_TICKS
from listener.alerts.detection.rules import Blind, Deterioration, HighRisk, Rule
from listener.alerts.detection.standing import Fleet, Standing, evidence_of, from_json
from listener.domain import (
    Alert,
    AlertState,
    Ballot,
    Channel,
    Condition,
    Past,
    Reason,
    Repeats,
    Resolution,
    Severity,
    fingerprint,
)
from listener.pipeline.look import Case, Look, look, main_rule
from tests.alerting import NOW, RATED, RULE, ballot, ballots, history, minutes

ALERT = TypeAdapter(Alert)
TICK = timedelta(minutes=5)


@dataclass
class Watched:
    """A brand under its rules, look by look; ``restarts`` writes and reads everything back before each."""

    rules: Sequence[Rule] = (RULE,)
    restarts: bool = False
    alerting: bool = True
    fleet: Fleet = field(default_factory=Fleet)
    standing: Standing | None = None
    past: list[Past] = field(default_factory=list)
    alerts: dict[str, Alert] = field(default_factory=dict)
    told: list[tuple[datetime, Reason, Alert]] = field(default_factory=list)

    def look(self, now: datetime, some: Sequence[Ballot] = (), *, ears: Sequence[Ear] = ()) -> Look:
        if self.restarts and self.standing is not None:
            self.standing = from_json(json.loads(json.dumps(standings.as_json(self.standing))))
            self.alerts = {key: ALERT.validate_json(ALERT.dump_json(one)) for key, one in self.alerts.items()}
        needed = standings.needs_past(self.standing, some, rule=main_rule(self.rules), now=now)
        found = look(
            Case(
                brand="acme",
                rules=self.rules,
                standing=self.standing,
                ballots=some,
                fleet=self.fleet,
                now=now,
                alerting=self.alerting,
                past=self.past if needed else None,
                ears=ears,
                alerts=self.alerts,
            )
        )
        self.standing = found.standing
        self.past = sums.joined(self.past, found.counted.added)
        if found.left_out_from is not None:
            first = found.left_out_from
            self.past = [replace(one, left_out=one.left_out or one.sums.slot >= first) for one in self.past]
        for _, transition in found.transitions:
            if transition.alert is not None:
                self.alerts[transition.alert.fingerprint] = transition.alert
                if transition.reason is not None:
                    self.told.append((now, transition.reason, transition.alert))
        return found

    @property
    def reasons(self) -> list[Reason]:
        return [reason for _, reason, _ in self.told]


def watched(*rules: Rule, restarts: bool = False, alerting: bool = True) -> Watched:
    """A brand with three quiet weeks behind it."""
    brand = Watched(rules or (RULE,), restarts=restarts, alerting=alerting)
    brand.look(NOW - timedelta(hours=1), history(NOW))
    return brand


def turn(brand: Watched, at: datetime = NOW) -> None:
    """Within half an hour thirty voices, nearly all of them bad."""
    for now in minutes(at, 6):
        brand.look(now, ballots(5, now, bad=4, first=int(now.timestamp()), every_secs=20))


def calm(brand: Watched, start: datetime, *, hours: float) -> None:
    """Content voices, six an hour."""
    for now in minutes(start, int(hours * 6), step=10):
        brand.look(now, ballots(1, now, first=int(now.timestamp())))


def test_a_turn_pages_once_and_resolves_after_two_hours_within_the_budget() -> None:
    brand = watched()
    turn(brand)
    fired = [(reason, alert.severity) for _, reason, alert in brand.told]
    assert fired[0][0] is Reason.FIRST
    assert brand.alerts[fingerprint("acme", RULE.name)].severity is Severity.CRITICAL
    calm(brand, NOW + timedelta(minutes=40), hours=12)
    assert brand.reasons[-1] is Reason.RESOLVED
    assert brand.reasons.count(Reason.RESOLVED) == brand.reasons.count(Reason.FIRST) == 1
    ended_at, _, alert = brand.told[-1]
    assert alert.resolution is Resolution.RECOVERED
    assert alert.calm_since_at is not None
    assert ended_at - alert.calm_since_at >= timedelta(hours=2)


def test_two_hours_without_a_word_are_no_recovery_and_three_days_are_an_end_without_one() -> None:
    brand = watched()
    turn(brand)
    for hour in range(1, 80):
        brand.look(NOW + timedelta(hours=hour))
    *before, (ended_at, reason, alert) = brand.told
    assert all(one is not Reason.RESOLVED for _, one, _ in before)
    assert (reason, alert.resolution) == (Reason.RESOLVED, Resolution.NO_DATA)
    assert ended_at == NOW + timedelta(hours=73)  # the first look after three days


def test_after_the_end_evidence_is_gathered_anew_and_a_second_turn_opens_the_same_alert() -> None:
    brand = watched()
    turn(brand)
    calm(brand, NOW + timedelta(minutes=40), hours=12)
    assert brand.standing is not None
    assert evidence_of(brand.standing) < 3
    first = brand.told[-1][2]
    turn(brand, NOW + timedelta(hours=14))
    assert Reason.REOPENED in brand.reasons
    assert brand.reasons.count(Reason.FIRST) == 1
    assert brand.told[-1][2].id == first.id
    assert brand.told[-1][2].reopened == 1


def test_what_decided_is_kept_apart_from_what_is_gathered_anew() -> None:
    brand = watched()
    turn(brand)
    calm(brand, NOW + timedelta(minutes=40), hours=12)
    end = brand.told[-1][0]
    again = watched()
    turn(again)
    found = None
    for now in minutes(NOW + timedelta(minutes=40), 72, step=10):
        found = again.look(now, ballots(1, now, first=int(now.timestamp())))
        if now == end:
            break
    assert found is not None
    assert evidence_of(found.counted.standing) > 1
    assert evidence_of(found.standing) == 0.0


def test_a_firing_alert_is_left_out_of_the_usual_also_what_came_before_it_fired() -> None:
    brand = watched()
    turn(brand)
    onset = brand.told[0][2].signal.onset_at
    assert onset is not None
    out = [one.sums.slot for one in brand.past if one.left_out]
    assert out == [sums.tick_of(onset) // BLOCK_TICKS]
    for day in range(1, 4):
        at = NOW + timedelta(days=day)
        brand.look(at, ballots(12, at, bad=11, first=1000 * day, every_secs=60))
    assert brand.standing is not None
    assert brand.standing.usual.mean < 0.2
    assert sum(one.left_out for one in brand.past) == 4


def test_a_warning_is_not_left_out_of_the_usual() -> None:
    """Leaving out what chance makes bad would draw the usual downwards."""
    brand = watched()
    brand.look(NOW, ballots(12, NOW, bad=9, every_secs=20))
    assert [(reason, alert.severity) for _, reason, alert in brand.told] == [(Reason.FIRST, Severity.WARNING)]
    later = NOW + timedelta(minutes=5)
    brand.look(later, ballots(2, later, first=100))
    assert [one.sums.n for one in brand.past][-1] == 14.0
    assert not any(one.left_out for one in brand.past)


def test_a_competitor_is_followed_and_nobody_is_told() -> None:
    brand = watched(alerting=False)
    turn(brand)
    assert (brand.told, brand.alerts) == ([], {})
    assert brand.standing is not None
    assert evidence_of(brand.standing) > 7


def test_without_a_rule_of_deterioration_voices_are_counted_all_the_same() -> None:
    brand = watched(Blind(name="blind"))
    turn(brand)
    assert brand.told == []
    assert brand.standing is not None
    assert brand.standing.position == 510


# ---------------------------------------------------------------------------------------------------------- restarts


@given(
    rule=st.sampled_from([RULE, RATED]),
    looks=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 12), st.integers(0, 12)), max_size=25),
)
@settings(max_examples=40)
def test_a_restart_between_any_two_looks_changes_nothing_and_pages_nobody_again(
    rule: Deterioration, looks: list[tuple[int, int, int]]
) -> None:
    steady, restarting = watched(rule), watched(rule, restarts=True)
    at = NOW
    for passed, count, bad in looks:
        at += timedelta(minutes=passed)
        some = ballots(count, at, bad=min(bad, count), first=int(at.timestamp()), every_secs=30) if count else []
        found, again = steady.look(at, some), restarting.look(at, some)
        assert again == found
    assert restarting.told == steady.told
    assert restarting.standing == steady.standing
    assert restarting.reasons.count(Reason.FIRST) <= 1 + restarting.reasons.count(Reason.RESOLVED)


# ------------------------------------------------------------------------------------------------------------- blind


def failing(since_at: datetime) -> list[Ear]:
    return [Ear(source="forum", interval_secs=60, failing_since_at=since_at), Ear(source="reviews", interval_secs=60)]


def test_a_brand_whose_source_fails_becomes_blind_is_told_once_and_can_be_heard_again() -> None:
    blind = Blind(name="blind")
    brand = watched(RULE, blind)
    conditions = [brand.look(now, ears=failing(NOW)).signal.condition for now in minutes(NOW, 5)]
    assert conditions == [*[Condition.UNKNOWN] * 3, *[Condition.BLIND] * 2]
    assert brand.reasons == [Reason.FIRST]
    _, _, alert = brand.told[0]
    assert (alert.rule, alert.signal.channels, alert.signal.sources) == ("blind", (Channel.SOURCES,), ("forum",))
    well = [Ear(source="forum", interval_secs=60), Ear(source="reviews", interval_secs=60)]
    for now in minutes(NOW + timedelta(minutes=30), 2):
        found = brand.look(now, ears=well)
    assert not found.blind
    assert brand.reasons == [Reason.FIRST, Reason.RESOLVED]
    assert brand.told[-1][2].resolution is Resolution.RECOVERED


def test_while_blind_an_alert_neither_resolves_nor_is_closed_nor_does_the_volume_move() -> None:
    brand = watched(RULE, Blind(name="blind"))
    turn(brand)
    told = list(brand.told)
    assert brand.standing is not None
    kept = brand.standing.volume
    for hour in range(1, 120):
        found = brand.look(NOW + timedelta(hours=hour), ears=failing(NOW))
        assert found.blind
    assert brand.standing.volume == kept
    assert [alert.rule for _, _, alert in brand.told[len(told) :]] == ["blind"]
    assert brand.alerts[fingerprint("acme", RULE.name)].state is AlertState.FIRING


def test_without_the_rule_nobody_is_ever_blind() -> None:
    brand = watched(RULE)
    assert not brand.look(NOW + timedelta(days=1), ears=failing(NOW)).blind


# --------------------------------------------------------------------------------------------------------- high risk


def heavy(number: int, at: datetime, *, reach: int = 50_000) -> Ballot:
    return ballot(number, at, bad=True, reach=reach)


def test_one_heavy_mention_fires_once_and_expires() -> None:
    rule = HighRisk(name="high_risk", cooldown_secs=3600)
    brand = watched(RULE, rule)
    brand.look(NOW, [ballot(1, NOW, bad=True, reach=9), heavy(2, NOW)])
    (_, reason, alert), *_ = brand.told
    assert (reason, alert.rule, alert.severity) == (Reason.FIRST, "high_risk", Severity.WARNING)
    signal = alert.signal
    assert (signal.mention, signal.reach, signal.channels) == ("m00002", 50_000, (Channel.MENTION,))
    assert (signal.observed, signal.mentions) == (0.9, 1)
    assert signal.perception == pytest.approx(-80)
    for now in minutes(NOW + TICK, 14):
        brand.look(now)
    assert brand.reasons == [Reason.FIRST, Reason.RESOLVED]
    assert brand.told[-1][2].resolution is Resolution.EXPIRED


def test_a_heavy_mention_of_long_ago_fires_nothing() -> None:
    brand = watched(HighRisk(name="high_risk"))
    brand.look(NOW, [heavy(1, NOW - timedelta(hours=24))])
    assert brand.told == []
    brand.look(NOW, [heavy(2, NOW - timedelta(hours=23))])
    assert brand.reasons == [Reason.FIRST]


def test_a_repeat_may_fire_though_it_is_no_evidence() -> None:
    brand = watched(RULE, HighRisk(name="high_risk"))
    before = brand.standing
    assert before is not None
    found = brand.look(NOW, [replace(heavy(1, NOW), repeats=Repeats.AUTHOR)])
    assert brand.reasons == [Reason.FIRST]
    assert found.standing.wealth == before.wealth


def test_an_alert_is_over_within_the_budget_that_it_was_judged_by_and_not_because_the_budget_grew() -> None:
    """The fleet is in trouble too: what is usual would rise with it, and the budget."""
    brand = watched(Deterioration(name="deterioration"))
    for hour in range(60):
        brand.fleet = Fleet(x=min(0.2 + 0.02 * hour, 0.8))
        turn(brand, NOW + timedelta(hours=hour))
    assert Reason.FIRST in brand.reasons
    assert Reason.RESOLVED not in brand.reasons
    assert brand.standing is not None
    assert brand.standing.usual.budget < 0.5


def test_a_brand_without_history_is_not_called_bad_for_what_it_always_is() -> None:
    """Two of three of its customers complain, every day; what is assumed of it is no ground to wake anybody."""
    brand = Watched((Deterioration(name="deterioration", volume=False),))
    for number in range(60):
        now = NOW + timedelta(hours=number)
        brand.look(now, ballots(6, now, bad=4, first=10 * number, every_secs=300))
    assert brand.reasons == []
    assert brand.standing is not None
    assert brand.standing.usual.count >= 30


def test_a_budget_that_is_set_needs_no_history() -> None:
    brand = Watched((Deterioration(name="deterioration", budget=0.25),))
    turn(brand)
    turn(brand, NOW + timedelta(minutes=30))
    assert Reason.FIRST in brand.reasons
