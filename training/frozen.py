"""The frozen base encoder with logistic regression on the rows that the network learns from: what it must beat.

python -m training.frozen --data DIR --run RUN     # writes RUN/frozen.npz: its probabilities of the validation rows
"""

import argparse
import hashlib
from collections.abc import Sequence
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

FILE, MODEL, VECTORS = "frozen.npz", "frozen", "frozen-vectors.npz"
STRENGTH = 0.3  # C of the regression

Array = NDArray[np.float64]


def validation(folder: Path) -> list[Row]:
    """All validation rows, of every tier, and our own: in the order in which the figures want them."""
    return [*datasets.public(folder, "val", "ABC"), *datasets.own("val")]


def digest_of(rows: Sequence[Row]) -> str:
    """A name for these texts in this order."""
    return hashlib.sha256("\0".join(row.text for row in rows).encode("utf-8", "surrogatepass")).hexdigest()


def features(folder: Path, run: Path) -> tuple[Array, list[Row], Array]:
    """The frozen encoder's vectors of the training rows, these rows, and the vectors of the validation rows."""
    chosen, held = [*datasets.learnt(folder), *datasets.own("train")], validation(folder)
    if not (run / MODEL / export.SUMS).is_file():
        net, tokenizer = untrained(folder, run)
        export.export(net.state_dict(), export.shape_of(net), tokenizer, run / MODEL)
    learnt, measured = (vectors(run, [row.text for row in rows]).astype(np.float64) for rows in (chosen, held))
    return learnt, chosen, measured


def vectors(run: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """The frozen encoder's vectors of ``texts``; each text is read once and its vector kept in ``run``."""
    by_digest = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    file = run / VECTORS
    known: dict[str, NDArray[np.float16]] = {}
    if file.is_file():
        kept = np.load(file)
        known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
    missing = [digest for digest in by_digest if digest not in known]
    if missing:
        found = read(run / MODEL, [by_digest[digest] for digest in missing], "embedding").astype(np.float16)
        known |= dict(zip(missing, found, strict=True))
        np.savez(file, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
    place = {text: known[digest] for digest, text in by_digest.items()}
    return np.stack([place[text] for text in texts]).astype(np.float32)


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
    said = regressed(learnt, chosen, held).astype(np.float32)
    np.savez_compressed(arguments.run / FILE, said=said, digest=digest_of(validation(arguments.data)))
    print(f"{len(chosen)} rows learnt from, {len(held)} read: {arguments.run / FILE}")


if __name__ == "__main__":
    main()
