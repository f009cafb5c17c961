"""How sure a mean is, for people to read. Never for deciding: an interval looked at again and again misleads. Pure."""

import math
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)


def wilson(mean: float, count: float, *, z: float = Z95) -> tuple[float, float]:
    """Bounds of a share (0..1) seen in ``count`` > 0 independent mentions (Wilson 1927; Brown, Cai, DasGupta 2001)."""
    z2 = z * z / count
    centre = mean + z2 / 2
    spread = math.sqrt(z2 * (max(0.0, mean * (1 - mean)) + z2 / 4))
    return max(0.0, (centre - spread) / (1 + z2)), min(1.0, (centre + spread) / (1 + z2))
