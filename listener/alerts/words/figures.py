"""What was found, in words: each sentence with its numbers, or nothing where a number is not known. Pure."""

import math
from datetime import timedelta

from listener.alerts.words.languages import DAY_HOURS, LONG_HOURS, MINUTES_PER_HOUR, ODDS_MAX, Tongue, known, percent
from listener.domain import Channel, Rate, Signal

RATE_MENTIONS = 10  # with fewer in the hour, the fall within the day is told


def what(t: Tongue, signal: Signal, brand: str) -> str:
    """The share of negative mentions against what is usual and what is allowed, or that nobody spoke."""
    seen, span, count = known(signal.observed), _span(t, signal), signal.mentions
    if not count:
        said = t.say("Nobody has spoken of {brand} {span}", brand=brand, span=span)
    elif seen is None:
        said = t.many(
            "{count} mention of {brand} came {span}",
            "{count} mentions of {brand} came {span}",
            count,
            brand=brand,
            span=span,
        )
    else:
        said = t.many(
            "There is {count} mention of {brand} {span}, {share} negative",
            "{share} of the {count} mentions of {brand} {span} tell of a negative experience",
            count,
            share=percent(seen),
            brand=brand,
            span=span,
        )
    usual, allowed = known(signal.expected), known(None if signal.strength is None else signal.strength.budget)
    if usual is not None and allowed is not None:
        compared = t.say("{usual} is usual, {budget} is the budget", usual=percent(usual), budget=percent(allowed))
    elif usual is not None:
        compared = t.say("{usual} is usual", usual=percent(usual))
    elif allowed is not None:
        compared = t.say("{budget} is the budget", budget=percent(allowed))
    else:
        return f"{said}."
    return t.say("{said}; {compared}.", said=said, compared=compared)


def _span(t: Tongue, signal: Signal) -> str:
    """The judged stretch."""
    minutes = max(1, round((signal.window_end_at - signal.window_start_at).total_seconds() / 60))
    if minutes % MINUTES_PER_HOUR:
        return t.many("in the last minute", "in the last {count} minutes", minutes)
    return t.many("in the last hour", "in the last {count} hours", minutes // MINUTES_PER_HOUR)


def volume(t: Tongue, signal: Signal) -> str:
    """The number of complaints, where it is what was breached."""
    strength = signal.strength
    if strength is None or Channel.VOLUME not in signal.channels:
        return ""
    seen, usual = known(strength.volume_seen), known(strength.volume_usual)
    if seen is None or usual is None:
        return ""
    return t.many(
        "{count} complaint came in 3 hours; {usual} are usual.",
        "{count} complaints came in 3 hours; {usual} are usual.",
        round(seen),
        usual=t.few(usual),
    )


def rate(t: Tongue, signal: Signal) -> str:
    """How fast perception fell, with its bounds (95 %)."""
    rate = _shown_rate(signal)
    points = None if rate is None else known(rate.points)
    if rate is None or points is None or points >= 0:
        return ""
    if rate.per == "hour":
        fell = t.many(
            "Perception fell by {count} point within an hour",
            "Perception fell by {count} points within an hour",
            round(-points),
        )
    else:
        fell = t.many(
            "Perception fell by {count} point within a day",
            "Perception fell by {count} points within a day",
            round(-points),
        )
    low, high, limit = known(rate.low), known(rate.high), known(rate.threshold)
    if low is not None and high is not None:
        least, most = t.number(max(0.0, -high)), t.number(max(0.0, -low))
        fell = t.say("{fell} ({least} to {most})", fell=fell, least=least, most=most)
    return f"{fell}." if limit is None else t.say("{fell}; {limit} is the limit.", fell=fell, limit=t.few(limit))


def _shown_rate(signal: Signal) -> Rate | None:
    """The fall within the hour, where enough spoke in it, else within the day."""
    if signal.strength is None:
        return None
    brief = signal.window_end_at - signal.window_start_at <= timedelta(hours=1)
    per = "hour" if brief and signal.mentions >= RATE_MENTIONS else "day"
    return next((rate for rate in signal.strength.rates if rate.per == per), None)


def burn(t: Tongue, signal: Signal) -> str:
    """How fast the month's budget is used up, where that is faster than allowed."""
    strength = signal.strength
    if strength is None or Channel.EVIDENCE not in signal.channels:
        return ""
    burns = [burn for burn in (known(strength.burn_hour), known(strength.burn_day)) if burn is not None]
    if not burns or max(burns) <= 1:
        return ""
    times, gone = t.number(max(burns), decimals=1), known(strength.gone_hours)
    burning = t.say("The budget burns {times} times as fast as allowed", times=times)
    if gone is None:
        return f"{burning}."
    if gone <= 0:
        return t.say("{burning}; the month's is used up.", burning=burning)
    if gone < LONG_HOURS:
        left = t.many("in {count} hour", "in {count} hours", max(1, round(gone)))
    else:
        left = t.many("in {count} day", "in {count} days", round(gone / DAY_HOURS))
    return t.say("{burning}; the month's is gone {left}.", burning=burning, left=left)


def sure(t: Tongue, signal: Signal) -> str:
    """How much better than chance the evidence explains it, and how much wakes somebody."""
    strength = signal.strength
    if strength is None or Channel.EVIDENCE not in signal.channels:
        return ""
    evidence, limit = known(strength.evidence), known(strength.limit)
    if evidence is None or limit is None:
        return ""
    odds, least = t.odds(evidence), t.odds(limit)
    if evidence > math.log(ODDS_MAX):
        return t.say("The evidence is more than {odds} to 1; {limit} to 1 wakes somebody.", odds=odds, limit=least)
    return t.say("The evidence is {odds} to 1; {limit} to 1 wakes somebody.", odds=odds, limit=least)
