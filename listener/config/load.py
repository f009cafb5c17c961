"""Reading the configuration file: every fault in one go, each with its TOML path and the fix."""

import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from listener.config.models import Settings
from listener.config.wording import wanted
from listener.errors import ConfigError, Fault

PREFIX = "LISTENER_"
# Variables of ours that are not options: where the file is, and what the tests look at.
OTHER_VARIABLES = frozenset({"LISTENER_CONFIG", "LISTENER_REQUIRE_SERVICES", "LISTENER_CORPORA", "LISTENER_REPLAY"})
PLUGGED = ("sources", "rules", "receivers")  # tables whose schema is chosen by their `type`
# Tables of named tables: [brands.NAME].
NAMED = frozenset(name for name, field in Settings.model_fields.items() if typing.get_origin(field.annotation) is dict)

USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#\s]*:[^/?#\s@]+@", re.IGNORECASE)
SECRET_PARAMETER = re.compile(
    r"[?&](api_?key|key|token|access_token|auth|secret|password|client_secret)=[^&]", re.IGNORECASE
)
SECRET_HEADER = re.compile(r"authorization|cookie|api-?key|token|secret", re.IGNORECASE)

TYPE_NAMES = frozenset({"[key]", "str", "int", "float", "bool"})  # of pydantic's locations

Schemas = Mapping[str, Mapping[str, type[BaseModel]]]  # {"sources": {"feed": Feed, ...}, "rules": {...}}


def load(path: Path, schemas: Schemas) -> Settings:
    """The settings in ``path``, with secrets filled in from the environment and from files.

    ``schemas`` gives the plug-in types, whose options are checked here too. Raises ConfigError with every fault found.
    """
    document = _parse(path)
    faults: list[Fault] = []
    faults += _unknown_variables(document, schemas)
    faults += _secrets_in_strings(document)
    document = _resolved(document, Settings, path.parent, schemas, "", faults)
    merged = _merged(document, EnvSettingsSource(Settings)())
    for kind in PLUGGED:
        for name, table in _tables(merged, kind).items():
            faults += _plugged(kind, name, table, schemas)[1]
    faults += _reference_faults(merged)
    try:
        settings = Settings(**document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += [_fault(one, "", Settings, merged) for one in details]
        raise _error(faults) from None
    if faults:
        raise _error(faults)
    return settings


def _merged(document: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what the environment says put over it, as pydantic-settings does it."""
    merged = dict(document)
    for key, value in environment.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _error(faults: Sequence[Fault]) -> ConfigError:
    return ConfigError(sorted(set(faults), key=lambda fault: fault.path))


def _tables(document: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The named tables of one kind, as far as they are tables; what is not is the schema's to complain of."""
    tables = document.get(kind)
    named = tables if isinstance(tables, dict) else {}
    return {name: table for name, table in named.items() if isinstance(table, dict)}


def plugged(settings: Settings, kind: str, schemas: Schemas) -> dict[str, Any]:
    """The plug-ins of one kind by name, built from their tables. Raises ConfigError."""
    built: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, table in getattr(settings, kind).items():
        plugin, found = _plugged(kind, name, table, schemas)
        faults += found
        built[name] = plugin
    if faults:
        raise ConfigError(faults)
    return built


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            [Fault(path=str(path), problem="there is no such file", fix="make one with `listener init`")]
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [Fault(path=str(path), problem=f"cannot be read: {error}", fix="save it as UTF-8")]
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Fault(path=str(path), problem=f"is not TOML: {error}", fix="correct that line")]) from error


def _plugged(kind: str, name: str, table: Mapping[str, Any], schemas: Schemas) -> tuple[BaseModel | None, list[Fault]]:
    where = f"{kind}.{name}"
    chosen = table.get("type")
    known = schemas[kind]
    if not isinstance(chosen, str) or chosen not in known:
        problem = f"unknown type {chosen!r}" if chosen is not None else "no type given"
        return None, [Fault(path=f"{where}.type", problem=problem, fix=suggestion(str(chosen), known))]
    model = known[chosen]
    values: dict[str, Any] = {
        key: value for key, value in table.items() if key != "type" or "type" in model.model_fields
    }
    try:
        return model.model_validate({**values, "name": name}), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, [_fault(one, where, model, values) for one in details]


