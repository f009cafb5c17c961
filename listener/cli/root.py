"""What all commands share: the application, the two consoles, the options that come back everywhere."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from listener import __version__
from listener.log import configure
from listener.sentiment.bundled import is_bundled

app = typer.Typer(
    name="listener",
    help="Hear what customers say about a brand, and be woken when it turns bad.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()
err = Console(stderr=True)

DEFAULT_CONFIG = Path("listener.toml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="LISTENER_CONFIG", help="The configuration file.", show_default=True),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=MEANING",
        help="What a label of the Hugging Face model in --model means, where its name does not tell: LABEL_0=negative. "
        "Repeatable.",
    ),
]


def meanings(pairs: Sequence[str] | None, models: Sequence[Path | None]) -> dict[str, str]:
    """What ``--label`` says, as ``[scoring] labels`` has it, of the one Hugging Face model among ``models``.

    Raises BadParameter when there is none or several, or when a pair has no ``=``.
    """
    if pairs and sum(model is not None and not is_bundled(model) for model in models) != 1:
        raise typer.BadParameter("it says what labels of one Hugging Face --model mean", param_hint="--label")
    found = {}
    for pair in pairs or ():
        name, separator, meaning = pair.rpartition("=")
        if not separator or not name or not meaning:
            raise typer.BadParameter(f"{pair!r} is not NAME=MEANING, as in LABEL_0=negative", param_hint="--label")
        found[name] = meaning
    return found


def _version(value: bool) -> None:
    if value:
        typer.echo(f"listener {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001 -- acted on by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hear what customers say about a brand, and be woken when it turns bad."""
    configure("console", "error")  # standard output is the command's; `run` sets what its file says


def print_json(value: Any) -> None:
    """One JSON document on one line: what ``--json`` prints."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half a character, as it may come out of somebody's JSON: escaped again
            text = json.dumps(value, default=_plain)
    sys.stdout.write(text + os.linesep)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table for people; cells are shown as they are, never read as markup."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    out.print(table)
