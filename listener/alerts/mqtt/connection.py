"""One connection to an MQTT broker, and keeping one: shared by the receiver and by ``watch``.

On top of aiomqtt 2.5, whose client hides what we must know: the reason code of a refused publish, the broker's limit on
the size of a packet, a connection that closes before it is accepted (it would wait for the time-out), and a socket that
stays open after an attempt that failed.
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
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from listener.config.mqtt import MqttOptions, TlsOptions

CONNECT_SECS_MAX = 5.0  # a stop waits for a connection attempt in progress, which runs on a thread
BACKOFF_FIRST_SECS = 0.5
BACKOFF_MAX_SECS = 10.0  # bounds how long after its return a broker is found again
STABLE_SECS = 30.0  # a connection that held so long starts the back-off anew
UNSUPPORTED_VERSION = 132  # MQTT 5.0, 3.2.2.2; paho translates the older return codes to these
BAD_CREDENTIALS = (134, 135)
KEEP_ALIVE_TIMEOUT = 141
QUEUED_MAX = 1000  # of what others send us; more than that at once is not for people
REFUSED = 128  # reason codes from here on are refusals (MQTT 5.0, 2.4)

Protocol = aiomqtt.ProtocolVersion


class PublishRefused(Exception):
    """The broker answered a publish with a refusal (MQTT 5 only; with 3.1.1 it cannot tell us)."""

    def __init__(self, reason: ReasonCode) -> None:
        super().__init__(f"{reason.getName()} ({reason.value})")
        self.code: int = reason.value


class _TlsSocket(ssl.SSLSocket):
    """Closes when the handshake fails; paho forgets the socket then."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class NoAnswer(aiomqtt.MqttError):
    """The broker neither accepted nor refused us: it closed the connection, or said nothing in time."""


