"""Connecting to an MQTT broker, and keeping connected: the version, the patience, and what is said of failures.

Shared by the receiver, its commands and ``watch``.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiomqtt
import paho.mqtt.client as paho
import structlog
from paho.mqtt.reasoncodes import ReasonCode

from listener.alerts.mqtt.client import Hear, MqttClient, NoAnswer, Protocol
from listener.alerts.mqtt.tls import tls_context_of
from listener.config.mqtt import MqttOptions

BACKOFF_FIRST_SECS = 0.5
BACKOFF_MAX_SECS = 5.0  # bounds how long after its return a broker is found again
STABLE_SECS = 30.0  # a connection that held so long starts the back-off anew
UNSUPPORTED_VERSION = 132  # MQTT 5.0, 3.2.2.2; paho translates the older return codes to these
BAD_CREDENTIALS = (134, 135)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def connection(
    options: MqttOptions, *, protocol: Protocol, identifier: str, **kwargs: Any
) -> AsyncIterator[MqttClient]:
    """A connected client; ``kwargs`` are those of ``MqttClient``.

    Raises MqttError when it cannot connect, OSError when a TLS file cannot be read.
    """
    tls_context = await asyncio.to_thread(tls_context_of, options.tls) if options.tls is not None else None
    client = MqttClient(options, protocol=protocol, identifier=identifier, tls_context=tls_context, **kwargs)
    connecting = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(connecting)
    except BaseException as error:
        # The first part of an attempt runs on a thread and cannot be stopped: wait for it, then close what it opened.
        await client.dialled.wait()
        connecting.cancel()
        await asyncio.wait({connecting})
        unanswered = client.open and type(error) is aiomqtt.MqttError  # its way to say that the time is over
        client.abandon()
        if not connecting.cancelled():
            connecting.exception()
        if unanswered:
            raise NoAnswer(f"the broker did not answer within {options.timeout_secs:g} s") from error
        raise
    try:
        yield client
    finally:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)
        client.abandon()


async def keep_connected(
    options: MqttOptions,
    *,
    identifier: str,
    session: Callable[[MqttClient], Awaitable[NoReturn]],
    on_failure: Callable[[str], None],
    on_crash: Callable[[], None] = lambda: None,
    hear: Hear | None = None,
    **kwargs: Any,
) -> NoReturn:
    """Run ``session`` on a connection, again on a new one whenever one is lost, until cancelled.

    ``session`` raises MqttError when its connection is lost; any other exception of it is a bug, which is logged with
    its trace and ends that connection alone. ``on_failure`` is told in one sentence, free of secrets, of every failure,
    ``on_crash`` of every bug. ``kwargs`` are those of ``MqttClient``.
    """
    loop = asyncio.get_running_loop()
    protocol, failures, knows_5 = first_protocol(options), 0, False

    def crashed(error: Exception) -> None:
        log.error("mqtt.crashed", client=identifier, exc_info=error)
        on_crash()

    while True:
        began_at, accepted = loop.time(), False
        kwargs["hear"] = None if hear is None else _sheltered(hear, crashed)
        try:
            async with connection(options, protocol=protocol, identifier=identifier, **kwargs) as client:
                accepted, knows_5 = True, knows_5 or client.speaks_5
                await session(client)
        except (aiomqtt.MqttError, OSError) as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not be the end of all connections
            failure = error
            crashed(error)
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # we were to stop, and something failed on the way out
        tried = protocol
        protocol = first_protocol(options) if accepted else next_protocol(options, tried, failure, knows_5=knows_5)
        if _unsupported(failure) and tried is Protocol.V5 and protocol is not tried:
            continue  # the broker has said what it wants: no reason to wait
        failures = 0 if loop.time() - began_at >= STABLE_SECS else failures + 1
        repeatedly = f"; is there another client named {identifier}?" if accepted and failures > 1 else ""
        on_failure(describe(failure) + repeatedly)
        await asyncio.sleep(backoff_secs(failures, random.random()))  # noqa: S311 -- spreads reconnects, no secret


def _sheltered(hear: Hear, crashed: Callable[[Exception], None]) -> Hear:
    """What hears messages, with its bugs kept from the event loop; the message is not to come again with them."""

    def sheltered(client: MqttClient, message: paho.MQTTMessage) -> None:
        try:
            hear(client, message)
        except Exception as error:  # noqa: BLE001 -- anybody may have written the message
            crashed(error)
            client.acknowledge(message)

    return sheltered


def first_protocol(options: MqttOptions) -> Protocol:
    """The version to begin with: 5, unless pinned to 3.1.1 or known to be refused by our own broker."""
    old = options.protocol == "3.1.1" or (options.protocol == "auto" and options.broker == "embedded")
    return Protocol.V311 if old else Protocol.V5


def next_protocol(options: MqttOptions, tried: Protocol, failure: Exception, *, knows_5: bool) -> Protocol:
    """The version to try after an attempt that failed: the other one when the version may be the reason.

    A broker that does not know a version says so; or it closes the connection, or waits for more bytes, since it reads
    the packet wrongly. The latter two can also be a broker in trouble, and mean nothing once it has spoken MQTT 5. A
    version pinned by the configuration is never left.
    """
    doubtful = _unsupported(failure) or (isinstance(failure, NoAnswer) and not knows_5)
    if options.protocol != "auto" or not doubtful:
        return tried
    return Protocol.V311 if tried is Protocol.V5 else Protocol.V5


def backoff_secs(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row (0: the connection had held); ``chance`` in [0, 1) is jitter."""
    ceiling = min(BACKOFF_MAX_SECS, BACKOFF_FIRST_SECS * 2.0 ** min(failures, 10))
    return ceiling * (0.5 + chance / 2)


def describe(failure: Exception) -> str:
    """The failure in one sentence, with what to look at."""
    if isinstance(failure, aiomqtt.MqttCodeError) and isinstance(failure.rc, ReasonCode):
        said = f"the broker says: {failure.rc.getName()} ({failure.rc.value})"
        if failure.rc.value in BAD_CREDENTIALS:
            return f"{said}; check mqtt.username and mqtt.password"
        return said
    if isinstance(failure, ssl.SSLError) or "SSL" in str(failure):
        return f"TLS failed: {failure}; check mqtt.tls.ca_file and the name in the broker's certificate"
    if not isinstance(failure, (aiomqtt.MqttError, OSError)):
        return f"crashed: {type(failure).__name__}"  # whatever it says was not written for people
    return str(failure) or type(failure).__name__


def _unsupported(failure: Exception) -> bool:
    reason = failure.rc if isinstance(failure, aiomqtt.MqttCodeError) else None
    return isinstance(reason, ReasonCode) and reason.value == UNSUPPORTED_VERSION


def log_end(task: asyncio.Task[NoReturn]) -> None:
    """Whatever ends such a task for good must not do it in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("mqtt.crashed", task=task.get_name(), exc_info=error)
