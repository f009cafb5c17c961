"""An alert on a terminal, as a person on call wants to read it: what, how bad, since when, how sure, what to do."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from listener.alerts.mqtt.watch import Connection, Event
from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.findings import AnswerFindings, Words
from listener.alerts.wire.oncall import ActionPayload, BundleMember, BundlePayload, TestPayload, WatchdogPayload
from listener.alerts.wire.payload import AlertPayload, StatePayload, StatusPayload
from listener.alerts.words.languages import clean
from listener.domain import AlertState, Reason, Severity

BAR_CELLS = 40
CARD_CELLS = 92  # wider is harder to read
# Text on its own background reads the same on light and dark terminals; all other text keeps the terminal's colour.
BADGES = {
    Severity.INFO: "bold white on blue",
    Severity.WARNING: "bold black on yellow",
    Severity.CRITICAL: "bold white on red",
}
RESOLVED_BADGE = "bold black on green"
EDGES = {Severity.INFO: "blue", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}
RESOLVED_EDGE = "green"
DRILL_BADGE = "bold black on cyan"
DRILL = "DRILL: nothing has happened"
ESCALATE = "Nobody has answered, and nobody is asked again: take it further."
ARTICLES_MAX = 3
PAST_MAX = 2
REASONS = {
    Reason.FIRST: "new",
    Reason.WORSENED: "got worse",
    Reason.REOPENED: "again",
    Reason.REPEAT: "reminder",
    Reason.RESOLVED: "over",
    Reason.ESCALATED: "nobody has answered",
    Reason.DIGEST: "digest",
    Reason.WATCHDOG: "watchdog",
    Reason.TEST: "test",
}
BUNDLES = {
    "storm": "many at once",
    "market": "the whole market",
    "held": "held back until now",
    "missed": "could not be delivered in time",
}
Line = StatePayload | StatusPayload | DigestPayload | WatchdogPayload | TestPayload | ActionPayload | Connection


def show(console: Console, event: Event, *, now: datetime) -> None:
    """Print one event: alerts as a card on a terminal and as plain lines elsewhere, anything else as one line."""
    match event:
        case AlertPayload() if console.is_terminal:
            console.print(card(event, now=now))
        case AlertPayload():
            console.print(Text(plain(event, now=now)), soft_wrap=True)
        case BundlePayload() if console.is_terminal:
            console.print(bundle_card(event, now=now))
        case BundlePayload():
            console.print(Text(bundle_plain(event, now=now)), soft_wrap=True)
        case _:
            console.print(Text.assemble((f"{now.astimezone():%H:%M:%S}  ", "dim"), line(event)), soft_wrap=True)


def card(alert: AlertPayload, *, now: datetime) -> RenderableType:
    """The alert in a frame."""
    over = alert.state is AlertState.RESOLVED
    title = Text.assemble(
        (f" {DRILL} " if alert.drill else "", DRILL_BADGE),
        (f" {_label(alert)} ", RESOLVED_BADGE if over else BADGES[alert.severity]),
        (f" {clean(alert.title)}", "bold default"),
        (f" · {_reason(alert)}", "default"),
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    if alert.observed is not None and alert.expected is not None:
        facts.add_row("Negative", bar(alert))
    for name, value in rows(alert, now=now):
        facts.add_row(name, value)
    parts: list[RenderableType] = [Text(ESCALATE, style="bold")] if alert.escalate else []
    parts += [Text(_sentences(alert)), Text(), facts]
    if links := [Text(link, overflow="fold") for link in _links(alert)]:
        parts += [Text(), Text("Read first", style="dim"), *links]
    for heading, lines in _known(alert, now).items():
        parts += [Text(), Text(heading, style="dim"), *(Text(one, overflow="fold") for one in lines)]
    parts += [Text(), Text(_more(alert), style="dim")]
    return _framed(parts, title=title, edge=RESOLVED_EDGE if over else EDGES[alert.severity])


def bundle_card(bundle: BundlePayload, *, now: datetime) -> RenderableType:
    """Several alerts in one frame, each on a line."""
    title = Text.assemble(
        (f" {DRILL} " if bundle.drill else "", DRILL_BADGE),
        (f" {bundle.severity.value.upper()} ", BADGES[bundle.severity]),
        (f" {_bundle_title(bundle)}", "bold default"),
    )
    table = Table.grid(padding=(0, 2))
    for member in bundle.alerts:
        table.add_row(*_member(member, now))
    parts: list[RenderableType] = [Text(ESCALATE, style="bold")] if bundle.escalate else []
    parts += [Text(_said(bundle.text, "")), Text(), table]
    for answer in _answers(bundle.answer):
        parts += [Text(), Text(answer, style="dim", overflow="fold")]
    return _framed(parts, title=title, edge=EDGES[bundle.severity])


def bundle_plain(bundle: BundlePayload, *, now: datetime) -> str:
    """The same without colours and frames."""
    return "\n".join(
        [
            f"{DRILL + '. ' if bundle.drill else ''}{bundle.severity.value.upper()} {_bundle_title(bundle)}",
            *([f"  {ESCALATE}"] if bundle.escalate else []),
            f"  {_said(bundle.text, '')}",
            *(f"  {'  '.join(_member(member, now))}" for member in bundle.alerts),
            *(f"  {answer}" for answer in _answers(bundle.answer)),
        ]
    )


def _framed(parts: list[RenderableType], *, title: Text, edge: str) -> Panel:
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        box=ROUNDED,
        border_style=edge,
        width=CARD_CELLS,
        padding=(1, 2),
    )


def plain(alert: AlertPayload, *, now: datetime) -> str:
    """The same without colours and frames, for a file or a pipe."""
    shares = [("Negative", _shares(alert))] if alert.observed is not None else []
    facts = [*shares, *rows(alert, now=now)]
    return "\n".join(
        [
            f"{DRILL + '. ' if alert.drill else ''}{_label(alert)} {clean(alert.title)} ({_reason(alert)})",
            *([f"  {ESCALATE}"] if alert.escalate else []),
            f"  {_sentences(alert)}",
            *(f"  {name:<12}{value}" for name, value in facts),
            *(f"  {link}" for link in _links(alert)),
            *(f"  {heading}: {line}" for heading, lines in _known(alert, now).items() for line in lines),
            f"  {_more(alert)}",
        ]
    )


def rows(alert: AlertPayload, *, now: datetime) -> list[tuple[str, str]]:
    """The facts below the sentences, each with its name."""
    facts = [("Since", f"{_clock(alert.started_at, now)}, {_span(now - alert.started_at)} ago")]
    if alert.perception is not None:
        movement = f"{_signed(alert.perception_before)} → {_signed(alert.perception)}, of -100 to +100"
        facts.insert(0, ("Perception", movement))
    if alert.ended_at is not None:
        facts.append(("Until", f"{_clock(alert.ended_at, now)}, after {_span(alert.ended_at - alert.started_at)}"))
    return facts


def bar(alert: AlertPayload) -> Text:
    """The negative share as a bar with a mark where the usual one is, and both in numbers."""
    filled = round((alert.observed or 0.0) * BAR_CELLS)
    cells = ["━"] * filled + ["─"] * (BAR_CELLS - filled)
    if alert.expected is not None:
        usual = min(BAR_CELLS - 1, round(alert.expected * BAR_CELLS))
        cells[usual] = "┃"
    picture = Text("".join(cells))
    picture.stylize(RESOLVED_EDGE if alert.state is AlertState.RESOLVED else EDGES[alert.severity], 0, filled)
    picture.stylize("dim", filled, BAR_CELLS)
    return picture.append(f"  {_shares(alert)}")


def line(event: Line) -> Text:
    """What is no alert, in one line."""
    match event:
        case StatePayload():
            mentions = "1 mention" if event.mentions == 1 else f"{event.mentions} mentions"
            numbers = f"{_percent(event.observed)} of {mentions} negative"
            mood = f" is {event.state}: perception {_signed(event.perception)}, {numbers}"
            taken = f"; {clean(event.acked_by)} is on it" if event.acked_by else ""
            said = Text.assemble((clean(event.title), "bold"), mood, taken, "; " + ESCALATE if event.escalate else "")
        case StatusPayload():
            said = Text(f"listener {clean(event.instance)} is {event.state} ({event.reason})")
        case DigestPayload():
            words = event.text.get("en")
            said = Text(clean(f"{words.title}. {words.body}") if words else f"Digest of {clean(event.day)}")
        case WatchdogPayload():
            looked = f"{event.evaluated_at.astimezone():%H:%M:%S}"
            said = Text(f"listener {clean(event.instance)} watches: the rules looked at {looked}")
        case TestPayload():
            said = Text(f"a test of {clean(event.receiver)} by listener {clean(event.instance)}: it arrives")
        case ActionPayload():
            done = f"{clean(event.by) or 'somebody'} ({event.via}): {event.action} of {clean(event.target)[:8]}"
            said = Text(f"{done}, {event.outcome}: {clean(event.explanation)}")
        case Connection():
            lost = event.problem is not None and f"no connection to the broker: {clean(event.problem)}"
            said = Text(lost or "connected to the broker")
    return said


def _label(alert: AlertPayload) -> str:
    return "RESOLVED" if alert.state is AlertState.RESOLVED else alert.severity.value.upper()


def _reason(alert: AlertPayload) -> str:
    return REASONS[alert.reason]


def _sentences(alert: AlertPayload) -> str:
    return _said(alert.text, alert.explanation)


def _said(text: Mapping[str, Words], otherwise: str) -> str:
    return clean(text["en"].body if "en" in text else otherwise)


def _known(alert: AlertPayload, now: datetime) -> dict[str, list[str]]:
    """What to say, what it was the last times, and where to answer: each a heading and its lines."""
    articles = [
        clean(f"{one.title}{': ' + one.url if one.url else ''} ({_percent(one.similarity)} alike)")
        for one in alert.articles[:ARTICLES_MAX]
    ]
    past = [
        clean(
            f"{_clock(one.started_at, now)}: {one.cause or 'no cause noted'}{'; ' + one.helped if one.helped else ''}"
        )
        for one in alert.past[:PAST_MAX]
    ]
    found = {"What to answer": articles, "It was like this": past, "Answer": _answers(alert.answer)}
    return {heading: lines for heading, lines in found.items() if lines}


def _answers(answer: AnswerFindings | None) -> list[str]:
    """The links for the browser; without any, the topic for commands."""
    if answer is None:
        return []
    links = [clean(f"{action}: {link}") for action, link in answer.links.items()]
    return links or ([clean(f"{answer.topic} (seq {answer.seq})")] if answer.topic else [])


def _bundle_title(bundle: BundlePayload) -> str:
    reminder = f", {REASONS[Reason.REPEAT]}" if bundle.repeat else ""
    title = clean(bundle.text["en"].title) if "en" in bundle.text else "Several alerts"
    return f"{title} ({BUNDLES[bundle.kind]}{reminder})"


def _member(member: BundleMember, now: datetime) -> tuple[str, str, str, str, str]:
    over = member.state is AlertState.RESOLVED
    return (
        clean(member.alert_id)[:8],
        f"{'DRILL ' if member.drill else ''}{'resolved' if over else member.severity.value}",
        clean(member.title),
        "" if member.observed is None else _usual(member.observed, member.expected),
        f"since {_clock(member.started_at, now)}",
    )


def _links(alert: AlertPayload) -> list[str]:
    return [f"{number}. {clean(link.url or link.id)}" for number, link in enumerate(alert.evidence, 1)]


def _more(alert: AlertPayload) -> str:
    command = "alerts show" if alert.drill else "explain"  # a drill was decided from nothing
    return f"More: listener {command} {clean(alert.alert_id)[:8]} (event {alert.seq}, rule {clean(alert.rule)})"


def _shares(alert: AlertPayload) -> str:
    return _usual(alert.observed, alert.expected)


def _usual(observed: float | None, expected: float | None) -> str:
    return _percent(observed) + ("" if expected is None else f", usually {_percent(expected)}")


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.0%}"


def _signed(perception: float | None) -> str:
    return "?" if perception is None else f"{perception:+.0f}"


def _clock(at: datetime, now: datetime) -> str:
    """In the time zone of this machine; with the date when it is not today."""
    here, today = at.astimezone(), now.astimezone().date()
    return f"{here:%H:%M %Z}" if here.date() == today else f"{here:%d %b %H:%M %Z}"


def _span(passed: timedelta) -> str:
    hours, minutes = divmod(max(0, round(passed.total_seconds() / 60)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
