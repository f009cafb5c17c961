"""The demo's story: what invented people write about an invented brand, and who can read what at which moment.

Kiirkott carries parcels, Pakihiir and Noolpost compete with it; none of them exists. For two weeks customers are as
content as customers are. Then a new sorting centre loses parcels, and within two minutes of story time they turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from listener.domain import Sentiment, require_aware

_MODEL = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Edit(BaseModel):
    """A later wording of the same row, from ``at_secs`` of the story on."""

    model_config = _MODEL

    at_secs: float = Field(ge=0)
    text: str = Field(min_length=1)


class Row(BaseModel):
    """One line of the story.

    Its date is either ``at_hours`` (negative, before the start) or ``at_secs`` (of the story). It can be read from
    ``appears_secs`` on when that is later than its date, as with a moderated review. ``sentiment`` and ``about`` are
    the writer's own labels, for tests: they are never served. ``copy_of`` names the row whose text it repeats;
    ``untagged`` is a review whose language the site does not tell.
    """

    model_config = _MODEL

    id: str = Field(pattern=r"^[pr]\d+$")
    place: Literal["feed", "reviews"]
    lang: Literal["et", "en", "ru"]
    sentiment: Sentiment
    about: Literal["brand", "competitor", "other"] = "brand"
    at_hours: float | None = Field(default=None, lt=0)
    at_secs: float | None = Field(default=None, ge=0)
    appears_secs: float | None = Field(default=None, ge=0)
    author: str = Field(min_length=1)
    title: str | None = Field(default=None, min_length=1)
    rating: int | None = Field(default=None, ge=1, le=5)
    text: str = Field(min_length=1)
    edits: tuple[Edit, ...] = ()
    copy_of: str | None = None
    untagged: bool = False

    @model_validator(mode="after")
    def _tells_one_story(self) -> Self:
        if (self.at_hours is None) == (self.at_secs is None):
            raise ValueError(f"row {self.id} needs at_hours or at_secs, not both")
        if (self.rating is not None) != (self.place == "reviews"):
            raise ValueError(f"row {self.id}: a review has a rating, a post has none")
        written = self.at_secs or 0.0
        moments = [written, self.appears_secs or written, *(edit.at_secs for edit in self.edits)]
        if any(later < earlier for earlier, later in pairwise(moments)):
            raise ValueError(f"row {self.id} is written, appears and is edited in this order")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row as the site shows it at one moment.

    ``published_at`` is its date, ``edited_at`` when it got the wording shown, if that is not its first; ``changed_at``
    is since when the site shows it like this, later than its date when it appeared late.
    """

    row: Row
    text: str
    published_at: datetime
    edited_at: datetime | None
    changed_at: datetime


def load_story() -> tuple[Row, ...]:
    """The story that comes with the package, oldest row first."""
    lines = files("listener.demo").joinpath("story.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Row.model_validate_json(line) for line in lines)


def visible(story: Sequence[Row], started_at: datetime, now: datetime, *, speed: float = 1.0) -> list[Item]:
    """What the site shows at ``now``, the newest date first.

    ``speed`` is how many seconds of the story pass in one; the time before the story is not compressed. The same
    arguments give the same items; nothing that is shown has a date after ``now``. Raises ValueError on naive times.
    """
    require_aware("started_at", started_at)
    require_aware("now", now)
    items = (item for row in story for item in _shown(row, started_at, now, speed))
    return sorted(items, key=lambda item: (item.published_at, item.row.id), reverse=True)


def _shown(row: Row, started_at: datetime, now: datetime, speed: float) -> Iterator[Item]:
    """The row at ``now``, or nothing."""

    def moment(secs: float) -> datetime:
        return started_at + timedelta(seconds=secs / speed)

    published_at = moment(row.at_secs) if row.at_secs is not None else started_at + timedelta(hours=row.at_hours or 0)
    appeared_at = published_at if row.appears_secs is None else moment(row.appears_secs)
    if appeared_at > now:
        return
    edit = next((edit for edit in reversed(row.edits) if moment(edit.at_secs) <= now), None)
    edited_at = moment(edit.at_secs) if edit else None
    yield Item(
        row=row,
        text=edit.text if edit else row.text,
        published_at=published_at,
        edited_at=edited_at,
        changed_at=edited_at or appeared_at,
    )
