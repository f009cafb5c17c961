"""What alerts were about, and what is known of those that have ended: so each case teaches the next."""

from dataclasses import dataclass
from datetime import datetime

from listener.domain.alerts import Channel, Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What an alert was about: ``vector`` is the mean of its mentions' meanings, of length 1.

    float32, little-endian; only vectors of one ``model`` can be compared.
    """

    alert_id: str
    model: str
    at: datetime
    vector: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """An alert that has ended, what it was about, and what people said of it: ``cause`` and what ``helped``.

    ``evidence`` are the mentions that it showed.
    """

    alert_id: str
    brand: str
    started_at: datetime
    ended_at: datetime
    resolution: Resolution | None
    channels: tuple[Channel, ...]
    evidence: tuple[str, ...]
    vector: bytes
    cause: str = ""
    helped: str = ""
    resolved_by: str = ""

    @property
    def teaches(self) -> bool:
        """Whether somebody wrote down what it was, or what helped."""
        return bool(self.cause or self.helped)
