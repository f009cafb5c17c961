"""Which articles and past alerts fit: near ones, the better first, nothing where nothing is near, and why."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.domain import Channel, Resolution
from listener.domain.memories import PastAlert
from listener.knowledge.articles import Article
from listener.knowledge.matching import (
    TOPIC,
    Floats,
    Match,
    Shelved,
    limit_of,
    main_language,
    match,
)
from listener.knowledge.past import LIMIT_PAST, alike, mean_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(nearness: float, *, axis: int = 1) -> list[float]:
    """A vector of length 1 whose nearness to the first axis is given; it leans on ``axis`` otherwise."""
    found = [0.0] * 6
    found[0], found[axis] = nearness, math.sqrt(1.0 - nearness**2)
    return found


def floats(*rows: Sequence[float]) -> Floats:
    return np.array(rows, dtype=np.float32)


FIRST = at(1.0)


def shelved(name: str = "late", *vectors: Sequence[float], **changes: Any) -> Shelved:
    values: dict[str, Any] = {
        "id": name,
        "lang": "en",
        "title": f"About {name}",
        "status": "approved",
        "file": Path(f"{name}.en.md"),
        "examples": ("it is late", "where is it"),
    }
    return Shelved(article=Article(**{**values, **changes}), vectors=floats(*vectors))


def found(mentions: Floats, *shelf: Shelved, **changes: Any) -> list[Match]:
    return match(mentions, shelf, **{"brand": "bolt", "topic": None, "lang": "en", "limit": 3, **changes})


def late(nearness: float, name: str = "late", **changes: Any) -> Shelved:
    """An article whose second example is so near to the first axis, and whose other chunks are far."""
    return shelved(name, at(0.0, axis=2), at(0.0, axis=3), at(nearness, axis=4), **changes)


def test_the_nearest_article_comes_first_and_the_reason_quotes_it() -> None:
    (best, second) = found(floats(FIRST, FIRST), late(0.8, "less"), late(0.95))
    assert [best.article.id, second.article.id] == ["late", "less"]
    assert best.reason == "2 of 2 mentions speak of what this article's example «where is it» answers"
    assert 0.5 <= second.similarity < best.similarity <= 1.0


def test_nothing_is_shown_when_nothing_fits() -> None:
    assert found(floats(FIRST), late(limit_of(1) - 0.02)) == []
    assert len(found(floats(FIRST), late(limit_of(1) + 0.02))) == 1


def test_one_mention_has_to_be_nearer_than_the_mean_of_many() -> None:
    assert limit_of(1) > limit_of(3) > limit_of(100)


def test_a_mention_of_something_else_lowers_what_the_others_say() -> None:
    article = late(0.95)
    (alone,) = found(floats(FIRST, FIRST, FIRST), article)
    mixed = found(floats(FIRST, FIRST, at(0.0, axis=5)), article)
    assert not mixed or mixed[0].similarity < alone.similarity
    for one in mixed:
        assert one.reason.startswith("2 of 3 mentions")


def test_a_topic_in_common_helps_and_is_told() -> None:
    near = limit_of(1) - TOPIC / 2
    assert found(floats(FIRST), late(near)) == []
    (one,) = found(floats(FIRST), late(near, topics=("delivery",)), topic="delivery")
    assert one.reason.endswith("; the topic delivery is the same")
    assert found(floats(FIRST), late(near, topics=("money",)), topic="delivery") == []


def test_drafts_and_other_brands_articles_are_never_shown() -> None:
    assert found(floats(FIRST), late(0.9, status="draft")) == []
    assert found(floats(FIRST), late(0.9, brands=("wolt",))) == []
    assert len(found(floats(FIRST), late(0.9, brands=("wolt", "bolt")))) == 1
    assert len(found(floats(FIRST), late(0.9, brands=("wolt",)), brand=None)) == 1


def test_the_title_may_be_what_fits() -> None:
    (one,) = found(floats(FIRST), shelved("late", FIRST))
    assert one.reason == "the mention speaks of what this article's title says"


def test_an_article_without_examples_is_told_by_what_it_says() -> None:
    (one,) = found(floats(FIRST), shelved("late", at(0.0, axis=2), FIRST, examples=(), body="It is late."))
    assert one.reason == "the mention speaks of what this article says"


@pytest.mark.parametrize(("lang", "shown"), [("et", "et"), ("en", "en"), ("ru", "en"), (None, "en")])
def test_one_entry_an_article_in_the_language_of_most_mentions(lang: str | None, shown: str) -> None:
    versions = [late(0.9, lang="en"), late(0.7, lang="et", title="Pakk hilineb")]
    (one,) = found(floats(FIRST), *versions, lang=lang)
    assert one.article.lang == shown


def test_without_an_english_version_the_first_there_is_shown() -> None:
    (one,) = found(floats(FIRST), late(0.9, lang="ru"), late(0.9, lang="et"), lang="lv")
    assert one.article.lang == "et"


def test_at_most_so_many_and_none_for_none() -> None:
    shelf = [late(0.9, f"a{number}") for number in range(5)]
    assert [one.article.id for one in found(floats(FIRST), *shelf, limit=2)] == ["a0", "a1"]
    assert found(floats(FIRST), *shelf, limit=0) == []
    assert found(np.empty((0, 6), dtype=np.float32), *shelf) == []
    unread = Shelved(article=shelf[0].article, vectors=np.empty((0, 0), dtype=np.float32))
    assert found(floats(FIRST), unread) == []


def test_most_mentions_language_wins_and_the_first_of_equals() -> None:
    assert main_language(["et", "en", "et"]) == "et"
    assert main_language(["ru", "en"]) == "ru"
    assert main_language([None, "en", None]) == "en"
    assert main_language([None]) is None


def past(number: int, nearness: float, **changes: Any) -> PastAlert:
    values: dict[str, Any] = {
        "alert_id": f"alert-{number}",
        "brand": "bolt",
        "started_at": NOW - timedelta(days=number, hours=2),
        "ended_at": NOW - timedelta(days=number),
        "resolution": Resolution.RECOVERED,
        "channels": (Channel.EVIDENCE,),
        "evidence": (),
        "vector": floats(at(nearness)).tobytes(),
    }
    return PastAlert(**{**values, **changes})


def ranked(*known: PastAlert, limit: int = 3) -> list[str]:
    return [one.past.alert_id for one in alike(floats(FIRST)[0], known, brand="bolt", limit=limit)]


def test_past_alerts_that_are_not_alike_are_not_shown() -> None:
    assert ranked(past(1, LIMIT_PAST - 0.01), past(2, LIMIT_PAST + 0.01)) == ["alert-2"]
    assert ranked() == []
    assert ranked(past(1, 0.99), limit=0) == []


def test_those_that_say_what_helped_come_first() -> None:
    known = [past(1, 0.99), past(2, 0.9, cause="a strike"), past(3, 0.8, helped="a call")]
    assert ranked(*known) == ["alert-3", "alert-2", "alert-1"]


def test_the_same_brand_decides_only_between_equally_near_ones() -> None:
    assert ranked(past(1, 0.92, brand="wolt"), past(2, 0.92)) == ["alert-2", "alert-1"]
    assert ranked(past(1, 0.99, brand="wolt"), past(2, LIMIT_PAST + 0.01)) == ["alert-1", "alert-2"]


def test_a_memory_of_another_width_is_near_nothing() -> None:
    assert ranked(past(1, 0.9, vector=b"\x00" * 8)) == []


@given(st.integers(1, 5))
def test_what_an_alert_was_about_has_length_one(count: int) -> None:
    mean = mean_of(floats(*[at(0.1 * number, axis=number) for number in range(1, count + 1)]))
    assert mean is not None
    assert np.linalg.norm(mean) == pytest.approx(1.0, abs=1e-6)
    assert mean.dtype == np.dtype("<f4")


def test_opposite_mentions_leave_nothing_to_remember() -> None:
    assert mean_of(floats([1.0, 0.0], [-1.0, 0.0])) is None
    assert mean_of(np.empty((0, 2), dtype=np.float32)) is None
