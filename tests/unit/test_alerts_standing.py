"""How a brand stands: counted bit by bit or at once, kept and read back, it is the same; and what counts as what."""

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.alerts.detection import standing as standings
from listener.alerts.detection.budget import BLOCK_TICKS, LEFT_OUT_AFTER_ALERT_BLOCKS
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import Standing, as_json, evidence_of, from_json, needs_past, restarted
from listener.alerts.detection.sums import moment, tick_of
from listener.domain import Ballot, Repeats
from tests.alerting import NOW, RATED, RULE, Followed, ballot, ballots, followed, history, minutes, turned

TICK = timedelta(minutes=5)
LABELS = Deterioration(name="deterioration", counts="label")
RULES = st.sampled_from([RULE, RATED, LABELS])
SHARES = st.floats(0, 1)


@st.composite
def voices(draw: st.DrawFn, now: datetime, *, most: int = 12, secs: float = 86_000) -> list[Ballot]:
    """Voices of the last day or ``secs``, in the order in which the store hands them out."""
    found = [
        ballot(
            draw(st.integers(0, 99_999)),
            now - timedelta(seconds=draw(st.floats(0, secs))),
            risk=draw(SHARES),
            bad=draw(st.booleans()),
            polarity=draw(st.floats(-1, 1)),
            source=draw(st.sampled_from(["forum", "reviews"])),
            repeats=draw(st.sampled_from([None, None, Repeats.AUTHOR, Repeats.CONVERSATION])),
        )
        for _ in range(draw(st.integers(0, most)))
    ]
    once = {one.mention: one for one in found}.values()
    return sorted(once, key=lambda one: (one.at, one.mention))


LOOKS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2**32)), min_size=1, max_size=8)


def sums_of(standing: Standing, *, late: bool) -> Standing:
    """What must not depend on the looks.

    Where to begin to fold again may lie within a tick; and of mentions that come ``late``, an hour after they were
    said, it depends on the look whether the volume still takes them.
    """
    return replace(standing, origins=(), volume=Followed().count(NOW).volume if late else standing.volume)


def read_back(standing: Standing | None) -> Standing | None:
    return None if standing is None else from_json(json.loads(json.dumps(as_json(standing), allow_nan=False)))


@pytest.mark.parametrize("late", [False, True])
@given(rule=RULES, data=st.data())
def test_a_tick_counted_in_several_looks_is_the_same_to_the_bit(
    late: bool, rule: Deterioration, data: st.DataObject
) -> None:
    start = moment(tick_of(NOW))
    whole, split = followed(rule, now=start), followed(rule, now=start)
    for look in range(data.draw(st.integers(1, 4))):
        at = start + look * TICK
        some = data.draw(voices(at, secs=86_000 if late else 3_000))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(some)), max_size=3)))
        whole.count(at + timedelta(seconds=299), some)
        for number, (first, last) in enumerate(zip([0, *cuts], [*cuts, len(some)], strict=True)):
            split.count(at + timedelta(seconds=number), some[first:last])
        assert whole.standing is not None
        assert split.standing is not None
        assert sums_of(split.standing, late=late) == sums_of(whole.standing, late=late)
    assert [one.mention for one in split.ledger] == [one.mention for one in whole.ledger]


@given(rule=RULES, looks=LOOKS, data=st.data())
@settings(max_examples=50)
def test_a_standing_is_kept_exactly_at_any_moment(
    rule: Deterioration, looks: list[tuple[int, int]], data: st.DataObject
) -> None:
    brand, at = Followed(rule), NOW
    for passed, _ in looks:
        at += timedelta(minutes=passed)
        standing = brand.count(at, data.draw(voices(at)))
        assert read_back(standing) == standing


@given(rule=RULES, looks=LOOKS, data=st.data())
@settings(max_examples=50)
def test_a_restart_before_every_look_changes_nothing(
    rule: Deterioration, looks: list[tuple[int, int]], data: st.DataObject
) -> None:
    steady, restarting, at = Followed(rule), Followed(rule), NOW
    for passed, _ in looks:
        at += timedelta(minutes=passed)
        some = data.draw(voices(at))
        restarting.standing = read_back(restarting.standing)
        assert restarting.look(at, some) == steady.look(at, some)
    assert restarting.standing == steady.standing
    assert restarting.ledger == steady.ledger


@given(rule=RULES, looks=LOOKS, data=st.data())
@settings(max_examples=50)
def test_a_standing_stays_small_whatever_is_counted(
    rule: Deterioration, looks: list[tuple[int, int]], data: st.DataObject
) -> None:
    brand, at = Followed(rule), NOW
    for passed, _ in looks:
        at += timedelta(minutes=60 * passed)
        standing = brand.count(at, data.draw(voices(at, most=60)))
        assert len(standing.ticks) <= 24
        assert len(standing.hours) <= 25
        assert len(standing.recent) <= 30
        assert len(standing.origins) <= 15


