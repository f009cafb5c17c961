"""The JSON Schemas of our payloads (draft 2020-12), shipped for those who read them.

They are made from the models: ``python -m listener.alerts.wire.schemas`` writes them; a test fails when they differ.
"""

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.payload import AlertPayload, HeartbeatPayload, StatePayload, StatusPayload

MODELS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "alert": AlertPayload,
        "state": StatePayload,
        "status": StatusPayload,
        "heartbeat": HeartbeatPayload,
        "digest": DigestPayload,
    }
)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load(kind: str) -> dict[str, Any]:
    """The shipped schema of a payload: ``alert``, ``state``, ``status``, ``heartbeat`` or ``digest``."""
    text = resources.files(__name__).joinpath(f"{kind}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def generate(kind: str) -> dict[str, Any]:
    """The schema as the model has it now."""
    return {"$schema": DIALECT, **MODELS[kind].model_json_schema(by_alias=True, mode="serialization")}
