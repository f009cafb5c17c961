"""An alert in words, in English and Estonian, for a person woken at three in the morning. Pure.

What, how bad against what is usual, since when, how fast, how sure, where it comes from, where to look: short
sentences in that order, and none that the numbers do not carry.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from listener.alerts.detection.market import Market
from listener.domain import Alert, Channel, Rate, Reason, Resolution, Severity, Signal, Strength

MINUTES_PER_HOUR = 60
ODDS_MAX = 1_000_000_000.0
DAY_HOURS = 24
LONG_HOURS = 48  # longer is told in days
RATE_MENTIONS = 10  # with fewer in the hour, the fall within the day is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A headline of a few words, and a few sentences."""

    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told: ``title`` is the brand's name for people, ``proven`` sentences by language, ``names`` of brands."""

    alert: Alert
    reason: Reason
    title: str
    proven: Mapping[str, Sequence[str]]
    market: Market | None = None
    names: Mapping[str, str]


def alert_words(told: Told) -> Mapping[str, Text]:
    """The words by language (ISO 639-1)."""
    return {"en": _english(told), "et": _estonian(told)}


# ----------------------------------------------------------------------------------------------------------- English


def _english(told: Told) -> Text:
    alert, signal = told.alert, told.alert.signal
    if told.reason is Reason.RESOLVED:
        return _english_end(told)
    level = {Severity.INFO: "Note", Severity.WARNING: "Warning", Severity.CRITICAL: "CRITICAL"}[alert.severity]
    again = {Reason.WORSENED: ", it is getting worse", Reason.REOPENED: ", again"}.get(told.reason, "")
    market = " (whole market)" if _whole(told) else ""
    if Channel.SOURCES in signal.channels:
        since = f" since {_clock(signal.onset_at)} UTC" if signal.onset_at else ""
        body = f"These sources fail{since}: {', '.join(signal.sources)}. What customers say there is not heard: silence"
        body += " is no good news. Check the sources (`listener sources`)."
        return Text(title=f"{level}: {told.title} cannot be heard{again}", body=body)
    if Channel.MENTION in signal.channels:
        body = (
            f"One mention of {told.title} tells of a negative experience (risk {_percent(signal.observed)}) and may be "
            f"seen by {_number(signal.reach)} people. It is linked."
        )
        return Text(title=f"{level}: {told.title}, one complaint that many may see{again}", body=body)
    match signal.channels:
        case (Channel.EVIDENCE,):
            headline = "far more complaints than usual"
        case (Channel.VOLUME,):
            headline = "complaints pile up"
        case _:
            headline = "far more complaints, and more of them at once"
    sentences = [_english_what(signal, told.title), *_english_volume(signal)]
    if signal.onset_at is not None:
        sentences.append(f"It began at about {_clock(signal.onset_at)} UTC.")
    sentences += [*_english_rate(signal), *_english_burn(signal), *_english_sure(signal), *told.proven.get("en", ())]
    if told.market is not None and told.market.verdict != "unknown":
        sentences.append(_english_market(told))
    if alert.evidence:
        sentences.append("Start with the linked mentions.")
    return Text(title=f"{level}: {told.title}, {headline}{again}{market}", body=" ".join(sentences))


def _english_end(told: Told) -> Text:
    alert, signal = told.alert, told.alert.signal
    lasted = f"The alert lasted {_lasting(alert, 'h')}."
    if alert.resolution is Resolution.NO_DATA:
        body = f"Nobody has spoken of {told.title} for {_days(alert)} days: nothing tells whether it is over. {lasted}"
        return Text(title=f"Closed without recovery: {told.title}, nobody speaks", body=body)
    if alert.resolution is Resolution.EXPIRED:
        body = f"{lasted} That says nothing of how it went on; look at the linked mention."
        return Text(title=f"Ended: {told.title}, one complaint that many may see", body=body)
    if signal.strength is None:
        return Text(
            title=f"Resolved: {told.title} can be heard again", body=f"{lasted} What was missed is counted late."
        )
    body = f"{_english_what(signal, told.title)} {lasted} There is nothing to do."
    return Text(title=f"Resolved: {told.title}, complaints are back near the usual", body=body)