def test_votes_are_numbered_and_keep_what_was_in_force() -> None:
    brand = followed(RATED)
    before = len(brand.ledger)
    brand.count(NOW, ballots(3, NOW, bad=1, every_secs=1))
    first, *_, last = brand.ledger[before:]
    assert (first.position, last.position) == (before + 1, before + 3)
    assert brand.standing is not None
    assert brand.standing.position == last.position
    assert (last.counted_at, last.news) == (NOW, True)
    assert (last.budget, last.deff) == (brand.standing.usual.budget, brand.standing.usual.deff)
    assert last.rate_budget == pytest.approx(brand.standing.usual_rate.mean + 0.1)  # 20 points of 200


def test_the_same_voices_in_any_order_are_the_same_votes() -> None:
    one, other = followed(), followed()
    some = ballots(9, NOW, bad=4, every_secs=30)
    assert one.count(NOW, some) == other.count(NOW, some[::-1])
    assert one.ledger == other.ledger


def test_an_old_mention_teaches_what_is_usual_and_is_no_evidence() -> None:
    brand = followed()
    before = brand.standing
    assert before is not None
    after = brand.count(NOW, ballots(40, NOW - timedelta(hours=24), bad=40, every_secs=60))
    assert (after.wealth, after.ticks, after.hours, after.recent) == (before.wealth, (), (), ())
    assert after.position == before.position + 40
    assert not any(one.news for one in brand.ledger[-40:])
    later = brand.count(NOW + timedelta(days=2))
    assert later.usual.count == before.usual.count + 40
    assert later.usual.mean > before.usual.mean


def test_a_mention_of_the_last_day_is_evidence_and_not_yet_usual() -> None:
    brand = followed()
    before = brand.standing
    assert before is not None
    after = brand.count(NOW, ballots(40, NOW - timedelta(hours=12), bad=40, every_secs=1))
    assert evidence_of(after) > evidence_of(before) + 10
    assert brand.count(NOW + timedelta(hours=6)).usual.count == before.usual.count
    assert brand.count(NOW + timedelta(hours=24)).usual.count == before.usual.count + 40


def test_a_young_brand_learns_at_once_when_its_history_comes_in() -> None:
    brand = Followed()
    assert brand.count(NOW).usual.count == 0
    assert brand.count(NOW, history(NOW, days=2)).usual.count == 48
    assert not needs_past(brand.standing, (), rule=RULE, now=NOW)
    assert needs_past(brand.standing, history(NOW, days=1), rule=RULE, now=NOW)
    assert not needs_past(brand.standing, ballots(3, NOW), rule=RULE, now=NOW)
    assert needs_past(brand.standing, (), rule=RULE, now=NOW + timedelta(hours=6))


def test_history_that_comes_in_piece_by_piece_is_no_silence_to_the_volume() -> None:
    """A first import takes hours; what of it is not there yet must not make the daily flow look like a burst."""
    brand, past = Followed(), history(NOW, days=20, per_day=288, bad=144)
    for number in range(0, len(past), 500):
        brand.count(NOW + timedelta(seconds=number), past[number : number + 500])
    for at in minutes(NOW + timedelta(hours=2), 2 * 288):
        standing = brand.count(at, ballots(2, at, bad=1, first=int(at.timestamp())))
        assert (standings.volume_score(standing) or 0.0) < 4


