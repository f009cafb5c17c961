"""Calibrate an exported model: make its outputs probabilities, and choose where a probability becomes a label.

Everything is fitted on what the int8 model says of texts that it did not learn from: the mentions of authors whom
training leaves out, and half of the public validation rows (the other half and another author measure it).

    python -m training.calibrate --model DIR --data DIR
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from listener.sentiment.language import identify
from training import datasets, export, own
from training.datasets import Row
from training.heads import HEADS, OUTPUTS, PLACES, SENTIMENTS
from training.reading import read

FEWEST = 150  # labelled texts that a language needs for a calibration of its own
PER_SET = 400  # rows of one public set: none outweighs the others
RAREST = 0.05  # of a set's rows: a sentiment that is rarer was hardly asked for
PULL = 30.0  # texts' worth of belief in what holds for all languages, in the fit of one
ABSTAIN = 0.6  # where a decision on risk is right less often than this, it is in doubt
SENTIMENT_DOUBT = 0.5  # the most probable sentiment is more often wrong than right below

Array = NDArray[np.float64]


def rows(folder: Path) -> list[Row]:
    """The texts that calibration may look at."""
    taken: dict[str, int] = {}
    found = datasets.own("calibration")
    for row in datasets.public(folder, "val"):
        if datasets.half(row.text) == 0 and taken.get(row.origin, 0) < PER_SET:
            taken[row.origin] = taken.get(row.origin, 0) + 1
            found.append(datasets.completed(row))
    return found


def fit_sentiment(logits: Array, truth: Array, weight: Array, prior: tuple[float, Array]) -> tuple[float, Array]:
    """Temperature and shifts of the three sentiments by maximum likelihood (vector scaling, Guo et al. 2017)."""

    def loss(values: Array) -> float:
        scaled = logits * math.exp(values[0]) + np.append(values[1:], 0.0)
        scaled -= scaled.max(axis=1, keepdims=True)
        likely = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        away = (values[0] - math.log(prior[0])) ** 2 + ((values[1:] - (prior[1][:2] - prior[1][2])) ** 2).sum()
        return float(-(weight[:, None] * truth * likely).sum() + PULL * away)

    start = np.array([math.log(prior[0]), *(prior[1][:2] - prior[1][2])])
    best = minimize(loss, start, method="L-BFGS-B").x
    return math.exp(best[0]), np.append(best[1:], 0.0)


def fit_binary(logits: Array, truth: Array, weight: Array, prior: tuple[float, float]) -> tuple[float, float]:
    """Scale and shift of one output by maximum likelihood (Platt 1999), drawn towards ``prior``."""

    def loss(values: Array) -> float:
        scaled = logits * math.exp(values[0]) + values[1]
        cost = np.logaddexp(0, scaled) - truth * scaled
        return float(
            (weight * cost).sum() + PULL * ((values[0] - math.log(prior[0])) ** 2 + (values[1] - prior[1]) ** 2)
        )

    best = minimize(loss, np.array([math.log(prior[0]), prior[1]]), method="L-BFGS-B").x
    return math.exp(best[0]), float(best[1])


def fit(logits: Array, truth: Array, weight: Array, prior: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Scale and shift of every output; those with too few labelled texts keep the ``prior``."""
    scale, shift = list(prior["scale"]), list(prior["shift"])
    place = PLACES["sentiment"]
    known = ~np.isnan(truth[:, place]).any(axis=1)
    if known.sum() >= FEWEST:
        before = (scale[place.start], np.array(shift[place]))
        side = weight[known, place.start]
        one, three = fit_sentiment(logits[known][:, place], truth[known][:, place], side, before)
        scale[place], shift[place] = [one] * len(SENTIMENTS), three.tolist()
    for output in range(place.stop, len(OUTPUTS)):
        known = ~np.isnan(truth[:, output])
        if known.sum() >= FEWEST:
            before_one = (scale[output], shift[output])
            scale[output], shift[output] = fit_binary(
                logits[known, output], truth[known, output], weight[known, output], before_one
            )
    return {"scale": [round(value, 4) for value in scale], "shift": [round(value, 4) for value in shift]}


def probabilities(logits: Array, calibration: Mapping[str, Any], languages: Sequence[str]) -> Array:
    """Calibrated probabilities [texts, outputs]: softmax over sentiment, sigmoid for the rest."""
    chosen = [calibration.get(language, calibration["default"]) for language in languages]
    scaled = logits * np.array([one["scale"] for one in chosen]) + np.array([one["shift"] for one in chosen])
    found: Array = 1 / (1 + np.exp(-scaled))
    place = PLACES["sentiment"]
    raised = np.exp(scaled[:, place] - scaled[:, place].max(axis=1, keepdims=True))
    found[:, place] = raised / raised.sum(axis=1, keepdims=True)
    return found


