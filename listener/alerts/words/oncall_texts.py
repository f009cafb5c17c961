"""What goes with the words of an alert when it is told again, or when nothing has happened at all. Pure."""

from collections.abc import Mapping

from listener.alerts.words.languages import (
    DAY_HOURS,
    LONG_HOURS,
    MINUTES_PER_HOUR,
    TITLE_CHARS_MAX,
    Text,
    Tongue,
    headline,
    in_each,
    joined,
    short,
    tongue,
)
from listener.domain import Reason

LONG_MINUTES = 120  # longer is told in hours


def again(
    words: Mapping[str, Mapping[str, str]], *, reason: Reason, repeat: int, minutes: int, escalate: bool
) -> dict[str, dict[str, str]]:
    """The words of an event that is told again: ``words`` are ``title`` and ``body`` by language, and stay as they are.

    ``reason`` is ``repeat`` (the ``repeat``-th reminder; 0: somebody had answered, and that has run out) or
    ``escalated`` (somebody else is asked); others change no title. Nobody has answered for ``minutes``; ``escalate``
    says that nobody will be asked again.
    """
    return {code: _again(tongue(code), said, reason, repeat, minutes, escalate) for code, said in words.items()}


def _again(
    t: Tongue, said: Mapping[str, str], reason: Reason, repeat: int, minutes: int, escalate: bool
) -> dict[str, str]:
    title, ran_out = said["title"], reason is Reason.REPEAT and not repeat
    if ran_out:
        title = t.word("title", "Reminder: {title}", title=title)
    elif reason is Reason.REPEAT:
        title = t.word("title", "Reminder {number}: {title}", number=str(repeat), title=title)
    elif reason is Reason.ESCALATED:
        title = t.word("title", "Unanswered: {title}", title=title)
    last = t.say("This is the last call, nobody will be asked again: take it further.") if escalate else ""
    since = t.say("Somebody was on it, and that has run out: it still fires.") if ran_out else _unanswered(t, minutes)
    body = joined([since, last, said["body"]])
    return {"title": short(title, TITLE_CHARS_MAX), "body": body}


def _unanswered(t: Tongue, minutes: int) -> str:
    if minutes < 1:
        return t.say("Nobody has answered yet.")
    if minutes < LONG_MINUTES:
        return t.many("Nobody has answered for a minute.", "Nobody has answered for {count} minutes.", minutes)
    hours = minutes // MINUTES_PER_HOUR
    if hours < LONG_HOURS:
        return t.many("Nobody has answered for an hour.", "Nobody has answered for {count} hours.", hours)
    return t.many("Nobody has answered for a day.", "Nobody has answered for {count} days.", hours // DAY_HOURS)


def drill(words: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The words of an alert (``title`` and ``body`` by language) as those of a drill."""
    return {code: _drill(tongue(code), said) for code, said in words.items()}


def _drill(t: Tongue, said: Mapping[str, str]) -> dict[str, str]:
    return {
        "title": short(drill_title(t, said["title"]), TITLE_CHARS_MAX),
        "body": joined([nothing_happened(t), said["body"]]),
    }


def drill_title(t: Tongue, title: str) -> str:
    """A title as that of a drill."""
    return t.word("title", "DRILL: {title}", title=title)


def nothing_happened(t: Tongue) -> str:
    """How the sentences of a drill begin."""
    return t.say("This is a drill: nothing has happened.")


def watchdog_words(instance: str, every_minutes: float) -> Mapping[str, Text]:
    """All is well with this daemon; its silence would be the alarm. By language."""
    return in_each(lambda t: _watchdog(t, instance, max(1, round(every_minutes))))


def _watchdog(t: Tongue, instance: str, minutes: int) -> Text:
    title = headline(lambda name: t.word("title", "All is well: {instance} watches", instance=name), instance)
    every = t.many("This message comes every minute.", "This message comes every {count} minutes.", minutes)
    alarm = t.say(
        "There is nothing to do while it comes. If it stays away, nobody watches: look at {instance}.",
        instance=short(instance),
    )
    return Text(title=title, body=joined([every, alarm]))


def test_words(receiver: str, instance: str) -> Mapping[str, Text]:
    """Somebody tries ``receiver`` out. By language."""
    return in_each(lambda t: _test(t, receiver, instance))


def _test(t: Tongue, receiver: str, instance: str) -> Text:
    title = headline(lambda name: t.word("title", "Test: {receiver} works", receiver=name), receiver)
    body = t.say(
        "{instance} tries the receiver {receiver} out: nothing has happened, and there is nothing to do.",
        instance=short(instance),
        receiver=short(receiver),
    )
    return Text(title=title, body=body)
