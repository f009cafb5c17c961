"""The picture of an alert, as PNG or SVG: made to be read on a phone at three in the morning.

matplotlib is an extra and slow to import, so it is imported when something is drawn. The same chart gives the same
bytes (with the same version of matplotlib), so that a picture can be compared, cached and checked in.
"""

import math
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from listener.errors import ConfigError, Fault

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

INSTALL = "pip install 'listener[explain]'"
# Without a date and a version: what makes the same picture the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": "listener"},
    "svg": {"Date": None, "Creator": "listener"},
}
WIDTH_INCHES, HEIGHT_INCHES, DPI = 6.0, 7.2, 180  # 1080 x 1296 pixels: a phone held upright
LEFT, TITLE_LINE = 0.03, 0.041  # of the picture
TITLE_CHARS, TITLE_LINES = 38, 2

# Okabe and Ito's palette, which the colour-blind can tell apart; what is said by colour is also said by shape or word.
INK, FAINT, BLUE, RED, ORANGE = "#1a1a1a", "#6b6b6b", "#0072b2", "#d55e00", "#e69f00"
GREY, PALE = "#a9a9a9", "#e3e3e3"
BOX = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75}  # behind words that lie on lines
STYLE: dict[Any, object] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 11.0,
    "text.parse_math": False,  # a brand may have a dollar in its name
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "svg.hashsalt": "listener",  # ids from content, not from chance
}


