"""The commands as a person or a program calls them: what they print, and the exit codes that scripts go by."""

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from listener.cli import main
from listener.sentiment import bundled
from tests.acceptance.daemon import configuration
from tests.services import REPLAY, require
from tests.small_bert import save_small_bert


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, object]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Listener = Callable[..., Done]


@pytest.fixture
def listener(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Listener:
    """Call ``listener`` with arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["listener", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            code = 0
        printed = capsys.readouterr()
        return Done(code=code, out=printed.out, err=" ".join(printed.err.split()))

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_bert(tmp_path_factory.mktemp("model"))


@pytest.fixture
def config(tmp_path: Path, model: Path) -> Path:
    return configuration(tmp_path, url="http://127.0.0.1:1", model=model, broker_port=1)


def test_score_passes_fields_through_and_keeps_every_line(listener: Listener, model: Path, tmp_path: Path) -> None:
    rows = [
        '{"id": 7, "text": "the parcel is broken"}',
        "the parcel is great",
        '{"id": 8}',
        '{"text": "…"}',
        "{no json",
    ]
    (tmp_path / "in").write_text("\n".join(rows), encoding="utf-8")
    done = listener("score", "--input", "in", "--model", model, "--json")
    assert done.code == 1
    first, second, third, fourth, fifth = done.lines
    assert first["id"] == 7
    assert isinstance(first["assessment"], dict)
    assert first["assessment"]["sentiment"] == "negative"
    assert set(first["assessment"]) == {
        "sentiment",
        "probabilities",
        "polarity",
        "risk",
        "emotions",
        "loyalty",
        "wish",
        "labels",
        "abstained",
        "language",
        "model",
    }
    assert first["assessment"]["risk"] is None
    assert isinstance(second["assessment"], dict)
    assert second["assessment"]["sentiment"] == "positive"
    assert "line 3" in str(third["error"])
    assert fourth["assessment"] is None
    assert "line 5 is not JSON" in str(fifth["error"])
    assert "3 of the lines could not be scored" in done.err


def test_score_survives_noise(listener: Listener, model: Path, tmp_path: Path) -> None:
    """Half characters, bytes that are no UTF-8 and endless nesting each cost their own line only."""
    rows = [
        b'\xef\xbb\xbf{"text": "the parcel is great", "by": "\\ud83d"}',
        b'{"text": "half \\ud83d"}',
        b"the \xff\xfe parcel",
        b'{"a":' * 100_000,
        b"the parcel is broken\r",
    ]
    (tmp_path / "in").write_bytes(b"\n".join(rows))
    done = listener("score", "--input", "in", "--model", model, "--json")
    assert done.code == 1
    first, half, binary, nested, last = done.lines
    assert (first["by"], half["text"]) == ("\ud83d", "half \ud83d")
    assert isinstance(first["assessment"], dict)
    assert isinstance(last["assessment"], dict)
    assert half["assessment"] is binary["assessment"] is nested["assessment"] is None
    assert "line 3 is not UTF-8: byte 5 is 0xff" in str(binary["error"])
    assert "line 4 is not JSON" in str(nested["error"])


def test_score_shows_people_a_table(listener: Listener, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the parcel is great and fast [b]\n")
    done = listener("score", "--input", "in", "--model", model)
    assert done.code == 0
    assert "positive" in done.out
    assert "great and fast [b]" in done.out


def test_score_without_a_model_refuses_and_says_what_to_do(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the one that comes with listener is there."""
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "none")
    (tmp_path / "in").write_text("hello\n")
    done = listener("score", "--input", "in", "--json")
    assert (done.code, done.out) == (2, "")
    assert "scoring.model" in done.err
    assert "safetensors" in done.err


