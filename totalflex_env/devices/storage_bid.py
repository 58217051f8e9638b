"""What the scripted aggregator pays for storing: vehicles by the slots that are left, batteries by marginal values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.compiled import inlined
from totalflex_env.devices import marginal_values
from totalflex_env.devices.bidding import FACTOR, Bid, View, plan
from totalflex_env.devices.storage_program import Rates
from totalflex_env.kernels import kernel

PRICE_STEP = 0.05
URGENCY = 0.1
HEADROOM = 0.7
"""Logarithm of the factor on the headroom that the knob means at 1."""


@dataclass(frozen=True)
class Needs:
    """What vehicles have yet to draw in the session they are in, or in the next one."""

    arrival: Tensor  # [B, n] int64
    departure: Tensor  # [B, n] int64
    missing_kwh: Tensor  # [B, n] at the house, 0 for what is no vehicle
    charge_kwh: Tensor  # [n] most per slot that can be counted on
    unsure_price: Tensor  # [n] EUR/kWh, least worth of energy that later slots are not sure to bring
    session: Tensor  # [n] bool, is a vehicle

    def connected(self, slot: int) -> Tensor:
        """Return which vehicles are plugged in in `slot` [B, n] bool."""
        return (self.arrival <= slot) & (self.departure > slot) & self.session


@dataclass(frozen=True)
class Store:
    """What batteries are and hold; vehicles beside them are left out."""

    rates: Rates
    capacity_kwh: Tensor  # [n]
    stored_kwh: Tensor  # [B, n]


def bids(needs: Needs, store: Store, view: View[Any, Any]) -> Bid:
    """Return bids: a vehicle pays what charging later would cost, a battery what its energy will be worth."""
    target, worth = _of_vehicles(needs, view)
    bid = Bid(target, worth, worth.clone())
    charged, discharged = _rates(store.rates)
    filling = marginal_values.Filling(
        active=~needs.session,
        idle=store.stored_kwh / store.capacity_kwh,
        taking=(charged / store.capacity_kwh)[None],
        giving=(discharged / store.capacity_kwh)[None],
        units_taking=charged[None],
        units_giving=discharged[None],
    )
    marginal_values.write_bids(filling, view, torch.exp(FACTOR * view.knobs.battery_worth), bid)
    return plan(bid, torch.where(needs.session, view.knobs.vehicle_hold, view.knobs.battery_hold))


def battery_values(vehicle: Tensor, store: Store, spot: Tensor) -> Tensor:
    """Return the marginal value [B, T + 1, n, LEVELS] EUR/kWh of stored energy at the prices `spot` [B, T].

    At the end what is missing against `store.stored_kwh` is refilled at the mean price. A `vehicle` [n] has no value.
    """
    charged, discharged = _rates(store.rates)
    stores = marginal_values.Stores(
        active=~vehicle,
        kept=torch.ones_like(charged),
        stay=torch.ones_like(charged)[None, None],
        drift=torch.zeros_like(charged)[None, None],
        rise=(store.rates.charge_kwh * charged / store.capacity_kwh)[None, None],
        fall=(store.rates.discharge_kwh * discharged / store.capacity_kwh)[None, None],
        bought=charged[None, None],
        sold=store.rates.discharge_efficiency[None, None],
        began=store.stored_kwh / store.capacity_kwh,
        refill=spot.mean(dim=1).clamp(min=0.0)[:, None] / charged,
    )
    return marginal_values.slopes(stores, spot)


def _rates(rates: Rates) -> tuple[Tensor, Tensor]:
    """What a kWh at the house adds to the storage [n], and what one given back takes from it."""
    return rates.charge_efficiency, 1.0 / rates.discharge_efficiency


def _of_vehicles(needs: Needs, view: View[Any, Any]) -> tuple[Tensor, Tensor]:
    """Target [B, n] kWh and worth [B, n] EUR/kWh of vehicles: the price of charging later, more as slack runs out."""
    own, together = later_prices(needs, view, torch.exp(HEADROOM * view.knobs.vehicle_headroom))
    slack = (needs.departure - view.slot) - needs.missing_kwh / needs.charge_kwh
    urgent = view.knobs.vehicle_urgency * URGENCY * torch.exp(-slack.clamp(min=0.0) / 8.0)
    worth = torch.maximum(own, together) + PRICE_STEP * view.knobs.vehicle_worth + urgent
    return torch.where(worth > view.now[:, None], view.upper, view.lower), worth


def later_prices(needs: Needs, view: View[Any, Any], share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the price [B, n] that each vehicle would have to pay later, and the price [B, 1] that the fleet would.

    Alone a vehicle that waits charges in the cheapest later slots of its window. Together the vehicles fill
    `share` [B, 1] of the forecast headroom of the grid, from the cheapest slot on. Where slots do not suffice, it is
    the highest price, alone at least `unsure_price`.
    """
    own, together = torch.empty_like(needs.missing_kwh), torch.empty_like(share)
    inputs = [view.spot, view.cheapest, view.headroom_kwh, share, *vars(needs).values()]
    _later_prices([part.contiguous() for part in inputs], [own, together], view.spot.shape[1], [view.slot])
    return own, together


@inlined
def _later(row: int, cheapest: Any, slot: int, later: Any) -> int:
    """Lay out this slot and all later ones, the cheapest first; return their number."""
    count = 0
    for rank in range(cheapest.shape[1]):
        later[count] = cheapest[row, rank]
        count += int(later[count] >= slot)
    return count


@inlined
def _own_price(row: int, n: int, inputs: Any, slot: int, later: Any) -> float:
    spot, _, _, _, _, departure, missing, charge, unsure, _ = inputs
    wanted, last = missing[row, n] / charge[n] - 1e-6, slot
    for rank in range(len(later)):
        at = last = later[rank]
        if slot < at < departure[row, n]:
            wanted -= 1.0
        if wanted <= 0.0:
            return spot[row, last]  # type: ignore[no-any-return]
    return max(spot[row, last], unsure[n])  # type: ignore[no-any-return]


@inlined
def _price_together(row: int, inputs: Any, slot: int, later: Any) -> float:
    spot, _, headroom, share, arrival, departure, missing, charge, _, session = inputs
    wanted, last = 0.0, slot
    for n in range(len(charge)):
        wanted += missing[row, n]
    for rank in range(len(later)):
        at = last = later[rank]
        most, room = 0.0, share[row, 0] * headroom[row, at]
        for n in range(len(charge)):
            if most >= room:
                break  # more than enough
            if session[n] and at > slot and arrival[row, n] <= at < departure[row, n]:
                most += charge[n]
        wanted -= min(max(room, 0.0), most)
        if wanted <= 0.0:
            break
    return spot[row, last]  # type: ignore[no-any-return]


@kernel
def _later_prices(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    own, together = outputs
    for row in range(rows[0], rows[1], rows[2]):
        later = scratch[row % len(scratch)]
        count = _later(row, inputs[1], numbers[0], later)
        for n in range(own.shape[1]):
            own[row, n] = _own_price(row, n, inputs, numbers[0], later[:count])
        together[row, 0] = _price_together(row, inputs, numbers[0], later[:count])
