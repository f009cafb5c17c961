"""``listener oncall``: who is on call, and who would be told of an alert."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from listener.alerts.oncall.policy import Calendars, Policy, Told
from listener.app import load_settings, policy_of_settings, utc_now
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    EmptyDatabaseError,
    JsonOption,
    app,
    err,
    opened_database,
    out,
    print_json,
    print_table,
    time_of,
)
from listener.config import Settings
from listener.domain import Severity, Silence
from listener.errors import ConfigError, Fault, StoreError
from listener.pipeline.calendars import Copy, calendars_of, fetch_calendar, recall_calendars, refresh_calendars
from listener.store import silences

group = typer.Typer(help="Who is on call, and who would be told.", invoke_without_command=True)
app.add_typer(group, name="oncall")

SILENCES = 500  # that are looked at, those that end last
HOURS_SHOWN = 48  # of a copy's age; from there on it is in days
ANY_RULE = ""  # a silence of one rule is not about all alerts of the brand

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="At that moment instead of now: 2026-12-24T20:00, in this computer's time zone unless it has an offset.",
    ),
]


@group.callback()
def oncall(
    context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, at: AtOption = None, json_: JsonOption = False
) -> None:
    """Show who is on call for each schedule, until when, and who is next."""
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(config)
    policy, moment = policy_of_settings(settings), _moment(at)
    calendars = _calendars(settings, policy, moment)
    rows = [_row(policy, name, moment, calendars) for name in policy.schedules]
    if json_:
        for row in rows:
            print_json(row)
        return
    if not rows:
        out.print("No schedule is configured: add a table [schedules.NAME].", markup=False, highlight=False)
        return
    print_table(
        ["schedule", "on call", "until", "next"],
        [
            (
                row["schedule"],
                _names(policy, row["people"]) + (" (fallback)" if row["fallback"] and row["people"] else ""),
                _local(row["until"], policy.schedules[name].timezone),
                _names(policy, row["next"]),
            )
            for name, row in zip(policy.schedules, rows, strict=True)
        ],
        title=f"{moment:%Y-%m-%d %H:%M} UTC",
    )


@group.command()
def route(
    brand: Annotated[str, typer.Argument(help="A brand of the configuration.")],
    severity: Annotated[Severity, typer.Argument(help="How severe the alert would be.")],
    config: ConfigOption = DEFAULT_CONFIG,
    at: AtOption = None,
    json_: JsonOption = False,
) -> None:
    """Show who would be told of an alert, in which order and after how many minutes, and what would hold it back."""
    settings = load_settings(config)
    if brand not in settings.brands:
        fix = f"use one of: {', '.join(sorted(settings.brands)) or 'none is configured'}"
        raise ConfigError([Fault(path=f"brands.{brand}", problem="is not in the configuration", fix=fix)])
    policy, moment = policy_of_settings(settings), _moment(at)
    muted = _silences(settings, moment)
    hold = policy.hold(brand, ANY_RULE, severity, moment, muted)
    begins = policy.hold_ends_at(brand, ANY_RULE, severity, moment, muted) or moment
    rows = policy.plan(brand, severity, begins, _calendars(settings, policy, begins))
    chosen = policy.escalation(brand, severity)
    repeats = chosen.repeats_max if chosen is not None else 0
    if json_:
        print_json(
            {
                "brand": brand,
                "severity": severity.value,
                "at": moment,
                "hold": None if hold is None else hold.value,
                "held_until": None if hold is None else begins,
                "steps": [_step(row) for row in rows],
                "repeat_minutes": chosen.repeat_minutes if chosen is not None and repeats else None,
                "repeats_max": repeats,
            }
        )
        return
    if hold is not None:
        held = f"Held back by {hold.value.replace('_', ' ')} until {begins:%Y-%m-%d %H:%M} UTC"
        out.print(f"{held}; this is what happens then:", highlight=False)
    print_table(
        ["after", "to", "on call", "receivers"],
        [
            (
                f"{row.after_minutes:g} min",
                ", ".join(row.names),
                _names(policy, row.people) if row.people or row.gaps else "",
                ", ".join(row.receivers) or "nobody",
            )
            for row in rows
        ],
        title=f"{severity.value} alert of {brand}, {moment:%Y-%m-%d %H:%M} UTC",
    )
    if not rows[0].receivers:
        err.print("warning: no route is about such an alert", highlight=False, markup=False)
    if chosen is not None and repeats:
        out.print(_repeated(chosen.repeat_minutes, repeats), highlight=False)
    for gap in dict.fromkeys(gap for row in rows for gap in row.gaps):
        err.print(f"warning: nobody can be reached by way of {gap}", highlight=False, markup=False)


def _repeated(minutes: float, times: int) -> str:
    if times == 1:
        after = "a minute" if minutes == 1 else f"{minutes:g} minutes"
        return f"Then all of them once more after {after}, unless somebody answers."
    every = "minute" if minutes == 1 else f"{minutes:g} minutes"
    return f"Then all of them every {every}, {times} times at most, until somebody answers."


def _row(policy: Policy, name: str, at: datetime, calendars: Calendars) -> dict[str, Any]:
    duty = policy.duty(name, at, calendars)
    after = () if duty.until_at is None else policy.duty(name, duty.until_at, calendars).people
    return {
        "schedule": name,
        "people": duty.people,
        "fallback": duty.fallback,
        "until": duty.until_at,
        "next": after,
        "receivers": policy.reach((name,), at, calendars),
    }


def _step(row: Told) -> dict[str, Any]:
    return {
        "after_minutes": row.after_minutes,
        "to": row.names,
        "people": row.people,
        "receivers": row.receivers,
        "gaps": row.gaps,
    }


def _names(policy: Policy, people: Sequence[str]) -> str:
    return ", ".join(policy.people[one].title if one in policy.people else one for one in people) or "nobody"


def _local(at: datetime | None, zone: str) -> str:
    return "" if at is None else f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"


def _moment(at: str | None) -> datetime:
    return utc_now() if at is None else time_of(at, "--at")


def _silences(settings: Settings, at: datetime) -> Sequence[Silence]:
    """The silences that may count at ``at``."""

    async def read() -> list[Silence]:
        async with opened_database(settings) as database:
            return [one for one in await silences.recent(database, limit=SILENCES) if one.ends_at > at]

    try:
        return asyncio.run(read())
    except EmptyDatabaseError:  # the policy can be asked before there is a database: nobody has silenced anything yet
        return ()
    except StoreError as error:
        err.print(f"warning: silences are not known: {error}", highlight=False, markup=False)
        return ()


def _calendars(settings: Settings, policy: Policy, at: datetime) -> Calendars:
    """The calendars as they are now, around ``at``.

    Where one cannot be read that is said, and the copy that the daemon has kept counts, or else its fallback.
    """
    copies = asyncio.run(_copies(settings, policy, at))
    for name, copy in copies.items():
        if copy.error is not None:
            counts = "no copy of it was found" if copy.read_at is None else f"what counts is {_aged(copy.read_at)}"
            err.print(f"warning: the calendar of {name} {copy.error}; {counts}", highlight=False, markup=False)
    return calendars_of(copies)


async def _copies(settings: Settings, policy: Policy, at: datetime) -> Mapping[str, Copy]:
    copies = await refresh_calendars(fetch_calendar, policy, {}, at)
    if all(copy.calendar is not None for copy in copies.values()):
        return copies  # a policy can be asked before there is a database
    try:
        async with opened_database(settings) as database:
            return await recall_calendars(database, policy, at, copies)
    except StoreError as error:
        if not isinstance(error, EmptyDatabaseError):
            err.print(f"warning: kept copies are not known: {error}", highlight=False, markup=False)
        return copies


def _aged(read_at: datetime) -> str:
    hours = (utc_now() - read_at).total_seconds() / 3600
    age = f"{hours:.0f} h" if hours < HOURS_SHOWN else f"{hours / 24:.0f} days"
    return f"the copy of {read_at:%Y-%m-%d %H:%M} UTC, {age} ago"
