"""What a backtest found, in words. Pure."""

from statistics import median

from listener.backtest.compare import Outcome


def sentence(outcome: Outcome) -> str:
    """In one sentence: how often, how much earlier than volume, how often for nothing."""
    count = len(outcome.pages)
    if not count:
        return "would never have paged"
    parts = [f"would have paged {times(count)}"]
    compared = [one for one in outcome.pages if one.deteriorated]
    leads = outcome.leads_secs
    if leads:
        parts.append(lead(median(leads)))
    if len(leads) < len(compared):
        never = len(compared) - len(leads)
        parts.append("volume never fired" if not leads else f"for {never} of {len(compared)} volume never fired")
    quiet = outcome.quiet_pages
    parts.append(f"{times(quiet)} in {'quiet weeks' if quiet > 1 else 'a quiet week'}")
    return ", ".join(parts)


def lead(secs: float) -> str:
    """A lead against volume in words."""
    if not secs:
        return "at the same time as volume"
    return f"{span(abs(secs))} {'earlier' if secs > 0 else 'later'} than volume"


def span(secs: float) -> str:
    """A stretch of time in words: minutes, then hours, then days."""
    for unit, length, most in (("minute", 60, 120), ("hour", 3600, 48)):
        if secs < most * length:
            number = round(secs / length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{secs / 86400:.1f} days"


def times(count: int) -> str:
    """How often, in words."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
