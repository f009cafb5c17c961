"""The figures of the model on validation rows, in one table: what ships, the frozen encoder, the ceiling.

    python -m training.evaluate --data DIR --model DIR [--frozen RUN/frozen.npz] [--ceiling DIR] [--exact RUN]

Measured is the int8 model as it ships, calibrated. Where a set knows only two sentiments, the third is not offered to
it. Emotions differ from set to set in what counts as one; so for every reader (the frozen encoder too) each emotion's
threshold is chosen on one half of a set's rows and measured on the other.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from listener.sentiment import measures
from training import calibrate, datasets, export
from training.datasets import Row
from training.frozen import digest_of, validation
from training.heads import HEADS, OUTPUTS, PLACES
from training.reading import read, read_exactly

UMSAB = tuple(f"sentiment.umsab.{language}" for language in ("en", "fr", "de", "it", "pt", "es"))
COMPLAINTS, OWN = "complaint.preotiuc.en", "own"
HOME = ("et", "en", "ru")
DECIDING = (export.WEIGHTS, export.TOKENIZER)  # of what the graph says nothing new
ALONE = 200  # texts that are read once more, each by itself
FEWEST = 300  # texts of a language for its calibration error to mean something

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One model's calibrated probabilities [rows, outputs], and where they become labels."""

    name: str
    said: Array
    thresholds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Held:
    """The validation rows, with what is true of them."""

    rows: Sequence[Row]

    @cached_property
    def truth(self) -> Array:
        """[rows, outputs], NaN where nothing was labelled."""
        return np.array([row.targets for row in self.rows])

    @cached_property
    def origins(self) -> NDArray[np.str_]:
        """The set of each row."""
        return np.array([row.origin for row in self.rows])

    @cached_property
    def languages(self) -> NDArray[np.str_]:
        """The language of each row."""
        return np.array([row.language for row in self.rows])

    @cached_property
    def offered(self) -> Mask:
        """The sentiments that each row's set knows, [rows, 3]."""
        return calibrate.offered(self.rows, self.truth)

    @cached_property
    def spoken(self) -> list[str]:
        """The language that the daemon takes each text for: it chooses the calibration."""
        return calibrate.spoken(self.rows)

    @cached_property
    def unseen(self) -> Mask:
        """The rows of the sets that calibration is fitted on, and our own, that it has not looked at."""
        tier = {chosen.name: chosen.tier for chosen in datasets.PUBLIC}
        return np.array(
            [row.origin == OWN or (tier[row.origin] == "A" and datasets.half(row.text) == 1) for row in self.rows]
        )


def sides(truth: Array, said: Array) -> tuple[list[int], list[int]]:
    """True and said sentiment; said is the most probable of those that occur."""
    place = PLACES["sentiment"]
    true = truth[:, place].argmax(axis=1)
    offered = sorted(set(true.tolist()))
    best = said[:, place][:, offered].argmax(axis=1) if offered else []
    return true.tolist(), [offered[one] for one in best]


def sentiment_f1(held: Held, reader: Reader, mask: Mask) -> tuple[float, float]:
    """Macro-F1 and accuracy of the sentiment of the rows in ``mask``, in points."""
    mask = mask & ~np.isnan(held.truth[:, 0])
    true, said = sides(held.truth[mask], reader.said[mask])
    return 100 * measures.macro_f1(true, said), 100 * measures.accuracy(true, said)


def binary_f1(held: Held, reader: Reader, mask: Mask, output: str) -> tuple[float, float]:
    """Macro-F1 over yes and no, and F1 of yes, of one output at its threshold, in points."""
    place = OUTPUTS.index(output)
    mask = mask & ~np.isnan(held.truth[:, place])
    true = held.truth[mask, place].astype(int).tolist()
    said = (reader.said[mask, place] >= reader.thresholds.get(output, 0.5)).astype(int).tolist()
    return 100 * measures.macro_f1(true, said), 100 * measures.f1(true, said)


