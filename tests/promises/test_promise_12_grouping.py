"""Promise 12: a page inhibits the tickets of its brand, two channels are one alert, a whole market is one message."""

from datetime import timedelta

from listener.domain import Channel, Hold, Severity
from listener.store import Database, alerts
from tests.oncall import MINUTE, World, bundles, named, told
from tests.running import bench, turns, usual, voices
from tests.running import told as told_all

HOUR = timedelta(hours=1)
TICKET = {"severity": Severity.WARNING}


def test_promise_12_a_page_inhibits_the_tickets_of_its_brand_until_it_ends() -> None:
    world = World()
    world.fire("acme")
    world.round()
    world.fire("acme", rule="high_risk", **TICKET)
    world.fire("bolt", rule="high_risk", **TICKET)
    assert told(world.round(MINUTE)) == [("mqtt", "first", "bolt")]
    assert world.holds() == {Hold.INHIBITED}
    world.resolve("acme", 2)
    assert sorted(told(world.round(10 * MINUTE))) == [("mqtt", "first", "acme"), ("mqtt", "resolved", "acme")]


def test_promise_12_a_ticket_inhibits_nothing() -> None:
    world = World()
    world.fire("acme", **TICKET)
    world.round()
    world.fire("acme", rule="high_risk", **TICKET)
    assert told(world.round(MINUTE)) == [("mqtt", "first", "acme")]


def test_promise_12_a_market_that_moves_is_one_message_and_whoever_has_nothing_to_do_with_it_is_another() -> None:
    world = World()
    brands = ("elisa", "tele", "telia")
    for brand in brands:
        world.fire(brand, market=tuple(one for one in brands if one != brand))
    world.fire("bakery")
    found = world.round()
    (group,) = bundles(found)
    assert named([group]) == set(brands)
    assert told(found) == [("mqtt", "first", "bakery")]


async def test_promise_12_the_share_and_the_number_of_complaints_are_one_alert(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        first = await at.look()
        await at.heard(*voices("Bolt", 120, bad=115, at=at.clock[0] + 5 * MINUTE, start=3000))
        await at.look(5 * MINUTE)
        pages = [one for one in await told_all(at) if one["rule"] == "deterioration"]
        kept = [one for one in await alerts.recent(database, limit=9) if one.rule == "deterioration"]
    assert [alert.brand for alert in first.told] == ["bolt"]
    assert len(kept) == 1
    assert len({one["alert_id"] for one in pages}) == 1
    assert Channel.EVIDENCE.value in pages[0]["channels"]


async def test_promise_12_two_competitors_that_turn_together_are_one_page(database: Database) -> None:
    async with bench(database) as at:
        for name, brand in list(at.parts.brands.items()):
            others = tuple(one for one in at.parts.brands if one != name)
            at.parts.brands[name] = brand.model_copy(update={"alerts": True, "competitors": others})  # type: ignore[index]
        await usual(at)
        await usual(at, "Wolt")
        await turns(at)
        await turns(at, "Wolt")
        await at.look()
        (page,) = await told_all(at)
    assert (page["type"], page["kind"], page["severity"]) == ("bundle", "market", "critical")
    assert {one["brand"] for one in page["alerts"]} == {"bolt", "wolt"}
