"""The file source: every line is read once or named, however the file grows, is cut, or is rotated away."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from listener.domain import Checkpoint, Page, PollResult, Request
from listener.errors import FetchError, ParseError
from listener.sources import file as file_module
from listener.sources.file import File
from listener.sources.reading.lines import Place


async def no_fetch(request: Request) -> Page:
    raise AssertionError(f"a file fetches nothing, not {request}")


def line(number: int, text: str = "tekst") -> str:
    return json.dumps({"id": number, "text": text}) + "\n"


def ids(result: PollResult) -> list[str]:
    return [mention.external_id for mention in result.mentions]


class Reader:
    """Polls one file again and again, from the checkpoint as the database keeps it: through JSON."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.source = File(name="a", path=path, **options)
        self.checkpoint = Checkpoint()

    async def poll(self) -> PollResult:
        result = await self.source.poll(no_fetch, self.checkpoint)
        cursor = json.loads(json.dumps(dict(result.checkpoint.cursor)))
        self.checkpoint = Checkpoint(since_at=result.checkpoint.since_at, cursor=cursor)
        return result


async def test_a_file_is_imported_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1) + line(2).rstrip("\n"))
    reader = Reader(path)
    assert ids(await reader.poll()) == ["1", "2"]
    again = await reader.poll()
    assert again.not_modified
    assert again.checkpoint == reader.checkpoint


async def test_a_file_in_place_of_an_imported_one_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1))
    reader = Reader(path)
    await reader.poll()
    path.write_text(line(2))
    assert ids(await reader.poll()) == ["2"]


async def test_a_watched_file_is_read_as_it_grows_whole_lines_only(tmp_path: Path) -> None:
    """A line that is half written is neither lost nor read twice."""
    path = tmp_path / "a.jsonl"
    path.write_text(line(1) + line(2)[:9])
    reader = Reader(path, watch=True)
    assert ids(await reader.poll()) == ["1"]
    assert (await reader.poll()).not_modified
    with path.open("a") as file:
        file.write(line(2)[9:] + line(3))
    assert ids(await reader.poll()) == ["2", "3"]
    assert (await reader.poll()).not_modified


async def test_a_file_that_is_cut_and_written_anew_is_read_anew(tmp_path: Path) -> None:
    """Also when the new one is already longer than the old one was."""
    path = tmp_path / "a.jsonl"
    path.write_text(line(1) + line(2))
    reader = Reader(path, watch=True)
    await reader.poll()
    with path.open("r+") as file:
        file.truncate()
        file.write(line(3))
    assert ids(await reader.poll()) == ["3"]
    with path.open("r+") as file:
        file.truncate()
        file.write(line(4) + line(5) + line(6))
    assert ids(await reader.poll()) == ["4", "5", "6"]


async def test_the_rest_of_a_rotated_file_comes_before_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1))
    reader = Reader(path, watch=True)
    await reader.poll()
    with path.open("a") as file:
        file.write(line(2) + line(3).rstrip("\n"))
    path.rename(tmp_path / "a.jsonl.1")
    path.write_text(line(4))
    assert ids(await reader.poll()) == ["2", "3"]
    assert ids(await reader.poll()) == ["4"]
    assert (await reader.poll()).not_modified


async def test_a_large_file_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "ROWS_A_POLL", 3)
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "".join(f"{number},t\n" for number in range(7)))
    reader = Reader(path)
    parts = [ids(await reader.poll()) for _ in range(4)]
    assert parts == [["0", "1", "2"], ["3", "4", "5"], ["6"], []]


async def test_a_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress((line(1) + line(2)).encode()))
    reader = Reader(path)
    assert ids(await reader.poll()) == ["1", "2"]
    assert (await reader.poll()).not_modified


async def test_a_cut_packed_file_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(line(n, f"{n * 7919}").encode() for n in range(5000)))[:-400])
    with pytest.raises(FetchError, match=r"a\.jsonl\.gz cannot be read"):
        await Reader(path).poll()


@pytest.mark.parametrize("make", [lambda _path: None, lambda path: path.mkdir()], ids=["missing", "a folder"])
async def test_a_file_that_cannot_be_opened_is_a_failure(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "a.jsonl"
    make(path)
    with pytest.raises(FetchError, match=r"a\.jsonl cannot be read"):
        await Reader(path).poll()


async def test_an_empty_file_is_no_failure(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        (tmp_path / name).write_text("")
        assert (await Reader(tmp_path / name).poll()).not_modified


async def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        line(1).encode() + b"\n{nonsense\n" + line(4).encode() + b'{"id": 5, "text": "\xe4"}\n[]\n' + b"{}\n"
    )
    result = await Reader(path).poll()
    assert ids(result) == ["1", "4"]
    assert [one.problem.split(":")[0] for one in result.rejected] == ["line 3", "line 5", "line 6", "line 7"]
    assert "0xe4" in result.rejected[1].problem
    assert "set `encoding`" in result.rejected[1].problem


async def test_a_bad_line_in_a_watched_file_does_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1))
    reader = Reader(path, watch=True)
    await reader.poll()
    with path.open("a") as file:
        file.write("nonsense\n")
    assert len((await reader.poll()).rejected) == 1
    with path.open("a") as file:
        file.write(line(3))
    assert ids(await reader.poll()) == ["3"]


