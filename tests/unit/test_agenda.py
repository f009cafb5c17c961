"""When a brand is looked at again though nothing new is said of it, and what is remembered of how it stood."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from listener.pipeline.parts import Agenda, Standings
from tests.alerting import Followed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_begins_is_due_until_it_is_put() -> None:
    agenda = Agenda()
    agenda.begin("bolt")
    assert agenda.due(NOW) == agenda.due(NOW) == {"bolt"}
    agenda.put("bolt", NOW + MINUTE)
    assert agenda.due(NOW) == set()


def test_a_brand_is_due_at_its_time_and_stays_due() -> None:
    agenda = Agenda()
    agenda.put("bolt", NOW + MINUTE)
    agenda.put("wolt", NOW + 2 * MINUTE)
    assert agenda.due(NOW) == set()
    assert agenda.due(NOW + MINUTE) == {"bolt"}
    assert agenda.due(NOW + 2 * MINUTE) == {"bolt", "wolt"}
    assert agenda.due(NOW + 3 * MINUTE) == {"bolt", "wolt"}  # a look that failed is made again


def test_the_last_time_that_was_put_counts() -> None:
    agenda = Agenda()
    agenda.put("bolt", NOW + MINUTE)
    agenda.put("bolt", NOW + 5 * MINUTE)
    assert agenda.due(NOW + 4 * MINUTE) == set()
    agenda.put("bolt", NOW + MINUTE)
    assert agenda.due(NOW + MINUTE) == {"bolt"}


def test_a_time_that_has_passed_is_due_at_once() -> None:
    agenda = Agenda()
    agenda.put("bolt", NOW - MINUTE)
    assert agenda.due(NOW) == {"bolt"}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 20)), max_size=40), st.integers(0, 20))
def test_exactly_those_are_due_whose_last_time_has_come(puts: list[tuple[str, int]], at: int) -> None:
    agenda = Agenda()
    for brand, minute in puts:
        agenda.put(brand, NOW + minute * MINUTE)
    last = dict(puts)
    assert agenda.due(NOW + at * MINUTE) == {brand for brand, minute in last.items() if minute <= at}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=40))
def test_looks_in_between_lose_nobody(steps: list[tuple[str, int, bool]]) -> None:
    """Whether somebody looks at who is due changes nothing in who is due later."""
    looked, other = Agenda(), Agenda()
    for minute, (brand, wait, look) in enumerate(steps):
        at = NOW + minute * MINUTE
        for agenda in (looked, other):
            agenda.put(brand, at + wait * MINUTE)
        if look:
            looked.due(at)
    end = NOW + 100 * MINUTE
    assert looked.due(end) == other.due(end) == {brand for brand, _, _ in steps}


def test_a_standing_is_known_while_its_version_is_the_same() -> None:
    known, standing = Standings(), Followed().count(NOW)
    assert known.get("bolt", 0) is None
    known.put("bolt", 3, standing)
    assert known.get("bolt", 3) is standing
    assert known.get("bolt", 4) is None  # another daemon has kept one since
    assert known.get("wolt", 3) is None


def test_of_too_many_standings_the_one_put_first_is_forgotten() -> None:
    known, standing = Standings(size=2), Followed().count(NOW)
    for brand in ("bolt", "wolt", "bolt", "tele2"):
        known.put(brand, 1, standing)
    assert [known.get(brand, 1) is standing for brand in ("bolt", "wolt", "tele2")] == [True, False, True]