def draw(chart: Chart, path: Path, *, title: str, language: Language = "en", zone: tzinfo = UTC) -> None:
    """Write the picture to ``path``: PNG or SVG, by its suffix. Times are in ``zone``.

    Raises ConfigError without matplotlib or for another suffix, and OSError when the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        fix = "let its name end in .png or .svg"
        raise ConfigError([Fault(path=str(path), problem="cannot be drawn: neither PNG nor SVG", fix=fix)])
    with _style():
        from matplotlib.figure import Figure  # noqa: PLC0415 -- an extra, and slow to import

        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI)
        lines = textwrap.wrap(clean(title), TITLE_CHARS, max_lines=TITLE_LINES, placeholder=" …") or [""]
        below = 0.985 - TITLE_LINE * len(lines)
        share, volume, evidence = figure.subplots(
            3,
            1,
            sharex=True,
            height_ratios=(5.0, 1.5, 3.6),
            gridspec_kw={"left": 0.13, "right": 0.9, "top": below - 0.155, "bottom": 0.085, "hspace": 0.34},
        )
        figure.text(LEFT, 0.985, "\n".join(lines), size=15, weight="bold", va="top", linespacing=1.1)
        figure.text(LEFT, below - 0.008, summary(chart, language), va="top", color=FAINT)
        for axes in (share, volume, evidence):
            _marks(axes, chart)
        _share(share, chart, language, zone)
        _volume(volume, chart, language)
        _evidence(evidence, chart, language)
        labels = ticks(chart, language, zone, most=6)
        evidence.set_xlim(_x(chart.start_at), _x(chart.decided_at) + 0.01 * _span(chart))
        evidence.set_xticks([_x(at) for at, _ in labels], [label for _, label in labels])
        figure.text(LEFT, 0.012, days(chart, language, zone), color=FAINT, va="bottom", size=10)
        figure.savefig(path, format=kind, metadata=METADATA[kind])


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib as it comes, whatever this machine's matplotlibrc says, with our style."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 -- an extra, and slow to import
        from matplotlib import style  # noqa: PLC0415
    except ImportError:
        fix = f"install it: {INSTALL}"
        raise ConfigError([Fault(path="explain", problem="matplotlib is not installed", fix=fix)]) from None
    with warnings.catch_warnings(), mpl.rc_context():
        # A brand may be written in letters that the font lacks: a box in the title is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        style.use("default")
        mpl.rcParams.update(STYLE)
        yield


def _marks(axes: "Axes", chart: Chart) -> None:
    """Onset and decision, and the time of trouble between them."""
    if chart.onset_at is not None:
        axes.axvspan(_x(chart.onset_at), _x(chart.decided_at), color=ORANGE, alpha=0.13, lw=0)
        axes.axvline(_x(chart.onset_at), color=INK, lw=1.1, ls=(0, (4, 3)), zorder=4)
    axes.axvline(_x(chart.decided_at), color=INK, lw=1.6, zorder=4)


def _share(axes: "Axes", chart: Chart, language: Language, zone: tzinfo) -> None:
    words = WORDS[language]
    drawn = [
        (min(_x(one.start_at) + chart.width_secs / 2, _x(chart.decided_at)), one.share, one.low, one.high)
        if one.share is not None and one.low is not None and one.high is not None
        else (_x(one.start_at) + chart.width_secs / 2, math.nan, math.nan, math.nan)
        for one in chart.bins
        if one.start_at <= chart.decided_at
    ]
    xs, shares, lows, highs = zip(*drawn, strict=True)
    axes.fill_between(xs, lows, highs, color=BLUE, alpha=0.2, lw=0)
    axes.plot(xs, shares, color=BLUE, lw=2.2, solid_capstyle="round", zorder=3)
    top = min(1.0, max(0.3, 1.25 * max([chart.budget, *(one.share or 0.0 for one in chart.bins)])))
    axes.set_ylim(0, top)
    _level(axes, chart, chart.budget, f"{words.budget} {percent(chart.budget)}", color=RED, above=True)
    _level(axes, chart, chart.usual, f"{words.usual} {percent(chart.usual)}", color=FAINT, above=False)
    if chart.share is not None:
        axes.plot([xs[-1]], [chart.share], "o", color=BLUE, ms=6, zorder=5, clip_on=False)
        _at_the_end(axes, chart, chart.share, percent(chart.share), color=BLUE)
    axes.yaxis.set_major_locator(_steps(0.1 if top <= 0.5 else 0.2))  # noqa: PLR2004 -- of the height
    axes.yaxis.set_major_formatter(lambda share, _: percent(share))
    axes.set_title(words.share, pad=35)
    marks = [(chart.decided_at, words.decided, 1.095, "bold")]
    if chart.onset_at is not None:
        marks.append((chart.onset_at, words.began, 1.02, "normal"))
    for at, what, height, weight in marks:
        early = at < chart.start_at + (chart.decided_at - chart.start_at) / 2
        axes.text(
            _x(at),
            height,
            f"{what} {moment(at, chart, language, zone)}",
            transform=axes.get_xaxis_transform(),
            ha="left" if early else "right",
            weight=weight,
        )


def _volume(axes: "Axes", chart: Chart, language: Language) -> None:
    xs = [_x(one.start_at) for one in chart.bins]
    all_votes, weighing = [one.votes + one.repeats for one in chart.bins], [one.votes for one in chart.bins]
    for heights, color in ((all_votes, PALE), (weighing, GREY), ([one.total for one in chart.bins], RED)):
        axes.bar(xs, heights, width=0.86 * chart.width_secs, align="edge", lw=0, color=color)
    most = max(1, *all_votes)
    axes.set_ylim(0, most * 1.05)
    axes.set_yticks([0, most])
    axes.set_title(mentions(chart, language))
    axes.text(1.0, 1.06, f"■ {WORDS[language].negative}", transform=axes.transAxes, ha="right", color=RED, size=10)


def _evidence(axes: "Axes", chart: Chart, language: Language) -> None:
    words = WORDS[language]
    xs, levels = [_x(point.at) for point in chart.path], [max(0.0, point.evidence) for point in chart.path]
    axes.fill_between(xs, 0, levels, step="post", color=INK, alpha=0.08, lw=0)
    axes.plot(xs, levels, drawstyle="steps-post", color=INK, lw=2.2, zorder=3)
    top = 1.22 * max(levels[-1], *levels, chart.limit, chart.limit_page or 0.0)
    axes.set_ylim(0, top)
    decades = top / math.log(10)
    step = max(1, math.ceil(decades / 4))
    powers = range(0, math.floor(decades) + 1, step)
    axes.set_yticks([power * math.log(10) for power in powers], [number(power * math.log(10)) for power in powers])
    _level(axes, chart, chart.limit, f"{words.warning} {odds(chart.limit)}", color=RED, above=chart.limit_page is None)
    if chart.limit_page is not None:
        _level(axes, chart, chart.limit_page, f"{words.critical} {odds(chart.limit_page)}", color=RED, above=True)
    axes.plot([xs[-1]], [levels[-1]], "o", color=INK, ms=6, zorder=5, clip_on=False)
    axes.annotate(
        odds(levels[-1]),
        (xs[-1], levels[-1]),
        xytext=(-9, 1),
        textcoords="offset points",
        ha="right",
        va="bottom",
        weight="bold",
        size=12,
        zorder=7,
        bbox=BOX,
    )
    axes.set_title(words.evidence)


def _level(axes: "Axes", chart: Chart, level: float, label: str, *, color: str, above: bool) -> None:
    """A line across, named at its left end."""
    axes.axhline(level, color=color, lw=1.4, ls=(0, (6, 2)) if above else "-", zorder=2)
    axes.annotate(
        label,
        (_x(chart.start_at), level),
        xytext=(4, 3 if above else -4),
        textcoords="offset points",
        va="bottom" if above else "top",
        color=color,
        size=10.5,
        zorder=6,
        bbox=BOX,
    )


def _at_the_end(axes: "Axes", chart: Chart, level: float, label: str, *, color: str) -> None:
    """A number beside the end of a line, in the margin."""
    axes.annotate(
        label,
        (_x(chart.decided_at), level),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=color,
        weight="bold",
        size=13,
        annotation_clip=False,
    )


def _steps(step: float) -> "Locator":
    from matplotlib.ticker import MultipleLocator  # noqa: PLC0415 -- an extra, and slow to import

    return MultipleLocator(step)


def _x(at: datetime) -> float:
    return at.timestamp()


def _span(chart: Chart) -> float:
    return (chart.decided_at - chart.start_at).total_seconds()
