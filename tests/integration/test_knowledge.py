"""What goes with an alert, on real databases: articles, past alerts, memory; and what ended alerts teach."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from listener import tables
from listener.config.oncall import KnowledgeOptions
from listener.domain import Alert, AlertState, Resolution
from listener.errors import ConfigError, Fault, ScoringError
from listener.knowledge.matching import Floats
from listener.pipeline.advise import Advice, Adviser
from listener.pipeline.learn import learn
from listener.sentiment.meaning import Meanings
from listener.store import Database, alerts, memories, mentions
from listener.store.database import insert_into
from listener.store.sources import SourceState
from tests import alerting
from tests.mentions import NOW, mention

WORDS = ("parcel", "late", "bill", "wrong", "rude", "app", "weather")
ARTICLE = """---
title: A parcel is late
status: approved
topics: [delivery]
examples: [my parcel is late]
---
Say sorry.
"""


class Bag:
    """An encoder that knows ``WORDS`` only: texts with the same words are the same; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Exception | None = None

    async def embed(self, texts: Sequence[str]) -> Meanings:
        self.asked += texts
        if self.failure is not None:
            raise self.failure
        return Meanings(model="bag@1", vectors=tuple(map(self._vector, texts)))

    @staticmethod
    def _vector(text: str) -> Floats | None:
        if "what an alert is about" in text:  # by it learning asks for the width
            return np.ones(len(WORDS), dtype=np.float32)
        found: Floats = np.array([float(word in text.lower()) for word in WORDS], dtype=np.float32)
        if not found.any():
            return None
        found /= np.linalg.norm(found)
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "knowledge"
    made.mkdir()
    (made / "late.en.md").write_text(ARTICLE)
    return made


async def say(database: Database, *texts: str) -> list[str]:
    """Store mentions; their ids."""
    kept = [replace(mention(f"{abs(hash(text))}", text), topics={"bolt": "delivery"}) for text in texts]
    await mentions.save_poll(database, kept, SourceState(name="forum", fingerprint="f"), now=NOW)
    return [one.id for one in kept]


async def advise(database: Database, adviser: Adviser, shown: Sequence[str], *, alert_id: str = "alert-1") -> Advice:
    return await adviser.advise(database, shown, alert_id=alert_id, brand="bolt", now=NOW)


async def remember(database: Database, advice: Advice, number: int, *, brand: str = "bolt", **response: str) -> Alert:
    """An alert about the same as ``advice`` that ended ``number`` days ago."""
    at = NOW - timedelta(days=number)
    ended = {"state": AlertState.RESOLVED, "ended_at": at, "resolution": Resolution.RECOVERED}
    alert = alerting.alert(brand=brand, started_at=at - timedelta(hours=2), updated_at=at, **ended)
    assert advice.memory is not None
    async with database.writing() as connection:
        await alerts.write(connection, database.dialect, alert)
        await memories.write(connection, database.dialect, replace(advice.memory, alert_id=alert.id))
        values = {"alert_id": alert.id, "brand": brand, "told_seq": 0, "step": 0, "repeats": 0, "escalated": False}
        statement = insert_into(database.dialect, tables.response)
        await connection.execute(statement.values(**values, closed=True, **response))
    return alert


def adviser(folder: Path | None, encoder: Bag, **options: object) -> Adviser:
    return Adviser(KnowledgeOptions.model_validate({"folder": folder, **options}), encoder)


async def test_an_alert_brings_along_the_article_that_answers_it(database: Database, folder: Path) -> None:
    shown = await say(database, "the parcel is late", "late parcel again", "lovely weather")
    advice = await advise(database, adviser(folder, Bag(), url="https://wiki.example/{id}"), shown[:2])
    (article,) = advice.articles
    assert (article.id, article.title, article.language) == ("late", "A parcel is late", "en")
    assert article.url == "https://wiki.example/late"
    assert "2 of 2 mentions speak of" in article.reason
    assert "topic delivery" in article.reason
    assert article.similarity > 0.5
    assert (await advise(database, adviser(folder, Bag()), shown[2:])).articles == ()


async def test_articles_are_read_by_the_encoder_once(database: Database, folder: Path) -> None:
    encoder = Bag()
    asked = adviser(folder, encoder)
    await asked.warm()
    assert encoder.asked == ["A parcel is late", "my parcel is late"]
    shown = await say(database, "the parcel is late")
    encoder.asked.clear()
    await advise(database, asked, shown)
    assert encoder.asked == ["the parcel is late"]
    (folder / "new.en.md").write_text(ARTICLE.replace("my parcel is late", "parcel late parcel"))
    encoder.asked.clear()
    assert len((await advise(database, asked, shown)).articles) == 2
    assert encoder.asked == ["the parcel is late", "parcel late parcel"]


async def test_past_alerts_like_it_come_with_how_they_ended(database: Database, folder: Path) -> None:
    asked = adviser(folder, Bag())
    late = await advise(database, asked, await say(database, "the parcel is late"))
    bill = await advise(database, asked, await say(database, "the bill is wrong"))
    await remember(database, bill, 1, helped="a letter")
    known = await remember(database, late, 2, cause="a strike", helped="a call", resolved_by="mari")
    await remember(database, late, 3, brand="wolt")
    advice = await advise(database, asked, await say(database, "my parcel: late"))
    first, second = advice.past
    assert (first.alert_id, first.cause, first.helped, first.resolved_by) == (known.id, "a strike", "a call", "mari")
    assert (second.brand, second.helped) == ("wolt", "")
    assert first.resolution is Resolution.RECOVERED


