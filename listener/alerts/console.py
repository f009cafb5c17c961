"""An alert on a terminal, as a person on call wants to read it: what, how bad, since when, how sure, where to look."""

import unicodedata
from datetime import datetime, timedelta

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from listener.alerts.mqtt.watch import Connection, Event
from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.payload import AlertPayload, StatePayload, StatusPayload
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
REASONS = {
    Reason.FIRST: "new",
    Reason.WORSENED: "got worse",
    Reason.REOPENED: "again",
    Reason.RESOLVED: "over",
    Reason.DIGEST: "digest",
}


def show(console: Console, event: Event, *, now: datetime) -> None:
    """Print one event: an alert as a card on a terminal and as plain lines elsewhere, anything else as one line."""
    match event:
        case AlertPayload() if console.is_terminal:
            console.print(card(event, now=now))
        case AlertPayload():
            console.print(Text(plain(event, now=now)), soft_wrap=True)
        case StatePayload() | StatusPayload() | DigestPayload() | Connection():
            console.print(Text.assemble((f"{now.astimezone():%H:%M:%S}  ", "dim"), line(event)), soft_wrap=True)


def card(alert: AlertPayload, *, now: datetime) -> RenderableType:
    """The alert in a frame."""
    over = alert.state is AlertState.RESOLVED
    title = Text.assemble(
        (f" {_label(alert)} ", RESOLVED_BADGE if over else BADGES[alert.severity]),
        (f" {clean(alert.title)}", "bold default"),
        (f" · {REASONS[alert.reason]}", "default"),
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    if alert.expected is not None:
        facts.add_row("Negative", bar(alert))
    for name, value in rows(alert, now=now):
        facts.add_row(name, value)
    parts: list[RenderableType] = [Text(_sentences(alert)), Text(), facts]
    if links := [Text(link, overflow="fold") for link in _links(alert)]:
        parts += [Text(), Text("Read first", style="dim"), *links]
    parts += [Text(), Text(_more(alert), style="dim")]
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        box=ROUNDED,
        border_style=RESOLVED_EDGE if over else EDGES[alert.severity],
        width=CARD_CELLS,
        padding=(1, 2),
    )


def plain(alert: AlertPayload, *, now: datetime) -> str:
    """The same without colours and frames, for a file or a pipe."""
    facts = [("Negative", _shares(alert)), *rows(alert, now=now)]
    return "\n".join(
        [
            f"{_label(alert)} {clean(alert.title)} ({REASONS[alert.reason]})",
            f"  {_sentences(alert)}",
            *(f"  {name:<12}{value}" for name, value in facts),
            *(f"  {link}" for link in _links(alert)),
            f"  {_more(alert)}",
        ]
    )


def rows(alert: AlertPayload, *, now: datetime) -> list[tuple[str, str]]:
    """The facts below the sentences, each with its name."""
    movement = f"{_signed(alert.perception_before)} → {_signed(alert.perception)}, of -100 to +100"
    facts = [
        ("Perception", movement),
        ("Since", f"{_clock(alert.started_at, now)}, {_span(now - alert.started_at)} ago"),
    ]
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


def line(event: StatePayload | StatusPayload | DigestPayload | Connection) -> Text:
    """What is no alert, in one line."""
    match event:
        case StatePayload():
            numbers = f"{_percent(event.observed)} of {event.mentions} mentions negative"
            mood = f" is {event.state}: perception {_signed(event.perception)}, {numbers}"
            return Text.assemble((clean(event.title), "bold"), mood)
        case StatusPayload():
            return Text(f"listener {clean(event.instance)} is {event.state} ({event.reason})")
        case DigestPayload():
            words = event.text.get("en")
            return Text(clean(f"{words.title}. {words.body}") if words else f"Digest of {clean(event.day)}")
        case Connection():
            lost = event.problem is not None and f"no connection to the broker: {clean(event.problem)}"
            return Text(lost or "connected to the broker")


def clean(text: str) -> str:
    """``text`` without control and formatting characters: they could drive the terminal or turn the reading order."""
    return "".join(char for char in text if not unicodedata.category(char).startswith("C"))


def _label(alert: AlertPayload) -> str:
    return "RESOLVED" if alert.state is AlertState.RESOLVED else alert.severity.value.upper()


def _sentences(alert: AlertPayload) -> str:
    return clean(alert.text["en"].body if "en" in alert.text else alert.explanation)


def _links(alert: AlertPayload) -> list[str]:
    return [f"{number}. {clean(link.url or link.id)}" for number, link in enumerate(alert.evidence, 1)]


def _more(alert: AlertPayload) -> str:
    return f"More: listener explain {clean(alert.alert_id)[:8]} (event {alert.seq}, rule {clean(alert.rule)})"


def _shares(alert: AlertPayload) -> str:
    return f"{_percent(alert.observed)}, usually {_percent(alert.expected)}"


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
