"""``listener alerts list`` and ``show``: what fires and has fired, who is on it; ``listener watch``: as they come."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from listener.alerts.console import show
from listener.alerts.mqtt.watch import Event
from listener.alerts.mqtt.watch import watch as follow
from listener.alerts.wire.payload import AlertPayload, as_json
from listener.app import load_settings, policy_of_settings, utc_now
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    app,
    brief_time,
    counted,
    opened_database,
    out,
    print_json,
    print_table,
)
from listener.config import Settings
from listener.domain import Alert, AlertState, Hold, Response
from listener.errors import ConfigError, Fault
from listener.store import Database, actions, responses, sendings, silences
from listener.store import alerts as store
from listener.store.actions import Handled
from listener.store.sendings import Sending

group = typer.Typer(help="Alerts: what fires, who is on it, and what to do about it.", no_args_is_help=True)
app.add_typer(group, name="alerts")

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id of an alert (`listener alerts list`) or of a message about several, or its beginning.",
    ),
]
SHORT = 8  # characters of an id that are shown
HELD = {
    Hold.SILENCE: "held by a silence",
    Hold.MAINTENANCE: "held by maintenance",
    Hold.QUIET_HOURS: "held by quiet hours",
    Hold.INHIBITED: "held: a page of its brand says it already",
    Hold.STORM: "held: too many at once, the next message names it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why the newest event of an alert was not told yet, and until when, where that is known."""

    by: Hold
    until_at: datetime | None = None

    def __str__(self) -> str:
        return HELD[self.by] + (f" until {_minute(self.until_at)} UTC" if self.until_at is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert, how people respond to it, and what holds back that they are told."""

    alert: Alert
    response: Response | None = None
    held: Held | None = None

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.alert.id,
            **asdict(self.alert),
            "response": None if self.response is None else asdict(self.response),
            "hold": None if self.held is None else self.held.by.value,
            "held_until": None if self.held is None else self.held.until_at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was done and sent about an alert, or about all that a message names: then ``bundle`` is its id."""

    standings: tuple[Standing, ...]
    bundle: str | None
    history: list[Handled]
    sent: list[Sending]


@group.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    firing: Annotated[bool, typer.Option("--firing", help="Only those that fire now.")] = False,
    json_: JsonOption = False,
) -> None:
    """List alerts, the newest first, and who is on them."""
    found = asyncio.run(_recent(load_settings(config), limit, firing=firing))
    if json_:
        for standing in found:
            print_json(standing.document())
        return
    _print_alerts(found, utc_now())


