"""What the scripted aggregator pays for heat and cold: the marginal value of a level in its comfort band, in EUR/K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.devices import marginal_values
from totalflex_env.devices.bidding import FACTOR, Bid, View, plan


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
    empty, full = store.band
    width, nothing = full - empty, torch.zeros_like(empty)[None, None]
    stores = marginal_values.Stores(
        active=width > 0.0,
        kept=store.retention,
        stay=store.retention[None, None],
        drift=(store.drift - (1.0 - store.retention) * empty) / width,
        rise=store.lift * store.power_kwh / width,
        fall=nothing,
        bought=store.lift,
        sold=nothing,
        began=(store.began - empty) / width,
        refill=spot.mean(dim=1).clamp(min=0.0)[:, None] * store.refill_kwh_per_k,
    )
    return marginal_values.slopes(stores, spot)


def bid(idle: Tensor, lift: Tensor, band: tuple[Tensor, Tensor], view: View[Any, Any]) -> Bid:
    """Return bids at the value of heat; a slot without energy ends at `idle` [B, n], and `lift` [B, n] is K per kWh."""
    empty, full = band
    width, per_kwh = full - empty, lift / (full - empty)
    bid = Bid(*(torch.empty_like(view.lower) for _ in range(3)))
    filling = marginal_values.Filling(
        active=width > 0.0,
        idle=(idle - empty) / width,
        taking=per_kwh,
        giving=per_kwh,
        units_taking=lift,
        units_giving=lift,
    )
    marginal_values.write_bids(filling, view, torch.exp(FACTOR * view.knobs.heat_worth), bid)
    return plan(bid, view.knobs.heat_hold)
