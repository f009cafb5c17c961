"""The MQTT receiver: alerts as events, brands' states retained, and whether we are there.

MQTT 5 first, 3.1.1 where the broker speaks nothing newer. With 3.1.1 three things are lost, which is the protocol's
limit: a refused publish looks like a delivered one, events do not expire at the broker, and there are no user
properties (the ids stand in the payload too).

A PUBACK means that the broker has taken a message, not that a person has seen it, nor that the broker has it on disk.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, Self

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from listener.alerts.mqtt.connection import MqttClient, PublishRefused, keep_connected
from listener.alerts.mqtt.topics import Topics
from listener.alerts.wire import payload
from listener.alerts.wire.payload import HeartbeatPayload, StatePayload, as_json
from listener.config.mqtt import MqttOptions
from listener.domain import Notification, Reason, Severity
from listener.errors import DeliveryError

HEARTBEAT_SECS = 60.0
HEARTBEAT_EXPIRY_SECS = 120
GOODBYE_SECS = 2.0  # a stop does not wait long for a broker that has gone too
# After that a page is history: on MQTT 5 the broker drops it, and we do not send it any more.
EXPIRY_SECS: Mapping[Severity, int] = MappingProxyType(
    {Severity.INFO: 4 * 3600, Severity.WARNING: 4 * 3600, Severity.CRITICAL: 24 * 3600}
)
PROPERTIES_BYTES_MAX = 1024  # more than topic, ids and headers of one packet need
# Refusals that no repeat can heal: topic name invalid, packet too large, payload format invalid (MQTT 5.0, 2.4).
HOPELESS = frozenset({0x90, 0x95, 0x99})

log = structlog.get_logger(__name__)


class MqttReceiver:
    """Publishes to one broker and keeps the connection to it; nothing here waits for a broker that is away.

    Use it as an async context manager, which runs the connection in the background, or await ``run`` in a task of your
    own. ``instance`` names the daemon in topics and client id: two daemons with one name throw each other out.
    """

    def __init__(
        self,
        options: MqttOptions,
        *,
        instance: str,
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._options = options
        self._instance = instance
        self._version = version
        self._clock = clock
        self._topics = Topics(prefix=options.topic_prefix, instance=instance)
        self._client: MqttClient | None = None
        self._connected = asyncio.Event()
        self._problem: str | None = "not tried yet"
        self._states: dict[str, StatePayload] = {}
        self._untold: set[str] = set()  # brands of which the broker may not know the latest
        self._retained: dict[str, StatePayload | None] = {}  # what the broker has; None: it may have anything
        self._wake = asyncio.Event()
        self._task: asyncio.Task[NoReturn] | None = None

    @property
    def connected(self) -> bool:
        """Whether a broker has accepted us."""
        return self._client is not None and not self._client.lost

    @property
    def protocol(self) -> str | None:
        """The MQTT version of the connection: ``5`` or ``3.1.1``; None without one."""
        return None if self._client is None else "5" if self._client.speaks_5 else "3.1.1"

    @property
    def problem(self) -> str | None:
        """Why there is no connection, in one sentence without secrets; None when there is one."""
        return self._problem

    async def __aenter__(self) -> Self:
        """Begin to connect, in the background; ``wait_connected`` waits for it."""
        self._task = asyncio.create_task(self.run(), name="mqtt")
        self._task.add_done_callback(_log_crash)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def run(self) -> NoReturn:
        """Connect, and connect again whenever the connection is lost, until cancelled."""
        will = aiomqtt.Will(
            self._topics.status,
            _encode(as_json(payload.will_payload(self._instance, version=self._version))),
            qos=1,
            retain=True,
        )
        await keep_connected(
            self._options,
            identifier=f"listener-{self._instance}",
            session=self._session,
            on_failure=self._failed,
            will=will,
        )

    async def wait_connected(self) -> None:
        """Return once a broker has accepted us."""
        await self._connected.wait()

    async def deliver(self, notification: Notification) -> None:
        """Publish an alert and return once the broker has taken it.

        Raises DeliveryError at once when there is no connection, and after ``timeout_secs`` when the broker does not
        answer; not retryable when the message is too large, malformed, or so old that it would mislead.
        """
        client = self._client
        if client is None or client.lost:
            raise DeliveryError(f"{self._where} is not connected: {self._problem or 'just lost'}", retryable=True)
        age_secs = (self._clock() - notification.decided_at).total_seconds()
        left_secs = int(EXPIRY_SECS[notification.severity] - age_secs)
        if left_secs < 1:
            raise DeliveryError(f"decided {age_secs / 3600:.0f} h ago, too old to page anybody", retryable=False)
        digest = notification.reason is Reason.DIGEST
        topic = self._topics.digest if digest else self._topics.alert(notification.brand, notification.severity)
        body = _encode(notification.payload)
        if client.packet_bytes_max is not None and len(body) + PROPERTIES_BYTES_MAX > client.packet_bytes_max:
            problem = f"{len(body)} bytes are too many for {self._where}, which takes {client.packet_bytes_max}"
            raise DeliveryError(problem, retryable=False)
        properties = _properties(
            left_secs,
            alert_id=notification.alert_id,
            seq=str(notification.seq),
            kind=notification.reason.value,
            schema=payload.SCHEMA,
        )
        try:
            await client.publish_acknowledged(topic, body, properties=properties)
        except PublishRefused as refusal:
            retryable = refusal.code not in HOPELESS
            raise DeliveryError(f"{self._where} refused {topic}: {refusal}", retryable=retryable) from refusal
        except aiomqtt.MqttError as error:
            raise DeliveryError(f"{self._where}: {error}", retryable=True) from error
        except ValueError as error:  # paho: larger than any MQTT packet can be
            raise DeliveryError(f"{topic} cannot be published: {error}", retryable=False) from error

    def publish_states(self, states: Mapping[str, StatePayload], *, gone: Collection[str] = ()) -> None:
        """Make these the retained states of their brands: changes are published soon, all of them after a reconnect.

        Other brands stay as they are, but for those that are ``gone``, which are cleared at the broker. Returns at
        once, also without a connection; it costs what changed, however many brands there are.
        """
        self._states.update(states)
        for brand in gone:
            self._states.pop(brand, None)
        self._untold |= states.keys() | set(gone)
        self._wake.set()

    async def _session(self, client: MqttClient) -> NoReturn:
        """One connection, from birth to its loss."""
        client.when_lost(self._wake.set)
        birth = payload.birth_payload(self._instance, version=self._version, now=self._clock())
        await self._publish(client, self._topics.status, _encode(as_json(birth)), retain=True)
        self._client, self._problem = client, None
        self._connected.set()
        # A new connection may lead to a broker that forgot everything.
        self._retained = dict.fromkeys(self._retained)
        self._untold = self._states.keys() | self._retained.keys()
        log.info("mqtt.connected", broker=self._where, protocol=self.protocol)
        try:
            await self._keep_told(client)
        except asyncio.CancelledError:
            goodbye = payload.goodbye_payload(self._instance, version=self._version, now=self._clock())
            self._client = None
            with contextlib.suppress(aiomqtt.MqttError, PublishRefused):
                await client.publish_acknowledged(
                    self._topics.status, _encode(as_json(goodbye)), retain=True, timeout_secs=GOODBYE_SECS
                )
            raise
        finally:
            self._client = None
            self._connected.clear()

    async def _keep_told(self, client: MqttClient) -> NoReturn:
        """Publish states as they change and a heartbeat every minute; raises MqttError when the connection is lost."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time()
        while True:
            self._wake.clear()
            client.raise_if_lost()
            if loop.time() >= beat_at:
                beat_at = loop.time() + HEARTBEAT_SECS
                beat = HeartbeatPayload(instance=self._instance, at=self._clock())
                properties = _properties(HEARTBEAT_EXPIRY_SECS)
                await self._publish(client, self._topics.heartbeat, _encode(as_json(beat)), properties=properties)
            await self._publish_changes(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await self._wake.wait()

    async def _publish_changes(self, client: MqttClient) -> None:
        while self._untold:
            brand = self._untold.pop()
            state, told = self._states.get(brand), self._retained.get(brand)
            if state is not None and told is not None and payload.same_news(told, state):
                continue
            self._retained[brand] = None
            body = b"" if state is None else _encode(as_json(state))
            try:
                await self._publish(client, self._topics.state(brand), body, retain=True)
            except aiomqtt.MqttError:
                self._untold.add(brand)
                raise
            if state is None:
                del self._retained[brand]
            else:
                self._retained[brand] = state

    async def _publish(
        self,
        client: MqttClient,
        topic: str,
        body: bytes,
        *,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish what is ours to say. A refusal is logged: a broker that denies states may still take alerts."""
        try:
            await client.publish_acknowledged(topic, body, retain=retain, properties=properties)
        except PublishRefused as refusal:
            log.warning("mqtt.publish_refused", broker=self._where, topic=topic, problem=str(refusal))

    def _failed(self, problem: str) -> None:
        if problem != self._problem:  # once, not at every attempt
            log.warning("mqtt.disconnected", broker=self._where, problem=problem)
        self._problem = problem

    @property
    def _where(self) -> str:
        return f"{self._options.host}:{self._options.port}"


def _encode(values: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _properties(expiry_secs: int, **user: str) -> Properties:
    """The properties of one publish (MQTT 5.0, 3.3.2.3)."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho types all but this
    properties.PayloadFormatIndicator = 1  # UTF-8
    properties.ContentType = "application/json"
    properties.MessageExpiryInterval = expiry_secs
    if user:
        properties.UserProperty = list(user.items())
    return properties


def _log_crash(task: asyncio.Task[NoReturn]) -> None:
    """A bug ends the connection but not the daemon; it must not end in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("mqtt.crashed", exc_info=error)
