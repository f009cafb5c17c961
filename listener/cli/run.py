"""``listener run``: the daemon."""

import asyncio
from typing import Annotated

import typer

from listener.app import load_settings, opened
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, app
from listener.config import Settings
from listener.daemon import Daemon
from listener.log import configure
from listener.serving import listening


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Poll every source once, do what follows, and end.")] = False,
) -> None:
    """Run the daemon: poll, score, follow perception, publish alerts."""
    settings = load_settings(config)
    configure(settings.service.log_format, settings.service.log_level)
    asyncio.run(_run(settings, once=once))


async def _run(settings: Settings, *, once: bool) -> None:
    if not once:
        # A second listener, started by mistake, must not throw the first one off the broker before it finds its port
        # taken.
        with listening(settings.http.host, settings.http.port):
            pass
    async with opened(settings) as application:
        daemon = Daemon(application)
        await (daemon.once() if once else daemon.run())
