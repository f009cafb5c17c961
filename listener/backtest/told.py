"""The alerts of a replay over a store, as they would have gone out."""

from collections.abc import Mapping, Sequence
from typing import Any

from listener.alerts.wire.payload import alert_payload, as_json
from listener.backtest.replay import Event, Heard
from listener.config import Brand
from listener.domain import Reason
from listener.store import Database, alerts

LINKS = 3  # mentions that an alert shows


async def payloads(
    database: Database, events: Sequence[Event], heard: Mapping[str, Sequence[Heard]], brands: Mapping[str, Brand]
) -> list[dict[str, Any]]:
    """One payload an event, in order, with the gravest mentions; without a proof, which is made when it is decided."""
    names = {name: brand.title for name, brand in brands.items()}
    shown: dict[str, list[str]] = {}
    found = []
    for event in events:
        if event.reason is not Reason.RESOLVED:
            shown[event.alert.id] = gravest(event, heard[event.brand])
        links = await alerts.links(database, shown.get(event.alert.id, []))
        title = names.get(event.brand, event.brand)
        found.append(
            as_json(alert_payload(event.alert, event.reason, title=title, evidence=links, now=event.at, names=names))
        )
    return found


def gravest(event: Event, heard: Sequence[Heard]) -> list[str]:
    """The mentions to read first: the one it is about, or those of the greatest risk since it began."""
    if event.signal.mention is not None:
        return [event.signal.mention]
    since_at = event.signal.onset_at or event.at
    said = [one.ballot for one in heard if one.at <= event.at and one.ballot.at >= since_at and one.ballot.negative]
    return [one.mention for one in sorted(said, key=lambda one: (-one.risk, one.at, one.mention))][:LINKS]
