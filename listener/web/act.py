"""``/act/TOKEN``: a link in a notification. To open it does nothing, since mail scanners and chats open links too."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import HTMLResponse

from listener.alerts.oncall.links import Claim, LinkDamaged, LinkExpired
from listener.alerts.wire.oncall import COMMENT_CHARS_MAX
from listener.alerts.words import page_texts
from listener.alerts.words.languages import Tongue, tongue
from listener.alerts.words.page_texts import Unusable
from listener.domain import Act, Action, AlertState, Outcome, Via, stable_id
from listener.store import actions, events, responses
from listener.store.actions import Handled
from listener.web.acting import Acting, Subject, settled, subject, submit
from listener.web.pages import SHOWN_MAX, Result, error_page, page, shown
from listener.web.words import language_of

_KINDS = {Outcome.DONE: 200, Outcome.NOOP: 200, Outcome.REFUSED: 409, None: 202}
FIELDS_MAX = 10
_FORM = "application/x-www-form-urlencoded"


def router(acting: Acting) -> APIRouter:
    """The routes; they are for people, so OpenAPI does not list them."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/act/{token}")
    async def look(token: str, accept_language: Annotated[str | None, Header()] = None) -> HTMLResponse:
        t = tongue(language_of(accept_language))
        found = await _read(acting, token, t)
        if isinstance(found, HTMLResponse):
            return found
        claim, about = found
        used = await actions.by_id(acting.database, claim.id)
        if used is None:
            act, told = _offered(claim, about), None
            if _outdated(claim, about):
                told = Result(kind=Outcome.REFUSED.value, message=page_texts.changed(t))
            return await _page(acting, t, claim, about, act=None if told and act is not Act.NOTE else act, result=told)
        note = Act.NOTE if claim.act is Act.RESOLVE else None
        told = _result(t, used, about, message=page_texts.used(t, used.action.at, now=acting.clock()))
        return await _page(acting, t, claim, about, act=note, result=told)

    @pages.post("/act/{token}")
    async def do(request: Request, token: str, accept_language: Annotated[str | None, Header()] = None) -> HTMLResponse:
        t = tongue(language_of(accept_language))
        found = await _read(acting, token, t)
        if isinstance(found, HTMLResponse):
            return found
        claim, about = found
        written = await _written(request) if claim.act in {Act.RESOLVE, Act.NOTE} else {}
        handled = await _done(acting, claim, about, written)
        outdated = _outdated(claim, about)
        if handled is None:
            told = Result(kind="noop", message=page_texts.changed(t) if outdated else page_texts.over(t))
            return await _page(acting, t, claim, about, act=Act.NOTE, result=told)
        fresh = await subject(acting.database, claim.target, most=SHOWN_MAX) or about
        instead = outdated and handled.action.act is Act.NOTE and claim.act is Act.RESOLVE
        message = page_texts.noted(t) if instead else page_texts.became(t, handled.outcome)
        told = _result(t, handled, fresh, message=message)
        status = _KINDS[handled.outcome]
        return await _page(acting, t, claim, fresh, act=None, result=told, status=status)

    return pages


def _result(t: Tongue, handled: Handled, about: Subject, *, message: str) -> Result:
    """What became of it; how the alerts stand then is on the page, so only a refusal needs to be explained."""
    if handled.outcome is not Outcome.REFUSED:
        return Result(kind=handled.outcome.value if handled.outcome else "waiting", message=message)
    action = handled.action
    seq = 0 if about.bundle else action.seq  # each of several was answered as the message named it
    reasons = (page_texts.why_not(t, action.act, alert, seq=seq) for alert in about.alerts)
    return Result(
        kind=Outcome.REFUSED.value,
        message=message,
        explanation=next((reason for reason in reasons if reason), ""),
        detail=handled.explanation or "",
    )


