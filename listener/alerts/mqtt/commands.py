"""What people on call send us: commands, taken in at least once, from anybody who may publish there.

On a connection of its own, so that a flood of commands cannot hold up alerts, with a session that the broker keeps:
what is sent while we are away waits there. A command is acknowledged once it is stored. Its bytes are anybody's: size,
form and rate are bounded, and nothing in them raises.

What the broker sends again, since it has not heard our acknowledgement, is the same action again: its id is made of the
packet's number, which the repeat has, too (MQTT 5.0, 4.4), and of what it says. A command that says when it was decided
is the same one whoever hears it: of two daemons on one database each has a session, and hears every command.

What is not understood is told to its sender, who cannot see our log, and to the log; neither more often than is read.
"""

import asyncio
import contextlib
import hashlib
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

import paho.mqtt.client as paho
import structlog

from listener.alerts.mqtt.client import MqttClient
from listener.alerts.mqtt.connection import keep_connected
from listener.alerts.mqtt.refusals import Allowance, Dropped, Refusal, refused, shown, understood
from listener.alerts.mqtt.topics import Target, Topics, slug
from listener.alerts.wire.oncall import ActionPayload, Command
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
TOLD_MAX, TOLD_SECS = 10, 1.0  # of what is not taken: so many at once are told, then one in so many seconds
WARNED_MAX, WARNED_SECS = 10, 10.0
QUIET = frozenset({"empty", "retained"})  # nobody waits for what comes of these

OnAction = Callable[[Action], Awaitable[bool | None]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a command asks for.

    ``numbered`` says that its id is made of the packet's number, which a broker may give again to another command.
    """

    action: Action
    numbered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One command, and the message and connection that it came by, to acknowledge it there."""

    understood: Understood
    client: MqttClient
    message: paho.MQTTMessage


class Commands:
    """Listens for commands to one daemon and hands them to ``on_action``, one after the other.

    ``brands`` are the slugs of its brands: commands about others are another daemon's; empty takes any. What is not
    taken is told to ``on_dropped``, with one of a few words; and to ``on_told``, for its sender, where it names an
    alert. ``on_action`` keeps an action once, by its id, and says False when the id was known. When it raises
    StoreError it is asked again, with the same action, until it succeeds; the message stays the broker's. When it
    raises anything else, that is a bug, told to ``on_crash``, and the command is dropped after a few attempts.
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
        on_told: Callable[[ActionPayload], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._topics = topics
        self._slugs = frozenset(slug(brand) for brand in brands)
        self._clock = clock
        self._on_action = on_action
        self._on_dropped = on_dropped
        self._on_refused = on_refused
        self._on_crash = on_crash
        self._on_told = on_told
        self._warning = Allowance(burst=WARNED_MAX, every_secs=WARNED_SECS)
        self._telling = Allowance(burst=TOLD_MAX, every_secs=TOLD_SECS)
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
            await self._store(received)
            received.client.acknowledge(received.message)

    async def _store(self, received: Received) -> None:
        """Hand it on, until it is kept."""
        action, pause_secs, crashes = received.understood.action, STORE_RETRY_FIRST_SECS, 0
        certain = received.understood.numbered and not received.message.dup
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
                    self._drop("crashed", received, "an error of ours, it is in the log; nothing was changed")
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
        if isinstance(found, Understood):
            received = Received(understood=found, client=client, message=message)
            if len(self._waiting) < WAITING_MAX[min(message.qos, 1)]:
                self._waiting.append(received)
                self._wake.set()
                return
            self._drop("flood", received, "too many commands at once; send it again")
        elif found is not None:
            self._dropped(message, found)
        client.acknowledge(message)

    def _drop(self, why: Dropped, received: Received, problem: str) -> None:
        """Drop what was understood."""
        action, target = received.understood.action, _target(received.message, self._topics)
        found = Refusal(why=why, problem=problem, target=target, act=action.act, seq=action.seq, by=action.by)
        self._dropped(received.message, found)

    def _dropped(self, message: paho.MQTTMessage, refusal: Refusal) -> None:
        """Count what was not taken; warn, and tell who sent it, unless that was done too often just now."""
        self._on_dropped(refusal.why)
        now = self._clock()
        if refusal.why in QUIET:
            log.debug("mqtt.command_dropped", why=refusal.why)
        elif self._warning.take(now):
            left_out, self._warning.left_out = self._warning.left_out, 0
            more = {"not_logged": left_out} if left_out else {}
            topic = shown(_topic(message) or "no UTF-8")
            log.warning("mqtt.command_dropped", why=refusal.why, topic=topic, problem=refusal.problem, **more)
        told = refusal.told(now)
        if told is not None and self._telling.take(now):
            self._on_told(told)

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("mqtt.commands_disconnected", problem=problem)
        self._problem = problem


def parse(
    message: paho.MQTTMessage, *, topics: Topics, slugs: Collection[str], now: datetime
) -> Understood | Refusal | None:
    """What a message asks for; or why it is not taken; None when it is about another daemon's brand."""
    if (why := _unread(message)) is not None:
        return Refusal(why=why)
    target = _target(message, topics)
    if target is None:
        return Refusal(why="topic", problem="it names no alert")
    if slugs and target.brand_slug is not None and target.brand_slug not in slugs:
        return None
    body = bytes(message.payload)
    if len(body) > COMMAND_BYTES_MAX:
        return Refusal(why="too_large", problem=f"it has more than {COMMAND_BYTES_MAX} bytes", target=target)
    command = understood(body)
    if isinstance(command, str):
        return refused(body, command, target)
    action = Action(
        id=_id(message, command, target, topics.instance),
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
    return Understood(action=action, numbered=message.qos > 0 and command.at is None)


def _unread(message: paho.MQTTMessage) -> Dropped | None:
    """Why a message is not even looked into."""
    if not message.payload:
        return "empty"  # so are retained messages taken away
    return "retained" if message.retain else None


def _id(message: paho.MQTTMessage, command: Command, target: Target, instance: str) -> str:
    """The same for a message and for its repeat by the broker; with QoS 0 there are no repeats, and no numbers.

    Nobody decides the same twice in one moment: with ``at`` it is the same for whoever hears it, however late.
    """
    body = hashlib.sha256(message.payload).hexdigest()
    if command.at is not None:
        return stable_id("command", target.id, body)
    if message.qos == 0:
        return str(uuid.uuid4())
    return stable_id("command", instance, message.topic, str(message.mid), body)


def _target(message: paho.MQTTMessage, topics: Topics) -> Target | None:
    topic = _topic(message)
    return None if topic is None else topics.command_target(topic)


def _topic(message: paho.MQTTMessage) -> str | None:
    with contextlib.suppress(UnicodeDecodeError):
        return message.topic
    return None
