"""Links and the HTTP API: who may act, what a page shows, and that nothing happens twice or by looking."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from pydantic import SecretStr

from listener.alerts.oncall.links import Signer
from listener.alerts.wire.oncall import Command
from listener.alerts.words import catalogue, languages
from listener.alerts.words.languages import LANGUAGES
from listener.config.oncall import Person
from listener.domain import (
    Act,
    AlertState,
    Bundle,
    Member,
    Notification,
    Outcome,
    Reason,
    Response,
    Severity,
    Via,
    stable_id,
)
from listener.errors import StoreError
from listener.store import Database, actions, outbox, responses, silences
from listener.web import words
from listener.web.guarded import BODY_BYTES_MAX
from listener.web.views import AnswerBody
from listener.web.words import language_of
from tests.acting import PEOPLE, TOKENS, Desk, bearer, desk, kept
from tests.alerting import NOW, alert

ALERT = alert()
OTHER = alert(brand="other")
ACTIONS = f"/api/v1/alerts/{ALERT.id}/actions"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\r\nSet-Cookie: a=b"


@pytest.fixture
async def at(database: Database) -> AsyncIterator[Desk]:
    """A desk with one alert that fires, and a stage that works."""
    await kept(database, ALERT, estonian="KRIITILINE: Acme")
    async with desk(database) as found:
        yield found


@pytest.fixture
async def idle(database: Database) -> AsyncIterator[Desk]:
    """The same, and nobody handles what is asked."""
    await kept(database, ALERT)
    async with desk(database, working=False) as found:
        yield found


# ------------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("act", [Act.ACK, Act.SNOOZE, Act.RESOLVE, Act.SILENCE])
async def test_to_open_a_link_does_nothing_and_its_button_does_it(at: Desk, act: Act) -> None:
    path = at.link(ALERT.id, act, minutes=90.0)
    for _ in range(2):
        looked = await at.client.get(path)
        assert looked.status_code == 200
        assert await at.history(ALERT.id) == []
    assert '<form method="post">' in looked.text
    done = await at.client.post(path)
    assert done.status_code == 200
    assert "Done." in done.text
    (one,) = await at.history(ALERT.id)
    assert (one.action.act, one.action.by, one.action.via) == (act, "mari", Via.LINK)
    assert (one.action.seq, one.action.minutes, one.action.at) == (1, 90.0, NOW)
    assert one.outcome is Outcome.DONE


async def test_a_page_says_which_alert_and_what_the_button_does(at: Desk) -> None:
    async with at.database.writing() as connection:
        acked = Response(alert_id=ALERT.id, brand="acme", acked_at=NOW, acked_by="jaan", assignee="jaan")
        await responses.write(connection, at.database.dialect, [acked])
    page = (await at.client.get(at.link(ALERT.id, Act.SNOOZE, minutes=60.0))).text
    for said in (
        "CRITICAL: Acme",
        "Critical",
        "12:30 UTC",
        "it still fires",
        "jaan is on it",
        "Remind me in 1 h",
        "Mari",
    ):
        assert said in page


async def test_a_page_speaks_estonian_to_who_asks_for_it(at: Desk) -> None:
    page = await at.client.get(at.link(ALERT.id, Act.ACK), headers={"Accept-Language": "et-EE,et;q=0.9,en;q=0.8"})
    assert page.headers["Content-Language"] == "et"
    assert '<html lang="et">' in page.text
    assert "KRIITILINE: Acme" in page.text
    assert "Tegelen sellega" in page.text


async def test_a_page_brings_nothing_from_elsewhere_and_leaks_nothing_to_elsewhere(at: Desk) -> None:
    page = await at.client.get(at.link(ALERT.id, Act.RESOLVE))
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert not re.search(r"<script|<link|<img|<iframe|https?://|style=|\son\w+=", page.text)


async def test_who_clicks_twice_at_once_has_done_it_once(at: Desk) -> None:
    path = at.link(ALERT.id, Act.RESOLVE)
    form = {"comment": "the cashbox", "helped": "a restart"}
    answers = await asyncio.gather(*(at.client.post(path, data=form) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    (one,) = await at.history(ALERT.id)
    assert (one.action.comment, one.action.helped) == ("the cashbox", "a restart")


async def test_a_used_link_says_so_and_offers_nothing(at: Desk) -> None:
    path = at.link(ALERT.id, Act.SNOOZE, minutes=60.0)
    await at.client.post(path)
    page = (await at.client.get(path)).text
    assert "used already, at 12:30 UTC" in page
    assert "<button" not in page


async def test_a_fresh_link_snoozes_again(at: Desk) -> None:
    await at.client.post(at.link(ALERT.id, Act.SNOOZE, seq=1, minutes=60.0))
    at.clock[0] += timedelta(hours=1)
    await at.client.post(at.link(ALERT.id, Act.SNOOZE, seq=2, minutes=60.0))
    assert [one.action.seq for one in await at.history(ALERT.id)] == [1, 2]


async def test_what_was_the_cause_can_still_be_said_after_the_end(at: Desk) -> None:
    path = at.link(ALERT.id, Act.RESOLVE)
    assert "Done." in (await at.client.post(path)).text
    page = (await at.client.get(path)).text
    assert "Keep the note" in page
    assert 'name="helped"' in page
    for _ in range(2):
        noted = await at.client.post(path, data={"comment": "a bad release", "helped": ""})
        assert "Done." in noted.text
    resolved, note = await at.history(ALERT.id)
    assert (resolved.action.act, note.action.act) == (Act.RESOLVE, Act.NOTE)
    assert (note.action.comment, note.action.helped, note.action.seq) == ("a bad release", None, None)


async def test_to_resolve_what_ended_by_itself_is_a_note_or_nothing(at: Desk) -> None:
    await kept(at.database, replace(ALERT, state=AlertState.RESOLVED, ended_at=NOW, seq=2))
    path = at.link(ALERT.id, Act.RESOLVE)
    assert "it ended at 12:30 UTC" in (await at.client.get(path)).text
    assert "The alert was over already" in (await at.client.post(path)).text
    assert await at.history(ALERT.id) == []
    await at.client.post(path, data={"helped": "it went away"})
    assert [one.action.act for one in await at.history(ALERT.id)] == [Act.NOTE]


async def test_what_is_refused_is_said_with_the_reason(at: Desk) -> None:
    at.refuse = True
    answer = await at.client.post(at.link(ALERT.id, Act.ACK))
    assert answer.status_code == 409
    assert "It was not done." in answer.text
    assert '<p class="explanation" lang="en">it has become worse</p>' in answer.text  # as the stage says it


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "It has changed since that message: answer the newer one."),
        ("et", "Pärast seda teadet on olukord muutunud: vasta uuemale teatele."),
    ],
)
async def test_why_it_was_refused_is_said_in_the_language_of_the_page(at: Desk, language: str, said: str) -> None:
    at.refuse = True
    path = at.link(ALERT.id, Act.ACK)
    await kept(at.database, replace(ALERT, severity=Severity.CRITICAL, seq=2))
    answer = await at.client.post(path, headers={"Accept-Language": language})
    assert said in answer.text
    assert "it has become worse" not in answer.text


async def test_a_link_of_what_has_changed_says_so_before_anything_is_pressed(at: Desk) -> None:
    await kept(at.database, replace(ALERT, reopened=1, seq=3))
    changed = "It has changed since that message"
    page = (await at.client.get(at.link(ALERT.id, Act.ACK))).text
    assert (changed in page, "<button" in page) == (True, False)
    resolve = at.link(ALERT.id, Act.RESOLVE)
    page = (await at.client.get(resolve)).text
    assert (changed in page, "Keep the note" in page) == (True, True)
    assert changed in (await at.client.post(resolve)).text
    assert await at.history(ALERT.id) == []
    assert "What you wrote is kept. The alert goes on" in (await at.client.post(resolve, data={"comment": "rain"})).text
    assert [(one.action.act, one.action.comment) for one in await at.history(ALERT.id)] == [(Act.NOTE, "rain")]


async def test_what_is_not_handled_at_once_is_taken(idle: Desk) -> None:
    path = idle.link(ALERT.id, Act.ACK)
    answer = await idle.client.post(path)
    assert answer.status_code == 202
    assert "Taken: it will be done in a moment." in answer.text
    assert idle.woken.is_set()
    assert [one.outcome for one in await idle.history(ALERT.id)] == [None]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_whole_links_of_ours_that_have_not_expired_do_anything(at: Desk, method: str) -> None:
    good = at.link(ALERT.id, Act.ACK)
    forged = Signer(bytes(32)).token(ALERT.id, 1, Act.ACK, "mari", NOW + timedelta(days=1))
    unknown = at.link(stable_id("alert", "unknown"), Act.ACK)
    for path, status in [
        (good[:-1], 404),
        (good[:30], 404),
        (good + "A", 404),
        (f"/act/{forged}", 404),
        ("/act/%00%ff", 404),
        ("/act/" + "A" * 5000, 404),
        (unknown, 404),
    ]:
        answer = await at.client.request(method, path)
        assert answer.status_code == status, path
        assert "Acme" not in answer.text
        assert "<button" not in answer.text
    at.clock[0] += timedelta(days=7)
    expired = await at.client.request(method, good)
    assert expired.status_code == 410
    assert "expired" in expired.text
    assert await at.history(ALERT.id) == []


async def test_a_link_for_one_alert_cannot_be_turned_to_another(at: Desk) -> None:
    """Parts of two good tokens make no third one."""
    await kept(at.database, OTHER)
    one, other = at.link(ALERT.id, Act.ACK), at.link(OTHER.id, Act.RESOLVE)
    for place in range(8, len(one) - 5, 7):
        assert (await at.client.post(one[:place] + other[place:])).status_code == 404, place
    assert await at.history(ALERT.id) == []
    assert await at.history(OTHER.id) == []


async def test_nothing_that_people_or_brands_are_called_becomes_markup_or_a_header(database: Database) -> None:
    await kept(database, ALERT, title=EVIL)
    person = Person(title=EVIL[:100], token=SecretStr("x" * 20))
    async with desk(database, titles={"acme": EVIL}, people={"mari": person}) as at:
        async with database.writing() as connection:
            acked = Response(alert_id=ALERT.id, brand="acme", acked_at=NOW, acked_by=EVIL)
            await responses.write(connection, database.dialect, [acked])
        path = at.link(ALERT.id, Act.RESOLVE)
        looked = await at.client.get(path)
        done = await at.client.post(path, data={"comment": EVIL})
        (one,) = await at.history(ALERT.id)
    for page in (looked, done):
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "set-cookie" not in page.headers
    assert "&lt;script&gt;" in looked.text
    assert one.action.comment == EVIL.replace("\r", "")


async def test_a_form_is_read_as_far_as_it_makes_sense(at: Desk) -> None:
    path = at.link(ALERT.id, Act.RESOLVE)
    form = "&".join(["comment=%00a%0D%0Ab%07", "helped=" + "x" * 5000, "other=1"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await at.client.post(path, content=form, headers=headers)).status_code == 200
    (one,) = await at.history(ALERT.id)
    assert one.action.comment == "a\nb"
    assert len(one.action.helped or "") == 4000


async def test_another_kind_of_form_is_refused(at: Desk) -> None:
    path = at.link(ALERT.id, Act.RESOLVE)
    many = "&".join(f"x{number}=1" for number in range(100))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await at.client.post(path, json={"comment": "a"})).status_code == 415
    assert (await at.client.post(path, content=many, headers=headers)).status_code == 400
    assert await at.history(ALERT.id) == []


async def test_a_link_of_a_bundle_names_all_that_it_is_about(at: Desk) -> None:
    await kept(at.database, OTHER, title="CRITICAL: Other")
    bundle = stable_id("bundle", "storm")
    members = tuple(Member(alert_id=one.id, seq=1) for one in (ALERT, OTHER))
    async with at.database.writing() as connection:
        storm = Bundle(id=bundle, kind="storm", at=NOW, members=members)
        await responses.write_bundles(connection, at.database.dialect, [storm])
    path = at.link(bundle, Act.ACK)
    page = (await at.client.get(path)).text
    assert "CRITICAL: Acme" in page
    assert "CRITICAL: Other" in page
    await at.client.post(path)
    assert [one.action.target for one in await at.history(bundle)] == [bundle]


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("et", "et"),
        ("ET-ee", "et"),
        ("de,et;q=0.5", "et"),
        ("en-US,et;q=0.9", "en"),
        ("et;q=0.3,en;q=0.8", "en"),
        ("et;q=0", "en"),
        ("et;q=nonsense", "en"),
        ("*", "en"),
        ("et," * 10_000, "et"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_more(accept: str | None, language: str) -> None:
    assert language_of(accept) == language


def test_every_language_that_there_is_can_be_asked_for() -> None:
    for code in LANGUAGES:
        assert language_of(f"xx,{code.upper()}-XX;q=0.9,yy;q=0.95") == code


@pytest.fixture
def third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A third language: an entry, and a catalogue in which every letter is a Greek one."""
    shutil.copytree(languages.LOCALE, tmp_path / "locale")
    monkeypatch.setattr(languages, "LOCALE", tmp_path / "locale")
    for module in (languages, words):
        monkeypatch.setattr(module, "LANGUAGES", {**LANGUAGES, "el": languages.Style(decimal=",")})
    folder = tmp_path / "locale/el/LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "listener.mo").write_bytes(catalogue.as_mo(greek_catalogue()))
    languages.tongue.cache_clear()
    yield
    languages.tongue.cache_clear()


