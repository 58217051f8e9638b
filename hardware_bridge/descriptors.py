"""What the devices of a world are called and able to do, in the order of the engine's device axis N."""

from __future__ import annotations

import torch

from hardware_bridge.messages import Descriptor, Kind
from totalflex_env.types import Params


def descriptors(params: Params) -> tuple[Descriptor, ...]:
    """Return the descriptors of all N devices: storages, then thermal devices, then appliances."""
    store, heat, wash = params.storage, params.thermal, params.appliance
    storages: list[Kind] = ["ev" if session else "battery" for session in store.session.tolist()]
    thermals: list[Kind] = ["heat-pump" if direction > 0.0 else "freezer" for direction in heat.direction.tolist()]
    appliances: list[Kind] = ["dishwasher"] * len(wash.house)
    kinds = storages + thermals + appliances
    most = torch.cat([store.charge_kwh, heat.power_kwh, wash.profile_kwh.amax(dim=1)])
    back, capacity = torch.zeros_like(most), torch.zeros_like(most)
    back[: len(store.house)], capacity[: len(store.house)] = store.discharge_kwh, store.capacity_kwh
    power = zip((-back / params.slot_hours).tolist(), (most / params.slot_hours).tolist(), strict=True)
    return tuple(
        Descriptor(f"{kind}-{number}", kind, lower, upper, stored)
        for number, (kind, (lower, upper), stored) in enumerate(zip(kinds, power, capacity.tolist(), strict=True))
    )
