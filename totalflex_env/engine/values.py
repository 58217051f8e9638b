"""What stored energy is worth: the marginal value of a store's level in every slot, by backward recursion over prices.

For a store that is charged at a price, the value of its level is concave, and its slope v follows a closed form. With y
the level after an idle slot, P what full power adds and p the price per unit of level (Bellman's equation, derived):

    v_t(x) = retention * clamp(p_t, v_{t+1}(y + P), v_{t+1}(y))

so a store buys until the value of one more unit has fallen to the price. Slopes are kept on LEVELS equidistant levels
between empty and full and interpolated; outside a comfort band they are very high or very low.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.devices import thermal
from totalflex_env.types import Params, Scenario, StorageParams, ThermalParams

LEVELS = 17
OUTSIDE = 10.0
"""EUR per unit of level beyond empty or full: walls of a battery, and comfort that comes before any price."""


def stored_values(params: Params, expected: Scenario) -> tuple[Tensor, Tensor]:
    """Return the slopes [B, T + 1, S, LEVELS] EUR/kWh of storages and [B, T + 1, H, LEVELS] EUR/K of thermal devices.

    Rows of vehicles are without meaning: their value is that of the slots left (`dispatch.vehicle_price`).
    """
    mean = expected.spot.mean(dim=1).clamp(min=0.0)
    return _batteries(params.storage, expected, mean), _heat(params.thermal, expected, mean)


def slope_at(slopes: Tensor, fill: Tensor, outside: float) -> Tensor:
    """Return the slopes [..., LEVELS] at `fill` [..., n], 0 empty to 1 full; +-`outside` beyond the ends."""
    place = fill.clamp(0.0, 1.0) * (LEVELS - 1)
    below = place.floor().clamp(max=LEVELS - 2)
    index = below.long()
    value = torch.lerp(slopes.gather(-1, index), slopes.gather(-1, index + 1), place - below)
    slack = 1e-6
    return value + outside * ((fill < -slack).to(value.dtype) - (fill > 1.0 + slack).to(value.dtype))


def _heat(params: ThermalParams, expected: Scenario, mean: Tensor) -> Tensor:
    empty, full = thermal.level_band(params)
    grid = torch.linspace(0.0, 1.0, LEVELS, dtype=empty.dtype, device=empty.device)
    level = empty[:, None] + grid * (full - empty)[:, None]
    began = params.direction * expected.start_temperature
    refill = mean[:, None] * params.capacity_kwh_per_k / expected.cop.mean(dim=1)
    slopes = [refill[..., None] * (level < began[..., None] - 1e-9).to(level.dtype)]
    for slot in reversed(range(expected.spot.shape[1])):
        lift = params.kelvin_per_kwh * expected.cop[:, slot]
        after = thermal.idle_level(params, level.T[:, None], expected.ambient[:, slot])
        idle = ((after - empty) / (full - empty)).movedim(0, -1)
        most = idle + (lift * params.power_kwh / (full - empty))[..., None]
        price = (expected.spot[:, slot, None] / lift)[..., None]
        high, low = slope_at(slopes[-1], idle, OUTSIDE), slope_at(slopes[-1], most, OUTSIDE)
        slopes.append(params.retention[:, None] * torch.minimum(torch.maximum(price, low), high))
    return torch.stack(slopes[::-1], dim=1)


def _batteries(params: StorageParams, expected: Scenario, mean: Tensor) -> Tensor:
    grid = torch.linspace(0.0, 1.0, LEVELS, dtype=mean.dtype, device=mean.device)
    missing = (grid < (expected.stored_kwh / params.capacity_kwh)[..., None] - 1e-9).to(grid.dtype)
    slopes = [missing * mean[:, None, None] / params.charge_efficiency[:, None]]
    up = (params.charge_kwh * params.charge_efficiency / params.capacity_kwh)[:, None]
    down = (params.discharge_kwh / params.discharge_efficiency / params.capacity_kwh)[:, None]
    for slot in reversed(range(expected.spot.shape[1])):
        here = slopes[-1]
        buy = (expected.spot[:, slot, None] / params.charge_efficiency)[..., None]
        sell = (expected.spot[:, slot, None] * params.discharge_efficiency)[..., None]
        charged = torch.maximum(buy, slope_at(here, (grid + up).expand_as(here), OUTSIDE))
        emptied = torch.minimum(sell, slope_at(here, (grid - down).expand_as(here), OUTSIDE))
        slopes.append(
            torch.where(
                here > buy, torch.minimum(charged, here), torch.where(here < sell, torch.maximum(emptied, here), here)
            )
        )
    return torch.stack(slopes[::-1], dim=1)