def emotions_f1(held: Held, reader: Reader, origin: str) -> float:
    """The mean F1 of a set's emotions, thresholds chosen on one half of its rows, in points."""
    mine = held.origins == origin
    choosing = np.array([datasets.half(row.text, 4) % 2 == 0 for row in held.rows])
    scores = []
    for name in HEADS["emotions"]:
        place = OUTPUTS.index(name)
        known = mine & ~np.isnan(held.truth[:, place])
        first, second = known & choosing, known & ~choosing
        if held.truth[first, place].sum() < 3 or held.truth[second, place].sum() < 3:
            continue
        edges = np.linspace(0.05, 0.9, 35)
        wanted = held.truth[first, place].astype(int).tolist()
        best = max(
            edges, key=lambda edge: measures.f1(wanted, (reader.said[first, place] >= edge).astype(int).tolist())
        )
        true = held.truth[second, place].astype(int).tolist()
        scores.append(measures.f1(true, (reader.said[second, place] >= best).astype(int).tolist()))
    return 100 * float(np.mean(scores))


def sentiment_sure(held: Held, reader: Reader, mask: Mask) -> tuple[Array, Array]:
    """How sure a reader is of its sentiment, each set's among those that the set knows, and whether it is right."""
    place = PLACES["sentiment"]
    true = held.truth[mask][:, place]
    said = reader.said[mask][:, place] * held.offered[mask]
    said /= said.sum(axis=1, keepdims=True)
    right = said.argmax(axis=1) == true.argmax(axis=1)
    return said.max(axis=1), right.astype(float)


def risk_sure(held: Held, reader: Reader, mask: Mask) -> tuple[Array, Array]:
    """The probability of a negative experience, and whether there is one."""
    place = OUTPUTS.index("risk")
    return reader.said[mask, place], held.truth[mask, place]


def error(sure: Array, right: Array) -> float:
    """Expected calibration error, in points."""
    return 100 * measures.expected_calibration_error(sure, right)


def error_by_chance(sure: Array, draws: int = 400) -> tuple[float, float]:
    """The error, in points, of a reader whose probabilities are true: its mean, and what 95 of 100 stay below.

    It is not zero, since the share of a bin's few texts strays from their probability.
    """
    draw = np.random.default_rng(1)
    found = [error(sure, (draw.random(len(sure)) < sure).astype(float)) for _ in range(draws)]
    return float(np.mean(found)), float(np.quantile(found, 0.95))


def capped(held: Held, mask: Mask) -> Mask:
    """``mask`` without what exceeds a set's share in the calibration."""
    counts: dict[str, int] = {}
    kept = np.zeros(len(mask), dtype=bool)
    for place in map(int, np.flatnonzero(mask)):
        origin = held.rows[place].origin
        counts[origin] = counts.get(origin, 0) + 1
        kept[place] = origin == OWN or counts[origin] <= calibrate.PER_SET
    return kept


Measure = Callable[[Reader], float]
Line = tuple[str, int, str, Measure]
Sure = Callable[[Held, Reader, Mask], tuple[Array, Array]]


def lines(held: Held) -> Iterator[Line]:
    """What is measured: its name, the rows, what must be reached, how."""
    origins = sorted({row.origin for row in held.rows})
    yield from _sentiment_lines(held, origins)
    complaints = held.origins == COMPLAINTS
    yield "complaints, en", int(complaints.sum()), "76", _binary(held, complaints, "risk")
    languages = sorted(set(held.languages.tolist()))
    for language in sorted(languages, key=lambda one: (one not in HOME, one)):
        mine = (held.origins == OWN) & (held.languages == language)
        if mine.any():
            yield from _own_lines(held, mine, language)
    for origin in origins:
        if origin.startswith("emotion."):
            count = int((held.origins == origin).sum())
            yield origin, count, "frozen + 3", partial(_emotions, held, origin)
    for language in languages:
        yield from _error_lines(held, language)


