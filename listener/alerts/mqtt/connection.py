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
from typing import Any, NoReturn, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from listener.alerts.mqtt.tls import tls_context_of
from listener.config.mqtt import MqttOptions

CONNECT_SECS_MAX = 5.0  # a stop waits for a connection attempt in progress, which runs on a thread
BACKOFF_FIRST_SECS = 0.5
BACKOFF_MAX_SECS = 5.0  # bounds how long after its return a broker is found again
STABLE_SECS = 30.0  # a connection that held so long starts the back-off anew
UNSUPPORTED_VERSION = 132  # MQTT 5.0, 3.2.2.2; paho translates the older return codes to these
BAD_CREDENTIALS = (134, 135)
KEEP_ALIVE_TIMEOUT = 141
QUEUED_MAX = 1000  # of what others send us; more than that at once is not for people
UNACKNOWLEDGED_MAX = 20  # of what is sent to a session that is kept: the broker waits with the rest (3.1.2.11.3)
PROPERTIES_BYTES_MAX = 1024  # more than topic, ids and headers of one packet need
PACKET_TOO_LARGE = 0x95
REFUSED = 128  # reason codes from here on are refusals (MQTT 5.0, 2.4)

Protocol = aiomqtt.ProtocolVersion
Answer = TypeVar("Answer")
Hear = Callable[["MqttClient", paho.MQTTMessage], None]


class PublishRefused(Exception):
    """The broker does not take a publish (MQTT 5 only; with 3.1.1 it cannot tell us). ``code`` is its reason code."""

    def __init__(self, problem: str, *, code: int) -> None:
        super().__init__(problem)
        self.code = code


class NoAnswer(aiomqtt.MqttError):
    """The broker neither accepted nor refused us: it closed the connection, or said nothing in time."""


