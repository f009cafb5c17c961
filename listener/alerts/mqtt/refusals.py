"""Commands that are not taken: what is wrong with them, in words that never repeat what they hold. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from listener.alerts.mqtt.retained import readable
from listener.alerts.mqtt.topics import Target
from listener.alerts.wire.oncall import NAME_CHARS_MAX, SEQ_MAX, ActionPayload, Command
from listener.alerts.wire.payload import SCHEMA
from listener.domain import Act, Outcome, Via

PROBLEMS_MAX = 3
TOPIC_CHARS_MAX = 200
FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")  # what stands as a name of a field may be anything
WORDS = MappingProxyType({"missing": "is missing", "extra_forbidden": "is not known", "string_too_short": "is empty"})
LINES = MappingProxyType(dict.fromkeys(map(ord, "\n\r\t")))  # what a remark may hold of control characters

Dropped = Literal["empty", "retained", "too_large", "topic", "invalid", "flood", "crashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a command is not taken.

    ``target`` is what it is about, None when nobody is to be told; ``act``, ``seq`` and ``by`` what it says, as far as
    that can be read.
    """

    why: Dropped
    problem: str = ""
    target: Target | None = None
    act: Act = Act.ACK
    seq: int | None = None
    by: str = ""

    def told(self, now: datetime) -> ActionPayload | None:
        """What its sender may read; None when it names no alert."""
        if self.target is None:
            return None
        return ActionPayload(
            target=self.target.id,
            action=self.act,
            seq=self.seq,
            by=self.by,
            via=Via.MQTT,
            at=now,
            outcome=Outcome.REFUSED,
            explanation=self.problem,
        )


class Allowance:
    """So many at once, and one more after every so many seconds. ``left_out`` counts those that were too many."""

    def __init__(self, *, burst: int, every_secs: float) -> None:
        self._burst = float(burst)
        self._every_secs = every_secs
        self._tokens = self._burst
        self._filled_at: datetime | None = None
        self.left_out = 0

    def take(self, now: datetime) -> bool:
        """Whether there may be one more. A clock that was set back costs nothing."""
        passed_secs = 0.0 if self._filled_at is None else max(0.0, (now - self._filled_at).total_seconds())
        self._tokens = min(self._burst, self._tokens + passed_secs / self._every_secs)
        self._filled_at = now
        if self._tokens < 1.0:
            self.left_out += 1
            return False
        self._tokens -= 1.0
        return True


def understood(body: bytes) -> Command | str:
    """The command in ``body``, or what is wrong with it."""
    try:
        command = Command.model_validate_json(body, strict=True)
    except ValidationError as error:
        return problem_of(error)
    return problem_of_controls(command) or command


def problem_of(error: ValidationError) -> str:
    """The fields and what is wrong with each, without values: ``by is missing; seq should be a valid integer``."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return _listed(_problem(one["type"], one["loc"], one["msg"]) for one in found)


def problem_of_controls(command: Command) -> str:
    """The fields with control characters: a database refuses some, and a terminal obeys others."""
    texts = {"by": command.by, "assignee": command.assignee or ""}
    for name, remark in (("comment", command.comment), ("helped", command.helped)):
        texts[name] = (remark or "").translate(LINES)
    return _listed(f"{name} has control characters" for name, text in texts.items() if has_controls(text))


def refused(body: bytes, problem: str, target: Target) -> Refusal:
    """The refusal of a command that cannot be understood, with as much of it as can be.

    What we have said ourselves, on whichever way it came back, gets no answer: that would come back, too.
    """
    content = readable(body) or {}
    ours = content.get("schema") == SCHEMA
    return Refusal(
        why="invalid",
        problem=problem,
        target=None if ours else target,
        act=_act(content.get("action")),
        seq=_seq(content.get("seq")),
        by=_by(content.get("by")),
    )


def has_controls(text: str) -> bool:
    """Whether ``text`` has characters that are not for reading: controls, lone surrogates."""
    return any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)


def shown(topic: str) -> str:
    """A topic that anybody may have made up, fit for a log."""
    return "".join("?" if has_controls(char) else char for char in topic[:TOPIC_CHARS_MAX])


def _problem(kind: str, location: tuple[int | str, ...], message: str) -> str:
    if kind == "json_invalid":
        return "it is no JSON"
    if not location:
        return "it is no JSON object" if kind == "model_type" else message.removeprefix("Value error, ")
    field = str(location[0])
    named = field if FIELD.fullmatch(field) else "a field"
    # The library's own words begin with the type: "Input should be a valid integer".
    return f"{named} {WORDS.get(kind) or message.partition(' ')[2]}"


def _listed(problems: Iterable[str]) -> str:
    found = list(dict.fromkeys(problems))
    more = [f"and {len(found) - PROBLEMS_MAX} more"] if len(found) > PROBLEMS_MAX else []
    return "; ".join([*found[:PROBLEMS_MAX], *more])


def _act(value: Any) -> Act:
    return Act(value) if isinstance(value, str) and value in {act.value for act in Act} else Act.ACK


def _seq(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= SEQ_MAX else None


def _by(value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    return name if len(name) <= NAME_CHARS_MAX and not has_controls(name) else ""
