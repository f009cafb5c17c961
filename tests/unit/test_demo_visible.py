"""What the demo's site shows depends on the time alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.demo.story import Item, Row, load_story, visible

STORY = load_story()
STARTED_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def row(**fields: object) -> Row:
    """A post, with what the test is about."""
    plain = {"id": "p1", "place": "feed", "lang": "et", "sentiment": "neutral", "author": "a", "text": "first"}
    return Row.model_validate(plain | fields)


def at(secs: float) -> datetime:
    """So many seconds after the start."""
    return STARTED_AT + timedelta(seconds=secs)


def only(story: list[Row], secs: float, speed: float = 1.0) -> Item | None:
    """The one item shown at that moment, or None."""
    items = visible(story, STARTED_AT, at(secs), speed=speed)
    assert len(items) <= 1
    return items[0] if items else None


def test_the_history_is_there_at_the_start_and_all_at_the_end() -> None:
    """Nothing of the turn before it, nothing missing after it."""
    at_start = visible(STORY, STARTED_AT, STARTED_AT)
    assert {item.row.id for item in at_start} == {
        row.id for row in STORY if row.at_hours is not None and row.appears_secs is None
    }
    assert len(visible(STORY, STARTED_AT, at(120))) == len(STORY)


def test_a_row_is_shown_from_its_own_second_on() -> None:
    """And dated by it."""
    story = [row(at_secs=30)]
    assert only(story, 29.999) is None
    item = only(story, 30)
    assert item is not None
    assert (item.published_at, item.changed_at, item.edited_at) == (at(30), at(30), None)


def test_a_late_row_keeps_its_old_date() -> None:
    """It appears when it was let through, dated when it was written."""
    story = [row(at_hours=-2, appears_secs=40)]
    assert only(story, 39) is None
    item = only(story, 40)
    assert item is not None
    assert (item.published_at, item.changed_at) == (STARTED_AT - timedelta(hours=2), at(40))


def test_an_edit_changes_the_text_and_not_the_identity() -> None:
    """The last wording that has been written is shown."""
    story = [row(at_secs=10, edits=[{"at_secs": 20, "text": "second"}, {"at_secs": 30, "text": "third"}])]
    shown = [only(story, secs) for secs in (10, 20, 31)]
    assert [item and item.text for item in shown] == ["first", "second", "third"]
    assert [item and item.edited_at for item in shown] == [None, at(20), at(30)]
    assert {item and (item.row.id, item.published_at) for item in shown} == {("p1", at(10))}


def test_speed_shortens_the_story_and_not_the_time_before_it() -> None:
    """Ten story seconds pass in one at speed 10; last week stays last week."""
    assert only([row(at_secs=30)], 2.9, speed=10) is None
    item = only([row(at_secs=30)], 3, speed=10)
    assert item is not None
    assert item.published_at == at(3)
    before = only([row(at_hours=-168)], 0, speed=10)
    assert before is not None
    assert before.published_at == STARTED_AT - timedelta(days=7)


@given(secs=st.floats(0, 130), more=st.floats(0, 130), speed=st.sampled_from([0.5, 1.0, 8.0]))
def test_nothing_goes_away_nor_comes_from_the_future(secs: float, more: float, speed: float) -> None:
    """What was shown stays shown, no date is after now, and the newest date is first."""
    items = visible(STORY, STARTED_AT, at(secs), speed=speed)
    later = visible(STORY, STARTED_AT, at(secs + more), speed=speed)
    assert {item.row.id for item in items} <= {item.row.id for item in later}
    assert all(item.published_at <= item.changed_at <= at(secs) for item in items)
    dates = [item.published_at for item in items]
    assert dates == sorted(dates, reverse=True)


def test_a_naive_time_is_refused() -> None:
    """Whose noon would it be?"""
    naive = STARTED_AT.replace(tzinfo=None)
    with pytest.raises(ValueError, match="started_at"):
        visible(STORY, naive, STARTED_AT)
    with pytest.raises(ValueError, match="now"):
        visible(STORY, STARTED_AT, naive)
