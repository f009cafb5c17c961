"""Source types by name: those that come with listener, and those that other packages register.

A package registers a type with the entry point group ``listener.sources``: its name, and the class (PyPA entry points).
"""

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from listener.errors import ConfigError, Fault
from listener.sources.base import BaseSource
from listener.sources.feed import Feed
from listener.sources.file import File
from listener.sources.json_api import JsonApi

GROUP: Final = "listener.sources"
BUILT_IN: Final[Mapping[str, type[BaseSource]]] = MappingProxyType({"feed": Feed, "json_api": JsonApi, "file": File})


def source_type(name: str) -> type[BaseSource]:
    """The class of this name. Raises ConfigError when there is none, or when the package that has it is broken."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    plug_ins = _plug_ins()
    if name in plug_ins:
        return _load(plug_ins[name])
    known = type_names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        [Fault(path="type", problem=f"there is no source type {name!r}", fix=f"{hint}known types: {', '.join(known)}")]
    )


def type_names() -> list[str]:
    """The names of all types; unlike ``known_types`` it loads nothing, and so cannot fail."""
    return sorted({*BUILT_IN, *_plug_ins()})


def known_types() -> dict[str, type[BaseSource]]:
    """Every type by its name. Raises ConfigError with a fault for each package that is broken."""
    types = dict(BUILT_IN)
    faults: list[Fault] = []
    for name, entry_point in _plug_ins().items():
        try:
            types[name] = _load(entry_point)
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(faults)
    return types


def _plug_ins() -> dict[str, EntryPoint]:
    """What other packages register; a name of ours stays ours."""
    return {found.name: found for found in entry_points(group=GROUP) if found.name not in BUILT_IN}


def _load(entry_point: EntryPoint) -> type[BaseSource]:
    package = entry_point.dist.name if entry_point.dist else entry_point.value
    try:
        found = entry_point.load()
    except Exception as error:  # other people's module: whatever it raises is a fault of the installation
        raise ConfigError(
            [
                Fault(
                    path=f"source type {entry_point.name}",
                    problem=f"{entry_point.value} of {package} cannot be loaded ({type(error).__name__}: {error})",
                    fix=f"update or remove the package {package}",
                )
            ]
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseSource)):
        raise ConfigError(
            [
                Fault(
                    path=f"source type {entry_point.name}",
                    problem=f"{entry_point.value} of {package} is not a BaseSource",
                    fix=f"update or remove the package {package}",
                )
            ]
        )
    return found
