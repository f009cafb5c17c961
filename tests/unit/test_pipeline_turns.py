"""Whose turn it is in one receiver's outbox: in order where messages share something, else whoever is due longest."""

from datetime import datetime, timedelta
from random import Random

import pytest

from listener.domain import SEVERAL, Severity
from listener.pipeline.turns import Turns
from listener.store.outbox import Waiting
from tests.mentions import NOW

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=1)


def message(row: int, brand: str, *alerts: str, due_at: datetime = NOW) -> Waiting:
    named = alerts or (f"alert of {brand}",)
    return Waiting(row=row, brand=brand, severity=Severity.WARNING, alerts=named, decided_at=NOW, due_at=due_at)


def rest(turns: Turns, *, now: datetime = NOW) -> list[int]:
    """What can be taken one after the other while nothing is closed."""
    found = []
    while (row := turns.take(now)) is not None:
        found.append(row)
    return found


def test_of_different_brands_what_is_due_longest_comes_first() -> None:
    waiting = [
        message(1, "acme", due_at=LATER),
        message(2, "bolt", due_at=NOW + timedelta(seconds=1)),
        message(3, "wolt"),
    ]
    assert rest(Turns(waiting), now=NOW) == [3]
    assert rest(Turns(waiting), now=LATER) == [3, 2, 1]


def test_of_one_brand_the_next_one_waits_until_the_one_before_is_closed() -> None:
    turns = Turns([message(1, "bolt"), message(2, "bolt", "another alert"), message(3, "wolt")])
    assert rest(turns) == [1, 3]
    turns.closed(1)
    assert rest(turns) == [2]


def test_what_is_not_due_holds_up_its_brand_and_nothing_else() -> None:
    assert rest(Turns([message(1, "bolt", due_at=LATER), message(2, "bolt"), message(3, "wolt")])) == [3]


def test_when_the_next_one_is_due_is_known_of_those_whose_turn_it_is() -> None:
    turns = Turns([message(1, "bolt", due_at=LATER), message(2, "bolt"), message(3, "wolt", due_at=NOW + SECOND)])
    assert turns.next_at() == NOW + SECOND
    assert rest(turns, now=NOW + SECOND) == [3]
    assert turns.next_at() == LATER
    assert rest(turns, now=LATER) == [1]
    assert turns.next_at() is None
    turns.closed(1)
    assert turns.next_at() == NOW


def test_a_message_about_several_waits_for_what_is_told_of_each() -> None:
    turns = Turns(
        [message(1, "bolt", "a"), message(2, "wolt", "b"), message(3, SEVERAL, "a", "b"), message(4, SEVERAL, "c")]
    )
    assert rest(turns) == [1, 2, 4]
    turns.closed(1)
    assert rest(turns) == []
    turns.closed(2)
    assert rest(turns) == [3]


def test_what_is_told_of_an_alert_waits_for_the_message_about_several_that_named_it() -> None:
    turns = Turns([message(1, SEVERAL, "a", "b", due_at=LATER), message(2, "bolt", "a"), message(3, "wolt", "c")])
    assert rest(turns) == [3]


def test_two_messages_about_several_keep_their_order_where_both_name_an_alert() -> None:
    turns = Turns([message(1, SEVERAL, "a", "b"), message(2, SEVERAL, "b", "c"), message(3, SEVERAL, "d")])
    assert rest(turns) == [1, 3]
    turns.closed(1)
    assert rest(turns) == [2]


def test_a_message_about_several_of_which_nothing_is_known_waits_for_nothing() -> None:
    several = Waiting(row=2, brand=SEVERAL, severity=Severity.INFO, alerts=(), decided_at=NOW, due_at=NOW)
    assert rest(Turns([message(1, "bolt", due_at=LATER), several])) == [2]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_waits_all_is_taken_once_and_nothing_overtakes_what_it_belongs_to(seed: int) -> None:
    chance = Random(seed)
    alerts = {f"alert{number}": f"brand{number % 4}" for number in range(8)}
    waiting = []
    for row in range(1, 31):
        due_at = NOW - timedelta(seconds=chance.randrange(5))
        if chance.random() < 0.3:
            several = chance.sample(sorted(alerts), chance.randint(1, 3))
            waiting.append(message(row, SEVERAL, *several, due_at=due_at))
        else:
            alert_id = chance.choice(sorted(alerts))
            waiting.append(message(row, alerts[alert_id], alert_id, due_at=due_at))
    turns = Turns(waiting)
    taken: list[int] = []
    closed: set[int] = set()
    while len(closed) < len(waiting):
        following = turns.take(NOW)
        if following is not None:
            this, earlier = waiting[following - 1], [one for one in waiting[: following - 1] if one.row not in closed]
            assert not [one for one in earlier if set(one.alerts) & set(this.alerts)]
            assert not [one for one in earlier if one.brand == this.brand != SEVERAL]
            taken.append(following)
        if following is None or chance.random() < 0.5:
            ended = chance.choice([row for row in taken if row not in closed])
            closed.add(ended)
            turns.closed(ended)
    assert sorted(taken) == [one.row for one in waiting]
