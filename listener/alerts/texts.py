"""An alert in words, in English and Estonian, for a person woken at three in the morning. Pure.

What, how bad against what is usual, since when, how sure, where to look: short sentences in that order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from listener.domain import Alert, Reason, Severity, Signal

MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A headline of a few words, and a few sentences."""

    title: str
    body: str


def alert_words(alert: Alert, reason: Reason, *, title: str) -> Mapping[str, Text]:
    """The words by language (ISO 639-1). ``title`` is the brand's name for people."""
    return {"en": _english(alert, reason, title), "et": _estonian(alert, reason, title)}


def _english(alert: Alert, reason: Reason, brand: str) -> Text:
    signal = alert.signal
    level = {Severity.INFO: "Note", Severity.WARNING: "Warning", Severity.CRITICAL: "CRITICAL"}[alert.severity]
    headline = {
        Reason.FIRST: f"{level}: {brand}, far more complaints than usual",
        Reason.WORSENED: f"{level}: {brand}, it is getting worse",
        Reason.RESOLVED: f"Resolved: {brand}, complaints are back near the usual",
    }[reason]
    what = (
        f"{_percent(signal.observed)} of the {signal.mentions} mentions of {brand} in the last {_english_span(signal)} "
        f"are negative; {_percent(signal.expected)} is usual."
    )
    if reason is Reason.RESOLVED:
        return Text(title=headline, body=f"{what} The alert lasted {_lasting(alert, 'h')}. There is nothing to do.")
    since = f"The alert began at {_clock(alert.started_at)} UTC."
    sure = f"Allowing for chance, it is between {_percent(signal.low)} and {_percent(signal.high)}."
    look = " Start with the linked mentions." if alert.evidence else ""
    return Text(title=headline, body=f"{what} {since} {sure}{look}")


def _estonian(alert: Alert, reason: Reason, brand: str) -> Text:
    signal = alert.signal
    level = {Severity.INFO: "Teade", Severity.WARNING: "Hoiatus", Severity.CRITICAL: "KRIITILINE"}[alert.severity]
    headline = {
        Reason.FIRST: f"{level}: {brand}, kaebusi on tavalisest palju rohkem",
        Reason.WORSENED: f"{level}: {brand}, olukord halveneb",
        Reason.RESOLVED: f"Lahenenud: {brand}, kaebusi on jälle umbes nagu tavaliselt",
    }[reason]
    what = (
        f"{brand}: viimase {_estonian_span(signal)} jooksul on {signal.mentions} mainimisest negatiivsed "
        f"{_percent(signal.observed)}, tavaliselt {_percent(signal.expected)}."
    )
    if reason is Reason.RESOLVED:
        return Text(title=headline, body=f"{what} Häire kestis {_lasting(alert, 't')}. Midagi ei ole vaja teha.")
    since = f"Häire algas kell {_clock(alert.started_at)} UTC."
    sure = f"Juhuslikkust arvestades on see {_percent(signal.low)} ja {_percent(signal.high)} vahel."
    look = " Alusta lingitud mainimistest." if alert.evidence else ""
    return Text(title=headline, body=f"{what} {since} {sure}{look}")


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.0%}"


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M")


def _hours(passed: timedelta) -> tuple[int, int]:
    """Whole hours, and the minutes beyond them."""
    return divmod(max(1, round(passed.total_seconds() / 60)), MINUTES_PER_HOUR)


def _span(signal: Signal) -> tuple[int, int]:
    return _hours(signal.window_end_at - signal.window_start_at)


def _english_span(signal: Signal) -> str:
    """The judged stretch, after "in the last"."""
    hours, minutes = _span(signal)
    if minutes:
        return f"{hours * MINUTES_PER_HOUR + minutes} minutes"
    return "hour" if hours == 1 else f"{hours} hours"


def _estonian_span(signal: Signal) -> str:
    """The judged stretch, after "viimase", in the genitive."""
    hours, minutes = _span(signal)
    if minutes:
        return f"{hours * MINUTES_PER_HOUR + minutes} minuti"
    return "tunni" if hours == 1 else f"{hours} tunni"


def _lasting(alert: Alert, hour_sign: str) -> str:
    hours, minutes = _hours((alert.ended_at or alert.updated_at) - alert.started_at)
    return f"{hours} {hour_sign} {minutes} min" if hours else f"{minutes} min"
