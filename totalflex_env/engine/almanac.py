"""What the day-ahead gate tells of every slot of an episode, prepared once: features of clock, prices and grid.

Prices are in units of PRICE_UNIT, energies relative to what the grid carries at its rating.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from totalflex_env.market import orders
from totalflex_env.types import Params
from totalflex_env.units import SLOTS_PER_HOUR

PRICE_UNIT = 0.1
ALMANAC_FEATURES = (
    "hour_sine", "hour_cosine", "progress",
    "spot", "spot_step_1h", "spot_step_2h", "spot_step_4h", "spot_step_8h", "spot_mean_left",
    "cheapness_8h", "cheapness_2h", "headroom", "headroom_min_2h", "headroom_min_8h", "heat_holding",
)  # fmt: skip


def headroom(params: Params, load_kwh: Tensor, holding_kwh: Tensor) -> Tensor:
    """Return the energy [B, T] kWh that the element next to the root can still carry beyond expected load and heat."""
    if len(params.limited) == 0:
        return torch.full_like(load_kwh, torch.inf)
    limit = orders.limit_kva(params)[-1:] * params.config.market.dso_share * params.slot_hours
    return limit - load_kwh - holding_kwh


def energy_scale(params: Params) -> Tensor:
    """Return the energy per slot [1] kWh that the whole grid carries at its rating, the unit of fleet energies."""
    rating = orders.limit_kva(params)[-1:] if len(params.limited) else params.grid.rating_kva.amin()[None]
    return rating * params.slot_hours


def features(params: Params, spot: Tensor, headroom_kwh: Tensor, holding_kwh: Tensor) -> Tensor:
    """Return the features [B, T, F] of every slot; spot prices, headroom and holding energies are [B, T]."""
    slots, scale, price = spot.shape[1], energy_scale(params), spot / PRICE_UNIT
    time = torch.arange(slots, dtype=spot.dtype, device=spot.device)
    angle = 2.0 * math.pi * (params.config.scenario.start_hour + time * params.slot_hours) / 24.0
    room = headroom_kwh.clamp(-scale, scale) / scale
    left = price.flip(1).cumsum(dim=1).flip(1) / (slots - time)
    columns = (
        *(each.expand_as(spot) for each in (torch.sin(angle), torch.cos(angle), time / slots)),
        price,
        *(_later(price, hours) - price for hours in (1, 2, 4, 8)),
        left - price,
        *(_cheapness(spot, hours) for hours in (8, 2)),
        room,
        *(_windows(room, torch.inf, hours).amin(dim=2) for hours in (2, 8)),
        holding_kwh / scale,
    )
    return torch.stack(columns, dim=2)


def _later(price: Tensor, hours: int) -> Tensor:
    """The price [B, T] so many hours later, the last one where the episode ends before."""
    ahead = price[:, hours * SLOTS_PER_HOUR :]
    return torch.cat([ahead, price[:, -1:].expand(-1, price.shape[1] - ahead.shape[1])], dim=1)


def _windows(series: Tensor, filler: float, hours: int) -> Tensor:
    """The slots [B, T, window] of a series [B, T] that begin with each of its slots; `filler` beyond the end."""
    window = hours * SLOTS_PER_HOUR
    return torch.nn.functional.pad(series, (0, window - 1), value=filler).unfold(1, window, 1)


def _cheapness(spot: Tensor, hours: int) -> Tensor:
    """The share [B, T] of the coming slots in a window with a price above the present one, half if none is left."""
    ahead = _windows(torch.nn.functional.pad(spot[:, 1:], (0, 1), value=torch.nan), torch.nan, hours)
    now, number = spot[..., None], (~ahead.isnan()).sum(dim=2)
    dearer = ((ahead > now).to(spot.dtype) + 0.5 * (ahead == now).to(spot.dtype)).sum(dim=2)
    return torch.where(number > 0, dearer / number.clamp(min=1), 0.5)
