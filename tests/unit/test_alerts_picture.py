"""An alert's chart as a picture and on a terminal: whatever the numbers are, and the same every time."""

import sys
import xml.etree.ElementTree as ET
from datetime import UTC, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from listener.alerts.drawing.chart import Chart
from listener.alerts.drawing.picture import draw
from listener.alerts.drawing.sketch import sketch
from listener.alerts.words.chart_texts import Language
from listener.errors import ConfigError
from tests.unit.test_alerts_chart import START, drawn, story, vote

TITLE = "CRITICAL: Acme, far more complaints than usual"
CHARTS = {
    "an alert": drawn(story(), limit_page=9.0),
    "of volume alone": drawn(story(), onset_at=None),
    "at once": drawn(story(), onset_at=START + timedelta(hours=25)),
    "long": drawn(story(24 * 30), onset_at=START + timedelta(days=20), decided_at=START + timedelta(days=30)),
    "nobody spoke": drawn([], onset_at=None),
    "one vote": drawn([vote(1, 0, negative=True)], decided_at=START, onset_at=START),
}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_alert_gives_the_same_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    for path in (first, second):
        draw(CHARTS[name], path, title=TITLE)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_an_svg_is_whole_and_has_no_date(tmp_path: Path) -> None:
    draw(CHARTS["an alert"], tmp_path / "alert.svg", title=TITLE, language="et", zone=ZoneInfo("Europe/Tallinn"))
    text = (tmp_path / "alert.svg").read_text("utf-8")
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 -- our own file
    assert "<dc:date>" not in text
    # Matplotlib notes the words that it draws as outlines.
    for words in (
        "Negatiivsed mainimised",
        "häire 03:00 EET",
        "algas 02:00 EET",
        "lubatud 25%",
        "kriitiline 8 000 : 1",
    ):
        assert f"<!-- {words} -->" in text


@pytest.mark.parametrize("title", ["", "$x^2$ and $", "A" * 200, "中文 😀 عربى", "long words " * 30, "\x1b[2J"])
def test_any_title_can_be_drawn(title: str, tmp_path: Path) -> None:
    draw(CHARTS["an alert"], tmp_path / "alert.png", title=title)
    assert printed(CHARTS["an alert"], title=title)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither PNG nor SVG; let its name end in \.png or \.svg"):
        draw(CHARTS["an alert"], tmp_path / "alert.pdf", title=TITLE)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"matplotlib is not installed; .*pip install 'listener\[explain\]'"):
        draw(CHARTS["an alert"], tmp_path / "alert.png", title=TITLE)


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 -- slow to import

    before = dict(mpl.rcParams)
    draw(CHARTS["an alert"], tmp_path / "alert.png", title=TITLE)
    assert dict(mpl.rcParams) == before


def printed(chart: Chart, *, title: str = TITLE, language: Language = "en", width: int = 80, **options: Any) -> str:
    """What a terminal of 80 columns shows."""
    values: dict[str, Any] = {"width": width, "no_color": True, "file": StringIO()}
    console = Console(**{**values, **options})
    console.print(sketch(chart, title=title, language=language, zone=UTC, width=width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_sketch_fits_the_terminal(name: str, width: int) -> None:
    lines = printed(CHARTS[name], width=width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert 20 <= len(lines) <= 30
    assert printed(CHARTS[name], width=width).count("\x1b") == 0


def test_a_sketch_shows_the_rise_without_colours() -> None:
    lines = printed(CHARTS["an alert"]).splitlines()
    assert lines[:2] == [TITLE, "100% negative now, 20% is usual, 25% is the budget"]
    assert lines[4].startswith("    100% │ ")
    assert lines[4].endswith("█")
    assert any("budget 25%" in line for line in lines)
    assert any("warning 1 000 : 1, critical 8 000 : 1" in line for line in lines)
    assert lines[-3].endswith("began 00:00 UTC ▲")
    assert lines[-2].endswith("alert 01:00 UTC ▲")
    assert lines[-1].endswith("2 Mar – 3 Mar 2026, UTC")


def test_a_sketch_speaks_estonian() -> None:
    text = printed(CHARTS["an alert"], language="et")
    for words in ("Negatiivsed mainimised", "Mainimisi 10 minuti kohta", "lubatud 25%", "algas 00:00", "häire 01:00"):
        assert words in text


def test_colours_come_only_where_the_terminal_has_them() -> None:
    assert "\x1b[" in printed(CHARTS["an alert"], no_color=False, force_terminal=True, color_system="standard")
