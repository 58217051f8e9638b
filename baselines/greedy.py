"""Price-greedy devices: each follows the spot price alone, knows no neighbours and no grid, and sells nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.devices import fleet
from totalflex_env.engine import scripted
from totalflex_env.types import Action, Situation

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
        wanted = torch.cat([_storages(situation), _heat(situation), _appliances(situation)], dim=1)
        return scripted.untraded(situation, wanted)


def _storages(situation: Situation) -> Tensor:
    """Vehicles charge if this slot is among the cheapest ones they need; batteries by the rank of the price."""
    params, slot, spot = situation.params.storage, situation.state.slot, situation.outlook.spot
    lower, upper = (fleet.split(situation.params, bound)[0] for bound in (situation.lower, situation.upper))
    missing = (situation.present.need_kwh - situation.state.devices.stored_kwh).clamp(min=0.0)
    slots_needed = torch.ceil(missing / (params.charge_kwh * params.charge_efficiency) - 1e-6)
    ahead = spot[:, None, slot:]
    stays = torch.arange(slot, spot.shape[1], device=spot.device) < situation.present.departure[..., None]
    cheaper = ((ahead < spot[:, slot, None, None]) & stays).sum(dim=2)
    vehicle = torch.where(cheaper < slots_needed, upper, lower)
    low, high = _rank_prices(situation)
    now = spot[:, slot : slot + 1]
    battery = torch.where(now <= low, upper, torch.where(now >= high, lower, torch.zeros_like(upper)))
    return torch.where(params.session, vehicle, battery)


def _rank_prices(situation: Situation) -> tuple[Tensor, Tensor]:
    """Return the prices [B, S] below which batteries buy and above which they sell, losses and refilling paid for."""
    params, slot, spot = situation.params.storage, situation.state.slot, situation.outlook.spot
    ahead = spot[:, slot : slot + round(BATTERY_HOURS / situation.params.slot_hours)].sort(dim=1).values
    rank = int(BATTERY_SHARE * (ahead.shape[1] - 1))
    efficiency = params.charge_efficiency * params.discharge_efficiency
    mean = spot.mean(dim=1, keepdim=True).clamp(min=0.0)
    high = torch.maximum(ahead[:, -1 - rank :][:, :1], mean / efficiency)
    return torch.minimum(ahead[:, rank : rank + 1], high * efficiency), high


def _heat(situation: Situation) -> Tensor:
    """Heat pumps and freezers run as much as they may while the price is low, and as little as they may otherwise."""
    slot, spot = situation.state.slot, situation.outlook.spot
    lower, upper = (fleet.split(situation.params, bound)[1] for bound in (situation.lower, situation.upper))
    coming = spot[:, slot : slot + round(HEAT_HOURS / situation.params.slot_hours)]
    cheap = spot[:, slot] <= coming.median(dim=1).values
    return torch.where(cheap[:, None], upper, lower)


def _appliances(situation: Situation) -> Tensor:
    """A programme starts in the slot from which it costs least, delays included."""
    params, slot, spot = situation.params.appliance, situation.state.slot, situation.outlook.spot
    lower, upper = (fleet.split(situation.params, bound)[2] for bound in (situation.lower, situation.upper))
    if lower.shape[1] == 0:
        return lower
    steps = params.profile_kwh.shape[1]
    padded = torch.cat([spot[:, slot:], spot[:, -1:].expand(-1, steps - 1)], dim=1)
    later = torch.arange(spot.shape[1] - slot, device=spot.device)
    cost = (
        torch.einsum("btd,ad->bat", padded.unfold(1, steps, 1), params.profile_kwh)
        + later * params.delay_price[:, None]
    )
    allowed = (later == 0) | (slot + later <= situation.present.latest[..., None])
    best = cost.masked_fill(~allowed, torch.inf).argmin(dim=2)
    return torch.where(best == 0, upper, lower)