def greek_catalogue() -> Catalog:
    """Every message that the code says, translated letter by letter."""
    found = Catalog(locale="el")
    for message in catalogue.template():
        if message.id:
            ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
            forms = tuple(masked(one) for one in ids)
            found.add(message.id, forms[0] if isinstance(message.id, str) else forms, context=message.context)
    return found


def masked(message: str) -> str:
    """Greek letters for all but placeholders."""
    parts = re.split(r"(\{\w+\})", message)
    return "".join(part if part.startswith("{") else re.sub("[A-Za-z]", "λ", part) for part in parts)


def seen(page: str) -> str:
    """What people read of a page, without names, which stay as they are, and without what the stage says."""
    body = re.sub(r'<style>.*?</style>|<p class="explanation" lang="en".*?</p>', "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>|Acme|Mari|jaan|deterioration", "", body)


@pytest.mark.usefixtures("third")
async def test_a_third_language_needs_nothing_but_its_catalogue(at: Desk) -> None:
    """No page leaves anything in English, and that of who asks for it is in it."""
    answered = Response(
        alert_id=ALERT.id,
        brand="acme",
        acked_at=NOW - timedelta(days=1),
        acked_by="jaan",
        assignee="jaan",
        snoozed_until_at=NOW + timedelta(hours=1),
    )
    async with at.database.writing() as connection:
        await responses.write(connection, at.database.dialect, [answered])
    paths = [at.link(ALERT.id, act, minutes=90.0) for act in (Act.ACK, Act.ASSIGN, Act.SNOOZE, Act.SILENCE)]
    paths.append(at.link(ALERT.id, Act.RESOLVE))
    headers = {"Accept-Language": "el-GR,el;q=0.9,en;q=0.8"}
    requests = [("GET", path) for path in [*paths, "/act/damaged", at.link(stable_id("unknown"), Act.ACK)]]
    requests += [(method, path) for path in paths for method in ("POST", "GET")]
    for method, path in requests:
        page = await at.client.request(method, path, headers=headers)
        assert page.headers["Content-Language"] == "el"
        assert '<html lang="el">' in page.text
        assert "λλλ" in seen(page.text)
        assert not re.search("[A-Za-z]", seen(page.text)), (method, path)


