"""``listener knowledge``: the articles that alerts bring along, and what ended alerts teach."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.app import load_settings
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    app,
    counted,
    err,
    opened_database,
    out,
    print_json,
    print_table,
)
from listener.config import Settings
from listener.errors import ConfigError, Fault
from listener.knowledge import drafts
from listener.knowledge.articles import Article, ArticleError, parse
from listener.knowledge.library import Shelf, check_folder
from listener.knowledge.matching import Match
from listener.pipeline.advise import Adviser
from listener.pipeline.learn import Learnt
from listener.pipeline.learn import learn as learn_from
from listener.sentiment.language import identify

if TYPE_CHECKING:
    from listener.sentiment.meaning import Meanings

group = typer.Typer(help="What to answer: articles that alerts bring along.", no_args_is_help=True)
app.add_typer(group, name="knowledge")


@group.command()
def check(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Check every article; faults come with file, line and fix, and exit code 2."""
    settings = load_settings(config)
    library = Shelf(_folder(settings)).library()
    rows: dict[str, list[Article]] = {}
    for article in library.articles:
        rows.setdefault(article.id, []).append(article)
    if json_:
        for article in library.articles:
            print_json({"id": article.id, "lang": article.lang, "status": article.status, "title": article.title})
    else:
        print_table(
            ["article", "approved", "drafts", "title"],
            [
                (name, _languages(several, "approved"), _languages(several, "draft"), several[0].title)
                for name, several in sorted(rows.items())
            ],
        )
    check_folder(settings.knowledge.folder, settings.brands)


def _languages(articles: list[Article], status: str) -> str:
    return " ".join(article.lang for article in articles if article.status == status)


@group.command()
def match(
    text: Annotated[str, typer.Argument(help="What a customer says.")],
    config: ConfigOption = DEFAULT_CONFIG,
    brand: Annotated[str | None, typer.Option(help="Of this brand; else of any.")] = None,
    json_: JsonOption = False,
) -> None:
    """Show which articles a mention with this text alone would bring along, and why; none where none fits."""
    settings = load_settings(config)
    _folder(settings)
    found = asyncio.run(_match(settings, text, brand))
    if json_:
        for one in found:
            print_json(
                {
                    "id": one.article.id,
                    "lang": one.article.lang,
                    "similarity": round(one.similarity, 4),
                    "title": one.article.title,
                    "reason": one.reason,
                }
            )
        return
    if not found:
        out.print("No article fits.", highlight=False)
        return
    print_table(
        ["article", "title", "similarity", "why"],
        [(one.article.id, one.article.title, f"{one.similarity:.2f}", one.reason) for one in found],
    )


@group.command()
def learn(
    config: ConfigOption = DEFAULT_CONFIG,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only alerts that ended since that day, UTC: 2026-12-24.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Make drafts of articles from ended alerts of which somebody wrote down the cause or what helped."""
    settings = load_settings(config)
    folder = _folder(settings)
    start = None if since is None else _day(since)
    try:
        found, forgotten = asyncio.run(_learn(settings, folder, start))
    except OSError as error:
        raise _unwritable(folder, error) from error
    if json_:
        for one in found:
            print_json({"alerts": one.alerts, "file": one.file, "written": one.written, "why": one.why})
    else:
        for one in found:
            told = f"wrote {one.file}" if one.written else f"left {one.file}: {one.why}"
            out.print(f"{told} ({counted(len(one.alerts), 'alert')})", highlight=False, markup=False, soft_wrap=True)
        if not found:
            out.print(
                "Nothing to learn: no ended alert has a new note of its cause or of what helped.", highlight=False
            )
    if forgotten:
        left_out = counted(forgotten, "alert with notes is left out", "alerts with notes are left out")
        why = "ended before listener remembered meanings, or under another model"
        err.print(f"{left_out}: {why}", highlight=False, markup=False)


@group.command()
def approve(
    file: Annotated[Path, typer.Argument(help="The draft.", exists=True, dir_okay=False)],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Approve a draft: alerts bring it along from now on."""
    folder = _folder(load_settings(config))
    try:
        target = drafts.approve(file, folder)
    except ArticleError as error:
        raise ConfigError(error.faults) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    out.print(f"approved: {target}", highlight=False, markup=False, soft_wrap=True)
    if not parse(target, target.read_bytes()).examples:
        problem = "it has no examples, and will hardly be found"
        fix = f"write three to ten of what customers say under `examples:` in {target}"
        err.print(f"warning: {problem}: {fix}", highlight=False, markup=False, soft_wrap=True)


def _folder(settings: Settings) -> Path:
    if settings.knowledge.folder is None:
        fix = 'add [knowledge] with folder = "knowledge"'
        raise ConfigError([Fault(path="knowledge.folder", problem="is not set", fix=fix)])
    return settings.knowledge.folder


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-12-24", param_hint="--since") from None


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    problem = f"{error.filename or folder}: {error.strerror or type(error).__name__}"
    return ConfigError([Fault(path="knowledge.folder", problem=problem, fix="give yourself the right to write there")])


class _Encoder:
    """The encoder alone: these commands need no model that scores."""

    def __init__(self) -> None:
        from listener.sentiment.meaning import load_meaning  # noqa: PLC0415 -- onnxruntime: only who matches

        self._encoder = load_meaning()

    async def embed(self, texts: Sequence[str]) -> "Meanings":
        return await asyncio.to_thread(self._encoder.embed, texts)


async def _match(settings: Settings, text: str, brand: str | None) -> list[Match]:
    return await Adviser(settings.knowledge, _Encoder()).find(text, brand=brand, lang=identify(text))


async def _learn(settings: Settings, folder: Path, since: datetime | None) -> tuple[list[Learnt], int]:
    async with opened_database(settings) as database:
        adviser = Adviser(settings.knowledge, _Encoder())
        return await learn_from(database, adviser, folder, since=since, identify=identify)
