"""What the model that comes with listener says of the texts in ``bundled_texts.jsonl``, kept to notice any change.

python -m tests.bundled_golden      # write it anew, then read the difference before it is committed
"""

import json
from pathlib import Path
from typing import Any

from listener.sentiment.output import assessment_json
from listener.sentiment.scorer import load_scorer

TEXTS = Path(__file__).with_name("bundled_texts.jsonl")
GOLDEN = Path(__file__).with_name("bundled.golden.jsonl")


def texts() -> list[str]:
    """The texts, in order."""
    return [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]


def documents() -> list[dict[str, Any]]:
    """Text and assessment, as they are kept."""
    said = load_scorer(device="cpu").score(texts())
    return [{"text": text, **assessment_json(one, None)} for text, one in zip(texts(), said, strict=True)]


if __name__ == "__main__":
    GOLDEN.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in documents()), encoding="utf-8")
