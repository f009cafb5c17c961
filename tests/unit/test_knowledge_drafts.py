"""Ended alerts teach drafts: joined where they were alike, without customers' words, never over a person's edits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listener.domain.memories import PastAlert
from listener.knowledge import drafts
from listener.knowledge.articles import ArticleError, parse
from listener.knowledge.drafts import Lesson, draft, edited, lessons, signed, write

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARCELS, BILLS = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def past(number: int, about: tuple[float, ...] = PARCELS, **changes: Any) -> PastAlert:
    values: dict[str, Any] = {
        "alert_id": f"{number:08}-aaaa-bbbb",
        "brand": "bolt",
        "started_at": NOW + timedelta(days=number),
        "ended_at": NOW + timedelta(days=number, hours=3),
        "resolution": None,
        "channels": (),
        "evidence": (),
        "vector": np.array(about, dtype="<f4").tobytes(),
        "cause": "The new sorting belt could not read old barcodes.",
        "resolved_by": "Mari",
    }
    return PastAlert(**{**values, **changes})


def lesson(*known: PastAlert, topics: tuple[str, ...] = ()) -> Lesson:
    return Lesson(past=known or (past(1),), topics=topics)


def test_alerts_that_were_alike_are_one_lesson() -> None:
    known = [past(3, BILLS), past(2), past(1), past(4, cause="", helped="")]
    found = lessons(known, 3, {past(2).alert_id: "delivery"})
    assert [[one.alert_id[:8] for one in group.past] for group in found] == [["00000001", "00000002"], ["00000003"]]
    assert [group.topics for group in found] == [("delivery",), ()]


def test_a_draft_is_an_article_that_names_its_alerts(tmp_path: Path) -> None:
    text = draft(
        lesson(past(1), past(2, brand="wolt", cause="Snow.", helped="Writing first."), topics=("delivery",)), "en"
    )
    article = parse(tmp_path / "case-00000001.en.md", text.encode())
    assert (article.id, article.lang, article.status) == ("case-00000001", "en", "draft")
    assert article.brands == ("bolt", "wolt")
    assert article.topics == ("delivery",)
    assert article.alerts == (past(1).alert_id, past(2).alert_id)
    assert article.title == "Snow."
    assert "- 2026-11-22: The new sorting belt" in article.body
    assert "## What helped\n\n- 2026-11-23: Writing first." in article.body


def test_nobody_is_named_in_a_draft() -> None:
    assert "Mari" not in draft(lesson(), "en")


def test_the_same_note_is_told_once_and_a_long_title_is_cut_at_a_word() -> None:
    long = "word " * 40
    text = draft(lesson(past(1, cause=long), past(2, cause=long)), "et")
    assert text.count(long.strip()) == 1
    title = next(line for line in text.splitlines() if line.startswith("title: "))
    assert title.endswith("word...")
    assert "## Mis see oli" in text


@pytest.mark.parametrize(
    "cause", ["it: is", "- a\n- b", "'quoted\" \\ #not a comment", "---\nstatus: approved\n---", "{}"]
)
def test_whatever_people_note_the_draft_stays_one_draft(tmp_path: Path, cause: str) -> None:
    article = parse(tmp_path / "case-00000001.en.md", draft(lesson(past(1, cause=cause)), "en").encode())
    assert article.status == "draft"
    assert " ".join(cause.split()) in article.body


def test_a_draft_that_nobody_touched_follows_what_is_learnt(tmp_path: Path) -> None:
    file, written = write(tmp_path, lesson(), "en")
    assert written
    assert file == tmp_path / "drafts" / "case-00000001.en.md"
    assert write(tmp_path, lesson(), "en") == (file, False)
    assert write(tmp_path, lesson(past(1), past(2, cause="Snow.")), "en") == (file, True)
    assert "Snow." in file.read_text()


@pytest.mark.parametrize("change", [lambda text: text + "x", lambda text: text.replace("made: ", "made: 0"), str.upper])
def test_an_edited_draft_is_never_written_again(tmp_path: Path, change: Any) -> None:
    file, _ = write(tmp_path, lesson(), "en")
    file.write_text(change(file.read_text()))
    kept = file.read_text()
    assert write(tmp_path, lesson(past(1), past(2, cause="Snow.")), "en") == (file, False)
    assert file.read_text() == kept


def test_the_checksum_is_its_own_proof() -> None:
    text = signed("---\ntitle: x\n---\n")
    assert not edited(text)
    assert signed(text) == text
    assert edited("---\ntitle: x\n---\n")


def test_a_person_approves_and_the_file_moves(tmp_path: Path) -> None:
    file, _ = write(tmp_path, lesson(), "en")
    file.write_text(file.read_text().replace("**Say.** ...", "**Say.** Sorry."))
    target = drafts.approve(file, tmp_path)
    assert target == tmp_path / "case-00000001.en.md"
    assert not file.exists()
    article = parse(target, target.read_bytes())
    assert article.approved
    assert "Sorry." in article.body
    assert "made:" not in target.read_text()
    assert list(tmp_path.glob("**/*.new")) == []


def test_what_does_not_say_what_to_answer_is_not_approved(tmp_path: Path) -> None:
    file, _ = write(tmp_path, lesson(), "en")
    with pytest.raises(ArticleError, match="does not yet say what to answer"):
        drafts.approve(file, tmp_path)
    assert file.exists()


def test_an_approval_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "late.en.md").write_text("---\ntitle: mine\n---\n")
    folder = tmp_path / "drafts"
    folder.mkdir()
    file = folder / "late.en.md"
    file.write_text("---\ntitle: other\n---\nbody\n")
    with pytest.raises(ArticleError, match="is there already"):
        drafts.approve(file, tmp_path)
    assert "mine" in (tmp_path / "late.en.md").read_text()


def test_a_draft_without_a_status_gets_one(tmp_path: Path) -> None:
    file = tmp_path / "late.en.md"
    file.write_text("---\r\ntitle: other\r\n---\r\nbody\r\n", newline="")
    assert drafts.approve(file, tmp_path) == file
    assert parse(file, file.read_bytes()).approved


def test_a_lesson_keeps_its_name_as_long_as_its_oldest_alert_does() -> None:
    assert lesson(past(1)).name == lesson(past(1), past(9)).name
    assert lesson(replace(past(1), alert_id="ffff0000")).name == "case-ffff0000"
