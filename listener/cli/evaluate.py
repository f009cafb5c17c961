"""``listener eval``: how well models read texts that people have labelled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from listener.cli.root import JsonOption, LabelOption, app, err, meanings, out, print_json, print_table
from listener.config.models import ScoringOptions
from listener.domain import Assessment
from listener.errors import ScoringError
from listener.protocols import Scorer
from listener.sentiment.bundled import is_bundled
from listener.sentiment.language import identify
from listener.sentiment.scorer import load_scorer, score_safely
from listener.sentiment.vader import LANGUAGE, Vader

BUNDLED = "bundled"
VADER = "vader"
CHUNK = 256  # texts between two steps of the progress bar
BAR = 30  # characters of a bar that is 1.0
ALL = "all"
DETAILED = ("sentiment", "risk")
COLUMNS: Mapping[str, str] = {
    "macro_f1": "macro-F1",
    "f1": "F1",
    "accuracy": "accuracy",
    "ece": "ECE",
    "brier": "Brier",
    "prevalence_true": "true",
    "prevalence_said": "said",
    "abstained": "in doubt",
}


@app.command("eval")
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="JSON lines, also .gz: `text`, and any of `sentiment`, `experience`, `emotions`, `loyalty`, `wish`.",
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help=f"A model directory, or `{BUNDLED}` for the one that comes with listener. Repeatable."),
    ] = None,
    label: LabelOption = None,
    vader: Annotated[
        bool,
        typer.Option("--vader", help="Also VADER, on the English texts: the floor. What it says is taken as certain."),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="CPU threads of the model.")] = ScoringOptions().threads,
    json_: JsonOption = False,
) -> None:
    """Measure models on labelled texts: F1, calibration and confusion, by language and over all.

    ECE has 15 bins of equal width; Brier sums over the classes of sentiment; true and said are shares of the texts; in
    doubt is the share where the model is hardly surer than not (its label is counted all the same).
    """
    # Imported here: numpy, which other commands do not need.
    from listener.sentiment.evaluation import Labelled, read_rows, report  # noqa: PLC0415

    models = {name: None if name == BUNDLED else Path(name) for name in model or [BUNDLED]}
    labels = meanings(label, [*models.values()])
    rows = read_rows(file, identify)
    loaders: dict[str, Callable[[], Scorer]] = {
        name: lambda path=path: _loaded(path, labels, threads)  # type: ignore[misc]
        for name, path in models.items()
    }
    if vader:
        loaders[VADER] = Vader
    reports: dict[str, dict[str, Any]] = {}
    for name, load in loaders.items():
        chosen: list[Labelled] = [row for row in rows if name != VADER or row.language == LANGUAGE]
        reports[name] = report(chosen, _scored(name, load(), [row.text for row in chosen]))
        if len(chosen) < len(rows):  # of other texts than the models beside it: no row to compare
            del reports[name]["languages"][ALL]
    if json_:
        print_json(reports)
    else:
        _show(reports)


def _loaded(path: Path | None, labels: Mapping[str, str], threads: int) -> Scorer:
    return load_scorer(path, labels={} if path is None or is_bundled(path) else labels, threads=threads)


def _scored(name: str, scorer: Scorer, texts: Sequence[str]) -> list[Assessment | ScoringError]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Assessment | ScoringError] = []
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=len(texts))
        for start in range(0, len(texts), CHUNK):
            found += score_safely(scorer, texts[start : start + CHUNK])
            progress.update(task, completed=len(found))
    return found


def _show(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """A table for sentiment and each output, the models side by side; then what lies behind the figures."""
    for name, one in reports.items():
        refused = f", {one['refused']} could not be judged" if one["refused"] else ""
        out.print(f"{name}: {one['model']}, {one['rows']} texts{refused}", markup=False, highlight=False)
    measured = {output: None for one in reports.values() for found in one["languages"].values() for output in found}
    for output in measured:
        _show_output(output, reports)
    for name, one in reports.items():
        for language, outputs in one["languages"].items():
            if language == ALL and len(one["languages"]) == 2:  # noqa: PLR2004 -- all, and the only one
                continue
            for output in DETAILED:
                if output in outputs:
                    _show_details(f"{name}, {language}, {output}", outputs[output])


def _show_output(output: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
    languages = {language: None for one in reports.values() for language in one["languages"]}
    rows = []
    heading: list[str] = []
    for language in languages:
        for name, one in reports.items():
            found = one["languages"].get(language, {}).get(output)
            if found is not None:
                heading = [title for key, title in COLUMNS.items() if key in found]
                rows.append((language, name, found["n"], *(_figure(found[key]) for key in COLUMNS if key in found)))
    print_table(["lang", "model", "n", *heading], rows, title=f"\n{output}")


def _show_details(title: str, found: Mapping[str, Any]) -> None:
    """Which sentiments are taken for which, and whether probabilities are to be believed."""
    if "confusion" in found:
        rows = [(true, *counts) for true, counts in zip(found["classes"], found["confusion"], strict=True)]
        print_table([r"true \ said", *found["classes"]], rows, title=f"\n{title}: texts")
    out.print(f"\n{title}: how sure it is (|), and how often that is so", markup=False, highlight=False)
    for line in bars(found["reliability"]):
        out.print(line, markup=False, highlight=False)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def bars(bins: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A reliability plot: a line for each bin, its bar as long as the model was right, a mark where it said it was."""
    for one in bins:
        bar = list(("█" * round(BAR * one["accuracy"])).ljust(BAR + 1))
        bar[round(BAR * one["confidence"])] = "|"
        yield f"{one['low']:.2f}-{one['high']:.2f} {''.join(bar)} {one['accuracy']:.2f} of {one['count']}"
