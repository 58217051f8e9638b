"""What the scripted aggregator pays for heat and cold: the marginal value of a level in its comfort band.

The recursion is that of `storage_bid`, with the level that leaks away in a slot taken into account. Outside the band
comfort comes before any price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.devices.bidding import FACTOR, LEVELS, Bid, View, between, bought, plan, slope_at

COMFORT = 10.0
"""EUR per kelvin beyond the ends of the band."""


@dataclass(frozen=True)
class Store:
    """What slopes depend on, of n stores of heat or cold."""

    retention: Tensor  # [n]
    band: tuple[Tensor, Tensor]  # [n] levels at which a store is empty and full
    drift: Tensor  # [B, T, n] what comes from outside in a slot
    lift: Tensor  # [B, T, n] kelvin per kWh
    power_kwh: Tensor  # [n]
    began: Tensor  # [B, n] level at the start
    refill_kwh_per_k: Tensor  # [B, n] energy that a kelvin missing in the end costs


def values(store: Store, spot: Tensor) -> Tensor:
    """Return the marginal value [B, T + 1, n, LEVELS] EUR/K of levels in the band at the prices `spot` [B, T]."""
    empty, full = (level[:, None] for level in store.band)
    level = empty + torch.linspace(0.0, 1.0, LEVELS, dtype=spot.dtype, device=spot.device) * (full - empty)
    refill = spot.mean(dim=1).clamp(min=0.0)[:, None] * store.refill_kwh_per_k
    slopes = [refill[..., None] * (level < store.began[..., None] - 1e-9).to(level.dtype)]
    for slot in reversed(range(spot.shape[1])):
        lift = store.lift[:, slot, :, None]
        idle = (store.retention[:, None] * level + store.drift[:, slot, :, None] - empty) / (full - empty)
        most = idle + lift * store.power_kwh[:, None] / (full - empty)
        low, high = slope_at(slopes[-1], most, COMFORT), slope_at(slopes[-1], idle, COMFORT)
        price = spot[:, slot, None, None] / lift
        slopes.append(store.retention[:, None] * torch.minimum(torch.maximum(price, low), high))
    return torch.stack(slopes[::-1], dim=1)


def bid(fill: Tensor, lift: Tensor, view: View[Any, Any]) -> Bid:
    """Return bids at the value of heat.

    `fill` [B, n, STEPS] is the share of the band that is filled after each step of energy, `lift` [B, n, 1] the kelvin
    that one kWh brings.
    """
    value = slope_at(view.value[:, view.slot + 1], fill, 0.0)
    worth = between(value) * lift * torch.exp(FACTOR * view.knobs.heat_worth)[..., None]
    return plan(bought(view, worth), view.knobs.heat_hold)
