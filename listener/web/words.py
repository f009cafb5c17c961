"""The words of the pages that links open, in English and Estonian, and which of the two a browser asks for. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("en", "et")

_ENGLISH: Final = {
    "brand": "Brand",
    "severity": "Severity",
    "since": "Since",
    "state": "Now",
    "answered": "Answered",
    "comment": "What was the cause? (optional)",
    "helped": "What helped? (optional)",
    "acting_as": "You act as",
    "info": "Note",
    "warning": "Warning",
    "critical": "Critical",
    "firing": "it still fires",
    "resolved": "it ended at {at}",
    "alert": "{brand}: alert {rule}",
    "acked": "{by} is on it since {at}",
    "assigned": "it is with {by}",
    "snoozed": "snoozed until {at}",
    "more": "... and {count} more.",
    "button.ack": "I am on it",
    "button.assign": "I take it over",
    "button.snooze": "Remind me in {span}",
    "button.resolve": "It is dealt with",
    "button.silence": "Mute for {span}",
    "button.note": "Keep the note",
    "does.ack": "Everybody can see that you are on it, and nobody is asked again. If it becomes worse, you are told.",
    "does.assign": "Everybody can see that it is with you now, and nobody is asked again.",
    "does.snooze": "Nobody is asked again until then. If it still fires after that, you are reminded.",
    "does.resolve": "The alert ends. What was said until now counts no more.",
    "does.silence": "For {span} nobody is told of such alerts of this brand. They are kept and listed all the same.",
    "does.note": "The alert is over. What you write here is kept with it, for the next time.",
    "heading.ack": "Acknowledge",
    "heading.assign": "Take over",
    "heading.snooze": "Snooze",
    "heading.resolve": "Resolve",
    "heading.silence": "Silence",
    "heading.note": "Note",
    "done": "Done.",
    "noop": "There was nothing left to do.",
    "refused": "It was not done.",
    "waiting": "Taken: it will be done in a moment.",
    "used": "This link was used already, at {at}.",
    "over": "The alert was over already, and nothing was written.",
    "damaged": "This link does not work. Perhaps a part of it is missing: copy all of it.",
    "expired": "This link has expired. Open one from a newer message, or use the command line.",
    "unknown": "The alert of this link is not known here.",
    "down": "This does not work at the moment: the database does not answer. Try again in a minute.",
    "error": "Nothing was done",
}
_ESTONIAN: Final = {
    "brand": "Bränd",
    "severity": "Raskus",
    "since": "Algas",
    "state": "Praegu",
    "answered": "Vastatud",
    "comment": "Mis oli põhjus? (pole kohustuslik)",
    "helped": "Mis aitas? (pole kohustuslik)",
    "acting_as": "Tegutsed nimega",
    "info": "Teade",
    "warning": "Hoiatus",
    "critical": "Kriitiline",
    "firing": "häire kestab",
    "resolved": "häire lõppes {at}",
    "alert": "{brand}: häire {rule}",
    "acked": "{by} tegeleb sellega alates {at}",
    "assigned": "tegeleja: {by}",
    "snoozed": "edasi lükatud kuni {at}",
    "more": "... ja veel {count}.",
    "button.ack": "Tegelen sellega",
    "button.assign": "Võtan enda kätte",
    "button.snooze": "Tuleta meelde: {span} pärast",
    "button.resolve": "Asi on lahendatud",
    "button.silence": "Vaigista: {span}",
    "button.note": "Salvesta märkus",
    "does.ack": "Kõik näevad, et tegeled sellega, ja kelleltki enam ei küsita. Kui läheb hullemaks, saad teate.",
    "does.assign": "Kõik näevad, et see on nüüd sinu käes, ja kelleltki enam ei küsita.",
    "does.snooze": "Seni kelleltki enam ei küsita. Kui häire siis veel kestab, tuletatakse meelde.",
    "does.resolve": "Häire lõpeb. Seni öeldu enam arvesse ei lähe.",
    "does.silence": "Kuni vaigistus kestab ({span}), ei teavitata selle brändi häiretest. Alles need jäävad.",
    "does.note": "Häire on läbi. Mis siia kirjutad, jääb selle juurde alles järgmise korra jaoks.",
    "heading.ack": "Kinnitus",
    "heading.assign": "Ülevõtmine",
    "heading.snooze": "Edasilükkamine",
    "heading.resolve": "Lahendamine",
    "heading.silence": "Vaigistus",
    "heading.note": "Märkus",
    "done": "Tehtud.",
    "noop": "Polnud enam midagi teha.",
    "refused": "See jäi tegemata.",
    "waiting": "Vastu võetud: tehakse kohe ära.",
    "used": "Seda linki on juba kasutatud: {at}.",
    "over": "Häire oli juba läbi ja midagi ei kirjutatud.",
    "damaged": "See link ei tööta. Võib-olla on osa sellest puudu: kopeeri terve link.",
    "expired": "See link on aegunud. Ava link uuemast teatest või kasuta käsurida.",
    "unknown": "Selle lingi häiret siin ei tunta.",
    "down": "Praegu see ei tööta: andmebaas ei vasta. Proovi minuti pärast uuesti.",
    "error": "Midagi ei tehtud",
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"en": _ENGLISH, "et": _ESTONIAN})


def language_of(accept: str | None) -> str:
    """``en`` or ``et``, the one that an Accept-Language header (RFC 9110, 12.5.4) likes more; English without one."""
    liked = {"en": 0.0, "et": 0.0}
    for part in (accept or "")[:1000].split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in liked:
            liked[language] = max(liked[language], _weight(parameter))
    return "et" if liked["et"] > liked["en"] else "en"


def span(minutes: float) -> str:
    """How long, short: ``2 h``, ``90 min``."""
    whole = round(minutes)
    return f"{whole // 60} h" if whole and whole % 60 == 0 else f"{max(1, whole)} min"


def clock(at: datetime, now: datetime) -> str:
    """A time for people: the day too, unless it is within the last or the next half day."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M} UTC" if abs(at - now) < timedelta(hours=12) else f"{at:%Y-%m-%d %H:%M} UTC"


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