# --------------------------------------------------------------------------------------------------------------- api


def test_the_body_is_a_command_without_by() -> None:
    ours, theirs = AnswerBody.model_json_schema(), Command.model_json_schema()
    del theirs["properties"]["by"]
    for name, field in theirs["properties"].items():
        assert field == {key: ours["properties"][name][key] for key in field}
    assert set(ours["properties"]) == set(theirs["properties"])
    assert "required" not in ours
    assert theirs["required"] == ["by"]
    assert {key: ours[key] for key in ("if", "else")} == {key: theirs[key] for key in ("if", "else")}


async def test_a_person_acts_by_their_token(at: Desk) -> None:
    body = {"action": "snooze", "seq": 1, "minutes": 30, "comment": "at lunch"}
    answer = await at.client.post(ACTIONS, json=body, headers=bearer("jaan"))
    assert answer.status_code == 200
    said = answer.json()
    assert (said["outcome"], said["by"], said["via"], said["action"]) == ("done", "jaan", "http", "snooze")
    (one,) = await at.history(ALERT.id)
    assert (one.action.by, one.action.via, one.action.minutes) == ("jaan", Via.HTTP, 30.0)


async def test_what_is_refused_is_a_conflict(at: Desk) -> None:
    at.refuse = True
    answer = await at.client.post(ACTIONS, json={"seq": 1}, headers=bearer())
    assert answer.status_code == 409
    assert answer.json()["explanation"] == "it has become worse"


