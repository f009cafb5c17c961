"""The frozen base encoder with logistic regression on the rows that the network learns from: what it must beat.

python -m training.frozen --data DIR --run RUN     # writes RUN/frozen.npz: its probabilities of the validation rows
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from training import datasets, export
from training.datasets import Row
from training.heads import OUTPUTS, PLACES
from training.reading import read
from training.train import untrained

FILE, MODEL = "frozen.npz", "frozen"
STRENGTH = 0.3  # C of the regression

Array = NDArray[np.float64]


def validation(folder: Path) -> list[Row]:
    """All validation rows, of every tier, and our own: in the order in which the figures want them."""
    return [*datasets.public(folder, "val", "ABC"), *datasets.own("val")]


def features(folder: Path, run: Path) -> tuple[Array, list[Row], Array]:
    """The encoder's sentence vectors of the training rows (and these), and of the validation rows; kept in ``run``."""
    chosen = [*datasets.public(folder, "train"), *datasets.own("train")]
    held = validation(folder)
    net, tokenizer = untrained(folder, run)
    export.export(net.state_dict(), export.shape_of(net), tokenizer, run / MODEL)
    learnt = read(run / MODEL, [row.text for row in chosen], "embedding")
    return (
        learnt.astype(np.float64),
        chosen,
        read(run / MODEL, [row.text for row in held], "embedding").astype(np.float64),
    )


def regressed(learnt: Array, chosen: list[Row], held: Array) -> Array:
    """Probabilities [held, outputs] of one regression over the sentiments and one for each other output."""
    scaler = StandardScaler().fit(learnt)
    learnt, held = scaler.transform(learnt), scaler.transform(held)
    truth, weight = np.array([row.targets for row in chosen]), np.array([row.weight for row in chosen])
    said = np.zeros((len(held), len(OUTPUTS)))
    place = PLACES["sentiment"]
    known = ~np.isnan(truth[:, place]).any(axis=1)
    sides = LogisticRegression(C=STRENGTH, max_iter=300)
    sides.fit(learnt[known], truth[known][:, place].argmax(axis=1), sample_weight=weight[known])
    said[:, place] = sides.predict_proba(held)
    for output in range(place.stop, len(OUTPUTS)):
        known = ~np.isnan(truth[:, output])
        one = LogisticRegression(C=STRENGTH, max_iter=300)
        one.fit(learnt[known], truth[known, output].astype(int), sample_weight=weight[known])
        said[:, output] = one.predict_proba(held)[:, 1]
    return said


def main() -> None:
    """Fit and predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    arguments = parser.parse_args()
    learnt, chosen, held = features(arguments.data, arguments.run)
    np.savez_compressed(arguments.run / FILE, said=regressed(learnt, chosen, held).astype(np.float32))
    print(f"{len(chosen)} rows learnt from, {len(held)} read: {arguments.run / FILE}")


if __name__ == "__main__":
    main()
