"""The words of the pages that links in messages open: what the button does, which alert it is about, what became of it.

Pure. Whoever serves the pages passes a ``Tongue``, ``now``, and what is known.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from listener.alerts.words.languages import Tongue, headline, short
from listener.domain import Act, Alert, AlertState, Channel, Outcome, Response, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What stands before what is known of an alert, and above what a person may write."""

    brand: str
    severity: str
    since: str
    state: str
    answered: str
    comment: str
    helped: str


class Unusable(StrEnum):
    """Why a link does nothing."""

    DAMAGED = "damaged"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # its alert is not one of ours
    DOWN = "down"  # the database does not answer


def fields(t: Tongue) -> Fields:
    """The names of all fields."""
    return Fields(
        brand=t.word("field", "Brand"),
        severity=t.word("field", "Severity"),
        since=t.word("field", "Since"),
        state=t.word("field", "Now"),
        answered=t.word("field", "Answered"),
        comment=t.word("field", "What was the cause? (optional)"),
        helped=t.word("field", "What helped? (optional)"),
    )


# ------------------------------------------------------------------------------------------------------ what it does


def heading(t: Tongue, act: Act) -> str:
    """The page of such a link in a word."""
    match act:
        case Act.ACK:
            return t.word("heading", "Acknowledge")
        case Act.ASSIGN:
            return t.word("heading", "Take over")
        case Act.SNOOZE:
            return t.word("heading", "Snooze")
        case Act.RESOLVE:
            return t.word("heading", "Resolve")
        case Act.SILENCE:
            return t.word("heading", "Silence")
        case Act.NOTE:
            return t.word("heading", "Note")


def button(t: Tongue, act: Act, *, minutes: float) -> str:
    """What stands on the button: ``minutes`` is how long, for a snooze or a silence."""
    match act:
        case Act.ACK:
            return t.word("label", "I am on it")
        case Act.ASSIGN:
            return t.word("label", "I take it over")
        case Act.SNOOZE:
            return t.word("label", "Remind me in {duration}", duration=_duration(t, minutes))
        case Act.RESOLVE:
            return t.word("label", "It is dealt with")
        case Act.SILENCE:
            return t.word("label", "Mute for {duration}", duration=_duration(t, minutes))
        case Act.NOTE:
            return t.word("label", "Keep the note")


def does(t: Tongue, act: Act, *, minutes: float) -> str:
    """What the button does, in sentences: ``minutes`` as for ``button``."""
    match act:
        case Act.ACK:
            return t.say(
                "Everybody can see that you are on it, and nobody is asked again. If it becomes worse, you are told."
            )
        case Act.ASSIGN:
            return t.say("Everybody can see that it is with you now, and nobody is asked again.")
        case Act.SNOOZE:
            return t.say("Nobody is asked again until then. If it still fires after that, you are reminded.")
        case Act.RESOLVE:
            return t.say("The alert ends. What was said until now counts no more.")
        case Act.SILENCE:
            return t.say(
                "For {duration} nobody is told of such alerts of this brand. They are kept and listed all the same.",
                duration=_duration(t, minutes),
            )
        case Act.NOTE:
            return t.say("What you write here is kept with the alert, for the next time.")


def acting_as(t: Tongue, name: str) -> str:
    """Whose action it will be."""
    return t.say("You act as {name}", name=short(name))


def _duration(t: Tongue, minutes: float) -> str:
    return t.lasting(timedelta(minutes=minutes))


# ------------------------------------------------------------------------------------------------- what it is about


def untold(t: Tongue, alert: Alert, *, title: str) -> str:
    """A headline for an alert of which nothing was told: ``title`` is the brand's name for people."""
    return headline(lambda name: t.word("title", "{brand}: alert {rule}", brand=name, rule=alert.rule), title)


def severity_word(t: Tongue, severity: Severity) -> str:
    """How bad it is, in a word."""
    match severity:
        case Severity.INFO:
            return t.word("title", "Note")
        case Severity.WARNING:
            return t.word("title", "Warning")
        case Severity.CRITICAL:
            return t.word("severity", "Critical")


def state(t: Tongue, alert: Alert, *, now: datetime) -> str:
    """Whether it still fires."""
    if alert.state is AlertState.FIRING:
        return t.say("it still fires")
    return t.say("it ended at {time}", time=t.clock(alert.ended_at or alert.updated_at, now=now))


def answered(t: Tongue, response: Response, *, now: datetime) -> str:
    """Who has answered, and how; nothing while nobody has."""
    found = []
    if response.acked_at is not None:
        time = t.clock(response.acked_at, now=now)
        found.append(t.say("{by} is on it since {time}", by=short(response.acked_by or "?"), time=time))
    if response.assignee:
        found.append(t.say("it is with {by}", by=short(response.assignee)))
    if response.snoozed_until_at is not None and response.snoozed_until_at > now:
        found.append(t.say("snoozed until {time}", time=t.clock(response.snoozed_until_at, now=now)))
    return "; ".join(found)


def more(t: Tongue, count: int) -> str:
    """How many alerts are not shown."""
    return t.many("... and {count} more.", "... and {count} more.", count)


# ------------------------------------------------------------------------------------------------ what became of it


def became(t: Tongue, outcome: Outcome | None) -> str:
    """What became of an action; None: it waits."""
    match outcome:
        case Outcome.DONE:
            return t.say("Done.")
        case Outcome.NOOP:
            return t.say("There was nothing left to do.")
        case Outcome.REFUSED:
            return t.say("It was not done.")
        case None:
            return t.say("Taken: it will be done in a moment.")


def why_not(t: Tongue, act: Act, alert: Alert, *, seq: int | None) -> str:
    """Why an answer to the event ``seq`` was refused, and what to do instead; nothing where only the log knows."""
    if act is Act.RESOLVE and Channel.SOURCES in alert.signal.channels:
        return t.say("Its sources still fail, so it would come back at once: snooze or mute it.")
    if seq is not None and seq < alert.seq:
        return changed(t)
    return ""


def changed(t: Tongue) -> str:
    """The alert has become worse since, or has come back: the link answers something smaller."""
    return t.say("It has changed since that message: answer the newer one.")


def noted(t: Tongue) -> str:
    """Somebody wanted to resolve what has changed meanwhile, and wrote what it was."""
    return t.say("What you wrote is kept. The alert goes on: answer the newer message.")


def used(t: Tongue, at: datetime, *, now: datetime) -> str:
    """The link was used already."""
    return t.say("This link was used already, at {time}.", time=t.clock(at, now=now))


def over(t: Tongue) -> str:
    """The alert had ended before, and the form was empty."""
    return t.say("The alert was over already, and nothing was written.")


def nothing_done(t: Tongue) -> str:
    """The heading of a link that cannot be used."""
    return t.word("heading", "Nothing was done")


def unusable(t: Tongue, why: Unusable) -> str:
    """Why it cannot be used, and what to do."""
    match why:
        case Unusable.DAMAGED:
            return t.say("This link does not work. Perhaps a part of it is missing: copy all of it.")
        case Unusable.EXPIRED:
            return t.say("This link has expired. Open one from a newer message, or use the command line.")
        case Unusable.UNKNOWN:
            return t.say("The alert of this link is not known here.")
        case Unusable.DOWN:
            return t.say("This does not work at the moment: the database does not answer. Try again in a minute.")
