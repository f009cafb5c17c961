"""``listener silences``: timed, attributed mutes by matchers; they mute delivery, never detection."""

import asyncio
import getpass
import uuid
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

import typer

from listener.alerts.oncall.rounds import DRILL
from listener.app import load_settings, rules_of, utc_now
from listener.cli.root import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    app,
    brief_time,
    opened_database,
    out,
    print_json,
    print_table,
    time_of,
)
from listener.config import Settings
from listener.config.references import unknown_rule
from listener.domain import Severity, Silence
from listener.errors import ConfigError, Fault
from listener.store import silences as store

group = typer.Typer(help="Silences: whom to leave alone about what, for a while.", no_args_is_help=True)
app.add_typer(group, name="silences")

MINUTES_MAX = 60 * 24 * 30
ByOption = Annotated[
    str | None, typer.Option("--by", help="Who you are; the name that you are logged in with, if not given.")
]
TIME_HELP = "ISO 8601: 2026-12-24T20:00, in this computer's time zone unless it has an offset (+02:00, Z)."


@group.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    active: Annotated[bool, typer.Option("--active", help="Only those that mute now.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the last to end first.")] = 50,
    json_: JsonOption = False,
) -> None:
    """List silences, the ones that end last first."""
    now = utc_now()
    found = asyncio.run(_recent(load_settings(config), limit))
    if active:
        found = [one for one in found if one.starts_at <= now < one.ends_at]
    if json_:
        for one in found:
            print_json({**asdict(one), "active": one.starts_at <= now < one.ends_at})
        return
    print_table(
        ["id", "state", "starts", "ends", "brand", "rule", "severity", "by", "comment"],
        [
            (
                one.id[:8],
                "over" if one.ends_at <= now else "waits" if one.starts_at > now else "mutes",
                brief_time(one.starts_at.astimezone(), now),
                brief_time(one.ends_at.astimezone(), now),
                one.brand or "all",
                one.rule or "all",
                one.severity.value if one.severity else "all",
                one.created_by,
                one.comment,
            )
            for one in found
        ],
        title=f"In this computer's time zone, now {now.astimezone():%z}",
        whole=("id", "state", "starts", "ends", "severity"),
        prose=("comment",),
        spare=("comment", "starts", "by"),
    )


@group.command()
def add(
    config: ConfigOption = DEFAULT_CONFIG,
    brand: Annotated[str | None, typer.Option(help="Only alerts of this brand.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only alerts of this rule.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only alerts so severe.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything; instead of a matcher.")] = False,
    minutes: Annotated[float | None, typer.Option(min=1, max=MINUTES_MAX, help="How long.")] = None,
    until: Annotated[str | None, typer.Option(help=f"... or until when. {TIME_HELP}")] = None,
    starts: Annotated[str | None, typer.Option("--from", help=f"From when, if not from now. {TIME_HELP}")] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    by: ByOption = None,
    json_: JsonOption = False,
) -> None:
    """Mute what matches. Everything goes on to be kept and listed, and is told as a digest when it ends."""
    settings = load_settings(config)
    if all_ != (brand is None and rule is None and severity is None):
        raise typer.BadParameter("give --brand, --rule or --severity, or only --all", param_hint="--all")
    if brand is not None and brand not in settings.brands:
        known = ", ".join(settings.brands)
        raise ConfigError([Fault(path=f"brands.{brand}", problem="no such brand", fix=f"there are: {known}")])
    if rule is not None and (problem := unknown_rule(rule, [*(one.name for one in rules_of(settings)), DRILL])):
        fix = "leave --rule out for all rules"
        raise ConfigError([Fault(path=f"rules.{rule}", problem=problem, fix=fix)])
    starts_at, ends_at = _span(utc_now(), starts, until, minutes)
    made = Silence(
        id=str(uuid.uuid4()),
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=by or getpass.getuser(),
        comment=comment,
        brand=brand,
        rule=rule,
        severity=severity,
    )
    asyncio.run(_put(settings, made))
    if json_:
        print_json(asdict(made))
    else:
        out.print(f"{made.id[:8]}: {_local(starts_at)} until {_local(ends_at)}", markup=False, highlight=False)


@group.command()
def end(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id, or enough of its beginning.")],
    config: ConfigOption = DEFAULT_CONFIG,
    by: ByOption = None,
    json_: JsonOption = False,
) -> None:
    """End a silence now; what it held back is told."""
    ended = asyncio.run(_end(load_settings(config), silence_id, by or getpass.getuser()))
    if json_:
        print_json(asdict(ended))
    else:
        out.print(f"{ended.id[:8]}: ended {_local(ended.ends_at)}", markup=False, highlight=False)


def _span(now: datetime, starts: str | None, until: str | None, minutes: float | None) -> tuple[datetime, datetime]:
    """From when until when. Raises BadParameter."""
    if (until is None) == (minutes is None):
        raise typer.BadParameter("give either --minutes or --until", param_hint="--minutes, --until")
    starts_at = now if starts is None else max(now, time_of(starts, "--from"))
    try:
        ends_at = starts_at + timedelta(minutes=minutes or 0) if until is None else time_of(until, "--until")
    except OverflowError:  # times have an end
        raise typer.BadParameter(f"{starts!r} is too far away", param_hint="--from") from None
    if ends_at <= starts_at:
        raise typer.BadParameter(f"{_local(ends_at)} is over already", param_hint="--until")
    if ends_at - starts_at > timedelta(minutes=MINUTES_MAX):
        raise typer.BadParameter("a silence is 30 days long at most", param_hint="--until")
    return starts_at, ends_at


def _local(at: datetime) -> str:
    """In this computer's time zone, which is said."""
    here = at.astimezone()
    return f"{here:%Y-%m-%d %H:%M} {here:%z}"


def _only(found: list[Silence], start: str) -> Silence:
    if len(found) == 1:
        return found[0]
    problem, fix = "no silence has this id", "see `listener silences list`"
    if found:
        problem = f"{len(found)} silences have ids that begin like this"
        fix = f"take one of {', '.join(one.id for one in found)}"
    raise ConfigError([Fault(path=f"silence {start}", problem=problem, fix=fix)])


async def _recent(settings: Settings, limit: int) -> list[Silence]:
    async with opened_database(settings) as database:
        return await store.recent(database, limit=limit)


async def _put(settings: Settings, silence: Silence) -> None:
    async with opened_database(settings) as database:
        await store.put(database, silence)


async def _end(settings: Settings, start: str, by: str) -> Silence:
    async with opened_database(settings) as database:
        found = _only(await store.by_id(database, start), start)
        ended = await store.end(database, found.id, now=utc_now(), by=by)
    if ended is None:
        fix = f"it ended {_local(found.ends_at)}"
        raise ConfigError([Fault(path=f"silence {start}", problem="is over already", fix=fix)])
    return ended
