"""The end of an alert in words: how it ended, how long it was, what people found. Pure."""

from listener.alerts.words.figures import what
from listener.alerts.words.languages import Text, Tongue, headline, joined, known, short
from listener.alerts.words.told import Told
from listener.domain import Alert, Resolution, Signal

REMARK_CHARS_MAX = 300  # of what people wrote of a cause, or of what helped
NEAR_TIMES, NEAR_SHARE = 1.5, 0.05  # how far above the usual a share may be to be near it


def remark(text: str | None) -> str:
    """What people wrote of a cause, or of what helped, in a sentence: one note after the other."""
    return short("; ".join((text or "").split("\n\n")), REMARK_CHARS_MAX)


def end(t: Tongue, told: Told) -> Text:
    """The end of ``told.alert``; only recovery says that there is nothing to do."""
    sentences = [*_how(t, told), *_found(t, told)]
    return Text(title=headline(lambda brand: _title(t, told, brand), told.title), body=joined(sentences))


def _title(t: Tongue, told: Told, brand: str) -> str:
    match told.alert.resolution:
        case Resolution.EXPIRED if told.drill:
            return t.word("title", "Ended: {brand}", brand=brand)
        case Resolution.MANUAL:
            return t.word("title", "Closed by hand: {brand}, {by}", brand=brand, by=_by(t, told))
        case Resolution.NO_DATA:
            return t.word("title", "Closed without recovery: {brand}, nobody speaks", brand=brand)
        case Resolution.EXPIRED:
            return t.word("title", "Ended: {brand}, one complaint that many may see", brand=brand)
        case Resolution.UNWATCHED:
            return t.word("title", "Closed without recovery: {brand}, not watched any more", brand=brand)
    return _recovered(t, told.alert.signal, brand)


def _recovered(t: Tongue, signal: Signal, brand: str) -> str:
    if signal.strength is None:
        return t.word("title", "Resolved: {brand} can be heard again", brand=brand)
    if _near(signal):
        return t.word("title", "Resolved: {brand}, complaints are back near the usual", brand=brand)
    return t.word("title", "Resolved: {brand}, it is calm again", brand=brand)


def _near(signal: Signal) -> bool:
    seen, usual = known(signal.observed), known(signal.expected)
    return seen is not None and usual is not None and seen <= max(NEAR_TIMES * usual, usual + NEAR_SHARE)


def _by(t: Tongue, told: Told) -> str:
    by = short(told.by or "", 40)
    return t.say("{by} says that it is dealt with", by=by) if by else t.say("somebody says that it is dealt with")


def _how(t: Tongue, told: Told) -> list[str]:
    alert, brand = told.alert, short(told.title)
    ended_at = alert.ended_at or alert.updated_at
    lasted = t.say("The alert lasted {duration}.", duration=t.lasting(ended_at - alert.started_at))
    match alert.resolution:
        case Resolution.MANUAL:
            return _by_hand(t, told, lasted)
        case Resolution.NO_DATA:
            silent = t.many(
                "Nobody has spoken of {brand} for a day: nothing tells whether it is over.",
                "Nobody has spoken of {brand} for {count} days: nothing tells whether it is over.",
                _silent_days(alert),
                brand=brand,
            )
            return [silent, lasted]
        case Resolution.EXPIRED:
            return _expired(t, told, lasted)
        case Resolution.UNWATCHED:
            gone = t.say(
                "{brand}, or the rule that fired, is not watched any more: nothing tells whether it is over.",
                brand=brand,
            )
            return [gone, lasted]
    if alert.signal.strength is None:
        return [lasted, t.say("What was missed is counted late.")]
    return [what(t, alert.signal, brand), lasted, t.say("There is nothing to do.")]


def _by_hand(t: Tongue, told: Told, lasted: str) -> list[str]:
    by = short(told.by or "")
    said = t.say("{by} says that it is dealt with.", by=by) if by else t.say("Somebody says that it is dealt with.")
    again = t.say("What was said until now counts no more; if it goes on, you will be told again.")
    return [said, lasted] if told.drill else [said, lasted, again]


def _expired(t: Tongue, told: Told, lasted: str) -> list[str]:
    if told.drill:
        return [t.say("Its time was over, and nobody had closed it."), lasted]
    return [lasted, t.say("That says nothing of how it went on; look at the linked mention.")]


def _silent_days(alert: Alert) -> int:
    spoke_at = alert.signal.spoke_at or alert.started_at
    return max(1, ((alert.ended_at or alert.updated_at) - spoke_at).days)


def _found(t: Tongue, told: Told) -> list[str]:
    """What people say that it was, and what helped."""
    cause, helped = remark(told.cause), remark(told.helped)
    sentences = []
    if cause:
        sentences.append(t.say('The cause: "{cause}".', cause=cause))
    if helped:
        sentences.append(t.say('What helped: "{helped}".', helped=helped))
    if not sentences and not told.drill and told.alert.resolution is Resolution.MANUAL:
        sentences.append(t.say("Nobody has said yet what it was and what helped: say so, it helps the next time."))
    return sentences
