"""The whole daemon as a process: people answer it over MQTT, by a link and from a terminal, and all hear of it."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from listener.alerts.wire import schemas
from tests.acceptance.daemon import Subscriber, cli, configuration, daemon, reachable, site, subscriber
from tests.mosquitto import free_port, mosquitto
from tests.services import require
from tests.small_bert import save_small_bert

pytestmark = pytest.mark.timeout(300)

PUBLISH = shutil.which("mosquitto_pub")
PEOPLE = """
[people.mari]
title = "Mari"
receivers = ["mqtt"]
[people.jaan]
title = "Jaan"
"""
STATE = "brand/bolt/state"
ACTIONS = "acceptance/actions"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_bert(tmp_path_factory.mktemp("model"))


async def publish(port: int, topic: str, command: dict[str, Any]) -> None:
    """As somebody does from a shell."""
    require(PUBLISH, "Mosquitto's clients (the binary mosquitto_pub)")
    body = json.dumps(command)
    process = await asyncio.create_subprocess_exec(
        str(PUBLISH), "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-m", body
    )
    assert await process.wait() == 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A daemon that runs, what a subscriber hears of it, and the page that it has sent."""

    config: Path
    port: int
    heard: Subscriber
    browser: httpx2.AsyncClient
    page: dict[str, Any]

    @property
    def id(self) -> str:
        """The alert's."""
        return str(self.page["alert_id"])


async def answered_over_mqtt(at: Scene) -> None:
    """Where the message says."""
    command = {"action": "ack", "seq": at.page["answer"]["seq"], "by": "jaan"}
    Draft202012Validator(schemas.load("command")).validate(command)
    await publish(at.port, at.page["answer"]["topic"], command)
    done = await at.heard.said(ACTIONS, target=at.id, action="ack")
    Draft202012Validator(schemas.load("action")).validate(done)
    assert (done["by"], done["via"], done["outcome"]) == ("jaan", "mqtt", "done")
    acked = await at.heard.said(STATE, acked_by="jaan")
    Draft202012Validator(schemas.load("state")).validate(acked)
    assert (acked["state"], acked["alert_id"], acked["snoozed_until"]) == ("critical", at.id, None)


async def answered_by_link(at: Scene) -> None:
    """To open it does nothing, to press its button does."""
    snooze = at.page["answer"]["links"]["snooze"]
    assert (await at.browser.get(snooze)).status_code == 200
    pressed = await at.browser.post(snooze)
    assert pressed.status_code == 200, pressed.text
    done = await at.heard.said(ACTIONS, target=at.id, action="snooze")
    assert (done["by"], done["via"], done["outcome"]) == ("mari", "link", "done")
    assert (await at.heard.said(STATE, acked_by="mari"))["snoozed_until"] is not None
    async with subscriber(at.port) as late:  # who comes late is told how it stands, and not woken
        state = await late.said(STATE)
        assert (state["acked_by"], late.alerts) == ("mari", [])
    assert (await at.browser.post(snooze[:-2])).status_code == 404


async def drilled(at: Scene) -> dict[str, Any]:
    """A drill, answered by its link while ``simulate`` waits for that."""
    simulate = ("alerts", "simulate", "bolt", "--by", "kati", "--wait", "--timeout-secs", "60", "--json")
    waiting = asyncio.create_task(cli(at.config, *simulate))
    drill = await at.heard.alert("first", drill=True)
    Draft202012Validator(schemas.load("alert")).validate(drill)
    assert drill["text"]["en"]["title"].startswith("DRILL: ")
    assert (await at.browser.post(drill["answer"]["links"]["ack"])).status_code == 200
    code, printed = await waiting
    report = json.loads(printed)
    assert (code, report["id"]) == (0, drill["alert_id"])
    assert [(one["receiver"], one["outcome"]) for one in report["notifications"]] == [("mqtt", "sent")]
    assert [(one["act"], one["by"], one["outcome"]) for one in report["actions"]] == [("ack", "mari", "done")]
    return drill


async def answered_from_a_terminal(at: Scene, drill: dict[str, Any]) -> None:
    """An ack too late, and the end."""
    late = await cli(at.config, "alerts", "ack", drill["alert_id"][:8], "--by", "kati")
    assert late == (0, "noop: mari is on it already\n")
    _, printed = await cli(at.config, "alerts", "show", at.id[:8], "--json")
    shown = json.loads(printed)
    assert shown["response"]["acked_by"] == "mari"
    assert [(one["act"], one["via"]) for one in shown["actions"]] == [("ack", "mqtt"), ("snooze", "link")]
    why = ("--by", "kati", "--cause", "a strike", "--helped", "it ended")
    assert await cli(at.config, "alerts", "resolve", at.id, *why) == (0, "done: resolved\n")
    end = await at.heard.alert("resolved", alert_id=at.id)
    Draft202012Validator(schemas.load("alert")).validate(end)
    assert (end["resolution"], end["seq"]) == ("manual", at.page["seq"] + 1)
    assert "a strike" in end["text"]["en"]["body"]


async def test_people_answer_and_everybody_hears_of_it(tmp_path: Path, model: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url), subscriber(broker.port) as heard:
            reviews.history()
            config = configuration(tmp_path, url=url, model=model, broker_port=broker.port, more=PEOPLE)
            reachable(config, free_port())
            async with daemon(config) as running, httpx2.AsyncClient() as browser:
                await running.logged("source.polled")
                reviews.turn()
                page = await heard.alert("first")
                Draft202012Validator(schemas.load("alert")).validate(page)
                at = Scene(config=config, port=broker.port, heard=heard, browser=browser, page=page)
                await answered_over_mqtt(at)
                await answered_by_link(at)
                drill = await drilled(at)
                await answered_from_a_terminal(at, drill)
                await reviews.polled(reviews.polls + 2)  # many more looks: the same mentions bring nothing back
                assert [line for line in running.events if line["level"] in {"error", "critical"}] == []
                assert await running.stop() == 0
    told = [(one["alert_id"], one["reason"]) for one in heard.alerts if one.get("type") == "alert"]
    assert told == [(at.id, "first"), (drill["alert_id"], "first"), (at.id, "resolved")]
    last = [body for topic, _, body in heard.messages if topic.endswith(STATE)][-1]
    assert (last["state"], last["alert_id"], last["acked_by"]) == ("ok", None, None)
