"""The agent of one device: decides which command the device obeys. It knows neither MQTT nor physics."""

from __future__ import annotations

from dataclasses import dataclass

from hardware_bridge.messages import Acknowledgement, Command, Refusal, Telemetry


@dataclass
class DeviceAgent:
    """Executes every command once, only the newest bridge's, only on its own latest telemetry, only for its lease."""

    device_id: str
    boot_id: str
    epoch: int = 0  # highest seen
    seq: int = 0  # of the last command accepted in this epoch
    reported: Telemetry | None = None  # the latest
    command: Command | None = None
    lease_end_ms: int = 0
    last: Acknowledgement | None = None

    def receive(self, command: Command, now_ms: int) -> Acknowledgement:
        """Return the answer to a command; accepted, it is in force from now on."""
        if self.last is not None and command.cmd_id == self.last.cmd_id:
            return self._answer(command, self.last.refused, duplicate=True)
        refused = self._refusal(command)
        if refused is None:
            self.heed(command.epoch)
            self.command, self.seq = command, command.seq
            self.lease_end_ms = now_ms + command.lease_ms
        self.last = self._answer(command, refused, duplicate=False)
        return self.last

    def heed(self, epoch: int) -> bool:
        """Return whether a bridge is the newest one seen; commands of earlier ones are refused from now on."""
        if epoch > self.epoch:
            self.epoch, self.seq, self.command = epoch, 0, None
        return epoch == self.epoch

    def in_force(self, slot: int, now_ms: int) -> Command | None:
        """Return the command that holds in `slot`, None when the device is left to its own controller."""
        if self.command is None or self.command.slot != slot or now_ms >= self.lease_end_ms:
            return None
        return self.command

    def _refusal(self, command: Command) -> Refusal | None:
        if command.epoch < self.epoch:
            return "old-epoch"
        if command.epoch == self.epoch and command.seq <= self.seq:
            return "old-sequence"
        known = self.reported
        if known is None or (command.basis.boot_id, command.basis.seq) != (self.boot_id, known.seq):
            return "stale-basis"
        return None if command.slot == known.slot else "wrong-slot"

    def _answer(self, command: Command, refused: Refusal | None, duplicate: bool) -> Acknowledgement:
        return Acknowledgement(
            cmd_id=command.cmd_id,
            device_id=self.device_id,
            boot_id=self.boot_id,
            epoch=command.epoch,
            seq=command.seq,
            refused=refused,
            duplicate=duplicate,
        )
