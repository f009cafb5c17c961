"""``listener sources``, ``poll`` and ``read``: what is polled, what a poll would bring, what a saved page holds."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from listener.app import fetch_policy_of, load_settings, matcher_of, sources_of, utc_now
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    EmptyDatabaseError,
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
from listener.domain import Checkpoint, Mention, PollResult, Rejected
from listener.errors import ConfigError, Fault
from listener.fetch import Fetcher
from listener.normalise import normalise
from listener.pipeline import Prepared, prepare
from listener.sentiment.language import identify
from listener.sources.base import BaseSource
from listener.sources.offline import read as read_offline
from listener.sources.registry import type_names
from listener.store import sources as store
from listener.store.sources import SourceState


@app.command()
def sources(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """List the configured sources and how each has been doing."""
    settings = load_settings(config)
    configured = sources_of(settings)
    states = asyncio.run(_states(settings))
    rows = [
        {"source": name, "type": settings.sources[name]["type"], **_health(source, states.get(name))}
        for name, source in configured.items()
    ]
    if json_:
        for row in rows:
            print_json(row)
        return
    print_table(
        ["source", "type", "every", "state", "last success", "failures", "error"],
        [
            (
                row["source"],
                row["type"],
                f"{row['interval_secs']} s",
                row["state"],
                f"{row['succeeded_at']:%Y-%m-%d %H:%M}" if row["succeeded_at"] else "",
                row["failures"] or "",
                row["error"],
            )
            for row in rows
        ],
        whole=("every", "state", "last success", "failures"),
        prose=("error",),
        spare=("type", "every"),
    )


@app.command()
def poll(name: str, config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Visit one source now and print what it brings; nothing is stored."""
    settings = load_settings(config)
    configured = sources_of(settings)
    if name not in configured:
        known = ", ".join(configured) or "none"
        raise ConfigError([Fault(path=f"sources.{name}", problem="no such source", fix=f"there are: {known}")])
    result, prepared = asyncio.run(_poll(settings, configured[name]))
    if json_:
        for mention in prepared.mentions:
            print_json(mention_json(mention))
    else:
        print_table(
            ["at", "lang", "brands", "author", "text"],
            [
                (f"{one.at:%Y-%m-%d %H:%M}", one.lang, ", ".join(one.brands), one.author, one.scored_text[:100])
                for one in prepared.mentions
            ],
            whole=("at", "lang"),
            prose=("text",),
            spare=("author", "lang"),
        )
        matched = counted(len(prepared.mentions), "matches a brand", "match a brand")
        out.print(f"{matched}, {counted(prepared.unmatched, 'matches none', 'match none')}")
    _complain(result.rejected, prepared.rejected)


@app.command()
def read(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The source's type: " + ", ".join(type_names()))],
    file: Annotated[Path, typer.Argument(help="A saved page, feed, answer or file; - is standard input.")],
    url: Annotated[str, typer.Option(help="Where it was saved from, to make its links absolute.")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="An option of the source, NAME=VALUE; VALUE may be JSON. Repeatable."),
    ] = None,
) -> None:
    """Read a saved page through a source's parser, offline, and print its mentions as JSON lines."""
    parsed = read_offline(type_, _body(file), url=url, options=dict(_option(one) for one in option or []))
    now = utc_now()
    problems: list[str] = []
    for raw in parsed.mentions:
        try:
            mention = normalise(raw, source=type_, seen_at=now, identify=identify)
        except ValueError as error:
            problems.append(str(error))
        else:
            print_json(mention_json(mention))
    _complain(parsed.rejected, problems)


def mention_json(mention: Mention) -> dict[str, Any]:
    """A mention as one JSON object: what is stored of it."""
    document = asdict(mention)
    for internal in ("content_hash", "text_key", "seen_at"):
        del document[internal]
    return {"id": mention.id, **document}


def _body(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from None


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--option")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _complain(rejected: Sequence[Rejected], problems: Sequence[str]) -> None:
    """Say on standard error which items could not be read, so that standard output stays for programs."""
    for one in rejected:
        err.print(f"item {one.position} could not be read: {one.problem}", markup=False, highlight=False)
    for problem in problems:
        err.print(f"item could not be used: {problem}", markup=False, highlight=False)


async def _states(settings: Settings) -> dict[str, SourceState]:
    try:
        async with opened_database(settings) as database:
            return await store.states(database)
    except EmptyDatabaseError:  # no daemon has run yet
        return {}


async def _poll(settings: Settings, source: BaseSource) -> tuple[PollResult, Prepared]:
    now = utc_now()
    matcher = matcher_of(settings)
    async with Fetcher(fetch_policy_of(settings)) as fetcher:
        fetch = fetcher.for_source(source.name, Checkpoint(), now=now)
        result = await source.poll(fetch, Checkpoint())
    return result, prepare(source, result.mentions, matcher=matcher, identify=identify, now=now)


def _health(source: BaseSource, state: SourceState | None) -> dict[str, Any]:
    known = state or SourceState(name=source.name, fingerprint="")
    if not source.enabled:
        health = "disabled"
    elif known.gone:
        health = "gone"
    elif known.failing_since_at is not None:
        health = "failing"
    elif known.polled_at is None:
        health = "not polled yet"
    else:
        health = "ok"
    return {
        "interval_secs": source.interval_secs,
        "state": health,
        "polled_at": known.polled_at,
        "succeeded_at": known.succeeded_at,
        "paused_until_at": known.paused_until_at,
        "failures": known.failures,
        "error": known.error,
    }
