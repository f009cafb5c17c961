"""Topics from the configuration to the mention: their faults have a place, and whatever is prepared has its topics."""

from pathlib import Path

import pytest

from listener.app import load_settings, matcher_of, topics_of
from listener.backtest import read_history
from listener.config import Settings
from listener.domain import RawMention
from listener.errors import ConfigError
from listener.pipeline.poll import prepare
from listener.sources.feed import Feed
from tests.mentions import NOW

CONFIGURATION = """
[brands.bolt]
names = ["Bolt"]

[brands.bolt.topics]
delivery = "kuller OR courier"
app = "äpp OR app"
"""


def settings(folder: Path, text: str = CONFIGURATION) -> Settings:
    path = folder / "listener.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_every_topic_that_cannot_be_parsed_is_named_by_its_place(tmp_path: Path) -> None:
    broken = CONFIGURATION.replace("OR courier", "OR").replace('"äpp OR app"', '"(äpp"')
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, broken)
    assert [fault.path for fault in caught.value.faults] == ["brands.bolt.topics.delivery", "brands.bolt.topics.app"]
    assert "nothing after it" in caught.value.faults[0].problem


@pytest.mark.parametrize("brands", [(), ("bolt",)], ids=["found by name", "the source's own"])
def test_a_mention_is_prepared_with_its_topics(tmp_path: Path, brands: tuple[str, ...]) -> None:
    known = settings(tmp_path)
    texts = ["Bolti kuller hilines", "Bolti äpp hangub", "Bolt on hea"]
    raw = [RawMention(external_id=text, url="", text=text, conversation="t1") for text in texts]
    source = Feed(name="forum", url="https://forum.example/feed", brands=brands)
    prepared = prepare(
        source, raw, matcher=matcher_of(known), topics=topics_of(known), identify=lambda _text: "et", now=NOW
    )
    assert [one.topics for one in prepared.mentions] == [{"bolt": "delivery"}, {"bolt": "app"}, {}]
    assert {one.conversation for one in prepared.mentions} == {"t1"}


def test_a_history_keeps_threads_and_a_rows_own_topic(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [
        "id,text,brand,topic,thread,published_at",
        "1,Bolti kuller hilines,,,,2026-11-20T10:00:00Z",
        "2,Bolti kuller hilines jälle,, äpp ,1,2026-11-20T11:00:00Z",
        "3,Hea,Wolt,hind,,2026-11-20T12:00:00Z",
        "4,Bolti kulleriga hästi,bolt,,,2026-11-20T13:00:00Z",
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    known = settings(tmp_path)
    history, _ = read_history(path, brands=known.brands, matcher=matcher_of(known), identify=lambda _text: "et")
    assert [(dict(one.topics), one.conversation) for one in history.mentions] == [
        ({"bolt": "delivery"}, "1"),
        ({"bolt": "äpp"}, "1"),
        ({"wolt": "hind"}, "3"),
        ({"bolt": "delivery"}, "4"),
    ]
