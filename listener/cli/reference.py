"""The reference of all options, made from the schema itself: ``python -m listener.cli.reference``."""

import sys
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from listener.app import schemas
from listener.config.load import NAMED, PLUGGED, kinds, nested
from listener.config.models import Settings

INTRODUCTION = """\
# Configuration

One TOML file; `config/listener.example.toml` shows every table in use. This page is generated from the schema
(`python -m listener.cli.reference > docs/configuration.md`).

- Every option can also be set by an environment variable: `LISTENER_HTTP__PORT` is `[http] port`,
  `LISTENER_SOURCES__REVIEWS__TOKEN` is `[sources.reviews] token`. The environment wins over the file.
- An option marked *secret* is refused in the file. Give it by environment, or as `<option>_file` with a path.
- Relative paths are relative to the file.
- Names of brands, sources and rules are lower-case letters, digits and `_`.
- `listener check-config FILE` names every fault with its place and its fix, and exits with 2.

## Queries

`[brands.NAME] query` narrows what the names find; without names it is the whole condition.

| write | finds |
|---|---|
| `takso` | the word in any of its case endings, whatever its case |
| `="Takso"` | the word as it is spelled |
| `"kadunud pakk"` | the words next to each other |
| `pakk NEAR/5 kadunud` | with at most five words between, in either order |
| `a AND b`, `a b` | both |
| `a OR b` | either |
| `NOT a` | without it |
| `( … )` | grouping; NOT binds tighter than AND, AND tighter than OR |
| `lang:et` | mentions in a language (ISO 639-1) |
| `site:err.ee` | links into a site, its subdomains included |
| `author:"Mari M."`, `source:news` | mentions by an author; of one of your sources |

Operators are upper case. A mistake is named with its column.
"""


def reference(plugins: Mapping[str, Mapping[str, type[BaseModel]]]) -> str:
    """The page, in Markdown. ``plugins`` are the types of sources and rules."""
    parts = [INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in PLUGGED:
            for kind, plugin in sorted(plugins[name].items()):
                parts.append(_section(f'[{name}.NAME] with type = "{kind}"', plugin, skip={"name", "type"}))
                parts.extend(_inner(f"{name}.NAME", plugin))
        elif (model := nested(kinds(field.annotation))) is not None:
            parts.extend(_tables(f"{name}.NAME" if name in NAMED else name, model))
    return "\n".join(parts)


def _inner(name: str, model: type[BaseModel]) -> Iterator[str]:
    """The tables inside a plug-in's: their docstrings say what their options mean."""
    for key, field in model.model_fields.items():
        inner = nested(kinds(field.annotation))
        if inner is not None:
            described = " ".join((inner.__doc__ or "").replace("``", "`").split())
            options = ", ".join(f"`{option}`" for option in inner.model_fields)
            yield f"### `[{name}.{key}]`\n\n{described}\n\nOptions: {options}.\n"


def _tables(name: str, model: type[BaseModel]) -> Iterator[str]:
    """A table and the tables inside it."""
    yield _section(f"[{name}]", model)
    for key, field in model.model_fields.items():
        inner = nested(kinds(field.annotation))
        if inner is not None and typing.get_origin(field.annotation) is not tuple:
            yield from _tables(f"{name}.{key}", inner)


def _section(title: str, model: type[BaseModel], skip: frozenset[str] | set[str] = frozenset()) -> str:
    summary = (model.__doc__ or "").strip().split("\n\n")[0].replace("``", "`")
    lines = [f"## `{title}`", "", " ".join(summary.split()), "", "| option | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in skip:
            lines.append(f"| `{field.alias or name}` | {_default(field)} | {_meaning(field)} |")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "see below" if value.model_fields_set or type(value).model_fields else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str) and not isinstance(value, Enum) else f"`{_written(value)}`"


def _written(value: Any) -> str:
    """As it is written in the file."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(_written(one) for one in value)}]"
    if isinstance(value, Enum):
        return _written(value.value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def _meaning(field: FieldInfo) -> str:
    secret = "*Secret.* " if SecretStr in kinds(field.annotation) else ""
    choices = [str(one) for kind in kinds(field.annotation) for one in _choices(kind)]
    bounds = [f"{sign} {getattr(one, name)}" for one in field.metadata for name, sign in BOUNDS if hasattr(one, name)]
    tail = f" One of: {', '.join(f'`{one}`' for one in choices)}." if choices else ""
    tail += f" ({', '.join(bounds)})" if bounds else ""
    described = field.description or ""
    if choices and described and not described.endswith("."):
        described += "."
    return f"{secret}{described}{tail}".replace("|", "\\|").strip()


BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _choices(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


if __name__ == "__main__":
    sys.stdout.write(reference(schemas()))
