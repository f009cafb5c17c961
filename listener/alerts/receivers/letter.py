"""A notification as a mail: text and HTML, the picture inside, threads, and nothing that a stranger's name can break.

RFC 5322 (message, threads by References), RFC 2392 (the picture by its Content-ID), RFC 3834 (Auto-Submitted, so that
no holiday notice answers), RFC 2919 (List-Id, for filters). Pure.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Final

from listener.alerts.receivers.base import Language
from listener.alerts.receivers.text import Pointer, Said, kind_of, one_line, plain, words
from listener.domain import AlertState, Frozen, Notification, Severity

SUBJECT_CHARS_MAX: Final = 200
COLOURS: Final = {Severity.CRITICAL.value: "#b3261e", Severity.WARNING.value: "#b36b00"}
CALM: Final = "#2e7d32"
PLAIN: Final = "#455a64"
PICTURE: Final = "picture"  # its Content-ID, before the @


def letter(
    notification: Notification,
    *,
    sender: str,
    to: Sequence[str],
    language: Language,
    instance: str,
    now: datetime,
    picture: bytes | None = None,
) -> EmailMessage:
    """The mail. ``sender`` and ``to`` are plain addresses; ``picture`` is a PNG.

    All mails of one alert refer to the same message, which never is, so that programs show them as one thread.
    """
    said = words(notification.payload, language)
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = said.title[:SUBJECT_CHARS_MAX] or "listener"
    mail["From"] = Address(display_name=one_line(f"listener {instance}"), addr_spec=sender)
    mail["To"] = [Address(addr_spec=one) for one in to]
    mail["Date"] = now
    mail["Message-ID"] = f"<{notification.id}@{domain}>"
    if kind_of(notification.payload) in {"alert", "bundle"}:
        thread = f"<alert.{_token(notification.alert_id)}@{domain}>"
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail["List-Id"] = f"<alerts.{_token(instance)}.listener.{domain}>"
    if notification.payload.get("severity") == Severity.CRITICAL and not _over(notification.payload):
        mail["Importance"] = "high"
    mail.set_content(plain(said) or said.title, cte="quoted-printable")
    cid = f"{PICTURE}.{notification.id}@{domain}" if picture is not None else None
    mail.add_alternative(
        page(said, colour=_colour(notification.payload), cid=cid), subtype="html", cte="quoted-printable"
    )
    html = mail.get_body(("html",))
    if picture is not None and html is not None:
        html.add_related(
            picture, maintype="image", subtype="png", cid=f"<{cid}>", filename="alert.png", disposition="inline"
        )
    return mail


def page(said: Said, *, colour: str, cid: str | None = None) -> str:
    """The message as HTML: everything that somebody else wrote is escaped, links are http(s) only (see ``text``)."""
    return "\n".join(_page(said, colour=colour, cid=cid))


def _page(said: Said, *, colour: str, cid: str | None) -> Iterator[str]:
    yield '<!DOCTYPE html><html><head><meta charset="utf-8"></head>'
    yield '<body style="font-family:sans-serif;font-size:16px;line-height:1.4;color:#1c1b1f;max-width:40em">'
    yield f'<h1 style="font-size:20px;border-left:6px solid {colour};padding-left:10px">{escape(said.title)}</h1>'
    for paragraph in said.body.splitlines():
        yield f"<p>{escape(paragraph)}</p>"
    if said.answers:
        yield f"<p>{' '.join(_button(one, colour) for one in said.answers)}</p>"
    if cid is not None:
        yield f'<p><img src="cid:{escape(cid)}" alt="{escape(said.title)}" style="max-width:100%"></p>'
    for part, pointers in (("evidence", said.evidence), ("articles", said.articles)):
        if pointers:
            yield f'<h2 style="font-size:16px">{escape(said.headings[part])}</h2>'
            yield f"<ul>{''.join(f'<li>{_link(one)}</li>' for one in pointers)}</ul>"
    yield "</body></html>"


def _button(pointer: Pointer, colour: str) -> str:
    style = f"display:inline-block;padding:10px 16px;margin:4px 0;background:{colour};color:#fff;text-decoration:none"
    return f'<a href="{escape(pointer.url)}" style="{style};border-radius:4px">{escape(pointer.label)}</a>'


def _link(pointer: Pointer) -> str:
    if not pointer.url:
        return escape(pointer.label)
    label = f"{pointer.label}: {pointer.url}" if pointer.label else pointer.url
    return f'<a href="{escape(pointer.url)}">{escape(label)}</a>'


def _colour(payload: Frozen) -> str:
    return CALM if _over(payload) else COLOURS.get(str(payload.get("severity")), PLAIN)


def _over(payload: Frozen) -> bool:
    return payload.get("state") == AlertState.RESOLVED


def _token(text: str) -> str:
    """What may stand in an id (RFC 5322, dot-atom-text)."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "listener"