async def test_a_file_of_which_nothing_can_be_read_is_a_parse_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"klient": "x"}\n')
    with pytest.raises(ParseError, match="say in `fields` where the text stands"):
        await Reader(path).poll()


async def test_an_endless_line_is_rejected_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1) + "x" * 3_000_000 + "\n" + line(3))
    result = await Reader(path).poll()
    assert ids(result) == ["1", "3"]
    assert [one.problem for one in result.rejected] == ["line 2: longer than 1048576 bytes"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    rows = [["id", "text"], ["1", '"Hea, aga; kallis"'], ["2", "Väga hea"]]
    path.write_text("\r\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig", newline="")
    result = await Reader(path).poll()
    assert [one.text for one in result.mentions] == ["Hea, aga; kallis", "Väga hea"]


async def test_a_record_of_several_lines_waits_for_its_last_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,a\n2,"first\n')
    reader = Reader(path, watch=True)
    assert ids(await reader.poll()) == ["1"]
    assert (await reader.poll()).not_modified
    with path.open("a") as file:
        file.write('second"\n3,c\n')
    result = await reader.poll()
    assert [one.text for one in result.mentions] == ["first\nsecond", "c"]


async def test_a_baltic_export(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id;arvustus;aeg;hinne\n1;Šokk ja õud;20.11.2026 12:00;4,5\n".encode("cp1257"))
    fields = {
        "text": "arvustus",
        "published_at": {"path": "aeg", "type": "%d.%m.%Y %H:%M"},
        "rating": {"path": "hinne", "max": 5},
    }
    with pytest.raises(ParseError, match="set `encoding`"):
        await Reader(path, fields=fields).poll()
    result = await Reader(path, fields=fields, encoding="cp1257", timezone="Europe/Tallinn").poll()
    (mention,) = result.mentions
    assert (mention.text, mention.rating) == ("Šokk ja õud", 0.9)
    assert mention.published_at == datetime(2026, 11, 20, 10, tzinfo=UTC) == result.checkpoint.since_at


@pytest.mark.parametrize("header", ["id,id,text", "id,,text"])
async def test_a_header_must_be_plain(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n1,2,3\n")
    with pytest.raises(ParseError, match="header must name every column"):
        await Reader(path).poll()


async def test_utf_16_is_refused_with_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,a\n", encoding="utf-16")
    with pytest.raises(ParseError, match="save it as UTF-8"):
        await Reader(path).poll()


async def test_equal_rows_without_an_id_have_equal_ids(tmp_path: Path) -> None:
    """Importing the same export again brings nothing new."""
    path = tmp_path / "a.csv"
    path.write_text("text\nsama\nsama\nmuu\n")
    one, two, three = (await Reader(path).poll()).mentions
    assert one.external_id == two.external_id != three.external_id


@pytest.mark.parametrize("name", ["conversation", "conversation_id", "thread", "thread_id"])
async def test_the_usual_names_of_a_thread(tmp_path: Path, name: str) -> None:
    """What starts a thread leaves it empty, and is what its replies refer to."""
    path = tmp_path / "a.csv"
    path.write_text(f"id,text,{name}\n1,a,\n2,b,1\n3,c,1\n4,d,\n")
    result = await Reader(path).poll()
    assert [one.conversation for one in result.mentions] == ["1", "1", "1", "4"]


async def test_rows_without_an_id_start_no_thread(tmp_path: Path) -> None:
    """Nobody can refer to the digest that we know them by."""
    path = tmp_path / "a.csv"
    path.write_text("text,thread\na,\nb,7\n")
    assert [one.conversation for one in (await Reader(path).poll()).mentions] == [None, "7"]


async def test_a_file_that_knows_no_threads_tells_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(1))
    assert [one.conversation for one in (await Reader(path).poll()).mentions] == [None]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"path": "a.xlsx"}, "give `format`"),
        ({"path": "a.csv", "encoding": "utf-16"}, "read line by line"),
        ({"path": "a.csv", "encoding": "idna"}, "read line by line"),
        ({"path": "a.csv", "timezone": "Tallinn"}, "IANA"),
        ({"path": "a.csv.gz", "watch": True}, "cannot be watched"),
        ({"path": "a.csv", "delimiter": ";;"}, "at most 1"),
        ({"path": "a.csv", "fields": {"author": "x"}}, "give `text` or `title`"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        File(name="a", **options)


def test_a_strange_cursor_starts_anew() -> None:
    assert Place.of_cursor({"page": 3}) is None
    assert Place.of_cursor({"inode": "x", "offset": 1, "line": 1, "head_bytes": 1, "head": "", "size": None}) is None
