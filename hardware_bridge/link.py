"""The bridge's side of the conversation with its devices: ask, ask again, and say who did not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from hardware_bridge import messages
from hardware_bridge.client import Client, LinkError, Packet
from hardware_bridge.config import LinkConfig
from hardware_bridge.messages import Acknowledgement, Command, Descriptor, Heartbeat, Message, Status, Telemetry
from hardware_bridge.topics import BRIDGE, HOUSE, Address, Channel, parse, topic
from totalflex_env.errors import DataError

Answer = TypeVar("Answer", Descriptor, Telemetry, Acknowledgement)


class Link:
    """Every question goes to devices by name and comes back with one answer from each, in the order of `devices`."""

    def __init__(self, client: Client, site: str, config: LinkConfig, devices: Sequence[str]) -> None:
        self.client = client
        self.site = site
        self.config = config
        self.devices = tuple(devices)
        self.house_state = "unknown"  # as last told by the house or, of a broken connection, by the broker
        self.resent = 0  # questions asked again
        self.refused = 0  # messages that could not be read

    def describe(self) -> tuple[Descriptor, ...]:
        """Return what the devices say that they are; their descriptors are retained, so nobody has to be asked."""
        return self._gather(Descriptor, self.devices, ask=lambda missing: None, expected=lambda answer: True)

    def tick(self, heartbeat: Heartbeat) -> tuple[Telemetry, ...]:
        """Tell the devices that a slot begins, and return their states at its start."""
        address = Address(self.site, BRIDGE, Channel.HEARTBEAT)
        return self._gather(
            Telemetry,
            self.devices,
            ask=lambda missing: self._publish(address, heartbeat),
            expected=lambda answer: answer.slot == heartbeat.slot,
        )

    def command(self, commands: Sequence[Command]) -> tuple[Acknowledgement, ...]:
        """Send commands and return their answers. The same command may be sent again: devices execute it once."""
        by_device = {command.device_id: command for command in commands}

        def ask(missing: Sequence[str]) -> None:
            for device in missing:
                self._publish(Address(self.site, device, Channel.COMMAND), by_device[device])

        return self._gather(
            Acknowledgement,
            tuple(by_device),
            ask=ask,
            expected=lambda answer: answer.cmd_id == by_device[answer.device_id].cmd_id,
        )

    def _gather(
        self,
        kind: type[Answer],
        devices: Sequence[str],
        ask: Callable[[Sequence[str]], None],
        expected: Callable[[Answer], bool],
    ) -> tuple[Answer, ...]:
        """Ask until each device has answered as expected; other messages pass by."""
        answers: dict[str, Answer] = {}
        deadline = time.monotonic() + self.config.timeout_s
        while missing := [device for device in devices if device not in answers]:
            if time.monotonic() >= deadline:
                waited = f"no {kind.__name__.lower()} within {self.config.timeout_s:g} s from {', '.join(missing)}"
                raise LinkError(f"site {self.site}: {waited}; the house is {self.house_state}")
            ask(missing)
            patience = min(deadline, time.monotonic() + self.config.resend_s)
            while len(answers) < len(devices) and (packet := self.client.receive(patience - time.monotonic())):
                answer = self._read(packet)
                if isinstance(answer, kind) and answer.device_id in missing and expected(answer):
                    answers[answer.device_id] = answer
            self.resent += len(answers) < len(devices)
        return tuple(answers[device] for device in devices)

    def _read(self, packet: Packet) -> Message | None:
        """Return a message, None when it is not in order."""
        try:
            address = parse(packet.topic)
            message = messages.decode(address.channel, packet.payload)
        except DataError:
            self.refused += 1
            return None
        if isinstance(message, Status) and address.party == HOUSE:
            self.house_state = message.state
        if isinstance(message, Descriptor | Telemetry | Acknowledgement) and message.device_id != address.party:
            self.refused += 1
            return None
        return message

    def _publish(self, address: Address, message: Message) -> None:
        self.client.publish(Packet(topic(address), messages.encode(message)))