async def test_what_is_not_handled_at_once_is_accepted(idle: Desk) -> None:
    answer = await idle.client.post(ACTIONS, json={"seq": 1}, headers=bearer())
    assert answer.status_code == 202
    assert answer.json()["outcome"] is None
    known = await actions.by_id(idle.database, answer.json()["id"])
    assert known is not None


async def test_a_request_sent_again_with_its_key_is_done_once(at: Desk) -> None:
    headers = {**bearer(), "Idempotency-Key": "a1"}
    first, second = await asyncio.gather(*(at.client.post(ACTIONS, json={"seq": 1}, headers=headers) for _ in range(2)))
    assert first.json()["id"] == second.json()["id"]
    other = await at.client.post(ACTIONS, json={"seq": 1, "action": "resolve"}, headers=headers)
    assert other.status_code == 422
    without = await at.client.post(ACTIONS, json={"seq": 1}, headers=bearer())
    theirs = await at.client.post(ACTIONS, json={"seq": 1}, headers={**headers, **bearer("jaan")})
    assert len({first.json()["id"], without.json()["id"], theirs.json()["id"]}) == 3
    assert len(await at.history(ALERT.id)) == 3


NO_TOKENS = ["", "Bearer", "Bearer wrong", "Basic bWFyaTptYXJp", f"Token {TOKENS['mari']}"]
WAYS_IN = [
    ("GET", "/api/v1/alerts"),
    ("GET", f"/api/v1/alerts/{ALERT.id}"),
    ("POST", ACTIONS),
    ("GET", "/api/v1/silences"),
    ("POST", "/api/v1/silences"),
    ("DELETE", f"/api/v1/silences/{ALERT.id}"),
]