def _english_what(signal: Signal, brand: str) -> str:
    strength = signal.strength
    allowed = f", {_percent(strength.budget)} is the budget" if strength is not None else ""
    if not signal.mentions:
        return f"Nobody has spoken of {brand} {_english_span(signal)}; {_percent(signal.expected)} is usual{allowed}."
    return (
        f"{_percent(signal.observed)} of the {signal.mentions} mentions of {brand} {_english_span(signal)} tell of a "
        f"negative experience; {_percent(signal.expected)} is usual{allowed}."
    )


def _english_volume(signal: Signal) -> list[str]:
    strength = signal.strength
    if strength is None or Channel.VOLUME not in signal.channels:
        return []
    return [f"{strength.volume_seen:.0f} complaints came in 3 hours; {_few(strength.volume_usual)} are usual."]


def _english_rate(signal: Signal) -> list[str]:
    rate = _rate(signal)
    if rate is None or rate.points is None or rate.points >= 0:
        return []
    within = "an hour" if rate.per == "hour" else "a day"
    bounds = f"{_fall(rate.high)} to {_fall(rate.low)}"
    fell = f"Perception fell by {_fall(rate.points)} points within {within} ({bounds})"
    return [f"{fell}; {_few(rate.threshold)} is the limit."]


def _english_burn(signal: Signal) -> list[str]:
    found = _burn(signal)
    if found is None:
        return []
    burn, gone = found
    text = f"The budget burns {burn:.1f} times as fast as allowed"
    if gone is not None:
        text += "; the month's is used up" if gone <= 0 else f"; the month's is gone in {_english_hours(gone)}"
    return [f"{text}."]


def _english_sure(signal: Signal) -> list[str]:
    strength = signal.strength
    if strength is None or Channel.EVIDENCE not in signal.channels:
        return []
    return [f"The evidence is {_odds(strength.evidence)} to 1; {_odds(strength.limit)} to 1 wakes somebody."]


def _english_market(told: Told) -> str:
    market = told.market
    if market is None:
        return ""
    moving, still = _names(told, market.moving), _names(told, market.still)
    if market.verdict == "whole_market":
        return f"The whole market moves: {moving} too."
    return (
        f"It is this brand alone: {still} did not move." if not moving else f"Of its competitors only {moving} moved."
    )


def _english_span(signal: Signal) -> str:
    hours, minutes = _span(signal)
    if minutes:
        return f"in the last {hours * MINUTES_PER_HOUR + minutes} minutes"
    return "in the last hour" if hours == 1 else f"in the last {hours} hours"


def _english_hours(hours: float) -> str:
    return f"{hours:.0f} hours" if hours < LONG_HOURS else f"{hours / DAY_HOURS:.0f} days"


# ---------------------------------------------------------------------------------------------------------- Estonian


