"""Write the schemas anew, beside this file, after the models have changed."""

import json
from pathlib import Path

from listener.alerts.wire.schemas import MODELS, generate

for kind in MODELS:
    text = json.dumps(generate(kind), indent=2, ensure_ascii=False) + "\n"
    Path(__file__).with_name(f"{kind}.json").write_text(text, encoding="utf-8")
