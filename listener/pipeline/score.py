"""Let the model read what waits, and compute the windows that changed."""

import asyncio

import structlog

from listener.errors import ListenerError
from listener.pipeline.parts import Parts
from listener.store import scoring, windows

log = structlog.get_logger()


async def score(parts: Parts) -> int:
    """Score one claimed batch; how many mentions it held."""
    claims = await scoring.claim(
        parts.database, now=parts.now(), lease_secs=parts.lease_secs, limit=parts.batch_mentions
    )
    if not claims:
        parts.metrics.scoring_backlog.set(0)
        return 0
    try:
        with parts.metrics.scoring_seconds.time():
            results = await parts.scorer.score([claim.text for claim in claims], [claim.lang for claim in claims])
    except asyncio.CancelledError:  # a stop in good order gives back what it took
        await asyncio.shield(scoring.release(parts.database, claims))
        raise
    scored = [
        scoring.Scored(claim=claim, problem=str(result))
        if isinstance(result, ListenerError)
        else scoring.Scored(claim=claim, assessment=result)
        for claim, result in zip(claims, results, strict=True)
    ]
    await scoring.save(parts.database, scored, now=parts.now())
    failed = sum(one.assessment is None for one in scored)
    parts.metrics.scored.labels(outcome="ok").inc(len(scored) - failed)
    parts.metrics.scored.labels(outcome="unscorable").inc(failed)
    parts.metrics.scoring_backlog.set(await scoring.backlog(parts.database))
    log.debug("mentions.scored", count=len(scored), unscorable=failed)
    return len(claims)


async def refresh(parts: Parts) -> int:
    """Compute changed windows anew; how many brands changed."""
    return len(await windows.refresh(parts.database))
