"""Plug-in types by name: those that come with listener, and those that other packages register.

A package registers a type with an entry point group of ours: its name, and the class (PyPA entry points).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from listener.errors import ConfigError, Fault

Base = TypeVar("Base")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins(Generic[Base]):
    """One kind of plug-in: ``kind`` for people, ``base`` what every type derives from, ``built_in`` our own types."""

    group: str
    kind: str
    base: type[Base]
    built_in: Mapping[str, type[Base]]

    def type_of(self, name: str) -> type[Base]:
        """The class of this name. Raises ConfigError when there is none, or when its package is broken."""
        if name in self.built_in:
            return self.built_in[name]
        plug_ins = self._plug_ins()
        if name in plug_ins:
            return self._load(plug_ins[name])
        known = self.names()
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        fix = f"{hint}known types: {', '.join(known)}"
        raise ConfigError([Fault(path="type", problem=f"there is no {self.kind} type {name!r}", fix=fix)])

    def names(self) -> list[str]:
        """The names of all types; unlike ``known`` it loads nothing, and so cannot fail."""
        return sorted({*self.built_in, *self._plug_ins()})

    def known(self) -> dict[str, type[Base]]:
        """Every type by its name. Raises ConfigError with a fault for each package that is broken."""
        types = dict(self.built_in)
        faults: list[Fault] = []
        for name, entry_point in self._plug_ins().items():
            try:
                types[name] = self._load(entry_point)
            except ConfigError as error:
                faults.extend(error.faults)
        if faults:
            raise ConfigError(faults)
        return types

    def _plug_ins(self) -> dict[str, EntryPoint]:
        """What other packages register; a name of ours stays ours."""
        return {found.name: found for found in entry_points(group=self.group) if found.name not in self.built_in}

    def _load(self, entry_point: EntryPoint) -> type[Base]:
        package = entry_point.dist.name if entry_point.dist else entry_point.value
        try:
            found = entry_point.load()
        except Exception as error:  # other people's module: whatever it raises is a fault of the installation
            problem = f"{entry_point.value} of {package} cannot be loaded ({type(error).__name__}: {error})"
            raise self._broken(entry_point, problem, package) from error
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise self._broken(entry_point, f"{entry_point.value} of {package} is not a {self.base.__name__}", package)
        return found

    def _broken(self, entry_point: EntryPoint, problem: str, package: str) -> ConfigError:
        fix = f"update or remove the package {package}"
        return ConfigError([Fault(path=f"{self.kind} type {entry_point.name}", problem=problem, fix=fix)])
