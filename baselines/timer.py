"""The timer: what a practitioner would install, with a clock and a look at what is plugged in, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.storage import Storage
from totalflex_env.engine import scripted
from totalflex_env.types import Action, Params, Situation

NIGHT = (0.0, 6.0)
"""Local hours in which vehicles charge."""

TRANSFORMER_SHARE = 0.4
"""Share of the rating next to the root that all vehicles together may draw."""


class Timer:
    """Vehicles at home charge at night and share a fixed part of the transformer; all other devices are left alone."""

    def reset(self, situation: Situation) -> None:
        """Nothing is remembered."""

    def act(self, situation: Situation) -> Action:
        """Return the action of the clock; the limits still make every vehicle ready in time."""
        params, wanted = situation.params, situation.default.clone()
        place = fleet.find(params, Storage)
        if place is not None:
            lower, upper = situation.lower[:, place.at], situation.upper[:, place.at]
            vehicles = place.family.session & (place.family.park < 0)
            waiting = (upper > 0.0) & vehicles
            share = budget_kwh(params) / waiting.sum(dim=1, keepdim=True).clamp(min=1)
            charge = torch.minimum(upper, share.to(upper)) if is_night(params, situation.state.slot) else lower
            wanted[:, place.at] = torch.where(vehicles, charge, wanted[:, place.at])
        return scripted.untraded(situation, wanted)


def is_night(params: Params, slot: int) -> bool:
    """Return whether the timer has switched on in `slot`."""
    hour = (params.config.scenario.start_hour + slot * params.slot_hours) % 24.0
    return NIGHT[0] <= hour < NIGHT[1]


def budget_kwh(params: Params) -> Tensor:
    """Return the energy [] kWh per slot that all vehicles together may draw; without end where nothing can overload."""
    if len(params.limited) == 0:
        return torch.tensor(torch.inf)
    return params.grid.rating_kva[params.limited[-1]] * TRANSFORMER_SHARE * params.slot_hours
