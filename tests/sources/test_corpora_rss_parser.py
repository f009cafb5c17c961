"""Every real feed of rss-parser's test input says to us what rss-parser expects, but for what is justified."""

from pathlib import Path

import pytest

from benchmarks.corpora import JUSTIFIED, compare, documents_of_rss_parser, summary, unjustified
from tests.services import CORPORA, require


@pytest.fixture(autouse=True)
def _corpus() -> None:
    require((CORPORA / "rss-parser").is_dir(), f"the corpus {CORPORA / 'rss-parser'}")


@pytest.mark.timeout(60)
def test_what_rss_parser_expects_is_what_we_read() -> None:
    """Also that each is read in time, and that the only unreadable one is a page of HTML."""
    comparisons = [compare(path, CORPORA) for path in documents_of_rss_parser(CORPORA)]
    assert [found for comparison in comparisons for found in unjustified(comparison)] == []
    assert {Path(one.document).name for one in comparisons if one.items is None} == {"unrecognized.rss"}
    assert max(comparison.took_secs for comparison in comparisons) < 5
    figures = summary(comparisons)
    assert (figures["documents"], figures["items"]) == (31, 1371)
    differences = {(found.document, found.field) for comparison in comparisons for found in comparison.differences}
    assert differences == {key for key in JUSTIFIED if key[0].startswith("rss-parser/")}
