"""An alert's chart on a terminal, in block characters: readable without colours, from 60 columns on."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.text import Text

from listener.alerts.drawing.chart import Chart
from listener.alerts.words.chart_texts import (
    WORDS,
    Language,
    clean,
    days,
    mentions,
    moment,
    number,
    odds,
    percent,
    summary,
    ticks,
)

WIDTH, WIDTH_MIN = 80, 60
SHARE_ROWS, EVIDENCE_ROWS = 8, 5
LABEL_CELLS = 8
EIGHTHS = " ▁▂▃▄▅▆▇█"
LEVEL = "┄"
TICK_CELLS = 12  # between the names of two times, at least
# Blue and yellow are told apart by nearly everybody, on light and on dark.
BEFORE, SINCE, LIMIT, FAINT = "blue", "bold yellow", "red", "dim"


def sketch(
    chart: Chart, *, title: str, language: Language = "en", zone: tzinfo = UTC, width: int = WIDTH
) -> RenderableType:
    """The chart as lines of at most ``width`` cells (at least 60): share, mentions, evidence, times in ``zone``."""
    words = WORDS[language]
    width = max(width, WIDTH_MIN)
    cells = _Cells(chart, width - LABEL_CELLS - 2)
    shares = [one.share for one in chart.bins]
    top = min(1.0, 1.15 * max(0.2, chart.budget, *(one or 0.0 for one in shares)))
    levels = [max(0.0, one) for one in cells.evidence()]
    peak = 1.1 * max(chart.limit, chart.limit_page or 0.0, *levels)
    limits = {chart.limit: f"{words.warning} {odds(chart.limit)}"}
    if chart.limit_page is not None:
        limits[chart.limit_page] = f"{words.critical} {odds(chart.limit_page)}"
    text = Text(no_wrap=True, overflow="crop")
    text.append(_cut(clean(title), width) + "\n", "bold").append(_cut(summary(chart, language), width) + "\n")
    _title(text, words.share, width)
    named = {chart.budget: f"{words.budget} {percent(chart.budget)}"}
    _panel(text, cells, cells.newest(shares), rows=SHARE_ROWS, top=top, named=named, scale=percent)
    _title(text, mentions(chart, language), width)
    counts = cells.means([one.votes + one.repeats for one in chart.bins])
    most = max(1.0, *counts)
    _panel(text, cells, counts, rows=1, top=most, named={}, scale=lambda value: f"{value:.0f}")
    _title(text, words.evidence, width, odds(levels[-1]))
    _panel(text, cells, levels, rows=EVIDENCE_ROWS, top=peak, named=limits, scale=number)
    _times(text, cells, language, zone)
    text.right_crop(1)
    return Group(text)  # a bare text would be wrapped anew


class _Cells:
    """Which columns of the terminal show which bins: each column at least one, each bin at least in one column."""

    def __init__(self, chart: Chart, columns: int) -> None:
        self.chart = chart
        self.columns = columns
        firsts = [column * len(chart.bins) // columns for column in range(columns + 1)]
        self.parts = [slice(first, max(first + 1, after)) for first, after in pairwise(firsts)]

    def column(self, at: datetime) -> int:
        """The column that shows ``at``."""
        passed, whole = at - self.chart.start_at, self.chart.end_at - self.chart.start_at
        return min(max(int(passed / whole * self.columns), 0), self.columns - 1)

    def means(self, values: Sequence[float]) -> list[float]:
        """For each column the mean over its bins."""
        return [math.fsum(values[part]) / len(values[part]) for part in self.parts]

    def newest(self, values: Sequence[float | None]) -> list[float | None]:
        """For each column the newest value of its bins."""
        return [next((one for one in reversed(values[part]) if one is not None), None) for part in self.parts]

    def evidence(self) -> list[float]:
        """For each column up to the decision the newest evidence, ln."""
        found, points = [], list(self.chart.path)
        now = points[0].evidence
        for column in range(self.column(self.chart.decided_at) + 1):
            while points and self.column(points[0].at) <= column:
                now = points.pop(0).evidence
            found.append(now)
        return found


def _panel(
    text: Text,
    cells: _Cells,
    values: Sequence[float | None],
    *,
    rows: int,
    top: float,
    named: Mapping[float, str],
    scale: Callable[[float], str],
) -> None:
    """Bars from 0 to ``top``, with the ``named`` levels as dotted lines where no bar hides them."""
    onset = cells.columns if cells.chart.onset_at is None else cells.column(cells.chart.onset_at)
    level_rows: dict[int, str] = {}
    for level, name in sorted(named.items()):
        at_row = min(rows - 1, int(level / top * rows))
        level_rows[at_row] = f"{level_rows[at_row]}, {name}" if at_row in level_rows else name
    for row in reversed(range(rows)):
        label = scale(top) if row == rows - 1 else scale(0.0) if row == 0 else ""
        text.append(f"{label:>{LABEL_CELLS}} ", FAINT).append("│", FAINT)
        line = [_block((value or 0.0) / top * rows - row) for value in values]
        line += [" "] * (cells.columns - len(line))
        if row in level_rows:
            line = _named(line, level_rows[row])
        for column, char in enumerate(line):
            drawn = char in EIGHTHS
            text.append(char, (BEFORE if column < onset else SINCE) if drawn else LIMIT)
        text.append("\n")


def _named(line: list[str], label: str) -> list[str]:
    """The row with a dotted line in its free cells, and the name at the first place where it hides nothing."""
    free = [char == " " for char in line]
    found = [LEVEL if empty else char for char, empty in zip(line, free, strict=True)]
    room = len(label) + 2
    for first in range(1, len(line) - room):
        if all(free[first : first + room]):
            found[first : first + room] = f" {label} "
            break
    return found


def _times(text: Text, cells: _Cells, language: Language, zone: tzinfo) -> None:
    """The axis with round times, and below it when it began and when it was decided."""
    chart, words = cells.chart, WORDS[language]
    axis, names = ["─"] * cells.columns, [" "] * cells.columns
    for at, label in ticks(chart, language, zone, most=cells.columns // TICK_CELLS):
        column = cells.column(at)
        axis[column] = "┬"
        if column + len(label) <= cells.columns:
            names[column : column + len(label)] = label
    margin = " " * (LABEL_CELLS + 1)
    text.append(f"{margin}└{''.join(axis)}\n{margin} {''.join(names).rstrip()}\n", FAINT)
    marks = [(chart.onset_at, words.began, SINCE), (chart.decided_at, words.decided, "bold")]
    for marked_at, what, style in marks:
        if marked_at is not None:
            label, column = f"{what} {moment(marked_at, chart, language, zone)}", cells.column(marked_at)
            late = column > len(label)
            line = f"{label} ▲".rjust(column + 1) if late else " " * column + f"▲ {label}"
            text.append(f"{margin} ").append(f"{line}\n", style)
    text.append(f"{margin} {days(chart, language, zone)}\n", FAINT)


def _title(text: Text, title: str, width: int, value: str = "") -> None:
    text.append(f"\n{title}", "bold").append(f"{value:>{width - len(title)}}\n" if value else "\n", "bold")


def _block(height: float) -> str:
    """What one cell shows of a bar that reaches ``height`` cells above its bottom; a bar that is not 0 is seen."""
    if height <= 0:
        return " "
    return EIGHTHS[min(8, max(1, round(8 * height)))]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
