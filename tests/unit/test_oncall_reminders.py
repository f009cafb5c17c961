"""Who is reminded when nobody answers: round after round, with a clock that the test moves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from listener.alerts.oncall.policy import ReceiverKind
from listener.alerts.oncall.storm import Limits
from listener.config.oncall import Escalation, Route, Step
from listener.domain import AlertState, Hold, Reason, Severity, stable_id
from tests.mentions import NOW
from tests.oncall import MINUTE, World, event, named, policy, told

HOUR = timedelta(hours=1)
TICKET = {"severity": Severity.WARNING}


def test_a_page_repeats_until_it_was_repeated_often_enough_and_the_last_one_says_so() -> None:
    world = World()
    world.fire("acme")
    world.round()
    found = [world.round(timedelta(minutes=30)) for _ in range(10)]
    assert [told(one) for one in found] == [[("mqtt", "repeat", "acme")]] * 8 + [[], []]
    assert [tell.escalate for one in found for message in one.messages for tell in message.tells] == [False] * 7 + [
        True
    ]
    assert world.response().escalated


def test_nothing_repeats_before_its_time_and_each_repeat_is_a_message_of_its_own() -> None:
    world = World()
    world.fire("acme")
    world.round()
    assert told(world.round(timedelta(minutes=29))) == []
    first, second = world.round(MINUTE), world.round(timedelta(minutes=30))
    assert first.messages[0].tells[0].key != second.messages[0].tells[0].key


@pytest.mark.parametrize(("pages", "gap_secs"), [(12, 61), (15, 190), (20, 61)])
def test_of_many_chains_that_began_one_by_one_no_step_is_left_behind(pages: int, gap_secs: int) -> None:
    """Steps for which there is no token are due together, at the next message that may name several of them."""
    steps = (Step(to=("boss",), after_minutes=10), Step(to=("chief",), after_minutes=20))
    chain = Escalation(steps=steps, repeat_minutes=15)
    limits = Limits(burst=5, per_hour=10.0, update=5 * MINUTE)
    world = World(policy=policy("mqtt", "boss", "chief", escalations={"pages": chain}), limits=limits)
    told_secs: dict[tuple[str, int], int] = {}
    for secs in range(0, 2 * 3600, 5):
        for number in range(pages):
            if number * gap_secs // 5 == secs // 5:
                world.fire(f"brand{number}")
        for message in world.round(timedelta(seconds=5)).messages:
            for tell in message.tells:
                step = tell.response.step if tell.reason is Reason.ESCALATED else 0
                told_secs.setdefault((tell.event.brand, step), secs)
    for number in range(pages):
        began = told_secs[f"brand{number}", 0]
        for step, due_secs in ((1, 600), (2, 1200)):
            assert told_secs[f"brand{number}", step] - began - due_secs <= limits.update.total_seconds() + 5


def test_tickets_are_not_repeated() -> None:
    world = World()
    world.fire("acme", **TICKET)
    world.round()
    assert world.round(timedelta(hours=5)).messages == []


def test_the_chain_is_followed_step_by_step_and_then_all_are_asked_again() -> None:
    chain = Escalation(
        steps=(Step(to=("night",)), Step(to=("lead",), after_minutes=15), Step(to=("boss",), after_minutes=40)),
        repeat_minutes=30,
        repeats_max=2,
    )
    routes = {"all": Route(receivers=("mqtt",))}
    world = World(policy("mqtt", "night", "lead", "boss", routes=routes, escalations={"one": chain}))
    world.fire("acme")
    assert told(world.round()) == [("mqtt", "first", "acme"), ("night", "first", "acme")]
    assert told(world.round(15 * MINUTE)) == [("lead", "escalated", "acme")]
    assert told(world.round(24 * MINUTE)) == []
    assert told(world.round(1 * MINUTE)) == [("boss", "escalated", "acme")]
    everybody = [(name, "repeat", "acme") for name in ("mqtt", "night", "lead", "boss")]
    assert told(world.round(30 * MINUTE)) == everybody
    assert told(world.round(30 * MINUTE)) == everybody
    assert told(world.round(300 * MINUTE)) == []


def test_a_step_behind_which_there_is_nobody_is_passed_over() -> None:
    chain = Escalation(steps=(Step(to=("nobody",), after_minutes=5), Step(to=("lead",), after_minutes=15)))
    world = World(policy("mqtt", "lead", routes={"all": Route(receivers=("mqtt",))}, escalations={"one": chain}))
    world.fire("acme")
    world.round()
    assert world.round(5 * MINUTE).messages == []
    assert told(world.round(10 * MINUTE)) == [("lead", "escalated", "acme")]


def test_who_has_not_even_got_the_first_message_is_not_reminded_and_it_does_not_count() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.pending = {event().alert_id: frozenset({"mqtt"})}
    for _ in range(20):
        assert world.round(timedelta(minutes=30)).messages == []
    world.pending = {}
    assert told(world.round(timedelta(minutes=30))) == [("mqtt", "repeat", "acme")]
    assert world.response().repeats == 1


CHAIN = Escalation(
    steps=(Step(to=("lead",), after_minutes=10), Step(to=("boss",), after_minutes=30)), repeat_minutes=30, repeats_max=2
)


def chained(*, repeats_max: int = 2) -> World:
    """A page that mqtt is told of; then the lead is asked, then the boss."""
    chain = CHAIN.model_copy(update={"repeats_max": repeats_max})
    routes = {"all": Route(receivers=("mqtt",))}
    return World(policy("mqtt", "lead", "boss", routes=routes, escalations={"one": chain}))


def test_a_step_whose_people_do_not_even_know_yet_is_passed_over() -> None:
    """The lead is told by a route and cannot be reached: the boss is asked all the same, and in time."""
    world = chained()
    world.policy = replace(world.policy, routes={"all": Route(receivers=("mqtt", "lead"))})
    world.fire("acme")
    world.round()
    world.pending = {event().alert_id: frozenset({"lead"})}
    assert world.round(10 * MINUTE).messages == []
    assert world.response().messages == 0
    assert told(world.round(20 * MINUTE)) == [("boss", "escalated", "acme")]
    assert told(world.round(30 * MINUTE)) == [("mqtt", "repeat", "acme"), ("boss", "repeat", "acme")]
    world.pending = {}
    assert told(world.round(30 * MINUTE)) == [(one, "repeat", "acme") for one in ("mqtt", "lead", "boss")]


def test_the_last_call_waits_until_it_can_be_heard() -> None:
    world = chained(repeats_max=0)
    world.fire("acme")
    world.round()
    assert told(world.round(10 * MINUTE)) == [("lead", "escalated", "acme")]
    world.pending = {event().alert_id: frozenset({"boss"})}
    assert [world.round(MINUTE).messages for _ in range(60)] == [[]] * 60
    assert not world.response().escalated
    world.pending = {}
    (last,) = world.round(HOUR).messages
    assert (last.receiver, last.tells[0].escalate, world.response().escalated) == ("boss", True, True)


def test_nobody_is_reminded_of_what_is_still_to_be_told() -> None:
    """It became worse in a storm: whoever heard of the ticket hears of that first, and is reminded of it later.

    The reminder of the ticket is due in a round that does not look at what is held.
    """
    tickets = Escalation(severities=(Severity.WARNING,), repeat_minutes=2)
    world = World(policy(escalations={"tickets": tickets, "pages": Escalation(repeat_minutes=60)}))
    world.fire("acme", **TICKET)
    world.round()
    world.fire(*(f"brand{number}" for number in range(20)))
    world.round(MINUTE)
    world.worsen("acme", 2)
    assert world.round().messages == []
    assert world.holds() == {Hold.STORM}
    assert world.round(5 * MINUTE, held=False).messages == []
    assert told(world.round()) == [("mqtt", "worsened", "acme")]
    assert world.response().messages == 0
    assert "acme" in named(world.round(HOUR).messages)
    assert world.response().messages == 1


def test_who_is_gone_from_the_configuration_is_asked_no_more() -> None:
    world = World(policy("mqtt", "phone"))
    world.fire("acme")
    world.round()
    world.policy = policy("mqtt", "mail")
    assert told(world.round(30 * MINUTE)) == [("mqtt", "repeat", "acme")]
    world.resolve("acme", 2)
    assert told(world.round(MINUTE)) == [("mqtt", "resolved", "acme")]


def test_where_all_that_were_told_are_gone_the_routes_say_who_is_asked() -> None:
    world = World(policy("phone"))
    world.fire("acme")
    world.round()
    world.policy = policy("mail", "chat", routes={"all": Route(receivers=("mail",))})
    world.pending = {event().alert_id: frozenset({"phone"})}
    assert told(world.round(30 * MINUTE)) == [("mail", "repeat", "acme")]
    world.resolve("acme", 2)
    assert told(world.round(MINUTE)) == [("mail", "resolved", "acme")]


def test_a_receiver_that_repeats_by_itself_gets_no_reminders() -> None:
    kinds = {"mqtt": ReceiverKind(), "alertmanager": ReceiverKind(bundled=False, repeated=False)}
    world = World(policy())
    world.policy = type(world.policy)(receivers=kinds)
    world.fire("acme")
    assert {receiver for receiver, _, _ in told(world.round())} == {"mqtt", "alertmanager"}
    assert told(world.round(timedelta(minutes=30))) == [("mqtt", "repeat", "acme")]


def test_an_ack_that_has_run_out_begins_anew() -> None:
    world = World()
    world.fire("acme")
    world.round()
    known = stable_id("alert", "acme", "deterioration")
    acked = world.responses[known].__class__(
        alert_id=known,
        brand="acme",
        told_seq=1,
        told_at=NOW,
        receivers=("mqtt",),
        acked_at=NOW,
        acked_by="mari",
        acked_severity=Severity.CRITICAL,
        next_at=NOW + timedelta(hours=24),
    )
    world.responses[known] = acked
    assert world.round(timedelta(hours=23)).messages == []
    assert told(world.round(HOUR)) == [("mqtt", "repeat", "acme")]
    assert world.response().acked_at is None
    assert told(world.round(timedelta(minutes=30))) == [("mqtt", "repeat", "acme")]


def test_a_page_of_a_new_brand_never_waits_because_of_reminders() -> None:
    """Two hundred brands are reminded of; meanwhile new ones fire, no more than the bucket gives."""
    world = World(policy(escalations={"one": Escalation(repeat_minutes=7, repeats_max=100)}))
    world.fire(*(f"brand{number}" for number in range(200)))
    world.round()
    for _ in range(60):
        world.round(MINUTE)
    reminded = 0
    for number in range(24):
        world.fire(f"late{number}")
        assert ("mqtt", "first", f"late{number}") in told(world.round(MINUTE))
        rest = [world.round(MINUTE) for _ in range(9)]
        reminded += sum(len(one.messages) for one in rest)
    # Ten an hour, and one about the rest every five minutes.
    assert 24 < reminded <= 4 * (10 + 12)


def test_steps_of_a_chain_take_nothing_from_the_first_pages_either() -> None:
    world = World(
        policy("mqtt", "lead", escalations={"one": Escalation(steps=(Step(to=("lead",), after_minutes=60),))})
    )
    world.fire(*(f"brand{number}" for number in range(50)))
    world.round()
    world.round(59 * MINUTE)
    world.fire("late")
    found = world.round(MINUTE)
    assert [one for one in told(found) if one[2] == "late"] == [("mqtt", "first", "late"), ("lead", "first", "late")]
    assert all(not {"first", "escalated"} <= {tell.reason.value for tell in one.tells} for one in found.messages)


def test_a_resolved_alert_is_not_reminded_of() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.resolve("acme", 2)
    world.round(MINUTE)
    assert world.round(timedelta(hours=10)).messages == []
    assert world.briefs[event().alert_id].state is AlertState.RESOLVED
