"""Promise 8: a page repeats until somebody answers, eight times; an answer stops it and never hides what is worse."""

from dataclasses import replace
from datetime import timedelta

from listener.alerts.oncall.respond import respond
from listener.config.oncall import Escalation, Person, Route, Step
from listener.domain import Act, Action, Reason, Severity, Via
from tests.alerting import alert
from tests.oncall import MINUTE, World, policy, told

HALF = timedelta(minutes=30)


def acked(world: World, act: Act, *, seq: int, severity: Severity, minutes: float | None = None) -> str:
    """Somebody answers; what became of it."""
    before = world.response()
    known = replace(alert(), severity=severity, seq=world.briefs[before.alert_id].seq)
    action = Action(
        id="a", target=before.alert_id, act=act, seq=seq, by="mari", via=Via.MQTT, at=world.now, minutes=minutes
    )
    found = respond(action, alert=known, response=before, now=world.now, ack_minutes=24 * 60)
    world.responses[before.alert_id] = found.response
    return found.outcome.value


def test_promise_08_every_half_hour_eight_times_and_the_last_one_says_that_it_is() -> None:
    world = World()
    world.fire("acme")
    world.round()
    began_at, times, last = world.now, [], []
    for _ in range(6 * 60):
        for message in world.round(MINUTE).messages:
            times.append((world.now - began_at) / MINUTE)
            last += [tell.escalate for tell in message.tells]
    assert times == [30.0 * number for number in range(1, 9)]
    assert last == [False] * 7 + [True]


def test_promise_08_an_ack_stops_the_repeats() -> None:
    world = World()
    world.fire("acme")
    world.round()
    assert told(world.round(HALF)) == [("mqtt", "repeat", "acme")]
    assert acked(world, Act.ACK, seq=1, severity=Severity.CRITICAL) == "done"
    assert [world.round(HALF).messages for _ in range(40)] == [[]] * 40


def test_promise_08_an_ack_never_hides_what_is_worse() -> None:
    world = World()
    world.fire("acme", severity=Severity.WARNING)
    world.round()
    assert acked(world, Act.ACK, seq=1, severity=Severity.WARNING) == "done"
    world.worsen("acme", 2)
    assert told(world.round(MINUTE)) == [("mqtt", "worsened", "acme")]
    assert told(world.round(HALF)) == [("mqtt", "repeat", "acme")]
    # The old ack, come late, is no answer to it.
    assert acked(world, Act.ACK, seq=1, severity=Severity.CRITICAL) == "refused"
    assert told(world.round(HALF)) == [("mqtt", "repeat", "acme")]


def test_promise_08_a_forgotten_ack_is_asked_about_again() -> None:
    world = World()
    world.fire("acme")
    world.round()
    acked(world, Act.ACK, seq=1, severity=Severity.CRITICAL)
    assert world.round(timedelta(hours=23, minutes=59)).messages == []
    (message,) = world.round(MINUTE).messages
    assert message.tells[0].reason is Reason.REPEAT
    assert world.response().acked_at is None


def test_promise_08_a_snooze_ends_in_a_reminder() -> None:
    world = World()
    world.fire("acme")
    world.round()
    acked(world, Act.SNOOZE, seq=1, severity=Severity.CRITICAL, minutes=120)
    assert world.round(timedelta(minutes=119)).messages == []
    assert told(world.round(MINUTE)) == [("mqtt", "repeat", "acme")]


def test_promise_08_a_telephone_that_is_away_does_not_keep_the_next_one_from_being_asked() -> None:
    """Mari's webhook fails from the first message on: the chain goes on without her, and she is asked when it works."""
    steps = (Step(to=("mari",), after_minutes=10), Step(to=("boss",), after_minutes=30))
    world = World(
        policy(
            "phone",
            "boss",
            routes={"pages": Route(receivers=("phone",))},
            escalations={"pages": Escalation(steps=steps)},
            people={"mari": Person(title="Mari", receivers=("phone",))},
        )
    )
    world.fire("acme")
    assert told(world.round()) == [("phone", "first", "acme")]
    world.pending = {world.response().alert_id: frozenset({"phone"})}
    asked = [(minute, *one) for minute in range(1, 91) for one in told(world.round(MINUTE))]
    assert asked == [
        (30, "boss", "escalated", "acme"),
        (60, "boss", "repeat", "acme"),
        (90, "boss", "repeat", "acme"),
    ]
    world.pending = {}
    assert told(world.round(HALF)) == [("phone", "repeat", "acme"), ("boss", "repeat", "acme")]
