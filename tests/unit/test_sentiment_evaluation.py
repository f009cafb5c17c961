"""Labelled rows in, figures out."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from listener.domain import Assessment, Probabilities
from listener.errors import ParseError, ScoringError
from listener.sentiment.evaluation import Labelled, parse, read_rows, report
from listener.sentiment.labels import EMOTIONS
from listener.sentiment.vader import Vader


def identify(text: str) -> str | None:
    return "et" if "pakk" in text else None


def labelled(sentiment: str | None, language: str = "en", **outputs: int) -> Labelled:
    return Labelled(text="t", language=language, sentiment=sentiment, outputs=outputs)


def said(negative: float, positive: float, **more: Any) -> Assessment:
    shares = Probabilities(negative=negative, neutral=1 - negative - positive, positive=positive)
    return Assessment(probabilities=shares, model="m@1", **more)


def test_all_fields_of_a_row_are_read() -> None:
    row = {"text": "a", "sentiment": "neutral", "experience": True, "wish": 0, "emotions": ["joy"], "loyalty": []}
    found = parse({**row, "lang": "fi"}, identify)
    assert (found.language, found.sentiment, found.outputs["risk"], found.outputs["wish"]) == ("fi", "neutral", 1, 0)
    assert {name: found.outputs[f"emotions/{name}"] for name in EMOTIONS} == {name: name == "joy" for name in EMOTIONS}
    assert found.outputs["loyalty/warn"] == 0


@pytest.mark.parametrize(
    ("row", "language"),
    [
        ({"language": "lv", "lang": "lt"}, "lv"),
        ({"text": "pakk on katki"}, "et"),
        ({}, "unknown"),
    ],
)
def test_the_language_is_the_rows_own_or_told_from_the_text(row: dict[str, Any], language: str) -> None:
    assert parse({"text": "?", "risk": 1, **row}, identify).language == language


def test_a_label_counts_where_it_is_a_sentiment() -> None:
    assert parse({"text": "a", "label": "positive"}, identify).sentiment == "positive"
    assert parse({"text": "a", "label": "churn", "risk": 0}, identify).sentiment is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "no object"),
        ({"sentiment": "positive"}, "`text`"),
        ({"text": 5}, "`text`"),
        ({"text": "a", "sentiment": "good"}, "not one of negative"),
        ({"text": "a", "experience": "yes"}, "`experience` is 'yes'"),
        ({"text": "a", "risk": [1]}, "`risk`"),
        ({"text": "a", "emotions": "joy"}, "`emotions`"),
        ({"text": "a", "loyalty": ["leave"]}, "repurchase"),
        ({"text": "a", "label": "churn"}, "no label"),
        ({"text": "a", "experience": 1, "risk": 0}, "differ"),
    ],
)
def test_a_bad_row_is_named_by_its_line(row: object, says: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([json.dumps({"text": "a", "risk": 1}), "", json.dumps(row)]))
    with pytest.raises(ParseError, match=r"rows.jsonl, line 3: ") as caught:
        read_rows(file, identify)
    assert says in str(caught.value)


def test_what_is_no_json_or_no_gzip_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "risk": 1}\n{\n')
    with pytest.raises(ParseError, match="line 2"):
        read_rows(tmp_path / "rows.jsonl", identify)
    (tmp_path / "rows.jsonl.gz").write_bytes(b"plain")
    with pytest.raises(ParseError, match="line 1"):
        read_rows(tmp_path / "rows.jsonl.gz", identify)
    whole = gzip.compress(b'{"text": "a", "risk": 1}\n' * 99)
    for damaged in (whole[:20], whole[:15] + b"\xff\xff" + whole[17:]):
        (tmp_path / "rows.jsonl.gz").write_bytes(damaged)
        with pytest.raises(ParseError, match="line"):
            read_rows(tmp_path / "rows.jsonl.gz", identify)
    (tmp_path / "rows.jsonl").write_text('{"a":' * 100_000)
    with pytest.raises(ParseError, match="line 1"):
        read_rows(tmp_path / "rows.jsonl", identify)
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(ParseError, match="no rows"):
        read_rows(tmp_path / "none.jsonl", identify)


def test_packed_rows_are_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt") as lines:
        lines.write('{"text": "a", "risk": 1}\n')
    assert len(read_rows(tmp_path / "rows.jsonl.gz", identify)) == 1


def test_sentiment_by_language_and_over_all() -> None:
    rows = [labelled("negative"), labelled("negative"), labelled("positive", "et"), labelled(None, "et")]
    results = [said(0.8, 0.1), said(0.2, 0.7), said(0.0, 1.0), said(1.0, 0.0)]
    found = report(rows, results)["languages"]
    assert list(found) == ["all", "en", "et"]
    assert (found["all"]["sentiment"]["n"], found["en"]["sentiment"]["n"], found["et"]["sentiment"]["n"]) == (3, 2, 1)
    assert found["all"]["sentiment"]["accuracy"] == pytest.approx(2 / 3)
    assert found["all"]["sentiment"]["macro_f1"] == pytest.approx(2 / 3)
    assert found["all"]["sentiment"]["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert found["et"]["sentiment"]["ece"] == 0
    assert found["et"]["sentiment"]["brier"] == 0


def test_an_output_is_said_by_the_models_labels_or_from_one_half_on() -> None:
    rows = [labelled(None, risk=1), labelled(None, risk=0)]
    with_labels = [
        said(0.5, 0.5, risk=0.45, labels=("risk",)),
        said(0.5, 0.5, risk=0.6, labels=(), abstained=("risk",)),
    ]
    without = [said(0.5, 0.5, risk=0.45), said(0.5, 0.5, risk=0.6)]
    assert report(rows, with_labels)["languages"]["all"]["risk"]["f1"] == 1
    assert report(rows, with_labels)["languages"]["all"]["risk"]["abstained"] == 0.5
    found = report(rows, without)["languages"]["all"]["risk"]
    assert (found["f1"], found["macro_f1"], found["prevalence_true"], found["prevalence_said"]) == (0, 0, 0.5, 0.5)
    assert found["brier"] == pytest.approx((0.55**2 + 0.36) / 2)


def test_what_the_model_lacks_or_nobody_labelled_is_not_measured() -> None:
    rows = [labelled("negative", risk=1, wish=0)]
    assert set(report(rows, [said(1.0, 0.0, wish=0.1)])["languages"]["all"]) == {"sentiment", "wish"}


def test_refused_texts_are_counted_and_left_out() -> None:
    found = report([labelled("negative"), labelled("negative")], [said(1.0, 0.0), ScoringError("no letter")])
    assert (found["rows"], found["refused"], found["languages"]["all"]["sentiment"]["n"]) == (2, 1, 1)
    nothing = report([labelled("negative")], [ScoringError("no letter")])
    assert (nothing["model"], nothing["languages"]) == (None, {"all": {}})


def test_a_report_is_json() -> None:
    rows = [labelled("negative", risk=0)]
    found = report(rows, [said(1.0, 0.0, risk=0.2, labels=())])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["languages"]["all"]["risk"]["f1"] is None


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_vader_reads_plain_english() -> None:
    pytest.importorskip("vaderSentiment")
    bad, good, plain = Vader().score(["A terrible, rude service!", "I love it, great staff", "It opens at nine"])
    assert [one.sentiment.value for one in (bad, good, plain)] == ["negative", "positive", "neutral"]
    assert bad.model.startswith("vader@")
