"""Price-greedy devices: each follows the spot price alone, knows no neighbours and no grid, and sells nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from totalflex_env.devices.appliance import Appliance, Started, Windows
from totalflex_env.devices.bidding import View
from totalflex_env.devices.family import Family
from totalflex_env.devices.sessions import Sessions, coming
from totalflex_env.devices.storage import Storage, Stored
from totalflex_env.devices.thermal import Climate, Thermal, Warmth
from totalflex_env.devices.zone import Zone
from totalflex_env.engine import dispatch, scripted
from totalflex_env.types import Action, Situation
from totalflex_env.units import SLOT_HOURS

HEAT_HOURS = 4.0
"""Houses keep heat for some hours: a price is low if it is below the median of this many coming hours."""

BATTERY_HOURS = 12.0
BATTERY_SHARE = 1.0 / 6.0
"""Batteries charge in the cheapest share of the coming hours and discharge in the dearest."""


class PriceGreedy:
    """Vehicles take the cheapest slots of their stay, heat is made ahead while cheap, batteries arbitrage."""

    def reset(self, situation: Situation) -> None:
        """Nothing is remembered."""

    def act(self, situation: Situation) -> Action:
        """Return the action in which every device answers the spot price."""
        nothing = situation.lower.new_zeros(len(situation.lower), len(dispatch.AGGREGATOR_CONTROLS))
        wanted = [
            _wanted(family, view) for family, view in zip(situation.params.families, dispatch.views(situation, nothing))
        ]
        return scripted.untraded(situation, torch.cat([situation.lower[:, :0], *wanted], dim=1))


def _wanted(family: Family[Any, Any, Any], view: View[Any, Any]) -> Tensor:
    """Return the energy [B, n] kWh that devices of a family want; a family without a rule is left alone."""
    if isinstance(family, Storage):
        return _storages(family, view)
    if isinstance(family, Thermal):
        return _heat(view)
    if isinstance(family, Appliance):
        return _appliances(family, view)
    if isinstance(family, Zone):
        return family.bid(view).target_kwh  # bands that change with the hour need more than a rule of thumb
    return view.default


def _storages(storage: Storage, view: View[Sessions, Stored]) -> Tensor:
    """Vehicles charge if this slot is among the cheapest ones they need; batteries by the rank of the price."""
    session = coming(view.present, view.slot)
    missing = (session.need_kwh - storage.stored(view.state, view.present, view.slot)).clamp(min=0.0)
    slots_needed = torch.ceil(missing / (storage.charge_kwh * storage.charge_efficiency) - 1e-6)
    ahead = view.spot[:, None, view.slot :]
    stays = torch.arange(view.slot, view.spot.shape[1], device=view.spot.device) < session.departure[..., None]
    cheaper = ((ahead < view.spot[:, view.slot, None, None]) & stays).sum(dim=2)
    vehicle = torch.where(cheaper < slots_needed, view.upper, view.lower)
    low, high = _rank_prices(storage, view)
    now, rest = view.spot[:, view.slot : view.slot + 1], torch.zeros_like(view.upper)
    battery = torch.where(now <= low, view.upper, torch.where(now >= high, view.lower, rest))
    return torch.where(storage.session, vehicle, battery)


def _rank_prices(storage: Storage, view: View[Sessions, Stored]) -> tuple[Tensor, Tensor]:
    """Return the prices [B, n] below which batteries buy and above which they sell, losses and refilling paid for."""
    ahead = view.spot[:, view.slot : view.slot + round(BATTERY_HOURS / SLOT_HOURS)].sort(dim=1).values
    rank = int(BATTERY_SHARE * (ahead.shape[1] - 1))
    efficiency = storage.charge_efficiency * storage.discharge_efficiency
    mean = view.spot.mean(dim=1, keepdim=True).clamp(min=0.0)
    high = torch.maximum(ahead[:, -1 - rank :][:, :1], mean / efficiency)
    return torch.minimum(ahead[:, rank : rank + 1], high * efficiency), high


def _heat(view: View[Climate, Warmth]) -> Tensor:
    """Heat pumps and freezers run as much as they may while the price is low, and as little as they may otherwise."""
    coming_prices = view.spot[:, view.slot : view.slot + round(HEAT_HOURS / SLOT_HOURS)]
    cheap = view.spot[:, view.slot] <= coming_prices.median(dim=1).values
    return torch.where(cheap[:, None], view.upper, view.lower)


def _appliances(machines: Appliance, view: View[Windows, Started]) -> Tensor:
    """A programme starts in the slot from which it costs least, delays included."""
    profile, latest = machines.waiting(view)
    costs = machines.start_costs(profile, view)
    later = torch.arange(costs.shape[2], device=costs.device)
    allowed = (later == 0) | (view.slot + later <= latest[..., None])
    best = costs.masked_fill(~allowed, torch.inf).argmin(dim=2)
    return torch.where(best == 0, view.upper, view.lower)