def _estonian(told: Told) -> Text:
    alert, signal = told.alert, told.alert.signal
    if told.reason is Reason.RESOLVED:
        return _estonian_end(told)
    level = {Severity.INFO: "Teade", Severity.WARNING: "Hoiatus", Severity.CRITICAL: "KRIITILINE"}[alert.severity]
    again = {Reason.WORSENED: ", olukord halveneb", Reason.REOPENED: ", jälle"}.get(told.reason, "")
    market = " (kogu turg)" if _whole(told) else ""
    if Channel.SOURCES in signal.channels:
        since = f" alates kella {_clock(signal.onset_at)} UTC" if signal.onset_at else ""
        body = (
            f"Need allikad ei tööta{since}: {', '.join(signal.sources)}. Mida kliendid seal räägivad, ei ole kuulda: "
        )
        body += "vaikus ei ole hea uudis. Kontrolli allikaid (`listener sources`)."
        return Text(title=f"{level}: {told.title} ei ole kuulda{again}", body=body)
    if Channel.MENTION in signal.channels:
        body = (
            f"Üks {told.title} mainimine räägib halvast kogemusest (risk {_percent(signal.observed)}) ja seda võib "
            f"näha {_number(signal.reach)} inimest. Link on juures."
        )
        return Text(title=f"{level}: {told.title}, üks kaebus, mida võivad näha paljud{again}", body=body)
    match signal.channels:
        case (Channel.EVIDENCE,):
            headline = "kaebusi on tavalisest palju rohkem"
        case (Channel.VOLUME,):
            headline = "kaebused kuhjuvad"
        case _:
            headline = "kaebusi on palju rohkem ja need kuhjuvad"
    sentences = [_estonian_what(signal, told.title), *_estonian_volume(signal)]
    if signal.onset_at is not None:
        sentences.append(f"See algas umbes kell {_clock(signal.onset_at)} UTC.")
    sentences += [*_estonian_rate(signal), *_estonian_burn(signal), *_estonian_sure(signal)]
    sentences += told.proven.get("et", ())
    if told.market is not None and told.market.verdict != "unknown":
        sentences.append(_estonian_market(told))
    if alert.evidence:
        sentences.append("Alusta lingitud mainimistest.")
    return Text(title=f"{level}: {told.title}, {headline}{again}{market}", body=" ".join(sentences))


def _estonian_end(told: Told) -> Text:
    alert, signal = told.alert, told.alert.signal
    lasted = f"Häire kestis {_lasting(alert, 't')}."
    if alert.resolution is Resolution.NO_DATA:
        silent = f"{told.title}: {_days(alert)} päeva ei ole keegi midagi öelnud"
        body = f"{silent} ja miski ei näita, kas see on möödas. {lasted}"
        return Text(title=f"Suletud ilma taastumiseta: {told.title}, keegi ei räägi", body=body)
    if alert.resolution is Resolution.EXPIRED:
        body = f"{lasted} See ei ütle midagi selle kohta, kuidas edasi läks; vaata lingitud mainimist."
        return Text(title=f"Lõppenud: {told.title}, üks kaebus, mida võivad näha paljud", body=body)
    if signal.strength is None:
        return Text(
            title=f"Lahenenud: {told.title} on jälle kuulda", body=f"{lasted} Vahepealne loetakse tagantjärele."
        )
    body = f"{_estonian_what(signal, told.title)} {lasted} Midagi ei ole vaja teha."
    return Text(title=f"Lahenenud: {told.title}, kaebusi on jälle umbes nagu tavaliselt", body=body)


def _estonian_what(signal: Signal, brand: str) -> str:
    strength = signal.strength
    allowed = f", eelarve on {_percent(strength.budget)}" if strength is not None else ""
    if not signal.mentions:
        return (
            f"{brand}: {_estonian_span(signal)} ei ole keegi midagi öelnud; halbu kogemusi on tavaliselt "
            f"{_percent(signal.expected)}{allowed}."
        )
    return (
        f"{brand}: {_estonian_span(signal)} räägib {signal.mentions} mainimisest halvast kogemusest "
        f"{_percent(signal.observed)}, tavaliselt {_percent(signal.expected)}{allowed}."
    )


def _estonian_volume(signal: Signal) -> list[str]:
    strength = signal.strength
    if strength is None or Channel.VOLUME not in signal.channels:
        return []
    return [f"Kaebusi tuli 3 tunniga {strength.volume_seen:.0f}, tavaliselt {_comma(_few(strength.volume_usual))}."]


def _estonian_rate(signal: Signal) -> list[str]:
    rate = _rate(signal)
    if rate is None or rate.points is None or rate.points >= 0:
        return []
    within = "tunniga" if rate.per == "hour" else "ööpäevaga"
    bounds = f"{_fall(rate.high)} kuni {_fall(rate.low)}"
    return [f"Maine langes {within} {_fall(rate.points)} punkti ({bounds}); piir on {_comma(_few(rate.threshold))}."]


