"""A house that does not exist: the engine's own devices, each with an agent that obeys the bridge.

Its clock is the bridge's heartbeat, so a day takes as long as its messages. Without a command in force a device follows
its own controller.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hardware_bridge.agent import DeviceAgent
from hardware_bridge.config import FaultConfig
from hardware_bridge.descriptors import descriptors
from hardware_bridge.messages import (
    SLOT_MS,
    Acknowledgement,
    ApplianceReading,
    Command,
    Heartbeat,
    Session,
    StorageReading,
    Telemetry,
    ThermalReading,
    Window,
)
from totalflex_env import fleet
from totalflex_env.devices.appliance import NEVER
from totalflex_env.devices.family import Family
from totalflex_env.devices.sessions import coming
from totalflex_env.devices.storage import Storage
from totalflex_env.devices.thermal import Thermal
from totalflex_env.types import Episode, Params

Reading = StorageReading | ThermalReading | ApplianceReading


@dataclass(frozen=True)
class Plan:
    """The world of a house: what its devices are, and the day that awaits them, one row."""

    params: Params
    episode: Episode
    fault: FaultConfig | None = None


class House:
    """The devices of one house and their agents."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.slot = 0
        self.boot_id = uuid.uuid4().hex
        self.devices = fleet.start(plan.params, plan.episode.actual)
        self.descriptors = descriptors(plan.params)
        self.agents = {each.device_id: DeviceAgent(each.device_id, self.boot_id) for each in self.descriptors}
        self._report(torch.zeros(1, len(self.agents)), [None] * len(self.agents))

    @property
    def now_ms(self) -> int:
        """The clock of the devices."""
        return self.slot * SLOT_MS

    def command(self, command: Command) -> Acknowledgement:
        """Return the answer of the device that a command is for."""
        return self.agents[command.device_id].receive(command, self.now_ms)

    def heartbeat(self, heartbeat: Heartbeat) -> tuple[Telemetry, ...]:
        """End the present slot if the next one begins, and return what the devices report of their state now.

        A heartbeat that comes twice is answered twice and moves nothing; one of an old bridge is not answered.
        """
        if not all(agent.heed(heartbeat.epoch) for agent in self.agents.values()):
            return ()
        if heartbeat.slot == self.slot + 1 <= self.plan.episode.actual.spot.shape[1]:
            self._advance()
        latest = tuple(agent.reported for agent in self.agents.values() if agent.reported is not None)
        return latest if heartbeat.slot == self.slot else ()

    def _advance(self) -> None:
        """Let the devices do what they are commanded, within their own limits, else what they would do on their own."""
        params, actual = self.plan.params, self.plan.episode.actual
        allowed = fleet.limits(params, self.devices, self.plan.episode, self.slot)
        commands = [agent.in_force(self.slot, self.now_ms) for agent in self.agents.values()]
        wanted = allowed.default.clone()
        for device, command in enumerate(commands):
            if command is not None:
                wanted[0, device] = command.energy_kwh * self._obedience(command)
        energy = fleet.snap(params, wanted, allowed)
        self.devices = fleet.advance(params, self.devices, energy, actual, self.slot)
        self.slot += 1
        self._report(energy, [None if command is None else command.cmd_id for command in commands])

    def _obedience(self, command: Command) -> float:
        """Share of a command that its device really takes: all, unless it has been told to fail."""
        fault = self.plan.fault
        if fault is None or (fault.device, fault.slot) != (command.device_id, command.slot):
            return 1.0
        return fault.scale

    def _report(self, energy: Tensor, applied: list[str | None]) -> None:
        for device, (agent, reading) in enumerate(zip(self.agents.values(), self._readings(), strict=True)):
            agent.reported = Telemetry(
                device_id=agent.device_id,
                boot_id=self.boot_id,
                seq=self.slot,
                slot=self.slot,
                up_ms=self.now_ms,
                energy_kwh=float(energy[0, device]),
                reading=reading,
                quality="ok",
                applied=applied[device],
            )

    def _readings(self) -> list[Reading]:
        """What the sensors say, device by device."""
        parts = zip(self.plan.params.families, self.plan.episode.actual.habits, self.devices.parts)
        return [reading for family, habits, state in parts for reading in self._of_family(family, habits, state)]

    def _of_family(self, family: Family[Any, Any, Any], habits: Any, state: Any) -> list[Reading]:
        """A vehicle tells of its session while it is plugged in, a machine of its window once it is loaded."""
        if isinstance(family, Storage):
            session = coming(habits, self.slot)
            columns = zip(*(part[0].tolist() for part in (session.arrival, session.departure, session.need_kwh)))
            last = self.plan.episode.actual.spot.shape[1] - 1
            return [
                StorageReading(stored, Session(*told) if told[0] <= min(self.slot, last) < told[1] else None)
                for stored, told in zip(state.stored_kwh[0].tolist(), columns)
            ]
        if isinstance(family, Thermal):
            return [ThermalReading(temperature) for temperature in state.temperature[0].tolist()]
        columns = zip(*(part[0, 0].tolist() for part in (state.start, habits.ready, habits.latest)))
        return [
            ApplianceReading(
                started=start if start < NEVER else None, window=Window(ready, latest) if ready <= self.slot else None
            )
            for start, ready, latest in columns
        ]
