"""Any Hugging Face sequence classifier, through torch and transformers.

Importing this module costs seconds and some 200 MB: only ``scorer.load_scorer`` does it.
"""

import os

# Read when transformers is imported: a model is a local directory, never a download; what it would warn of, we check.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from listener.domain import Assessment
from listener.errors import ConfigError, Fault, ScoringError
from listener.protocols import Languages
from listener.sentiment.batching import batches
from listener.sentiment.directory import read_directory
from listener.sentiment.labels import read_logits
from listener.sentiment.windows import OVERLAP, Window, pooled, require_readable

TOKENS_PER_BATCH = 512
WINDOW_MAX = 512  # tokens; attention grows with the square, and classifiers are trained on less

disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar of milliseconds on standard error tells nobody anything


class TransformersScorer:
    """The model in the directory ``path``; implements ``protocols.Scorer``. Not for several threads at once.

    ``labels`` maps the model's label names to ours (see ``labels``). ``device`` is ``cpu``, ``cuda`` or ``auto``.
    ``threads`` is torch's, for the whole process. ``tokens_per_batch`` counts padding. A text longer than the model
    takes is read in overlapping windows, never cut; see ``labels.pool`` for how they become one assessment.
    Weights come from safetensors only, in float32; no code of the model's directory is run; the hub is never asked.
    Raises ConfigError when the model cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        labels: Mapping[str, str] | None = None,
        device: str = "auto",
        threads: int = 1,
        tokens_per_batch: int | None = None,
    ) -> None:
        directory = read_directory(path, labels or {})
        self._heads = directory.heads
        self._model_name = directory.name()
        self._device = device_named(device)
        self._budget = tokens_per_batch or TOKENS_PER_BATCH
        torch.set_num_threads(threads)
        self._tokenizer, self._model = _load(path, self._device)
        self._window = min(WINDOW_MAX, _positions(self._model), self._tokenizer.model_max_length)
        self._pad = self._tokenizer.pad_token_id
        self._wordless = frozenset(self._tokenizer.all_special_ids)  # the unknown token is one of them

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:  # noqa: ARG002 -- such models have one calibration
        """One assessment a text, in order, the same in all ``languages``.

        Raises ScoringError when a text cannot be read (only digits and punctuation, no token that the model knows, over
        ``windows.CHARS_MAX`` characters) or when the model fails.
        """
        if not texts:
            return []
        for text in texts:
            require_readable(text)
        windows = self._windows(texts)
        read: dict[int, Assessment] = {}
        for group in batches([len(window.ids) for window in windows], self._budget):
            for place, logits in zip(group, self._logits([windows[place].ids for place in group]), strict=True):
                read[place] = read_logits(logits, self._heads, model=self._model_name)
        return pooled(len(texts), windows, [read[place] for place in range(len(windows))])

    def _windows(self, texts: Sequence[str]) -> list[Window]:
        """All texts as token ids; what does not fit into the model comes as further windows."""
        room = self._window - self._tokenizer.num_special_tokens_to_add()
        try:
            encoded = self._tokenizer(
                list(texts),
                truncation=True,
                max_length=self._window,
                stride=room // OVERLAP,
                return_overflowing_tokens=True,
                return_attention_mask=False,
                split_special_tokens=True,  # a text that spells a control token is only a text
            )
        except Exception as error:  # tokenizers raises bare Exception, whatever the cause
            raise ScoringError(f"the tokenizer failed on {len(texts)} texts: {type(error).__name__}") from error
        found = [
            Window(text=text, ids=tuple(ids))
            for text, ids in zip(encoded["overflow_to_sample_mapping"], encoded["input_ids"], strict=True)
        ]
        known = {window.text for window in found if not self._wordless.issuperset(window.ids)}
        if len(known) < len(texts):
            raise ScoringError("the model knows no word of the text")
        return found

    def _logits(self, ids: Sequence[Sequence[int]]) -> list[list[float]]:
        lengths = torch.tensor([len(one) for one in ids])
        padded = nn.utils.rnn.pad_sequence(
            [torch.tensor(one) for one in ids], batch_first=True, padding_value=self._pad
        )
        mask = (torch.arange(padded.shape[1])[None, :] < lengths[:, None]).long()
        try:
            with torch.inference_mode():
                output = self._model(input_ids=padded.to(self._device), attention_mask=mask.to(self._device))
                logits: list[list[float]] = output.logits.float().cpu().tolist()
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:  # out of memory is a RuntimeError in torch
            raise ScoringError(f"the model failed on {len(ids)} texts: {type(error).__name__}") from error
        if not all(math.isfinite(logit) for one in logits for logit in one):
            raise ScoringError("the model answered with a value that is not a number")
        return logits


def _fault(problem: str, fix: str, *, path: str = "scoring.model") -> ConfigError:
    return ConfigError([Fault(path=path, problem=problem, fix=fix)])


def device_named(name: str) -> torch.device:
    """The device that ``scoring.device`` means. Raises ConfigError for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise _fault("torch sees no GPU", "use device = 'cpu', or install torch for CUDA", path="scoring.device")
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


def _load(path: Path, device: torch.device) -> tuple[PreTrainedTokenizerBase, nn.Module]:
    """The tokenizer and the model in ``path``, in float32 on ``device``, ready to read."""
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **local)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            path, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **local
        )
    except Exception as error:  # the libraries raise whatever there is, tokenizers and safetensors bare Exception
        problem = f"{path} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise _fault(problem, "copy the whole model again, as save_pretrained wrote it") from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        fix = "name a model that was trained as a classifier"
        raise _fault(f"{path} lacks weights ({missing}, ...), which would be random", fix)
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise _fault(f"{path} has no fast tokenizer with a padding token", "name a model with a tokenizer.json")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        fix = "copy tokenizer and weights of one and the same model"
        raise _fault(f"the tokenizer in {path} knows more tokens than the model ({rows})", fix)
    return tokenizer, model.to(device).train(mode=False)


def _positions(model: nn.Module) -> int:
    """How many tokens the model takes: its table of positions, of which RoBERTa's kin skip the first (padding) rows."""
    tables = [module for name, module in model.named_modules() if name.endswith("position_embeddings")]
    sizes = [
        table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
        for table in tables
        if isinstance(table, nn.Embedding)
    ]
    return min(sizes, default=WINDOW_MAX)