def _reference_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """What one table says of another."""
    brands = _tables(document, "brands")
    for name, brand in brands.items():
        for competitor in _strings(brand.get("competitors")):
            if competitor not in brands or competitor == name:
                yield Fault(
                    path=f"brands.{name}.competitors",
                    problem=f"{competitor!r} is not another brand of this file",
                    fix=f"add a table [brands.{competitor}] or take it out",
                )
    for name, table in _tables(document, "sources").items():
        for about in _strings(table.get("brands")):
            if about not in brands:
                yield Fault(
                    path=f"sources.{name}.brands",
                    problem=f"{about!r} is not a brand of this file",
                    fix=suggestion(about, brands),
                )


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


# ------------------------------------------------------------------------------------------------- secrets and paths


def _resolved(
    document: Mapping[str, Any], model: type[BaseModel], base: Path, schemas: Schemas, where: str, faults: list[Fault]
) -> dict[str, Any]:
    """The document with secret files read and paths made absolute; secrets in clear become faults."""
    resolved: dict[str, Any] = {}
    for key, value in document.items():
        path = f"{where}{key}"
        field = model.model_fields.get(key)
        found = kinds(field.annotation) if field is not None else ()
        if key.removesuffix("_file") != key and field is None and _is_secret(model, key.removesuffix("_file")):
            resolved[key.removesuffix("_file")] = _secret_file(base, value, path, faults)
        elif SecretStr in found:
            variable = PREFIX + path.replace(".", "__").upper()
            named = f"{key}_file" not in model.model_fields  # else it is an option that means something else
            fix = f"set the environment variable {variable}" + (f", or give a file as {key}_file" if named else "")
            faults.append(Fault(path=path, problem="a secret in clear", fix=fix))
        elif Path in found and isinstance(value, str):
            resolved[key] = str(base / Path(value).expanduser())
        elif not where and key in NAMED and isinstance(value, dict):
            resolved[key] = {
                name: _resolved(table, _schema(key, table, schemas), base, schemas, f"{key}.{name}.", faults)
                if isinstance(table, dict)
                else table
                for name, table in value.items()
            }
        elif isinstance(value, dict) and (inner := nested(found)) is not None:
            resolved[key] = _resolved(value, inner, base, schemas, f"{path}.", faults)
        elif path == "database.url" and isinstance(value, str):
            resolved[key] = _database_url(value, base)
        else:
            resolved[key] = value
    return resolved


def _schema(kind: str, table: Mapping[str, Any], schemas: Schemas) -> type[BaseModel]:
    if kind not in PLUGGED:
        return nested(kinds(Settings.model_fields[kind].annotation)) or BaseModel
    # An unknown type is a fault of its own, found later; nothing of it can be resolved.
    return schemas[kind].get(str(table.get("type")), BaseModel)


