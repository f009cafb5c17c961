"""What of a table fits a terminal: ids and times whole, sentences wide enough to read, or left out by name."""

from typing import Any

import pytest

from listener.cli.layout import PROSE_CELLS, Layout, layout

COLUMNS = ("id", "started", "brand", "rule", "state", "what")
ROWS = (
    (
        "be330a1f",
        "24 Dec 20:00",
        "coolbrand",
        "deterioration",
        "resolved",
        "60% of 60 mentions tell of a bad time " * 4,
    ),
    ("17cc9a42", "24 Dec 21:00", "aaa", "high_risk", "firing", "somebody threatens to sue"),
)
RULES: dict[str, Any] = {"whole": ("id", "started", "state"), "prose": ("what",), "spare": ("what", "state")}


def fitted(width: int | None, **changes: Any) -> Layout:
    return layout(COLUMNS, ROWS, width=width, **{**RULES, **changes})


def shown(found: Layout) -> dict[str, int]:
    return {COLUMNS[place]: width for place, width in zip(found.places, found.widths, strict=True)}


@pytest.mark.parametrize("width", range(30, 200))
def test_it_fits_at_every_width_and_wastes_none_that_is_wanted(width: int) -> None:
    found = fitted(width)
    assert found.width <= width
    assert sorted((*found.places, *found.left_out)) == list(range(len(COLUMNS)))
    natural = shown(fitted(None))
    if any(cells < natural[name] for name, cells in shown(found).items()):
        assert found.width == width


@pytest.mark.parametrize("width", range(48, 200))
def test_ids_times_and_words_are_never_broken(width: int) -> None:
    cells = shown(fitted(width))
    assert cells["id"] == 8
    assert cells["started"] == 12
    assert cells["rule"] >= len("deterioration")
    assert cells["brand"] >= len("coolbrand")
    if "what" in cells:
        assert cells["what"] >= PROSE_CELLS


def test_the_frame_goes_first_then_columns_in_their_order() -> None:
    assert (fitted(160).frame, fitted(160).left_out) == (True, ())
    assert (fitted(90).frame, fitted(90).left_out) == (False, ())
    assert (fitted(80).frame, [COLUMNS[place] for place in fitted(80).left_out]) == (True, ["what"])
    assert [COLUMNS[place] for place in fitted(50).left_out] == ["state", "what"]


def test_without_a_width_nothing_is_cut() -> None:
    assert shown(fitted(None))["what"] == len(ROWS[0][-1])


def test_a_table_without_rows_or_much_too_wide_is_shown_all_the_same() -> None:
    assert layout(COLUMNS, (), width=80).places == tuple(range(6))
    found = fitted(30)
    assert min(found.widths) >= 3
