"""From what customers say to what people are told, over real databases: once, with its proof, and when it is over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from listener.alerts.detection.record import RECENT, check
from listener.alerts.wire import schemas
from listener.alerts.wire.payload import record_of
from listener.domain import Condition
from listener.errors import FetchError
from listener.pipeline import deliver
from listener.store import Database, alerts, ledger
from tests.running import HOUR, MINUTE, TICK, bench, state_of, told, turned, turns, usual, voices


async def test_a_turn_is_decided_once_and_handed_over_once(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        first, again = await at.look(), await at.look()
        assert [alert.brand for alert in first.told] == ["bolt"]
        assert again.told == ()
        assert state_of(first).state == state_of(again).state == "critical"
        assert await deliver(at.parts, "inbox") == 1
        assert await deliver(at.parts, "inbox") == 0
    (notification,) = at.inbox.taken
    assert notification.payload["reason"] == "first"
    assert len(notification.payload["evidence"]) == 3
    assert "awful" not in str(notification.payload)  # ids and links, never what somebody wrote


async def test_a_page_comes_with_its_proof(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        await at.look()
        (page,) = await told(at)
        (alert,) = await alerts.recent(database, limit=9)
    Draft202012Validator(schemas.load("alert")).validate(page)
    assert (page["severity"], page["reason"], page["channels"]) == ("critical", "first", ["evidence"])
    assert (page["mentions"], page["negative"]) == (30, 24)
    assert page["strength"]["budget"] == pytest.approx(0.25, abs=0.05)
    assert page["expected"] == pytest.approx(0.14, abs=0.02)
    assert page["strength"]["evidence"] > page["strength"]["evidence_limit"]
    proof = page["proof"]
    assert (proof["voices"], proof["repeats"], proof["authors"], proof["broad"]) == (30, 0, 30, True)
    source = proof["source"]
    assert source["change"] == pytest.approx(source["after"] - source["before"], abs=1e-5)
    assert source["mix"] + source["within"] == pytest.approx(source["change"], abs=1e-5)
    assert [part["key"] for part in source["parts"]] == ["forum"]
    assert source["before"] == pytest.approx(0.14, abs=0.01)
    assert [link["id"] for link in page["evidence"]] == [one["id"] for one in proof["top"]][:3]
    assert all(link["url"].startswith("https://forum.example/Bolt/1") for link in page["evidence"])
    assert "customer 1000" not in str(page)
    assert alert.evidence == tuple(link["id"] for link in page["evidence"])


async def test_what_was_decided_is_decided_again_from_the_ledger_to_the_last_bit(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        await at.look()
        await at.heard(*voices("Bolt", 5, bad=5, at=at.clock[0], start=2000))
        await at.look(TICK)
    (alert,) = await alerts.recent(database, limit=9)
    record = record_of(alert)
    assert record is not None
    last = record.signal.position
    after = await ledger.read(database, "bolt", after=record.origin.position, until=last)
    recent = await ledger.read(database, "bolt", until=last, since_at=record.decided_at - RECENT)
    assert [one.what for one in check(record, after, recent) if not one.same] == []
    changed = [*after[:-1], replace(after[-1], risk=after[-1].risk / 2)]
    assert "evidence" in [one.what for one in check(record, changed, recent) if not one.same]


async def test_one_who_shouts_is_one_voice(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        shouting = voices("Bolt", 30, bad=30, at=at.clock[0], start=1000, every=timedelta(minutes=1))
        await at.heard(*(replace(one, author="Mari") for one in shouting))
        assert (await at.look()).told == ()
    counted_votes = await ledger.read(database, "bolt", after=400)
    assert [one.weighs for one in counted_votes] == [True, *[False] * 29]


# ------------------------------------------------------------------------------------------------------------- market


async def test_a_competitor_that_moves_at_the_same_time_makes_it_a_matter_of_the_whole_market(
    database: Database,
) -> None:
    async with bench(database) as at:
        await usual(at)
        await usual(at, "Wolt")
        await turns(at, "Wolt")
        await turns(at)
        await at.look()
        (page,) = await told(at)
    assert page["market"]["verdict"] == "whole_market"
    assert page["market"]["moving"] == ["wolt"]
    assert page["text"]["en"]["title"].endswith("(whole market)")
    assert "The whole market moves: Wolt too." in page["text"]["en"]["body"]
    assert await alerts.firing(database) == {"bolt"}  # nobody is told of a competitor


async def test_competitors_that_both_alert_see_each_other(database: Database) -> None:
    async with bench(database) as at:
        brands = {name: brand.model_copy(update={"alerts": True}) for name, brand in at.parts.brands.items()}
        brands["wolt"] = brands["wolt"].model_copy(update={"competitors": ("bolt",)})
        at.parts = replace(at.parts, brands=brands)
        await usual(at)
        await usual(at, "Wolt")
        await turns(at, "Wolt")
        await turns(at)
        await at.look()
        (group,) = await told(at)
    assert (group["kind"], group["severity"]) == ("market", "critical")
    assert {one["brand"] for one in group["alerts"]} == {"bolt", "wolt"}
    assert "the whole market moves" in group["text"]["en"]["title"]


async def test_a_competitor_that_goes_on_as_ever_leaves_it_to_the_brand(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await usual(at, "Wolt")
        fine = voices("Wolt", 120, bad=12, at=at.clock[0], start=1000, every=timedelta(seconds=30))
        await at.heard(*fine)
        await at.look()
        await turns(at)
        await at.look()
        (page,) = await told(at)
    assert page["market"]["moving"] == []
    assert page["market"]["verdict"] in {"own", "unknown"}
    assert "whole market" not in page["text"]["en"]["title"]


# ----------------------------------------------------------------------------------------------------------- its end


async def test_calm_resolves_after_its_time_and_tells_so(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        at.clock[0] += 3 * HOUR
        await at.heard(*voices("Bolt", 40, bad=0, at=at.clock[0], start=500))
        assert (await at.look()).told == ()
        assert (await at.look(119 * MINUTE)).told == ()
        (alert,) = (await at.look(MINUTE)).told
        assert alert.ended_at == at.clock[0]
        pages = await told(at)
    assert [(one["reason"], one["resolution"]) for one in pages] == [("first", None), ("resolved", "recovered")]
    assert pages[1]["proof"] == pages[0]["proof"]  # what it rested on is not forgotten at its end


async def test_a_breach_soon_after_the_end_is_the_same_alert_again(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        at.clock[0] += 3 * HOUR
        await at.heard(*voices("Bolt", 40, bad=0, at=at.clock[0], start=500))
        await at.look()
        await at.look(2 * HOUR)
        at.clock[0] += 12 * HOUR
        await at.heard(*voices("Bolt", 60, bad=58, at=at.clock[0], start=600))
        await at.look()
        pages = await told(at)
    assert [one["reason"] for one in pages] == ["first", "resolved", "reopened"]
    assert len({one["alert_id"] for one in pages}) == 1
    assert [one["seq"] for one in pages] == [1, 2, 3]
    assert pages[-1]["reopened"] == 1


async def test_silence_is_not_recovery_and_after_three_days_it_is_said_that_nothing_is_known(
    database: Database,
) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        for _ in range(71):
            evaluation = await at.look(HOUR)
            assert evaluation.told == ()
            await told(at)
        assert state_of(evaluation).state == "critical"
        assert state_of(evaluation).condition is Condition.UNKNOWN
        closed = await at.look(HOUR)
        assert [alert.brand for alert in closed.told] == ["bolt"]
        assert state_of(closed).state == "ok"
        pages = [one for one in await told(at) if one["reason"] != "repeat"]
    assert [(one["reason"], one["resolution"]) for one in pages] == [("first", None), ("resolved", "no_data")]
    assert "nothing tells whether it is over" in pages[1]["text"]["en"]["body"]


async def test_what_a_page_tells_of_does_not_become_usual(database: Database) -> None:
    async with bench(database) as at:
        at.clock[0] += HOUR
        await usual(at)
        await turns(at)
        await at.look()
        out = [one for one in await ledger.past(database, "bolt", first_slot=0) if one.left_out]
        assert sum(one.sums.n for one in out) == 30.0
        for _ in range(8):
            at.clock[0] += 12 * HOUR
            await at.heard(*voices("Bolt", 10, bad=9, at=at.clock[0], start=int(at.clock[0].timestamp())))
            found = await at.look()
        assert state_of(found).expected == pytest.approx(0.14, abs=0.01)


# ------------------------------------------------------------------------------------------------------------- blind


async def test_a_source_that_fails_makes_the_brand_blind_and_when_it_is_back_it_can_be_heard(
    database: Database,
) -> None:
    async with bench(database) as at:
        await usual(at)
        at.script(FetchError("down"))
        assert await at.polled() == "failed"
        assert state_of(await at.look()).state == "ok"
        assert (await at.look(14 * MINUTE)).told == ()
        blind = await at.look(MINUTE)
        assert (state_of(blind).state, state_of(blind).condition) == ("blind", Condition.BLIND)
        assert [(alert.brand, alert.rule) for alert in blind.told] == [("bolt", "blind")]
        assert (await at.look(HOUR)).told == ()
        await at.heard(*voices("Bolt", 3, bad=0, at=at.clock[0], start=500))
        back = [await at.look(), await at.look(MINUTE)]
        assert state_of(back[-1]).state == "ok"
        pages = await told(at)
    assert [(one["rule"], one["reason"], one["severity"]) for one in pages] == [
        ("blind", "first", "warning"),
        ("blind", "resolved", "warning"),
    ]
    assert ": forum. What customers say there is not heard" in pages[0]["text"]["en"]["body"]
    assert pages[1]["text"]["en"]["title"] == "Resolved: Bolt can be heard again"


async def test_while_blind_a_page_neither_resolves_nor_is_closed(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        at.script(FetchError("down"))
        assert await at.polled(HOUR) == "failed"
        for _ in range(100):
            found = await at.look(HOUR)
            await told(at)
        pages = [one for one in await told(at) if one["reason"] != "repeat"]
    assert (state_of(found).state, state_of(found).condition) == ("critical", Condition.BLIND)
    assert [(one["rule"], one["reason"]) for one in pages] == [("deterioration", "first"), ("blind", "first")]


async def test_a_competitor_may_be_blind_and_nobody_is_told(database: Database) -> None:
    async with bench(database) as at:
        at.script(FetchError("down"))
        await at.polled()
        found = await at.look(HOUR)
    assert state_of(found, "wolt").state == "blind"
    assert {alert.brand for alert in found.told} == {"bolt"}


# ----------------------------------------------------------------------------------------------------- single mentions


async def test_one_complaint_that_many_see_is_told_once_and_expires(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        (one,) = voices("Bolt", 1, bad=1, at=at.clock[0], start=500)
        await at.heard(replace(one, reach=2_000_000))
        await at.look()
        await at.look(MINUTE)
        await at.look(7 * HOUR)
        pages = await told(at)
    assert [(one["rule"], one["reason"], one["resolution"]) for one in pages] == [
        ("high_risk", "first", None),
        ("high_risk", "resolved", "expired"),
    ]
    assert [link["url"] for link in pages[0]["evidence"]] == ["https://forum.example/Bolt/500"]
    assert (pages[0]["severity"], pages[0]["proof"]) == ("critical", None)
