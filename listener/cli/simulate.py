"""``listener alerts simulate``: a drill through the whole chain, and how it went."""

import asyncio
import getpass
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from listener.alerts.oncall.drill import drill
from listener.app import load_settings, utc_now
from listener.cli.alerts import HELD, SHORT, about, flat, group, print_sendings
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, err, opened_database, out, print_json
from listener.config import Settings
from listener.domain import Act, Alert, Event, Hold, Outcome, Severity
from listener.errors import ConfigError, Fault
from listener.store import Database, alerts, drills
from listener.store.actions import Handled
from listener.store.sendings import Sending

LOOK_SECS = 0.2  # between two looks at how far it is
ANSWERS = frozenset({Act.ACK, Act.ASSIGN, Act.SNOOZE, Act.RESOLVE})


@group.command()
def simulate(
    brand: Annotated[str, typer.Argument(help="A name under \\[brands]: its routes and chain are tried.")],
    config: ConfigOption = DEFAULT_CONFIG,
    severity: Annotated[Severity, typer.Option(help="How loud.")] = Severity.CRITICAL,
    by: Annotated[str | None, typer.Option("--by", help="Who starts it; the name you are logged in with.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until somebody answers, and show how it went.")] = False,
    timeout_secs: Annotated[float, typer.Option(min=0, max=3600, help="How long to wait at most.")] = 300.0,
    json_: JsonOption = False,
) -> None:
    """Send a drill through the whole chain, marked as one; it ends when resolved, or after 30 minutes.

    With --wait, exit 1 when a receiver has not taken it, or nobody was told.
    """
    settings = load_settings(config)
    if brand not in settings.brands:
        known = ", ".join(settings.brands)
        raise ConfigError([Fault(path=f"brands.{brand}", problem="no such brand", fix=f"there are: {known}")])
    title = settings.brands[brand].title
    alert, event = drill(
        brand,
        title=title,
        severity=severity,
        by=by or getpass.getuser(),
        now=utc_now(),
        links=settings.http.public_url is not None,
    )

    def written() -> None:
        if json_ and not wait:
            return  # the document comes at once
        # Who drills wants to answer it while this waits; a document has standard output for itself.
        answer = f"listener alerts ack {alert.id[:SHORT]}{_by_config(config)}"
        told = f"drill {alert.id}\nanswer it: {answer}"
        (err if json_ else out).print(told, markup=False, highlight=False, soft_wrap=True)

    sent, history, hold = asyncio.run(_run(settings, alert, event, written, timeout_secs if wait else None))
    if json_:
        notifications = [{**asdict(one), "outcome": one.outcome} for one in sent]
        print_json({"id": alert.id, "notifications": notifications, "actions": [flat(one) for one in history]})
    elif wait:
        _show(sent, history, hold)
    if wait and (not sent or any(one.outcome != "sent" for one in sent)):
        raise typer.Exit(1)


def _by_config(config: Path) -> str:
    return "" if config == DEFAULT_CONFIG else f" -c {shlex.quote(str(config))}"


async def _run(
    settings: Settings, alert: Alert, event: Event, written: Callable[[], None], wait_secs: float | None
) -> tuple[list[Sending], list[Handled], Hold | None]:
    async with opened_database(settings) as database:
        await drills.write(database, alert, event)
        written()
        if wait_secs is None:
            return [], [], None
        sent, history = await _followed(database, alert.id, wait_secs)
        return sent, history, None if sent else (await alerts.held(database, [alert.id])).get(alert.id)


async def _followed(database: Database, alert_id: str, wait_secs: float) -> tuple[list[Sending], list[Handled]]:
    """What was sent and done when somebody had answered and nothing was on its way, or when the time was over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_secs
    while True:
        _, history, sent = await about(database, alert_id)
        over = _answered(history) and all(one.outcome in {"sent", "dead"} for one in sent)
        if over or loop.time() >= until:
            return sent, history
        await asyncio.sleep(LOOK_SECS)


def _answered(history: list[Handled]) -> bool:
    return any(one.action.act in ANSWERS and one.outcome is Outcome.DONE for one in history)


def _show(sent: list[Sending], history: list[Handled], hold: Hold | None) -> None:
    if hold is not None:
        out.print(f"Nobody was told yet: {HELD[hold]}", markup=False)
        return
    if not sent:
        out.print("Nobody was told: is the daemon running, and does a route match? (`listener oncall`)", markup=False)
        return
    print_sendings(sent)
    for one in history:
        outcome = one.outcome.value if one.outcome else "waiting"
        out.print(
            f"{one.action.at:%H:%M:%S} {one.action.act.value} by {one.action.by} via {one.action.via.value}: {outcome}",
            markup=False,
            highlight=False,
        )
    if not _answered(history):
        out.print("Nobody has answered.", markup=False)
