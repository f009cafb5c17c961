"""``listener digest``: what changes too slowly to wake anybody, as it is now."""

import asyncio

from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.payload import as_json
from listener.app import load_settings, utc_now
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    app,
    counted,
    opened_database,
    out,
    print_json,
    print_table,
)
from listener.config import Settings
from listener.pipeline.digest import read_digest


@app.command()
def digest(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Show which brands' perception falls slowly, and which alerts are open; nothing is sent."""
    found = asyncio.run(_digest(load_settings(config)))
    if json_:
        print_json(as_json(found))
        return
    out.print(found.text["en"].title, highlight=False)
    if found.drifting:
        print_table(
            ["", "brand", "now", "before", "points (95 %)", "a week", "mentions"],
            [
                (
                    one.rank,
                    one.title,
                    f"{one.recent:.0%}",
                    f"{one.before:.0%}",
                    f"{100 * one.low:+.0f} to {100 * one.high:+.0f}",
                    f"{100 * one.per_week:+.1f}",
                    one.mentions,
                )
                for one in found.drifting
            ],
        )
    for alert in found.open_alerts:
        out.print(f"{alert.severity}: {alert.brand}, since {alert.since:%Y-%m-%d %H:%M} UTC", highlight=False)
    enough = counted(found.looked_at, "brand has", "brands have")
    out.print(f"{enough} enough history to tell.", style="dim", highlight=False)


async def _digest(settings: Settings) -> DigestPayload:
    async with opened_database(settings) as database:
        return await read_digest(database, settings.brands, settings.digest, now=utc_now())
