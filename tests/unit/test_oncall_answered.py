"""What somebody answers before anybody was told of it: the answer is kept, and nobody is woken."""

from datetime import timedelta

import pytest

from listener.config.oncall import Escalation, Route, Step
from listener.domain import Act, Hold, Outcome, Severity, Silence
from tests.mentions import NOW
from tests.oncall import MINUTE, World, named, policy, told

HOUR = timedelta(hours=1)
TICKET = {"severity": Severity.WARNING}


def silence(*, minutes: float = 60) -> Silence:
    return Silence(id="s", starts_at=NOW, ends_at=NOW + minutes * MINUTE, created_by="mari", brand="acme")


@pytest.mark.parametrize("act", [Act.ACK, Act.ASSIGN, Act.SNOOZE])
def test_nobody_is_woken_for_what_somebody_answered_while_it_was_held_back(act: Act) -> None:
    """All that would have been told hear of it in a digest; it counts as told, so its end is told, too."""
    chain = Escalation(steps=(Step(to=("night",)), Step(to=("boss",), after_minutes=15)))
    routes = {"all": Route(receivers=("mqtt",))}
    world = World(policy("mqtt", "night", "boss", routes=routes, escalations={"one": chain}), silences=[silence()])
    world.fire("acme")
    world.round()
    world.now += 30 * MINUTE
    assert world.answer(act, minutes=600) is Outcome.DONE
    world.silences = []
    found = world.round(30 * MINUTE)
    assert [(one.receiver, one.bundle and one.bundle.kind) for one in found.messages] == [
        ("mqtt", "held"),
        ("night", "held"),
    ]
    assert set(world.outcomes.values()) == {"bundled"}
    assert (world.response().acked_by, world.response().told_seq) == ("mari", 1)
    assert [world.round(HOUR).messages for _ in range(8)] == [[]] * 8
    world.resolve("acme", 2)
    assert told(world.round(MINUTE)) == [("mqtt", "resolved", "acme"), ("night", "resolved", "acme")]


def test_what_was_snoozed_while_it_was_held_back_is_asked_about_when_the_snooze_ends() -> None:
    world = World(silences=[silence()])
    world.fire("acme")
    world.round()
    world.answer(Act.SNOOZE, minutes=90)
    world.silences = []
    assert told(world.round(HOUR)) == []
    assert world.round(29 * MINUTE).messages == []
    assert told(world.round(MINUTE)) == [("mqtt", "repeat", "acme")]


def test_an_answer_that_runs_out_before_the_hold_does_wakes_somebody_after_it() -> None:
    world = World(silences=[silence(minutes=90)])
    world.fire("acme")
    world.round()
    world.answer(Act.SNOOZE, minutes=60)
    assert [world.round(10 * MINUTE, held=False).messages for _ in range(8)] == [[]] * 8
    assert told(world.round(10 * MINUTE)) == [("mqtt", "first", "acme")]
    assert world.response().acked_at is None


def test_what_became_worse_after_it_was_answered_wakes_somebody_after_the_hold() -> None:
    world = World(silences=[silence()])
    world.fire("acme", **TICKET)
    world.round()
    world.answer()
    world.worsen("acme", 2)
    world.round(MINUTE)
    world.silences = []
    assert told(world.round(HOUR)) == [("mqtt", "worsened", "acme")]


def test_a_ticket_that_was_answered_while_it_was_held_back_stays_answered() -> None:
    world = World(silences=[silence()])
    world.fire("acme", **TICKET)
    world.round()
    world.answer()
    world.silences = []
    (digest,) = world.round(HOUR).messages
    assert digest.bundle is not None
    assert world.response().acked_by == "mari"


def test_what_was_answered_and_is_over_before_the_hold_ends_is_done() -> None:
    world = World(silences=[silence()])
    world.fire("acme")
    world.round()
    world.answer(Act.SNOOZE, minutes=600)
    world.resolve("acme", 2)
    world.silences = []
    (digest,) = world.round(HOUR).messages
    assert digest.bundle is not None
    assert (world.response().closed, world.response().next_at) == (True, None)


def test_what_waits_in_a_storm_and_was_answered_comes_in_a_calm_digest() -> None:
    world = World()
    world.fire(*(f"brand{number}" for number in range(20)))
    world.round()
    world.fire("late")
    world.round(MINUTE)
    assert world.answer(brand="late") is Outcome.DONE
    (digest,) = world.round(MINUTE).messages
    assert digest.bundle is not None
    assert digest.bundle.kind == "held"
    assert (named([digest]), set(digest.holds)) == ({"late"}, {Hold.STORM})
    assert "late" not in named([one for _ in range(60) for one in world.round(MINUTE).messages])
