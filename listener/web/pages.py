"""The page that a link opens: small, without scripts or anything from elsewhere, and nothing unescaped in it."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from listener.alerts.oncall.links import Claim
from listener.alerts.wire.oncall import COMMENT_CHARS_MAX
from listener.alerts.words import page_texts
from listener.alerts.words.languages import Tongue
from listener.alerts.words.page_texts import Unusable
from listener.domain import Act, Alert, AlertState, Frozen, Response

SHOWN_MAX = 50  # alerts of one bundle

_TEMPLATES = Environment(
    loader=PackageLoader("listener.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STYLE = files("listener.web").joinpath("templates/act.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Vary": "Accept-Language",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One alert on the page, in words."""

    headline: str
    title: str
    severity: str
    severity_word: str
    since: str
    state: str
    answered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of it: ``kind`` is an outcome, ``waiting`` or ``error``, and names the colour.

    ``explanation`` says why not; where there are no words for it in the page's language, ``detail`` does in English.
    """

    kind: str
    message: str
    explanation: str = ""
    detail: str = ""


def page(
    t: Tongue,
    *,
    claim: Claim,
    by: str,
    alerts: list[Shown],
    more: int = 0,
    result: Result | None = None,
    act: Act | None,
    status: int = 200,
) -> HTMLResponse:
    """The page of a good link. ``act`` is what its button does; None: there is no button any more."""
    minutes = claim.minutes or 0.0
    return _rendered(
        t,
        status,
        heading=page_texts.heading(t, claim.act),
        message=result.message if result else "",
        kind=result.kind if result else "",
        explanation=result.explanation if result else "",
        detail=result.detail if result and not result.explanation else "",
        alerts=alerts,
        more=page_texts.more(t, more) if more else "",
        button=page_texts.button(t, act, minutes=minutes) if act else "",
        does=page_texts.does(t, act, minutes=minutes) if act else "",
        asks=act in {Act.RESOLVE, Act.NOTE},
        acting_as=page_texts.acting_as(t, by),
    )


def error_page(t: Tongue, why: Unusable, *, status: int) -> HTMLResponse:
    """The page of a link that cannot be used, and why."""
    return _rendered(
        t,
        status,
        heading=page_texts.nothing_done(t),
        message=page_texts.unusable(t, why),
        kind="error",
        explanation="",
        detail="",
        alerts=[],
        more="",
        button="",
        does="",
        asks=False,
        acting_as="",
    )


def shown(
    t: Tongue, alert: Alert, *, title: str, said: Frozen | None, response: Response | None, now: datetime
) -> Shown:
    """An alert for the page. ``said`` is the newest payload that tells of it, None when there is none."""
    firing = alert.state is AlertState.FIRING
    return Shown(
        headline=_headline(t, said) or page_texts.untold(t, alert, title=title),
        title=title,
        severity=alert.severity.value,
        severity_word=page_texts.severity_word(t, alert.severity),
        since=t.clock(alert.started_at, now=now),
        state=page_texts.state(t, alert, now=now),
        answered=page_texts.answered(t, response, now=now) if firing and response else "",
    )


def _headline(t: Tongue, said: Frozen | None) -> str:
    text = (said or {}).get("text", {}).get(t.code) or {}
    return str(text.get("title", ""))


def _rendered(t: Tongue, status: int, **values: object) -> HTMLResponse:
    html = _TEMPLATES.get_template("act.html").render(
        language=t.code,
        fields=page_texts.fields(t),
        style=Markup(_STYLE),  # noqa: S704 -- our own file
        comment_max=COMMENT_CHARS_MAX,
        **values,
    )
    return HTMLResponse(html, status_code=status, headers={**HEADERS, "Content-Language": t.code})
