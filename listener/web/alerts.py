"""``/api/v1/alerts``: what fires and has fired, and what people do about it."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response, Security

from listener.domain import Act, Action, Alert, AlertState, Outcome, Via, stable_id
from listener.store import actions, alerts, responses, sendings
from listener.web.acting import Acting, subject, submit
from listener.web.auth import REFUSALS, SCHEME, Guard
from listener.web.views import (
    ActionView,
    AlertDetail,
    AlertView,
    AnswerBody,
    action_view,
    alert_view,
    sending_view,
)

LISTED_MAX = 500
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "No such alert"}}


def router(acting: Acting, guard: Guard) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], dependencies=[Security(SCHEME)], responses={**REFUSALS})
    database = acting.database

    @api.get("", dependencies=[Depends(guard)])
    async def listed(
        state: Annotated[AlertState | None, Query(description="Only those in this state")] = None,
        limit: Annotated[int, Query(ge=1, le=LISTED_MAX, description="At most so many")] = 50,
    ) -> list[AlertView]:
        """Alerts, the newest first."""
        found = await alerts.recent(database, limit=limit, state=state)
        answered = await responses.of(database, [one.id for one in found])
        return [alert_view(acting, one, answered.get(one.id)) for one in found]

    @api.get("/{alert_id}", dependencies=[Depends(guard)], responses={**UNKNOWN})
    async def one(alert_id: str) -> AlertDetail:
        """One alert, who did what about it, and what was sent of it."""
        alert = await _alert(acting, alert_id)
        response = (await responses.of(database, [alert_id])).get(alert_id)
        told_in = await responses.bundles_of(database, alert_id)
        history = await actions.of(database, alert_id, *told_in)
        sent = await sendings.of(database, alert_id, *told_in)
        return AlertDetail(
            **dict(alert_view(acting, alert, response)),
            actions=tuple(action_view(action) for action in history),
            notifications=tuple(sending_view(sending) for sending in sent),
        )

    @api.post(
        "/{target}/actions",
        status_code=202,
        responses={
            **UNKNOWN,
            200: {"description": "It is done, or there was nothing to do", "model": ActionView},
            202: {"description": "It is kept, and will be done in a moment"},
            409: {"description": "It is refused; `explanation` says why", "model": ActionView},
        },
    )
    async def act(
        target: str,
        body: AnswerBody,
        response: Response,
        person: Annotated[str, Depends(guard)],
        idempotency_key: Annotated[
            str | None, Header(max_length=200, description="The same request, sent again: it is done once")
        ] = None,
    ) -> ActionView:
        """Act upon an alert, or upon all that a bundle names. Waits up to two seconds for what becomes of it."""
        if await subject(database, target, most=0) is None:
            raise HTTPException(404, "no such alert")
        asked = _action(acting, target, body, person, idempotency_key)
        result, new = await submit(acting, asked)
        if not new and _differs(result.action, asked):
            raise HTTPException(422, "this Idempotency-Key was used for something else")
        codes = {None: 202, Outcome.REFUSED: 409}
        response.status_code = codes.get(result.outcome, 200)
        return action_view(result)

    return api


def _action(acting: Acting, target: str, body: AnswerBody, person: str, key: str | None) -> Action:
    if body.action is Act.ASSIGN and body.assignee is None:
        raise HTTPException(422, "assignee is needed: whose is it now?")
    now = acting.clock()
    return Action(
        id=str(uuid.uuid4()) if key is None else stable_id("http", person, target, key),
        target=target,
        act=body.action,
        seq=body.seq,
        by=person,
        via=Via.HTTP,
        at=min(body.at or now, now),
        minutes=body.minutes,
        assignee=body.assignee,
        comment=body.comment,
        helped=body.helped,
    )


def _differs(kept: Action, asked: Action) -> bool:
    return (kept.act, kept.seq, kept.minutes, kept.assignee, kept.comment, kept.helped) != (
        asked.act,
        asked.seq,
        asked.minutes,
        asked.assignee,
        asked.comment,
        asked.helped,
    )


async def _alert(acting: Acting, alert_id: str) -> Alert:
    found = await subject(acting.database, alert_id)
    if found is None or found.bundle:
        raise HTTPException(404, "no such alert")
    return found.alerts[0]
