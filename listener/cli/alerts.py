"""``listener alerts``: what fires and what has fired; ``listener watch``: alerts as they come."""

import asyncio
import contextlib
from dataclasses import asdict
from typing import Annotated

import typer

from listener.alerts.console import show
from listener.alerts.mqtt.watch import Event
from listener.alerts.mqtt.watch import watch as follow
from listener.alerts.wire.payload import AlertPayload, as_json
from listener.app import database_of, load_settings, utc_now
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, out, print_json, print_table
from listener.config import Settings
from listener.domain import Alert, AlertState
from listener.errors import ConfigError, Fault
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
    found = asyncio.run(_recent(settings, limit, firing=firing))
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


@app.command()
def watch(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Show alerts as they come, from the configured broker; each once, however often it is sent."""
    settings = load_settings(config)
    if settings.mqtt is None:
        raise ConfigError([Fault(path="mqtt", problem="no broker is configured", fix="add a table [mqtt]")])

    def on_event(event: Event) -> None:
        if not json_:
            show(out, event, now=utc_now())
        elif isinstance(event, AlertPayload):
            print_json(as_json(event))

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(follow(settings.mqtt, on_event=on_event))


async def _recent(settings: Settings, limit: int, *, firing: bool) -> list[Alert]:
    database = database_of(settings)
    try:
        return await store.recent(database, limit=limit, state=AlertState.FIRING if firing else None)
    finally:
        await database.close()
