"""The MQTT receiver: alerts as events, brands' states retained, whether we are there, and what people answer.

MQTT 5 first, 3.1.1 where the broker speaks nothing newer. With 3.1.1 three things are lost, which is the protocol's
limit: a refused publish looks like a delivered one, events do not expire at the broker, and there are no user
properties (the ids stand in the payload too).

A PUBACK means that the broker has taken a message, not that a person has seen it, nor that the broker has it on disk.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Self

import aiomqtt
import paho.mqtt.client as paho
import structlog

from listener.alerts.mqtt.client import MALFORMED, PACKET_TOO_LARGE, MqttClient, PublishRefused, publishable
from listener.alerts.mqtt.commands import Commands, OnAction
from listener.alerts.mqtt.connection import keep_connected, log_end
from listener.alerts.mqtt.discovery import birth_topic, discovery, discovery_topic, is_ours, removals
from listener.alerts.mqtt.messages import Message, action_of, heartbeat_of, message_of
from listener.alerts.mqtt.refusals import Dropped
from listener.alerts.mqtt.retained import Document, Shelf, encode, is_stray
from listener.alerts.mqtt.topics import Topics
from listener.alerts.wire import payload
from listener.alerts.wire.oncall import ActionPayload
from listener.alerts.wire.payload import StatePayload, as_json
from listener.config.mqtt import MqttOptions
from listener.domain import Notification
from listener.errors import DeliveryError

HEARTBEAT_SECS = 60.0
GOODBYE_SECS = 2.0  # a stop does not wait long for a broker that has gone too
RECONCILE_SECS = 5.0  # in which a broker has sent what it retains
AT_ONCE = 20  # documents on the way at one time
ACTIONS_MAX = 1000
# Refusals that no repeat can heal: topic name invalid, packet too large, payload format invalid (MQTT 5.0, 2.4).
HOPELESS = frozenset({0x90, PACKET_TOO_LARGE, MALFORMED})

log = structlog.get_logger(__name__)


class MqttReceiver:
    """Publishes to one broker and keeps the connection to it; nothing here waits for a broker that is away.

    Use it as an async context manager, which runs the connection in the background, or await ``run`` in a task of your
    own. ``instance`` names the daemon in topics and client id: two daemons with one name throw each other out.

    ``brands`` are the names for people by slug of all brands that there are: retained states of ours about any other
    are taken away; without it nothing is. ``on_action`` is called with what people ask for, on a second connection; it
    keeps the action, or raises StoreError to be asked again. ``on_refused`` is called with the kind of what the broker
    refused: alert, bundle, digest, watchdog, test, state, status, heartbeat, action, discovery, or subscription.
    ``on_command_dropped`` is told why a command was not taken: see ``refusals.Dropped``. ``on_crash`` is told of every
    bug that ended a connection, which is made anew.

    A ``visitor`` publishes what it is given on the daemon's topics, beside the daemon: it says nothing of itself,
    clears nothing, and has a client id of its own.
    """

    def __init__(
        self,
        options: MqttOptions,
        *,
        instance: str,
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        brands: Mapping[str, str] | None = None,
        on_action: OnAction | None = None,
        on_refused: Callable[[str], None] = lambda _: None,
        on_command_dropped: Callable[[Dropped], None] = lambda _: None,
        on_crash: Callable[[], None] = lambda: None,
        visitor: bool = False,
    ) -> None:
        self.longest_secs = options.timeout_secs  # of one delivery
        self._options = options
        self._instance = instance
        self._version = version
        self._clock = clock
        self._brands = brands
        self._visitor = visitor
        self._on_refused = on_refused
        self._on_crash = on_crash
        self._topics = Topics(prefix=options.topic_prefix, instance=instance)
        self._client: MqttClient | None = None
        self._connected = asyncio.Event()
        self._problem: str | None = "not tried yet"
        self._shelf = Shelf()
        self._actions: deque[ActionPayload] = deque(maxlen=ACTIONS_MAX)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[NoReturn] | None = None
        self._listening: asyncio.Task[NoReturn] | None = None
        self._commands: Commands | None = None
        if on_action is not None:
            self._commands = Commands(
                options,
                topics=self._topics,
                brands=brands or (),
                clock=clock,
                on_action=on_action,
                on_dropped=on_command_dropped,
                on_refused=on_refused,
                on_crash=on_crash,
                on_told=self.publish_action,
            )
        self._removing = False
        self._discovery = discovery_topic(options.homeassistant_prefix, instance)
        self._device = discovery(self._topics, brands or {}, version=version)
        # A device without sensors is none.
        self._homeassistant = options.homeassistant and bool(brands) and not visitor
        if self._homeassistant:
            self._put_discovery({})

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

    @property
    def ended(self) -> str | None:
        """The task of a connection that is gone for good though nobody has stopped it; None as it should be."""
        tasks = (self._task, self._listening)
        return next((task.get_name() for task in tasks if task is not None and task.done()), None)

    @property
    def settled(self) -> bool:
        """Whether the broker has all that we want it to retain, as far as it told us."""
        return self.connected and self._shelf.settled

    async def __aenter__(self) -> Self:
        """Begin to connect, in the background; ``wait_connected`` waits for it."""
        self._task = asyncio.create_task(self.run(), name="mqtt")
        self._task.add_done_callback(log_end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye and disconnect."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait({task})

    async def run(self) -> NoReturn:
        """Connect, and connect again whenever the connection is lost, until cancelled."""
        will = aiomqtt.Will(
            self._topics.status,
            encode(as_json(payload.will_payload(self._instance, version=self._version))),
            qos=1,
            retain=True,
        )
        if self._commands is not None:
            # Not in a group: whatever becomes of what people send, alerts go on.
            self._listening = asyncio.create_task(self._commands.run(), name="mqtt-commands")
            self._listening.add_done_callback(log_end)
        try:
            await keep_connected(
                self._options,
                identifier=f"listener-{self._instance}" + (f"-{uuid.uuid4().hex[:12]}" if self._visitor else ""),
                session=self._session,
                on_failure=self._failed,
                on_crash=self._on_crash,
                hear=self._hear,
                will=None if self._visitor else will,
            )
        finally:
            listening, self._listening = self._listening, None
            if listening is not None:
                listening.cancel()
                await asyncio.wait({listening})

    async def wait_connected(self) -> None:
        """Return once a broker has accepted us."""
        await self._connected.wait()

    async def deliver(self, notification: Notification) -> None:
        """Publish what a notification says, on the topic for it, and return once the broker has taken it.

        Raises DeliveryError at once when there is no connection, and after ``timeout_secs`` when the broker does not
        answer; not retryable when the message is too large, malformed, or so old that it would mislead.
        """
        client = self._client
        if client is None or client.lost:
            raise DeliveryError(f"{self._where} is not connected: {self._problem or 'just lost'}", retryable=True)
        try:
            message = message_of(notification, topics=self._topics, now=self._clock())
            await self._publish(client, message)
        except PublishRefused as refusal:
            retryable = refusal.code not in HOPELESS
            raise DeliveryError(f"{self._where} refused {message.topic}: {refusal}", retryable=retryable) from refusal
        except aiomqtt.MqttError as error:
            raise DeliveryError(f"{self._where}: {error}", retryable=True) from error
        except ValueError as error:  # no JSON, or (paho) larger than any MQTT packet can be
            raise DeliveryError(f"{notification.id} cannot be published: {error}", retryable=False) from error

    def publish_states(self, states: Mapping[str, StatePayload], *, gone: Collection[str] = ()) -> None:
        """Make these the retained states of their brands: changes are published soon, all of them after a reconnect.

        Other brands stay as they are, but for those that are ``gone``, which are cleared at the broker. Returns at
        once, also without a connection; it costs what changed, however many brands there are.
        """
        for brand, state in states.items():
            ours = state.model_copy(update={"instance": self._instance})
            self._shelf.put(self._topics.state(brand), Document(kind="state", content=ours))
        for brand in gone:
            self._shelf.clear(self._topics.state(brand), "state")
        self._wake.set()

    def publish_action(self, action: ActionPayload) -> None:
        """Tell what became of an action, soon; at best once: what is too old or too much is left out."""
        self._actions.append(action)
        self._wake.set()

    async def _session(self, client: MqttClient) -> NoReturn:
        """One connection, from birth to its loss."""
        client.when_lost(self._wake.set)
        # A new connection may lead to a broker that forgot everything.
        self._shelf.forget()
        if not self._visitor:
            birth = payload.birth_payload(self._instance, version=self._version, now=self._clock())
            self._shelf.put(self._topics.status, Document(kind="status", content=birth))
            await self._tell(client, self._shelf.take_one(self._topics.status))
        self._client, self._problem = client, None
        self._connected.set()
        log.info("mqtt.connected", broker=self._where, protocol=self.protocol)
        try:
            await self._keep_told(client)
        except asyncio.CancelledError:
            self._client = None
            if not self._visitor:
                await self._say_goodbye(client)
            raise
        finally:
            self._client = None
            self._connected.clear()

    async def _say_goodbye(self, client: MqttClient) -> None:
        body = encode(as_json(payload.goodbye_payload(self._instance, version=self._version, now=self._clock())))
        message = Message(kind="status", topic=self._topics.status, body=body, retain=True)
        with contextlib.suppress(aiomqtt.MqttError, PublishRefused):
            await self._publish(client, message, timeout_secs=GOODBYE_SECS)

    async def _keep_told(self, client: MqttClient) -> NoReturn:
        """Publish what changes and a heartbeat every minute; raises MqttError when the connection is lost."""
        loop = asyncio.get_running_loop()
        retry_at: float | None = None
        asked = await self._ask_what_is_retained(client)
        beat_at, answered_at = loop.time(), loop.time() + RECONCILE_SECS
        while True:
            self._wake.clear()
            client.raise_if_lost()
            if loop.time() >= beat_at:
                beat_at = loop.time() + HEARTBEAT_SECS
                if not self._visitor:
                    await self._beat(client)
            if asked and loop.time() >= answered_at:
                for topic_filter in asked:
                    client.leave(topic_filter)
                asked = []
            if retry_at is not None and loop.time() >= retry_at:
                self._shelf.retry()
                retry_at = None
            while documents := self._shelf.take(AT_ONCE):
                await self._tell(client, documents)
            await self._tell_actions(client)
            if self._shelf.refused and retry_at is None:
                retry_at = loop.time() + self._shelf.retry_secs
            times = [beat_at, *([answered_at] if asked else []), *([] if retry_at is None else [retry_at])]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(times)):
                    await self._wake.wait()

    async def _ask_what_is_retained(self, client: MqttClient) -> list[str]:
        """Subscribe to what may be a leftover of ours; what to unsubscribe from once it has come."""
        if self._visitor:
            return []
        asked = [self._discovery, *([] if self._brands is None else [self._topics.states])]
        lasting = [birth_topic(self._options.homeassistant_prefix)] if self._homeassistant else []
        for topic_filter in (*asked, *lasting):
            # QoS 0: it is for now, and nothing is to be kept for us.
            if not await client.try_subscribe(topic_filter, qos=0):
                log.warning("mqtt.subscription_refused", broker=self._where, topic=topic_filter)
                self._on_refused("subscription")
        return asked

    def _hear(self, _: MqttClient, message: paho.MQTTMessage) -> None:
        """What the broker retains, and the birth of Home Assistant; called as it comes. Anybody may have written it."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        body = bytes(message.payload)
        if topic == birth_topic(self._options.homeassistant_prefix) and self._homeassistant:
            if body == b"online" and not message.retain:
                self._shelf.again(self._discovery)
        elif not message.retain or not body:
            return
        elif topic == self._discovery:
            self._reconcile_discovery(body)
        elif not self._shelf.wants(topic) and is_stray(topic, body, topics=self._topics, brands=self._brands or ()):
            log.info("mqtt.leftover_cleared", broker=self._where, topic=topic)
            self._shelf.clear(topic, "state")
        self._wake.set()

    def _reconcile_discovery(self, body: bytes) -> None:
        if self._homeassistant:
            if removed := removals(body, self._device):
                self._put_discovery(removed)
        elif is_ours(body):
            self._shelf.clear(self._discovery, "discovery")

    def _put_discovery(self, removed: Mapping[str, object]) -> None:
        self._removing = bool(removed)
        content = {**self._device, "cmps": {**self._device["cmps"], **removed}}
        self._shelf.put(self._discovery, Document(kind="discovery", content=content))

    async def _tell(self, client: MqttClient, documents: list[tuple[str, Document]]) -> None:
        """Publish documents together. What is refused is kept for later: alerts may still be taken."""

        async def tell(topic: str, document: Document) -> None:
            try:
                with publishable(document.kind, topic, self._on_refused):
                    message = Message(kind=document.kind, topic=topic, body=document.body, retain=True)
                    await self._publish(client, message)
            except PublishRefused:
                self._shelf.denied(topic, document)
            except BaseException:
                self._shelf.lost(topic, document)
                raise
            else:
                self._shelf.told(topic, document)

        results = await asyncio.gather(*(tell(*one) for one in documents), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if self._removing and any(topic == self._discovery for topic, _ in documents):
            self._put_discovery({})

    async def _tell_actions(self, client: MqttClient) -> None:
        while self._actions:
            action = self._actions.popleft()
            try:
                with publishable("action", self._topics.actions, self._on_refused):
                    if (message := action_of(action, topics=self._topics, now=self._clock())) is not None:
                        await self._publish(client, message)
            except PublishRefused:
                continue
            except aiomqtt.MqttError:
                if len(self._actions) < ACTIONS_MAX:
                    self._actions.appendleft(action)
                raise

    async def _beat(self, client: MqttClient) -> None:
        with contextlib.suppress(PublishRefused):
            await self._publish(client, heartbeat_of(self._instance, topics=self._topics, now=self._clock()))

    async def _publish(self, client: MqttClient, message: Message, *, timeout_secs: float | None = None) -> None:
        """Publish and return once the broker has it. A refusal is told, and raised as PublishRefused."""
        try:
            await client.publish_acknowledged(
                message.topic,
                message.body,
                retain=message.retain,
                properties=message.properties,
                timeout_secs=timeout_secs,
            )
        except PublishRefused as refusal:
            log.warning("mqtt.publish_refused", broker=self._where, topic=message.topic, problem=str(refusal))
            self._on_refused(message.kind)
            raise

    def _failed(self, problem: str) -> None:
        if problem != self._problem:  # once, not at every attempt
            log.warning("mqtt.disconnected", broker=self._where, problem=problem)
        self._problem = problem

    @property
    def _where(self) -> str:
        return f"{self._options.host}:{self._options.port}"
