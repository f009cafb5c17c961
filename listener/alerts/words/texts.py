"""An alert in words, for a person woken at three in the morning. Pure.

What, how bad against what is usual, since when, how sure, what people say, what to do, how to answer: short sentences
in that order, and none that the numbers do not carry. Neither texts of mentions nor authors are told.
"""

from collections.abc import Mapping
from datetime import datetime

from listener.alerts.words.ends import end, remark
from listener.alerts.words.figures import burn, rate, sure, volume, what
from listener.alerts.words.languages import (
    LANGUAGES,
    SOURCE,
    Text,
    Tongue,
    headline,
    in_each,
    joined,
    known,
    percent,
    short,
    tongue,
)
from listener.alerts.words.told import Told
from listener.domain import Alert, Channel, Reason, Severity, Signal

__all__ = ["Text", "Told", "alert_words", "answer", "level", "past_words"]

FAR_TIMES, FAR_SHARE = 1.5, 0.05  # how much the lower bound must exceed what is usual to speak of "far more"
PROVEN_MAX = 3  # sentences of the proof that are told; `listener explain` has all
ID_CHARS = 8  # of an alert's id: enough for the command line


def alert_words(told: Told) -> Mapping[str, Text]:
    """The words by language (ISO 639-1)."""
    return in_each(lambda t: end(t, told) if told.reason is Reason.RESOLVED else _opening(t, told))


def past_words(*, brand: str, started_at: datetime, cause: str = "", helped: str = "") -> Mapping[str, str]:
    """A past alert in one sentence, by language: ``brand`` is its name for people."""
    cause, helped = remark(cause), remark(helped)
    return {code: _past(tongue(code), short(brand), started_at, cause, helped) for code in LANGUAGES}


def level(t: Tongue, severity: Severity) -> str:
    """How a title begins."""
    match severity:
        case Severity.INFO:
            return t.word("title", "Note")
        case Severity.WARNING:
            return t.word("title", "Warning")
        case Severity.CRITICAL:
            return t.word("title", "CRITICAL")


def answer(t: Tongue, target: str, *, links: bool) -> str:
    """How to answer, or be left alone: ``target`` is an alert's id, or a bundle's."""
    id8 = short(target, 100)[:ID_CHARS]
    if links:
        return t.say("Ack, snooze or silence: with one of the links, or `listener alerts ack {id8}`.", id8=id8)
    return t.say("Ack with `listener alerts ack {id8}`; snooze and silence likewise.", id8=id8)


# ---------------------------------------------------------------------------------------------------- while it fires


def _opening(t: Tongue, told: Told) -> Text:
    alert, signal, brand = told.alert, told.alert.signal, short(told.title)
    if Channel.SOURCES in signal.channels:
        sentences = _unheard(t, told)
    elif Channel.MENTION in signal.channels:
        sentences = [_single(t, signal, brand), _came(t, told), _closed(t, told), _start(t, alert)]
    else:
        sentences = [
            what(t, signal, brand),
            volume(t, signal),
            rate(t, signal),
            burn(t, signal),
            _began(t, told),
            _closed(t, told),
            sure(t, signal),
            *told.proven.get(t.code, ())[:PROVEN_MAX],
            _market(t, told),
            _start(t, alert),
        ]
    sentences += [*_knowledge(t, told), answer(t, alert.id, links=told.links)]
    return Text(title=headline(lambda name: _title(t, told, name), told.title), body=joined(sentences))


def _title(t: Tongue, told: Told, brand: str) -> str:
    signal, loud = told.alert.signal, level(t, told.alert.severity)
    if Channel.SOURCES in signal.channels:
        title = t.word("title", "{level}: {brand} cannot be heard", level=loud, brand=brand)
    else:
        title = t.word("title", "{level}: {brand}, {what}", level=loud, brand=brand, what=_headline(t, signal))
    if told.reason is Reason.WORSENED:
        title = t.word("title", "{title}, it is getting worse", title=title)
    elif told.reason is Reason.REOPENED:
        title = t.word("title", "{title}, again", title=title)
    whole = told.market is not None and told.market.verdict == "whole_market"
    return t.word("title", "{title} (whole market)", title=title) if whole and _judged(signal) else title


def _judged(signal: Signal) -> bool:
    """Whether shares and numbers were judged: only those move with a market."""
    return not {Channel.SOURCES, Channel.MENTION} & set(signal.channels)


def _headline(t: Tongue, signal: Signal) -> str:
    """What happened, no bolder than the lower bound of what was seen."""
    if Channel.MENTION in signal.channels:
        return t.word("title", "one complaint that many may see")
    if signal.channels == (Channel.VOLUME,):
        return t.word("title", "complaints pile up")
    seen, usual, low = known(signal.observed), known(signal.expected), known(signal.low)
    far = low is not None and usual is not None and low >= max(FAR_TIMES * usual, usual + FAR_SHARE)
    many = Channel.VOLUME in signal.channels
    if far and many:
        return t.word("title", "far more complaints, and more of them at once")
    if many:
        return t.word("title", "more complaints, and many at once")
    if far:
        return t.word("title", "far more complaints than usual")
    more = seen is not None and usual is not None and seen > usual
    return t.word("title", "more complaints than usual") if more else t.word("title", "it looks worse than usual")


