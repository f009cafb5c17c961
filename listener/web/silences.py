"""``/api/v1/silences``: timed, attributed mutes."""

import uuid
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Security

from listener.config.references import unknown_rule
from listener.domain import Silence
from listener.store import silences
from listener.web.acting import Acting, is_id
from listener.web.auth import REFUSALS, SCHEME, Guard
from listener.web.views import MINUTES_MAX, SilenceBody, SilenceView, silence_view

LISTED_MAX = 500
AHEAD_MAX = timedelta(days=366)  # nobody plans later; and times have an end, beyond which sums of them fail


def router(acting: Acting, guard: Guard) -> APIRouter:
    """The routes."""
    api = APIRouter(
        prefix="/api/v1/silences", tags=["silences"], dependencies=[Security(SCHEME)], responses={**REFUSALS}
    )
    database = acting.database

    @api.get("", dependencies=[Depends(guard)])
    async def listed(
        active: Annotated[bool, Query(description="Only those that mute now")] = False,
        limit: Annotated[int, Query(ge=1, le=LISTED_MAX, description="At most so many")] = 50,
    ) -> list[SilenceView]:
        """Silences, the ones that end last first."""
        if active:
            found = (await silences.active(database, now=acting.clock()))[::-1][:limit]
        else:
            found = await silences.recent(database, limit=limit)
        return [silence_view(acting, one) for one in found]

    @api.post("", status_code=201)
    async def add(body: SilenceBody, person: Annotated[str, Depends(guard)]) -> SilenceView:
        """Mute delivery of what matches; what was muted is told when it ends."""
        silence = _silence(acting, body, person)
        await silences.put(database, silence)
        acting.wake()
        return silence_view(acting, silence)

    @api.delete("/{silence_id}", responses={404: {"description": "No such silence, or it is over"}})
    async def end(silence_id: str, person: Annotated[str, Depends(guard)]) -> SilenceView:
        """End a silence now. It is kept, with who ended it."""
        known = is_id(silence_id)
        ended = await silences.end(database, silence_id, now=acting.clock(), by=person) if known else None
        if ended is None:
            raise HTTPException(404, "no such silence, or it is over")
        acting.wake()
        return silence_view(acting, ended)

    return api


def _silence(acting: Acting, body: SilenceBody, person: str) -> Silence:
    """Raises HTTPException 422 with what to change."""
    matchers = (body.brand, body.rule, body.severity)
    if body.everything != (matchers == (None, None, None)):
        raise HTTPException(422, "give brand, rule or severity; or only everything: true, to mute all")
    if body.brand is not None and acting.titles and body.brand not in acting.titles:
        raise HTTPException(422, f"no such brand; there are: {', '.join(sorted(acting.titles))}")
    if body.rule is not None and acting.rules and (problem := unknown_rule(body.rule, acting.rules)):
        raise HTTPException(422, problem)
    if (body.minutes is None) == (body.ends_at is None):
        raise HTTPException(422, "give either minutes or ends_at")
    now = acting.clock()
    starts_at = max(body.starts_at or now, now)
    if starts_at > now + AHEAD_MAX:
        raise HTTPException(422, "starts_at is at most a year from now")
    ends_at = body.ends_at or starts_at + timedelta(minutes=body.minutes or 0)
    if not starts_at < ends_at <= starts_at + timedelta(minutes=MINUTES_MAX):
        raise HTTPException(422, "ends_at is after starts_at and now, and at most 30 days later")
    return Silence(
        id=str(uuid.uuid4()),
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=person,
        comment=body.comment,
        brand=body.brand,
        rule=body.rule,
        severity=body.severity,
    )
