"""What alerts that have ended teach: drafts of articles for a person to complete and approve.

A draft says what people wrote down of the cause and of what helped, never what customers wrote, and nobody's name. It
carries a checksum of itself; once a person has edited it, it is never written again.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from listener.domain.memories import PastAlert
from listener.errors import Fault
from listener.knowledge.articles import DRAFTS, FENCE, FILE_BYTES, ArticleError, parse
from listener.knowledge.matching import Floats
from listener.knowledge.past import LIMIT_PAST, vectors_of

TITLE_CHARS = 80
NOTE_CHARS = 2_000
_MADE = re.compile(r"^made: .*\n", re.MULTILINE)
_STATUS = re.compile(r"^status:.*$", re.MULTILINE)

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "cause": "What it was",
        "helped": "What helped",
        "open": "**What they feel.** ...\n\n**Say.** ...\n\n**Do.** ...\n\n**Do not promise** ...",
        "examples": "examples: []  # what customers say when they mean this: as they would, but not copied from them",
    },
    "et": {
        "cause": "Mis see oli",
        "helped": "Mis aitas",
        "open": "**Mida inimene tunneb.** ...\n\n**Ütle.** ...\n\n**Tee.** ...\n\n**Ära luba** ...",
        "examples": "examples: []  # mida kliendid ütlevad, kui nad seda mõtlevad: nende moodi, aga mitte kopeeritud",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Past alerts that were about the same, oldest first, and their topics."""

    past: tuple[PastAlert, ...]
    topics: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The id of its draft: the same as long as the oldest alert is."""
        return f"case-{self.past[0].alert_id[:8]}"


def lessons(past: Iterable[PastAlert], vectors_width: int, topics: Mapping[str, str]) -> list[Lesson]:
    """Alerts that teach something, those that are alike joined, oldest first.

    An alert joins the first lesson whose oldest alert it is like; so what a lesson is does not drift.
    """
    teaching = sorted((one for one in past if one.teaches), key=lambda one: (one.ended_at, one.alert_id))
    vectors = vectors_of(teaching, vectors_width)
    groups: list[list[int]] = []
    for place in range(len(teaching)):
        home = next((group for group in groups if _alike(vectors, group[0], place)), None)
        if home is None:
            groups.append([place])
        else:
            home.append(place)
    return [
        Lesson(
            past=tuple(teaching[place] for place in group),
            topics=tuple(
                sorted({topics[teaching[place].alert_id] for place in group if teaching[place].alert_id in topics})
            ),
        )
        for group in groups
    ]


def _alike(vectors: Floats, first: int, second: int) -> bool:
    return float(vectors[first] @ vectors[second]) >= LIMIT_PAST


def draft(lesson: Lesson, lang: str) -> str:
    """The file that a lesson becomes, in its notes' language; with English headings where we have no other."""
    texts = TEXTS.get(lang, TEXTS["en"])
    front = {
        "title": _title(lesson),
        "id": lesson.name,
        "lang": lang,
        "status": "draft",
        "brands": sorted({one.brand for one in lesson.past}),
        "topics": list(lesson.topics),
        "alerts": [one.alert_id for one in lesson.past],
    }
    block = yaml.safe_dump(front, allow_unicode=True, sort_keys=False, width=1000)
    parts = [
        f"{FENCE}\n{block}{texts['examples']}\n{FENCE}",
        *_notes(texts["cause"], lesson, [one.cause for one in lesson.past]),
        *_notes(texts["helped"], lesson, [one.helped for one in lesson.past]),
        texts["open"],
    ]
    return signed("\n\n".join(parts) + "\n")


def _title(lesson: Lesson) -> str:
    told = next((one.cause or one.helped for one in reversed(lesson.past)), "")
    first = " ".join(re.split(r"(?<=[.!?])\s|\n", told.strip(), maxsplit=1)[0].split())
    return first if len(first) <= TITLE_CHARS else first[: TITLE_CHARS - 3].rsplit(" ", 1)[0] + "..."


def _notes(heading: str, lesson: Lesson, notes: Sequence[str]) -> list[str]:
    """One line for each note that says something new, with the day of its alert."""
    seen: dict[str, date] = {}
    for one, note in zip(lesson.past, notes, strict=True):
        if text := " ".join(note.split())[:NOTE_CHARS]:
            seen.setdefault(text, one.ended_at.date())
    if not seen:
        return []
    return [f"## {heading}\n\n" + "\n".join(f"- {day:%Y-%m-%d}: {text}" for text, day in seen.items())]


def signed(text: str) -> str:
    """``text`` with a checksum of itself in its front matter."""
    bare = _MADE.sub("", text)
    head, rest = bare.split("\n", 1)
    return f"{head}\nmade: {_checksum(bare)}\n{rest}"


def edited(text: str) -> bool:
    """Whether a person has changed what ``signed`` made, or made it."""
    return signed(text) != text


def _checksum(bare: str) -> str:
    return hashlib.sha256(bare.encode()).hexdigest()[:16]


def write(folder: Path, lesson: Lesson, lang: str) -> tuple[Path, bool]:
    """Write the draft; the file, and whether it was written: not over one that a person has edited, nor the same again.

    Raises OSError.
    """
    file = folder / DRAFTS / f"{lesson.name}.{lang}.md"
    text = draft(lesson, lang)
    if file.exists():
        kept = file.read_text(encoding="utf-8")
        if edited(kept) or kept == text:
            return file, False
    file.parent.mkdir(exist_ok=True)
    _replace(file, text)
    return file, True


def approve(file: Path, folder: Path) -> Path:
    """Mark the draft ``file`` as approved and move it into ``folder``; where it lies then.

    Raises ArticleError when it is no article or its place is taken, OSError when it cannot be moved.
    """
    data = file.read_bytes()
    article = parse(file, data)
    target = folder / file.name
    if target.exists() and not target.samefile(file):
        problem, fix = f"{target} is there already", "merge the two by hand, or give the draft another name"
        raise ArticleError([Fault(path=f"{file}:1", problem=problem, fix=fix)])
    text = _MADE.sub("", data.decode("utf-8-sig").replace("\r\n", "\n"), count=1)
    front, body = _split(text)
    status = "status: approved"
    front = _STATUS.sub(status, front, count=1) if _STATUS.search(front) else f"{front}{status}\n"
    approved = f"{FENCE}\n{front}{FENCE}\n{body}"
    if any(open_ in article.body for open_ in ("**Say.** ...", "**Ütle.** ...")):
        problem, fix = "does not yet say what to answer", "replace the three dots, then approve it"
        raise ArticleError([Fault(path=f"{file}:{_line_of(text, '** ...')}", problem=problem, fix=fix)])
    _replace(target, approved)
    if target != file:
        file.unlink(missing_ok=True)
    return target


def _split(text: str) -> tuple[str, str]:
    """The front matter's lines and what follows; the file is known to have both."""
    lines = text.splitlines(keepends=True)
    end = next(place for place, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE)
    return "".join(lines[1:end]), "".join(lines[end + 1 :])


def _line_of(text: str, part: str) -> int:
    return text[: text.find(part)].count("\n") + 1


def _replace(file: Path, text: str) -> None:
    """Write it whole or not at all: the daemon reads the folder meanwhile."""
    data = text.encode()
    if len(data) > FILE_BYTES:
        data = data[:FILE_BYTES].rsplit(b"\n", 1)[0] + b"\n"
    fresh = file.with_name(file.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(file)
