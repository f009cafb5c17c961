"""Do what people ask for: each action in one transaction with all that it changes, and kept for good."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.detection import standing as standings
from listener.alerts.detection.lifecycle import by_hand
from listener.alerts.detection.rules import Deterioration
from listener.alerts.oncall.events import event_of
from listener.alerts.oncall.respond import Handled, respond
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import Said, alert_payload, as_drill, as_json
from listener.domain import Action, Alert, AlertState, Outcome, Reason, Resolution
from listener.pipeline.parts import Parts
from listener.store import actions, alerts, events, responses, silences, votes
from listener.store.votes import Change, Conflict

log = structlog.get_logger()

ACTIONS = 100  # handled at a time
DRILL_TIME = timedelta(minutes=30)


class _Lost(Exception):
    """Another daemon has handled it."""


async def act(parts: Parts) -> list[ActionPayload]:
    """Handle what waits, in order; what became of each. One that meets a decision under way waits for the next look."""
    done = []
    for action in await actions.waiting(parts.database, limit=ACTIONS):
        try:
            done.append(await _act(parts, action))
        except (_Lost, Conflict):
            continue
    return done


async def end_drills(parts: Parts) -> int:
    """End the drills that nobody has ended in time; how many."""
    now = parts.now()
    old = [
        alert
        for alert in await alerts.of_rule(parts.database, DRILL, state=AlertState.FIRING)
        if now - alert.started_at >= DRILL_TIME
    ]
    for alert in old:
        async with responses.deciding(parts.database) as connection:
            ended = replace(by_hand(alert, now), resolution=Resolution.EXPIRED)
            await _end(parts, connection, ended, now)
    return len(old)


async def _act(parts: Parts, action: Action) -> ActionPayload:
    now = parts.now()
    async with responses.deciding(parts.database) as connection:
        targets = await responses.members(connection, action.target)
        one_by_one = [replace(action, target=alert_id, seq=seq) for alert_id, seq in targets] or [action]
        found = [await _one(parts, connection, single, now) for single in one_by_one]
        outcome, explanation = _together(found)
        if not await actions.handled(connection, action.id, outcome=outcome, explanation=explanation, now=now):
            raise _Lost
    log.info(
        "action.handled",
        target=action.target,
        action=action.act.value,
        by=action.by,
        via=action.via.value,
        outcome=outcome.value,
        explanation=explanation,
    )
    parts.metrics.actions.labels(action=action.act.value, via=action.via.value, outcome=outcome.value).inc()
    return ActionPayload(
        target=action.target,
        action=action.act,
        seq=action.seq,
        by=action.by,
        via=action.via,
        at=now,
        outcome=outcome,
        explanation=explanation,
    )


async def _one(parts: Parts, connection: AsyncConnection, action: Action, now: datetime) -> tuple[Outcome, str]:
    """Do it to one alert, inside the transaction."""
    alert = await alerts.one(connection, action.target)
    if alert is None:
        return Outcome.REFUSED, "there is no such alert"
    response = (await responses.of(connection, [alert.id])).get(alert.id)
    escalation = parts.policy.escalation(alert.brand, alert.severity)
    ack_minutes = None if escalation is None else escalation.ack_minutes
    found: Handled = respond(action, alert=alert, response=response, now=now, ack_minutes=ack_minutes)
    if found.outcome is Outcome.DONE:
        if found.silence is not None:
            await silences.put(connection, found.silence)
        await responses.write(connection, parts.database.dialect, [found.response])
        if (response is None or response.first_acked_at is None) and found.response.first_acked_at is not None:
            since_at = found.response.first_told_at or alert.started_at
            parts.metrics.time_to_ack.observe((now - since_at).total_seconds())
        if found.resolves:
            await _resolve(parts, connection, by_hand(alert, now), now, action)
        parts.agenda.begin(alert.brand)  # its state is published anew
    return found.outcome, found.explanation


async def _resolve(parts: Parts, connection: AsyncConnection, ended: Alert, now: datetime, action: Action) -> None:
    """End an alert by hand. What was said until now counts no more: it comes back only for what is said from now on.

    Raises Conflict when a decision about the brand came in between. One that is under way finds that the standing has
    a new version, whichever rule it is about.
    """
    kept = (await votes.kept(connection, [ended.brand])).get(ended.brand)
    if kept is not None and ended.rule != DRILL:
        state = kept.state
        rules = parts.rules.get(ended.brand, ())
        if any(isinstance(rule, Deterioration) and rule.name == ended.rule for rule in rules):
            state = standings.as_json(standings.restarted(standings.from_json(state)))
        after = replace(kept, version=kept.version + 1, state=state)
        change = Change(brand=ended.brand, before=kept.version, kept=after)
        await votes.stand(connection, parts.database.dialect, [change], now)
        # From here on nobody else decides; what was decided since the alert was read is seen now.
        known = await alerts.one(connection, ended.id)
        if known is None or known.seq != ended.seq - 1:
            raise Conflict
    await _end(parts, connection, ended, now, action)


async def _end(
    parts: Parts, connection: AsyncConnection, ended: Alert, now: datetime, action: Action | None = None
) -> None:
    links = await alerts.links(connection, ended.evidence)
    payload = alert_payload(
        ended,
        Reason.RESOLVED,
        title=parts.title(ended.brand),
        evidence=links,
        now=now,
        names=parts.titles,
        said=None if action is None else Said(by=action.by, cause=action.comment, helped=action.helped),
    )
    if ended.rule == DRILL:
        payload = as_drill(payload)
    else:
        lasted_secs = (now - ended.started_at).total_seconds()
        parts.metrics.alert_seconds.labels(resolution=Resolution.MANUAL.value).observe(lasted_secs)
    await alerts.write(connection, parts.database.dialect, ended)
    event = event_of(ended, Reason.RESOLVED, payload=as_json(payload), now=now)
    await events.write(connection, parts.database.dialect, [event])


def _together(found: Sequence[tuple[Outcome, str]]) -> tuple[Outcome, str]:
    """What became of an action upon several alerts."""
    if len(found) == 1:
        return found[0]
    done = sum(outcome is Outcome.DONE for outcome, _ in found)
    refused = [explanation for outcome, explanation in found if outcome is Outcome.REFUSED]
    text = f"done for {done} of {len(found)} alerts"
    if refused:
        text += f"; {len(refused)} refused, the first since {refused[0]}"
    if done:
        return Outcome.DONE, text
    return (Outcome.REFUSED if refused else Outcome.NOOP), text
