"""What to do with an event that cannot be put into words: make it anew from its alert, or leave it out, never stop.

An event is fixed at its decision. Another version may have written it, or a bug of ours may trip over it; whatever it
is, the others are to be told.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.oncall import say
from listener.alerts.oncall.dispatch import dispatch
from listener.alerts.oncall.rounds import DRILL, Known, Message, Round, Tell
from listener.alerts.oncall.storm import Limits
from listener.alerts.wire.findings import Words
from listener.alerts.wire.payload import alert_payload, as_drill, as_json
from listener.domain import AlertState, Event, Frozen, Reason, Response
from listener.pipeline.parts import Parts
from listener.store import alerts

log = structlog.get_logger()

UNREADABLE = "unreadable"  # the outcome of an event that nobody could be told of
ALONE = Limits(burst=1, per_hour=1.0, update=timedelta(minutes=5))  # a round about one alert is no storm


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A round with what could be made anew and without the rest; ``outcomes`` and ``responses`` are of the rest."""

    round: Round
    outcomes: Mapping[str, str]
    responses: Sequence[Response]


def readable(payload: Frozen) -> None:
    """Raise whatever keeps a payload from being told, by itself or in a message about several alerts."""
    say.member(payload, Reason(payload["reason"]), None)
    if not payload["text"]:
        raise ValueError("a payload without words")
    for text in payload["text"].values():
        Words.model_validate(text)


async def mended(parts: Parts, connection: AsyncConnection, start: Round) -> Mended:
    """The round again, when telling it crashed: each alert is tried by itself, and what crashes is mended or left out.

    An event that is left out is closed as unreadable, and its alert stays as it is, where `listener alerts` and the
    state show it. If it was an end, the response ends too; otherwise nobody is reminded of it.
    """
    chains: dict[str, list[Event]] = defaultdict(list)
    for event in start.events:
        chains[event.alert_id].append(event)
    newest = [chain[-1] for chain in chains.values()]
    told = [one.event for one in start.known.values() if one.event is not None]
    anew: dict[str, Event] = {}
    lost: dict[str, Event] = {}
    for event in {one.id: one for one in (*newest, *told)}.values():
        if _tellable(parts, event, start):
            continue
        made = await remade(parts, connection, event)
        if made is not None and _tellable(parts, made, start):
            anew[event.id] = made
        else:
            lost[event.id] = event
        log.error(
            "event.remade" if event.id in anew else "event.unreadable",
            alert=event.alert_id,
            brand=event.brand,
            seq=event.seq,
            severity=event.severity.value,
            reason=event.reason.value,
        )
    out = {alert_id for alert_id, chain in chains.items() if chain[-1].id in lost}
    outcomes = {
        event.id: UNREADABLE if event.id in lost else "superseded" for alert_id in out for event in chains[alert_id]
    }
    known = {alert_id: _known(one, anew, lost, chains.get(alert_id, ())) for alert_id, one in start.known.items()}
    return Mended(
        round=replace(
            start,
            events=[anew.get(event.id, event) for event in start.events if event.alert_id not in out],
            known=known,
        ),
        outcomes=outcomes,
        responses=[
            one.response
            for alert_id, one in known.items()
            if one.response is not None and one.response != start.known[alert_id].response
        ],
    )


def _known(known: Known, anew: Mapping[str, Event], lost: Mapping[str, Event], chain: Sequence[Event]) -> Known:
    event, response = known.event, known.response
    if event is not None:
        event = None if event.id in lost else anew.get(event.id, event)
        if event is None and response is not None:
            response = replace(response, next_at=None)
    if response is not None and chain and chain[-1].id in lost and chain[-1].state is AlertState.RESOLVED:
        response = replace(response, closed=True, next_at=None, snoozed_until_at=None)
    return replace(known, event=event, response=response)


async def remade(parts: Parts, connection: AsyncConnection, event: Event) -> Event | None:
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


def _tellable(parts: Parts, event: Event, start: Round) -> bool:
    """Whether the event can be told: as it comes, as a reminder, in a message about several alerts."""
    response = Response(alert_id=event.alert_id, brand=event.brand)
    firing = event.state is AlertState.FIRING
    known = start.known.get(event.alert_id)
    try:
        readable(event.payload)
        for reason in (event.reason, Reason.REPEAT) if firing else (event.reason,):
            tell = Tell(event=event, reason=reason, targets=("",), response=response, before=response, chain=(event,))
            message = Message(receiver="", tells=(tell,))
            answer = parts.answer(say.target(message), start.now)
            say.notification(message, answer=answer, briefs={}, now=start.now)
        about = {} if known is None else {event.alert_id: known}
        dispatch(replace(start, events=(event,), known=about, buckets={}, limits=ALONE))
    except Exception:
        log.exception("event.crashed", alert=event.alert_id, seq=event.seq)
        return False
    return True
