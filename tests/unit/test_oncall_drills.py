"""Drills go the way of real alerts, but never take anything from them, nor stand in one message with them."""

from datetime import timedelta

import pytest

from listener.alerts.oncall.drill import drill
from listener.alerts.oncall.rounds import Dispatched
from listener.alerts.oncall.storm import Limits
from listener.domain import Reason, Severity, Silence
from tests.mentions import NOW
from tests.oncall import MINUTE, World, bundles, named, told

HOUR = timedelta(hours=1)
TICKET = {"severity": Severity.WARNING}
NARROW = Limits(burst=2, per_hour=1.0, update=5 * MINUTE)
DRILLED = [f"drilled{number}" for number in range(5)]


def kinds(found: Dispatched) -> list[set[str]]:
    """Of each message whether it tells of drills or of what is real."""
    return [{"drill" if tell.event.rule == "drill" else "real" for tell in one.tells} for one in found.messages]


def test_a_page_does_not_wait_because_of_drills() -> None:
    world = World(limits=NARROW)
    world.fire(*DRILLED, rule="drill")
    assert named(world.round().messages) == set(DRILLED)
    world.fire("acme")
    assert told(world.round(MINUTE)) == [("mqtt", "first", "acme")]


def test_drills_wait_for_drills_only() -> None:
    world = World(limits=NARROW)
    world.fire(*(f"brand{number}" for number in range(5)))
    world.round()
    world.fire("acme", rule="drill")
    assert told(world.round(MINUTE)) == [("mqtt", "first", "acme")]


@pytest.mark.parametrize("changes", [{}, TICKET])
def test_in_a_storm_drills_and_what_is_real_come_in_messages_of_their_own(changes: dict[str, Severity]) -> None:
    world = World(limits=NARROW)
    world.fire(*DRILLED, rule="drill", **changes)
    real = [f"brand{number}" for number in range(5)]
    world.fire(*real, **changes)
    found = world.round()
    assert kinds(found) == [{"real"}] * 3 + [{"drill"}] * 3
    assert named(found.messages) == {*real, *DRILLED}
    for brand in real:
        world.resolve(brand, 2, **changes)
    for brand in DRILLED:
        world.resolve(brand, 2, rule="drill", **changes)
    assert {frozenset(kind) for kind in kinds(world.round(HOUR))} == {frozenset({"real"}), frozenset({"drill"})}


def test_ends_of_drills_do_not_stand_before_their_beginnings() -> None:
    """What is folded says how many of its kind came alone: the worst, not the ends of others."""
    world = World(limits=Limits(burst=5, per_hour=10.0, update=5 * MINUTE))
    world.fire(*DRILLED, rule="drill")
    world.round()
    for brand in DRILLED:
        world.resolve(brand, 2, rule="drill")
    world.fire(*(f"next{number}" for number in range(7)), rule="drill")
    found = world.round(HOUR)
    (folded,) = bundles(found)
    begun = [one for one in found.messages if one.bundle is None and one.tells[0].reason is Reason.FIRST]
    assert folded.alone == len(begun) > 0


def test_a_drill_is_no_part_of_a_market_that_moves() -> None:
    world = World()
    world.fire("acme", rule="drill")
    world.fire("bolt", market=("acme",))
    found = world.round()
    assert bundles(found) == []
    assert kinds(found) == [{"real"}, {"drill"}]


def test_what_was_held_back_is_told_in_one_digest_of_drills_and_one_of_what_is_real() -> None:
    silence = Silence(id="s", starts_at=NOW, ends_at=NOW + HOUR, created_by="mari")
    world = World(silences=[silence])
    world.fire(*DRILLED, rule="drill", **TICKET)
    world.fire("acme", **TICKET)
    assert world.round().messages == []
    world.silences = []
    real, drills = bundles(world.round(HOUR))
    assert (named([real]), named([drills])) == ({"acme"}, set(DRILLED))
    assert not world.open


def test_reminders_of_drills_take_nothing_from_others() -> None:
    world = World(limits=NARROW)
    world.fire(*DRILLED, rule="drill")
    world.fire("acme")
    world.round()
    found = [world.round(MINUTE) for _ in range(30)]
    assert ("mqtt", "repeat", "acme") in told(found[-1])
    assert all(len(kind) == 1 for one in found for kind in kinds(one))


def test_a_drill_says_how_to_answer_as_a_real_alert_does() -> None:
    for links, english, estonian in (
        (True, "silence: with one of the links, or `listener", "vaigista: lingiga või käsuga `listener"),
        (False, "Ack with `listener", "Kinnita käsuga `listener"),
    ):
        _, made = drill("acme", title="Acme", severity=Severity.CRITICAL, by="mari", now=NOW, links=links)
        assert english in made.payload["text"]["en"]["body"]
        assert estonian in made.payload["text"]["et"]["body"]
