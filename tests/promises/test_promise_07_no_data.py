"""Promise 7: missing data is not recovery, and is told once."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.oncall.drill import drill
from listener.alerts.wire import schemas
from listener.config.models import DigestOptions
from listener.domain import Act, Alert, AlertState, Resolution, Severity
from listener.errors import FetchError
from listener.pipeline.digest import read_digest
from listener.store import Database, alerts, drills
from tests.promises.wired import rows
from tests.running import (
    HOUR,
    MINUTE,
    RULES,
    Bench,
    answered,
    bench,
    decided,
    state_of,
    told,
    turns,
    usual,
    worsened,
)


async def test_promise_07_a_source_that_fails_for_hours_while_an_alert_fires_resolves_nothing(
    database: Database,
) -> None:
    async with bench(database) as at:
        await usual(at)
        await turns(at)
        await at.look()
        before = [one["reason"] for one in await told(at)]
        for _ in range(24):  # six hours, looked at every quarter of an hour
            at.script(FetchError("down"))
            await at.polled(after=15 * MINUTE)
            found = await at.look()
            await told(at)
        after = [(one["rule"], one["reason"]) for one in (await told(at))[len(before) :] if one["type"] == "alert"]
        firing = {one.rule for one in await alerts.recent(database, limit=9) if one.state.value == "firing"}
    assert before == ["first"]
    assert [one for one in after if one[1] == "resolved"] == []
    assert [one for one in after if one[0] == "blind"] == [("blind", "first")]
    assert firing == {"deterioration", "blind"}
    assert state_of(found).state == "critical"


# ------------------------------------------------------------------------------- what the configuration names no more


def without_brand(at: Bench) -> None:
    at.parts = replace(at.parts, brands={"wolt": at.parts.brands["wolt"]}, rules={"wolt": RULES})


def without_alerts(at: Bench) -> None:
    silent = {name: brand.model_copy(update={"alerts": False}) for name, brand in at.parts.brands.items()}
    at.parts = replace(at.parts, brands=silent)


def without_rule(at: Bench) -> None:
    at.parts = replace(
        at.parts, rules={**at.parts.rules, "bolt": [one for one in RULES if one.name != "deterioration"]}
    )


GONE = pytest.mark.parametrize("configure", [without_brand, without_alerts, without_rule], ids=lambda one: one.__name__)


async def fired(database: Database) -> tuple[Alert, int]:
    """Bolt's page, told by a daemon that has stopped since; and how often it was told."""
    async with bench(database) as before:
        await usual(before)
        await turns(before)
        (alert,) = (await before.look()).told
        return alert, len(await told(before))


async def kept(database: Database, alert: Alert) -> Alert:
    found = await alerts.one(database, alert.id)
    assert found is not None
    return found


@GONE
async def test_promise_07_what_is_not_watched_any_more_ends_once_without_a_word_of_recovery(
    database: Database, configure: Callable[[Bench], None]
) -> None:
    alert, _ = await fired(database)
    async with bench(database) as at:
        configure(at)
        at.clock[0] += HOUR
        found = await at.look()
        (end,) = [one for one in await told(at) if one["reason"] == "resolved"]
        for _ in range(20):
            await at.look(timedelta(days=1))
        all_of_it = await told(at)
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_alert_seconds_count", {"resolution": "unwatched"}) == 1.0
    after = await kept(database, alert)
    assert [(one.id, one.state) for one in found.told] == [(alert.id, AlertState.RESOLVED)]
    assert (after.state, after.resolution, after.ended_at) == (
        AlertState.RESOLVED,
        Resolution.UNWATCHED,
        alert.started_at + HOUR,
    )
    Draft202012Validator(schemas.load("alert")).validate(end)
    assert (end["alert_id"], end["seq"], end["resolution"]) == (alert.id, 2, "unwatched")
    title = "Bolt" if configure is not without_brand else "bolt"
    assert end["text"]["en"]["title"] == f"Closed without recovery: {title}, not watched any more"
    assert end["text"]["et"]["title"] == f"Suletud ilma taastumiseta: {title}, enam ei jälgita"
    assert "is not watched any more: nothing tells whether it is over. The alert lasted 60 min" in (
        end["text"]["en"]["body"].replace("1 h", "60 min")
    )
    assert "enam ei jälgita ja miski ei näita, kas see on möödas." in end["text"]["et"]["body"]
    assert [one["reason"] for one in all_of_it if one["type"] == "alert"] == ["resolved"]
    assert await alerts.firing(database) == set()


