"""Mentions and assessments for tests, made the way the pipeline makes them."""

from dataclasses import replace
from datetime import UTC, datetime

from listener.domain import Assessment, Mention, Probabilities, RawMention
from listener.normalise import normalise

NOW = datetime(2026, 11, 21, 12, 2, tzinfo=UTC)


def mention(
    external_id: str,
    text: str,
    *,
    source: str = "forum",
    at: datetime = NOW,
    seen_at: datetime | None = None,
    author: str | None = None,
    brands: tuple[str, ...] = ("bolt",),
    url: str | None = None,
    reach: int | None = None,
) -> Mention:
    """One stored-to-be mention of a brand."""
    raw = RawMention(
        external_id=external_id,
        url=url or f"https://{source}.example/{external_id}",
        text=text,
        author=author,
        published_at=at,
        reach=reach,
    )
    return replace(normalise(raw, source=source, seen_at=seen_at or at, identify=lambda _: "en"), brands=brands)


def assessment(
    negative: float, *, risk: float | None = None, model: str = "test@1", labels: tuple[str, ...] | None = None
) -> Assessment:
    """What a model might say: the rest of the probability is positive."""
    probabilities = Probabilities(negative=negative, neutral=0.0, positive=1.0 - negative)
    return Assessment(probabilities=probabilities, risk=risk, model=model, labels=labels)
