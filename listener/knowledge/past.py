"""Which past alerts were about the same as this one; none where none is alike. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from listener.domain.memories import PastAlert
from listener.knowledge.matching import STEEPNESS, Floats

LIMIT_PAST = 0.40  # least nearness of two alerts; from `python -m benchmarks.knowledge --fit`
ROUGH = 0.1  # similarities that differ by less are alike: then what is known decides, and the brand


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """A past alert that was about the same; ``similarity`` is 0..1, 0.5 at the limit."""

    past: PastAlert
    similarity: float


def alike(about: Floats, past: Sequence[PastAlert], *, brand: str, limit: int) -> list[Alike]:
    """The past alerts like one that is about ``about``, [width] of length 1: at most ``limit``.

    Those of which somebody wrote down what helped come first, then those with a cause, then the nearest, and of equally
    near ones those of the same brand and the newest.
    """
    if not past or limit < 1:
        return []
    near = vectors_of(past, len(about)) @ about
    found = [
        Alike(past=one, similarity=1.0 / (1.0 + math.exp(-STEEPNESS * (float(value) - LIMIT_PAST))))
        for one, value in zip(past, near, strict=True)
        if value >= LIMIT_PAST
    ]

    def order(one: Alike) -> tuple[bool, bool, int, bool, float, float]:
        rough = -round(one.similarity / ROUGH)
        ended = one.past.ended_at.timestamp()
        return not one.past.helped, not one.past.cause, rough, one.past.brand != brand, -one.similarity, -ended

    return sorted(found, key=order)[:limit]


def vectors_of(past: Sequence[PastAlert], width: int) -> Floats:
    """What past alerts were about, [alerts, width]; one that is no vector of that width is near nothing."""
    found = np.zeros((len(past), width), dtype=np.float32)
    for place, one in enumerate(past):
        if len(one.vector) == 4 * width:
            found[place] = np.frombuffer(one.vector, dtype="<f4")
    return found


def mean_of(mentions: Floats) -> Floats | None:
    """What an alert is about: the mean of its mentions' vectors, of length 1; None when they cancel out."""
    if not len(mentions):
        return None
    mean = mentions.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:  # noqa: PLR2004 -- no direction is left
        return None
    unit: Floats = (mean / length).astype("<f4")
    return unit
