"""How far the net consumption may come off what is planned."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.scenario.uncertainty import SHARED_LOAD_ERROR
from totalflex_env.types import Params, Scenario

WIND_RATING = 3.0
"""Rating of a wind park by its mean output."""


def deviation(params: Params, scenario: Scenario, slot: int) -> Tensor:
    """Return the standard deviation [T] kWh of the net consumption of the one row of `scenario` as forecast at `slot`.

    Errors of load and wind are autoregressive: known ones fade and new ones add up with the lead time.
    """
    errors, slots = params.config.forecast, scenario.spot.shape[1]
    hours = (torch.arange(slots) - slot + 1).clamp(min=0) * params.slot_hours
    new_load, new_wind = (1.0 - torch.exp(-2.0 * hours / error.memory_h) for error in (errors.load, errors.wind))
    alone, together = scenario.base_kwh[0].square().sum(dim=1), scenario.base_kwh[0].sum(dim=1).square()
    load = errors.load.deviation**2 * new_load * torch.lerp(alone, together, SHARED_LOAD_ERROR)
    rating = WIND_RATING * scenario.wind_kwh[0].mean()
    return (load + new_wind * (errors.wind.deviation * rating).square()).sqrt()
