"""An MQTT client whose messages wait in an inbox until they are asked for.

paho's callbacks run in its network thread, and an error there would leave the client connected and deaf. So they do
nothing but put messages into the inbox, subscribe and say hello again; everything that can fail happens at the reader.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from totalflex_env.errors import TotalFlexError

AT_LEAST_ONCE = 1
KEEPALIVE_S = 10
CONNECT_S = 10.0
FAREWELL_S = 1.0
INBOX = 10_000


class LinkError(TotalFlexError):
    """A broker or a device does not answer."""


@dataclass(frozen=True)
class Packet:
    """A message as MQTT carries it."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Presence:
    """What others are told about a client by retained messages."""

    hello: tuple[Packet, ...]  # at every connection
    farewell: Packet  # on leaving
    will: Packet  # by the broker when the connection breaks


class Client:
    """A client connected to a broker on this machine from entering the context to leaving it."""

    def __init__(self, name: str, address: tuple[str, int], subscriptions: Sequence[str], presence: Presence) -> None:
        self.address = address
        self.subscriptions = subscriptions
        self.presence = presence
        self.sent = self.received = self.dropped = 0
        self._inbox: queue.Queue[Packet] = queue.Queue(INBOX)
        self._subscribed = threading.Event()
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        self._paho.will_set(presence.will.topic, presence.will.payload, AT_LEAST_ONCE, retain=True)
        self._paho.on_socket_open = _send_at_once
        self._paho.on_connect = self._on_connect
        self._paho.on_subscribe = self._on_subscribe
        self._paho.on_message = self._on_message

    def __enter__(self) -> Self:
        """Connect and subscribe; a broker that does not answer in time is a LinkError."""
        host, port = self.address
        try:
            self._paho.connect(host, port, KEEPALIVE_S)
        except OSError as error:
            raise LinkError(f"broker {host}:{port}: {error}") from error
        self._paho.loop_start()
        if not self._subscribed.wait(CONNECT_S):
            self._paho.loop_stop()
            raise LinkError(f"broker {host}:{port}: no subscription within {CONNECT_S:g} s")
        return self

    def __exit__(self, *error: object) -> None:
        """Say farewell and disconnect."""
        if self._paho.is_connected():
            self.publish(self.presence.farewell, retain=True).wait_for_publish(FAREWELL_S)
        self._paho.disconnect()
        self._paho.loop_stop()

    def publish(self, packet: Packet, retain: bool = False) -> paho.MQTTMessageInfo:
        """Send a message at least once; while the connection is down it waits."""
        self.sent += 1
        return self._paho.publish(packet.topic, packet.payload, AT_LEAST_ONCE, retain)

    def receive(self, timeout_s: float) -> Packet | None:
        """Return the next message, None if there is none in time."""
        try:
            packet = self._inbox.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None
        self.received += 1
        return packet

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, more: Properties | None
    ) -> None:
        """Subscribe at every connection, as a broker may have forgotten the session."""
        if reason.is_failure:
            return
        client.subscribe([(subscription, AT_LEAST_ONCE) for subscription in self.subscriptions])
        for packet in self.presence.hello:
            client.publish(packet.topic, packet.payload, AT_LEAST_ONCE, retain=True)

    def _on_subscribe(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], more: Properties | None
    ) -> None:
        if not any(reason.is_failure for reason in reasons):
            self._subscribed.set()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            self._inbox.put_nowait(Packet(message.topic, bytes(message.payload)))
        except queue.Full:
            self.dropped += 1


def _send_at_once(client: paho.Client, userdata: Any, connection: Any) -> None:
    """Switch Nagle's algorithm off, which holds every second small message back for 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
