"""What people ask for, done over real databases: once, in one transaction with all that it changes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from listener.alerts.oncall.drill import drill
from listener.alerts.oncall.policy import Policy, ReceiverKind
from listener.alerts.wire import schemas
from listener.alerts.wire.payload import as_json
from listener.config.oncall import Escalation
from listener.domain import Act, Alert, AlertState, Outcome, Reason, Resolution, Response, Severity, Via
from listener.pipeline import act, deliver, end_drills, evaluate, tell
from listener.pipeline.act import DRILL_TIME
from listener.store import Database, actions, alerts, drills, responses, silences, votes
from listener.store.votes import Change, Kept
from tests.integration.test_kill_points import Killed, Mortal, Reaper
from tests.mentions import NOW
from tests.promises.wired import complaint, following, rows
from tests.running import (
    HOUR,
    MINUTE,
    TICK,
    Bench,
    answered,
    asked,
    bench,
    decided,
    ended,
    state_of,
    told,
    turned,
    turns,
    usual,
    worsened,
)

ACTIONS = "SELECT act, by, via, outcome, explanation FROM action ORDER BY row"


async def fired(at: Bench) -> Alert:
    """Bolt's page, found by the rules and told."""
    await usual(at)
    await turns(at)
    (alert,) = (await at.look()).told
    await told(at)
    return alert


async def kept(database: Database, alert: Alert) -> Alert:
    found = await alerts.one(database, alert.id)
    assert found is not None
    return found


async def response(database: Database, alert: Alert) -> Response:
    return (await responses.of(database, [alert.id]))[alert.id]


async def standing(database: Database, brand: str = "bolt") -> Kept:
    return (await votes.kept(database, [brand]))[brand]


# ---------------------------------------------------------------------------------------------------------------- ack


async def test_an_ack_says_who_is_on_it_everywhere_and_nobody_is_asked_again(database: Database) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        at.clock[0] += MINUTE
        found = await answered(at, alert.id, comment="looking", via=Via.MQTT)
        Draft202012Validator(schemas.load("action")).validate(as_json(found))
        state = state_of(await at.look())
        at.clock[0] += 5 * HOUR
        assert len(await told(at)) == 1
    assert (found.outcome, found.action, found.by, found.via, found.seq) == (Outcome.DONE, Act.ACK, "mari", Via.MQTT, 1)
    assert (state.state, state.acked_by, state.acked_at, state.escalate) == ("critical", "mari", NOW + MINUTE, False)
    assert await rows(database, ACTIONS) == [("ack", "mari", "mqtt", "done", found.explanation)]
    assert (await response(database, alert)).first_acked_at == NOW + MINUTE


async def test_the_state_is_published_anew_when_somebody_has_answered(database: Database) -> None:
    """Of a brand that nothing is said of, and whose alert does not fire any more."""
    async with bench(database) as at:
        alert = await fired(at)
        await answered(at, alert.id, Act.RESOLVE)
        (state,) = [one for one in (await evaluate(at.parts)).states if one.brand == "bolt"]
    assert (state.state, state.alert_id) == ("ok", None)


async def test_an_ack_runs_out_after_the_time_of_its_chain(database: Database) -> None:
    async with bench(database) as at:
        chain = Escalation(ack_minutes=90)
        policy = Policy(receivers={"inbox": ReceiverKind()}, escalations={"one": chain})
        at.parts = replace(at.parts, policy=policy)
        (alert,) = await decided(at, "bolt")
        await told(at)
        await answered(at, alert.id)
        at.clock[0] += 89 * MINUTE
        assert len(await told(at)) == 1
        at.clock[0] += MINUTE
        assert [one["reason"] for one in await told(at)] == ["first", "repeat"]
    assert (await response(database, alert)).acked_by is None


