"""The page that a link opens: small, without scripts or anything from elsewhere, and nothing unescaped in it."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from listener.alerts.oncall.links import Claim
from listener.alerts.wire.oncall import COMMENT_CHARS_MAX
from listener.domain import Act, Alert, AlertState, Frozen, Response
from listener.web.words import WORDS, clock, span

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
    """What became of it: ``kind`` is an outcome, ``waiting`` or ``error``, and names the colour."""

    kind: str
    message: str
    explanation: str = ""


def page(
    language: str,
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
    words = WORDS[language]
    heading = words[f"heading.{claim.act.value}"]
    fields = {"span": span(claim.minutes or 0)}
    asks = act in {Act.RESOLVE, Act.NOTE}
    return _rendered(
        language,
        status,
        heading=heading,
        message=result.message if result else "",
        kind=result.kind if result else "",
        explanation=result.explanation if result else "",
        alerts=alerts,
        more=words["more"].format(count=more) if more else "",
        button=words[f"button.{act.value}"].format(**fields) if act else "",
        does=words[f"does.{act.value}"].format(**fields) if act else "",
        asks=asks,
        by=by,
    )


def error_page(language: str, word: str, *, status: int) -> HTMLResponse:
    """The page of a link that cannot be used: ``word`` says why."""
    words = WORDS[language]
    return _rendered(
        language,
        status,
        heading=words["error"],
        message=words[word],
        kind="error",
        explanation="",
        alerts=[],
        more="",
        button="",
        does="",
        asks=False,
        by="",
    )


def shown(
    language: str, alert: Alert, *, title: str, said: Frozen | None, response: Response | None, now: datetime
) -> Shown:
    """An alert for the page. ``said`` is the newest payload that tells of it, None when there is none."""
    words = WORDS[language]
    firing = alert.state is AlertState.FIRING
    ended = "" if alert.ended_at is None else clock(alert.ended_at, now)
    return Shown(
        headline=_headline(language, said) or words["alert"].format(brand=title, rule=alert.rule),
        title=title,
        severity=alert.severity.value,
        severity_word=words[alert.severity.value],
        since=clock(alert.started_at, now),
        state=words["firing"] if firing else words["resolved"].format(at=ended),
        answered="; ".join(_answered(words, response, now)) if firing and response else "",
    )


def _answered(words: Mapping[str, str], response: Response, now: datetime) -> list[str]:
    found = []
    if response.acked_at is not None:
        found.append(words["acked"].format(by=response.acked_by or "?", at=clock(response.acked_at, now)))
    if response.assignee:
        found.append(words["assigned"].format(by=response.assignee))
    if response.snoozed_until_at is not None and response.snoozed_until_at > now:
        found.append(words["snoozed"].format(at=clock(response.snoozed_until_at, now)))
    return found


def _headline(language: str, said: Frozen | None) -> str:
    text = (said or {}).get("text", {}).get(language) or {}
    return str(text.get("title", ""))


def _rendered(language: str, status: int, **values: object) -> HTMLResponse:
    html = _TEMPLATES.get_template("act.html").render(
        language=language,
        words=WORDS[language],
        style=Markup(_STYLE),  # noqa: S704 -- our own file
        comment_max=COMMENT_CHARS_MAX,
        **values,
    )
    return HTMLResponse(html, status_code=status, headers={**HEADERS, "Content-Language": language})
