"""Mails, as a real SMTP server takes them: what is in them, and what its refusals mean."""

import asyncio
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.alerts.receivers.email import Email
from listener.alerts.receivers.letter import letter
from listener.domain import Frozen, Reason, Severity
from listener.errors import DeliveryError, StoreError
from tests import alerting
from tests.mosquitto import free_port
from tests.receivers.kinds import MARK, all_said, email, running
from tests.receivers.mailing import Mailbox, mailbox
from tests.receivers.payloads import NOW, alert_json, every_kind, notification
from tests.services import require

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as opened:
        yield opened


async def mailed(box: Mailbox, payload: Frozen | None = None, **changes: Any) -> EmailMessage:
    """The mail as it arrived."""

    async def picture(_alert: str) -> bytes | None:
        return PNG

    async with running(email(box.port, **changes), picture=picture) as receiver:
        await receiver.deliver(notification(payload))
    return box.mails[-1]


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


async def test_a_mail_has_text_and_the_same_as_html_with_the_picture_inside(box: Mailbox) -> None:
    mail = await mailed(box)
    text, html = part(mail, "plain"), part(mail, "html")
    assert "https://foorum.example/0?õ=1" in text
    assert 'href="https://foorum.example/0?õ=1"' in html
    assert 'href="https://listener.example/a/ack.abc"' in html
    assert "I am on it" in text
    pictures = [one for one in mail.walk() if one.get_content_type() == "image/png"]
    assert [one.get_content() for one in pictures] == [PNG]
    named = re.search(r'src="cid:([^"]+)"', html)
    assert named is not None
    assert pictures[0]["Content-ID"] == f"<{named.group(1)}>"
    assert pictures[0].get_content_disposition() == "inline"
    assert mail.get_content_type() == "multipart/alternative"


async def test_its_headers_say_who_what_and_that_nobody_needs_to_answer(box: Mailbox) -> None:
    mail = await mailed(box)
    assert mail["Subject"] == notification().payload["text"]["en"]["title"]
    assert mail["From"] == "listener main <listener@shop.example>"
    assert mail["To"] == "one@shop.example, two@shop.example"
    assert mail["Date"].datetime == NOW.replace(microsecond=0)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<alerts.main.listener.shop.example>"
    assert mail["Importance"] == "high"
    assert box.recipients == [["one@shop.example", "two@shop.example"]]


async def test_the_mails_of_one_alert_are_one_thread(box: Mailbox) -> None:
    first = await mailed(box)
    again = await mailed(box)
    end = await mailed(box, {**alert_json(Reason.RESOLVED), "alert_id": first_id()})
    other = await mailed(box, alert_json(alert=alerting.alert(brand="other")))
    test = await mailed(box, every_kind()["test"])
    assert first["Message-ID"] == again["Message-ID"] == f"<{notification().id}@shop.example>"
    assert first["Message-ID"] != end["Message-ID"]
    assert first["References"] == end["References"] == end["In-Reply-To"]
    assert first["References"] != other["References"]
    assert test["References"] is None
    assert end["Importance"] is None


def first_id() -> str:
    return str(alert_json()["alert_id"])


async def test_nobody_elses_words_become_a_header_a_tag_or_a_dangerous_link(box: Mailbox) -> None:
    nasty = 'Õun\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>" onload="x'
    payload = {
        **alert_json(),
        "text": {"en": {"title": nasty, "body": f"{nasty}\n.\nQUIT"}},
        "evidence": [{"id": "m", "url": "javascript:alert(1)", "source": nasty}],
        "articles": [{"title": nasty, "url": 'https://x.example/"><script>'}],
        "answer": {"seq": 1, "links": {"ack": 'https://x.example/"><script>'}},
    }
    mail = await mailed(box, payload)
    html = part(mail, "html")
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    assert "<script" not in html
    assert "javascript:" not in html + part(mail, "plain")
    assert 'onload="' not in html
    assert "QUIT" in part(mail, "plain")  # a dot alone on its line has not ended the mail
    assert len(box.mails) == 1


@pytest.mark.parametrize("brand", ["x" * 5000, "\u202eabc", "🙂" * 300])
def test_no_title_breaks_a_mail(brand: str) -> None:
    payload = {**alert_json(), "text": {"en": {"title": brand, "body": brand}}}
    made = letter(
        notification(payload), sender="a@b.example", to=["c@d.example"], language="en", instance="pood õ", now=NOW
    )
    assert all(len(line) <= 998 for line in made.as_bytes().split(b"\r\n"))


async def test_a_mail_goes_without_a_picture_when_there_is_none(box: Mailbox) -> None:
    async with running(email(box.port)) as receiver:
        await receiver.deliver(notification())
    assert "cid:" not in part(box.mails[0], "html")


async def test_a_picture_that_cannot_be_drawn_holds_no_page_up(box: Mailbox) -> None:
    async def away(_alert: str) -> bytes | None:
        raise StoreError("the database does not answer")

    async def slow(_alert: str) -> bytes | None:
        await asyncio.Event().wait()
        return PNG

    with capture_logs() as events:
        for picture in (away, slow):
            async with running(email(box.port, timeout_secs=0.5), picture=picture) as receiver:
                await receiver.deliver(notification())
    assert len(box.mails) == 2
    assert [one["event"] for one in events] == ["email.picture_missing"] * 2


