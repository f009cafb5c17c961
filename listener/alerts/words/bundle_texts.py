"""One message about several alerts in words: all are named, the worst first. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from listener.alerts.wire.oncall import BundleMember
from listener.alerts.words.languages import TITLE_CHARS_MAX, Text, Tongue, in_each, joined, known, percent, short
from listener.alerts.words.oncall_texts import drill_title, nothing_happened
from listener.alerts.words.texts import answer, level
from listener.domain import AlertState, BundleKind, Hold, Resolution, Severity

DETAILED_MAX = 10  # with more alerts, only brands are named
TITLE_NAME_CHARS_MAX = 30


def bundle_words(
    kind: BundleKind,
    members: Sequence[BundleMember],
    *,
    now: datetime,
    names: Mapping[str, str] | None = None,
    reasons: Collection[Hold] = (),
    alone: int = 0,
    bundle_id: str = "",
    links: bool = False,
) -> Mapping[str, Text]:
    """The words by language (ISO 639-1) for ``members``, the worst first, of which there is at least one.

    ``names`` are brands' names for people, where a member's title is not to be used. ``reasons`` is why they were
    ``held``. ``alone`` is how many of a ``storm`` were told one by one beside it. ``bundle_id`` is what an answer names
    (without it nobody is asked for one), and ``links`` says that links to answer come with the text. Drills among what
    is real are only named; where all are, the text is that of a drill.
    """
    titles = names or {}
    named = [one.model_copy(update={"title": short(titles.get(one.brand, one.title))}) for one in members]
    named.sort(key=lambda one: -one.severity.rank)
    drills = [one for one in named if one.drill]
    told = [one for one in named if not one.drill] or named
    all_drills = len(drills) == len(named)
    firing = [one for one in told if one.state is AlertState.FIRING]
    over = [one for one in told if one.state is not AlertState.FIRING]

    def compose(t: Tongue) -> Text:
        sentences = [
            nothing_happened(t) if all_drills else "",
            _why(t, kind, firing, reasons),
            _fires(t, firing, now),
            _answered(t, firing),
            _over(t, over),
            "" if all_drills else _drills(t, drills),
            _alone(t, alone) if kind == "storm" and firing else "",
            *([t.say("Start with the first.")] if len(firing) > 1 and not _on_it(firing[0]) else []),
            *(_asked(t, bundle_id, links=links) if firing and bundle_id else []),
            *([t.say("There is nothing to do.")] if _recovered(over) and not firing else []),
        ]
        marked = (lambda title: drill_title(t, title)) if all_drills else str
        return Text(title=_title(t, kind, firing, over, marked), body=joined(sentences))

    return in_each(compose)


def _recovered(over: Sequence[BundleMember]) -> bool:
    """Whether all are better: only then is there nothing to do."""
    return all(one.resolution is Resolution.RECOVERED for one in over)


# -------------------------------------------------------------------------------------------------------------- title


def _title(
    t: Tongue,
    kind: BundleKind,
    firing: Sequence[BundleMember],
    over: Sequence[BundleMember],
    marked: Callable[[str], str],
) -> str:
    if kind == "held":
        return marked(_counted(t, t.word("title", "Held back"), firing, over))
    if kind == "missed":
        return marked(_counted(t, t.word("title", "Missed"), firing, over))
    if not firing:
        what = t.many("{count} alert is over", "{count} alerts are over", len(over))
        return _naming(t, lambda brands: marked(t.word("title", "{what}: {brands}", what=what, brands=brands)), over)
    loud = level(t, firing[0].severity)
    what = t.say("the whole market moves") if kind == "market" else _at_once(t, firing)
    return _naming(
        t,
        lambda brands: marked(t.word("title", "{level}: {what}: {brands}", level=loud, what=what, brands=brands)),
        firing,
    )


def _at_once(t: Tongue, firing: Sequence[BundleMember]) -> str:
    """That they turn bad only where shares say so: a source that fails and a single complaint are alerts too."""
    count = len({one.brand for one in firing})
    if all(_worse(one) for one in firing):
        return t.many("{count} more brand turns bad at once", "{count} more brands turn bad at once", count)
    return t.many("{count} more brand has alerts at once", "{count} more brands have alerts at once", count)


def _worse(member: BundleMember) -> bool:
    seen, usual = known(member.observed), known(member.expected)
    return seen is not None and usual is not None and seen > usual


def _counted(t: Tongue, what: str, firing: Sequence[BundleMember], over: Sequence[BundleMember]) -> str:
    count = len(firing) + len(over)
    if not firing:
        return t.many("{what}: {count} alert, it is over", "{what}: {count} alerts, all are over", count, what=what)
    loud, firing_count = level(t, firing[0].severity), len(firing)
    if not over:
        return t.many(
            "{level}: {what}: {count} alert, it still fires",
            "{level}: {what}: {count} alerts, all still fire",
            count,
            level=loud,
            what=what,
        )
    return t.many(
        "{level}: {what}: {count} alert, {firing} of them still firing",
        "{level}: {what}: {count} alerts, {firing} of them still firing",
        count,
        level=loud,
        what=what,
        firing=t.number(firing_count),
    )


def _naming(t: Tongue, compose: Callable[[str], str], members: Sequence[BundleMember]) -> str:
    """A title with as many brands as fit, the worst first; the body names all."""
    brands = [short(brand, TITLE_NAME_CHARS_MAX) for brand in dict.fromkeys(one.title for one in members)]
    for count in range(len(brands), 0, -1):
        title = compose(_some(t, brands, count))
        if len(title) <= TITLE_CHARS_MAX:
            return title
    return short(compose(_some(t, brands, 1)), TITLE_CHARS_MAX)


def _some(t: Tongue, brands: Sequence[str], count: int) -> str:
    left = len(brands) - count
    if not left:
        return t.listed(brands)
    some = ", ".join(brands[:count])
    return t.many("{brands} and {count} more", "{brands} and {count} more", left, brands=some)


# --------------------------------------------------------------------------------------------------------------- body


def _why(t: Tongue, kind: BundleKind, firing: Sequence[BundleMember], reasons: Collection[Hold]) -> str:
    match kind:
        case "market":
            return t.say("These brands move together: look for one common cause.") if firing else ""
        case "held":
            if not reasons:
                return t.say("Nobody was told of this until now: it was held back.")
            why = t.listed([_hold(t, hold) for hold in Hold if hold in reasons])
            return t.say("Nobody was told of this until now; the reason: {reasons}.", reasons=why)
        case "missed":
            return t.say("This could not be delivered in time: the receiver was away.")
        case _:
            return ""


def _hold(t: Tongue, hold: Hold) -> str:
    match hold:
        case Hold.SILENCE:
            return t.word("the reason", "a silence")
        case Hold.MAINTENANCE:
            return t.word("the reason", "maintenance")
        case Hold.QUIET_HOURS:
            return t.word("the reason", "quiet hours")
        case Hold.INHIBITED:
            return t.word("the reason", "another alert of the brand")
        case Hold.STORM:
            return t.word("the reason", "too many alerts at once")


def _fires(t: Tongue, firing: Sequence[BundleMember], now: datetime) -> str:
    if not firing:
        return ""
    told = (lambda one: one.title) if len(firing) > DETAILED_MAX else (lambda one: _detailed(t, one, now))
    count = t.many("One alert fires.", "{count} alerts fire, the worst first.", len(firing))
    return joined([count, *_by_severity(t, firing, told)])


def _over(t: Tongue, over: Sequence[BundleMember]) -> str:
    if not over:
        return ""
    count = t.many("One alert is over.", "{count} alerts are over.", len(over))
    return joined([count, *_by_severity(t, over, lambda one: _ended(t, one))])


def _by_severity(t: Tongue, members: Sequence[BundleMember], told: Callable[[BundleMember], str]) -> list[str]:
    """What is told alike is told once, with its number: "Critical: Acme, 2x Bolt.", "Warning: Wolt."."""
    sentences = []
    for severity, some in groupby(members, key=lambda one: one.severity):
        counts = Counter(told(one) for one in some)
        brands = ", ".join(brand if count == 1 else f"{count}x {brand}" for brand, count in counts.items())
        sentences.append(_group(t, severity, brands))
    return sentences


def _group(t: Tongue, severity: Severity, brands: str) -> str:
    match severity:
        case Severity.INFO:
            return t.say("Note: {brands}.", brands=brands)
        case Severity.WARNING:
            return t.say("Warning: {brands}.", brands=brands)
        case Severity.CRITICAL:
            return t.say("Critical: {brands}.", brands=brands)


def _detailed(t: Tongue, member: BundleMember, now: datetime) -> str:
    seen, usual = known(member.observed), known(member.expected)
    since = t.clock(member.started_at, now=now)
    if seen is None or usual is None:
        return t.word("alert", "{brand} (since {time})", brand=member.title, time=since)
    return t.word(
        "alert",
        "{brand} ({share} negative, {usual} is usual, since {time})",
        brand=member.title,
        share=percent(seen),
        usual=percent(usual),
        time=since,
    )


def _ended(t: Tongue, member: BundleMember) -> str:
    """Only recovery needs no word."""
    match member.resolution:
        case Resolution.NO_DATA:
            return t.word("alert", "{brand} (nobody speaks)", brand=member.title)
        case Resolution.EXPIRED:
            return t.word("alert", "{brand} (its time is over)", brand=member.title)
        case Resolution.MANUAL:
            return t.word("alert", "{brand} (closed by hand)", brand=member.title)
        case Resolution.UNWATCHED:
            return t.word("alert", "{brand} (not watched any more)", brand=member.title)
        case _:
            return member.title


def _answered(t: Tongue, firing: Sequence[BundleMember]) -> str:
    """Who is on what."""
    found = [(short(one.assignee or one.acked_by or ""), one.title) for one in firing if _on_it(one)]
    if not found:
        return ""
    brands = ", ".join(t.word("alert", "{brand} ({by})", brand=brand, by=by) for by, brand in found)
    return t.say("Somebody is on it already: {brands}.", brands=brands)


def _on_it(member: BundleMember) -> bool:
    return bool(member.assignee or member.acked_by)


def _drills(t: Tongue, drills: Sequence[BundleMember]) -> str:
    """Those that stand beside what is real."""
    if not drills:
        return ""
    brands = ", ".join(dict.fromkeys(one.title for one in drills))
    return t.many(
        "A drill was among it, nothing has happened: {brands}.",
        "{count} drills were among it, nothing has happened: {brands}.",
        len(drills),
        brands=brands,
    )


def _alone(t: Tongue, count: int) -> str:
    if not count:
        return ""
    return t.many("The worst one was told by itself.", "The worst {count} were told one by one.", count)


def _asked(t: Tongue, bundle_id: str, *, links: bool) -> list[str]:
    return [t.say("An answer to this message is one to all that it names."), answer(t, bundle_id, links=links)]
