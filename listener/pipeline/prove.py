"""Fetch what a told alert has to prove of itself: its votes, what was usual before, its competitors, its links."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from listener.alerts.detection import standing as standings
from listener.alerts.detection import sums
from listener.alerts.detection.budget import share
from listener.alerts.detection.decompose import Dimension, Group
from listener.alerts.detection.detect import TICKET, onset_of
from listener.alerts.detection.market import Market, Neighbour, market
from listener.alerts.detection.proof import Proof, prove
from listener.alerts.detection.record import RECORD, Record
from listener.alerts.detection.rules import Deterioration, Rule
from listener.alerts.detection.standing import Standing
from listener.domain import Alert, AlertState, Channel, Evidence, Reason, Severity, Signal, fingerprint
from listener.pipeline.look import Case, Look
from listener.pipeline.parts import Parts
from listener.store import alerts, ledger, votes

LINKS = 3  # mentions that an alert shows
BEFORE = timedelta(days=28)  # what the change is compared with
DIMENSIONS: Mapping[str, Dimension] = {"source": "source", "lang": "language", "topic": "topic"}


async def prove_it(
    parts: Parts, case: Case, found: Look, rule: Rule, alert: Alert, reason: Reason, moved: Mapping[str, Standing]
) -> tuple[Alert, list[Evidence]]:
    """The alert with its record and the mentions to read first, and where these can be read.

    ``moved`` is how brands stand that are decided in the same round and may not be kept yet.
    """
    if reason is Reason.RESOLVED:
        return alert, await alerts.links(parts.database, alert.evidence)
    if not isinstance(rule, Deterioration):
        shown = [alert.signal.mention] if alert.signal.mention else []
        return replace(alert, evidence=tuple(shown)), await alerts.links(parts.database, shown)
    signal, standing = found.signal, found.counted.standing
    onset_at = signal.onset_at or case.now
    origin = standings.origin_of(standing, sums.tick_of(onset_at))
    counted = [*await ledger.read(parts.database, case.brand, after=origin.position), *found.counted.votes]
    counted = [one for one in counted if one.position > origin.position]
    proof = None
    if counted and signal.strength is not None:
        proof = await asyncio.to_thread(  # a second for 20,000 votes
            prove,
            counted,
            before=await _before(parts, case, rule, onset_at),
            since_at=onset_at,
            limit=signal.strength.limit - (0.0 if signal.severity is Severity.CRITICAL else TICKET),
            ticks_per_month=signal.strength.ticks_per_month,
            use_risk=rule.counts == "risk",
            usual=standing.usual,
            origin=origin,
        )
    record = Record(
        decided_at=case.now,
        signal=signal,
        rule=rule.model_dump(mode="json"),
        standing=standings.as_json(standing),
        origin=origin,
        proof=proof,
        market=await _market(parts, case, onset_at, moved),
        firing=found.firing,
        blind=found.blind,
    )
    shown = _shown(proof, found, signal)
    proven = replace(alert, evidence=tuple(shown), proof=RECORD.dump_python(record, mode="json"))
    return proven, await alerts.links(parts.database, shown)


def _shown(proof: Proof | None, found: Look, signal: Signal) -> list[str]:
    """The mentions to read first: those that weigh most; where only their number tells, the newest negative ones."""
    if proof is not None and Channel.EVIDENCE in signal.channels:
        return [one.mention for one in proof.top if one.gain > 0][:LINKS]
    negative = [vote for vote in found.counted.votes if vote.negative and vote.news]
    return [vote.mention for vote in sorted(negative, key=lambda vote: (-vote.risk, vote.position))][:LINKS]


async def _before(
    parts: Parts, case: Case, rule: Deterioration, onset_at: datetime
) -> Mapping[Dimension, Sequence[Group]]:
    """What was usual in the four weeks before, by source, language and topic."""
    found = await ledger.groups(parts.database, case.brand, since_at=onset_at - BEFORE, until_at=onset_at)
    return {
        DIMENSIONS[name]: [
            Group(key=key or "unknown", count=float(count), total=risk if rule.counts == "risk" else float(negative))
            for key, count, risk, negative in groups
        ]
        for name, groups in found.items()
    }


async def _market(parts: Parts, case: Case, onset_at: datetime, moved: Mapping[str, Standing]) -> Market:
    """How the brand's competitors stand at the same time."""
    names = parts.brands[case.brand].competitors
    kept = await votes.kept(parts.database, names)
    latest = await alerts.latest(parts.database, names)
    neighbours = []
    for name in names:
        if name not in moved and name not in kept:
            continue
        standing = moved[name] if name in moved else standings.from_json(kept[name].state)
        rules = parts.rules.get(name, ())
        firing = [
            alert
            for rule in rules
            if isinstance(rule, Deterioration)
            and (alert := latest.get(fingerprint(name, rule.name))) is not None
            and alert.state is AlertState.FIRING
        ]
        neighbours.append(_neighbour(name, standing, firing[0] if firing else None))
    return market(onset_at, neighbours, now=case.now)


def _neighbour(name: str, standing: Standing, firing: Alert | None) -> Neighbour:
    day = standing.over_hours(24)
    return Neighbour(
        brand=name,
        evidence=max(standings.evidence_of(standing), _alerted(firing)),
        onset_at=firing.signal.onset_at if firing is not None else onset_of(standing),
        mean_24h=share(day.x / day.n, standing.usual) if day.n else None,
        count_24h=day.n,
        usual=standing.usual.mean,
        budget=standing.usual.budget,
        volume=standings.volume_score(standing),
        deff=standing.usual.deff,
        sharpness=standing.usual.sharpness,
    )


def _alerted(firing: Alert | None) -> float:
    strength = None if firing is None else firing.signal.strength
    return 0.0 if strength is None else strength.evidence
