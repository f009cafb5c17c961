"""Articles are read from Markdown; what is wrong with one is told with file, line and fix, and costs that one only."""

import os
from pathlib import Path

import pytest

from listener.errors import ConfigError
from listener.knowledge import library as library_of
from listener.knowledge.articles import FILE_BYTES, ArticleError, parse
from listener.knowledge.library import Shelf, check_folder

GOOD = """---
title: A parcel is late
status: approved
topics: [delivery]
examples:
  - Where is my parcel
---
Say **sorry**.

Look for it.
"""


def save(folder: Path, name: str = "late.en.md", text: str = GOOD) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def touched(file: Path, text: str) -> None:
    """Write it anew, later than before as clocks count."""
    before = file.stat().st_mtime_ns
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_an_article_is_its_front_matter_and_its_text(tmp_path: Path) -> None:
    file = save(tmp_path)
    article = parse(file, file.read_bytes())
    assert (article.id, article.lang, article.title) == ("late", "en", "A parcel is late")
    assert article.approved
    assert article.topics == ("delivery",)
    assert article.body == "Say **sorry**.\n\nLook for it."
    assert article.chunks() == ("A parcel is late", "Where is my parcel")


def test_without_a_status_it_is_a_draft(tmp_path: Path) -> None:
    article = parse(tmp_path / "late.en.md", GOOD.replace("status: approved\n", "").encode())
    assert not article.approved


def test_versions_in_two_languages_share_the_id(tmp_path: Path) -> None:
    save(tmp_path)
    save(tmp_path, "late.et.md", GOOD.replace("A parcel is late", "Pakk hilineb"))
    save(tmp_path, "other-name.md", GOOD.replace("status:", "id: late\nlang: ru\nstatus:"))
    library = Shelf(tmp_path).library()
    assert not library.faults
    assert [(one.id, one.lang) for one in library.articles] == [("late", "en"), ("late", "et"), ("late", "ru")]


def test_files_saved_by_windows_are_read(tmp_path: Path) -> None:
    article = parse(tmp_path / "late.en.md", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert article.title == "A parcel is late"


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("a.en.md", "# Only a heading\n", 1, "has no front matter"),
        ("a.en.md", "", 1, "has no front matter"),
        ("a.en.md", "---\ntitle: x\ntopics: delivery\n---\n", 3, "topics should be a list"),
        ("a.en.md", "---\ntitle: x\nlang: english\n---\n", 3, "lang should be a language by its two letters"),
        ("a.en.md", "---\ntitle: x\nid: Late Parcel\n---\n", 3, "id should be a name of lower-case letters"),
        ("a.en.md", "---\ntitle: 7\n---\n", 2, "title should be a text"),
        ("a.en.md", "---\ntitle: x\n", 1, "does not end"),
        ("a.en.md", "---\ntitle: x\nlang: [\n---\n", 3, "no YAML"),
        ("a.en.md", "---\ntitle: it: breaks\n---\n", 2, "no YAML"),
        ("a.en.md", "---\n- title\n---\n", 2, "names nothing"),
        ("a.en.md", "---\n---\n", 2, "names nothing"),
        ("a.en.md", "---\nlang: en\n---\n", 2, "title is missing"),
        ("a.en.md", "---\ntitle: x\nstatus: done\n---\n", 3, "status"),
        ("a.en.md", "---\ntitle: x\ntags: [a]\n---\n", 3, "tags means nothing here"),
        ("a.en.md", "---\ntitle: x\nexamples:\n  - good\n  - 12\n---\n", 5, "examples.1"),
        ("a.en.md", "---\ntitle: x\ntopics: delivery\n---\n", 3, "topics"),
        ("a.en.md", "---\ntitle: x\nlang: et\n---\n", 2, "file's name says en"),
        ("a.md", "---\ntitle: x\n---\n", 2, "language is not told"),
        ("Öö.en.md", "---\ntitle: x\n---\n", 2, "is no id"),
        ("a.en.md", "---\ntitle: 2026-99-99\n---\n", 2, "month"),
    ],
)
def test_a_fault_names_file_line_and_fix(tmp_path: Path, name: str, text: str, line: int, said: str) -> None:
    file = tmp_path / name
    with pytest.raises(ArticleError) as caught:
        parse(file, text.encode())
    (fault,) = caught.value.faults
    assert fault.path == f"{file}:{line}"
    assert said in fault.problem
    assert fault.fix


