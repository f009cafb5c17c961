"""The change of a mean, taken apart by groups: exact whatever the groups are."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.alerts.detection.decompose import Group, decompose, groups_of
from listener.domain import Ballot, Repeats

KEYS = st.sampled_from(["ee", "lv", "lt", "fi", "unknown", ""])


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """Up to a million votes of one key, also none, also with weights that are not whole."""
    count = draw(st.one_of(st.integers(0, 10**6).map(float), st.floats(0.001, 1000.0)))
    return Group(key=draw(KEYS), count=count, total=count * draw(st.floats(0.0, 1.0)))


SIDES = st.lists(groups(), max_size=12)


def ballot(**changes: object) -> Ballot:
    values: dict[str, object] = {
        "mention": "m1",
        "source": "forum",
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "risk": 0.7,
        "negative": True,
        "polarity": -0.5,
    }
    return Ballot(**{**values, **changes})  # type: ignore[arg-type]


@given(SIDES, SIDES)
def test_the_parts_add_up_to_the_change(before: list[Group], after: list[Group]) -> None:
    found = decompose(before, after)
    if found.change is None or found.mean_after is None or found.mean_before is None:
        assert not found.parts
        assert not math.fsum(one.count for one in before) or not math.fsum(one.count for one in after)
        return
    assert found.change == pytest.approx(found.mean_after - found.mean_before, abs=1e-12)
    assert math.fsum(part.contribution for part in found.parts) == pytest.approx(found.change, abs=1e-12)
    assert found.mix + found.within == pytest.approx(found.change, abs=1e-12)
    for part in found.parts:
        assert part.mix + part.within == pytest.approx(part.contribution, abs=1e-12)
    assert math.fsum(part.weight_before for part in found.parts) == pytest.approx(1.0)
    assert math.fsum(part.weight_after for part in found.parts) == pytest.approx(1.0)


@given(SIDES, SIDES)
def test_seen_backwards_every_effect_changes_its_sign(before: list[Group], after: list[Group]) -> None:
    there = {part.key: part for part in decompose(before, after).parts}
    back = {part.key: part for part in decompose(after, before).parts}
    assert there.keys() == back.keys()
    for key, part in there.items():
        assert (part.mix, part.within) == (-back[key].mix, -back[key].within)


def test_where_the_same_people_say_worse_all_is_within() -> None:
    found = decompose([Group(key="a", count=50, total=10), Group(key="b", count=50, total=10)],
                      [Group(key="a", count=10, total=8), Group(key="b", count=10, total=2)])  # fmt: skip
    assert (found.mean_before, found.mean_after) == (0.2, 0.5)
    assert found.mix == 0.0
    assert found.within == pytest.approx(0.3)
    assert [(part.key, round(part.contribution, 12)) for part in found.parts] == [("a", 0.3), ("b", 0.0)]


def test_where_more_is_heard_of_the_unhappy_all_is_mix() -> None:
    """Simpson's paradox made plain: nobody says anything worse, and the whole is worse."""
    found = decompose([Group(key="praise", count=90, total=9), Group(key="rant", count=10, total=8)],
                      [Group(key="praise", count=50, total=5), Group(key="rant", count=50, total=40)])  # fmt: skip
    assert found.within == 0.0
    assert found.mix == pytest.approx(0.28)
    assert found.change == pytest.approx(0.28)
    assert all(part.mix > 0 for part in found.parts)


def test_a_group_that_came_or_went_has_only_a_mix_effect() -> None:
    found = decompose([Group(key="gone", count=5, total=1), Group(key="stays", count=5, total=1)],
                      [Group(key="stays", count=5, total=1), Group(key="new", count=5, total=5)])  # fmt: skip
    parts = {part.key: part for part in found.parts}
    assert found.parts[0].key == "new"
    assert (parts["new"].mean_before, parts["new"].mean_after, parts["new"].within) == (None, 1.0, 0.0)
    assert (parts["gone"].mean_before, parts["gone"].mean_after, parts["gone"].within) == (0.2, None, 0.0)
    assert (parts["new"].weight_before, parts["new"].weight_after) == (0.0, 0.5)


def test_the_largest_contribution_comes_first_whatever_its_sign() -> None:
    found = decompose([Group(key="a", count=10, total=1), Group(key="b", count=10, total=9)],
                      [Group(key="a", count=10, total=3), Group(key="b", count=10, total=1)])  # fmt: skip
    assert [part.key for part in found.parts] == ["b", "a"]
    assert found.parts[0].contribution < 0 < found.parts[1].contribution


def test_without_votes_on_one_side_nothing_is_compared() -> None:
    some = [Group(key="a", count=4, total=1)]
    nobody = [Group(key="a", count=0, total=0)]
    assert (decompose(some, nobody).mean_before, decompose(some, nobody).mean_after) == (0.25, None)
    assert (decompose([], some).mean_before, decompose([], some).mean_after) == (None, 0.25)
    assert decompose([], some).change is None
    assert decompose([], []).parts == ()


def test_groups_with_one_key_are_one_and_no_key_is_unknown() -> None:
    parts = decompose([Group(key="", count=1, total=0)], [Group(key="unknown", count=1, total=1)]).parts
    assert [(part.key, part.within) for part in parts] == [("unknown", 1.0)]


def test_votes_are_added_up_by_dimension_and_repeats_weigh_nothing() -> None:
    votes = [
        ballot(lang="et", topic="billing"),
        ballot(lang="et", negative=False, risk=0.25),
        ballot(source="reviews", topic="billing"),
        ballot(source="reviews", repeats=Repeats.AUTHOR),
    ]
    assert groups_of(votes, "source", use_risk=False) == (
        Group(key="forum", count=2, total=1),
        Group(key="reviews", count=1, total=1),
    )
    assert groups_of(votes, "language", use_risk=True) == (
        Group(key="et", count=2, total=0.95),
        Group(key="unknown", count=1, total=0.7),
    )
    assert [(one.key, one.count) for one in groups_of(votes, "topic", use_risk=False)] == [
        ("billing", 2),
        ("unknown", 1),
    ]