def _sentiment_lines(held: Held, origins: Sequence[str]) -> Iterator[Line]:
    umsab = [held.origins == origin for origin in UMSAB]
    each = [_sentiment(held, mask) for mask in umsab]
    yield "UMSAB, mean of 6 languages", int(np.sum(umsab)), "63", lambda r: float(np.mean([one(r) for one in each]))
    for origin, mask, measure in zip(UMSAB, umsab, each, strict=True):
        yield f"- {origin}", int(mask.sum()), "", measure
    valence = held.origins == datasets.VALENCE
    yield "Estonian valence, macro-F1", int(valence.sum()), "70", _sentiment(held, valence)
    yield "Estonian valence, accuracy", int(valence.sum()), "75", lambda r: sentiment_f1(held, r, valence)[1]
    for origin in origins:
        if origin.startswith("sentiment.") and origin not in {*UMSAB, datasets.VALENCE}:
            mask = held.origins == origin
            yield origin, int(mask.sum()), "frozen + 3", _sentiment(held, mask)


def _own_lines(held: Held, mine: Mask, language: str) -> Iterator[Line]:
    count, wanted = int(mine.sum()), ("80", "85", "75", "70") if language in HOME else ("",) * 4
    yield f"own {language}: sentiment", count, wanted[0], _sentiment(held, mine)
    yield f"own {language}: negative experience", count, wanted[1], _binary(held, mine, "risk")
    yield f"own {language}: wish", count, wanted[2], _binary(held, mine, "wish")
    yield f"own {language}: loyalty, mean F1 of four", count, wanted[3], _mean_f1(held, mine, HEADS["loyalty"])
    yield f"own {language}: emotions, mean F1 of eight", count, "", _mean_f1(held, mine, HEADS["emotions"])


def _error_lines(held: Held, language: str) -> Iterator[Line]:
    for name, mask, measure in _sure(held, language):
        yield f"ECE {name}, times 100", int(mask.sum()), "5", partial(_error, measure, held, mask)


def _sure(held: Held, language: str) -> Iterator[tuple[str, Mask, Sure]]:
    """What has an error of calibration in a language: its name, the rows, how sure a reader is of them."""
    mine = (held.languages == language) & held.unseen
    for name, output, measure in (("sentiment", 0, sentiment_sure), ("risk", OUTPUTS.index("risk"), risk_sure)):
        mask = capped(held, mine & ~np.isnan(held.truth[:, output]))
        if mask.sum() >= FEWEST:
            yield f"{name} {language}", mask, measure


def _error(measure: Sure, held: Held, mask: Mask, reader: Reader) -> float:
    return error(*measure(held, reader, mask))


def chance(held: Held, reader: Reader) -> str:
    """What the errors of calibration would be by chance alone."""
    found = []
    for language in sorted(set(held.languages.tolist())):
        for name, mask, measure in _sure(held, language):
            mean, most = error_by_chance(measure(held, reader, mask)[0])
            found.append(f"{name} {mean:.1f} ({most:.1f})")
    return "ECE of true probabilities by chance, times 100, mean (95 of 100 below): " + ", ".join(found)


def _emotions(held: Held, origin: str, reader: Reader) -> float:
    return emotions_f1(held, reader, origin)


def _sentiment(held: Held, mask: Mask) -> Measure:
    return lambda reader: sentiment_f1(held, reader, mask)[0]


def _binary(held: Held, mask: Mask, output: str) -> Measure:
    return lambda reader: binary_f1(held, reader, mask, output)[0]


def _mean_f1(held: Held, mask: Mask, outputs: Sequence[str]) -> Measure:
    return lambda reader: float(np.nanmean([binary_f1(held, reader, mask, output)[1] for output in outputs]))


def reader_of(name: str, model: Path, held: Held) -> Reader:
    """The calibrated int8 model in ``model`` on all rows; its logits are kept beside it."""
    settings = json.loads((model / export.CONFIG).read_text())
    logits = kept_logits(model, held)
    said = calibrate.probabilities(logits, settings["calibration"], held.spoken)
    return Reader(name=name, said=said, thresholds=settings["thresholds"])


