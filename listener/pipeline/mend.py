"""What to do with what cannot be put into words: make it anew, or leave it out, never stop.

An event is fixed at its decision, and another version may have written it. What is wrong with one event costs no other;
what is wrong with us closes none.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.oncall import say
from listener.alerts.oncall.rounds import DRILL, Known, Round
from listener.alerts.wire.findings import AnswerFindings, Words
from listener.alerts.wire.payload import alert_payload, as_drill, as_json
from listener.domain import AlertState, Event, Frozen, Reason, Response
from listener.pipeline.parts import Parts
from listener.store import alerts

log = structlog.get_logger()

UNREADABLE = "unreadable"  # the outcome of an event that nobody could be told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A round with the events that were made ``anew``, without the rest: of it are ``outcomes`` and ``responses``."""

    round: Round
    anew: Sequence[Event]
    outcomes: Mapping[str, str]
    responses: Sequence[Response]


def readable(payload: Frozen) -> None:
    """Raise whatever keeps a payload from being told, by itself or in a message about several alerts."""
    say.member(payload, Reason(payload["reason"]), None)
    if not payload["text"]:
        raise ValueError("a payload without words")
    for text in payload["text"].values():
        Words.model_validate(text)
    tuple(payload.get("channels", ()))


async def tellable(parts: Parts, connection: AsyncConnection, event: Event) -> Event | None:
    """The event if its payload can be read, else made anew from its alert; None, and logged, when neither is to be had.

    Only what is stored counts: what else crashes is no fault of the event.
    """
    if _read(event):
        return event
    made = await _remade(parts, connection, event)
    if made is not None and _read(made):
        return made
    log.error("event.unreadable", **_labels(event))
    return None


def answer_to(parts: Parts, target: say.Target, now: datetime) -> AnswerFindings | None:
    """How to answer what is told; None where that crashes: it is told all the same."""
    try:
        return parts.answer(target, now)
    except Exception:
        parts.metrics.unit_failures.labels(stage="tell").inc()
        log.exception("answer.crashed", alert=target.id, receiver=target.receiver)
        return None


async def mended(parts: Parts, connection: AsyncConnection, start: Round) -> Mended:
    """The round again, when telling it crashed: what cannot be read of it is made anew or left out.

    An event that is left out is closed as unreadable, and its alert stays as it is, where `listener alerts` and the
    state show it. If it was an end, the response ends too; otherwise nobody is reminded of it.
    """
    chains: dict[str, list[Event]] = defaultdict(list)
    for event in start.events:
        chains[event.alert_id].append(event)
    newest = [chain[-1] for chain in chains.values()]
    told = [one.event for one in start.known.values() if one.event is not None]
    anew: dict[str, Event] = {}
    lost: set[str] = set()
    for event in {one.id: one for one in (*newest, *told)}.values():
        made = await tellable(parts, connection, event)
        if made is None:
            lost.add(event.id)
        elif made is not event:
            anew[event.id] = made
            log.error("event.remade", **_labels(event))
    out = {alert_id for alert_id, chain in chains.items() if chain[-1].id in lost}
    known = {alert_id: _known(one, anew, lost, chains.get(alert_id, ())) for alert_id, one in start.known.items()}
    return Mended(
        round=replace(
            start,
            events=[anew.get(event.id, event) for event in start.events if event.alert_id not in out],
            known=known,
        ),
        anew=list(anew.values()),
        outcomes={
            event.id: UNREADABLE if event.id in lost else "superseded" for alert_id in out for event in chains[alert_id]
        },
        responses=[
            one.response
            for alert_id, one in known.items()
            if one.response is not None and one.response != start.known[alert_id].response
        ],
    )


def _known(known: Known, anew: Mapping[str, Event], lost: set[str], chain: Sequence[Event]) -> Known:
    event, response = known.event, known.response
    if event is not None:
        event = None if event.id in lost else anew.get(event.id, event)
        if event is None and response is not None:
            response = replace(response, next_at=None)
    if response is not None and chain and chain[-1].id in lost and chain[-1].state is AlertState.RESOLVED:
        response = replace(response, closed=True, next_at=None, snoozed_until_at=None)
    return replace(known, event=event, response=response)


def _labels(event: Event) -> dict[str, str | int]:
    return {
        "alert": event.alert_id,
        "brand": event.brand,
        "seq": event.seq,
        "severity": event.severity.value,
        "reason": event.reason.value,
    }


def _read(event: Event) -> bool:
    try:
        readable(event.payload)
    except (ValueError, TypeError, LookupError, AttributeError):  # what is stored of it; a bug of ours may go through
        return False
    return True


async def _remade(parts: Parts, connection: AsyncConnection, event: Event) -> Event | None:
    """The event with its payload made anew from its alert; None when that has moved on, or is unreadable too."""
    try:
        alert = await alerts.one(connection, event.alert_id)
    except (ValueError, TypeError, LookupError):  # what is stored of it; a database that fails is another matter
        return None
    if alert is None or alert.seq != event.seq:
        return None
    links = await alerts.links(connection, alert.evidence)
    try:
        payload = alert_payload(
            alert,
            event.reason,
            title=parts.title(alert.brand),
            evidence=links,
            now=event.decided_at,
            names=parts.titles,
            links=parts.links,
        )
        return replace(event, payload=as_json(as_drill(payload) if alert.rule == DRILL else payload))
    except Exception:
        log.exception("event.crashed", alert=event.alert_id, seq=event.seq)
        return None
