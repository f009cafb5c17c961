"""What people on call send us: commands, taken in at least once, from anybody who may publish there.

On a connection of its own, so that a flood of commands cannot hold up alerts, with a session that the broker keeps:
what is sent while we are away waits there. A command is acknowledged once it is stored. Its bytes are anybody's: size,
form and rate are bounded, and nothing in them raises.

What the broker sends again, since it has not heard our acknowledgement, is the same action again: its id is made of the
packet's number, which the repeat has, too (MQTT 5.0, 4.4), and of what it says.
"""

import asyncio
import contextlib
import hashlib
import unicodedata
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NoReturn

import paho.mqtt.client as paho
import structlog
from pydantic import ValidationError

from listener.alerts.mqtt.client import MqttClient
from listener.alerts.mqtt.connection import keep_connected
from listener.alerts.mqtt.topics import Target, Topics, slug
from listener.alerts.wire.oncall import Command
from listener.config.mqtt import MqttOptions
from listener.domain import Action, Via, stable_id
from listener.errors import StoreError

COMMAND_BYTES_MAX = 16 * 1024
PER_SEC = 20.0
BURST = 20.0
# How many may wait here, by QoS. The first are for now; the second also come from a broker that kept them for us, and
# Mosquitto keeps a thousand. (It sends them all at once: 2.0 heeds no Receive Maximum.)
WAITING_MAX = (100, 1000)
SESSION_SECS = 24 * 3600
STORE_RETRY_FIRST_SECS = 1.0
STORE_RETRY_MAX_SECS = 10.0
CRASHES_MAX = 3  # of one command: whatever is wrong with it, those behind it have waited long enough
LINES = MappingProxyType(dict.fromkeys(map(ord, "\n\r\t")))  # what a remark may hold of control characters

