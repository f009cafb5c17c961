"""The JSON Schemas of our payloads (draft 2020-12), shipped for those who read them.

They are made from the models: ``python -m listener.alerts.wire.schemas`` writes them; a test fails when they differ.
"""

import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel

from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.oncall import ActionPayload, BundlePayload, Command, TestPayload, WatchdogPayload
from listener.alerts.wire.payload import AlertPayload, HeartbeatPayload, StatePayload, StatusPayload

MODELS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "alert": AlertPayload,
        "state": StatePayload,
        "status": StatusPayload,
        "heartbeat": HeartbeatPayload,
        "digest": DigestPayload,
        "bundle": BundlePayload,
        "watchdog": WatchdogPayload,
        "test": TestPayload,
        "action": ActionPayload,
        "command": Command,
    }
)
RECEIVED = frozenset({"command"})  # what others send us
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load(kind: str) -> dict[str, Any]:
    """The shipped schema of a payload: one of ``MODELS``."""
    text = resources.files(__name__).joinpath(f"{kind}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def generate(kind: str) -> dict[str, Any]:
    """The schema as the model has it now."""
    mode: Literal["validation", "serialization"] = "validation" if kind in RECEIVED else "serialization"
    return {"$schema": DIALECT, **MODELS[kind].model_json_schema(by_alias=True, mode=mode)}
