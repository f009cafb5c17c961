"""An MQTT broker inside this process, for trying listener out without installing one.

It is amqtt, which speaks MQTT 3.1.1 only, keeps nothing over a restart, and lets anybody in: not for alerts that
matter.
"""

import asyncio
import ipaddress
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from listener.errors import ConfigError, Fault

if TYPE_CHECKING:
    from amqtt.broker import Broker

INSTALL = "pip install 'listener[broker]'"
# It logs every packet, and every client that does not say goodbye as an error.
NOISY = ("amqtt", "transitions")


class EmbeddedBroker:
    """Runs while its ``async with`` block does. Raises ConfigError when it cannot.

    Only addresses of this machine are accepted: it asks nobody for a password.
    """

    def __init__(self, host: str, port: int) -> None:
        if not _is_loopback(host):
            problem = f"{host!r} is not an address of this machine alone, and the embedded broker knows no passwords"
            raise ConfigError([Fault(path="mqtt.host", problem=problem, fix='use "127.0.0.1", or an external broker')])
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._broker: Broker | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        broker, broker_error = _broker(self._address)
        try:
            await broker.start()
        except broker_error as error:
            problem = f"the embedded broker cannot listen on {self._address}: {error.__cause__ or error}"
            raise ConfigError([Fault(path="mqtt.port", problem=problem, fix="choose a free port")]) from error
        self._broker = broker
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect everybody and stop listening."""
        if self._broker is not None:
            await self._broker.shutdown()


def _broker(address: str) -> "tuple[Broker, type[Exception]]":
    """The broker, not yet started, and what it raises when it cannot start."""
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 -- an extra, and slow to import
        from amqtt.errors import BrokerError  # noqa: PLC0415
    except ImportError as error:
        problem = f'broker = "embedded" needs a package that is not installed ({error.name})'
        raise ConfigError([Fault(path="mqtt.broker", problem=problem, fix=f"install it: {INSTALL}")]) from error
    settings: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": address}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    return Broker(settings, loop=asyncio.get_running_loop()), BrokerError


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
