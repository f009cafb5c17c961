"""The language that a browser asks for. Pure."""

from listener.alerts.words.languages import LANGUAGES, SOURCE

HEADER_CHARS_MAX = 1000


def language_of(accept: str | None) -> str:
    """The one of ``LANGUAGES`` that an Accept-Language header (RFC 9110, 12.5.4) likes most.

    English without a header, or where nothing is liked more; of others that are liked the same, the first in the list.
    """
    liked = dict.fromkeys(LANGUAGES, 0.0)
    for part in (accept or "")[:HEADER_CHARS_MAX].split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in liked:
            liked[language] = max(liked[language], _weight(parameter))
    return max(liked, key=lambda code: (liked[code], code == SOURCE))


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
