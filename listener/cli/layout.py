"""How a table fits a terminal: which columns are shown, and how wide. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

PROSE_CELLS = 24  # less, and a sentence stands one word a line
WORD_CELLS = 16  # longer words may be broken
FRAME_CELLS, FRAME_EDGE = 3, 1  # what a frame takes for each column, and once
GAP_CELLS = 2  # between columns without a frame
NARROWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns that are shown, by their place, and the width of each; ``left_out`` are the others."""

    places: tuple[int, ...]
    widths: tuple[int, ...]
    frame: bool
    left_out: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """What it takes of the terminal."""
        return sum(self.widths) + _around(len(self.places), frame=self.frame)


def layout(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    whole: Collection[str] = (),
    prose: Collection[str] = (),
    spare: Sequence[str] = (),
) -> Layout:
    """Fit a table into ``width`` cells; None: it is as wide as it likes.

    The columns of ``whole`` are never broken, those of ``prose`` hold sentences, and those of ``spare`` are left out in
    that order where there is no room. A frame goes before a column does.
    """
    natural = [
        max([cell_len(name), *(cell_len(line) for row in rows for line in row[place].split("\n"))])
        for place, name in enumerate(columns)
    ]
    everything = tuple(range(len(columns)))
    if width is None:
        return Layout(places=everything, widths=tuple(natural), frame=True)
    least = [
        _least(name, [row[place] for row in rows], natural[place], whole, prose) for place, name in enumerate(columns)
    ]
    shown = everything
    for count in range(len(spare) + 1):
        out = frozenset(spare[:count])
        shown = tuple(place for place in everything if columns[place] not in out)
        left = tuple(place for place in everything if columns[place] in out)
        for frame in (True, False):
            room = width - sum(least[place] for place in shown) - _around(len(shown), frame=frame)
            if room >= 0:
                widths = _spread([least[place] for place in shown], [natural[place] for place in shown], room)
                return Layout(places=shown, widths=widths, frame=frame, left_out=left)
    room = max(width - _around(len(shown), frame=False), len(shown) * NARROWEST)
    held = [columns[place] in whole for place in shown]
    left = tuple(place for place in everything if place not in shown)
    return Layout(places=shown, widths=_squeezed([least[p] for p in shown], held, room), frame=False, left_out=left)


def _around(columns: int, *, frame: bool) -> int:
    return FRAME_CELLS * columns + FRAME_EDGE if frame else GAP_CELLS * (columns - 1)


def _least(name: str, cells: Sequence[str], natural: int, whole: Collection[str], prose: Collection[str]) -> int:
    if name in whole:
        return natural
    words = max(map(cell_len, name.split()), default=0)
    if name in prose:
        return max(words, min(natural, PROSE_CELLS))
    return max(words, min(WORD_CELLS, max((cell_len(word) for cell in cells for word in cell.split()), default=0)))


def _spread(least: Sequence[int], natural: Sequence[int], room: int) -> tuple[int, ...]:
    """Give the room that is left to the narrowest of those that want more."""
    widths = list(least)
    for _ in range(room):
        wanting = [place for place, width in enumerate(widths) if width < natural[place]]
        if not wanting:
            break
        widths[min(wanting, key=lambda place: widths[place])] += 1
    return tuple(widths)


def _squeezed(least: Sequence[int], held: Sequence[bool], room: int) -> tuple[int, ...]:
    """Take from the widest until it fits, from what must stay whole last."""
    widths = list(least)
    while sum(widths) > room:
        loose = [place for place, width in enumerate(widths) if not held[place] and width > WORD_CELLS // 2]
        candidates = loose or [place for place, width in enumerate(widths) if width > NARROWEST]
        widths[max(candidates, key=lambda place: widths[place])] -= 1
    return tuple(widths)
