"""What the scripted aggregator pays for storing: vehicles by the slots that are left, batteries by marginal values.

For a store that is charged at a price, the value of its level is concave, and its slope v follows a closed form. With y
the level after an idle slot, P what full power adds and p the price per unit of level (Bellman's equation, derived):

    v_t(x) = retention * clamp(p_t, v_{t+1}(y + P), v_{t+1}(y))

so a store buys until the value of one more unit has fallen to the price. Slopes are kept on LEVELS equidistant levels
between empty and full and interpolated; beyond them they are very high or very low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.devices.bidding import (
    FACTOR,
    LEVELS,
    Bid,
    View,
    between,
    bought,
    market,
    plan,
    price_at,
    slope_at,
    steps,
)
from totalflex_env.devices.storage_program import Rates

PRICE_STEP = 0.05
URGENCY = 0.1
WALL = 10.0
"""EUR per unit of level beyond empty or full."""


@dataclass(frozen=True)
class Needs:
    """What vehicles have yet to draw in the session they are in, or in the next one."""

    arrival: Tensor  # [B, n] int64
    departure: Tensor  # [B, n] int64
    missing_kwh: Tensor  # [B, n] at the house, 0 for what is no vehicle
    charge_kwh: Tensor  # [n] most per slot
    session: Tensor  # [n] bool, is a vehicle

    def connected(self, slot: int) -> Tensor:
        """Return which vehicles are plugged in in `slot` [B, n] bool."""
        return (self.arrival <= slot) & (self.departure > slot) & self.session


def vehicles(needs: Needs, view: View[Any, Any]) -> Bid:
    """Return bids at the price that charging later would cost, and more as slack runs out."""
    own, together = later_prices(needs, view, torch.exp(0.7 * view.knobs.vehicle_headroom))
    slack = (needs.departure - view.slot) - needs.missing_kwh / needs.charge_kwh
    urgent = view.knobs.vehicle_urgency * URGENCY * torch.exp(-slack.clamp(min=0.0) / 8.0)
    worth = torch.maximum(own, together) + PRICE_STEP * view.knobs.vehicle_worth + urgent
    target = torch.where(worth > view.now[:, None], view.upper, view.lower)
    return plan(Bid(target, worth, worth), view.knobs.vehicle_hold)


def later_prices(needs: Needs, view: View[Any, Any], share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the price [B, n] that each vehicle would have to pay later, and the price [B, 1] that the fleet would.

    Alone a vehicle that waits charges in the cheapest later slots of its window. Together the vehicles fill
    `share` [B, 1] of the forecast headroom of the grid, from the cheapest slot on.
    """
    prices, missing = market(view), needs.missing_kwh
    when = prices.slot[:, None]
    later = (when > view.slot) & (when < needs.departure[..., None])
    slots_needed = torch.ceil(missing / needs.charge_kwh - 1e-6)
    own = price_at(prices, later.to(missing.dtype).cumsum(dim=2) < slots_needed[..., None])
    there = (later & (when >= needs.arrival[..., None])).to(missing.dtype)
    most = torch.einsum("s,bst->bt", needs.charge_kwh * needs.session, there)
    filled = torch.minimum((share * view.headroom_kwh).gather(1, prices.slot).clamp(min=0.0), most).cumsum(dim=1)
    return own, price_at(prices, (filled < missing.sum(dim=1, keepdim=True))[:, None])


def batteries(rates: Rates, fill: Tensor, view: View[Any, Any]) -> Bid:
    """Return bids that buy below and sell above what stored energy will be worth, losses included.

    `fill` [B, n, STEPS] is the stored share of the capacity after each step of energy between the limits.
    """
    value = slope_at(view.value[:, view.slot + 1], fill, 0.0)
    middle = between(steps(view.lower, view.upper))
    per_kwh = torch.where(middle > 0.0, rates.charge_efficiency[:, None], 1.0 / rates.discharge_efficiency[:, None])
    worth = between(value) * per_kwh * torch.exp(FACTOR * view.knobs.battery_worth)[..., None]
    return plan(bought(view, worth), view.knobs.battery_hold)


def battery_values(rates: Rates, capacity_kwh: Tensor, start_kwh: Tensor, spot: Tensor) -> Tensor:
    """Return the marginal value [B, T + 1, n, LEVELS] EUR/kWh of stored energy at the prices `spot` [B, T].

    At the end what is missing against `start_kwh` [B, n] is refilled at the mean price.
    """
    mean = spot.mean(dim=1).clamp(min=0.0)
    grid = torch.linspace(0.0, 1.0, LEVELS, dtype=mean.dtype, device=mean.device)
    missing = (grid < (start_kwh / capacity_kwh)[..., None] - 1e-9).to(grid.dtype)
    slopes = [missing * mean[:, None, None] / rates.charge_efficiency[:, None]]
    up = (rates.charge_kwh * rates.charge_efficiency / capacity_kwh)[:, None]
    down = (rates.discharge_kwh / rates.discharge_efficiency / capacity_kwh)[:, None]
    for slot in reversed(range(spot.shape[1])):
        here = slopes[-1]
        buy = (spot[:, slot, None] / rates.charge_efficiency)[..., None]
        sell = (spot[:, slot, None] * rates.discharge_efficiency)[..., None]
        charged = torch.maximum(buy, slope_at(here, (grid + up).expand_as(here), WALL))
        emptied = torch.minimum(sell, slope_at(here, (grid - down).expand_as(here), WALL))
        slopes.append(
            torch.where(
                here > buy, torch.minimum(charged, here), torch.where(here < sell, torch.maximum(emptied, here), here)
            )
        )
    return torch.stack(slopes[::-1], dim=1)