@group.command("show")
def show_(alert_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Show an alert, or all that a message names: how they stand, who did what about it, and what was sent of it."""
    found = asyncio.run(_account(load_settings(config), alert_id))
    if json_:
        documents = [standing.document() for standing in found.standings]
        about_what = {"id": found.bundle, "alerts": documents} if found.bundle is not None else documents[0]
        sent = [{**asdict(one), "outcome": one.outcome} for one in found.sent]
        print_json({**about_what, "actions": [flat(one) for one in found.history], "notifications": sent})
        return
    now = utc_now()
    if found.bundle is not None:
        told = counted(len(found.standings), "alert")
        out.print(f"message   {found.bundle}, about {told}", markup=False, highlight=False, soft_wrap=True)
        _print_alerts(found.standings, now)
    else:
        for name, value in _facts(found.standings[0], now):
            out.print(f"{name:<9} {value}", markup=False, highlight=False)
    print_table(
        ["at UTC", "by", "via", "action", "what", "outcome", "explanation"],
        [_row(one, now) for one in found.history],
        title="Who did what",
        whole=("at UTC", "via", "action", "outcome"),
        prose=("what", "explanation"),
        spare=("via",),
    )
    print_sendings(found.sent, title="What was sent")


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


def print_sendings(sent: Sequence[Sending], *, title: str | None = None) -> None:
    """What was sent and how that went, one notification a row."""
    print_table(
        ["decided UTC", "receiver", "reason", "outcome", "at", "attempts", "error"],
        [_sending_row(one) for one in sent],
        title=title,
        whole=("decided UTC", "reason", "outcome", "at", "attempts"),
        prose=("error",),
        spare=("attempts", "reason"),
    )


def _print_alerts(found: Sequence[Standing], now: datetime) -> None:
    print_table(
        ["id", "started UTC", "brand", "rule", "severity", "state", "ended UTC", "who", "what"],
        [
            (
                one.alert.id[:SHORT],
                brief_time(one.alert.started_at, now),
                one.alert.brand,
                one.alert.rule,
                one.alert.severity.value,
                one.alert.state.value,
                brief_time(one.alert.ended_at, now),
                who(one.response, now) or one.held or "",
                one.alert.signal.reason,
            )
            for one in found
        ],
        whole=("id", "started UTC", "severity", "state", "ended UTC"),
        prose=("what",),
        spare=("what", "ended UTC", "state", "rule"),
    )


def _sending_row(one: Sending) -> tuple[Any, ...]:
    at = one.sent_at or one.dead_at
    return (
        f"{one.decided_at:%d %b %H:%M:%S}",
        one.receiver,
        one.reason.value,
        one.outcome,
        f"{at:%H:%M:%S}" if at else "",
        one.attempts,
        one.error,
    )


def _facts(standing: Standing, now: datetime) -> list[tuple[str, str]]:
    alert, response = standing.alert, standing.response
    facts = [
        ("alert", f"{alert.id}, event {alert.seq}"),
        ("brand", f"{alert.brand}, rule {alert.rule}, {alert.severity.value}"),
        ("state", alert.state.value + (f" ({alert.resolution.value})" if alert.resolution else "")),
        ("started", f"{_minute(alert.started_at)} UTC"),
        ("ended", f"{_minute(alert.ended_at)} UTC" if alert.ended_at else ""),
        ("what", alert.signal.reason),
        ("held", "" if standing.held is None else str(standing.held).removeprefix("held").removeprefix(":").strip()),
    ]
    if response is not None:
        facts += [
            (
                "told",
                f"{', '.join(response.receivers)}, {counted(response.repeats, 'repeat')}" if response.receivers else "",
            ),
            ("who", who(response, now)),
            ("cause", response.cause or ""),
            ("helped", response.helped or ""),
        ]
    return [(name, value) for name, value in facts if value]


def _row(one: Handled, now: datetime) -> tuple[Any, ...]:
    action = one.action
    details = [
        f"{action.minutes:g} min" if action.minutes else "",
        f"to {action.assignee}" if action.assignee else "",
        action.comment or "",
        f"helped: {action.helped}" if action.helped else "",
    ]
    return (
        brief_time(action.at, now),
        action.by,
        action.via.value,
        action.act.value,
        ", ".join(detail for detail in details if detail),
        one.outcome.value if one.outcome else "waiting",
        one.explanation,
    )


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


async def _recent(settings: Settings, limit: int, *, firing: bool) -> list[Standing]:
    async with opened_database(settings) as database:
        found = await store.recent(database, limit=limit, state=AlertState.FIRING if firing else None)
        return await _standings(settings, database, found)


async def _account(settings: Settings, start: str) -> Account:
    async with opened_database(settings) as database:
        found = await store.by_id(database, start)
        bundles = [] if found else await responses.bundle_ids(database, start)
        if len(bundles) == 1:
            async with database.reading() as connection:
                named = [alert_id for alert_id, _ in await responses.members(connection, bundles[0])]
            found = await store.several(database, list(dict.fromkeys(named)))
            history, sent = await actions.of(database, bundles[0]), await sendings.of(database, bundles[0])
            standings = await _standings(settings, database, found)
            return Account(standings=tuple(standings), bundle=bundles[0], history=history, sent=sent)
        alert = only(found, start)
        _, history, sent = await about(database, alert.id)
        standings = await _standings(settings, database, [alert])
        return Account(standings=tuple(standings), bundle=None, history=history, sent=sent)


async def _standings(settings: Settings, database: Database, found: Sequence[Alert]) -> list[Standing]:
    ids = [alert.id for alert in found]
    answered = await responses.of(database, ids)
    holds = await store.held(database, ids)
    held = await _held(settings, database, [alert for alert in found if alert.id in holds], holds)
    return [Standing(alert=one, response=answered.get(one.id), held=held.get(one.id)) for one in found]


async def _held(
    settings: Settings, database: Database, found: Sequence[Alert], holds: Mapping[str, Hold]
) -> dict[str, Held]:
    """Until when that is, by what the configuration and the silences say now."""
    if not found:
        return {}
    now, policy = utc_now(), policy_of_settings(settings)
    muted = await silences.active(database, now=now)
    told: dict[str, Held] = {}
    for one in found:
        now_by = policy.hold(one.brand, one.rule, one.severity, now, muted)
        until_at = policy.hold_ends_at(one.brand, one.rule, one.severity, now, muted)
        told[one.id] = Held(by=now_by or holds[one.id], until_at=until_at)
    return told


async def about(database: Database, alert_id: str) -> tuple[Response | None, list[Handled], list[Sending]]:
    """How people respond to an alert, what they did, and what was sent; of the bundle that names it too."""
    response = (await responses.of(database, [alert_id])).get(alert_id)
    told_in = await responses.bundles_of(database, alert_id)
    return response, await actions.of(database, alert_id, *told_in), await sendings.of(database, alert_id, *told_in)
