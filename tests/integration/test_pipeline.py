"""The units of work on real databases, with a source, a model and a receiver that do what the test says."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from listener import tables
from listener.domain import (
    Assessment,
    Checkpoint,
    Verdict,
)
from listener.errors import (
    AccessDenied,
    DeliveryError,
    FetchError,
    Gone,
    ParseError,
    RateLimited,
    SourceError,
)
from listener.pipeline import deliver, poll, score
from listener.protocols import Languages
from listener.sentiment.scorer import on_thread
from listener.store import Database, sources
from tests.mentions import NOW, assessment
from tests.running import Words, bench, result, turned


async def test_what_matches_no_brand_is_counted_and_not_kept(database: Database) -> None:
    async with bench(database) as at:
        at.script(result("Bolt was awful", "Boltzmann was a physicist", "somebody else"))
        report = await poll(at.parts, "forum")
    assert report.verdicts == {Verdict.NEW: 1}
    assert report.unmatched == 2


async def test_a_later_page_that_fails_keeps_what_was_read_but_not_the_checkpoint(database: Database) -> None:
    async with bench(database) as at:
        at.script(result("Bolt one", failure=FetchError("page 2 timed out")), result("Bolt one", "Bolt two"))
        assert await at.polled() == "failed"
        assert await at.polled(timedelta(hours=1)) == "ok"
        assert at.source._seen == [Checkpoint(), Checkpoint()]
        assert (await sources.states(database))["forum"].checkpoint.since_at == NOW


async def test_rate_limits_are_obeyed_and_are_no_failure(database: Database) -> None:
    async with bench(database) as at:
        at.script(RateLimited("slow down", retry_after_secs=90), result())
        assert await at.polled() == "rate_limited"
        assert await at.polled(timedelta(seconds=89)) == "paused"
        assert await at.polled(timedelta(seconds=2)) == "ok"
        assert (await sources.states(database))["forum"].failures == 0


async def test_failures_back_off_and_one_success_forgets_them(database: Database) -> None:
    async with bench(database) as at:
        at.script(*(FetchError("down") for _ in range(3)), result())
        assert await at.polled() == "failed"
        assert await at.polled(timedelta(seconds=1)) == "paused"
        assert await at.polled(timedelta(hours=1)) == "failed"
        assert await at.polled(timedelta(hours=1)) == "failed"
        failing = (await sources.states(database))["forum"]
        assert (failing.failures, failing.failing_since_at, failing.error) == (3, NOW, "down")
        assert await at.polled(timedelta(hours=1)) == "ok"
        healthy = (await sources.states(database))["forum"]
        assert (healthy.failures, healthy.failing_since_at, healthy.error) == (0, None, None)


@pytest.mark.parametrize(
    ("error", "outcome"), [(AccessDenied("403"), "denied"), (FetchError("dns"), "failed"), (Gone("410"), "gone")]
)
async def test_each_failure_has_its_outcome(database: Database, error: SourceError, outcome: str) -> None:
    async with bench(database) as at:
        at.script(error)
        assert await at.polled() == outcome


async def test_a_source_that_is_gone_is_not_asked_again(database: Database) -> None:
    async with bench(database) as at:
        at.script(Gone("410"))
        assert await at.polled() == "gone"
        assert await at.polled(timedelta(days=30)) == "gone"
        assert len(at.source._seen) == 1


async def test_the_page_of_a_changed_site_is_kept_until_it_can_be_read_again(database: Database) -> None:
    async with bench(database) as at:
        at.script(ParseError("the site has changed", page=b"<html>new</html>"), result())
        assert await at.polled() == "unreadable"
        assert (await sources.states(database))["forum"].page == b"<html>new</html>"
        assert await at.polled(timedelta(hours=1)) == "ok"
        assert (await sources.states(database))["forum"].page is None


async def test_a_site_that_asks_for_patience_gets_it(database: Database) -> None:
    async with bench(database) as at:
        at.script(result(pause_secs=3600.0), result())
        assert await at.polled() == "ok"
        assert await at.polled(timedelta(minutes=30)) == "paused"
        assert await at.polled(timedelta(minutes=30)) == "ok"


async def test_one_bad_text_costs_itself_only(database: Database) -> None:
    async with bench(database) as at:
        at.script(result("Bolt was awful", "Bolt poison", "Bolt was nice"))
        await at.polled()
        await at.work()
        async with database.reading() as connection:
            scored = (await connection.execute(select(tables.assessment.c.mention_row))).all()
            dead = (await connection.execute(select(tables.scoring.c.error))).scalars().all()
    assert len(scored) == 2
    assert dead == ["poison"]


async def test_an_absent_receiver_costs_no_attempt(database: Database) -> None:
    async with bench(database) as at:
        at.inbox.connected = False
        await turned(at)
        await at.look()
        assert await deliver(at.parts, "inbox") == 0
        at.inbox.connected = True
        assert await deliver(at.parts, "inbox") == 1
    assert at.inbox.taken[0].attempt == 0


@pytest.mark.parametrize(("retryable", "later"), [(True, 1), (False, 0)])
async def test_a_refusal_is_tried_again_only_where_that_helps(database: Database, retryable: bool, later: int) -> None:
    async with bench(database) as at:
        await turned(at)
        await at.look()
        at.inbox.refusals.append(DeliveryError("refused", retryable=retryable))
        assert await deliver(at.parts, "inbox") == 0
        at.clock[0] += timedelta(minutes=2)
        assert await deliver(at.parts, "inbox") == later


async def test_the_model_is_told_the_language_of_a_mention(database: Database) -> None:
    model = Words()
    async with bench(database) as at, on_thread(lambda: model) as scorer:
        at.script(result("Bolt one", "Bolt two"))
        await at.polled()
        assert await score(replace(at.parts, scorer=scorer)) == 2
    assert model.told == ["en", "en"]


async def test_a_scorer_that_is_stopped_gives_back_what_it_took(database: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    class Slow:
        def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
            started.set()
            go_on.wait(10)
            return [assessment(0.1) for _ in texts]

    async with bench(database) as at, on_thread(Slow) as slow:
        at.script(result("Bolt one"))
        await at.polled()
        task = asyncio.create_task(score(replace(at.parts, scorer=slow)))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await score(at.parts) == 1
