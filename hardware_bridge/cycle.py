"""The control cycle: a step of the world, `realise(decide(...))`, with meters in the place of the device model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from msgspec.structs import asdict

from hardware_bridge import guard, twin
from hardware_bridge.descriptors import descriptors
from hardware_bridge.guard import Note, Reason
from hardware_bridge.link import Link
from hardware_bridge.messages import SLOT_MS, Basis, Command, Heartbeat, Telemetry
from totalflex_env import batch
from totalflex_env.engine.step import decide, realise, situation, start
from totalflex_env.errors import DataError
from totalflex_env.types import Decision, Episode, Outcome, Params, Policy, Situation

METER_KWH = 1e-6
"""A meter this close to the set-point shows that it was followed."""


@dataclass
class Cycle:
    """One bridge and the day that it runs, one row of a batch.

    Of the episode it uses prices, weather, inflexible load and production. Whatever concerns a device (sessions,
    programmes, stored energy, temperatures, metered energy) comes from its telemetry.
    """

    params: Params
    episode: Episode
    policy: Policy
    link: Link
    epoch: int
    seq: int = 0
    notes: list[Note] = field(default_factory=list)

    def run(self) -> Outcome:
        """Run the day and return what came of it, every tensor [1, T, ...]."""
        check_descriptors(self.params, self.link)
        reported = self._tick(0)
        unseen = twin.unseen(self.episode.actual)
        episode = replace(self.episode, actual=twin.begin(self.params, unseen, reported))
        state = start(self.params, episode)
        outcomes = []
        for slot in range(episode.actual.spot.shape[1]):
            now = situation(self.params, episode, state)
            if slot == 0:
                self.policy.reset(now)
            decision = self._decide(now, reported)
            commands = self._command(decision, reported)
            reported = self._tick(slot + 1)
            self._check_applied(commands, reported)
            metered = decision.energy_kwh.new_tensor([[each.energy_kwh for each in reported]])
            state, outcome = realise(self.params, episode, state, decision, metered)
            outcomes.append(outcome)
            episode = replace(episode, actual=twin.learn(self.params, episode.actual, reported))
            state = replace(state, devices=twin.devices(self.params, episode.actual, reported))
        return batch.stack_slots(outcomes)

    def _tick(self, slot: int) -> tuple[Telemetry, ...]:
        return self.link.tick(Heartbeat(self.epoch, slot))

    def _decide(self, now: Situation, reported: Sequence[Telemetry]) -> Decision:
        """Return what the policy and the market decide, made safe."""
        action = self.policy.act(now)
        if not guard.sound(action):
            self.notes.append(Note(now.state.slot, "all devices", Reason.POLICY))
            action = guard.default(now)
        decision = decide(now, action)
        trusted = torch.tensor([trustworthy(each) for each in reported])
        energy, reasons = guard.within(now, decision.energy_kwh, trusted)
        for device, reason in reasons.items():
            detail = f"{float(decision.energy_kwh[0, device]):.4f} kWh, given {float(energy[0, device]):.4f} kWh"
            self.notes.append(Note(now.state.slot, self.link.devices[device], reason, detail))
        return replace(decision, energy_kwh=energy)

    def _command(self, decision: Decision, reported: Sequence[Telemetry]) -> list[Command]:
        """Command every device that can be trusted; the others are left to their own controllers."""
        energies, commands = decision.energy_kwh[0].tolist(), []
        for each, energy in zip(reported, energies, strict=True):
            if trustworthy(each):
                self.seq += 1
                commands.append(self._command_for(each, energy))
        for answer in self.link.command(commands):
            if answer.refused is not None:
                self.notes.append(Note(reported[0].slot, answer.device_id, Reason.REFUSED, answer.refused))
        return commands

    def _command_for(self, telemetry: Telemetry, energy: float) -> Command:
        return Command(
            cmd_id=f"{telemetry.device_id}-{self.epoch}-{self.seq}",
            device_id=telemetry.device_id,
            epoch=self.epoch,
            seq=self.seq,
            slot=telemetry.slot,
            energy_kwh=energy,
            basis=Basis(telemetry.boot_id, telemetry.seq),
            lease_ms=SLOT_MS,
        )

    def _check_applied(self, commands: Sequence[Command], reported: Sequence[Telemetry]) -> None:
        """A command counts as executed only when the meter says so."""
        metered = {each.device_id: each for each in reported}
        for command in commands:
            found = metered[command.device_id]
            if found.applied != command.cmd_id:
                self.notes.append(Note(command.slot, command.device_id, Reason.NOT_APPLIED))
            elif abs(found.energy_kwh - command.energy_kwh) > METER_KWH:
                detail = f"{found.energy_kwh:.4f} kWh, set-point {command.energy_kwh:.4f} kWh"
                self.notes.append(Note(command.slot, command.device_id, Reason.DEVIATED, detail))


def trustworthy(telemetry: Telemetry) -> bool:
    """Return whether a device may be commanded on what it reports."""
    return telemetry.quality == "ok"


def check_descriptors(params: Params, link: Link) -> None:
    """The devices must be those that the bridge plans with, else a DataError names the first difference."""
    for expected, found in zip(descriptors(params), link.describe(), strict=True):
        told = asdict(found)
        for name, value in asdict(expected).items():
            if told[name] != value:
                raise DataError(found.device_id, name, told[name], f"{value!r} as in the environment")
