"""``listener score``: what the model says of texts, one object a line in, one a line out."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from listener.app import load_settings
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    LabelOption,
    app,
    err,
    meanings,
    out,
    print_json,
    print_table,
)
from listener.config.models import ScoringOptions
from listener.domain import Assessment
from listener.errors import ScoringError
from listener.protocols import Scorer
from listener.sentiment.explain import Contribution, explain
from listener.sentiment.language import identify
from listener.sentiment.output import DIGITS, assessment_json
from listener.sentiment.scorer import load_scorer, score_safely

MARKED = 0.3  # of the largest contribution: from here on a word is marked
TOP = 5  # words named below a marked text
CHUNK = 512  # texts read ahead: enough to sort by length, little enough to stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of input: its fields, or why it could not be read."""

    number: int
    fields: dict[str, Any]
    problem: str | None = None


def parse(number: int, line: str) -> Line:
    """A JSON object with a ``text``, or a plain line, which is the text itself."""
    if not line.lstrip().startswith("{"):
        return Line(number=number, fields={"text": line})
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Line(number=number, fields={"line": line}, problem=f"line {number} is not JSON: {error}")
    if not isinstance(fields.get("text"), str):
        return Line(number=number, fields=fields, problem=f"line {number} has no `text` that is a string")
    return Line(number=number, fields=fields)


@app.command()
def score(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to score; without any, lines of --input.")
    ] = None,
    input_: Annotated[
        str, typer.Option("--input", "-i", help="JSON lines with a `text` field, or plain lines; - is standard input.")
    ] = "-",
    model: Annotated[Path | None, typer.Option(help="A model directory, instead of the configuration's.")] = None,
    label: LabelOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    explained: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="OUTPUT",
            help="Say which words made it so: risk, sentiment, wish, emotions/anger, … One more reading for each word.",
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Score texts with the model. Other fields pass through; every line in is a line out, unless it is blank."""
    options = _options(model, meanings(label, [model]), config)
    scorer = load_scorer(
        options.model,
        labels=options.labels,
        device=options.device,
        threads=options.threads,
        tokens_per_batch=options.tokens_per_batch,
    )
    failed = 0
    rows: list[tuple[Any, ...]] = []
    with nullcontext([]) if texts else _opened(input_) as stream, _progress() as progress:
        task = progress.add_task("scored", total=None if texts or input_ == "-" else _count(input_))
        numbered = _given(texts) if texts else _read(stream)
        for lines in _chunks(numbered):
            good = [line for line in lines if line.problem is None]
            texts_, languages = [line.fields["text"] for line in good], [identify(line.fields["text"]) for line in good]
            results = iter(zip(score_safely(scorer, texts_, languages), languages, strict=True))
            for line in lines:
                result, language = (line.problem, None) if line.problem else next(results)
                failed += not isinstance(result, Assessment)
                document = _document(line, result, language)
                if explained is not None and isinstance(result, Assessment):
                    output = f"sentiment/{result.sentiment.value}" if explained == "sentiment" else explained
                    document |= _explanation(scorer, line.fields["text"], language, output, show=not json_)
                if json_:
                    print_json(document)
                else:
                    rows.append(_row(document))
            progress.update(task, advance=len(lines))
    if not json_:
        print_table(["sentiment", "risk", "labels", "text"], rows)
    if failed:
        err.print(f"{failed} of the lines could not be scored; see `error` in the output")
        raise typer.Exit(1)


def _given(texts: Iterable[str]) -> Iterator[Line]:
    return (Line(number=number, fields={"text": text}) for number, text in enumerate(texts, 1))


def _read(stream: Iterable[bytes]) -> Iterator[Line]:
    for number, raw in enumerate(stream, 1):
        line = (raw.removeprefix(BOM_UTF8) if number == 1 else raw).rstrip(b"\r\n")
        if not line.strip():
            continue
        try:
            yield parse(number, line.decode())
        except UnicodeDecodeError as error:
            problem = f"line {number} is not UTF-8: byte {error.start + 1} is {line[error.start]:#04x}"
            yield Line(number=number, fields={"line": line.decode(errors="replace")}, problem=problem)


def _options(model: Path | None, labels: dict[str, str], config: Path) -> ScoringOptions:
    if model is not None:
        return ScoringOptions(model=model, labels=labels)
    # Without a file of one's own there are still defaults; a file that was named must be there.
    return load_settings(config).scoring if config.exists() or config != DEFAULT_CONFIG else ScoringOptions()


def _opened(name: str) -> Any:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}", param_hint="--input") from None


def _count(name: str) -> int | None:
    """How many lines there are, where somebody watches the bar; what is no file can be read only once."""
    if not err.is_terminal or not Path(name).is_file():
        return None
    with Path(name).open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, disable=not err.is_terminal, transient=True)


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    iterator = iter(lines)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _document(line: Line, result: object, language: str | None) -> dict[str, Any]:
    if isinstance(result, Assessment):
        return {**line.fields, "assessment": assessment_json(result, language)}
    return {**line.fields, "assessment": None, "error": str(result)}


def _explanation(scorer: Scorer, text: str, language: str | None, output: str, *, show: bool) -> dict[str, Any]:
    """What goes into the document; with ``show`` it is printed too, the text with its words marked."""
    try:
        found = explain(scorer, text, output, language=language)
    except ScoringError as error:
        raise typer.BadParameter(str(error), param_hint="--explain") from None
    if show:
        out.print(f"[bold]{escape(output)}[/]: {_marked(text, found)}", highlight=False)
        shown = [f"{one.text} {one.contribution:+.2f}" for one in found[:TOP]]
        out.print(f"  [dim]{escape(', '.join(shown))}[/]", highlight=False)
    contributions = [
        {"start": one.start, "end": one.end, "text": one.text, "contribution": round(one.contribution, DIGITS)}
        for one in found
    ]
    return {"explanation": {"output": output, "contributions": contributions}}


def _marked(text: str, found: list[Contribution]) -> str:
    """The text with the words marked that speak for the output (reversed) and against it (struck out)."""
    least = MARKED * max((abs(one.contribution) for one in found), default=0.0)
    parts, at = [], 0
    for one in sorted(found, key=lambda one: one.start):
        parts.append(escape(text[at : one.start]))
        style = "reverse" if one.contribution > 0 else "strike"
        strong = abs(one.contribution) >= least > 0
        parts.append(f"[{style}]{escape(one.text)}[/]" if strong else escape(one.text))
        at = one.end
    return "".join([*parts, escape(text[at:])])


def _row(document: dict[str, Any]) -> tuple[Any, ...]:
    said = document["assessment"]
    text = str(document.get("text", document.get("line", "")))[:80]
    if said is None:
        return ("-", "", "", document["error"])
    risk = "" if said["risk"] is None else f"{said['risk']:.2f}"
    labels = [name.rpartition("/")[2] for name in said["labels"] or () if not name.startswith("sentiment/")]
    return (said["sentiment"], risk, " ".join(labels), text)
