"""The whole daemon as a process: a site in, an alert over a real broker out, and kills at any moment."""

import asyncio
import random
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.daemon import configuration, daemon, site, subscriber
from tests.mosquitto import mosquitto
from tests.small_bert import save_small_bert
from tests.small_model import save_small_model

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_bert(tmp_path_factory.mktemp("model"))


async def test_an_alert_reaches_a_subscriber(tmp_path: Path, model: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url), subscriber(broker.port) as heard:
            reviews.history()
            config = configuration(tmp_path, url=url, model=model, broker_port=broker.port)
            async with daemon(config) as running:
                address = (await running.logged("daemon.started"))["metrics"]
                await running.logged("source.polled")
                assert heard.alerts == []
                reviews.turn()
                alert = await heard.alert("first")
                async with httpx2.AsyncClient() as client:
                    metrics = (await client.get(address)).text
                    ready = (await client.get(address.replace("/metrics", "/readyz"))).json()
                    healthy = await client.get(address.replace("/metrics", "/healthz"))
                assert await running.stop() == 0
    assert alert["brand"] == "bolt"
    assert alert["severity"] == "critical"
    assert alert["observed"] > alert["expected"]
    assert len(alert["evidence"]) == 3
    assert 'listener_alerts_firing{brand="bolt",severity="critical"} 1.0' in metrics
    assert ready == {"status": "ok", "checks": {"database": "ok", "mqtt": "ok"}}
    assert healthy.status_code == 200
    states = [body["state"] for topic, _, body in heard.messages if topic == "listener/v1/brand/bolt/state"]
    assert states[-1] == "critical"
    status = [body["state"] for topic, _, body in heard.messages if topic == "listener/v1/acceptance/status"]
    assert status == ["online", "offline"]


@pytest.mark.soak
async def test_kills_at_any_moment_lose_nothing_and_page_once(tmp_path: Path, model: Path) -> None:
    """Killed six times at random moments of polling, scoring, deciding and delivering, then left alone."""
    chance = random.Random(20261121)
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url), subscriber(broker.port) as heard:
            reviews.history()
            reviews.turn()
            config = configuration(tmp_path, url=url, model=model, broker_port=broker.port)
            for _ in range(6):
                async with daemon(config) as running:
                    await running.logged("daemon.started")
                    await asyncio.sleep(chance.uniform(0.0, 2.5))
                    await running.kill()
            async with daemon(config) as running:
                address = (await running.logged("daemon.started"))["metrics"]
                await heard.alert("first")
                before = reviews.polls
                await reviews.polled(before + 2)  # many more looks of the rules: nothing new may come of them
                async with httpx2.AsyncClient() as client:
                    metrics = (await client.get(address)).text
                assert await running.stop() == 0
    assert len({(alert["alert_id"], alert["seq"]) for alert in heard.alerts}) == 1
    assert 'listener_window_mentions{brand="bolt"} 40.0' in metrics


async def test_a_restart_does_not_page_again(tmp_path: Path, model: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url), subscriber(broker.port) as heard:
            reviews.history()
            reviews.turn()
            config = configuration(tmp_path, url=url, model=model, broker_port=broker.port)
            async with daemon(config) as running:
                await heard.alert("first")
                await running.stop()
            async with daemon(config) as running:
                await running.logged("source.polled")
                await asyncio.sleep(1)  # five looks of the rules
                await running.stop()
    assert len(heard.alerts) == 1


async def test_once_does_the_whole_job_and_ends(tmp_path: Path, model: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url), subscriber(broker.port) as heard:
            reviews.history()
            reviews.turn()
            config = configuration(tmp_path, url=url, model=model, broker_port=broker.port)
            async with daemon(config, "--once") as running, asyncio.timeout(60):
                assert await running.process.wait() == 0
            assert (await heard.alert("first", within=1))["brand"] == "bolt"


async def test_with_a_model_of_our_format_it_does_not_hold_torch(tmp_path: Path) -> None:
    """The daemon scores, and none of torch's libraries is mapped into it."""
    own = save_small_model(tmp_path / "own")
    with mosquitto(tmp_path) as broker:
        async with site() as (reviews, url):
            reviews.history()
            config = configuration(tmp_path, url=url, model=own, broker_port=broker.port)
            async with daemon(config) as running:
                address = (await running.logged("daemon.started"))["metrics"]
                await running.logged("source.polled")
                async with httpx2.AsyncClient() as client, asyncio.timeout(30):
                    while 'listener_scored_total{outcome="ok"}' not in (await client.get(address)).text:  # noqa: ASYNC110 -- another process
                        await asyncio.sleep(0.05)
                mapped = Path(f"/proc/{running.process.pid}/maps").read_text()  # noqa: ASYNC240 -- not a file on a disk
                assert await running.stop() == 0
    assert "onnxruntime" in mapped
    assert "libtorch" not in mapped


async def test_without_its_model_it_refuses_and_says_what_to_do(tmp_path: Path) -> None:
    config = configuration(tmp_path, url="http://127.0.0.1:1", model=tmp_path / "none", broker_port=1)
    async with daemon(config) as running, asyncio.timeout(60):
        assert await running.process.wait() == 2
    assert "scoring.model" in (tmp_path / "listener-0.log").read_text()