def test_a_repeat_is_kept_and_weighs_nothing() -> None:
    brand = followed()
    before = brand.standing
    assert before is not None
    repeated = [replace(one, repeats=Repeats.AUTHOR) for one in ballots(40, NOW, bad=40)]
    after = brand.count(NOW, repeated)
    assert (after.wealth, after.ticks, after.recent) == (before.wealth, (), ())
    assert len(brand.ledger) == before.position + 40
    assert [one for one in brand.past if one.sums.slot == tick_of(NOW) // BLOCK_TICKS] == []


@pytest.mark.parametrize(("repeats", "counted"), [(Repeats.AUTHOR, 0), (Repeats.CONVERSATION, 5), (None, 5)])
def test_of_one_author_one_counts_for_the_volume_and_of_a_conversation_all(
    repeats: Repeats | None, counted: int
) -> None:
    brand = followed()
    standing = brand.count(NOW, [replace(one, repeats=repeats) for one in ballots(5, NOW, bad=5)])
    assert sum(count for _, count in standing.volume.open) == counted


def test_while_blind_the_volume_is_not_followed() -> None:
    brand = followed()
    before = brand.standing
    assert before is not None
    for at in minutes(NOW, 24):
        blind = brand.count(at, ballots(1, at, bad=1), blind=True)
        assert blind.volume == before.volume
    assert blind.wealth != before.wealth  # what is heard all the same is evidence
    seeing = brand.count(NOW + timedelta(hours=3))
    assert seeing.volume != before.volume


def test_where_the_number_is_not_watched_it_is_not_followed() -> None:
    brand = followed(Deterioration(name="deterioration", volume=False))
    before = brand.standing
    assert before is not None
    assert brand.count(NOW, ballots(30, NOW, bad=30)).volume == before.volume


def test_what_a_firing_alert_tells_of_does_not_become_usual() -> None:
    brand = followed()
    brand.count(NOW - timedelta(minutes=5), ballots(3, NOW - timedelta(hours=12), bad=3))
    calm = brand.past[-1]
    brand.count(NOW, ballots(20, NOW, bad=20), firing_from_at=NOW)
    assert not calm.left_out
    assert brand.past[-1].left_out
    assert brand.past[-1].sums.slot == tick_of(NOW) // BLOCK_TICKS


@pytest.mark.parametrize(("hours", "left_out"), [(0, True), (14 * 24, True), (14 * 24 + 6, False)])
def test_what_has_been_bad_for_two_weeks_is_usual_now(hours: int, left_out: bool) -> None:
    assert LEFT_OUT_AFTER_ALERT_BLOCKS == 14 * 4
    brand, at = Followed(), NOW + timedelta(hours=hours)
    brand.count(at, ballots(20, at, bad=20), firing_from_at=NOW)
    assert brand.past[-1].left_out is left_out


def test_left_out_blocks_teach_nothing() -> None:
    one, other = Followed(), Followed()
    for brand, out in ((one, True), (other, False)):
        brand.count(NOW, history(NOW))
        brand.past = [replace(block, left_out=out) for block in brand.past]
    later = NOW + timedelta(hours=6)
    assert one.count(later).usual.count == 0
    assert other.count(later).usual.count > 400


def test_another_budget_begins_the_evidence_anew_and_keeps_the_rest() -> None:
    brand = turned()
    before = brand.standing
    assert before is not None
    brand.rule = Deterioration(name="deterioration", budget=0.5)
    after = brand.count(NOW)
    assert evidence_of(before) > math.log(1000)
    assert evidence_of(after) == 0.0
    assert (after.position, after.ticks, after.recent) == (before.position, before.ticks, before.recent)
    assert after.origins[0].position == before.position
    assert after.usual.budget > before.usual.budget + 0.1


def test_what_does_not_touch_the_evidence_begins_nothing_anew() -> None:
    brand = turned()
    before = brand.standing
    brand.rule = RULE.model_copy(update={"false_alarms_per_month": 5.0, "volume_critical": 9.0})
    assert not needs_past(before, (), rule=brand.rule, now=NOW)
    assert brand.count(NOW) == before


def test_after_the_end_of_an_alert_evidence_is_gathered_anew() -> None:
    standing = turned(RATED).standing
    assert standing is not None
    fresh = restarted(standing)
    assert evidence_of(fresh) == 0.0
    assert (fresh.position, fresh.usual, fresh.ticks) == (standing.position, standing.usual, standing.ticks)
    assert [one.position for one in fresh.origins] == [standing.position]


def test_a_clock_set_back_means_that_no_time_has_passed() -> None:
    brand = turned()
    before = brand.standing
    assert before is not None
    after = brand.count(NOW - timedelta(days=3), ballots(2, NOW - timedelta(days=3), first=9))
    assert (after.tick, after.block) == (before.tick, before.block)
    assert brand.ledger[-1].counted_at >= moment(before.tick)


def test_from_the_origin_before_the_onset_the_ledger_gives_the_evidence_again() -> None:
    brand = followed(RATED)
    for day in range(5):
        at = NOW + timedelta(days=day)
        standing = brand.count(at, ballots(4, at, bad=1, first=1000 * day))
    assert len(standing.origins) > 1
    for origin in standing.origins:
        rest = [one for one in brand.ledger if one.position > origin.position]
        assert standings.folded(origin, rest, RATED) == (standing.wealth, standing.wealth_rate)
    assert standings.origin_of(standing, standing.tick + 1) == standing.origins[-1]
    assert standings.origin_of(standing, 0) == standing.origins[0]


def test_sums_tell_of_the_last_hours_only() -> None:
    brand, at = followed(), NOW
    for ago, bad in ((90, True), (50, False), (10, True)):
        brand.count(at, [ballot(ago, at - timedelta(minutes=ago), bad=bad)])
    standing = brand.count(at)
    assert [standing.over_hours(hours).n for hours in (1, 2, 24)] == [2, 3, 3]
    assert standing.over_hours(1).negative == 1
    later = brand.count(at + timedelta(hours=25, minutes=30))
    assert [later.over_hours(hours).n for hours in (1, 2, 24)] == [0, 0, 0]
    assert later.latest(at + timedelta(hours=25))[0] == 3


def test_what_sources_brought_fades_with_a_half_life_of_a_week() -> None:
    brand = Followed()
    assert brand.count(NOW).sources == ()
    standing = brand.count(NOW, [ballot(1, NOW), ballot(2, NOW, source="reviews")])
    assert dict(standing.sources) == {"forum": 1.0, "reviews": 1.0}
    later = NOW + timedelta(days=7)
    standing = brand.count(later, [ballot(3, later, source="reviews")])
    assert dict(standing.sources) == {"forum": pytest.approx(0.5), "reviews": pytest.approx(1.5)}