@pytest.mark.parametrize(
    ("severity", "colour"), [(Severity.CRITICAL, "#b3261e"), (Severity.WARNING, "#b36b00"), (Severity.INFO, "#455a64")]
)
async def test_colours_follow_the_severity(box: Mailbox, severity: Severity, colour: str) -> None:
    assert colour in part(await mailed(box, alert_json(alert=alerting.alert(severity=severity))), "html")


# ------------------------------------------------------------------------------------------------------------ refusals


async def refused(receiver: Email) -> DeliveryError:
    async with running(receiver) as opened:
        with pytest.raises(DeliveryError) as caught:
            await opened.deliver(notification())
    return caught.value


@pytest.mark.parametrize("where", ["sender", "data", "one@shop.example"])
@pytest.mark.parametrize("code", [421, 450, 451, 452, 500, 530, 550, 552, 554])
async def test_4xx_is_tried_again_and_5xx_is_not(box: Mailbox, where: str, code: int) -> None:
    box.refusals[where] = f"{code} {MARK}"
    error = await refused(email(box.port, to=["one@shop.example"]))
    assert error.retryable is (code < 500)
    assert str(code) in str(error)
    assert MARK not in all_said(error, [])


async def test_who_was_accepted_does_not_get_the_mail_again(box: Mailbox) -> None:
    box.refusals["two@shop.example"] = "450 later"
    async with running(email(box.port)) as receiver:
        for _ in range(2):
            with pytest.raises(DeliveryError) as caught:
                await receiver.deliver(notification())
            assert caught.value.retryable
        box.refusals.clear()
        await receiver.deliver(notification())
    assert box.recipients == [["one@shop.example"], ["two@shop.example"]]


async def test_one_wrong_address_does_not_keep_the_others_from_the_mail(box: Mailbox) -> None:
    box.refusals["two@shop.example"] = "550 nobody"
    with capture_logs() as events:
        await mailed(box)
    assert box.recipients == [["one@shop.example"]]
    assert [(one["event"], one["refused"], one["codes"]) for one in events] == [("email.recipients_refused", 1, [550])]


@pytest.mark.parametrize("encryption", ["none", "starttls", "tls"])
async def test_a_server_that_is_not_there_is_tried_again(encryption: str) -> None:
    error = await refused(email(free_port(), encryption=encryption))
    assert error.retryable
    assert "cannot be reached" in str(error)


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async with mailbox(hang=True) as box:
        error = await refused(email(box.port, timeout_secs=0.3))
    assert error.retryable


async def test_a_server_without_starttls_gets_no_mail(box: Mailbox) -> None:
    error = await refused(email(box.port, encryption="starttls"))
    assert not error.retryable
    assert "STARTTLS" in str(error)
    assert box.mails == []


async def test_a_server_that_does_not_speak_tls_is_told_apart(box: Mailbox) -> None:
    error = await refused(email(box.port, encryption="tls", timeout_secs=2.0))
    assert error.retryable


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    require(shutil.which("openssl"), "the openssl command")
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mail.test "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
async def login_box(certificate: Path) -> AsyncIterator[Mailbox]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with mailbox(starttls=context) as opened:
        yield opened


def secured(box: Mailbox, certificate: Path | None, **changes: Any) -> Email:
    login = {"username": "ops", "password": f"{MARK}-õ", "encryption": "starttls", "ca_file": certificate}
    return email(box.port, **{**login, **changes})


async def test_the_login_goes_over_tls(login_box: Mailbox, certificate: Path) -> None:
    async with running(secured(login_box, certificate)) as receiver:
        await receiver.deliver(notification())
    assert login_box.login is not None
    assert login_box.login.password == f"{MARK}-õ".encode()
    assert len(login_box.mails) == 1


async def test_a_wrong_password_is_told_and_not_tried_again(
    login_box: Mailbox, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    login_box.accepted_login = False
    error = await refused(secured(login_box, certificate))
    assert not error.retryable
    assert "check username and password" in str(error)
    assert MARK not in all_said(error, caplog.records)


async def test_a_stranger_with_the_servers_name_gets_no_password(login_box: Mailbox) -> None:
    error = await refused(secured(login_box, None))
    assert error.retryable
    assert "certificate verify failed" in str(error)
    assert login_box.login is None


async def test_a_file_of_authorities_that_is_gone_is_told(login_box: Mailbox, tmp_path: Path) -> None:
    error = await refused(secured(login_box, tmp_path / "gone.pem"))
    assert "ca_file" in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "ops"},
        {"username": "ops", "password": "x", "encryption": "none"},
        {"sender": "listener"},
        {"sender": "Õ <a@b.example>"},
        {"to": ["a@b.example, c@d.example"]},
        {"to": ["õ@b.example"]},
        {"to": ["a@b.example\r\nRCPT TO:<c@d.example>"]},
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"belong together|in clear|mail address"):
        email(1, **changes)