def kinds(annotation: Any) -> tuple[Any, ...]:
    """The types inside an annotation: ``SecretStr | None`` holds SecretStr."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType, dict, tuple, list):
        return tuple(kind for argument in typing.get_args(annotation) for kind in kinds(argument))
    return (annotation,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def nested(found: Sequence[Any]) -> type[BaseModel] | None:
    """The table among these types, if one is."""
    return next((kind for kind in found if _is_model(kind)), None)


def _is_secret(model: type[BaseModel], key: str) -> bool:
    field = model.model_fields.get(key)
    return field is not None and SecretStr in kinds(field.annotation)


def _secret_file(base: Path, value: Any, path: str, faults: list[Fault]) -> str | None:
    try:
        secret = (base / Path(str(value)).expanduser()).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        faults.append(Fault(path=path, problem=f"cannot be read ({reason})", fix="make it a readable file"))
        return None
    if not secret:
        faults.append(Fault(path=path, problem="the file is empty", fix="write the secret into it"))
    return secret


def _database_url(url: str, base: Path) -> str:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == "sqlite:///:memory:":
        return url
    return prefix + str(base / Path(url.removeprefix(prefix)).expanduser())


def _secrets_in_strings(document: Any, where: str = "") -> Iterator[Fault]:
    """Passwords inside URLs and keys inside headers: secrets that no schema marks."""
    if isinstance(document, dict):
        for key, value in document.items():
            path = f"{where}.{key}" if where else str(key)
            if where.endswith(".headers") and SECRET_HEADER.search(str(key)):
                yield Fault(path=path, problem="a secret in clear", fix='use `token` with `auth = "header"`')
            else:
                yield from _secrets_in_strings(value, path)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _secrets_in_strings(value, f"{where}[{index}]")
    elif isinstance(document, str) and (USERINFO.search(document) or SECRET_PARAMETER.search(document)):
        fix = "take it out of the URL and set it as an option of its own, by environment or file"
        yield Fault(path=where, problem="a secret in clear inside a URL", fix=fix)


# --------------------------------------------------------------------------------------------------------- variables


def _unknown_variables(document: Mapping[str, Any], schemas: Schemas) -> Iterator[Fault]:
    """A misspelt LISTENER_* variable would be ignored in silence: compare each with the schema."""
    for variable in sorted(os.environ):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES or variable.startswith(f"{PREFIX}TEST_"):
            continue
        parts = variable.removeprefix(PREFIX).lower().split("__")
        known, part = _variable_options(parts, document, schemas)
        if known is not None:
            yield Fault(path=variable, problem=f"no option {part!r}", fix=suggestion(part, known))


def _variable_options(
    parts: Sequence[str], document: Mapping[str, Any], schemas: Schemas
) -> tuple[Sequence[str] | None, str]:
    """The options that were possible where a variable's path leaves the schema, and the part that does; or None."""
    model: type[BaseModel] | None = Settings
    rest = list(parts)
    while rest and model is not None:
        part = rest.pop(0)
        if part not in model.model_fields:
            return list(model.model_fields), part
        if model is Settings and part in NAMED:
            tables = document.get(part, {})
            name = rest.pop(0) if rest else ""
            if name not in tables:
                return [f"{part}__{known}" for known in tables], f"{part}__{name}"
            model = _schema(part, tables[name], schemas)
            if not rest:
                return list(model.model_fields), ""
        else:
            model = nested(kinds(model.model_fields[part].annotation))
    return None, ""


# ------------------------------------------------------------------------------------------------------------- faults


def _fault(details: ErrorDetails, where: str, model: type[BaseModel], document: Mapping[str, Any]) -> Fault:
    """One of pydantic's errors as a fault. Its message never holds the value, which may be a secret."""
    loc = _place(details["loc"], document)
    path = where
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part}"
    kind = details["type"]
    if kind == "extra_forbidden":
        known = _options_at(model, loc[:-1])
        return Fault(path=path, problem="unknown option", fix=suggestion(str(loc[-1]), known))
    if kind == "missing":
        return Fault(path=path, problem="is missing", fix="add it")
    if kind == "string_pattern_mismatch" and "[key]" in details["loc"]:
        return Fault(path=path, problem="is not a usable name", fix="use lower-case letters, digits and _")
    return Fault(path=path or "the file", problem=wanted(details), fix="correct it")


def _place(loc: Sequence[int | str], document: Mapping[str, Any]) -> list[int | str]:
    """A location without the names of types that pydantic puts into it for unions and keys: what the file holds."""
    place: list[int | str] = []
    value: Any = document
    for index, part in enumerate(loc):
        inside = dict(enumerate(value)) if isinstance(value, list) else value
        if not isinstance(inside, dict):
            break
        if part in inside:
            value = inside[part]
        elif index < len(loc) - 1 or part in TYPE_NAMES:
            continue
        place.append(part)
    return place


def _options_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    current: type[BaseModel] | None = model
    for part in loc:
        if current is not None and isinstance(part, str) and part in current.model_fields:
            current = nested(kinds(current.model_fields[part].annotation))
    return list(current.model_fields) if current is not None else []


def suggestion(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """What to do about a name that is not known: the one that is nearest, or all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of: {', '.join(names)}" if names else "take it out"