async def _read(acting: Acting, token: str, t: Tongue) -> tuple[Claim, Subject] | HTMLResponse:
    """What the link claims and what it is about, or the page that says why it cannot be used."""
    try:
        claim = acting.signer.read(token, acting.clock())
    except LinkDamaged:
        return error_page(t, Unusable.DAMAGED, status=404)
    except LinkExpired:
        return error_page(t, Unusable.EXPIRED, status=410)
    about = await subject(acting.database, claim.target, most=SHOWN_MAX)
    if about is None:
        return error_page(t, Unusable.UNKNOWN, status=404)
    return claim, about


async def _done(acting: Acting, claim: Claim, about: Subject, written: Mapping[str, str]) -> Handled | None:
    """Do it: one link is one action. What is written later into the page of a resolve is a note.

    None when the alert was over and there is nothing to keep.
    """
    act = _offered(claim, about)
    known = await settled(acting, claim.id)
    if known is None and act is not Act.NOTE:
        known, new = await submit(acting, _action(acting, claim, act, written))
        if new:
            return known
    if known is not None and (not written or _same(known.action, written)):
        return known  # a double click, or the page loaded again
    if not written:
        return None
    note = _action(acting, claim, Act.NOTE, written)
    return (await submit(acting, note))[0]


def _action(acting: Acting, claim: Claim, act: Act, written: Mapping[str, str]) -> Action:
    """A note's id follows from what is written, and it answers no event in particular."""
    note = act is Act.NOTE
    note_id = stable_id("link note", claim.id, written.get("comment", ""), written.get("helped", ""))
    return Action(
        id=note_id if note else claim.id,
        target=claim.target,
        act=act,
        seq=None if note else claim.seq,
        by=claim.by,
        via=Via.LINK,
        at=acting.clock(),
        minutes=claim.minutes,
        assignee=claim.by if act is Act.ASSIGN else None,
        comment=written.get("comment"),
        helped=written.get("helped"),
    )


def _offered(claim: Claim, about: Subject) -> Act:
    """What the button does: where everything is over, or has changed, to resolve it is only to say what it was."""
    over = all(one.state is AlertState.RESOLVED for one in about.alerts)
    return Act.NOTE if claim.act is Act.RESOLVE and (over or _outdated(claim, about)) else claim.act


def _outdated(claim: Claim, about: Subject) -> bool:
    """Whether the alert has become worse or come back since the message of the link: no answer to that is taken."""
    return not about.bundle and any(one.state is AlertState.FIRING and claim.seq < one.seq for one in about.alerts)


def _same(action: Action, written: Mapping[str, str]) -> bool:
    return (action.comment, action.helped) == (written.get("comment"), written.get("helped"))


async def _written(request: Request) -> dict[str, str]:
    """What was written into the form; what is empty is left out. Raises HTTPException 400, 415."""
    body = await request.body()
    if body and request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, "a form is needed")
    try:
        fields = parse_qs(body.decode("utf-8", errors="replace"), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise HTTPException(400, "the form has too many fields") from None
    texts = {name: fields[name][0] for name in ("comment", "helped") if name in fields}
    plain = {name: "".join(_plain(text))[:COMMENT_CHARS_MAX].strip() for name, text in texts.items()}
    return {name: text for name, text in plain.items() if text}


def _plain(text: str) -> str:
    """Line ends as ours, and no control characters (PostgreSQL takes no NUL)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in lines if char in "\n\t" or char >= " ")


async def _page(
    acting: Acting,
    t: Tongue,
    claim: Claim,
    about: Subject,
    *,
    act: Act | None,
    result: Result | None = None,
    status: int = 200,
) -> HTMLResponse:
    now: datetime = acting.clock()
    ids = [one.id for one in about.alerts]
    async with acting.database.reading() as connection:
        answered = await responses.of(connection, ids)
        said = await events.newest(connection, ids)
    lines = [
        shown(
            t,
            one,
            title=acting.title(one.brand),
            said=said[one.id].payload if one.id in said else None,
            response=answered.get(one.id),
            now=now,
        )
        for one in about.alerts
    ]
    person = acting.people.get(claim.by)
    by = claim.by if person is None else person.title
    return page(t, claim=claim, by=by, alerts=lines, more=about.left_out, result=result, act=act, status=status)
