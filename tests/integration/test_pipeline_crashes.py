"""A bug about one brand, one action or one drill costs no other, over real databases."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from listener.alerts.wire import schemas
from listener.domain import Act, Outcome
from listener.errors import StoreError
from listener.pipeline import act, end_drills, evaluate, tell
from listener.pipeline.act import ATTEMPTS, DRILL_TIME
from listener.pipeline.found import NothingLookedAt
from listener.store import Database, actions, alerts, votes
from listener.store.votes import Conflict
from listener.tables import standing as standing_table
from tests.promises.wired import rows
from tests.running import HOUR, MINUTE, Bench, asked, bench, decided, told, turns, usual, voices

# What a bug of ours costs does not depend on the database: once is enough where a brand is looked at as a whole.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

EVALUATE, ACT = sys.modules["listener.pipeline.evaluate"], sys.modules["listener.pipeline.act"]
WAITING = "SELECT brand, count(*) FROM ballot GROUP BY brand ORDER BY brand"


def value(at: Bench, name: str, **labels: str) -> float:
    return at.parts.metrics.registry.get_sample_value(f"listener_{name}", labels) or 0.0


def crash(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, when: Callable[..., bool]) -> None:
    """``module.name`` raises while ``when`` is true of its arguments."""
    real = getattr(module, name)

    def bad(*arguments: Any, **named: Any) -> Any:
        if when(*arguments, **named):
            raise ZeroDivisionError("a bug about this one")
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, bad)


# -------------------------------------------------------------------------------------------------------------- brands


async def test_a_brand_that_crashes_costs_no_other_and_is_looked_at_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        await at.heard(*voices("Wolt", 5, bad=1, at=at.clock[0], start=0))
        await at.heard(*voices("Bolt", 5, bad=1, at=at.clock[0], start=0))
        with monkeypatch.context() as patched:
            crash(patched, EVALUATE, "look", lambda case: case.brand == "bolt")
            for _ in range(3):
                with capture_logs() as log:
                    found = await evaluate(at.parts)
                assert [one["brand"] for one in log if one["event"] == "brand.crashed"] == ["bolt"]
                at.clock[0] += MINUTE
        assert {one.brand for one in found.states} <= {"wolt"}
        assert await rows(database, "SELECT brand FROM standing") == [("wolt",)]
        assert await rows(database, WAITING) == [("bolt", 5)]
        assert value(at, "unit_failures_total", stage="evaluate") == 3.0
        await at.look()
    assert await rows(database, WAITING) == []


@SQLITE
@pytest.mark.parametrize("where", ["_change", "alert_payload", "_state"])
async def test_a_page_is_told_though_another_brand_crashes_while_its_own_is_decided(
    database: Database, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with bench(database) as at:
        brands = {name: brand.model_copy(update={"alerts": True}) for name, brand in at.parts.brands.items()}
        at.parts = replace(at.parts, brands=brands)
        for name in ("Bolt", "Wolt"):
            await usual(at, name)
            await turns(at, name)
        crash(monkeypatch, EVALUATE, where, lambda *some, **_: "bolt" in {getattr(one, "brand", "") for one in some})
        found = await at.look()
        assert "wolt" in {one.brand for one in found.told}
        assert "wolt" in {page["brand"] for one in await told(at) for page in one.get("alerts", [one])}


@SQLITE
async def test_a_page_whose_proof_crashes_is_told_without_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        crash(monkeypatch, EVALUATE, "prove_it", lambda *_: True)
        await at.look()
        (page,) = await told(at)
        assert value(at, "unit_failures_total", stage="evaluate") == 1.0
    Draft202012Validator(schemas.load("alert")).validate(page)
    assert (page["reason"], page["mentions"], page["proof"], page["evidence"]) == ("first", 30, None, [])


async def test_a_standing_that_cannot_be_read_costs_its_own_brand_only(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await at.heard(*voices("Wolt", 5, bad=1, at=at.clock[0], start=0))
        await at.look()
        broken = update(standing_table).where(standing_table.c.brand == "wolt").values(state={"so": 1}, version=99)
        async with database.writing() as connection:
            await connection.execute(broken)
        await at.heard(*voices("Wolt", 5, bad=1, at=at.clock[0], start=100))
        await turns(at)
        assert [one.brand for one in (await at.look()).told] == ["bolt"]
    assert await rows(database, WAITING) == [("wolt", 5)]


async def test_an_alert_that_cannot_be_read_costs_its_own_brand_only(database: Database) -> None:
    async with bench(database) as at:
        await usual(at)
        await decided(at, "wolt")
        async with database.writing() as connection:
            await connection.execute(text("UPDATE alert SET signal = '{}'"))
        await turns(at)
        assert [one.brand for one in (await at.look()).told] == ["bolt"]


async def test_an_alert_that_cannot_be_read_is_found_by_halves(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by one question for each of thousands of brands, at every look."""
    names = [f"brand{number:03}" for number in range(256)]
    asked: list[int] = []
    real = alerts.latest

    async def latest(where: Any, brands: Sequence[str]) -> Any:
        asked.append(len(brands))
        return await real(where, brands)

    monkeypatch.setattr(alerts, "latest", latest)
    async with bench(database) as at:
        bolt = at.parts.brands["bolt"]
        at.parts = replace(at.parts, brands=dict.fromkeys(names, bolt), rules={})
        await decided(at, names[100])
        async with database.writing() as connection:
            await connection.execute(text("UPDATE alert SET signal = '{}'"))
        for name in names:
            at.parts.agenda.begin(name)
        with capture_logs() as log:
            await evaluate(at.parts)
    assert [one["brand"] for one in log if one["event"] == "brand.crashed"] == [names[100]]
    assert len(asked) <= 20


