"""Every document of gofeed's test data says to us what gofeed's own expectations say, but for what is justified."""

from pathlib import Path

import pytest

from benchmarks.corpora import JUSTIFIED, compare, documents_of_gofeed, summary, unjustified
from tests.services import CORPORA, require

PARTS = ("parser/atom", "parser/json", "parser/rss", "parser/universal", "translator", "extensions")


@pytest.fixture(autouse=True)
def _corpus() -> None:
    require((CORPORA / "gofeed").is_dir(), f"the corpus {CORPORA / 'gofeed'}")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", PARTS)
def test_what_gofeed_expects_is_what_we_read(part: str) -> None:
    folder = CORPORA / "gofeed" / "testdata" / part
    documents = [path for path in documents_of_gofeed(CORPORA) if folder in path.parents]
    comparisons = [compare(path, CORPORA) for path in documents]
    assert documents
    assert [found for comparison in comparisons for found in unjustified(comparison)] == []
    assert max(comparison.took_secs for comparison in comparisons) < 2


def test_every_document_is_in_a_part_and_only_broken_ones_are_unreadable() -> None:
    """552 documents; the four unreadable ones are empty, another vocabulary, or cut JSON."""
    documents = documents_of_gofeed(CORPORA)
    roots = [CORPORA / "gofeed" / "testdata" / part for part in PARTS]
    assert all(any(root in path.parents for root in roots) for path in documents)
    comparisons = [compare(path, CORPORA) for path in documents]
    unreadable = {Path(one.document).name for one in comparisons if one.items is None}
    assert unreadable == {"empty_feed.xml", "unknown_feed.xml", "invalid.json"}
    figures = summary(comparisons)
    assert figures["documents"] == 552
    assert sum(figures["fields_compared"].values()) >= 211


def test_every_justified_difference_is_still_one() -> None:
    """A reason for a difference that is gone hides the next one."""
    mine = {key for key in JUSTIFIED if key[0].startswith("gofeed/")}
    found = {
        (difference.document, difference.field)
        for path in documents_of_gofeed(CORPORA)
        for difference in compare(path, CORPORA).differences
    }
    assert mine == found
