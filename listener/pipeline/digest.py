"""Once a day: look for what changes too slowly to wake anybody, and tell of it."""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog

from listener.alerts.detection.budget import BLOCK_TICKS, Block
from listener.alerts.detection.drift import HISTORY_BLOCKS, Drift, digest, drift
from listener.alerts.detection.sums import tick_of
from listener.alerts.oncall.rounds import DRILL
from listener.alerts.wire.digest import DigestPayload, digest_payload, due_day
from listener.alerts.wire.payload import as_json
from listener.config import Brand
from listener.config.models import DigestOptions
from listener.domain import AlertState, Notification, Reason, Severity, stable_id
from listener.pipeline.parts import Parts
from listener.store import Database, alerts, digests, ledger

log = structlog.get_logger()

OPEN_ALERTS = 1000


async def make_digest(parts: Parts, options: DigestOptions) -> int:
    """Make the digest of the day if it is due; 1 when it was made, 0 otherwise."""
    now = parts.now()
    last = await digests.last(parts.database)
    day = due_day(now, at=options.at, zone=ZoneInfo(options.timezone), made=None if last is None else last[0])
    if not options.enabled or day is None:
        return 0
    content = await read_digest(parts.database, parts.brands, options, now=now, day=day)
    body = as_json(content)
    due = [
        Notification(
            alert_id=stable_id("digest", day.isoformat()),
            seq=1,
            brand="",
            severity=Severity.INFO,
            receiver=receiver,
            reason=Reason.DIGEST,
            payload=body,
            decided_at=now,
            due_at=now,
        )
        # That all is calm says somebody who has looked; a fresh start has not.
        for receiver in (parts.policy.told("", Severity.INFO) if content.looked_at or content.open_alerts else ())
    ]
    made = await digests.save(parts.database, day.isoformat(), body, due, now=now)
    if made:
        log.info("digest.made", day=day.isoformat(), drifting=len(content.drifting), looked_at=content.looked_at)
    return int(made)


async def read_digest(
    database: Database, brands: Mapping[str, Brand], options: DigestOptions, *, now: datetime, day: date | None = None
) -> DigestPayload:
    """The digest as it is now, of today or of ``day``; nothing is kept of it.

    Alerts of brands that nobody is told of any more are not named, even before they are ended.
    """
    block = tick_of(now) // BLOCK_TICKS
    drifts: dict[str, Drift] = {}
    for name, brand in brands.items():
        if brand.alerts:
            past = await ledger.past(database, name, first_slot=block - HISTORY_BLOCKS, last_slot=block)
            blocks = [Block(one.sums.slot, one.sums.n, one.sums.x, one.sums.xx, one.left_out) for one in past]
            drifts[name] = drift(blocks, now_block=block)
    return digest_payload(
        digest(drifts, alpha=options.alpha),
        looked_at=sum(one.evidence is not None for one in drifts.values()),
        alpha=options.alpha,
        alerts=[
            one
            for one in await alerts.recent(database, limit=OPEN_ALERTS, state=AlertState.FIRING)
            if one.rule != DRILL and one.brand in brands and brands[one.brand].alerts
        ],
        titles={name: brand.title for name, brand in brands.items()},
        day=day or now.astimezone(ZoneInfo(options.timezone)).date(),
        now=now,
    )
