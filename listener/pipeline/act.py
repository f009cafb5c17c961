"""Do what people ask for: each action in one transaction with all that it changes, and kept for good."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.detection import standing as standings
from listener.alerts.detection.lifecycle import by_hand
from listener.alerts.detection.rules import Deterioration
from listener.alerts.oncall.respond import Handled, respond
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import Said
from listener.domain import Act, Action, Alert, AlertState, Outcome, Resolution
from listener.errors import StoreError
from listener.pipeline.ending import end, measured
from listener.pipeline.parts import Parts
from listener.store import actions, alerts, responses, silences, votes
from listener.store.votes import Change, Conflict

log = structlog.get_logger()

ACTIONS = 100  # handled at a time
ATTEMPTS = 5  # so often an action may crash before it is refused
DRILL_TIME = timedelta(minutes=30)


class _Lost(Exception):
    """Another daemon has handled it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of an action upon one alert; ``afterwards`` is what is measured once it is committed."""

    outcome: Outcome
    explanation: str
    afterwards: Sequence[Callable[[], None]] = ()


async def act(parts: Parts) -> list[ActionPayload]:
    """Handle what waits, in order; what became of each. One that meets a decision under way waits for the next look.

    One that crashes costs the others nothing: it is tried again, and refused after some attempts.
    """
    done = []
    for action in await actions.waiting(parts.database, limit=ACTIONS):
        try:
            done.append(await _act(parts, action))
        except Conflict:
            continue
        except StoreError:
            raise
        except _Lost:
            parts.trouble.actions.pop(action.id, None)
        except Exception:
            log.exception("action.crashed", action=action.id, target=action.target, act=action.act.value)
            done += await _crashed(parts, action)
        else:
            parts.trouble.actions.pop(action.id, None)
    return done


async def _crashed(parts: Parts, action: Action) -> list[ActionPayload]:
    """Count it, and after some attempts say that it cannot be done."""
    parts.metrics.unit_failures.labels(stage="act").inc()
    parts.trouble.actions[action.id] += 1
    if parts.trouble.actions[action.id] < ATTEMPTS:
        return []
    del parts.trouble.actions[action.id]
    now = parts.now()
    outcome, explanation = Outcome.REFUSED, "an error of ours, it is in the log; nothing was changed"
    async with responses.deciding(parts.database) as connection:
        refused = await actions.handled(connection, action.id, outcome=outcome, explanation=explanation, now=now)
    return [_handled(parts, action, outcome, explanation, now)] if refused else []


async def end_drills(parts: Parts) -> int:
    """End the drills that nobody has ended in time; how many."""
    now = parts.now()
    old = [
        alert
        for alert in await alerts.of_rule(parts.database, DRILL, state=AlertState.FIRING)
        if now - alert.started_at >= DRILL_TIME
    ]
    return sum([await _end_drill(parts, alert, now) for alert in old])


async def _end_drill(parts: Parts, alert: Alert, now: datetime) -> bool:
    """Whether it has ended: one that crashes keeps no other from ending. Raises StoreError."""
    try:
        async with responses.deciding(parts.database) as connection:
            await end(parts, connection, replace(by_hand(alert, now), resolution=Resolution.EXPIRED), now)
    except StoreError:
        raise
    except Exception:
        parts.metrics.unit_failures.labels(stage="act").inc()
        log.exception("drill.crashed", alert=alert.id)
        return False
    return True


async def _act(parts: Parts, action: Action) -> ActionPayload:
    now = parts.now()
    async with responses.deciding(parts.database) as connection:
        targets = await responses.members(connection, action.target)
        one_by_one = [replace(action, target=alert_id, seq=seq) for alert_id, seq in targets] or [action]
        found = [await _one(parts, connection, single, now) for single in one_by_one]
        outcome, explanation = _together(found)
        if not await actions.handled(connection, action.id, outcome=outcome, explanation=explanation, now=now):
            raise _Lost
    for one in found:
        for measure in one.afterwards:
            measure()
    return _handled(parts, action, outcome, explanation, now)


def _handled(parts: Parts, action: Action, outcome: Outcome, explanation: str, now: datetime) -> ActionPayload:
    """Say what became of it; it is committed."""
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


async def _one(parts: Parts, connection: AsyncConnection, action: Action, now: datetime) -> _Done:
    """Do it to one alert, inside the transaction."""
    alert = await alerts.one(connection, action.target)
    if alert is None:
        return _Done(outcome=Outcome.REFUSED, explanation="there is no such alert")
    response = (await responses.of(connection, [alert.id])).get(alert.id)
    escalation = parts.policy.escalation(alert.brand, alert.severity)
    ack_minutes = None if escalation is None else escalation.ack_minutes
    found: Handled = respond(
        action, alert=alert, response=response, now=now, ack_minutes=ack_minutes, title=parts.title(alert.brand)
    )
    afterwards: list[Callable[[], None]] = []
    if found.outcome is Outcome.REFUSED and action.act is Act.RESOLVE:
        await responses.write(connection, parts.database.dialect, [found.response])  # what was written of the cause
    if found.outcome is Outcome.DONE:
        if found.silence is not None:
            await silences.put(connection, found.silence)
        await responses.write(connection, parts.database.dialect, [found.response])
        if (response is None or response.first_acked_at is None) and found.response.first_acked_at is not None:
            waited_secs = (now - (found.response.first_told_at or alert.started_at)).total_seconds()
            afterwards.append(lambda: parts.metrics.time_to_ack.observe(waited_secs))
        if found.resolves:
            ended = by_hand(alert, now)
            await _resolve(parts, connection, ended, now, action)
            afterwards.append(lambda: measured(parts, ended))
        parts.agenda.begin(alert.brand)  # its state is published anew
    return _Done(outcome=found.outcome, explanation=found.explanation, afterwards=afterwards)


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
    said = Said(by=action.by, cause=action.comment, helped=action.helped)
    await end(parts, connection, ended, now, said=said)


def _together(found: Sequence[_Done]) -> tuple[Outcome, str]:
    """What became of an action upon several alerts."""
    if len(found) == 1:
        return found[0].outcome, found[0].explanation
    done = sum(one.outcome is Outcome.DONE for one in found)
    refused = [one.explanation for one in found if one.outcome is Outcome.REFUSED]
    text = f"done for {done} of {len(found)} alerts"
    if refused:
        text += f"; {len(refused)} refused, the first since {refused[0]}"
    if done:
        return Outcome.DONE, text
    return (Outcome.REFUSED if refused else Outcome.NOOP), text