def test_score_explains_which_words_made_it_so(listener: Listener, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the parcel is broken [b] and kind\n…\n")
    done = listener("score", "-i", "in", "--model", model, "--explain", "sentiment/negative", "--json")
    first, second = done.lines
    assert isinstance(first["explanation"], dict)
    found = first["explanation"]["contributions"]
    assert first["explanation"]["output"] == "sentiment/negative"
    assert found[0] == {"start": 14, "end": 20, "text": "broken", "contribution": found[0]["contribution"]}
    assert found[0]["contribution"] > 0.5
    assert found[-1]["text"] == "kind"
    assert found[-1]["contribution"] < 0
    assert "explanation" not in second
    (tmp_path / "in").write_text("the parcel is broken rude late [b]\n")
    shown = listener("score", "-i", "in", "--model", model, "--explain", "sentiment")
    assert "sentiment/negative: the parcel is broken rude late [b]" in shown.out
    assert "broken +" in shown.out
    refused = listener("score", "-i", "in", "--model", model, "--explain", "risk")
    assert refused.code == 2
    assert "sentiment/negative" in refused.err


def test_check_config_names_every_fault(listener: Listener, config: Path) -> None:
    assert listener("check-config", config).code == 0
    config.write_text(
        config.read_text().replace("[brands.bolt]", "[brand.bolt]").replace("interval_secs = 5", "intervl = 5")
    )
    done = listener("check-config", config)
    assert done.code == 2
    assert "brand: unknown option; did you mean 'brands'?" in done.err
    assert "sources.reviews.intervl: unknown option; did you mean 'interval_secs'?" in done.err
    as_json = listener("check-config", config, "--json")
    assert as_json.code == 2
    (found,) = as_json.lines
    assert {"brand", "sources.reviews.intervl"} <= {fault["path"] for fault in found["faults"]}  # type: ignore[attr-defined]


def test_check_config_wants_something_to_do(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "listener.toml").write_text("[service]\n")
    done = listener("check-config")
    assert done.code == 2
    assert "brands: none is configured" in done.err
    assert "sources: none is configured" in done.err


def test_check_config_reads_the_queries(listener: Listener, config: Path) -> None:
    config.write_text(config.read_text().replace('names = ["Bolt"]', 'names = ["Bolt"]\nquery = "taxi AND ("'))
    done = listener("check-config", config)
    assert done.code == 2
    assert "brands.bolt.query: column" in done.err


def test_check_config_fits_the_thresholds(listener: Listener, config: Path) -> None:
    text = config.read_text().replace("[brands.bolt]", "[brands.bolt.thresholds]\nratio = 9\n[brands.bolt]")
    config.write_text(text)
    done = listener("check-config", config)
    assert done.code == 2
    assert "brands.bolt.thresholds" in done.err


def test_read_prints_what_would_be_stored(listener: Listener, tmp_path: Path) -> None:
    feed = """<rss version="2.0"><channel><item><guid>a1</guid><title>Bolt hilines</title><link>/lugu/1</link>
    <description>&lt;p&gt;Ootasin &lt;b&gt;tund&lt;/b&gt; aega.&lt;/p&gt;</description>
    <pubDate>Sat, 21 Nov 2026 10:00:00 +0200</pubDate><author>Mari</author></item></channel></rss>"""
    (tmp_path / "feed.xml").write_text(feed, encoding="utf-8")
    done = listener("read", "feed", "feed.xml", "--url", "https://example.ee/rss")
    assert done.code == 0
    (mention,) = done.lines
    expected = {
        "external_id": "a1",
        "title": "Bolt hilines",
        "url": "https://example.ee/lugu/1",
        "text": "Ootasin tund aega.",
        "author": "Mari",
        "published_at": "2026-11-21T08:00:00Z",
    }
    assert expected.items() <= mention.items()


def test_read_takes_options_as_json(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_text('{"data": [{"n": 5, "body": "Bolt was late"}]}')
    fields = 'fields={"external_id": "n", "text": "body"}'
    done = listener("read", "json_api", "page.json", "-o", "items=$.data[*]", "-o", fields)
    assert [mention["external_id"] for mention in done.lines] == ["5"]


def test_read_says_what_it_cannot_read(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html><body>moved</body></html>")
    done = listener("read", "feed", "page.html")
    assert (done.code, done.out) == (1, "")
    assert "not a feed" in done.err
    assert "did you mean 'feed'?" in listener("read", "fed", "page.html").err


def test_init_writes_a_configuration_that_is_good(listener: Listener, model: Path, tmp_path: Path) -> None:
    answers = (
        "--brand",
        'Õlle "Pood"',
        "--feed",
        "https://example.ee/rss",
        "--model",
        model,
        "--contact",
        "me@example.ee",
    )
    assert listener("init", *answers).code == 0
    assert listener("check-config", "listener.toml").code == 0
    assert "[brands.olle_pood]" in (tmp_path / "listener.toml").read_text(encoding="utf-8")
    again = listener("init", *answers)
    assert again.code == 1
    assert "is there already" in again.err


def test_init_leaves_nothing_bad_behind(listener: Listener, model: Path, tmp_path: Path) -> None:
    answers = ("--brand", "Bolt", "--feed", "example.ee/rss", "--model", model, "--contact", "me@example.ee")
    assert listener("init", *answers).code == 2
    assert not (tmp_path / "listener.toml").exists()


def test_db_upgrade_makes_an_empty_database(listener: Listener, config: Path) -> None:
    assert listener("db", "upgrade", "-c", config, "--json").lines == [{"before": None, "after": "0004"}]
    assert listener("alerts", "list", "-c", config, "--json").lines == []
    (source,) = listener("sources", "-c", config, "--json").lines
    assert (source["source"], source["type"], source["state"]) == ("reviews", "json_api", "not polled yet")


def test_a_second_daemon_ends_before_it_disturbs_the_first(config: Path) -> None:
    """Its port is taken: it must find out before it takes the first one's place at the broker."""
    before = sorted(config.parent.iterdir())
    with socket.create_server(("127.0.0.1", 0)) as first:
        config.write_text(config.read_text().replace("port = 0", f"port = {first.getsockname()[1]}", 1))
        command = [sys.executable, "-m", "listener", "run", "-c", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=config.parent)
    assert (done.returncode, "cannot be listened on" in done.stderr) == (2, True), done.stderr
    assert sorted(config.parent.iterdir()) == before  # it has not even made the database


def test_poll_of_a_source_that_is_not_there(listener: Listener, config: Path) -> None:
    done = listener("poll", "revews", "-c", config)
    assert done.code == 2
    assert "sources.revews" in done.err
    assert "reviews" in done.err


def test_the_version(listener: Listener) -> None:
    done = listener("--version")
    assert (done.code, done.out.split()[0]) == (0, "listener")


def test_backtest_on_real_mentions(listener: Listener, tmp_path: Path) -> None:
    """Six days of six airlines, by their readers' labels: alerts in the order of their times, each in whole."""
    replay = REPLAY / "us-airline-2015.jsonl.gz"
    require(replay.exists(), f"the replay {replay}")
    with gzip.open(replay, "rt", encoding="utf-8") as lines:
        (tmp_path / "days.jsonl").write_text("".join(islice(lines, 9500)), encoding="utf-8")
    done = listener("backtest", "-i", "days.jsonl", "--label-field", "human_label", "--tick-secs", 3600)
    assert done.code == 0
    times = [str(alert["decided_at"]) for alert in done.lines]
    assert times == sorted(times)
    assert done.lines
    assert all(alert["evidence"] for alert in done.lines if alert["reason"] == "first")
    firsts = [alert["alert_id"] for alert in done.lines if alert["reason"] == "first"]
    assert len(firsts) == len(set(firsts))


def test_backtest_with_a_model(listener: Listener, model: Path, tmp_path: Path) -> None:
    """A few quiet days, then an evening of complaints."""
    rows = [
        {
            "id": n,
            "brand": "Acme",
            "text": f"the parcel was {'late' if n % 5 == 0 else 'great'} a{n}",
            "published_at": at,
        }
        for n, at in enumerate(f"2026-01-{1 + n // 48:02}T{n % 48 // 2:02}:{n % 2 * 30:02}:00Z" for n in range(140))
    ] + [
        {"id": 200 + n, "brand": "Acme", "text": f"the parcel is broken and late b{n}", "published_at": at}
        for n, at in enumerate(f"2026-01-05T18:{n:02}:00Z" for n in range(40))
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = listener("backtest", "-i", "in.jsonl", "--model", model)
    assert done.code == 0
    assert [(alert["brand"], alert["reason"]) for alert in done.lines][:1] == [("acme", "first")]
    assert str(done.lines[0]["decided_at"]).startswith("2026-01-05T18:")


def test_backtest_names_the_line_that_has_no_time(listener: Listener, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1, "brand": "Acme", "text": "late"}\n')
    done = listener("backtest", "-i", "in.jsonl", "--model", model)
    assert done.code == 1
    assert "line 1" in done.err
    assert "published_at" in done.err
