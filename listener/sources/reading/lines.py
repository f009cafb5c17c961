"""Records of text files, one line or a few each, with the place of each, so that reading can go on from there."""

import csv
import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final, Literal, Self

from listener.domain import Frozen
from listener.errors import ParseError
from listener.sources.reading.jsontext import loads

Stream = IO[bytes] | gzip.GzipFile

LINE_BYTES_MAX: Final = 1024 * 1024
_HEAD_BYTES = 1024
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_ROWS = 20
_DELIMITERS = (",", ";", "\t")
_TWO_BYTE_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a file was read: ``offset`` bytes, ``line`` lines; ``inode`` and ``head`` say which file it was.

    ``head`` digests the first ``head_bytes`` bytes, since a new file may get the inode of a deleted one, or be cut and
    written anew. ``size`` is the file's, once all of it was read for good.
    """

    inode: int
    offset: int = 0
    line: int = 0
    head_bytes: int = 0
    head: str = ""
    size: int | None = None

    @classmethod
    def of_cursor(cls, cursor: Frozen) -> Self | None:
        """The place that a checkpoint remembers; None at the first poll, or if it was written by something else."""
        try:
            return cls(
                inode=int(cursor["inode"]),
                offset=int(cursor["offset"]),
                line=int(cursor["line"]),
                head_bytes=int(cursor["head_bytes"]),
                head=str(cursor["head"]),
                size=None if cursor["size"] is None else int(cursor["size"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def as_cursor(self) -> dict[str, Any]:
        """For the checkpoint: JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def is_in(self, stream: Stream) -> bool:
        """Whether the stream begins as the file that this place is in did."""
        stream.seek(0)
        return digest(stream.read(self.head_bytes)) == self.head


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record, or why there is none; ``line`` is where it begins (from 1), the others where the next one does."""

    line: int
    record: Any = None
    problem: str | None = None
    end_offset: int
    end_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How records are written in a file. ``encoding`` leaves ASCII as it is; ``delimiter`` None is to be found out."""

    kind: Literal["jsonl", "csv"]
    encoding: str
    delimiter: str | None = None


def digest(head: bytes) -> str:
    """Of the beginning of a file."""
    return hashlib.sha256(head).hexdigest()


def place_after(stream: Stream, row: Row, *, inode: int) -> Place:
    """The place behind the row."""
    head_bytes = min(row.end_offset, _HEAD_BYTES)
    stream.seek(0)
    return Place(
        inode=inode,
        offset=row.end_offset,
        line=row.end_line,
        head_bytes=head_bytes,
        head=digest(stream.read(head_bytes)),
    )


def read_rows(stream: Stream, form: Form, *, start: Place | None = None, final: bool) -> Iterator[Row]:
    """The records from ``start`` on. Raises ParseError when the file as a whole cannot be read.

    With ``final`` the last line counts although nothing ends it; without, it is still being written, and is left.
    """
    stream.seek(0)
    if stream.read(2) in _TWO_BYTE_MARKS:
        raise ParseError("the file is UTF-16: save it as UTF-8")
    stream.seek(0)
    if form.kind == "jsonl":
        return _json_rows(_Lines(stream, form.encoding, start, final=final))
    delimiter = form.delimiter or _delimiter(stream.read(_SAMPLE_BYTES).decode(form.encoding, errors="replace"))
    stream.seek(0)
    lines = _Lines(stream, form.encoding, None, final=final)
    header = next(_csv_rows(lines, delimiter), None)
    if header is None:
        return iter(())
    if header.record is None:
        raise ParseError(f"the header cannot be read: {header.problem}")
    names = [name.strip() for name in header.record]
    if len(set(names)) < len(names) or "" in names:
        raise ParseError("the header must name every column, and each differently")
    if start is not None and start.offset > header.end_offset:
        lines = _Lines(stream, form.encoding, start, final=final)
    return (_named(row, names) for row in _csv_rows(lines, delimiter))


class _Lines(Iterator[str]):
    """The lines of a stream as text, counting what was taken. Stops before a line that is not finished."""

    def __init__(self, stream: Stream, encoding: str, start: Place | None, *, final: bool) -> None:
        self.offset = start.offset if start else 0
        self.line = start.line if start else 0
        self.ended = False
        self.final = final
        self._stream = stream
        self._encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        stream.seek(self.offset)

    def __next__(self) -> str:
        raw = self._stream.readline(LINE_BYTES_MAX)
        size = len(raw)
        whole = raw.endswith(b"\n")
        while not whole and size >= LINE_BYTES_MAX and (more := self._stream.readline(LINE_BYTES_MAX)):
            size += len(more)
            whole = more.endswith(b"\n")
        if not raw or not (whole or self.final):
            self.ended = True
            raise StopIteration
        begin = self.offset
        self.offset += size
        self.line += 1
        if size > len(raw):
            raise ValueError(f"longer than {LINE_BYTES_MAX} bytes")
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"byte {begin + error.start} (0x{raw[error.start]:02x}) is not {self._encoding}: "
                "set `encoding` to what the file is written in, such as cp1257"
            ) from error
        return text.removeprefix("\ufeff") if begin == 0 else text


def _json_rows(lines: _Lines) -> Iterator[Row]:
    while True:
        first = lines.line + 1
        record, problem = None, None
        try:
            text = next(lines)
            if not text.strip():
                continue
            record = loads(text.encode("utf-8"))
        except StopIteration:
            return
        except (ValueError, ParseError) as error:
            problem = str(error)
        yield Row(line=first, record=record, problem=problem, end_offset=lines.offset, end_line=lines.line)


def _csv_rows(lines: _Lines, delimiter: str) -> Iterator[Row]:
    """Records as lists of cells. One that the end of the file cuts within quotes is left, unless the file is final."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        first = lines.line + 1
        record, problem = None, None
        try:
            record = next(reader)
        except StopIteration:
            return
        except (ValueError, csv.Error) as error:
            problem = str(error)
        if lines.ended and not lines.final:
            return
        if record != [] or problem:
            yield Row(line=first, record=record, problem=problem, end_offset=lines.offset, end_line=lines.line)


def _named(row: Row, names: list[str]) -> Row:
    """The row with its cells by the header's names."""
    if row.record is None:
        return row
    record: Mapping[str, str] | None = None
    problem = f"{len(row.record)} cells where the header has {len(names)}"
    if len(row.record) == len(names):
        record, problem = dict(zip(names, row.record, strict=True)), ""
    return Row(line=row.line, record=record, problem=problem or None, end_offset=row.end_offset, end_line=row.end_line)


def _delimiter(sample: str) -> str:
    """The one that cuts most of the first rows into as many cells as the header, at least two."""

    def fitness(delimiter: str) -> tuple[int, int]:
        lines = sample.splitlines(keepends=True)
        try:
            widths = [len(row) for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS) if row]
        except csv.Error:
            return (0, 0)
        width = widths[0] if widths else 0
        return (widths.count(width), width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=fitness)
