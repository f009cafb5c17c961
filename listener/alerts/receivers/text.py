"""What people read on a telephone or in a mail: the words of a payload, where to look, what to answer, how to answer.

One place for all receivers that write to people. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from listener.alerts.receivers.base import Language
from listener.alerts.words.label_texts import labels
from listener.domain import AlertState, Frozen

LINKS_MAX: Final = 3  # to read first


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Something to click, or only a name where there is no link; ``act`` is what it does, where it is an answer."""

    label: str
    url: str = ""
    act: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message for people: a headline in one line, sentences, and pointers; ``headings`` stand above those."""

    title: str
    body: str
    evidence: tuple[Pointer, ...] = ()
    articles: tuple[Pointer, ...] = ()
    answers: tuple[Pointer, ...] = ()
    headings: Mapping[str, str]


def words(payload: Frozen, language: Language) -> Said:
    """What a payload says in this language, in English where it does not speak it. Whatever it lacks is left out."""
    named = labels(language, over=_over(payload))
    texts = payload.get("text") or {}
    text = texts.get(language) or texts.get("en") or {}
    return Said(
        title=one_line(text.get("title", "")),
        body=str(text.get("body", "")),
        evidence=_evidence(payload.get("evidence") or ()),
        articles=tuple(
            Pointer(label=one_line(one.get("title", "")), url=_link(one.get("url")))
            for one in payload.get("articles") or ()
        ),
        answers=tuple(
            Pointer(label=named.get(act, one_line(act)), url=url, act=str(act))
            for act, url in ((payload.get("answer") or {}).get("links") or {}).items()
            if usable_link(url)
        ),
        headings={part: named[part] for part in ("evidence", "articles", "answer")},
    )


def plain(said: Said) -> str:
    """All but the headline, as plain text."""
    blocks = [said.body]
    for part, pointers in (("evidence", said.evidence), ("articles", said.articles), ("answer", said.answers)):
        if pointers:
            blocks.append("\n".join([f"{said.headings[part]}:", *(_line(one) for one in pointers)]))
    return "\n\n".join(block for block in blocks if block)


def _over(payload: Frozen) -> bool:
    """Whether nothing that it tells of still fires."""
    told = payload.get("alerts") or (payload,)
    return all(one.get("state") == AlertState.RESOLVED for one in told)


def usable_link(url: object) -> bool:
    """Whether people may be given this link to click: http(s) only."""
    return isinstance(url, str) and url.lower().startswith(("http://", "https://")) and url.isprintable()


def kind_of(payload: Frozen) -> str:
    """What a payload is: alert, bundle, digest, watchdog or test."""
    return str(payload.get("type", ""))


def one_line(text: object) -> str:
    """Without line ends and control characters: a brand's name may hold anything."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


def _evidence(links: Sequence[Mapping[str, Any]]) -> tuple[Pointer, ...]:
    usable = [one for one in links if usable_link(one.get("url"))]
    return tuple(Pointer(label=one_line(one.get("source", "")), url=one["url"]) for one in usable[:LINKS_MAX])


def _link(url: object) -> str:
    return str(url) if usable_link(url) else ""


def _line(pointer: Pointer) -> str:
    return f"- {pointer.label}: {pointer.url}" if pointer.label and pointer.url else f"- {pointer.label}{pointer.url}"
