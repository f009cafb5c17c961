"""``listener backtest``: what would have been alerted, and when, had listener been there."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from listener.aggregate import FINE_SECS
from listener.alerts.rules import DEFAULT_RULES
from listener.app import load_settings, matcher_of, rules_of, scorer_of
from listener.backtest import Labelled, Plan, read_history, run
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, LabelOption, app, err, meanings, print_json
from listener.config import Settings
from listener.config.models import ScoringOptions
from listener.matching import Matcher
from listener.protocols import Scorer
from listener.sentiment.language import identify
from listener.sentiment.scorer import load_scorer, on_thread


@app.command()
def backtest(
    input_: Annotated[
        Path,
        typer.Option(
            "--input", "-i", exists=True, dir_okay=False, help="Mentions with their times: JSONL or CSV, also .gz."
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    model: Annotated[Path | None, typer.Option(help="A model directory, instead of the configuration's.")] = None,
    label: LabelOption = None,
    label_field: Annotated[
        str | None,
        typer.Option(help="Take people's labels (negative, neutral, positive) in this field, not the model."),
    ] = None,
    tick_secs: Annotated[
        int, typer.Option(min=FINE_SECS, help="Seconds between two looks of the rules; a multiple of 300.")
    ] = FINE_SECS,
) -> None:
    """Drive the pipeline by the mentions' own times, as fast as it goes; alerts are printed as JSON lines."""
    if tick_secs % FINE_SECS:
        raise typer.BadParameter(f"{tick_secs} is not a multiple of {FINE_SECS}", param_hint="--tick-secs")
    named = meanings(label, [model if label_field is None else None])
    settings = load_settings(config) if config.exists() or config != DEFAULT_CONFIG else None
    history, labels = read_history(
        input_,
        brands=settings.brands if settings else {},
        matcher=matcher_of(settings) if settings else Matcher([]),
        identify=identify,
        label_field=label_field,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        tasks = {name: progress.add_task(name, total=None) for name in ("stored", "scored", "evaluated")}

        def load() -> Scorer:
            if label_field is not None:
                return Labelled(labels)
            if model is not None:
                return load_scorer(model, labels=named, threads=ScoringOptions().threads)
            return scorer_of(settings or Settings())

        plan = Plan(
            history=history,
            rules=rules_of(settings) if settings else list(DEFAULT_RULES),
            scorer=lambda: on_thread(load),
            on_alert=print_json,
            on_progress=lambda name, done, total: progress.update(tasks[name], completed=done, total=total),
            tick_secs=tick_secs,
        )
        asyncio.run(run(plan))
