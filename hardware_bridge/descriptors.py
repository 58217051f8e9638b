"""What the devices of a world are called and able to do, in the order of the engine's device axis N."""

from __future__ import annotations

from typing import get_args

import torch

from hardware_bridge.messages import Descriptor, Kind
from totalflex_env import fleet
from totalflex_env.devices.storage import Storage
from totalflex_env.errors import ConfigError
from totalflex_env.types import Params

KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
"""The kinds of devices for which there are messages."""


def descriptors(params: Params) -> tuple[Descriptor, ...]:
    """Return the descriptors of all N devices; a kind without messages is a ConfigError."""
    least, most = fleet.range_kwh(params)
    capacity, place = torch.zeros_like(most), fleet.find(params, Storage)
    if place is not None:
        capacity[place.at] = place.family.capacity_kwh.to(capacity)
    numbers = zip((least / params.slot_hours).tolist(), (most / params.slot_hours).tolist(), capacity.tolist())
    return tuple(
        Descriptor(f"{kind}-{number}", _known(kind, params), lower, upper, stored)
        for number, (kind, (lower, upper, stored)) in enumerate(zip(params.kinds, numbers, strict=True))
    )


def _known(kind: str, params: Params) -> Kind:
    if kind not in KINDS:
        field = f"devices.{kind.replace('-', '_')}.count"
        raise ConfigError(params.config.name, field, params.kinds.count(kind), "0, for there are no messages for it")
    return KINDS[kind]