def _unheard(t: Tongue, told: Told) -> list[str]:
    alert, signal = told.alert, told.alert.signal
    sources = ", ".join(short(source) for source in alert.signal.sources)
    if signal.onset_at is None:
        fail = t.say("These sources fail: {sources}.", sources=sources)
    else:
        since = t.clock(signal.onset_at, now=alert.updated_at)
        fail = t.say("These sources fail since {time}: {sources}.", time=since, sources=sources)
    return [
        fail if sources else _came(t, told),
        t.say("What customers say there is not heard: silence is no good news."),
        t.say("Check the sources (`listener sources`)."),
    ]


def _single(t: Tongue, signal: Signal, brand: str) -> str:
    risk = known(signal.observed)
    if risk is None or signal.reach is None:
        return t.say("One mention of {brand} tells of a negative experience, and many may see it.", brand=brand)
    return t.many(
        "One mention of {brand} tells of a negative experience (risk {risk}) and may be seen by {count} person.",
        "One mention of {brand} tells of a negative experience (risk {risk}) and may be seen by {count} people.",
        signal.reach,
        brand=brand,
        risk=percent(risk),
    )


def _began(t: Tongue, told: Told) -> str:
    alert, onset_at = told.alert, told.alert.signal.onset_at
    if onset_at is None or (alert.reopened and onset_at <= alert.started_at):
        return _came(t, told)
    onset, came, now = (t.clock(at, now=alert.updated_at) for at in (onset_at, alert.started_at, alert.updated_at))
    if not alert.reopened:
        return t.say("It began at about {onset}; the alert came at {came}.", onset=onset, came=came)
    if told.reason is Reason.REOPENED:
        return t.say(
            "It began anew at about {onset}, and the alert is back since {now}; it first came at {came}.",
            onset=onset,
            now=now,
            came=came,
        )
    return t.say("It began anew at about {onset}; the alert first came at {came}.", onset=onset, came=came)


def _came(t: Tongue, told: Told) -> str:
    alert = told.alert
    came, now = (t.clock(at, now=alert.updated_at) for at in (alert.started_at, alert.updated_at))
    if told.reason is Reason.REOPENED:
        return t.say("The alert is back since {now}; it first came at {came}.", now=now, came=came)
    if alert.reopened:
        return t.say("The alert first came at {came}, and has come back since.", came=came)
    return t.say("The alert came at {came}.", came=came)


def _closed(t: Tongue, told: Told) -> str:
    """Of what is back: who had closed it, and what people said of it then."""
    if told.reason is not Reason.REOPENED:
        return ""
    by, cause, helped = short(told.by or ""), remark(told.cause), remark(told.helped)
    return joined(
        [
            t.say("{by} had closed it by hand.", by=by) if by else "",
            t.say('The cause was then: "{cause}".', cause=cause) if cause else "",
            t.say('What helped then: "{helped}".', helped=helped) if helped else "",
        ]
    )


def _market(t: Tongue, told: Told) -> str:
    market = told.market
    if market is None or market.verdict == "unknown":
        return ""
    moving = t.listed([short(told.names.get(brand, brand)) for brand in market.moving])
    still = t.listed([short(told.names.get(brand, brand)) for brand in market.still])
    if market.verdict == "whole_market":
        return t.say("The whole market moves: {brands} too.", brands=moving) if moving else ""
    if moving:
        return t.say("Of its competitors only {brands} moved.", brands=moving)
    return t.say("It is this brand alone: {brands} did not move.", brands=still) if still else ""


def _start(t: Tongue, alert: Alert) -> str:
    if not alert.evidence:
        return ""
    return t.many("Start with the linked mention.", "Start with the linked mentions.", len(alert.evidence))


def _knowledge(t: Tongue, told: Told) -> list[str]:
    """What to answer, and what helped before."""
    sentences = []
    if told.articles:
        sentences.append(t.say('What to answer: the article "{article}".', article=short(told.articles[0])))
    past = (
        told.past if isinstance(told.past, str) or told.past is None else told.past.get(t.code, told.past.get(SOURCE))
    )
    return [*sentences, past] if past else sentences


def _past(t: Tongue, brand: str, started_at: datetime, cause: str, helped: str) -> str:
    """One sentence, or two; what people wrote then stands in it as they wrote it."""
    day = t.day(started_at, year=True)
    if cause and helped:
        return t.say(
            'A similar alert ({brand}, {day}): the cause was "{cause}"; what helped: "{helped}".',
            brand=brand,
            day=day,
            cause=cause,
            helped=helped,
        )
    if cause:
        return t.say('A similar alert ({brand}, {day}): the cause was "{cause}".', brand=brand, day=day, cause=cause)
    if helped:
        return t.say('A similar alert ({brand}, {day}): what helped: "{helped}".', brand=brand, day=day, helped=helped)
    return t.say("There was a similar alert ({brand}, {day}).", brand=brand, day=day)
