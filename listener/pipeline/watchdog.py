"""The sign that all is well: sent through the whole chain, so that its absence tells of any link that is broken."""

from datetime import datetime, timedelta

import structlog

from listener.alerts.wire.findings import Words
from listener.alerts.wire.oncall import WatchdogPayload
from listener.alerts.wire.payload import as_json
from listener.alerts.words.oncall_texts import watchdog_words
from listener.config.oncall import WatchdogOptions
from listener.domain import Notification, Reason, Severity, stable_id
from listener.pipeline.parts import Parts
from listener.store import outbox

log = structlog.get_logger()

LOOKS_MISSED = 5  # so many looks late, the rules do not look any more
TOLD_LATE = timedelta(minutes=1)  # so late at least, nobody is told any more; while the rules look, it waits for them


async def bark(
    parts: Parts,
    options: WatchdogOptions,
    *,
    instance: str,
    evaluated_at: datetime | None,
    told_at: datetime | None,
    tick_secs: float,
) -> int:
    """Make the sign due, unless the rules do not look yet, or have stopped looking, or nobody is told; how many.

    ``evaluated_at`` and ``told_at`` are when the rules last looked and when it was last decided who is told, both
    without an error; None before the first time. A receiver that has not taken the last sign gets no second: on its
    return it needs but one.
    """
    now = parts.now()
    late = timedelta(seconds=LOOKS_MISSED * tick_secs)
    if evaluated_at is None or told_at is None:
        return 0
    if now - evaluated_at > late or now - told_at > max(late, TOLD_LATE):
        log.error("watchdog.silent", evaluated_at=evaluated_at.isoformat(), told_at=told_at.isoformat())
        return 0
    every_secs = options.every_minutes * 60
    words = watchdog_words(instance, options.every_minutes)
    payload = WatchdogPayload(
        instance=instance,
        at=now,
        evaluated_at=evaluated_at,
        every_secs=every_secs,
        text={language: Words(title=text.title, body=text.body) for language, text in words.items()},
    )
    name = stable_id("watchdog", instance)
    async with parts.database.writing() as connection:
        waiting = (await outbox.pending(connection, [name])).get(name, frozenset())
        due = [
            Notification(
                alert_id=name,
                seq=int(now.timestamp()),
                brand="",
                severity=Severity.INFO,
                receiver=receiver,
                reason=Reason.WATCHDOG,
                payload=as_json(payload),
                decided_at=now,
                due_at=now,
            )
            for receiver in options.receivers
            if receiver not in waiting
        ]
        await outbox.enqueue(connection, parts.database.dialect, due)
    return len(due)
