"""Hand over what the outbox holds, in the order of decision per brand, at least once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from traceback import extract_tb
from typing import Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.alerts.oncall import say
from listener.alerts.oncall.expiry import EXPIRY_SECS
from listener.alerts.oncall.rounds import Message, Tell
from listener.alerts.receivers.base import longest_secs
from listener.domain import (
    SEVERAL,
    AlertState,
    Bundle,
    Event,
    Member,
    Notification,
    Reason,
    Response,
    Severity,
    stable_id,
)
from listener.errors import DeliveryError, StoreError
from listener.pipeline.mend import tellable
from listener.pipeline.parts import Parts
from listener.pipeline.turns import Turns
from listener.protocols import Receiver
from listener.store import alerts, events, outbox, responses
from listener.store.outbox import Backlog, Waiting

log = structlog.get_logger()

Outcome = Literal["sent", "retry", "dead", "pointless", "expired"]  # as they are counted

SLICE_SECS = 5.0  # after so long the backlog is read anew: what is new, what has become too old, how much there is
LEASE_SECS = 10.0  # beyond the receiver's own limit; a killed daemon's claim is due again after both
CUT_SECS = 5.0  # beyond the receiver's own limit an attempt is cut off, while the claim is ours
RETRY_SECS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between attempts of one notification; the last one repeats
RETRY_AFTER_MOST_SECS = 300.0  # a receiver that is well again is told within this, whatever it once asked for
# The last second before a message expires: a broker is not handed what has less than a second to live.
LAST = timedelta(seconds=1)
SIGNS_MISSED = 2  # a sign that all is well is no news when so many more should have come since
READ_SECS = 3.0  # so long a backlog of which nothing is due is not read again: another daemon may have added to it
# So long after it has expired, what waits for a receiver that we do not know is known to no other daemon either: one
# whose configuration is newer or older has named it in a digest.
UNKNOWN = timedelta(minutes=10)
UNTOLD = "its beginning was never delivered"
ANSWERED = "somebody has answered meanwhile"
TOO_OLD = "too old to be news; named in a digest"
TOO_LATE = "too late to say that all is well"
NOT_CONFIGURED = "not configured any more"


@dataclass(kw_only=True)
class Memory:
    """What a daemon remembers of its deliveries to one receiver from one slice to the next.

    ``tried`` is kept where each message is to be tried once and no more. Until ``rests_until`` nothing is due of what
    was there at ``read_at``; whoever adds to it sets ``woken``.
    """

    tried: set[int] | None = None
    woken: bool = False
    read_at: datetime | None = None
    rests_until: datetime | None = None

    def rests(self, now: datetime) -> bool:
        """Whether there is no need to read what waits. A clock that was set back is no reason to rest."""
        if self.woken or self.read_at is None or self.rests_until is None:
            return False
        return self.read_at <= now < min(self.rests_until, self.read_at + timedelta(seconds=READ_SECS))


async def deliver(parts: Parts, receiver_name: str, memory: Memory | None = None) -> int:
    """Hand over what is due to one receiver, in order, for some seconds at most.

    Returns how many it took, or 1 when it took none and there was no time for others that are due; 0 when nothing is
    left to do now. What has become too old while the receiver was away is named in one digest instead.
    """
    memory = memory or Memory()
    if not parts.receivers[receiver_name].connected:
        memory.rests_until = None
        done = 0
    elif memory.rests(parts.now()):
        return 0
    else:
        done = await _drained(parts, receiver_name, memory)
    await _measured(parts)
    return done


async def _drained(parts: Parts, receiver_name: str, memory: Memory) -> int:
    """One after the other, so that the lease need only be as long as one attempt."""
    receiver = parts.receivers[receiver_name]
    memory.woken, memory.read_at, memory.rests_until = False, parts.now(), None
    until = memory.read_at + timedelta(seconds=SLICE_SECS)
    lease_secs = longest_secs(receiver) + LEASE_SECS
    waiting = await outbox.waiting(parts.database, receiver_name)
    if any(one.due_at <= memory.read_at and _expired(one, memory.read_at) for one in waiting):
        await _give_up_old(parts, receiver_name)
        waiting = await outbox.waiting(parts.database, receiver_name)
    turns, by_row, taken, postponed = Turns(waiting), {one.row: one for one in waiting}, 0, False
    while receiver.connected and (row := turns.take(now := parts.now())) is not None:
        if memory.tried is not None and row in memory.tried:
            continue
        if now >= until or _expired(by_row[row], now):
            return taken or 1  # with others that were read before: begin anew
        notification = await outbox.claim(parts.database, row, now=now, lease_secs=lease_secs)
        if notification is None:
            postponed = True
            continue  # another daemon has it: what waits for it waits on
        if memory.tried is not None:
            memory.tried.add(row)
        outcome = await _handed_over(parts, receiver, notification)
        if outcome == "retry":
            postponed = True
        else:
            turns.closed(row)
        taken += outcome == "sent"
    if not postponed and receiver.connected:
        memory.rests_until = turns.next_at()
    return taken


async def _handed_over(parts: Parts, receiver: Receiver, notification: Notification) -> Outcome:
    """Try one message, and keep what became of it."""
    if _overdue(notification, parts.now()):
        return await _die(parts, notification, TOO_LATE, outcome="expired")
    if (why := await _pointless(parts, notification)) is not None:
        return await _die(parts, notification, why, outcome="pointless")
    try:
        async with asyncio.timeout(longest_secs(receiver) + CUT_SECS):
            await receiver.deliver(notification)
    except DeliveryError as error:
        return await _undelivered(parts, notification, error)
    except Exception as error:  # noqa: BLE001 -- a plug-in may raise anything, and its words may hold a secret
        where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
        crashed = DeliveryError(f"crashed: {type(error).__name__}", retryable=True)
        log.error("receiver.crashed", **_labels(notification, str(crashed)), where=where)  # noqa: TRY400 -- no words
        return await _undelivered(parts, notification, crashed)
    # At once and alone: a kill between the receiver's yes and this commit makes it come twice.
    await outbox.sent(parts.database, notification, now=parts.now())
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome="sent").inc()
    log.info(
        "notification.sent",
        receiver=notification.receiver,
        alert=notification.alert_id,
        brand=notification.brand,
        reason=notification.reason.value,
        seq=notification.seq,
    )
    return "sent"


def _overdue(notification: Notification, now: datetime) -> bool:
    """Whether it is a sign that all was well so long ago that it says nothing of now."""
    every_secs = notification.payload.get("every_secs")
    if notification.reason is not Reason.WATCHDOG or not isinstance(every_secs, int | float):
        return False
    return now - notification.decided_at > timedelta(seconds=SIGNS_MISSED * every_secs)


async def _pointless(parts: Parts, notification: Notification) -> str | None:
    """Why nobody needs it any more: the end of what this receiver never heard of, a call for what is answered."""
    if notification.reason in {Reason.REPEAT, Reason.ESCALATED}:
        return ANSWERED if await _answered(parts, notification) else None
    if notification.reason is not Reason.RESOLVED or notification.brand == SEVERAL:
        return None
    bundles = await responses.bundles_of(parts.database, notification.alert_id)
    told = await outbox.was_told(parts.database, notification.receiver, [notification.alert_id, *bundles])
    return None if told else UNTOLD


async def _answered(parts: Parts, notification: Notification) -> bool:
    """Whether somebody is on all that it tells of, or that is over. What becomes worse is asked about anew."""
    async with parts.database.reading() as connection:
        members = await responses.members(connection, notification.alert_id)
        about = {alert_id for alert_id, _ in members} or {notification.alert_id}
        known = await responses.of(connection, about)
    return known.keys() == about and all(one.closed or one.acked_at is not None for one in known.values())


async def _undelivered(parts: Parts, notification: Notification, error: DeliveryError) -> Outcome:
    # What has expired meanwhile stays open until it is named in a digest.
    if not error.retryable and not _expired(notification, parts.now()):
        return await _die(parts, notification, str(error))
    wait = RETRY_SECS[min(notification.attempt, len(RETRY_SECS) - 1)]
    wait = max(wait, min(error.retry_after_secs or 0.0, RETRY_AFTER_MOST_SECS))
    await outbox.again(parts.database, notification, due_at=parts.now() + timedelta(seconds=wait), error=str(error))
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome="retry").inc()
    if notification.attempt == 0:
        log.warning("notification.delayed", **_labels(notification, str(error)))
    return "retry"


async def _die(parts: Parts, notification: Notification, error: str, *, outcome: Outcome = "dead") -> Outcome:
    await outbox.dead(parts.database, notification, now=parts.now(), error=error)
    parts.metrics.notifications.labels(receiver=notification.receiver, outcome=outcome).inc()
    if outcome == "dead":
        log.error("notification.died", **_labels(notification, error))
    elif outcome == "expired":
        log.warning("notification.expired", **_labels(notification, error))
    return outcome


def _labels(notification: Notification, error: str) -> dict[str, str]:
    return {"receiver": notification.receiver, "alert": notification.alert_id, "error": error}


# --------------------------------------------------------------------------------------------------- what is too old


async def _give_up_old(parts: Parts, receiver: str) -> None:
    """Page nobody for what is history: all of it that tells of alerts is named in one digest to this receiver.

    What cannot be named is left out, and logged: history never keeps this receiver from what is new.
    """
    now = parts.now()
    async with responses.deciding(parts.database) as connection:
        old = await outbox.old(connection, receiver, _limits(now), now=now)
        if not any(_expired(one, now) for one in old):
            return  # another daemon has done it, or is trying
        try:
            told = await _digest(parts, connection, receiver, old, now)
        except (StoreError, SQLAlchemyError):
            raise
        except Exception:
            parts.metrics.unit_failures.labels(stage=f"deliver_{receiver}").inc()
            log.exception("notifications.unnamed", receiver=receiver, count=len(old))
            told = None
        await outbox.give_up(connection, [one.id for one in old], now=now, error=TOO_OLD)
        if told is not None:
            bundle, digest = told
            await responses.write_bundles(connection, parts.database.dialect, [bundle])
            await outbox.enqueue(connection, parts.database.dialect, [digest])
    parts.metrics.notifications.labels(receiver=receiver, outcome="expired").inc(len(old))
    alerts_named = 0 if told is None else len(told[0].members)
    log.error("notifications.expired", receiver=receiver, count=len(old), alerts=alerts_named)


async def _digest(
    parts: Parts, connection: AsyncConnection, receiver: str, old: Sequence[Notification], now: datetime
) -> tuple[Bundle, Notification] | None:
    """The one message that names what these tell of; None when that is no alert."""
    about: dict[str, int] = {}
    for one in old:
        for alert_id, seq in await responses.members(connection, one.alert_id) or [(one.alert_id, one.seq)]:
            about[alert_id] = max(seq, about.get(alert_id, 0))
    briefs = await alerts.briefs(connection, about)
    newest = await events.newest(connection, briefs)
    readable = [await tellable(parts, connection, newest[alert_id]) for alert_id in briefs if alert_id in newest]
    told = [_tell(event, receiver) for event in readable if event is not None]
    if not told:
        return None
    bundle = Bundle(
        id=stable_id("bundle", "missed", receiver, *sorted(one.id for one in old)),
        kind="missed",
        at=now,
        members=tuple(Member(alert_id=one.event.alert_id, seq=one.event.seq) for one in told),
    )
    message = Message(receiver=receiver, tells=tuple(told), bundle=bundle)
    return bundle, say.notification(message, answer=None, briefs=briefs, now=now)


def _limits(now: datetime) -> dict[Severity, datetime]:
    """By severity: what was decided before then is too old."""
    return {severity: now + LAST - timedelta(seconds=secs) for severity, secs in EXPIRY_SECS.items()}


def _expired(one: Notification | Waiting, now: datetime) -> bool:
    """Whether it is no news any more."""
    return one.decided_at < _limits(now)[one.severity]


def _tell(event: Event, receiver: str) -> Tell:
    response = Response(alert_id=event.alert_id, brand=event.brand)
    reason = event.reason if event.state is AlertState.FIRING else Reason.DIGEST
    return Tell(event=event, reason=reason, targets=(receiver,), response=response, before=response)


# ------------------------------------------------------------------------------------------------- how much there is


async def _measured(parts: Parts) -> None:
    """Say how much waits and since when; what nobody knows the receiver of is given up when it is no news any more."""
    backlogs = await outbox.backlogs(parts.database)
    before = {severity: at - UNKNOWN for severity, at in _limits(parts.now()).items()}
    unknown = [one for one in backlogs if one.receiver not in parts.receivers]
    if gone := [one for one in unknown if one.decided_at < before[one.severity]]:
        for one in gone:
            await _abandon(parts, one, before[one.severity])
        backlogs = await outbox.backlogs(parts.database)
    parts.metrics.outbox_depth.set(sum(one.count for one in backlogs))
    # What we are not to deliver is no sign that our deliveries are late.
    oldest = min((one.decided_at for one in backlogs if one.receiver in parts.receivers), default=None)
    parts.metrics.outbox_age.set((parts.now() - oldest).total_seconds() if oldest else 0.0)


async def _abandon(parts: Parts, backlog: Backlog, before: datetime) -> None:
    now, receiver = parts.now(), backlog.receiver
    count = await outbox.abandon(parts.database, backlog, decided_before=before, now=now, error=NOT_CONFIGURED)
    if count:
        parts.metrics.notifications.labels(receiver=receiver, outcome="dead").inc(count)
        log.error("notifications.abandoned", receiver=receiver, count=count, problem=NOT_CONFIGURED)
