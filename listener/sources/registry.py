"""Source types by name: those that come with listener, and those that other packages register.

A package registers a type with the entry point group ``listener.sources`` (see ``listener.plugins``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from listener.plugins import Plugins
from listener.sources.base import BaseSource
from listener.sources.feed import Feed
from listener.sources.file import File
from listener.sources.json_api import JsonApi

GROUP: Final = "listener.sources"
BUILT_IN: Final[Mapping[str, type[BaseSource]]] = MappingProxyType({"feed": Feed, "json_api": JsonApi, "file": File})

# BaseSource is abstract, and only its subclasses are ever made.
_PLUGINS: Final = Plugins(group=GROUP, kind="source", base=BaseSource, built_in=BUILT_IN)  # type: ignore[type-abstract]


def source_type(name: str) -> type[BaseSource]:
    """The class of this name. Raises ConfigError when there is none, or when the package that has it is broken."""
    return _PLUGINS.type_of(name)


def type_names() -> list[str]:
    """The names of all types; unlike ``known_types`` it loads nothing, and so cannot fail."""
    return _PLUGINS.names()


def known_types() -> dict[str, type[BaseSource]]:
    """Every type by its name. Raises ConfigError with a fault for each package that is broken."""
    return _PLUGINS.known()
