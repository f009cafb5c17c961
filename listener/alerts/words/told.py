"""What is to be told of an alert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from listener.alerts.detection.market import Market
from listener.domain import Alert, Reason

DRILL = "drill"  # the rule of a drill: nothing has happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told: ``title`` is the brand's name for people, ``proven`` sentences by language, ``names`` of brands.

    ``articles`` are titles, the best first; ``past`` tells of the most similar past alert (see ``past_words``), by
    language, or in one for all. ``by``, ``cause`` and ``helped`` are what people said at the end, or at the one before,
    where the alert is back. ``links`` says that links to answer come with the text.
    """

    alert: Alert
    reason: Reason
    title: str
    proven: Mapping[str, Sequence[str]]
    market: Market | None = None
    names: Mapping[str, str]
    articles: Sequence[str] = ()
    past: Mapping[str, str] | str | None = None
    by: str | None = None
    cause: str | None = None
    helped: str | None = None
    links: bool = False

    @property
    def drill(self) -> bool:
        """Whether it is a drill."""
        return self.alert.rule == DRILL