def threshold(said: Array, truth: Array, weight: Array) -> float:
    """Where as many texts pass as are true, so that counts of labels are unbiased."""
    if not len(said):
        return 0.5
    order = np.argsort(-said)
    passed = np.cumsum(weight[order])
    wanted = float((weight * truth).sum())
    last = int(np.searchsorted(passed, wanted))
    values = said[order]
    edge = (values[min(last, len(values) - 1)] + values[min(last + 1, len(values) - 1)]) / 2
    return round(float(np.clip(edge, 0.15, 0.85)), 3)


def offered(chosen: Sequence[Row], truth: Array) -> NDArray[np.bool_]:
    """Which sentiments each row's set knows, [rows, 3]: not one that hardly any of its labelled rows has."""
    place = PLACES["sentiment"]
    found = np.ones((len(chosen), len(SENTIMENTS)), dtype=bool)
    origins = np.array([row.origin for row in chosen])
    labelled = ~np.isnan(truth[:, place]).any(axis=1)
    for origin in set(origins[labelled].tolist()):
        mine = labelled & (origins == origin)
        found[mine] = truth[mine, place].mean(axis=0) >= RAREST
    return found


def three_sided(chosen: Sequence[Row], truth: Array) -> Array:
    """``truth`` without the sentiments of sets that do not know all three: they cannot tell where the third begins."""
    found = truth.copy()
    found[~offered(chosen, truth).all(axis=1), PLACES["sentiment"]] = np.nan
    return found


def weights(chosen: Sequence[Row], truth: Array, usual: Mapping[str, float]) -> Array:
    """What each row counts for each output, [rows, outputs].

    Among our own mentions each label gets the share that it has in ``usual`` (prior correction; Saerens, Latinne and
    Decaestecker 2002): an author who calibrates may have written more complaints than there are.
    """
    found = np.repeat(np.array([row.weight for row in chosen])[:, None], len(OUTPUTS), axis=1)
    ours = np.array([row.origin == "own" for row in chosen])
    for output, name in enumerate(OUTPUTS):
        known = ours & ~np.isnan(truth[:, output])
        share = float(truth[known, output].mean()) if known.any() else 0.0
        if not 0 < share < 1 or name not in usual:
            continue
        true = known & (truth[:, output] == 1)
        found[true, PLACES["sentiment"] if name.startswith("sentiment/") else output] *= usual[name] / share
        if not name.startswith("sentiment/"):
            found[known & ~true, output] *= (1 - usual[name]) / (1 - share)
    return found


def usual_shares() -> dict[str, float]:
    """How often each label is true of the mentions of the authors who came near to the guidelines' shares."""
    rows = datasets.own("train", authors=own.USUAL)
    return dict(zip(OUTPUTS, np.array([row.targets for row in rows]).mean(axis=0).tolist(), strict=True))


def spoken(chosen: Sequence[Row]) -> list[str]:
    """The language of each text as the daemon identifies it; empty where it cannot tell, and would ask the site."""
    return [identify(row.text) or "" for row in chosen]


def decide(
    logits: Array, chosen: Sequence[Row], languages: Sequence[str], usual: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Calibration, thresholds and the bands of doubt for ``config.json``.

    ``languages`` are those that the daemon will choose a calibration by, empty where it cannot tell; ``usual`` is as in
    ``weights``.
    """
    truth = three_sided(chosen, np.array([row.targets for row in chosen]))
    weight = weights(chosen, truth, usual or {})
    calibration = {"default": fit(logits, truth, weight, export.identity()["default"])}
    for language in sorted(set(languages) - {""}):
        mine = np.array([one == language for one in languages])
        own_fit = fit(logits[mine], truth[mine], weight[mine], calibration["default"])
        if own_fit != calibration["default"]:
            calibration[language] = own_fit
    said = probabilities(logits, calibration, languages)
    ours = np.array([row.origin == "own" for row in chosen])  # labels are counted on mentions, not on films
    thresholds = {}
    for output in range(len(HEADS["sentiment"]), len(OUTPUTS)):
        known = ours & ~np.isnan(truth[:, output])
        thresholds[OUTPUTS[output]] = threshold(said[known, output], truth[known, output], weight[known, output])
    bands = {"sentiment": SENTIMENT_DOUBT, "risk": [round(1 - ABSTAIN, 3), ABSTAIN]}
    return {"calibration": calibration, "thresholds": thresholds, "abstain": bands}


def main() -> None:
    """Calibrate the model in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    chosen = rows(arguments.data)
    logits = read(arguments.model, [row.text for row in chosen]).astype(np.float64)
    decisions = decide(logits, chosen, spoken(chosen), usual_shares())
    file = arguments.model / export.CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), **decisions}, indent=1) + "\n", encoding="utf-8")
    export.seal(arguments.model)
    print(json.dumps(decisions["thresholds"], indent=1))


if __name__ == "__main__":
    main()
