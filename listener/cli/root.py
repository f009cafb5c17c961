"""What all commands share: the application, the two consoles, the options that come back everywhere."""

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import HEAVY_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from listener import __version__
from listener.app import database_of
from listener.cli.layout import GAP_CELLS, layout
from listener.config import Settings
from listener.errors import StoreError
from listener.log import configure
from listener.sentiment.bundled import is_bundled
from listener.store import Database, migrate

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
HALF_YEAR_DAYS = 182  # as `ls -l` has it

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


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    whole: Collection[str] = (),
    prose: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """A table for people; cells are shown as they are, never read as markup. In a pipe it is as wide as it needs to be.

    On a terminal it fits: see ``layout``; which columns had to be left out is said below it.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    width = out.width if out.is_terminal else None
    found = layout(columns, cells, width=width, whole=whole, prose=prose, spare=spare)
    frame = HEAVY_HEAD if found.frame else None
    table = Table(title=title, title_justify="left", header_style="bold", box=frame)
    if not found.frame:
        table.padding, table.pad_edge = (0, GAP_CELLS, 0, 0), False
    for place, cells_wide in zip(found.places, found.widths, strict=True):
        table.add_column(columns[place], width=cells_wide, no_wrap=columns[place] in whole, overflow="fold")
    for row in cells:
        table.add_row(*(escape(row[place]) for place in found.places))
    console = out if out.is_terminal else Console(width=max(found.width, cell_len(title or "")))
    console.print(table)
    if found.left_out:
        names = ", ".join(columns[place] for place in found.left_out)
        out.print(f"Left out, for the terminal is narrow: {names}", style="dim", markup=False, highlight=False)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 brand``, ``2 brands``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def brief_time(at: datetime | None, now: datetime) -> str:
    """A time in twelve cells, in the zone that it is in: with the hour, or with the year when that is far away."""
    if at is None:
        return ""
    return f"{at:%d %b %H:%M}" if abs(at - now) < timedelta(days=HALF_YEAR_DAYS) else f"{at:%d %b  %Y}"


def time_of(text: str, option: str) -> datetime:
    """The moment that somebody writes, in this computer's time zone unless it has an offset. Raises BadParameter."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        examples = "2026-12-24T20:00, 2026-12-24T20:00+02:00 or 2026-12-24"
        raise typer.BadParameter(f"{text!r} is no time such as {examples}", param_hint=option) from None


class EmptyDatabaseError(StoreError):
    """No daemon has made the database yet."""

    def __init__(self) -> None:
        super().__init__("the database is empty: `listener run` makes it")


@contextlib.asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """The database that a daemon has made. Raises EmptyDatabaseError, and leaves no file where none was.

    Raises StoreError for one of another version.
    """
    database = database_of(settings)
    try:
        if is_missing(database) or await migrate.version(database) is None:
            raise EmptyDatabaseError
        await migrate.prepare(database, auto_upgrade=False)
        yield database
    finally:
        await database.close()


def is_missing(database: Database) -> bool:
    """Whether it is a SQLite file that is not there: to connect would make it."""
    file = database.url.database
    return database.dialect == "sqlite" and file is not None and file != ":memory:" and not Path(file).exists()