Dropped = Literal["empty", "retained", "too_large", "topic", "invalid", "flood", "crashed"]
OnAction = Callable[[Action], Awaitable[bool | None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One command, and the message and connection that it came by, to acknowledge it there."""

    action: Action
    client: MqttClient
    message: paho.MQTTMessage


class Commands:
    """Listens for commands to one daemon and hands them to ``on_action``, one after the other.

    ``brands`` are the slugs of its brands: commands about others are another daemon's; empty takes any. What is not
    taken is told to ``on_dropped``, with one of a few words. ``on_action`` keeps an action once, by its id, and says
    whether it was new. When it raises StoreError it is asked again, with the same action, until it succeeds; the
    message stays the broker's. When it raises anything else, that is a bug, told to ``on_crash``, and the command is
    dropped after a few attempts.
    """

    def __init__(
        self,
        options: MqttOptions,
        *,
        topics: Topics,
        brands: Collection[str],
        clock: Callable[[], datetime],
        on_action: OnAction,
        on_dropped: Callable[[Dropped], None],
        on_refused: Callable[[str], None],
        on_crash: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._topics = topics
        self._slugs = frozenset(slug(brand) for brand in brands)
        self._clock = clock
        self._on_action = on_action
        self._on_dropped = on_dropped
        self._on_refused = on_refused
        self._on_crash = on_crash
        self._waiting: deque[Received] = deque()
        self._newest: MqttClient | None = None
        self._wake = asyncio.Event()
        self._problem: str | None = None

    async def run(self) -> NoReturn:
        """Listen, on a new connection whenever one is lost, until cancelled."""
        await keep_connected(
            self._options,
            identifier=f"listener-{self._topics.instance}-commands",
            session=self._session,
            on_failure=self._failed,
            on_crash=self._on_crash,
            hear=self._hear,
            session_secs=SESSION_SECS,
        )

    async def _session(self, client: MqttClient) -> NoReturn:
        client.when_lost(self._wake.set)
        for topic_filter in self._topics.commands:
            # A broker that forgot us is told anew; what it retains is not sent: it would act again at each connection.
            if not await client.try_subscribe(topic_filter, qos=1, retained=False):
                log.warning("mqtt.subscription_refused", topic=topic_filter)
                self._on_refused("subscription")
        self._problem = None
        loop = asyncio.get_running_loop()
        tokens, filled_at = BURST, loop.time()
        while True:
            client.raise_if_lost()
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            received = self._waiting.popleft()
            tokens, filled_at = min(BURST, tokens + PER_SEC * (loop.time() - filled_at)), loop.time()
            if tokens < 1.0:
                await asyncio.sleep((1.0 - tokens) / PER_SEC)
            tokens -= 1.0
            await self._store(received.action, again=received.message.dup)
            received.client.acknowledge(received.message)

    async def _store(self, action: Action, *, again: bool) -> None:
        """Hand it on, until it is kept; ``again`` says that the broker has sent it before."""
        pause_secs, crashes, certain = STORE_RETRY_FIRST_SECS, 0, not again
        while True:
            try:
                new = await self._on_action(action)
            except StoreError as error:
                log.warning("mqtt.command_not_stored", problem=str(error), retry_secs=pause_secs)
            except Exception:
                log.exception("mqtt.command_crashed", act=action.act.value, target=action.target)
                self._on_crash()
                crashes += 1
                if crashes >= CRASHES_MAX:
                    self._on_dropped("crashed")
                    return
            else:
                if new is not False or not certain:
                    return
                # Sent for the first time and known all the same: a broker that forgot us counts its packets anew.
                action, certain = replace(action, id=str(uuid.uuid4())), False
                continue
            certain = False  # from here on what is known may be our own attempt
            await asyncio.sleep(pause_secs)
            pause_secs = min(STORE_RETRY_MAX_SECS, 2.0 * pause_secs)

    def _hear(self, client: MqttClient, message: paho.MQTTMessage) -> None:
        """Take a message in, or drop it at once; called as it comes."""
        if client is not self._newest:
            self._newest = client
            self._waiting = deque(one for one in self._waiting if one.message.qos == 0)  # the others are sent again
        found = parse(message, topics=self._topics, slugs=self._slugs, now=self._clock())
        if isinstance(found, Action) and len(self._waiting) >= WAITING_MAX[min(message.qos, 1)]:
            found = "flood"
        if isinstance(found, Action):
            self._waiting.append(Received(action=found, client=client, message=message))
            self._wake.set()
            return
        client.acknowledge(message)
        if found is not None:
            log.debug("mqtt.command_dropped", why=found)
            self._on_dropped(found)

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("mqtt.commands_disconnected", problem=problem)
        self._problem = problem


def parse(
    message: paho.MQTTMessage, *, topics: Topics, slugs: Collection[str], now: datetime
) -> Action | Dropped | None:
    """The action that a message asks for; or why there is none; None when it is about another daemon's brand."""
    if (why := _unread(message)) is not None:
        return why
    target = _target(message, topics)
    if target is None:
        return "topic"
    if slugs and target.brand_slug is not None and target.brand_slug not in slugs:
        return None
    command = _command(bytes(message.payload))
    if command is None:
        return "invalid"
    return Action(
        id=_id(message, topics.instance),
        target=target.id,
        act=command.action,
        seq=command.seq,
        by=command.by,
        via=Via.MQTT,
        at=now,
        minutes=command.minutes,
        assignee=command.assignee,
        comment=command.comment,
        helped=command.helped,
    )


def _unread(message: paho.MQTTMessage) -> Dropped | None:
    """Why a message is not even looked into."""
    if not message.payload:
        return "empty"  # so are retained messages taken away
    if message.retain:
        return "retained"
    return "too_large" if len(message.payload) > COMMAND_BYTES_MAX else None


def _command(body: bytes) -> Command | None:
    try:
        command = Command.model_validate_json(body, strict=True)
    except ValidationError:
        return None
    names, remarks = (command.by, command.assignee or ""), (command.comment or "", command.helped or "")
    # A database refuses some controls, and a terminal obeys others.
    wild = any(map(has_controls, names)) or any(has_controls(text.translate(LINES)) for text in remarks)
    return None if wild else command


def _id(message: paho.MQTTMessage, instance: str) -> str:
    """The same for a message and for its repeat by the broker; with QoS 0 there are no repeats, and no numbers."""
    if message.qos == 0:
        return str(uuid.uuid4())
    body = hashlib.sha256(message.payload).hexdigest()
    return stable_id("command", instance, message.topic, str(message.mid), body)


def _target(message: paho.MQTTMessage, topics: Topics) -> Target | None:
    with contextlib.suppress(UnicodeDecodeError):
        return topics.command_target(message.topic)
    return None


def has_controls(text: str) -> bool:
    """Whether ``text`` has characters that are not for reading: controls, formats, lone surrogates."""
    return any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)
