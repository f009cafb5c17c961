"""``listener explain``: why an alert fired, decided again from the database, in numbers and as a picture."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from listener.alerts.detection.decompose import UNKNOWN, Decomposition
from listener.alerts.detection.record import RECENT, Check, Record, check
from listener.alerts.drawing.chart import Chart
from listener.alerts.drawing.picture import draw
from listener.alerts.drawing.sketch import sketch
from listener.alerts.wire.payload import record_of
from listener.alerts.words.languages import LANGUAGES
from listener.alerts.words.proof_texts import sentences
from listener.app import load_settings
from listener.cli.alerts import only
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    app,
    opened_database,
    out,
    print_json,
    print_table,
)
from listener.config import Settings
from listener.domain import Alert, Evidence, Vote
from listener.pipeline.picture import chart_of
from listener.store import Database, alerts, ledger

MARKS = {True: "same to the last bit", False: "DIFFERS"}


@app.command()
def explain(
    alert: Annotated[str, typer.Argument(help="The alert's id, or enough of its beginning (`listener alerts list`).")],
    config: ConfigOption = DEFAULT_CONFIG,
    draw_to: Annotated[
        Path | None, typer.Option("--draw", dir_okay=False, help="Also draw it to this file: .png or .svg.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of sentences and picture: en or et.")] = "en",
    json_: JsonOption = False,
) -> None:
    """Show why an alert fired, and decide it again from the votes in the database; exit 1 if it comes out otherwise."""
    if language not in LANGUAGES:
        raise typer.BadParameter(f"{language!r} is not one of {', '.join(LANGUAGES)}", param_hint="--language")
    settings = load_settings(config)
    found, record, checks, drawn, links = asyncio.run(_explained(settings, alert))
    title = settings.brands[found.brand].title if found.brand in settings.brands else found.brand
    if draw_to is not None and drawn is not None:
        draw(drawn, draw_to, title=title, language=language)
    if json_:
        print_json({"id": found.id, **asdict(found), "checks": [{**asdict(one), "same": one.same} for one in checks]})
    else:
        _show(found, record, checks, drawn, links, title=title, language=language)
    if any(not one.same for one in checks):
        raise typer.Exit(1)


async def _explained(
    settings: Settings, start: str
) -> tuple[Alert, Record | None, tuple[Check, ...], Chart | None, list[Evidence]]:
    async with opened_database(settings) as database:
        found = only(await alerts.by_id(database, start), start)
        record = record_of(found)
        weighty = () if record is None or record.proof is None else [one.mention for one in record.proof.top]
        links = await alerts.links(database, [*found.evidence, *weighty])
        if record is None:
            return found, None, (), None, links
        counted, recent = await _votes(database, found.brand, record)
        return found, record, check(record, counted, recent), await chart_of(database, found, record), links


async def _votes(database: Database, brand: str, record: Record) -> tuple[list[Vote], list[Vote]]:
    last = record.signal.position
    counted = await ledger.read(database, brand, after=record.origin.position, until=last)
    return counted, await ledger.read(database, brand, until=last, since_at=record.decided_at - RECENT)


def _show(
    alert: Alert,
    record: Record | None,
    checks: tuple[Check, ...],
    drawn: Chart | None,
    links: list[Evidence],
    *,
    title: str,
    language: str,
) -> None:
    state = f"{alert.state.value}, {alert.resolution.value}" if alert.resolution is not None else alert.state.value
    out.print(f"[bold]{escape(title)}[/] {alert.severity.value}, {state}; alert {alert.id}, event {alert.seq}")
    if record is None:
        out.print(escape(alert.signal.reason))
        _links(links)
        return
    out.print(escape(f"Decided {record.decided_at:%Y-%m-%d %H:%M:%S} UTC: {record.signal.reason}."))
    if record.market is not None:
        out.print(escape(record.market.reason))
    proof = record.proof
    if proof is not None:
        for sentence in sentences(proof)[language]:
            out.print(escape(sentence))
    if drawn is not None:
        out.print(sketch(drawn, title=title, language=language, width=min(100, out.width)))
    if proof is not None:
        for name, parts in (("source", proof.source), ("language", proof.language), ("topic", proof.topic)):
            _decomposition(name, parts)
        by_id = {one.id: one for one in links}
        print_table(
            ["share of the evidence", "risk", "source", "link"],
            [
                (f"{one.share:.1%}", f"{one.x:.2f}", one.source, by_id[one.mention].url if one.mention in by_id else "")
                for one in proof.top
            ],
            title="Mentions that weigh most",
        )
    else:
        _links(links)
    print_table(
        ["again from the ledger", "result"],
        [(one.what, MARKS[one.same]) for one in checks],
        title=f"Replay (key {proof.replay_key})" if proof is not None else "Replay",
    )


def _decomposition(name: str, found: Decomposition) -> None:
    if found.change is None or [part.key for part in found.parts] in ([], [UNKNOWN]):
        return
    print_table(
        [name, "of mentions before", "now", "negative before", "now", "by mix", "within", "together"],
        [
            (
                part.key,
                f"{part.weight_before:.0%}",
                f"{part.weight_after:.0%}",
                _percent(part.mean_before),
                _percent(part.mean_after),
                f"{100 * part.mix:+.1f}",
                f"{100 * part.within:+.1f}",
                f"{100 * part.contribution:+.1f}",
            )
            for part in found.parts[:8]
        ],
        title=f"Where {100 * found.change:+.1f} points come from, by {name}",
    )


def _percent(share: float | None) -> str:
    """A share of few mentions, reckoned from their risks, may lie beyond what a share can be."""
    return "" if share is None else f"{min(max(share, 0.0), 1.0):.0%}"


def _links(links: list[Evidence]) -> None:
    for one in links:
        out.print(escape(f"  {one.source}: {one.url}"))
