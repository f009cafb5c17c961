"""How well a model reads labelled texts: rows in, a report out. What ``listener eval`` prints."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from listener.domain import Assessment, Sentiment
from listener.errors import ParseError, ScoringError
from listener.sentiment import measures
from listener.sentiment.explain import outputs, probability
from listener.sentiment.labels import EMOTIONS, LOYALTY

ALL = "all"
UNKNOWN = "unknown"  # the language of a text that is too short to tell
HALF = 0.5  # where a probability becomes a label for models without thresholds of their own
CLASSES = tuple(label.value for label in Sentiment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A text and what people say of it. ``outputs`` (``risk``, ``emotions/anger``) holds only what was labelled."""

    text: str
    language: str
    sentiment: str | None
    outputs: Mapping[str, int]


def read_rows(file: Path, identify: Callable[[str], str | None]) -> list[Labelled]:
    """The rows of a JSONL file, also ``.gz``; ``identify`` tells the language of a row that does not.

    Raises ParseError with the number of the first line that cannot be used, and OSError.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    found = []
    at = 1
    try:
        with opened(file, "rt", encoding="utf-8-sig") as lines:
            for line in lines:
                if line.strip():
                    found.append(parse(json.loads(line), identify))
                at += 1
    except (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ParseError(f"{file.name}, line {at}: {error}") from error
    if not found:
        raise ParseError(f"{file.name} has no rows")
    return found


def parse(row: Any, identify: Callable[[str], str | None]) -> Labelled:
    """One row. Raises ValueError that says what is wrong with it."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError("it is no object with a `text`")  # noqa: TRY004 -- the row is wrong, not the program
    sentiment = row.get("sentiment")
    if sentiment is None and row.get("label") in CLASSES:
        sentiment = row["label"]
    if sentiment is not None and sentiment not in CLASSES:
        raise ValueError(f"`sentiment` is {sentiment!r}, not one of {', '.join(CLASSES)}")
    found = {**_flags(row), **_members(row)}
    if sentiment is None and not found:
        raise ValueError("it has no label: sentiment, experience, emotions, loyalty or wish")
    language = row.get("language") or row.get("lang") or identify(row["text"]) or UNKNOWN
    return Labelled(text=row["text"], language=str(language), sentiment=sentiment, outputs=found)


def _flags(row: Mapping[str, Any]) -> dict[str, int]:
    """The outputs that are yes or no."""
    found: dict[str, int] = {}
    for field, output in {"experience": "risk", "risk": "risk", "wish": "wish"}.items():
        if row.get(field) is not None:
            if row[field] not in (0, 1):
                raise ValueError(f"`{field}` is {row[field]!r}, not 0 or 1")
            if found.setdefault(output, int(row[field])) != row[field]:
                raise ValueError("`experience` and `risk` are two names of one label, and differ")
    return found


def _members(row: Mapping[str, Any]) -> dict[str, int]:
    """The outputs that are listed: those that are not in a list are not true."""
    found: dict[str, int] = {}
    for field, names in {"emotions": EMOTIONS, "loyalty": LOYALTY}.items():
        said = row.get(field)
        if said is not None:
            if not isinstance(said, list) or not set(map(str, said)) <= set(names):
                raise ValueError(f"`{field}` is {said!r}, not a list of {', '.join(names)}")
            found |= {f"{field}/{name}": int(name in said) for name in names}
    return found


def report(rows: Sequence[Labelled], results: Sequence[Assessment | ScoringError]) -> dict[str, Any]:
    """What is right and wrong in a model's ``results``, one a row: JSON values, measures that mean nothing as null.

    ``languages`` has ``all`` and each language; each has, for ``sentiment`` and every labelled output that the model
    has, ``n`` and its measures. Rows that the model refused are counted and otherwise left out. The said sentiment is
    the most probable one; an output is said when it is among the model's labels, or, for a model without labels, from a
    probability of 0.5 on. What is said in doubt counts too; ``abstained`` is how often that is.
    """
    pairs = [(row, said) for row, said in zip(rows, results, strict=True) if isinstance(said, Assessment)]
    languages = [ALL, *sorted({row.language for row, _ in pairs})]
    return {
        "model": pairs[0][1].model if pairs else None,
        "rows": len(rows),
        "refused": len(rows) - len(pairs),
        "languages": {
            language: dict(_measured([pair for pair in pairs if language in {ALL, pair[0].language}]))
            for language in languages
        },
    }


Pairs = Sequence[tuple[Labelled, Assessment]]


def _measured(pairs: Pairs) -> Iterator[tuple[str, dict[str, Any]]]:
    with_sentiment = [(row.sentiment, said) for row, said in pairs if row.sentiment is not None]
    if with_sentiment:
        yield "sentiment", _sentiment(with_sentiment)
    names = outputs(pairs[0][1]) if pairs else []
    for name in names:
        labelled = [(row.outputs[name], said) for row, said in pairs if name in row.outputs]
        if labelled:
            yield name, _output(name, labelled)


def _sentiment(pairs: Sequence[tuple[str, Assessment]]) -> dict[str, Any]:
    truth = [true for true, _ in pairs]
    said = [assessment.sentiment.value for _, assessment in pairs]
    shares = [[getattr(one.probabilities, name) for name in CLASSES] for _, one in pairs]
    sure = [min(max(one), 1.0) for one in shares]
    right = [true == other for true, other in zip(truth, said, strict=True)]
    return {
        "n": len(pairs),
        "macro_f1": measures.macro_f1(truth, said),
        "accuracy": measures.accuracy(truth, said),
        "ece": measures.expected_calibration_error(sure, right),
        "brier": measures.brier(shares, [[float(name == true) for name in CLASSES] for true in truth]),
        "abstained": _share("sentiment" in one.abstained for _, one in pairs),
        "classes": list(CLASSES),
        "confusion": measures.confusion(truth, said, CLASSES).tolist(),
        "reliability": [asdict(one) for one in measures.reliability(sure, right)],
    }


def _output(name: str, pairs: Sequence[tuple[int, Assessment]]) -> dict[str, Any]:
    truth = [true for true, _ in pairs]
    shares = [probability(one, name) for _, one in pairs]
    said = [
        int(share >= HALF if one.labels is None else name in one.labels)
        for share, (_, one) in zip(shares, pairs, strict=True)
    ]
    f1 = measures.f1(truth, said)
    return {
        "n": len(pairs),
        "f1": None if f1 != f1 else f1,  # noqa: PLR0124 -- NaN: neither true nor said of any text
        "macro_f1": measures.macro_f1(truth, said),
        "ece": measures.expected_calibration_error(shares, truth),
        "brier": measures.brier(shares, truth),
        "prevalence_true": _share(truth),
        "prevalence_said": _share(said),
        **({"abstained": _share(name in one.abstained for _, one in pairs)} if name == "risk" else {}),
        "reliability": [asdict(one) for one in measures.reliability(shares, truth)],
    }


def _share(values: Iterable[int]) -> float:
    counted = list(values)
    return sum(counted) / len(counted)
