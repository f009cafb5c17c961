"""Articles: Markdown files with front matter, read so that a bad one costs itself only.

A file begins with a block of YAML between two lines ``---``; what follows is the text for people. The versions of one
article in several languages share its ``id``: ``late-parcel.en.md``, ``late-parcel.et.md``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from listener.config.wording import wanted
from listener.errors import Fault

FILE_BYTES = 64_000
FILES_MAX = 2_000
EXAMPLES_MAX = 30
PARAGRAPHS_MAX = 10
DRAFTS = "drafts"  # the folder in the folder: what is in it is never shown with alerts
NO_ARTICLES = ("README.md",)

FENCE = "---"
_NAME = re.compile(r"(?P<id>.+?)(?:\.(?P<lang>[a-z]{2}))?\.md")
_SENTENCE = 300

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_SENTENCE)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")]
Status = Literal["approved", "draft"]


class FrontMatter(BaseModel):
    """What stands between the two lines ``---``. ``alerts`` are the past alerts that a draft was learnt from."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    title: Line
    id: Name | None = None
    lang: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = None
    status: Status = "draft"
    brands: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    topics: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    examples: Annotated[tuple[Line, ...], Field(max_length=EXAMPLES_MAX)] = ()
    alerts: Annotated[tuple[Line, ...], Field(max_length=1000)] = ()
    made: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One version of one article. ``brands`` empty means all; ``body`` is Markdown; ``file`` is where it was read."""

    id: str
    lang: str
    title: str
    status: Status
    file: Path
    brands: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    body: str = ""

    @property
    def approved(self) -> bool:
        """Whether a person said that it may be shown."""
        return self.status == "approved"

    def chunks(self) -> tuple[str, ...]:
        """What mentions are compared with: the title and the examples; without examples the body's paragraphs.

        Beside examples the paragraphs, which speak to staff and not as customers do, change little
        (``python -m benchmarks.knowledge --paragraphs``) and take the encoder twice as long.
        """
        paragraphs = tuple(filter(None, re.split(r"\n\s*\n", self.body)))[:PARAGRAPHS_MAX]
        return (self.title, *(self.examples or paragraphs))


class ArticleError(Exception):
    """A file is no article. ``faults`` name file, line and fix."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def parse(file: Path, data: bytes) -> Article:
    """The article in ``data``; ``file`` gives its name. Raises ArticleError."""
    if len(data) > FILE_BYTES:
        raise _error(file, 1, f"is {len(data)} bytes, more than {FILE_BYTES}", "split it into several articles")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _error(file, line, "is not UTF-8", "save it as UTF-8") from None
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != FENCE:
        raise _error(file, 1, "has no front matter", f"begin it with a line {FENCE}, then title: ..., then {FENCE}")
    end = next((place for place, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if end is None:
        raise _error(file, 1, "the front matter does not end", f"put a line {FENCE} below it")
    front = _front(file, "\n".join(lines[1:end]))
    return _article(file, front, "\n".join(lines[end + 1 :]).strip())


def _front(file: Path, block: str) -> FrontMatter:
    try:
        node = yaml.compose(block, Loader=yaml.SafeLoader)
        values = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        fix = "put a text with a colon or a quotation mark between quotes"
        raise _error(file, 2 + (mark.line if mark else 0), f"no YAML: {' '.join(problem.split())[:200]}", fix) from None
    if not isinstance(values, dict):
        raise _error(file, 2, "the front matter names nothing", "write `title: What it answers`")
    places = _places(node)
    try:
        return FrontMatter.model_validate(values)
    except ValidationError as error:
        raise ArticleError([_fault(file, places, one) for one in error.errors()]) from None


def _places(node: yaml.Node | None) -> dict[str, int]:
    """The line in the file of each key; those of a list's items as ``key.0``."""
    found: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        found[str(key.value)] = key.start_mark.line + 2
        if isinstance(value, yaml.SequenceNode):
            found |= {f"{key.value}.{place}": one.start_mark.line + 2 for place, one in enumerate(value.value)}
    return found


def _fault(file: Path, places: Mapping[str, int], error: Any) -> Fault:
    name = ".".join(map(str, error["loc"][:2]))
    line = places.get(name) or places.get(str(error["loc"][0]), 2)
    if error["type"] == "extra_forbidden":
        known = ", ".join(FrontMatter.model_fields)
        return _at(file, line, f"{name} means nothing here", f"remove it, or take one of {known}")
    if error["type"] == "missing":
        return _at(file, line, f"{name} is missing", f"add `{name}: ...` between the lines {FENCE}")
    fix = "put it between quotes" if error["type"] == "string_type" else "correct it, see docs/knowledge.md"
    return _at(file, line, f"{name} {wanted(error)}", fix)


def _article(file: Path, front: FrontMatter, body: str) -> Article:
    match = _NAME.fullmatch(file.name)
    named = match["lang"] if match else None
    if front.lang and named and front.lang != named:
        raise _error(file, 2, f"lang is {front.lang}, but the file's name says {named}", "make them the same")
    lang = front.lang or named
    if lang is None:
        raise _error(file, 2, "its language is not told", "add `lang: en`, or call the file NAME.en.md")
    name = front.id or (match["id"].lower() if match else "")
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", name) is None:
        fix = "add `id: late-parcel`, or name the file with letters a-z, digits, - and _ only"
        raise _error(file, 2, f"{name!r} is no id", fix)
    if file.parent.name == DRAFTS and front.status == "approved":
        raise _error(file, 2, f"lies in {DRAFTS}/ but says approved", "run `listener knowledge approve` on it")
    return Article(
        id=name,
        lang=lang,
        title=front.title,
        status=front.status,
        file=file,
        brands=front.brands,
        topics=front.topics,
        examples=front.examples,
        alerts=front.alerts,
        body=body,
    )


def files_of(folder: Path) -> Iterator[Path]:
    """The files that may be articles, in order; those of ``drafts`` last. Raises OSError when it cannot be read."""
    for place in (folder, folder / DRAFTS):
        if place == folder or place.is_dir():
            yield from sorted(
                one for one in place.iterdir() if one.suffix == ".md" and one.name not in NO_ARTICLES and one.is_file()
            )


def _at(file: Path, line: int, problem: str, fix: str) -> Fault:
    return Fault(path=f"{file}:{line}", problem=problem, fix=fix)


def _error(file: Path, line: int, problem: str, fix: str) -> ArticleError:
    return ArticleError([_at(file, line, problem, fix)])
