"""Files: JSONL and CSV, imported once, or watched while somebody else writes them; ``.gz`` is unpacked.

Options: ``path``; ``format`` (by the suffix, if not given); ``fields``, where the parts of a mention stand;
``encoding``; ``delimiter`` of CSV (found out, if not given: comma, semicolon or tab); ``timezone`` of times that name
none; ``watch``. Without ``fields`` the usual names are looked for: ``external_id`` or id; ``text``, body, review,
comment or content; ``title``; ``author``; ``url`` or link; ``published_at``, created_at, date or timestamp;
``edited_at``; ``rating`` (on 0..1); ``reach``; ``lang``; ``conversation``, conversation_id, thread or thread_id.
"""

import asyncio
import glob
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from listener.config.zones import ZoneName, zone_of
from listener.domain import Checkpoint, Page, PollResult, RawMention, stable_id
from listener.errors import FetchError, ParseError
from listener.protocols import Fetch
from listener.sources.base import ITEM_ERRORS, BaseSource, newest, problem_of
from listener.sources.reading.encoding import codec_of
from listener.sources.reading.lines import Form, Place, Row, Stream, place_after, read_rows
from listener.sources.reading.mapping import At, Fields, mention_of

ROWS_A_POLL: Final = 5000
_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "external_id": ("external_id", "id"),
    "url": ("url", "link"),
    "text": ("text", "body", "review", "comment", "content"),
    "title": ("title",),
    "author": ("author",),
    "published_at": ("published_at", "created_at", "date", "timestamp"),
    "edited_at": ("edited_at",),
    "rating": ("rating",),
    "reach": ("reach",),
    "lang": ("lang",),
    "conversation": ("conversation", "conversation_id", "thread", "thread_id"),
}
_KINDS: Final[Mapping[str, Literal["jsonl", "csv"]]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}


