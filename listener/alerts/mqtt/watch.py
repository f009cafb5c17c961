"""Following alerts on a broker, as a subscriber: what ``listener watch`` and the demo's terminal see."""

import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NoReturn

import structlog
from pydantic import Field, TypeAdapter, ValidationError

from listener.alerts.mqtt.client import MqttClient
from listener.alerts.mqtt.connection import keep_connected
from listener.alerts.mqtt.topics import subscriptions
from listener.alerts.wire.digest import DigestPayload
from listener.alerts.wire.oncall import ActionPayload, BundlePayload, TestPayload, WatchdogPayload
from listener.alerts.wire.payload import AlertPayload, StatePayload, StatusPayload
from listener.config.mqtt import MqttOptions

MESSAGE_BYTES_MAX = 256 * 1024  # anybody may publish on somebody else's broker
REMEMBERED_MAX = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Whether we hear the broker: ``problem`` is None when we do, and says why not otherwise."""

    problem: str | None


Message = (
    AlertPayload
    | BundlePayload
    | StatePayload
    | StatusPayload
    | DigestPayload
    | WatchdogPayload
    | TestPayload
    | ActionPayload
)
Event = Message | Connection

READER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


class Repeats:
    """Remembers which events were seen: delivery is at least once, a person is told once."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def is_new(self, event: Message) -> bool:
        """Whether the event comes for the first time, as far back as memory goes; what is no event always does.

        An alert's event is told apart by ``alert_id``, ``seq`` and ``repeat``, a bundle by ``bundle_id`` and
        ``repeat``.
        """
        key: tuple[object, ...]
        match event:
            case AlertPayload():
                key = (event.alert_id, event.seq, event.repeat)
            case BundlePayload():
                key = (event.bundle_id, event.repeat)
            case _:
                return True
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return True


def read(body: bytes) -> Message | None:
    """A message of ours, or None: cleared topics are empty, and others may publish anything."""
    if not body or len(body) > MESSAGE_BYTES_MAX:
        return None
    try:
        return READER.validate_json(body)
    except ValidationError:
        return None


async def watch(options: MqttOptions, *, on_event: Callable[[Event], None]) -> NoReturn:
    """Call ``on_event`` with every message under the configured prefix, alerts and bundles once, until cancelled.

    On connecting, the broker first sends what it retains: where each brand and daemon stands. A lost connection is
    told as a Connection and sought again.
    """
    repeats = Repeats()
    problem: str | None = None

    async def session(client: MqttClient) -> NoReturn:
        nonlocal problem
        problem = None
        for topic_filter in subscriptions(options.topic_prefix):
            if not await client.try_subscribe(topic_filter, qos=1):
                log.warning("mqtt.subscription_refused", topic=topic_filter)
        on_event(Connection(problem=None))
        while True:
            message = await anext(client.messages)
            event = read(bytes(message.payload))
            if event is None:
                log.debug("mqtt.message_ignored", topic=str(message.topic))
            elif repeats.is_new(event):
                on_event(event)

    def failed(why: str) -> None:
        nonlocal problem
        if why != problem:
            on_event(Connection(problem=why))
        problem = why

    # Its own name each time: a broker throws out the older of two clients with one name.
    await keep_connected(
        options, identifier=f"listener-watch-{uuid.uuid4().hex[:12]}", session=session, on_failure=failed
    )
