"""The bundled model's assessments, remembered in a file under .cache: scoring the same texts again takes no time."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import listener.sentiment
from listener.domain import Assessment
from listener.protocols import Languages, Scorer
from listener.sentiment.scorer import load_scorer

FOLDER = Path(".cache")
SUMS = Path(listener.sentiment.__file__).parent / "model" / "SHA256SUMS"
ADAPTER = TypeAdapter(Assessment)


class Remembered:
    """A scorer that reads each text once in its life; another model has another file."""

    def __init__(self, threads: int = 1) -> None:
        self._path = FOLDER / f"scores-{hashlib.sha256(SUMS.read_bytes()).hexdigest()[:12]}.jsonl"
        self._threads = threads
        self._scorer: Scorer | None = None
        self._known: dict[str, Mapping[str, Any]] = {}
        if self._path.exists():
            for line in self._path.read_text("utf-8").splitlines():
                row = json.loads(line)
                self._known[row["key"]] = row["said"]

    def score(self, texts: Sequence[str], languages: Languages = None) -> list[Assessment]:
        """One assessment a text, in order; what is new is scored and written down."""
        langs = [None] * len(texts) if languages is None else languages
        keys = [hashlib.sha256(f"{lang}\n{text}".encode()).hexdigest() for text, lang in zip(texts, langs, strict=True)]
        new = {key: (text, lang) for key, text, lang in zip(keys, texts, langs, strict=True) if key not in self._known}
        if new:
            if self._scorer is None:
                self._scorer = load_scorer(threads=self._threads)
            said = self._scorer.score([text for text, _ in new.values()], [lang for _, lang in new.values()])
            rows = {key: ADAPTER.dump_python(one, mode="json") for key, one in zip(new, said, strict=True)}
            self._known |= rows
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps({"key": key, "said": row}) + "\n" for key, row in rows.items())
        return [ADAPTER.validate_python(self._known[key]) for key in keys]