class File(BaseSource):
    """Read one file of mentions, at most 5000 records a poll."""

    interval_secs: int = Field(default=10, ge=5, description="Seconds from one poll to the next.")
    path: Path = Field(description="The file; `.gz` is read as it is.")
    format: Literal["jsonl", "csv"] | None = Field(
        default=None, description="What is in it; told by the suffix if not set."
    )
    fields: Fields | None = Field(
        default=None, description="Where the parts of a mention stand; the usual names are looked for if not set."
    )
    encoding: str = Field(default="utf-8-sig", description="Encoding of the text, such as cp1257.")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Delimiter of CSV; found out if not set."
    )
    timezone: ZoneName = Field(default="UTC", description="IANA time zone of times that name none.")
    watch: bool = Field(default=False, description="Whether the file grows while we read it.")

    @field_validator("encoding")
    @classmethod
    def _encoding_has_lines(cls, name: str) -> str:
        codec = codec_of(name)
        if codec is None or codec.startswith(("utf-16", "utf-32")):
            raise ValueError(f"{name!r} is not an encoding of text files that is read line by line, such as cp1257")
        return codec

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if self.format is None and self._kind_by_name() is None:
            raise ValueError(f"what is in {self.path.name!r} cannot be told by its name: give `format`, jsonl or csv")
        if self.watch and self._is_packed:
            raise ValueError("a .gz file cannot be watched: watch the file before it is packed")
        return self

    @property
    def _is_packed(self) -> bool:
        return self.path.suffix == ".gz"

    def _kind_by_name(self) -> Literal["jsonl", "csv"] | None:
        return _KINDS.get((self.path.with_suffix("") if self._is_packed else self.path).suffix.lower())

    @property
    def _form(self) -> Form:
        return Form(
            kind=self.format or self._kind_by_name() or "jsonl", encoding=self.encoding, delimiter=self.delimiter
        )

    def items(self, page: Page) -> Iterable[Row]:
        """The records of a whole file."""
        body: Stream = io.BytesIO(page.body)
        return read_rows(
            gzip.GzipFile(fileobj=body) if page.body.startswith(b"\x1f\x8b") else body, self._form, final=True
        )

    def mention(self, item: Row) -> RawMention:
        """Read one record; without an id of its own it is known by its content."""
        try:
            if item.problem is not None:
                raise ValueError(item.problem)
            if not isinstance(item.record, Mapping):
                raise TypeError("a record is an object")
            fields = self.fields or _usual_fields(frozenset(item.record))
            content = json.dumps(item.record, sort_keys=True, ensure_ascii=False)
            return mention_of(fields, item.record, zone=zone_of(self.timezone), default_id=stable_id("row", content))
        except ITEM_ERRORS as error:
            raise ValueError(f"line {item.line}: {problem_of(error)}") from error

    async def poll(self, fetch: Fetch, checkpoint: Checkpoint) -> PollResult:  # noqa: ARG002 -- nothing to fetch
        """Read on from where the last poll ended; a file that was cut or replaced is read from its beginning.

        Of a file that was rotated away within its folder the unread rest comes first.
        """
        try:
            return await asyncio.to_thread(self._visit, checkpoint)
        except (OSError, EOFError) as error:  # EOFError: a .gz that ends early
            raise FetchError(f"{self.path.name} cannot be read: {problem_of(error)}") from error

    def _visit(self, checkpoint: Checkpoint) -> PollResult:
        place = Place.of_cursor(checkpoint.cursor)
        seen = None if place is None else self._find(place)
        if place is not None and seen == self.path and place.size == self.path.stat().st_size:
            return PollResult(mentions=(), checkpoint=checkpoint, not_modified=True)
        if place is not None and seen is not None and seen != self.path:
            rest = self._read_on(seen, place, checkpoint, final=True)
            if rest is not None:
                return rest
        result = self._read_on(self.path, place if seen == self.path else None, checkpoint, final=not self.watch)
        return result or PollResult(mentions=(), checkpoint=checkpoint, not_modified=True)

    def _find(self, place: Place) -> Path | None:
        """Where the file of the place is now: at its path, or beside it under a longer name (logrotate)."""
        for path in (self.path, *sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.*"))):
            try:
                stat = path.stat()
                if stat.st_ino != place.inode or (not self._is_packed and stat.st_size < place.offset):
                    continue
                with self._open(path) as stream:
                    if place.is_in(stream):
                        return path
            except FileNotFoundError:
                continue
        return None

    @contextmanager
    def _open(self, path: Path) -> Iterator[Stream]:
        with path.open("rb") as raw:
            yield gzip.GzipFile(fileobj=raw) if self._is_packed else raw

    def _read_on(self, path: Path, place: Place | None, checkpoint: Checkpoint, *, final: bool) -> PollResult | None:
        """The next records; None when there are none."""
        now = datetime.now(UTC)
        with self._open(path) as stream:
            stat = path.stat()
            rows = list(islice(read_rows(stream, self._form, start=place, final=final), ROWS_A_POLL))
            if not rows:
                return None
            after = place_after(stream, rows[-1], inode=stat.st_ino)
        if final and len(rows) < ROWS_A_POLL:
            after = replace(after, size=stat.st_size)
        parsed = self.read(rows)
        if place is None and not parsed.mentions:
            raise ParseError(f"no record of {path.name} can be read, the first because: {parsed.rejected[0].problem}")
        since_at = newest(checkpoint.since_at, parsed.mentions, now)
        return PollResult(
            mentions=parsed.mentions,
            checkpoint=replace(checkpoint, since_at=since_at, cursor=after.as_cursor()),
            rejected=parsed.rejected,
        )


@lru_cache(maxsize=256)
def _usual_fields(names: frozenset[str]) -> Fields:
    """The fields that a record with these names has under their usual ones."""
    found = {field: next((name for name in usual if name in names), None) for field, usual in _USUAL.items()}
    if found["text"] is None and found["title"] is None:
        raise ValueError(f"none of {', '.join(_USUAL['text'])} is here: say in `fields` where the text stands")
    return Fields(**{field: At(path=name) for field, name in found.items() if name is not None})
