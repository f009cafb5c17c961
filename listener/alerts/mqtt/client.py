"""The client of one connection to an MQTT broker, and how it fails.

On top of aiomqtt 2.5, whose client hides what we must know: the reason code of a refused publish, the broker's limit on
the size of a packet, a connection that closes before it is accepted (it would wait for the time-out), and a socket that
stays open after an attempt that failed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiomqtt
import paho.mqtt.client as paho
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from listener.config.mqtt import MqttOptions

CONNECT_SECS_MAX = 5.0  # a stop waits for a connection attempt in progress, which runs on a thread
KEEP_ALIVE_TIMEOUT = 141
QUEUED_MAX = 1000  # of what others send us; more than that at once is not for people
UNACKNOWLEDGED_MAX = 20  # of what is sent to a session that is kept: the broker waits with the rest (3.1.2.11.3)
PROPERTIES_BYTES_MAX = 1024  # more than topic, ids and headers of one packet need
PACKET_TOO_LARGE, MALFORMED = 0x95, 0x99  # MQTT 5.0, 2.4
REFUSED = 128  # reason codes from here on are refusals (MQTT 5.0, 2.4)

Protocol = aiomqtt.ProtocolVersion
Answer = TypeVar("Answer")
Hear = Callable[["MqttClient", paho.MQTTMessage], None]

log = structlog.get_logger(__name__)


class PublishRefused(Exception):
    """The broker does not take a publish (MQTT 5 only; with 3.1.1 it cannot tell us). ``code`` is its reason code."""

    def __init__(self, problem: str, *, code: int) -> None:
        super().__init__(problem)
        self.code = code


@contextmanager
def publishable(kind: str, topic: str, on_refused: Callable[[str], None]) -> Iterator[None]:
    """Refuse ourselves what is no JSON, or larger than any packet can be: it must not cost the others the connection.

    Raises PublishRefused instead of ValueError and TypeError, once ``on_refused`` knows.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        log.exception("mqtt.unpublishable", topic=topic)
        on_refused(kind)
        raise PublishRefused(f"it cannot be published: {type(error).__name__}", code=MALFORMED) from error


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
        # Without them, what is published now says that it is retained, too: such a command would act again and again.
        options = (
            SubscribeOptions(qos=qos, noLocal=True, retainAsPublished=not retained, retainHandling=handling)
            if self.speaks_5
            else None
        )
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


def _session_properties(secs: int) -> Properties:
    """How long the broker keeps the session, and how much it may send unanswered (MQTT 5.0, 3.1.2.11)."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types all but this
    properties.SessionExpiryInterval = secs
    properties.ReceiveMaximum = UNACKNOWLEDGED_MAX
    return properties
