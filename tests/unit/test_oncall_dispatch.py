"""Who is told of what: round after round, with a clock that the test moves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from listener.alerts.oncall.policy import ReceiverKind
from listener.alerts.oncall.rounds import Message
from listener.config.oncall import Maintenance, QuietHours, Route
from listener.domain import Hold, Reason, Severity, Silence
from tests.mentions import NOW
from tests.oncall import MINUTE, World, bundles, event, named, policy, told

HOUR = timedelta(hours=1)
TICKET = {"severity": Severity.WARNING}


def silence(brand: str | None = "acme", *, minutes: float = 60) -> Silence:
    return Silence(id="s", starts_at=NOW, ends_at=NOW + timedelta(minutes=minutes), created_by="mari", brand=brand)


def test_every_receiver_is_told_once_of_a_page() -> None:
    world = World(policy("mqtt", "phone"))
    world.fire("acme")
    assert told(world.round()) == [("mqtt", "first", "acme"), ("phone", "first", "acme")]
    assert told(world.round(MINUTE)) == []


def test_routes_say_who_is_told() -> None:
    world = World(
        policy("mqtt", "phone", routes={"pages": Route(receivers=("phone",), severities=(Severity.CRITICAL,))})
    )
    world.fire("acme")
    world.fire("bolt", **TICKET)
    assert told(world.round()) == [("phone", "first", "acme")]


def test_only_the_newest_of_an_alerts_open_events_is_told() -> None:
    world = World()
    world.fire("acme", **TICKET)
    world.worsen("acme", 2)
    assert told(world.round()) == [("mqtt", "worsened", "acme")]
    assert sorted(world.outcomes.values()) == ["superseded", "told"]


def test_what_is_over_before_it_was_told_needs_no_word() -> None:
    world = World()
    world.fire("acme")
    world.resolve("acme", 2)
    assert world.round().messages == []
    assert set(world.outcomes.values()) == {"unneeded"}


def test_the_end_is_told_once_to_whom_the_beginning_was_told() -> None:
    world = World(policy("mqtt", "phone", routes={"pages": Route(receivers=("phone",))}))
    world.fire("acme")
    world.round()
    world.policy = policy("mqtt", "phone")
    world.resolve("acme", 2)
    assert told(world.round(HOUR)) == [("phone", "resolved", "acme")]
    assert told(world.round(HOUR)) == []
    assert world.response().closed


def test_an_alert_that_comes_back_is_told_again_and_asks_again() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.resolve("acme", 2)
    world.round(HOUR)
    world.decide(event(seq=3, reason=Reason.REOPENED))
    assert told(world.round(HOUR)) == [("mqtt", "reopened", "acme")]
    assert not world.response().closed
    assert told(world.round(timedelta(minutes=30))) == [("mqtt", "repeat", "acme")]


# -------------------------------------------------------------------------------------------------------------- holds


def test_a_silenced_page_that_still_fires_is_told_when_the_silence_ends() -> None:
    world = World(silences=[silence()])
    world.fire("acme")
    assert world.round().messages == []
    assert world.holds() == {Hold.SILENCE}
    world.silences = []
    assert told(world.round(HOUR)) == [("mqtt", "first", "acme")]


def test_a_silenced_page_that_is_over_is_named_in_a_digest_when_the_silence_ends() -> None:
    world = World(silences=[silence()])
    world.fire("acme")
    world.round()
    world.resolve("acme", 2)
    assert world.round(MINUTE).messages == []
    assert world.round(MINUTE).messages == []
    world.silences = []
    (digest,) = world.round(HOUR).messages
    assert digest.bundle is not None
    assert digest.bundle.kind == "held"
    assert digest.holds == {Hold.SILENCE}
    assert world.round(HOUR).messages == []


def test_quiet_hours_hold_tickets_back_for_one_digest_and_let_pages_through() -> None:
    night = QuietHours(timezone="UTC", start="22:00", end="06:00")
    world = World(policy(quiet_hours={"night": night}), now=NOW.replace(hour=23))
    world.fire("acme")
    world.fire("bolt", "wolt", **TICKET)
    assert told(world.round()) == [("mqtt", "first", "acme")]
    assert world.holds() == {Hold.QUIET_HOURS}
    assert bundles(world.round(6 * HOUR)) == []
    (digest,) = bundles(world.round(HOUR))
    assert named([digest]) == {"bolt", "wolt"}
    assert world.response("bolt").told_seq == 1
    world.resolve("bolt", 2, severity=Severity.WARNING)
    assert ("mqtt", "resolved", "bolt") in told(world.round(HOUR))


def test_maintenance_holds_back_reminders_too() -> None:
    world = World()
    world.fire("acme")
    world.round()
    begins = NOW.replace(tzinfo=None)
    release = Maintenance(timezone="UTC", start=begins, end=begins + timedelta(hours=2))
    world.policy = policy(maintenance={"release": release})
    assert world.round(timedelta(minutes=30)).messages == []
    assert world.response().repeats == 0
    assert told(world.round(timedelta(minutes=95))) == [("mqtt", "repeat", "acme")]


def test_that_a_silenced_alert_is_over_waits_too_and_nobody_is_reminded() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.silences = [silence(minutes=600)]
    world.resolve("acme", 2)
    assert world.round(HOUR).messages == []
    assert world.response().next_at is None
    world.silences = []
    assert told(world.round(HOUR)) == [("mqtt", "resolved", "acme")]


def test_a_page_inhibits_the_ticket_of_its_brand_only() -> None:
    world = World()
    world.fire("acme", "bolt", rule="high_risk", **TICKET)
    world.fire("acme")
    assert sorted(told(world.round())) == [("mqtt", "first", "acme"), ("mqtt", "first", "bolt")]
    assert world.holds() == {Hold.INHIBITED}
    world.resolve("acme", 2)
    assert sorted(told(world.round(HOUR))) == [("mqtt", "first", "acme"), ("mqtt", "resolved", "acme")]


def test_a_page_that_is_held_back_holds_back_no_ticket() -> None:
    """Known as a ticket it became a page in a silence of its rule: nobody knows of that."""
    world = World()
    world.fire("acme", **TICKET)
    world.round()
    world.silences = [replace(silence(minutes=600), rule="deterioration")]
    world.worsen("acme", 2)
    world.round(MINUTE)
    world.fire("acme", rule="high_risk", **TICKET)
    assert told(world.round(MINUTE)) == [("mqtt", "first", "acme")]
    assert world.holds() == {Hold.SILENCE}


def test_an_inhibited_ticket_that_ends_needs_no_word() -> None:
    world = World()
    world.fire("acme")
    world.fire("acme", rule="high_risk", **TICKET)
    world.round()
    world.resolve("acme", 2, rule="high_risk", severity=Severity.WARNING)
    assert world.round(MINUTE).messages == []
    assert not world.open


def test_that_a_brand_cannot_be_heard_is_told_beside_its_page() -> None:
    world = World()
    world.fire("acme")
    world.fire("acme", rule="blind", payload={"channels": ["sources"], "text": {}}, **TICKET)
    assert len(told(world.round())) == 2


def test_a_drill_holds_nothing_back() -> None:
    world = World()
    world.fire("acme", rule="drill")
    world.fire("acme", rule="high_risk", **TICKET)
    assert len(told(world.round())) == 2


# -------------------------------------------------------------------------------------------------------------- storms


def test_a_storm_is_at_most_burst_and_one_messages_and_all_are_named() -> None:
    world = World()
    world.fire(*(f"brand{number}" for number in range(200)))
    found = world.round()
    assert len(found.messages) == 6
    assert named(found.messages) == {f"brand{number}" for number in range(200)}
    assert not world.open
    assert world.round(MINUTE).messages == []


def test_the_worst_of_a_storm_are_told_one_by_one() -> None:
    world = World()
    for number in range(20):
        world.fire(f"brand{number}", payload={"observed": number / 20, "channels": [], "text": {}})
    assert {brand for _, _, brand in told(world.round())} == {f"brand{number}" for number in range(15, 20)}


def test_reminders_of_a_storm_are_one_message_too() -> None:
    world = World()
    world.fire(*(f"brand{number}" for number in range(200)))
    world.round()
    messages = [one for _ in range(120) for one in world.round(MINUTE).messages]
    assert named(messages) == {f"brand{number}" for number in range(200)}
    # Two hours: 4 reminders each, in 20 messages that the bucket gives and the messages of the rest.
    assert len(messages) <= 20 + 24


def test_what_comes_after_a_storm_waits_for_the_next_message_about_all() -> None:
    world = World()
    world.fire(*(f"brand{number}" for number in range(20)))
    world.round()
    world.fire("late", "later")
    assert world.round(MINUTE).messages == []
    assert world.holds() == {Hold.STORM}
    found = world.round(5 * MINUTE)
    assert named(found.messages) == {"late", "later"}
    assert not world.open


def test_the_end_of_a_storm_is_told_in_as_few_messages() -> None:
    world = World()
    brands = [f"brand{number}" for number in range(50)]
    world.fire(*brands)
    world.round()
    for brand in brands:
        world.resolve(brand, 2)
    found = world.round(HOUR)
    assert len(found.messages) == 6
    assert named(found.messages) == set(brands)
    assert all(world.response(brand).closed for brand in brands)


def test_who_groups_by_itself_gets_every_event_of_a_storm() -> None:
    world = World(policy())
    kinds = {"mqtt": ReceiverKind(), "alertmanager": ReceiverKind(bundled=False)}
    world.policy = type(world.policy)(receivers=kinds)
    world.fire(*(f"brand{number}" for number in range(20)))
    receivers = [one.receiver for one in world.round().messages]
    assert (receivers.count("mqtt"), receivers.count("alertmanager")) == (6, 20)


def test_in_a_storm_each_receiver_is_named_only_what_it_is_told_of() -> None:
    routes = {"a": Route(receivers=("ours",), brands=("brand1", "brand2")), "all": Route(receivers=("mqtt",))}
    world = World(policy("mqtt", "ours", routes=routes))
    world.fire(*(f"brand{number}" for number in range(20)))
    ours = [one for one in world.round().messages if one.receiver == "ours"]
    assert named(ours) == {"brand1", "brand2"}


def test_a_slow_trickle_is_told_one_by_one() -> None:
    world = World()
    messages: list[Message] = []
    for number in range(40):
        world.fire(f"brand{number}", **TICKET)
        messages += world.round(timedelta(minutes=10)).messages
    assert len(messages) == 40
    assert all(one.bundle is None for one in messages)


# ------------------------------------------------------------------------------------------------------- whole markets


def test_brands_that_move_together_are_told_together() -> None:
    world = World()
    world.fire("acme", market=("bolt", "wolt"))
    world.fire("bolt", market=("acme",))
    world.fire("other")
    found = world.round()
    (group,) = bundles(found)
    assert group.bundle is not None
    assert (group.bundle.kind, named([group])) == ("market", {"acme", "bolt"})
    assert told(found) == [("mqtt", "first", "other")]


def test_a_brand_that_follows_its_market_is_told_with_what_was_told_before() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.fire("bolt", market=("acme",))
    (group,) = bundles(world.round(10 * MINUTE))
    assert named([group]) == {"acme", "bolt"}
    assert world.response("acme").told_seq == 1
    assert told(world.round(20 * MINUTE)) == [("mqtt", "repeat", "acme")]


# ------------------------------------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize("brands", [1, 7, 200])
def test_the_same_round_gives_the_same_messages(brands: int) -> None:
    one, other = World(), World()
    for world in (one, other):
        world.fire(*(f"brand{number}" for number in range(brands)))
    first, second = one.round(), other.round()
    assert [message.tells for message in first.messages] == [message.tells for message in second.messages]
    assert [message.bundle for message in first.messages] == [message.bundle for message in second.messages]