@GONE
async def test_promise_07_the_digest_does_not_name_what_is_not_watched(
    database: Database, configure: Callable[[Bench], None]
) -> None:
    await fired(database)
    async with bench(database) as at:
        before = await read_digest(database, at.parts.brands, DigestOptions(), now=at.clock[0])
        configure(at)
        if configure is not without_rule:  # even before the next look
            early = await read_digest(database, at.parts.brands, DigestOptions(), now=at.clock[0])
            assert early.open_alerts == ()
        await at.look()
        after = await read_digest(database, at.parts.brands, DigestOptions(), now=at.clock[0])
    assert [one.brand for one in before.open_alerts] == ["bolt"]
    assert after.open_alerts == ()


async def test_promise_07_the_end_of_what_nobody_was_told_of_is_not_told(database: Database) -> None:
    async with bench(database) as before:
        (alert,) = await decided(before, "bolt")
    async with bench(database) as at:
        without_brand(at)
        await at.look()
        assert await told(at) == []
    assert (await kept(database, alert)).resolution is Resolution.UNWATCHED


async def test_promise_07_what_is_watched_and_drills_go_on(database: Database) -> None:
    alert, _ = await fired(database)
    async with bench(database) as at:
        pretend, event = drill("gone", title="Gone", severity=Severity.CRITICAL, by="mari", now=at.clock[0])
        await drills.write(database, pretend, event)
        assert (await at.look(HOUR)).told == ()
    assert (await kept(database, alert)).state is (await kept(database, pretend)).state is AlertState.FIRING


async def test_promise_07_what_another_daemon_has_found_since_we_look_is_theirs(database: Database) -> None:
    """While a configuration is rolled out, one daemon knows a brand that the other does not know: for an hour."""
    async with bench(database) as at:
        without_brand(at)
        await at.look()
        at.clock[0] += MINUTE
        (alert,) = await decided(at, "bolt")
        assert (await at.look(HOUR - MINUTE)).told == ()
        (ended,) = (await at.look(MINUTE)).told
        assert (ended.id, ended.resolution) == (alert.id, Resolution.UNWATCHED)
        assert at.parts.watching.ended.keys() == {alert.id}


async def test_promise_07_an_end_that_another_daemon_has_undone_is_not_made_twice(database: Database) -> None:
    """While a brand is taken out, the other daemon may still look at it: the two do not take turns."""
    alert, _ = await fired(database)
    async with bench(database) as at:
        without_brand(at)
        await at.look()
        over = await kept(database, alert)
        await worsened(at, replace(over, state=AlertState.FIRING, ended_at=None, resolution=None))
        assert (await at.look(HOUR - MINUTE)).told == ()
    assert (await kept(database, alert)).state is AlertState.FIRING


async def test_promise_07_what_a_person_has_ended_meanwhile_stays_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert, _ = await fired(database)
    async with bench(database) as at:
        without_brand(at)
        module = sys.modules["listener.pipeline.evaluate"]
        real = module.end_unwatched

        async def late(*arguments: Any) -> Alert | None:
            await answered(at, alert.id, Act.RESOLVE)
            return await real(*arguments)  # type: ignore[no-any-return]

        monkeypatch.setattr(module, "end_unwatched", late)
        assert (await at.look()).told == ()
    assert (await kept(database, alert)).resolution is Resolution.MANUAL


async def test_promise_07_an_end_that_crashes_keeps_the_brand_from_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as before:
        (alert,) = await decided(before, "bolt", rule="renamed")
        await told(before)

    def bad(*_: Any) -> Any:
        raise ZeroDivisionError("a bug about ends")

    async with bench(database) as at:
        with monkeypatch.context() as patched, capture_logs() as log:
            patched.setattr(sys.modules["listener.pipeline.ending"], "by_hand", bad)
            await usual(at)
            await turns(at)
            assert [one.rule for one in (await at.look()).told] == ["deterioration"]
        assert {one["alert"] for one in log if one["event"] == "alert.not_ended"} == {alert.id}
        assert [one.id for one in (await at.look()).told] == [alert.id]
    assert await rows(database, "SELECT rule FROM alert WHERE state = 'firing'") == [("deterioration",)]
