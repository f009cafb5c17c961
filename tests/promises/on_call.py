"""Somebody on call: a subscriber whose session the broker keeps, with a library's client that is not ours."""

import contextlib
import json
from collections.abc import Iterator
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from listener.alerts.mqtt.watch import Message, Repeats, read
from listener.alerts.wire.oncall import BundlePayload
from listener.alerts.wire.payload import AlertPayload

Key = tuple[str, int]  # an event: its alert and its number


class OnCall:
    """Somebody on call, with a program that is not ours: a session that the broker keeps while they are away.

    ``answering``: whoever hears of an alert acks it.
    """

    def __init__(self, port: int, *, answering: bool = False) -> None:
        self._answering = answering
        self.raw: list[paho.MQTTMessage] = []
        self.subscribed = False
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="oncall", protocol=paho.MQTTv5, reconnect_on_failure=True
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = self._heard
        self._client.on_message = self._keep
        kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types all but this
        kept.SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", port, keepalive=5, clean_start=False, properties=kept)

    @property
    def messages(self) -> list[Message]:
        """What came, in order, repeats included."""
        return [found for message in list(self.raw) if (found := read(bytes(message.payload))) is not None]

    @property
    def received(self) -> set[Key]:
        """The events that they know of: told one by one, or named in a bundle."""
        found: set[Key] = set()
        for message in self.messages:
            if isinstance(message, AlertPayload):
                found.add((message.alert_id, message.seq))
            elif isinstance(message, BundlePayload):
                found |= {(one.alert_id, one.seq) for one in message.alerts}
        return found

    @property
    def told(self) -> list[AlertPayload]:
        """The alerts of which they were told, without what came again."""
        repeats = Repeats()
        return [one for one in self.messages if isinstance(one, AlertPayload) and repeats.is_new(one)]

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Hear, on a thread, and connect again and again."""
        self._client.loop_start()
        try:
            yield self
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _subscribe(self, client: paho.Client, *_: object) -> None:
        topics = ("listener/v1/brand/+/alert/+", "listener/v1/+/alert/+", "listener/v1/+/digest")
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

    def _heard(self, *_: object) -> None:
        self.subscribed = True

    def _keep(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self.raw.append(message)
        heard = read(bytes(message.payload)) if self._answering else None
        if isinstance(heard, AlertPayload) and heard.answer is not None:
            answer = json.dumps({"seq": heard.seq, "by": "oncall"})
            self._client.publish(heard.answer.topic, answer, qos=1)
