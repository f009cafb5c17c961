"""``listener alerts``: what fires and what has fired; ``listener watch``: alerts as they come."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, print_json, print_table
from listener.domain import Alert, AlertState
from listener.app import load_settings
from listener.store import Database
from listener.store import alerts as store

group = typer.Typer(help="Alerts in the database.", no_args_is_help=True)
app.add_typer(group, name="alerts")


@group.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    firing: Annotated[bool, typer.Option("--firing", help="Only those that fire now.")] = False,
    json_: JsonOption = False,
) -> None:
    """List alerts, the newest first."""
    settings = load_settings(config)
    found = asyncio.run(_recent(settings.database.url, limit, firing=firing))
    if json_:
        for alert in found:
            print_json({"id": alert.id, **asdict(alert)})
        return
    print_table(
        ["started", "brand", "rule", "severity", "state", "ended", "what"],
        [
            (
                f"{alert.started_at:%Y-%m-%d %H:%M}",
                alert.brand,
                alert.rule,
                alert.severity.value,
                alert.state.value,
                f"{alert.ended_at:%Y-%m-%d %H:%M}" if alert.ended_at else "",
                alert.signal.reason,
            )
            for alert in found
        ],
    )


async def _recent(url: str, limit: int, *, firing: bool) -> list[Alert]:
    database = Database(url)
    try:
        return await store.recent(database, limit=limit, state=AlertState.FIRING if firing else None)
    finally:
        await database.close()
