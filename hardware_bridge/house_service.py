"""The MQTT side of a fake house."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hardware_bridge import messages
from hardware_bridge.client import Client, Packet, Presence
from hardware_bridge.fake_house import House
from hardware_bridge.messages import Command, Heartbeat, Message, Status
from hardware_bridge.topics import HOUSE, Address, Channel, for_house, parse, topic
from totalflex_env.errors import DataError


class HouseService:
    """A house that answers to the messages of a broker."""

    def __init__(self, house: House, site: str) -> None:
        self.house = house
        self.site = site
        self.refused = 0  # messages that could not be read

    @contextmanager
    def serve(self, address: tuple[str, int]) -> Iterator[None]:
        """Serve in a thread of its own, connected to the broker at `address`, until the context is left."""
        leaving = threading.Event()
        with Client(f"tflex-{self.site}-house", address, for_house(self.site), self._presence()) as client:
            thread = threading.Thread(target=self._work, args=(client, leaving), name="house", daemon=True)
            thread.start()
            try:
                yield
            finally:
                leaving.set()
                thread.join()

    def _work(self, client: Client, leaving: threading.Event) -> None:
        while not leaving.is_set():
            packet = client.receive(timeout_s=0.1)
            for answer in self.answers(packet) if packet is not None else ():
                client.publish(answer)

    def answers(self, packet: Packet) -> list[Packet]:
        """Return what the house says to a message; one that is not in order is counted and not answered."""
        try:
            address = parse(packet.topic)
            message = messages.decode(address.channel, packet.payload)
        except DataError:
            self.refused += 1
            return []
        if isinstance(message, Heartbeat):
            reports = self.house.heartbeat(message)
            return [self._packet(each.device_id, Channel.TELEMETRY, each) for each in reports]
        if isinstance(message, Command) and message.device_id == address.party in self.house.agents:
            answer = self.house.command(message)
            return [self._packet(message.device_id, Channel.ACKNOWLEDGEMENT, answer)]
        self.refused += 1
        return []

    def _presence(self) -> Presence:
        ready, gone, lost = (
            self._packet(HOUSE, Channel.STATUS, Status(state, self.house.boot_id))
            for state in ("ready", "disconnected", "lost")
        )
        births = [self._packet(each.device_id, Channel.DESCRIPTOR, each) for each in self.house.descriptors]
        return Presence(hello=(*births, ready), farewell=gone, will=lost)

    def _packet(self, party: str, channel: Channel, message: Message) -> Packet:
        return Packet(topic(Address(self.site, party, channel)), messages.encode(message))
