"""``listener alerts list`` and ``show``: what fires and has fired, who is on it; ``listener watch``: as they come."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from listener.alerts.console import show
from listener.alerts.mqtt.watch import Event
from listener.alerts.mqtt.watch import watch as follow
from listener.alerts.wire.payload import AlertPayload, as_json
from listener.app import database_of, load_settings, utc_now
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, out, print_json, print_table
from listener.config import Settings
from listener.domain import Alert, AlertState, Response
from listener.errors import ConfigError, Fault
from listener.store import Database, actions, responses, sendings
from listener.store import alerts as store
from listener.store.actions import Handled
from listener.store.sendings import Sending

group = typer.Typer(help="Alerts: what fires, who is on it, and what to do about it.", no_args_is_help=True)
app.add_typer(group, name="alerts")

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The alert's id, or enough of its beginning (`listener alerts list`).")
]
SHORT = 8  # characters of an id that are shown


@group.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    firing: Annotated[bool, typer.Option("--firing", help="Only those that fire now.")] = False,
    json_: JsonOption = False,
) -> None:
    """List alerts, the newest first, and who is on them."""
    settings = load_settings(config)
    found, answered = asyncio.run(_recent(settings, limit, firing=firing))
    if json_:
        for alert in found:
            response = answered.get(alert.id)
            print_json({"id": alert.id, **asdict(alert), "response": None if response is None else asdict(response)})
        return
    now = utc_now()
    print_table(
        ["id", "started", "brand", "rule", "severity", "state", "ended", "who", "what"],
        [
            (
                alert.id[:SHORT],
                _minute(alert.started_at),
                alert.brand,
                alert.rule,
                alert.severity.value,
                alert.state.value,
                _minute(alert.ended_at),
                who(answered.get(alert.id), now),
                alert.signal.reason,
            )
            for alert in found
        ],
    )


@group.command("show")
def show_(alert_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Show one alert: how it stands, who did what about it, and what was sent of it."""
    alert, response, history, sent = asyncio.run(_one(load_settings(config), alert_id))
    if json_:
        print_json(
            {
                "id": alert.id,
                **asdict(alert),
                "response": None if response is None else asdict(response),
                "actions": [flat(one) for one in history],
                "notifications": [{**asdict(one), "outcome": one.outcome} for one in sent],
            }
        )
        return
    for name, value in _facts(alert, response):
        out.print(f"{name:<9} {value}", markup=False, highlight=False)
    print_table(
        ["at", "by", "via", "action", "what", "outcome", "explanation"],
        [_row(one) for one in history],
        title="Who did what",
    )
    print_table(
        ["decided", "receiver", "reason", "outcome", "at", "attempts", "error"],
        [sending_row(one) for one in sent],
        title="What was sent",
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


def only(found: Sequence[Alert], start: str) -> Alert:
    """The one alert whose id begins with ``start``. Raises ConfigError with the candidates."""
    if len(found) == 1:
        return found[0]
    problem, fix = "no alert has this id", "see `listener alerts list`"
    if found:
        problem = f"{len(found)} alerts have ids that begin like this"
        named = [f"{one.id} ({one.brand}, {one.rule}, {_minute(one.started_at)})" for one in found]
        fix = f"take one of {'; '.join(named)}"
    raise ConfigError([Fault(path=f"alert {start}", problem=problem, fix=fix)])


def who(response: Response | None, now: datetime) -> str:
    """Who is on an alert, in a few words."""
    if response is None:
        return ""
    if response.resolved_by is not None:
        return f"resolved by {response.resolved_by}"
    if response.snoozed_until_at is not None and response.snoozed_until_at > now:
        return f"{response.acked_by or '?'}, snoozed until {response.snoozed_until_at:%H:%M} UTC"
    if response.assignee is not None:
        return response.assignee
    if response.acked_at is not None:
        return response.acked_by or "?"
    return "nobody answered" if response.escalated else ""


def flat(one: Handled) -> dict[str, Any]:
    """An action and what became of it, as one JSON object."""
    return {**asdict(one.action), "outcome": one.outcome, "explanation": one.explanation, "handled_at": one.handled_at}


def sending_row(one: Sending) -> tuple[Any, ...]:
    """A notification as a row: decided, receiver, reason, outcome, at, attempts, error."""
    at = one.sent_at or one.dead_at
    return (
        f"{one.decided_at:%Y-%m-%d %H:%M:%S}",
        one.receiver,
        one.reason.value,
        one.outcome,
        f"{at:%H:%M:%S}" if at else "",
        one.attempts,
        one.error,
    )


def _facts(alert: Alert, response: Response | None) -> list[tuple[str, str]]:
    facts = [
        ("alert", f"{alert.id}, event {alert.seq}"),
        ("brand", f"{alert.brand}, rule {alert.rule}, {alert.severity.value}"),
        ("state", alert.state.value + (f" ({alert.resolution.value})" if alert.resolution else "")),
        ("started", f"{_minute(alert.started_at)} UTC"),
        ("ended", f"{_minute(alert.ended_at)} UTC" if alert.ended_at else ""),
        ("what", alert.signal.reason),
    ]
    if response is not None:
        facts += [
            ("told", f"{', '.join(response.receivers)}, {response.repeats} repeats" if response.receivers else ""),
            ("who", who(response, utc_now())),
            ("cause", response.cause or ""),
            ("helped", response.helped or ""),
        ]
    return [(name, value) for name, value in facts if value]


def _row(one: Handled) -> tuple[Any, ...]:
    action = one.action
    details = [
        f"{action.minutes:g} min" if action.minutes else "",
        f"to {action.assignee}" if action.assignee else "",
        action.comment or "",
        f"helped: {action.helped}" if action.helped else "",
    ]
    return (
        _minute(action.at),
        action.by,
        action.via.value,
        action.act.value,
        ", ".join(detail for detail in details if detail),
        one.outcome.value if one.outcome else "waiting",
        one.explanation,
    )


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


async def _recent(settings: Settings, limit: int, *, firing: bool) -> tuple[list[Alert], dict[str, Response]]:
    database = database_of(settings)
    try:
        found = await store.recent(database, limit=limit, state=AlertState.FIRING if firing else None)
        return found, await responses.of(database, [one.id for one in found])
    finally:
        await database.close()


async def _one(settings: Settings, start: str) -> tuple[Alert, Response | None, list[Handled], list[Sending]]:
    database = database_of(settings)
    try:
        alert = only(await store.by_id(database, start), start)
        return alert, *await about(database, alert.id)
    finally:
        await database.close()


async def about(database: Database, alert_id: str) -> tuple[Response | None, list[Handled], list[Sending]]:
    """How people respond to an alert, what they did, and what was sent; of the bundle that names it too."""
    response = (await responses.of(database, [alert_id])).get(alert_id)
    told_in = await responses.bundles_of(database, alert_id)
    return response, await actions.of(database, alert_id, *told_in), await sendings.of(database, alert_id, *told_in)