async def test_nobody_gets_in_without_a_token(at: Desk) -> None:
    for method, path in WAYS_IN:
        for headers in ({}, *({"Authorization": value} for value in NO_TOKENS)):
            answer = await at.client.request(method, path, headers=headers, json={"seq": 1})
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert not any(token in answer.text for token in TOKENS.values())
            assert "Acme" not in answer.text
    assert await at.history(ALERT.id) == []


async def test_without_anybody_who_has_a_token_it_says_what_to_configure(database: Database) -> None:
    async with desk(database, people={"phone": PEOPLE["phone"]}) as at:
        answer = await at.client.get("/api/v1/alerts", headers=bearer())
    assert answer.status_code == 403
    assert "[people.NAME] token" in answer.json()["detail"]


async def test_who_guesses_is_held_up_and_let_in_again_later(at: Desk) -> None:
    for _ in range(10):
        wrong = await at.client.get("/api/v1/alerts", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
    held = await at.client.get("/api/v1/alerts", headers=bearer())
    assert held.status_code == 429
    assert 1 <= int(held.headers["Retry-After"]) <= 7
    assert (await at.client.get(at.link(ALERT.id, Act.ACK))).status_code == 200
    at.clock[0] += timedelta(seconds=int(held.headers["Retry-After"]))
    assert (await at.client.get("/api/v1/alerts", headers=bearer())).status_code == 200


async def test_a_note_needs_no_event(at: Desk) -> None:
    answer = await at.client.post(ACTIONS, json={"action": "note", "comment": "lockers"}, headers=bearer())
    assert (answer.status_code, answer.json()["seq"]) == (200, None)


BAD_BODIES: list[Any] = [
    {},
    {"seq": 0},
    {"seq": "secret-seq"},
    {"seq": 1, "by": "secret-by"},
    {"seq": 1, "action": "secret-act"},
    {"seq": 1, "minutes": -1},
    {"seq": 1, "minutes": "NaN"},
    {"seq": 1, "at": "2026-03-02T12:00:00"},
    {"seq": 1, "comment": "secret" * 1000},
    {"seq": 1, "comment": "secret\ud83d"},
    {"seq": 1, "action": "assign"},
    ["secret"],
    None,
]


async def test_a_bad_body_is_refused_without_being_repeated(at: Desk) -> None:
    headers = {**bearer(), "Content-Type": "application/json"}
    for body in BAD_BODIES:
        answer = await at.client.post(ACTIONS, content=json.dumps(body), headers=headers)
        assert answer.status_code == 422, body
        assert "secret" not in answer.text
        assert answer.json()["detail"]
    for content in (b"{", b"\xff\xfe", b"[" * 10_000, b'{"seq": 1} secret'):
        answer = await at.client.post(ACTIONS, content=content, headers=headers)
        assert answer.status_code in {400, 422}, content[:20]
        assert "secret" not in answer.text
    assert await at.history(ALERT.id) == []


async def test_a_large_body_is_refused_whether_it_says_so_or_not(at: Desk) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1024 + 2):
            yield b" " * 1024

    for path in (ACTIONS, at.link(ALERT.id, Act.RESOLVE)):
        headers = {**bearer(), "Content-Type": "application/x-www-form-urlencoded"}
        if path == ACTIONS:
            headers["Content-Type"] = "application/json"
        announced = await at.client.post(path, content=b" " * (BODY_BYTES_MAX + 1), headers=headers)
        assert announced.status_code == 413
        streamed = await at.client.post(path, content=parts(), headers=headers)
        assert streamed.status_code == 413
    assert await at.history(ALERT.id) == []


