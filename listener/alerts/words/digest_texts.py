"""The digest of a day in words. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from listener.alerts.detection.drift import DigestEntry
from listener.alerts.words.languages import Text, Tongue, in_each, joined, known, percent, short
from listener.domain import Alert, Severity


def digest_words(
    entries: Sequence[DigestEntry], firing: Sequence[Alert], *, titles: Mapping[str, str], now: datetime
) -> Mapping[str, Text]:
    """The words by language (ISO 639-1): ``entries`` are ranked, ``titles`` are brands' names for people."""
    return in_each(lambda t: _digest(t, entries, firing, titles, now))


def _digest(
    t: Tongue, entries: Sequence[DigestEntry], firing: Sequence[Alert], titles: Mapping[str, str], now: datetime
) -> Text:
    if not entries and not firing:
        body = t.say("No brand falls slowly, and no alert is open.")
        return Text(title=t.word("title", "Digest: all calm"), body=body)
    slow = t.many("{count} slowly falling", "{count} slowly falling", len(entries))
    alerts = t.many("{count} open alert", "{count} open alerts", len(firing))
    sentences = [
        *(_drifting(t, entry, short(titles.get(entry.brand, entry.brand))) for entry in entries),
        *(_open(t, alert, short(titles.get(alert.brand, alert.brand)), now) for alert in firing),
    ]
    return Text(title=t.word("title", "Digest: {slow}, {alerts}", slow=slow, alerts=alerts), body=joined(sentences))


def _drifting(t: Tongue, entry: DigestEntry, brand: str) -> str:
    found = entry.drift
    low, high = (f"{100 * (known(bound) or 0.0):+.0f}" for bound in (found.low, found.high))
    return t.many(
        "{brand}: {recent} of {count} mention in four weeks tells of a negative experience, {before} in the eight "
        "weeks before ({low} to {high} points).",
        "{brand}: {recent} of {count} mentions in four weeks tell of a negative experience, {before} in the eight "
        "weeks before ({low} to {high} points).",
        int(found.recent_count),
        brand=brand,
        recent=percent(known(found.recent) or 0.0),
        before=percent(known(found.before) or 0.0),
        low=low,
        high=high,
    )


def _open(t: Tongue, alert: Alert, brand: str, now: datetime) -> str:
    hours = int(max(now - alert.started_at, timedelta()).total_seconds() // 3600)
    lasting = t.word("duration", "{hours} h", hours=str(hours))
    match alert.severity:
        case Severity.INFO:
            return t.say("{brand}: note, for {duration}.", brand=brand, duration=lasting)
        case Severity.WARNING:
            return t.say("{brand}: warning, for {duration}.", brand=brand, duration=lasting)
        case Severity.CRITICAL:
            return t.say("{brand}: critical, for {duration}.", brand=brand, duration=lasting)
