"""What the engines of our own model share: texts into windows of tokens, logits into assessments.

Importing this module costs numpy and tokenizers: only engines do it.
"""

import os

# The tokenizer would take threads of its own for every batch, and [scoring] threads says how many there are.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages
from listener.sentiment.bundled import TOKENIZER, Bundled
from listener.sentiment.labels import read_logits
from listener.sentiment.language import identify
from listener.sentiment.prepare import prepared
from listener.sentiment.windows import Window, pooled, require_readable, speaking, stretches

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]


class Reader:
    """Tokenizes and understands for one verified directory. Safe to use from several threads.

    Raises ConfigError when the tokenizer does not load or knows more tokens than the model.
    """

    def __init__(self, bundled: Bundled) -> None:
        self._bundled = bundled
        try:
            self._tokenizer = Tokenizer.from_file(str(bundled.path / TOKENIZER))
            self._first, self._last = self._tokenizer.encode("", add_special_tokens=True).ids
            self._unknown: int = self._tokenizer.encode("<unk>", add_special_tokens=False).ids[0]
            self._control = frozenset(self._tokenizer.get_added_tokens_decoder())
        except Exception as error:  # tokenizers raises bare Exception, whatever the cause
            raise _unusable(bundled, f"{TOKENIZER} cannot be used: {type(error).__name__}") from error
        if self._tokenizer.get_vocab_size() > bundled.sizes.rows:
            raise _unusable(bundled, f"{TOKENIZER} knows more tokens than the model ({bundled.sizes.rows})")

    def windows(self, texts: Sequence[str]) -> list[Window]:
        """All texts as token ids, in order; what does not fit into the model comes as further windows.

        Raises ScoringError when a text cannot be judged: no letter and no emoji, too long, not valid Unicode, or mostly
        in a script that the model does not know.
        """
        for text in texts:
            require_readable(text)
        clean = [prepared(text) for text in texts]
        try:
            encodings = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        except Exception as error:  # as above
            raise ScoringError(f"the tokenizer failed on {len(texts)} texts: {type(error).__name__}") from error
        found = []
        for place, (text, encoding) in enumerate(zip(clean, encodings, strict=True)):
            self._require_known(text, encoding)
            found += [
                Window(text=place, ids=(self._first, *ids, self._last))
                for ids in stretches(self._plain(encoding.ids), self._bundled.window - 2)
            ]
        return found

    def _plain(self, ids: Sequence[int]) -> list[int]:
        """Token ids of a text that spells control tokens: they are only unknown words, or it could end itself."""
        return [self._unknown if token in self._control else token for token in ids]

    def _require_known(self, text: str, encoding: Encoding) -> None:
        """Refuse a text of whose letters and emoji the model knows fewer than half: it would judge by the rest."""
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        strange = sum(speaking(text[start:end]) for token, (start, end) in spans if token == self._unknown)
        said = speaking(text)
        if not said or 2 * strange > said:
            raise ScoringError(
                "the model knows no word of the text"
                if strange == said
                else "the model knows too few words of the text"
            )

    def assessments(
        self, texts: Sequence[str], languages: Languages, windows: Sequence[Window], logits: Floats
    ) -> list[Assessment]:
        """One assessment a text, labelled, from the logits [windows, outputs] of all its windows.

        ``languages`` is as in ``protocols.Scorer``; each chooses the calibration.
        Raises ScoringError when a logit is not a number.
        """
        decisions, heads, name = self._bundled.decisions, self._bundled.heads, self._bundled.name
        if not np.isfinite(logits).all():
            raise ScoringError("the model answered with a value that is not a number")
        if languages is None:
            # Where no language differs from the others there is no need to know it.
            languages = [identify(text) if decisions.languages else None for text in texts]
        read = [
            read_logits(decisions.calibration(languages[window.text]).of(one), heads, model=name)
            for window, one in zip(windows, logits.tolist(), strict=True)
        ]
        return [decisions.labelled(whole) for whole in pooled(len(texts), windows, read)]


def padded(windows: Sequence[Window], length: int, pad: int) -> tuple[Ids, Ids]:
    """Token ids and mask, both [windows, ``length``], of windows that are no longer."""
    ids = np.full((len(windows), length), pad, dtype=np.int64)
    mask = np.zeros((len(windows), length), dtype=np.int64)
    for place, window in enumerate(windows):
        ids[place, : len(window.ids)] = window.ids
        mask[place, : len(window.ids)] = 1
    return ids, mask


def mean_embeddings(texts: int, windows: Sequence[Window], embeddings: Floats) -> Floats:
    """One vector of length 1 a text, [texts, hidden], from those of its windows, weighted by their tokens."""
    sums = np.zeros((texts, embeddings.shape[1]), dtype=np.float32)
    for window, embedding in zip(windows, embeddings, strict=True):
        sums[window.text] += len(window.ids) * embedding
    if not np.isfinite(sums).all():
        raise ScoringError("the model answered with a value that is not a number")
    norms = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    vectors: Floats = (sums / norms).astype(np.float32)
    return vectors


def _unusable(bundled: Bundled, problem: str) -> ConfigError:
    return ConfigError(
        [Fault(path="scoring.model", problem=f"{bundled.path}: {problem}", fix="copy the whole directory again")]
    )