async def test_an_alert_is_not_its_own_past(database: Database) -> None:
    asked = adviser(None, Bag())
    shown = await say(database, "the parcel is late")
    known = await remember(database, await advise(database, asked, shown), 1)
    assert (await advise(database, asked, shown, alert_id=known.id)).past == ()


async def test_what_an_alert_is_about_is_given_back_to_be_kept(database: Database) -> None:
    memory = (await advise(database, adviser(None, Bag()), await say(database, "parcel", "late"))).memory
    assert memory is not None
    assert (memory.alert_id, memory.model, memory.at) == ("alert-1", "bag@1", NOW)
    vector = np.frombuffer(memory.vector, dtype="<f4")
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert vector[0] == pytest.approx(vector[1])


async def test_a_mention_that_cannot_be_read_costs_itself_only(database: Database, folder: Path) -> None:
    shown = await say(database, "12345", "the parcel is late")
    advice = await advise(database, adviser(folder, Bag()), ["gone", *shown])
    assert "the mention speaks of" in advice.articles[0].reason
    assert (await advise(database, adviser(folder, Bag()), shown[:1])) == Advice()


@pytest.mark.parametrize(
    "failure", [ScoringError("the model failed"), ConfigError([Fault(path="knowledge", problem="gone", fix="install")])]
)
async def test_a_failing_encoder_fails_no_alert_and_is_told_once(
    database: Database, folder: Path, failure: Exception
) -> None:
    encoder = Bag()
    encoder.failure = failure
    asked = adviser(folder, encoder)
    shown = await say(database, "the parcel is late")
    with capture_logs() as logs:
        await asked.warm()
        assert await advise(database, asked, shown) == Advice()
        assert await advise(database, asked, shown) == Advice()
    assert [line["event"] for line in logs] == ["advice.failed"]
    encoder.failure = None
    assert (await advise(database, asked, shown)).articles


async def test_a_broken_article_and_a_missing_folder_fail_no_alert(database: Database, folder: Path) -> None:
    (folder / "bad.en.md").write_text("broken")
    shown = await say(database, "the parcel is late")
    asked, lost = adviser(folder, Bag()), adviser(folder / "gone", Bag())
    with capture_logs() as logs:
        for _ in range(2):
            assert len((await advise(database, asked, shown)).articles) == 1
            missing = await advise(database, lost, shown)
            assert missing.articles == ()
            assert missing.memory is not None
    assert [line["event"] for line in logs] == ["article.refused", "article.refused"]
    assert str(logs[0]["file"]).endswith("bad.en.md:1")


async def test_where_nothing_is_wanted_nothing_is_read(database: Database) -> None:
    encoder = Bag()
    asked = adviser(None, encoder, past_max=0)
    await asked.warm()
    assert await advise(database, asked, await say(database, "the parcel is late")) == Advice()
    assert await advise(database, adviser(None, encoder), []) == Advice()
    assert encoder.asked == []


async def test_no_words_of_customers_are_logged(database: Database, folder: Path) -> None:
    encoder = Bag()
    encoder.failure = ScoringError("the model failed")
    with capture_logs() as logs:
        await advise(database, adviser(folder, encoder), await say(database, "the parcel is late, says Mari"))
    assert "Mari" not in str(logs)
    structlog.reset_defaults()


async def learnt(database: Database, folder: Path) -> list[tuple[str, bool, str]]:
    asked = adviser(folder, Bag())
    found, _ = await learn(database, asked, folder, since=None, identify=lambda _: "en")
    return [(one.file.name if one.file else "", one.written, one.why) for one in found]


async def test_what_helped_becomes_one_draft_and_an_approved_article_is_not_taught_again(
    database: Database, folder: Path
) -> None:
    asked = adviser(folder, Bag())
    app = await advise(database, asked, await say(database, "the app is wrong, says customer Jaan"))
    late = await advise(database, asked, await say(database, "the parcel is late"))
    first = await remember(database, app, 4, cause="A certificate had run out.", helped="Renewing it.")
    second = await remember(database, app, 2, cause="Again the certificate.")
    await remember(database, late, 3, cause="Snow.")
    await remember(database, app, 1)
    name = f"case-{first.id[:8]}.en.md"
    covered, made = sorted(await learnt(database, folder), key=lambda one: one[1])
    assert covered == ("late.en.md", False, "the article 'late' covers it")
    assert made == (name, True, "")
    file = folder / "drafts" / name
    text = file.read_text()
    assert first.id in text
    assert second.id in text
    assert "Jaan" not in text
    assert (name, False, "it is as it was") in await learnt(database, folder)
    file.write_text(re.sub(r"^title: .*$", "title: Certificates", text, flags=re.MULTILINE))
    assert name not in [one[0] for one in await learnt(database, folder)]
    assert "title: Certificates" in file.read_text()


async def test_notes_that_no_memory_goes_with_are_counted(database: Database, folder: Path) -> None:
    late = await advise(database, adviser(folder, Bag()), await say(database, "the app is wrong"))
    assert late.memory is not None
    other = replace(late, memory=replace(late.memory, model="older@1"))
    await remember(database, other, 1, cause="A certificate.")
    found, forgotten = await learn(database, adviser(folder, Bag()), folder, since=None, identify=lambda _: None)
    assert (found, forgotten) == ([], 1)
