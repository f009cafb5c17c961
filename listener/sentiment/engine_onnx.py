"""Our own model on processors: onnxruntime, int8. Loads in a second; neither torch nor transformers is imported.

Importing this module costs onnxruntime and tokenizers: only ``scorer.load_scorer`` does it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages
from listener.sentiment.batching import even_batches
from listener.sentiment.bundled import GRAPH, Bundled
from listener.sentiment.reading import Floats, Reader, mean_embeddings, padded
from listener.sentiment.windows import Window

TOKENS_PER_BATCH = 256  # small batches stay in the processor's cache
STEP = 8  # lengths are rounded up to this, so that many texts have the same
FATAL_ONLY = 4  # onnxruntime's own messages: we raise what matters


class OnnxScorer:
    """The verified model directory ``bundled``; implements ``protocols.Scorer``. Safe to call from several threads.

    ``threads`` batches run at a time, each on one thread: two threads in one batch would wait for each other wherever
    the machine has other work. ``tokens_per_batch`` counts padding. What a text gets is the same to the last bit
    whatever its batch-mates, their order and the number of threads: inputs are quantised token by token, and only texts
    of one padded length travel together. Raises ConfigError when the graph cannot be loaded.
    """

    def __init__(self, bundled: Bundled, *, threads: int = 1, tokens_per_batch: int | None = None) -> None:
        self._pad = bundled.sizes.pad
        self._widths = {"logits": bundled.outputs, "embedding": bundled.sizes.hidden}
        self._threads = threads
        self._budget = tokens_per_batch or TOKENS_PER_BATCH
        self._reader = Reader(bundled)
        self._session = session(bundled.path / GRAPH)

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        """One assessment a text, in order; ``languages`` is as in ``protocols.Scorer``.

        Raises ScoringError when a text cannot be judged (see ``Reader.windows``) or when the model fails.
        """
        windows = self._reader.windows(texts)
        return self._reader.assessments(texts, languages, windows, self._run("logits", windows))

    def embed(self, texts: Sequence[str]) -> Floats:
        """What the encoder makes of each text: a vector of length 1, [texts, hidden]; near ones mean alike.

        Raises ScoringError as ``score`` does.
        """
        windows = self._reader.windows(texts)
        return mean_embeddings(len(texts), windows, self._run("embedding", windows))

    def _run(self, output: str, windows: Sequence[Window]) -> Floats:
        """One output of the graph for all windows, [windows, width]."""
        lengths = [-len(window.ids) // STEP * -STEP for window in windows]
        groups = even_batches(lengths, self._budget)
        found = np.empty((len(windows), self._widths[output]), dtype=np.float32)

        def run(group: Sequence[int]) -> None:
            ids, mask = padded([windows[place] for place in group], lengths[group[0]], self._pad)
            try:
                (found[group],) = self._session.run([output], {"ids": ids, "mask": mask})
            except Exception as error:  # onnxruntime's exceptions have no base of their own
                raise ScoringError(f"the model failed on {len(group)} texts: {type(error).__name__}") from error

        if self._threads == 1 or len(groups) == 1:
            for group in groups:
                run(group)
        else:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="model") as pool:
                list(pool.map(run, groups))  # raises here what a batch raised
        return found


def session(graph: Path, *, fix: str = "copy the whole directory again") -> onnxruntime.InferenceSession:
    """The graph, loaded: on one thread, quiet, and the same on processors of all kinds. Raises ConfigError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    # Processors without VNNI add up products of signed weights in 16 bits, which overflows: probabilities move by 0.1.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.enable_mem_pattern = False  # it would keep a plan for each of the hundreds of batch shapes
    try:
        return onnxruntime.InferenceSession(str(graph), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        problem = f"{graph} cannot be loaded: {' '.join(str(error).split())[:300]}"
        raise ConfigError([Fault(path="scoring.model", problem=problem, fix=fix)]) from error