async def test_an_unknown_alert_is_not_found(at: Desk) -> None:
    for alert_id in ("unknown", ALERT.id[:8], ALERT.id.upper(), "%00", "a%25", stable_id("no")):
        path = f"/api/v1/alerts/{alert_id}"
        assert (await at.client.get(path, headers=bearer())).status_code == 404, alert_id
        assert (await at.client.post(f"{path}/actions", json={"seq": 1}, headers=bearer())).status_code == 404


async def test_alerts_are_listed_and_shown_with_all_that_happened(at: Desk) -> None:
    await kept(at.database, replace(OTHER, state=AlertState.RESOLVED, ended_at=NOW))
    told = Notification(
        alert_id=ALERT.id,
        seq=1,
        brand="acme",
        severity=Severity.CRITICAL,
        receiver="mqtt",
        reason=Reason.FIRST,
        payload={"type": "alert"},
        decided_at=NOW,
        due_at=NOW,
    )
    async with at.database.writing() as connection:
        await outbox.enqueue(connection, at.database.dialect, [told])
        snoozed = Response(alert_id=ALERT.id, brand="acme", receivers=("mqtt",), snoozed_until_at=NOW)
        await responses.write(connection, at.database.dialect, [snoozed])
    await outbox.dead(at.database, told, now=NOW, error="refused")
    await at.client.post(ACTIONS, json={"seq": 1, "comment": "a\u0000b"}, headers=bearer())
    listed = (await at.client.get("/api/v1/alerts", headers=bearer())).json()
    assert {one["brand"] for one in listed} == {"acme", "other"}
    (firing,) = (await at.client.get("/api/v1/alerts?state=firing&limit=5", headers=bearer())).json()
    assert (firing["id"], firing["title"], firing["response"]["receivers"]) == (ALERT.id, "Acme", ["mqtt"])
    assert firing["started_at"] == "2026-03-02T12:30:00Z"
    shown = (await at.client.get(f"/api/v1/alerts/{ALERT.id}", headers=bearer())).json()
    assert {**firing} == {name: shown[name] for name in firing}
    assert [(one["receiver"], one["outcome"], one["error"]) for one in shown["notifications"]] == [
        ("mqtt", "dead", "refused")
    ]
    assert [(one["action"], one["by"], one["comment"]) for one in shown["actions"]] == [("ack", "mari", "ab")]