async def test_what_has_become_worse_is_not_answered_by_an_old_ack(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt", severity=Severity.WARNING)
        await told(at)
        await worsened(at, alert)
        found = await answered(at, alert.id, seq=1)
        assert (found.outcome, "worse" in found.explanation) == (Outcome.REFUSED, True)
        assert [one["reason"] for one in await told(at)] == ["first", "worsened"]
        assert (await answered(at, alert.id, seq=2, id="again")).outcome is Outcome.DONE


async def test_the_first_answer_is_measured_from_the_first_message(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await told(at)
        at.clock[0] += 7 * MINUTE
        await answered(at, alert.id)
        await answered(at, alert.id, Act.ASSIGN, assignee="jaan")
        value = at.parts.metrics.registry.get_sample_value
        assert value("listener_time_to_ack_seconds_count") == 1.0
        assert value("listener_time_to_ack_seconds_sum") == 7 * 60.0
        labels = {"action": "ack", "via": "cli", "outcome": "done"}
        assert value("listener_actions_total", labels) == 1.0


# ---------------------------------------------------------------------------------------- assign, snooze, silence, note


async def test_whose_it_is_and_until_when_it_sleeps_is_in_the_state(database: Database) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        await answered(at, alert.id, Act.ASSIGN, assignee="jaan")
        assigned = state_of(await at.look())
        await answered(at, alert.id, Act.SNOOZE, minutes=45)
        snoozed = state_of(await at.look())
    assert (assigned.assignee, assigned.acked_by, assigned.snoozed_until) == ("jaan", "mari", None)
    assert (snoozed.assignee, snoozed.snoozed_until) == ("jaan", NOW + 45 * MINUTE)


async def test_what_was_snoozed_and_still_fires_is_told_again_and_what_is_over_by_then_is_not(
    database: Database,
) -> None:
    async with bench(database) as at:
        one, other = await decided(at, "bolt", "wolt")
        await told(at)
        for alert in (one, other):
            await answered(at, alert.id, Act.SNOOZE, minutes=45)
        await ended(at, other)
        at.clock[0] += 44 * MINUTE
        assert [(one["brand"], one["reason"]) for one in (await told(at))[2:]] == [("wolt", "resolved")]
        at.clock[0] += MINUTE
        assert [(one["brand"], one["reason"]) for one in (await told(at))[3:]] == [("bolt", "repeat")]
        assert state_of(await at.look()).snoozed_until is None


async def test_a_silence_mutes_what_comes_of_the_same_brand_and_rule_and_nothing_else(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await told(at)
        found = await answered(at, alert.id, Act.SILENCE, minutes=90, comment="the release")
        (muted,) = await silences.active(database, now=NOW)
        assert (muted.brand, muted.rule, muted.severity) == ("bolt", "deterioration", None)
        assert (muted.created_by, muted.comment, muted.ends_at) == ("mari", "the release", NOW + 90 * MINUTE)
        assert found.outcome is Outcome.DONE
        await ended(at, alert)
        assert len(await told(at)) == 1  # that it is over can wait, too
        at.clock[0] += HOUR
        await decided(at, "bolt")
        await decided(at, "bolt", rule="high_risk")
        await decided(at, "wolt")
        assert {(one["brand"], one["rule"]) for one in (await told(at))[1:]} == {
            ("bolt", "high_risk"),
            ("wolt", "deterioration"),
        }
        at.clock[0] += 31 * MINUTE
        later = [(one["brand"], one["rule"], one["reason"]) for one in (await told(at))[3:]]
        assert set(later) >= {("bolt", "deterioration", "first"), ("bolt", "deterioration", "resolved")}


async def test_notes_are_kept_also_after_the_end(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await told(at)
        await ended(at, alert)
        found = await answered(at, alert.id, Act.NOTE, seq=None, comment="the release", helped="going back")
        late = await answered(at, alert.id, Act.ACK, seq=1)
        await told(at)
    after = await response(database, alert)
    assert (found.outcome, late.outcome) == (Outcome.DONE, Outcome.NOOP)
    assert (after.cause, after.helped, after.acked_by, after.closed) == ("the release", "going back", None, True)


# ------------------------------------------------------------------------------------------------------------- resolve


async def test_what_is_resolved_by_hand_ends_and_everybody_who_was_told_hears_why(database: Database) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        before = await standing(database)
        at.clock[0] += MINUTE
        found = await answered(at, alert.id, Act.RESOLVE, comment="a bad release", helped="we went back")
        after = await kept(database, alert)
        now = await standing(database)
        end = (await told(at))[-1]
    Draft202012Validator(schemas.load("alert")).validate(end)
    assert found.outcome is Outcome.DONE
    assert (after.state, after.resolution, after.ended_at) == (AlertState.RESOLVED, Resolution.MANUAL, NOW + MINUTE)
    assert (now.version, now.position) == (before.version + 1, before.position)
    assert now.state != before.state
    assert (end["reason"], end["seq"], end["resolution"]) == ("resolved", 2, "manual")
    assert all(word in end["text"]["en"]["body"] for word in ("mari", "a bad release", "we went back"))
    assert end["proof"] is not None
    answer = await response(database, alert)
    assert (answer.resolved_by, answer.cause, answer.helped, answer.closed) == (
        "mari",
        "a bad release",
        "we went back",
        True,
    )


async def test_what_was_said_until_then_does_not_bring_it_back_and_what_is_said_from_then_on_does(
    database: Database,
) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        await answered(at, alert.id, Act.RESOLVE, comment="a bad release", helped="we went back")
        for _ in range(24):
            found = await at.look(TICK)
            assert found.told == ()
        assert state_of(found).state == "ok"
        await turns(at, start=2000)
        (again,) = (await at.look()).told
        pages = await told(at)
        reasons = [(one["reason"], one["seq"]) for one in pages]
    # Whoever meets it again reads what it was the last time.
    assert all(said in pages[-1]["text"]["en"]["body"] for said in ("mari", "a bad release", "we went back"))
    assert (again.id, again.reopened, again.state) == (alert.id, 1, AlertState.FIRING)
    assert reasons == [("first", 1), ("resolved", 2), ("reopened", 3)]
    assert (await response(database, alert)).resolved_by is None


async def test_a_few_more_of_the_same_do_not_bring_it_back(database: Database) -> None:
    """The trouble is dealt with, and those who had it go on to tell of it for a while."""
    async with bench(database) as at:
        alert = await fired(at)
        await answered(at, alert.id, Act.RESOLVE)
        await turns_a_little(at)
        assert (await at.look(TICK)).told == ()


async def turns_a_little(at: Bench) -> None:
    await at.heard(*(complaint_of(at, number) for number in range(2)))


def complaint_of(at: Bench, number: int) -> Any:
    return replace(complaint("bolt", number, at=at.clock[0]), reach=None)


async def test_a_brand_that_had_no_history_is_not_paged_for_the_same_again(database: Database) -> None:
    async with bench(database) as at:
        await turned(at)
        (alert,) = (await at.look()).told
        await told(at)
        await answered(at, alert.id, Act.RESOLVE)
        for _ in range(40):
            assert (await at.look(TICK)).told == ()


async def test_one_complaint_that_many_see_is_over_when_somebody_says_so(database: Database) -> None:
    async with bench(database) as plain:
        at = following(plain, ["acme"])
        await at.heard(complaint("acme", at=NOW))
        (alert,) = (await at.look()).told
        await told(at)
        assert (await answered(at, alert.id, Act.RESOLVE)).outcome is Outcome.DONE
        for _ in range(10):
            assert (await at.look(HOUR)).told == ()
        assert [one["reason"] for one in await told(at)] == ["first", "resolved"]
        assert (await kept(database, alert)).resolution is Resolution.MANUAL
        await at.heard(complaint("acme", 1, at=at.clock[0]))
        (another,) = (await at.look()).told
    assert another.id != alert.id


async def test_an_end_that_nobody_was_told_the_beginning_of_is_not_told(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await answered(at, alert.id, Act.RESOLVE)
        assert await told(at) == []
    assert (await kept(database, alert)).resolution is Resolution.MANUAL


@pytest.mark.parametrize("kill_at", [1, 2])
async def test_a_kill_in_the_middle_of_a_resolve_does_all_of_it_or_nothing(database: Database, kill_at: int) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        before = await standing(database)
        await asked(at, alert.id, Act.RESOLVE)
        mortal = Mortal(database.url)
        mortal.reaper = Reaper(at=kill_at)
        try:
            async with bench(mortal) as dying:
                with pytest.raises(Killed):
                    await act(dying.parts)
        finally:
            await mortal.close()
        done = kill_at == 2
        assert ((await kept(database, alert)).state is AlertState.RESOLVED) == done
        assert (await standing(database)).version == before.version + done
        assert len(await actions.waiting(database, limit=9)) == (not done)
        await act(at.parts)
        assert [one["reason"] for one in await told(at)] == ["first", "resolved"]
    assert (await standing(database)).version == before.version + 1


# --------------------------------------------------------------------------------------------------------------- races


def once_before(monkeypatch: pytest.MonkeyPatch, name: str, what: Callable[[], Any]) -> None:
    """Do ``what`` once, right before ``name`` is called."""
    module = votes if hasattr(votes, name) else responses
    real, waiting = getattr(module, name), [what]

    async def both(*arguments: Any, **named: Any) -> Any:
        if waiting:
            await waiting.pop()()
        return await real(*arguments, **named)

    monkeypatch.setattr(module, name, both)


async def test_a_resolve_that_meets_a_decision_under_way_waits_for_the_next_look(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        await asked(at, alert.id, Act.RESOLVE)
        real = votes.kept

        async def stale(where: Any, brands: Sequence[str]) -> Mapping[str, Kept]:
            found = await real(where, brands)
            return {brand: replace(one, version=one.version - 1) for brand, one in found.items()}

        with monkeypatch.context() as patched:
            patched.setattr(votes, "kept", stale)
            assert await act(at.parts) == []
        assert (await kept(database, alert)).state is AlertState.FIRING
        assert (await response(database, alert)).resolved_by is None
        assert len(await actions.waiting(database, limit=9)) == 1
        (found,) = await act(at.parts)
        assert found.outcome is Outcome.DONE
        assert (await kept(database, alert)).state is AlertState.RESOLVED


async def test_a_look_under_way_when_somebody_resolves_decides_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        at.clock[0] += TICK
        await turns(at, start=2000)
        await asked(at, alert.id, Act.RESOLVE)
        once_before(monkeypatch, "save", lambda: act(at.parts))
        assert (await evaluate(at.parts)).told == ()
        assert (await kept(database, alert)).resolution is Resolution.MANUAL
        await tell(at.parts)
        # What was said meanwhile is counted at the next look: it is said after the end.
        assert [one.reopened for one in (await at.look()).told] == [1]
        assert [one["reason"] for one in await told(at)] == ["first", "resolved", "reopened"]


async def test_a_single_mention_that_expires_while_somebody_resolves_it_was_resolved_by_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(database) as plain:
        at = following(plain, ["acme"])
        await at.heard(complaint("acme", at=NOW))
        (alert,) = (await at.look()).told
        await at.look(MINUTE)
        await told(at)
        at.clock[0] += 7 * HOUR
        await asked(at, alert.id, Act.RESOLVE, comment="a joke")
        once_before(monkeypatch, "save", lambda: act(at.parts))
        assert (await evaluate(at.parts)).told == ()
        assert (await kept(database, alert)).resolution is Resolution.MANUAL
        ends = [one for one in await told(at) if one["reason"] == "resolved"]
        assert [one["resolution"] for one in ends] == ["manual"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_becomes_worse_while_somebody_resolves_it_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another daemon decides after we have read the alert and before we end it; on SQLite there is no such moment."""
    other = Database(database.url)
    async with bench(database) as at:
        await at.look()
        (alert,) = await decided(at, "bolt", severity=Severity.WARNING)
        await told(at)
        worse = replace(alert, severity=Severity.CRITICAL, seq=2)
        before = await standing(database)

        async def decide() -> None:
            change = Change(
                brand="bolt",
                before=before.version,
                kept=replace(before, version=before.version + 1),
                alerts=(worse,),
            )
            assert await votes.save(other, [change], now=at.clock[0])

        await asked(at, alert.id, Act.RESOLVE)
        once_before(monkeypatch, "of", decide)
        assert await act(at.parts) == []
        assert await kept(database, alert) == worse
        (found,) = await act(at.parts)
        assert (found.outcome, "worse" in found.explanation) == (Outcome.REFUSED, True)
        assert await kept(database, alert) == worse
    await other.close()


async def test_two_daemons_do_each_thing_once(database_url: str) -> None:
    one, other = Database(database_url), Database(database_url)
    try:
        async with bench(one) as a, bench(other) as b:
            fire = await decided(a, *(f"brand{number}" for number in range(4)))
            await told(a)
            for number, alert in enumerate(fire):
                await asked(a, alert.id, (Act.SILENCE, Act.RESOLVE, Act.ACK, Act.NOTE)[number], comment="so")
            done = await asyncio.gather(act(a.parts), act(b.parts), act(a.parts), act(b.parts))
            found = [one for some in done for one in some]
        assert sorted(one.action.value for one in found) == ["ack", "note", "resolve", "silence"]
        assert {one.outcome for one in found} == {Outcome.DONE}
        assert await rows(one, "SELECT count(*) FROM silence") == [(1,)]
        assert await rows(one, "SELECT count(*) FROM event WHERE reason = 'resolved'") == [(1,)]
    finally:
        await one.close()
        await other.close()


# ------------------------------------------------------------------------------------------------------------ the rest


async def test_what_comes_twice_is_done_once(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await told(at)
        for _ in range(2):
            await asked(at, alert.id, Act.SILENCE)
        assert len(await act(at.parts)) == 1
        await asked(at, alert.id, Act.SILENCE)
        assert await act(at.parts) == []
        assert len(await silences.recent(database, limit=9)) == 1


async def test_what_is_asked_of_an_alert_that_there_is_not_is_refused_and_kept(database: Database) -> None:
    async with bench(database) as at:
        with capture_logs() as log:
            found = await answered(at, "11111111-2222-5333-8444-555555555555")
    assert (found.outcome, found.explanation) == (Outcome.REFUSED, "there is no such alert")
    assert await rows(database, ACTIONS) == [("ack", "mari", "cli", "refused", "there is no such alert")]
    assert [(line["event"], line["outcome"]) for line in log] == [("action.handled", "refused")]


async def test_things_are_done_in_the_order_in_which_they_were_asked_for(database: Database) -> None:
    async with bench(database) as at:
        (alert,) = await decided(at, "bolt")
        await told(at)
        await asked(at, alert.id, Act.ACK, by="jaan")
        await asked(at, alert.id, Act.RESOLVE)
        await asked(at, alert.id, Act.SNOOZE)
        found = [(one.action, one.outcome) for one in await act(at.parts)]
    assert found == [(Act.ACK, Outcome.DONE), (Act.RESOLVE, Outcome.DONE), (Act.SNOOZE, Outcome.NOOP)]


async def test_an_action_upon_a_message_about_several_is_done_for_all_that_it_names(database: Database) -> None:
    async with bench(database) as at:
        fire = await decided(at, *(f"brand{number:02}" for number in range(12)))
        storm = (await told(at))[-1]
        named = {one["alert_id"] for one in storm["alerts"]}
        found = await answered(at, storm["bundle_id"], Act.SILENCE, minutes=600)
        assert found.outcome is Outcome.DONE
        assert found.explanation == "done for 7 of 7 alerts"
        acked = {one.id for one in fire if (await response(database, one)).acked_by == "mari"}
        assert acked == named
        assert len(await silences.active(database, now=NOW)) == 7
        at.clock[0] += 31 * MINUTE
        again = (await told(at))[6:]
        assert {one["alert_id"] for one in again} == {one.id for one in fire} - named


async def test_of_a_bundle_what_has_become_worse_is_not_answered(database: Database) -> None:
    async with bench(database) as at:
        fire = await decided(at, *(f"brand{number:02}" for number in range(7)), severity=Severity.WARNING)
        storm = (await told(at))[-1]
        one, other = (next(alert for alert in fire if alert.id == named["alert_id"]) for named in storm["alerts"])
        await worsened(at, one)
        found = await answered(at, storm["bundle_id"])
        assert (found.outcome, found.explanation.partition(",")[0]) == (
            Outcome.DONE,
            "done for 1 of 2 alerts; 1 refused",
        )
        assert (await response(database, one)).acked_by is None
        assert (await response(database, other)).acked_by == "mari"
        late = await answered(at, storm["bundle_id"], id="late")
        assert late.outcome is Outcome.REFUSED  # one was answered before, and nothing was done for the other


async def test_a_bundle_is_resolved_as_a_whole_and_its_end_is_told(database: Database) -> None:
    async with bench(database) as at:
        fire = await decided(at, *(f"brand{number:02}" for number in range(7)))
        storm = (await told(at))[-1]
        await answered(at, storm["bundle_id"], Act.RESOLVE, comment="the network")
        named = {one["alert_id"] for one in storm["alerts"]}
        over = {one.id for one in fire if (await kept(database, one)).resolution is Resolution.MANUAL}
        ends = [one for one in (await told(at))[6:] if one["reason"] == "resolved"]
    assert over == named
    assert {one["alert_id"] for one in ends} == named
    assert all("the network" in one["text"]["en"]["body"] for one in ends)


# --------------------------------------------------------------------------------------------------------------- drills


async def drilled(at: Bench, brand: str = "bolt") -> Alert:
    alert, event = drill(brand, title="Bolt", severity=Severity.CRITICAL, by="mari", now=at.clock[0])
    await drills.write(at.parts.database, alert, event)
    return alert


async def test_a_drill_goes_the_whole_way_and_says_what_it_is(database: Database) -> None:
    async with bench(database) as at:
        calm = state_of(await at.look())
        alert = await drilled(at)
        (page,) = await told(at)
        during = state_of(await at.look())
        await answered(at, alert.id)
        acked = state_of(await at.look())
        await answered(at, alert.id, Act.RESOLVE)
        end = (await told(at))[-1]
        after = state_of(await at.look())
    for payload in (page, end):
        Draft202012Validator(schemas.load("alert")).validate(payload)
        assert payload["drill"] is True
        assert payload["text"]["en"]["title"].startswith("DRILL: ")
        assert payload["text"]["et"]["title"].startswith("ÕPPUS: ")
    assert (end["reason"], end["resolution"]) == ("resolved", "manual")
    assert calm.state == "ok"
    for state in (during, acked, after):
        assert (state.state, state.alert_id, state.acked_by) == ("ok", None, None)
        assert replace_time(state) == replace_time(calm)


def replace_time(state: Any) -> Any:
    return state.model_copy(update={"decided_at": NOW, "window": None})


async def test_a_drill_beside_a_real_alert_changes_nothing_of_it(database: Database) -> None:
    async with bench(database) as at:
        alert = await fired(at)
        before = state_of(await at.look())
        pretend = await drilled(at)
        await told(at)
        await answered(at, pretend.id, Act.RESOLVE)
        after = state_of(await at.look())
        version = (await standing(database)).version
        assert (await at.look()).told == ()
    assert replace_time(after) == replace_time(before)
    assert (await kept(database, alert)).state is AlertState.FIRING
    assert (await standing(database)).version >= version


async def test_a_drill_is_repeated_and_ends_by_itself_after_half_an_hour(database: Database) -> None:
    async with bench(database) as at:
        alert = await drilled(at)
        await told(at)
        at.clock[0] += DRILL_TIME - timedelta(seconds=1)
        assert await end_drills(at.parts) == 0
        at.clock[0] += timedelta(seconds=1)
        assert await end_drills(at.parts) == 1
        assert await end_drills(at.parts) == 0
        end = (await told(at))[-1]
        # There may be another one now.
        await drilled(at)
    Draft202012Validator(schemas.load("alert")).validate(end)
    assert (end["alert_id"], end["drill"], end["reason"]) == (alert.id, True, "resolved")
    assert (end["resolution"], end["text"]["en"]["title"][:6]) == ("expired", "DRILL:")
    assert (await kept(database, alert)).resolution is Resolution.EXPIRED


async def test_real_alerts_do_not_end_like_drills(database: Database) -> None:
    async with bench(database) as at:
        await decided(at, "bolt", "wolt")
        at.clock[0] += 10 * DRILL_TIME
        assert await end_drills(at.parts) == 0


async def test_a_drill_of_a_brand_at_a_time(database: Database) -> None:
    async with bench(database) as at:
        alert = await drilled(at)
        at.clock[0] += MINUTE
        with pytest.raises(drills.DrillRunning, match=alert.id):
            await drilled(at)
        await drilled(at, "wolt")
        assert await deliver(at.parts, "inbox") == 0
        assert {one["brand"] for one in await told(at)} == {"bolt", "wolt"}


async def test_a_drill_holds_back_no_real_ticket_and_is_no_news_of_its_market(database: Database) -> None:
    async with bench(database) as at:
        await drilled(at)
        await told(at)
        await decided(at, "bolt", rule="high_risk", severity=Severity.WARNING)
        found = (await told(at))[1:]
    assert [(one["rule"], one["reason"]) for one in found] == [("high_risk", Reason.FIRST.value)]