def kept_logits(model: Path, held: Held) -> Array:
    """The logits of ``held`` by the int8 weights in ``model``, read once for the same weights, tokenizer and texts."""
    file = model.parent / f"{model.name}.logits.npz"
    sums = [line for line in (model / export.SUMS).read_text().splitlines() if line.endswith(DECIDING)]
    digest = hashlib.sha256("\n".join([*sums, digest_of(held.rows)]).encode()).hexdigest()
    if file.is_file():
        before = np.load(file)
        if str(before["digest"]) == digest:
            return np.array(before["logits"], dtype=np.float64)
    logits = read(model, [row.text for row in held.rows])
    np.savez_compressed(file, logits=logits, digest=digest)
    return logits.astype(np.float64)


def compare_exact(model: Path, run: Path, held: Held) -> Iterator[str]:
    """How int8 differs from float32: on our held-out mentions and a twelfth of the public rows."""
    chosen = [place for place, row in enumerate(held.rows) if row.origin == OWN or datasets.half(row.text, 12) == 0]
    fewer = Held(rows=[held.rows[place] for place in chosen])
    settings = json.loads((model / export.CONFIG).read_text())
    pair = []
    for name, logits in (
        ("int8", kept_logits(model, held)[chosen]),
        ("float32", read_exactly(run, [row.text for row in fewer.rows]).astype(np.float64)),
    ):
        said = calibrate.probabilities(logits, settings["calibration"], fewer.spoken)
        pair.append(Reader(name=name, said=said, thresholds=settings["thresholds"]))
    labels = [labelled(reader) for reader in pair]
    same = 100 * (labels[0] == labels[1])
    yield (
        f"int8 against float32 on {len(chosen)} rows: equal sentiment {same[:, 0].mean():.2f} %, equal labels of all "
        f"outputs {same.mean():.2f} %"
    )
    alone = np.concatenate([read(model, [row.text]) for row in fewer.rows[:ALONE]])
    equal = (alone == kept_logits(model, held)[chosen[:ALONE]].astype(np.float32)).all(axis=1)
    yield f"int8, read alone and among all others: {equal.sum()} of {len(equal)} texts the same to the last bit"
    scores = [sentiment_f1(fewer, reader, np.ones(len(chosen), dtype=bool))[0] for reader in pair]
    yield f"macro-F1 of all of them: int8 {scores[0]:.2f}, float32 {scores[1]:.2f}"


def labelled(reader: Reader) -> NDArray[np.int64]:
    """What ``reader`` says of each row: the place of the sentiment, then 0 or 1 for each other output."""
    sides = reader.said[:, PLACES["sentiment"]].argmax(axis=1)
    edges = np.array([reader.thresholds.get(name, 0.5) for name in OUTPUTS[PLACES["sentiment"].stop :]])
    return np.column_stack([sides, reader.said[:, PLACES["sentiment"].stop :] >= edges]).astype(np.int64)


def frozen_reader(file: Path, held: Held) -> Reader:
    """What ``training.frozen`` wrote. Raises SystemExit when it was of other rows."""
    kept = np.load(file)
    if str(kept["digest"]) != digest_of(held.rows):
        raise SystemExit(f"{file} is of other rows: run training.frozen again")
    return Reader(name="frozen + LR", said=kept["said"].astype(np.float64), thresholds={})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--frozen", type=Path, help="what training.frozen wrote")
    parser.add_argument("--ceiling", type=Path, help="a model that also learnt from sets that forbid shipping")
    parser.add_argument("--exact", type=Path, help="the run that --model was exported from")
    arguments = parser.parse_args()
    held = Held(rows=validation(arguments.data))
    readers = [reader_of("ships", arguments.model, held)]
    if arguments.frozen:
        readers.append(frozen_reader(arguments.frozen, held))
    if arguments.ceiling:
        readers.append(reader_of("ceiling", arguments.ceiling, held))
    print(f"| macro-F1 times 100 unless said | rows | at least | {' | '.join(reader.name for reader in readers)} |")
    print("|---" * (3 + len(readers)) + "|")
    for name, count, wanted, measure in lines(held):
        print(
            f"| {name} | {count} | {wanted} | {' | '.join(f'{measure(reader):.1f}' for reader in readers)} |",
            flush=True,
        )
    print(f"\n{chance(held, readers[0])}", flush=True)
    if arguments.exact:
        for line in compare_exact(arguments.model, arguments.exact, held):
            print(line)


if __name__ == "__main__":
    main()