class MqttClient(aiomqtt.Client):
    """aiomqtt's client, for one connection, that reports what happens to it.

    ``hear`` gets each message as it comes, on the event loop, instead of the queue ``messages``. With ``session_secs``
    the broker keeps our subscriptions, and what arrives on them, for so long after the connection (with 3.1.1 as long
    as it likes); then each message heard with QoS 1 is the broker's until ``acknowledge``.
    """

    def __init__(
        self,
        options: MqttOptions,
        *,
        protocol: Protocol,
        identifier: str,
        hear: Hear | None = None,
        session_secs: int = 0,
        **kwargs: Any,
    ) -> None:
        kept = session_secs > 0
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
            # Unless asked for, nothing is left at the broker for us: states are sent anew, the outbox knows the rest.
            clean_session=None if protocol is Protocol.V5 else not kept,
            clean_start=False if kept and protocol is Protocol.V5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=_session_properties(session_secs) if kept and protocol is Protocol.V5 else None,
            **kwargs,
        )
        self._hear = hear
        self._client.manual_ack_set(kept)
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

        Raises PublishRefused, also when the broker has said that so much is too much; and MqttError when the connection
        is lost or the broker does not answer in time. In the latter case the connection is given up: it would deliver
        the message later, beside the repeat of it.
        """
        self.raise_if_lost()
        if self.packet_bytes_max is not None and len(payload) + PROPERTIES_BYTES_MAX > self.packet_bytes_max:
            # Sent, it would cost the connection.
            problem = f"{len(payload)} bytes are too many for a broker that takes {self.packet_bytes_max}"
            raise PublishRefused(problem, code=PACKET_TOO_LARGE)
        info = self._client.publish(topic, payload, 1, retain, properties if self.speaks_5 else None)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish")
        acknowledged: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._acknowledgements[info.mid] = acknowledged
        try:
            reason = await self._answer(acknowledged, timeout_secs)
        finally:
            self._acknowledgements.pop(info.mid, None)
        if reason.value >= REFUSED:
            raise PublishRefused(f"{reason.getName()} ({reason.value})", code=reason.value)

    async def try_subscribe(self, topic_filter: str, *, qos: int, retained: bool = True) -> bool:
        """Subscribe; whether the broker lets us. Without ``retained``, MQTT 5 brokers send only what comes from now on.

        We never hear ourselves with MQTT 5. Raises MqttError when the connection is lost.
        """
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if retained else SubscribeOptions.RETAIN_DO_NOT_SEND
        options = SubscribeOptions(qos=qos, noLocal=True, retainHandling=handling) if self.speaks_5 else None
        self.raise_if_lost()
        rc, mid = self._client.subscribe(topic_filter, 0 if options else qos, options)
        if mid is None:
            raise aiomqtt.MqttCodeError(rc, "Could not subscribe")
        # Not by aiomqtt's own way: its time-out can swallow a cancellation (Python 3.11).
        codes: asyncio.Future[tuple[int, ...] | list[ReasonCode]] = self._loop.create_future()
        self._pending_subscribes[mid] = codes
        try:
            granted = await self._answer(codes, None)
        finally:
            self._pending_subscribes.pop(mid, None)
        # aiomqtt says that these may be integers; paho 2 gives reason codes for both versions.
        return not any(isinstance(code, ReasonCode) and code.is_failure for code in granted)

    def leave(self, topic_filter: str) -> None:
        """Unsubscribe, without waiting for the broker's answer."""
        _, mid = self._client.unsubscribe(topic_filter)
        if mid is not None:
            self._pending_unsubscribes[mid] = asyncio.Event()  # nobody waits, but aiomqtt looks for it

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        """Tell the broker that a message is dealt with; after a loss it will send it again instead."""
        if not self.lost:
            self._client.ack(message.mid, message.qos)

    async def _answer(self, answer: asyncio.Future[Answer], timeout_secs: float | None) -> Answer:
        """What the broker answers; a broker that does not in time has lost the connection."""
        timeout = self.timeout if timeout_secs is None else timeout_secs
        either: set[asyncio.Future[Any]] = {answer, self._disconnected}
        await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            if not self._disconnected.done():
                self._disconnected.set_exception(aiomqtt.MqttError(f"no acknowledgement within {timeout:g} s"))
            self.raise_if_lost()
        return answer.result()

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

    def _on_socket_register_write(self, client: paho.Client, _: Any, sock: Any) -> None:
        def register() -> None:
            # The socket may have been closed since; to write to it then would be an error of the event loop's.
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), write)

        def write() -> None:
            try:
                client.loop_write()
            except OSError as error:
                if not self.lost:
                    self._disconnected.set_exception(error)

        self._loop.call_soon_threadsafe(register)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if self._hear is not None:
            self._hear(self, message)
        else:
            super()._on_message(client, userdata, message)

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
    **kwargs: Any,
) -> NoReturn:
    """Run ``session`` on a connection, again on a new one whenever one is lost, until cancelled.

    ``session`` raises MqttError when its connection is lost. ``on_failure`` is told in one sentence, free of secrets,
    of every failure. ``kwargs`` are those of ``MqttClient``.
    """
    loop = asyncio.get_running_loop()
    protocol, failures, knows_5 = first_protocol(options), 0, False
    while True:
        began_at, accepted = loop.time(), False
        try:
            async with connection(options, protocol=protocol, identifier=identifier, **kwargs) as client:
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


def _session_properties(secs: int) -> Properties:
    """How long the broker keeps the session, and how much it may send unanswered (MQTT 5.0, 3.1.2.11)."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types all but this
    properties.SessionExpiryInterval = secs
    properties.ReceiveMaximum = UNACKNOWLEDGED_MAX
    return properties


def _unsupported(failure: Exception) -> bool:
    reason = failure.rc if isinstance(failure, aiomqtt.MqttCodeError) else None
    return isinstance(reason, ReasonCode) and reason.value == UNSUPPORTED_VERSION