class MqttClient(aiomqtt.Client):
    """aiomqtt's client, for one connection, that reports what happens to it."""

    def __init__(self, options: MqttOptions, *, protocol: Protocol, identifier: str, **kwargs: Any) -> None:
        super().__init__(
            options.host,
            options.port,
            username=options.username,
            password=options.password.get_secret_value() if options.password is not None else None,
            keepalive=options.keepalive_secs,
            timeout=options.timeout_secs,
            identifier=identifier,
            max_queued_incoming_messages=QUEUED_MAX,
            protocol=protocol,
            # Nothing is left at the broker for us: states are sent anew, and the outbox knows what is due.
            clean_session=None if protocol is Protocol.V5 else True,
            **kwargs,
        )
        self._client.connect_timeout = min(CONNECT_SECS_MAX, options.timeout_secs)
        self._acknowledgements: dict[int, asyncio.Future[ReasonCode]] = {}
        self.protocol = protocol
        self.packet_bytes_max: int | None = None
        self.dialled = asyncio.Event()

    @property
    def speaks_5(self) -> bool:
        """Whether properties and reason codes exist."""
        return self.protocol is Protocol.V5

    @property
    def open(self) -> bool:
        """Whether there is a socket, whatever was said over it."""
        return self._client.socket() is not None

    @property
    def lost(self) -> bool:
        """Whether an accepted connection has ended, or has been given up."""
        return self._disconnected.done()

    async def publish_acknowledged(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        properties: Properties | None = None,
        timeout_secs: float | None = None,
    ) -> None:
        """Publish with QoS 1 and return once the broker has taken it.

        Raises PublishRefused, and MqttError when the connection is lost or the broker does not answer in time. In the
        latter case the connection is given up: it would deliver the message later, beside the repeat of it.
        """
        self.raise_if_lost()
        info = self._client.publish(topic, payload, 1, retain, properties if self.speaks_5 else None)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish")
        acknowledged = self._loop.create_future()
        self._acknowledgements[info.mid] = acknowledged
        timeout = self.timeout if timeout_secs is None else timeout_secs
        try:
            await asyncio.wait({acknowledged, self._disconnected}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._acknowledgements.pop(info.mid, None)
        if not acknowledged.done():
            if not self._disconnected.done():
                self._disconnected.set_exception(aiomqtt.MqttError(f"no acknowledgement within {timeout:g} s"))
            self.raise_if_lost()
        reason = acknowledged.result()
        if reason.value >= REFUSED:
            raise PublishRefused(reason)

    def raise_if_lost(self) -> None:
        """Raise MqttError when the connection is gone."""
        if self._disconnected.done():
            cause = self._disconnected.exception()
            if isinstance(cause, aiomqtt.MqttError):
                raise cause
            raise aiomqtt.MqttError(f"the connection was lost: {cause}" if cause else "the broker ended the connection")

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once, when the connection is gone."""
        self._disconnected.add_done_callback(lambda _: callback())

    def abandon(self) -> None:
        """Close the socket, whatever state the connection is in; a DISCONNECT first, so that no last will follows."""
        self._client.on_socket_register_write = None  # write now: the event loop would write to a closed socket
        self._client.disconnect()
        self._client._sock_close()  # noqa: SLF001 -- paho offers no other way to close a socket that does not drain
        for future in (self._connected, self._disconnected):
            if future.done() and not future.cancelled():
                future.exception()  # has been told, or nobody is left to tell

    def _client_connect(self) -> None:
        try:
            super()._client_connect()
        finally:
            self._loop.call_soon_threadsafe(self.dialled.set)

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.packet_bytes_max = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(NoAnswer("the broker closed the connection without an answer"))
        elif self.lost or self._connected.exception() is not None:
            return
        elif reason_code.is_failure and not flags.is_disconnect_packet_from_server:
            # paho makes up a reason code here, which would look as if the broker had said something.
            silent = reason_code.value == KEEP_ALIVE_TIMEOUT
            problem = f"nothing heard for {self._keepalive} s" if silent else "the connection was lost"
            self._disconnected.set_exception(aiomqtt.MqttError(problem))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        acknowledged = self._acknowledgements.get(mid)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


@asynccontextmanager
async def connection(
    options: MqttOptions, *, protocol: Protocol, identifier: str, will: aiomqtt.Will | None = None
) -> AsyncIterator[MqttClient]:
    """A connected client. Raises MqttError when it cannot connect, OSError when a TLS file cannot be read."""
    tls_context = await asyncio.to_thread(_tls_context, options.tls) if options.tls is not None else None
    client = MqttClient(options, protocol=protocol, identifier=identifier, will=will, tls_context=tls_context)
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
    will: aiomqtt.Will | None = None,
) -> NoReturn:
    """Run ``session`` on a connection, again on a new one whenever one is lost, until cancelled.

    ``session`` raises MqttError when its connection is lost. ``on_failure`` is told in one sentence, free of secrets,
    of every failure.
    """
    loop = asyncio.get_running_loop()
    protocol, failures, knows_5 = first_protocol(options), 0, False
    while True:
        began_at, accepted = loop.time(), False
        try:
            async with connection(options, protocol=protocol, identifier=identifier, will=will) as client:
                accepted, knows_5 = True, knows_5 or client.speaks_5
                await session(client)
        except (aiomqtt.MqttError, OSError) as error:
            failure: Exception = error
        tried = protocol
        protocol = first_protocol(options) if accepted else next_protocol(options, tried, failure, knows_5=knows_5)
        if _unsupported(failure) and tried is Protocol.V5 and protocol is not tried:
            continue  # the broker has said what it wants: no reason to wait
        failures = 0 if loop.time() - began_at >= STABLE_SECS else failures + 1
        repeatedly = f"; is there another client named {identifier}?" if accepted and failures > 1 else ""
        on_failure(describe(failure) + repeatedly)
        await asyncio.sleep(backoff_secs(failures, random.random()))  # noqa: S311 -- spreads reconnects, no secret


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
    return str(failure) or type(failure).__name__


def _unsupported(failure: Exception) -> bool:
    reason = failure.rc if isinstance(failure, aiomqtt.MqttCodeError) else None
    return isinstance(reason, ReasonCode) and reason.value == UNSUPPORTED_VERSION


def _tls_context(tls: TlsOptions) -> ssl.SSLContext:
    """Read the certificates; blocks on the disk."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.sslsocket_class = _TlsSocket
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