async def test_what_cannot_be_kept_of_one_brand_is_kept_of_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        for name in ("Bolt", "Wolt"):
            await at.heard(*voices(name, 5, bad=1, at=at.clock[0], start=0))
        crash(monkeypatch, votes, "save", lambda _, changes, **__: "bolt" in {one.brand for one in changes})
        await evaluate(at.parts)
    assert await rows(database, WAITING) == [("bolt", 5)]


async def test_when_no_brand_can_be_looked_at_the_rules_do_not_look(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the watchdog falls silent, and the metric of the last look stands still."""
    async with bench(database) as at:
        await evaluate(at.parts)
        looked_at = value(at, "last_evaluation_timestamp_seconds")
        at.clock[0] += HOUR
        for name in at.parts.brands:
            at.parts.agenda.begin(name)
        with monkeypatch.context() as patched:
            crash(patched, EVALUATE, "look", lambda _: True)
            with pytest.raises(NothingLookedAt):
                await evaluate(at.parts)
        assert value(at, "last_evaluation_timestamp_seconds") == looked_at
        await evaluate(at.parts)
        assert value(at, "last_evaluation_timestamp_seconds") == looked_at + 3600


async def test_a_database_that_fails_is_no_bug_of_a_brand(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise StoreError("away")

    monkeypatch.setattr(EVALUATE, "look", away)
    async with bench(database) as at:
        with pytest.raises(StoreError):
            await evaluate(at.parts)
        assert at.parts.trouble.brands == set()


# --------------------------------------------------------------------------------------------- more than fits one look


async def many(at: Bench) -> None:
    """More waits of bolt than is counted at a time, and behind it something of wolt."""
    await at.heard(*voices("Bolt", 9, bad=1, at=at.clock[0] - HOUR, start=0))
    await at.heard(*voices("Wolt", 3, bad=1, at=at.clock[0], start=0))


async def test_a_brand_that_crashes_with_much_waiting_holds_up_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EVALUATE, "BALLOTS", 4)
    crash(monkeypatch, EVALUATE, "look", lambda case: case.brand == "bolt")
    async with bench(database) as at:
        await many(at)
        await evaluate(at.parts)
    assert await rows(database, WAITING) == [("bolt", 9)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Conflict(), "the standing has changed since"),
        (IntegrityError("INSERT", {}, Exception("UNIQUE failed: vote\nDETAIL: secret")), "UNIQUE failed: vote"),
    ],
    ids=["conflict", "key"],
)
async def test_a_conflict_that_lasts_ends_the_look_and_is_seen(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    monkeypatch.setattr(EVALUATE, "BALLOTS", 4)
    real = votes.stand

    async def first(connection: Any, dialect: str, changes: Any, now: Any) -> None:
        if "bolt" in {one.brand for one in changes}:
            raise error
        await real(connection, dialect, changes, now)

    monkeypatch.setattr(votes, "stand", first)
    async with bench(database) as at:
        await many(at)
        with capture_logs() as log:
            await evaluate(at.parts)
        assert value(at, "conflicts_total") == 1.0
        assert {(one["brands"][0], one["why"]) for one in log if one["event"] == "votes.conflict"} == {("bolt", why)}
        assert "bolt" in at.parts.agenda.due(at.clock[0])
    assert await rows(database, WAITING) == [("bolt", 9)]


# ------------------------------------------------------------------------------------------------------------- actions


@SQLITE
async def test_an_action_that_crashes_blocks_none_and_is_refused_in_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        one, other = await decided(at, "bolt", "wolt")
        await told(at)
        first = await asked(at, one.id)
        await asked(at, other.id)
        crash(monkeypatch, ACT, "respond", lambda _, alert, **__: alert.id == one.id)
        handled = [[(found.target, found.outcome) for found in await act(at.parts)] for _ in range(ATTEMPTS)]
        assert handled == [[(other.id, Outcome.DONE)], *[[]] * (ATTEMPTS - 2), [(one.id, Outcome.REFUSED)]]
        kept = await actions.by_id(database, first.id)
        assert kept is not None
        assert (kept.outcome, kept.explanation) == (
            Outcome.REFUSED,
            "an error of ours, it is in the log; nothing was changed",
        )
        assert value(at, "unit_failures_total", stage="act") == ATTEMPTS
        assert await act(at.parts) == []
        assert at.parts.trouble.actions == {}


async def test_an_action_that_crashes_once_is_done_the_next_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        (one,) = await decided(at, "bolt")
        await told(at)
        await asked(at, one.id)
        with monkeypatch.context() as patched:
            crash(patched, ACT, "respond", lambda *_, **__: True)
            assert await act(at.parts) == []
        assert [found.outcome for found in await act(at.parts)] == [Outcome.DONE]
        assert at.parts.trouble.actions == {}


async def test_a_database_that_fails_is_no_fault_of_the_action(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StoreError("away")

    async with bench(database) as at:
        (one,) = await decided(at, "bolt")
        await asked(at, one.id)
        monkeypatch.setattr(ACT, "respond", away)
        for _ in range(ATTEMPTS + 1):
            with pytest.raises(StoreError):
                await act(at.parts)
        assert len(await actions.waiting(database, limit=9)) == 1


@pytest.mark.parametrize("do", [Act.ACK, Act.RESOLVE])
async def test_what_was_undone_by_a_conflict_is_not_measured(
    database: Database, monkeypatch: pytest.MonkeyPatch, do: Act
) -> None:
    async with bench(database) as at:
        (one,) = await decided(at, "bolt")
        await tell(at.parts)
        await asked(at, one.id, do)
        real = actions.handled

        async def late(*_: Any, **__: Any) -> bool:
            return False  # another daemon has handled it

        monkeypatch.setattr(actions, "handled", late)
        assert await act(at.parts) == []
        measured: list[tuple[str, dict[str, str]]] = [
            ("time_to_ack_seconds_count", {}),
            ("alert_seconds_count", {"resolution": "manual"}),
        ]
        assert [value(at, name, **labels) for name, labels in measured] == [0.0, 0.0]
        monkeypatch.setattr(actions, "handled", real)
        assert len(await act(at.parts)) == 1
        assert [value(at, name, **labels) for name, labels in measured] == [
            float(do is Act.ACK),
            float(do is Act.RESOLVE),
        ]


async def test_a_drill_that_cannot_end_keeps_no_other_from_ending(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        await decided(at, "bolt", "wolt", rule="drill")
        at.clock[0] += DRILL_TIME
        crash(monkeypatch, ACT, "by_hand", lambda alert, _: alert.brand == "bolt")
        with capture_logs() as log:
            assert await end_drills(at.parts) == 1
        assert await alerts.firing(database) == {"bolt"}
    assert [one["event"] for one in log] == ["drill.crashed"]