async def test_a_silence_is_made_listed_and_ended(at: Desk) -> None:
    body = {"brand": "acme", "severity": "warning", "minutes": 30, "comment": "release"}
    made = await at.client.post("/api/v1/silences", json=body, headers=bearer())
    assert made.status_code == 201
    assert (made.json()["created_by"], made.json()["active"]) == ("mari", True)
    (kept_one,) = await silences.active(at.database, now=NOW)
    assert kept_one.matches(brand="acme", rule="x", severity=Severity.WARNING, at=NOW + timedelta(minutes=29))
    (listed,) = (await at.client.get("/api/v1/silences?active=true", headers=bearer())).json()
    assert listed == made.json()
    ended = await at.client.delete(f"/api/v1/silences/{listed['id']}", headers=bearer("jaan"))
    assert ended.json()["comment"] == "release (ended early by jaan)"
    assert (await at.client.get("/api/v1/silences?active=true", headers=bearer())).json() == []
    assert len((await at.client.get("/api/v1/silences", headers=bearer())).json()) == 1
    for unknown in (listed["id"], "unknown", "%00"):
        assert (await at.client.delete(f"/api/v1/silences/{unknown}", headers=bearer())).status_code == 404


async def test_a_silence_of_everything_has_to_be_said(at: Desk) -> None:
    body = {"everything": True, "ends_at": "2026-03-02T20:00:00+02:00"}
    made = await at.client.post("/api/v1/silences", json=body, headers=bearer())
    assert (made.status_code, made.json()["ends_at"]) == (201, "2026-03-02T18:00:00Z")


UNCLEAR: list[dict[str, Any]] = [
    {"minutes": 30},
    {"everything": True, "brand": "acme", "minutes": 30},
    {"brand": "acme"},
    {"brand": "acme", "minutes": 30, "ends_at": "2026-03-02T20:00:00Z"},
    {"brand": "acme", "ends_at": "2026-03-02T12:30:00Z"},
    {"brand": "acme", "ends_at": "2026-05-02T12:30:00Z"},
    {"brand": "acme", "ends_at": "2026-03-02T20:00:00"},
    {"brand": "acne", "minutes": 30},
    {"brand": "acme", "minutes": 30, "created_by": "jaan"},
    {"brand": "acme", "severity": "loud", "minutes": 30},
]


async def test_a_silence_that_is_not_clear_is_refused(at: Desk) -> None:
    for body in UNCLEAR:
        answer = await at.client.post("/api/v1/silences", json=body, headers=bearer())
        assert answer.status_code == 422, body
    assert await silences.recent(at.database, limit=10) == []


async def test_the_api_is_described(at: Desk) -> None:
    document = (await at.client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/healthz",
        "/readyz",
        "/api/v1/alerts",
        "/api/v1/alerts/{alert_id}",
        "/api/v1/alerts/{target}/actions",
        "/api/v1/silences",
        "/api/v1/silences/{silence_id}",
    }
    act = document["paths"]["/api/v1/alerts/{target}/actions"]["post"]
    assert {"200", "202", "401", "403", "404", "409", "422", "429"} <= set(act["responses"])
    assert act["security"] == [{"HTTPBearer": []}]


async def test_a_database_that_is_away_is_said(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StoreError("away: password=secret")

    monkeypatch.setattr(at.database, "reading", away)
    page = await at.client.get(at.link(ALERT.id, Act.ACK))
    api = await at.client.get("/api/v1/alerts", headers=bearer())
    assert (page.status_code, api.status_code) == (503, 503)
    assert "secret" not in page.text + api.text
    assert "the database does not answer" in page.text
