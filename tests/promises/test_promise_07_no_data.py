"""Promise 7: missing data is not recovery, and is told once."""

from listener.errors import FetchError
from listener.store import Database, alerts
from tests.running import MINUTE, bench, state_of, told, turns, usual


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
