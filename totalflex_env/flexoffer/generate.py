"""What the devices of one row can offer for the rest of the horizon.

Every offer holds what the device does left alone, and every assignment of it keeps the device inside its limits and, in
the weather of the forecast, inside its comfort band. Where losses or leakage do not fit bounds on cumulative energy,
the offer holds less than the device could do (an inner approximation), never more.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from totalflex_env import fleet
from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import concatenate, tighten, tolerance
from totalflex_env.trade_types import FlexOfferBatch
from totalflex_env.types import Forecast, Params, State


def generate(params: Params, forecast: Forecast, state: State, row: int = 0) -> FlexOfferBatch:
    """Return the flex-offers of the devices of one row, tightened, from `forecast.slot` to the end of the horizon.

    Left out are devices with nothing to offer: vehicles away or full, programmes that have ended. A price stands only
    on putting off a programme. Answer and assignment are due before the default would start.
    """
    index = torch.tensor([row], device=params.house.device)
    scenario, devices = take_rows(forecast.scenario, index), take_rows(state.devices, index)
    nowhere = torch.zeros_like(scenario.spot[0], dtype=torch.bool)
    guards = fleet.guards(params, scenario)
    parts, first = [], 0
    for family, rest in zip(params.families, fleet.rests(params, scenario, devices, guards, forecast.slot, nowhere)):
        offers = family.offer(rest)
        parts.append(replace(offers, device=offers.device + first))
        first += len(family.house)
    offers = tighten(concatenate(parts))
    largest = torch.maximum(offers.lower.abs(), offers.upper.abs()).amax(1)
    return take_rows(offers, largest > tolerance(largest))
