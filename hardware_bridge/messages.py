"""Messages between bridge and devices: JSON with known fields, finite bounded numbers and short names, or refused.

Energies are kWh per slot, consumption positive; powers kW; temperatures degrees Celsius; times slots of the episode.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from hardware_bridge.topics import Channel
from totalflex_env.errors import DataError
from totalflex_env.units import SLOT_HOURS

MOST_BYTES = 16_384
SLOT_MS = round(SLOT_HOURS * 3_600_000)
"""A slot on the clocks of devices."""

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Energy = Annotated[float, Meta(ge=-1e4, le=1e4)]
Power = Annotated[float, Meta(ge=-1e5, le=1e5)]
Stored = Annotated[float, Meta(ge=-1e-6, le=1e6)]  # rounding may leave a hair less than nothing
Temperature = Annotated[float, Meta(ge=-100.0, le=200.0)]
Kind = Literal["ev", "battery", "heat-pump", "freezer", "dishwasher"]
Refusal = Literal["old-epoch", "old-sequence", "wrong-slot", "stale-basis"]


class Descriptor(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device is; retained."""

    device_id: Name
    kind: Kind
    lower_kw: Power
    upper_kw: Power
    capacity_kwh: Stored  # 0 for what stores no electricity
    fallback: Literal["local"] = "local"  # without a command: the device's own controller
    v: Literal[1] = 1


class Session(Struct, frozen=True, forbid_unknown_fields=True):
    """The session of a storage that is connected."""

    arrival: Count
    departure: Count  # first slot in which it is gone
    need_kwh: Stored


class StorageReading(Struct, frozen=True, forbid_unknown_fields=True, tag="storage"):
    """A vehicle or a battery."""

    stored_kwh: Stored
    session: Session | None


class ThermalReading(Struct, frozen=True, forbid_unknown_fields=True, tag="thermal"):
    """A heat pump's house or a freezer."""

    temperature_c: Temperature


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """When the programme of a loaded machine may start: first and last slot."""

    ready: Count
    latest: Count


class ApplianceReading(Struct, frozen=True, forbid_unknown_fields=True, tag="appliance"):
    """A machine with a programme."""

    started: Count | None  # slot
    window: Window | None  # None until it is loaded


class Telemetry(Struct, frozen=True, forbid_unknown_fields=True):
    """The state of a device at the start of `slot`, and what it metered in the slot before."""

    device_id: Name
    boot_id: Name
    seq: Count
    slot: Count
    up_ms: Count  # the device's own clock
    energy_kwh: Energy
    reading: StorageReading | ThermalReading | ApplianceReading
    quality: Literal["ok", "estimated", "stale"]
    applied: Name | None  # the command that the metered energy came of, None for the device's own controller
    v: Literal[1] = 1


class Basis(Struct, frozen=True, forbid_unknown_fields=True):
    """The telemetry that a command was decided on."""

    boot_id: Name
    seq: Count


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """The energy that a device is to take in `slot`."""

    cmd_id: Name
    device_id: Name
    epoch: Count
    seq: Count
    slot: Count
    energy_kwh: Energy
    basis: Basis
    lease_ms: Count  # on the device's own clock from acceptance; then its own controller takes over
    v: Literal[1] = 1


class Acknowledgement(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer of a device to a command. That it was executed is shown by the meter alone."""

    cmd_id: Name
    device_id: Name
    boot_id: Name
    epoch: Count
    seq: Count
    refused: Refusal | None
    duplicate: bool  # the command had been answered before and was not executed again
    v: Literal[1] = 1


class Status(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a party is there; retained."""

    state: Literal["ready", "disconnected", "lost"]
    boot_id: Name
    v: Literal[1] = 1


class Heartbeat(Struct, frozen=True, forbid_unknown_fields=True):
    """The clock: `slot` begins. Devices end the slot before it and report."""

    epoch: Count
    slot: Count
    v: Literal[1] = 1


Message = Descriptor | Telemetry | Command | Acknowledgement | Status | Heartbeat

TYPES: dict[Channel, type[Message]] = {
    Channel.STATUS: Status,
    Channel.HEARTBEAT: Heartbeat,
    Channel.DESCRIPTOR: Descriptor,
    Channel.TELEMETRY: Telemetry,
    Channel.COMMAND: Command,
    Channel.ACKNOWLEDGEMENT: Acknowledgement,
}


def encode(message: Message) -> bytes:
    """Return a message as JSON; one that its reader would refuse (a number that is not finite) is a DataError here."""
    payload = msgspec.json.encode(message)
    read(type(message), payload)
    return payload


def decode(channel: Channel, payload: bytes) -> Message:
    """Return the message that a channel carries; anything else is a DataError."""
    return read(TYPES[channel], payload)


def read(kind: type[Message], payload: bytes) -> Message:
    """Return the message of that kind, or raise a DataError that names the field."""
    if len(payload) > MOST_BYTES:
        raise DataError(kind.__name__, "message", f"{len(payload)} bytes", f"at most {MOST_BYTES}")
    try:
        message: Message = msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem, _, field = str(error).partition(" - at `$.")
        shown = payload.decode("utf-8", "replace")
        raise DataError(kind.__name__, field.rstrip("`") or "message", shown, f"a valid message ({problem})") from error
    return message
