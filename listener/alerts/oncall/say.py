"""What a message says: the payload of one alert, or of several at once. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from listener.alerts.oncall.rounds import REMINDERS, Message, Tell
from listener.alerts.wire.findings import AnswerFindings, Words
from listener.alerts.wire.oncall import BundleMember, BundlePayload
from listener.alerts.wire.payload import as_json
from listener.alerts.words.bundle_texts import bundle_words
from listener.alerts.words.oncall_texts import again
from listener.domain import SEVERAL, AlertState, Brief, Frozen, Notification, Reason, Response, Severity

CALM_KINDS = frozenset({"held", "missed"})  # told as news of the past: they wake nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an answer is about: an alert or a bundle, as it stood at ``seq``, told to ``receiver``."""

    id: str
    brand: str
    seq: int
    receiver: str
    over: bool = False


def notification(
    message: Message, *, answer: AnswerFindings | None, briefs: Mapping[str, Brief], now: datetime
) -> Notification:
    """The row of the outbox for a message; ``briefs`` are the alerts as they are now, for the state of a bundle's."""
    if message.bundle is not None:
        return _several(message, answer, briefs, now)
    (tell,) = message.tells
    event = tell.event
    repeat = tell.response.messages if tell.reason in REMINDERS else 0
    waited = any(one.hold is not None for one in tell.chain)
    return Notification(
        alert_id=event.alert_id,
        seq=event.seq,
        brand=event.brand,
        severity=event.severity,
        receiver=message.receiver,
        reason=tell.reason,
        payload=_one(tell, repeat, answer),
        # What waited is news from now on; what was decided just now, from its decision.
        decided_at=now if waited or tell.reason in REMINDERS else event.decided_at,
        due_at=now,
        repeat=repeat,
    )


def target(message: Message) -> Target:
    """What an answer to the message would be about."""
    over = all(tell.event.state is AlertState.RESOLVED for tell in message.tells)
    if message.bundle is not None:
        return Target(id=message.bundle.id, brand=SEVERAL, seq=1, receiver=message.receiver, over=over)
    event = message.tells[0].event
    return Target(id=event.alert_id, brand=event.brand, seq=event.seq, receiver=message.receiver, over=over)


def _one(tell: Tell, repeat: int, answer: AnswerFindings | None) -> Frozen:
    """What was fixed at the decision, with what is new since: how often it was said, and how to answer."""
    said: dict[str, Any] = {
        **tell.event.payload,
        "reason": tell.reason.value,
        "repeat": repeat,
        "escalate": tell.escalate,
        "answer": None if answer is None else answer.model_dump(mode="json"),
    }
    if tell.reason in REMINDERS:
        said["text"] = _again(said["text"], [tell])
    return said


def _again(text: Mapping[str, Mapping[str, str]], tells: Sequence[Tell]) -> dict[str, dict[str, str]]:
    """The words as those of a reminder: the steps of the chain are not counted, since each asks somebody else."""
    repeats = [tell.response.repeats for tell in tells if tell.reason is Reason.REPEAT]
    return again(
        text,
        reason=Reason.REPEAT if repeats else Reason.ESCALATED,
        repeat=max(repeats, default=0),
        minutes=max(tell.minutes for tell in tells),
        escalate=any(tell.escalate for tell in tells),
    )


def _several(
    message: Message, answer: AnswerFindings | None, briefs: Mapping[str, Brief], now: datetime
) -> Notification:
    bundle = message.bundle
    if bundle is None:
        raise ValueError("a message about several alerts has a bundle")
    members = tuple(
        member(tell.event.payload, tell.reason, briefs.get(tell.event.alert_id), tell.response)
        for tell in message.tells
    )
    calm = bundle.kind in CALM_KINDS
    ends = all(tell.reason is Reason.RESOLVED for tell in message.tells)
    reminds = all(tell.reason in REMINDERS for tell in message.tells)
    severity = Severity.INFO if calm else max((one.severity for one in members), key=lambda one: one.rank)
    words = bundle_words(
        bundle.kind,
        members,
        now=now,
        reasons=message.holds,
        alone=message.alone,
        bundle_id="" if calm else bundle.id,
        links=answer is not None and bool(answer.links),
    )
    text = {language: {"title": one.title, "body": one.body} for language, one in words.items()}
    if reminds:
        text = _again(text, message.tells)
    payload = BundlePayload(
        kind=bundle.kind,
        bundle_id=bundle.id,
        severity=severity,
        at=now,
        escalate=any(tell.escalate for tell in message.tells),
        drill=all(one.drill for one in members),
        alerts=members,
        answer=None if calm else answer,
        text={language: Words.model_validate(one) for language, one in text.items()},
    )
    reason = Reason.DIGEST if calm else Reason.RESOLVED if ends else Reason.REPEAT if reminds else Reason.FIRST
    return Notification(
        alert_id=bundle.id,
        seq=1,
        brand=SEVERAL,
        severity=severity,
        receiver=message.receiver,
        reason=reason,
        payload=as_json(payload),
        decided_at=now,
        due_at=now,
    )


def member(payload: Frozen, reason: Reason, brief: Brief | None, response: Response | None = None) -> BundleMember:
    """One alert in a bundle: what was said of it (a payload of type alert), how it is now, and who is on it."""
    said = BundleMember.model_validate({**payload, "reason": reason})
    if brief is not None:
        said = said.model_copy(
            update={
                "state": brief.state,
                "severity": brief.severity,
                "ended_at": brief.ended_at,
                "resolution": brief.resolution,
            }
        )
    if response is None or response.acked_at is None or said.state is not AlertState.FIRING:
        return said
    return said.model_copy(update={"acked_by": response.acked_by, "assignee": response.assignee})