def test_what_is_no_utf8_or_too_large_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ArticleError, match=r"late\.en\.md:2: is not UTF-8"):
        parse(tmp_path / "late.en.md", "---\ntitle: õ".encode("latin-1"))
    with pytest.raises(ArticleError, match="split it"):
        parse(tmp_path / "late.en.md", GOOD.encode() + b"x" * FILE_BYTES)


def test_one_bad_file_costs_itself_only(tmp_path: Path) -> None:
    save(tmp_path)
    bad = save(tmp_path, "bad.en.md", "no front matter")
    library = Shelf(tmp_path).library()
    assert [one.id for one in library.articles] == ["late"]
    assert [fault.path for fault in library.faults] == [f"{bad}:1"]


def test_a_second_file_of_one_article_and_language_is_a_fault(tmp_path: Path) -> None:
    save(tmp_path)
    save(tmp_path, "zz.en.md", GOOD.replace("status:", "id: late\nstatus:"))
    library = Shelf(tmp_path).library()
    assert len(library.articles) == 1
    assert "again, after late.en.md" in library.faults[0].problem


def test_drafts_are_read_but_never_approved_by_their_own_word(tmp_path: Path) -> None:
    save(tmp_path, "drafts/case-1.en.md", GOOD.replace("approved", "draft"))
    save(tmp_path, "drafts/case-2.en.md")
    library = Shelf(tmp_path).library()
    assert [one.status for one in library.articles] == ["draft"]
    assert library.approved == ()
    assert "listener knowledge approve" in library.faults[0].fix


def test_a_change_is_seen_without_a_restart(tmp_path: Path) -> None:
    file = save(tmp_path)
    shelf = Shelf(tmp_path)
    first = shelf.library()
    assert shelf.library() is first
    touched(file, GOOD.replace("A parcel is late", "A parcel is lost"))
    assert shelf.library().articles[0].title == "A parcel is lost"
    touched(file, "broken")
    assert shelf.library().faults
    touched(file, GOOD)
    assert not shelf.library().faults
    save(tmp_path, "new.en.md")
    assert len(shelf.library().articles) == 2
    file.unlink()
    assert [one.id for one in shelf.library().articles] == ["new"]


def test_a_missing_folder_is_a_fault_until_it_is_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "later")
    assert shelf.library().faults[0].path == "knowledge.folder"
    save(tmp_path / "later")
    assert len(shelf.library().articles) == 1
    assert not shelf.library().faults


def test_a_readme_and_other_files_are_no_articles(tmp_path: Path) -> None:
    save(tmp_path, "README.md", "how we write articles")
    save(tmp_path, "notes.txt", "anything")
    assert Shelf(tmp_path).library().articles == ()
    assert Shelf(tmp_path).library().faults == ()


def test_a_folder_holds_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_of, "FILES_MAX", 3)
    for number in range(4):
        save(tmp_path, f"a{number}.en.md")
    library = Shelf(tmp_path).library()
    assert [one.id for one in library.articles] == ["a0", "a1", "a2"]
    assert "more than" in library.faults[0].problem


def test_checking_raises_every_fault_of_every_file(tmp_path: Path) -> None:
    save(tmp_path, "a.en.md", "broken")
    save(tmp_path, "b.en.md", "---\nlang: en\n---\n")
    save(tmp_path, "c.en.md", GOOD.replace("status:", "brands: [nobody]\nstatus:"))
    with pytest.raises(ConfigError) as caught:
        check_folder(tmp_path, ["kiirkott"])
    assert [Path(fault.path).name for fault in caught.value.faults] == ["a.en.md:1", "b.en.md:2", "c.en.md:2"]
    assert check_folder(None).articles == ()


def test_the_articles_that_come_with_listener_are_good() -> None:
    folder = Path(__file__).parents[2] / "config" / "knowledge"
    library = check_folder(folder)
    by_id: dict[str, set[str]] = {}
    for article in library.articles:
        by_id.setdefault(article.id, set()).add(article.lang)
        assert article.approved
        assert article.examples
        assert len(article.body.splitlines()) >= 7
    assert len(by_id) >= 6
    assert all(languages == {"en", "et"} for languages in by_id.values())


def test_without_examples_the_paragraphs_are_what_it_is_found_by(tmp_path: Path) -> None:
    article = parse(tmp_path / "a.en.md", b"---\ntitle: x\n---\nSay sorry.\n\n\nLook for it.\n")
    assert article.chunks() == ("x", "Say sorry.", "Look for it.")
