"""Receiver types by name: those that come with listener, and those that other packages register.

A package registers a type with the entry point group ``listener.receivers`` (see ``listener.plugins``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from listener.alerts.receivers.alertmanager import Alertmanager
from listener.alerts.receivers.apprise import Apprise
from listener.alerts.receivers.base import BaseReceiver
from listener.alerts.receivers.email import Email
from listener.alerts.receivers.webhook import Webhook
from listener.plugins import Plugins

GROUP: Final = "listener.receivers"
BUILT_IN: Final[Mapping[str, type[BaseReceiver]]] = MappingProxyType(
    {"webhook": Webhook, "apprise": Apprise, "alertmanager": Alertmanager, "email": Email}
)

_PLUGINS: Final = Plugins(
    group=GROUP,
    kind="receiver",
    base=BaseReceiver,  # type: ignore[type-abstract]  # abstract: only its subclasses are ever made
    built_in=BUILT_IN,
)


def receiver_names() -> list[str]:
    """The names of all types; unlike ``known_receivers`` it loads nothing, and so cannot fail."""
    return _PLUGINS.names()


def known_receivers() -> dict[str, type[BaseReceiver]]:
    """Every type by its name. Raises ConfigError with a fault for each package that is broken."""
    return _PLUGINS.known()
