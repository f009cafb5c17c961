"""A decision is made again from the ledger to the last bit, and what was changed since shows."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.alerts.detection.record import RECORD, Check, Record, check
from listener.alerts.detection.rules import Deterioration
from listener.alerts.detection.standing import from_json
from listener.domain import Repeats, Vote
from tests.alerting import MARKET, NOW, RATED, RULE, Followed, ballot, followed, proof_of, turned

LABELS = Deterioration(name="deterioration", counts="label")


def differing(checks: Sequence[Check]) -> list[str]:
    return [one.what for one in checks if not one.same]


def read_back(record: Record) -> Record:
    return RECORD.validate_python(json.loads(json.dumps(RECORD.dump_python(record, mode="json"), allow_nan=False)))


@given(
    rule=st.sampled_from([RULE, RATED, LABELS]),
    looks=st.lists(st.integers(1, 400), min_size=1, max_size=10),
    voices=st.lists(
        st.tuples(
            st.integers(0, 9),
            st.floats(0, 86_000),
            st.floats(0, 1),
            st.booleans(),
            st.floats(-1, 1),
            st.sampled_from([None, None, Repeats.AUTHOR]),
        ),
        max_size=40,
    ),
)
@settings(max_examples=60)
def test_whatever_was_counted_is_decided_again_to_the_last_bit(
    rule: Deterioration, looks: list[int], voices: list[tuple[int, float, float, bool, float, Repeats | None]]
) -> None:
    brand, at = followed(rule), NOW
    for look, passed in enumerate(looks):
        at += timedelta(minutes=passed)
        some = [
            ballot(n, at - timedelta(seconds=ago), risk=risk, bad=bad, polarity=polarity, repeats=repeats)
            for n, (when, ago, risk, bad, polarity, repeats) in enumerate(voices)
            if when == look
        ]
        brand.count(at, some)
    record = read_back(brand.record(at))
    assert differing(check(record, brand.after(record), brand.recent(record))) == []


def test_a_record_survives_json_exactly() -> None:
    brand = turned(RATED)
    record = brand.record(NOW, market=MARKET, blind=True)
    whole = read_back(replace(record, proof=proof_of(brand, record)))
    assert whole.proof == proof_of(brand, record)
    assert from_json(whole.standing) == brand.standing
    assert replace(whole, proof=None, standing=record.standing) == record


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"risk": 0.1}, {"evidence", "the last two hours", "the last day", "decision"}),
        ({"polarity": 1.0}, {"evidence of the rate", "the last two hours", "the last day", "decision"}),
        ({"budget": 0.1}, {"evidence", "decision"}),
        ({"deff": 3.0}, {"evidence", "decision"}),
        ({"rate_budget": 0.9}, {"evidence of the rate", "decision"}),
        ({"news": False}, {"evidence", "evidence of the rate", "the last two hours", "the last day", "decision"}),
        ({"at": NOW - timedelta(hours=5)}, {"the last two hours", "the last day", "decision"}),
        ({"negative": False}, {"the last two hours", "the last day", "decision"}),
    ],
)
def test_a_vote_that_was_changed_shows_where_it_tells(changes: dict[str, Any], what: set[str]) -> None:
    brand = turned(RATED)
    record = brand.record(NOW)
    brand.ledger[-3] = replace(brand.ledger[-3], **changes)
    assert set(differing(check(record, brand.after(record), brand.recent(record)))) == what


@pytest.mark.parametrize("gone", [-1, -7])
def test_a_vote_that_is_missing_shows(gone: int) -> None:
    brand = turned()
    record = brand.record(NOW)
    del brand.ledger[gone]
    what = differing(check(record, brand.after(record), brand.recent(record)))
    assert {"evidence", "the last day", "decision"} <= set(what)
    assert ("votes" in what) is (gone == -1)


def test_votes_that_came_later_do_not_disturb() -> None:
    brand = turned()
    record = brand.record(NOW)
    later = NOW + timedelta(minutes=5)
    brand.count(later, [ballot(9_000, later, bad=True)])
    assert differing(check(record, brand.after(record), brand.recent(record))) == []


def test_another_finding_than_what_was_kept_shows() -> None:
    brand = turned()
    record = brand.record(NOW)
    told = replace(record, signal=replace(record.signal, mentions=31))
    assert differing(check(told, brand.after(told), brand.recent(told))) == ["decision"]


def test_a_brand_of_which_nothing_was_counted_can_be_checked_too() -> None:
    brand = Followed()
    brand.count(NOW)
    record = brand.record(NOW)
    none: list[Vote] = []
    assert differing(check(record, none, none)) == []


def test_a_decision_in_the_dark_is_made_again_in_the_dark() -> None:
    brand = followed()
    signal = brand.look(NOW, blind=True)
    record = brand.record(NOW, signal=signal, blind=True)
    assert differing(check(record, brand.after(record), brand.recent(record))) == []
    assert differing(check(replace(record, blind=False), brand.after(record), brand.recent(record))) == ["decision"]


def test_a_decision_after_a_clock_set_back_is_made_again() -> None:
    brand = turned(RATED)
    early = NOW - timedelta(hours=2)
    brand.count(early, [ballot(9_000, early, bad=True)])
    record = brand.record(early)
    assert differing(check(record, brand.after(record), brand.recent(record))) == []