def _estonian_burn(signal: Signal) -> list[str]:
    found = _burn(signal)
    if found is None:
        return []
    burn, gone = found
    text = f"Eelarve kulub {_comma(f'{burn:.1f}')} korda lubatust kiiremini"
    if gone is not None:
        text += "; kuu eelarve on läbi" if gone <= 0 else f"; kuu eelarve saab läbi {_estonian_hours(gone)} pärast"
    return [f"{text}."]


def _estonian_sure(signal: Signal) -> list[str]:
    strength = signal.strength
    if strength is None or Channel.EVIDENCE not in signal.channels:
        return []
    return [f"Tõendite kaal on {_odds(strength.evidence)} ühe vastu; äratab {_odds(strength.limit)} ühe vastu."]


def _estonian_market(told: Told) -> str:
    market = told.market
    if market is None:
        return ""
    moving, still = _names(told, market.moving), _names(told, market.still)
    if market.verdict == "whole_market":
        return f"Liigub kogu turg: sama juhtus ka konkurentidega ({moving})."
    return (
        f"See on ainult selle brändi mure ({still} ei muutunud)."
        if not moving
        else f"Konkurentidest liikus vaid {moving}."
    )


def _estonian_span(signal: Signal) -> str:
    """The judged stretch, in the genitive after "viimase"."""
    hours, minutes = _span(signal)
    if minutes:
        return f"viimase {hours * MINUTES_PER_HOUR + minutes} minuti jooksul"
    return "viimase tunni jooksul" if hours == 1 else f"viimase {hours} tunni jooksul"


def _estonian_hours(hours: float) -> str:
    return f"{hours:.0f} tunni" if hours < LONG_HOURS else f"{hours / DAY_HOURS:.0f} päeva"


# ------------------------------------------------------------------------------------------------------------ numbers


def _whole(told: Told) -> bool:
    return told.market is not None and told.market.verdict == "whole_market"


def _names(told: Told, brands: Sequence[str]) -> str:
    return ", ".join(told.names.get(brand, brand) for brand in brands)


def _rate(signal: Signal) -> Rate | None:
    """The fall within the hour, where enough spoke in it, else within the day."""
    if signal.strength is None:
        return None
    short = signal.window_end_at - signal.window_start_at <= timedelta(hours=1)
    per = "hour" if short and signal.mentions >= RATE_MENTIONS else "day"
    return next((rate for rate in signal.strength.rates if rate.per == per), None)


def _burn(signal: Signal) -> tuple[float, float | None] | None:
    strength: Strength | None = signal.strength
    if strength is None or Channel.EVIDENCE not in signal.channels:
        return None
    burns = [burn for burn in (strength.burn_hour, strength.burn_day) if burn is not None]
    return (max(burns), strength.gone_hours) if burns and max(burns) > 1 else None


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.0%}"


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}".replace(",", "\u202f")


def _few(value: float) -> str:
    return f"{value:.1f}" if value < 10 and round(value, 1) != round(value) else f"{value:.0f}"  # noqa: PLR2004


def _comma(number: str) -> str:
    """As Estonian writes decimals."""
    return number.replace(".", ",")


def _fall(points: float | None) -> str:
    """A change of perception as a fall, never below nothing."""
    return "?" if points is None else f"{max(0.0, -points):.0f}"


def _odds(logarithm: float) -> str:
    return f"{min(math.exp(min(logarithm, 50.0)), ODDS_MAX):,.0f}".replace(",", "\u202f")


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M")


def _days(alert: Alert) -> int:
    spoke_at = alert.signal.spoke_at or alert.started_at
    return max(1, ((alert.ended_at or alert.updated_at) - spoke_at).days)


def _hours(passed: timedelta) -> tuple[int, int]:
    """Whole hours, and the minutes beyond them."""
    return divmod(max(1, round(passed.total_seconds() / 60)), MINUTES_PER_HOUR)


def _span(signal: Signal) -> tuple[int, int]:
    return _hours(signal.window_end_at - signal.window_start_at)


def _lasting(alert: Alert, hour_sign: str) -> str:
    hours, minutes = _hours((alert.ended_at or alert.updated_at) - alert.started_at)
    return f"{hours} {hour_sign} {minutes} min" if hours else f"{minutes} min"
