"""Who pays whom for a slot: double-entry bookings in whole micro-EUR, and what they leave to each role.

Prices (micro-EUR/kWh) and energies (mWh) are whole numbers before they are multiplied. Every booking is rounded once,
halves up, and enters two accounts with opposite signs, so the balances of a row sum to exactly 0. Products of price and
energy fit into an int64 up to 4 EUR/kWh times 2 GWh in a slot.

Only money that changes hands is booked. The world outside is the spot market and the imbalance settlement. Discomfort,
missing stored energy, overloads and voltages are costs that nobody invoices: `rewards` takes them off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.trade_types import Ledger
from totalflex_env.types import Costs, Decision, Params, Rewards
from totalflex_env.units import from_micro_eur, to_micro_eur, to_mwh_integer

_MICRO = 1_000_000  # mWh per kWh, and parts of a share


@dataclass(frozen=True)
class Delivery:
    """What the meters say of a slot, and the prices at which the world outside settles it."""

    energy_kwh: Tensor  # [B, N] devices
    house_kwh: Tensor  # [B, P] inflexible consumption less PV
    wind_kwh: Tensor  # [B]
    nomination_kwh: Tensor  # [B] net consumption bought day-ahead
    spot: Tensor  # [B] EUR/kWh
    up: Tensor  # [B] EUR/kWh, for energy short of the nomination
    down: Tensor  # [B] EUR/kWh, for energy beyond it


def settle(params: Params, decision: Decision, delivery: Delivery) -> Ledger:
    """Book a slot.

    Retail: a house pays the BRP the spot price for its inflexible load and its position (untraded: its metered energy).
    Flexibility: for awarded energy the aggregator pays the BRP the balance price and the DSO the grid price, and the
    house pays the aggregator its share of both; for energy given away all three are turned around.
    Non-delivery: the BRP bears the imbalance of a house that misses its award, so the house pays the BRP the balance
    price for the energy it took beyond the award, and a penalty for missing it either way.
    Wholesale: the BRP pays the world outside for the nomination and the imbalance.
    """
    rules = params.config.market
    metered = _by_house(params, to_mwh_integer(delivery.energy_kwh))
    position = _by_house(params, to_mwh_integer(decision.position_kwh)) if decision.traded else metered
    award = _by_house(params, decision.award_mwh)
    missed = metered - position - award
    fixed = to_mwh_integer(delivery.house_kwh)
    balance_price = decision.balance_price[:, None]

    retail = _money(to_micro_eur(delivery.spot)[:, None] * (position + fixed))
    balance = _money(balance_price * award)
    grid = _money(decision.grid_price * award)
    shared = _money((balance + grid) * (_MICRO - round(rules.aggregator_share * _MICRO)))
    penalty = _money(balance_price * missed + round(rules.non_delivery_price * _MICRO) * missed.abs())
    wholesale = _wholesale(delivery, (metered + fixed).sum(1))

    aggregator = (shared - balance - grid).sum(1)
    brp = (retail + balance + penalty).sum(1) - wholesale
    others = torch.stack([aggregator, brp, grid.sum(1), wholesale], 1)
    booked = torch.cat([retail, balance, grid, shared, penalty, wholesale[:, None]], 1)
    return Ledger(torch.cat([-retail - shared - penalty, others], 1), booked.abs().sum(1))


def residual(ledger: Ledger) -> Tensor:
    """Return what the bookings fail to balance by, [B] int64 micro-EUR: exactly 0."""
    return ledger.balance.sum(1)


def rewards(ledger: Ledger, costs: Costs, house_cost: Tensor) -> Rewards:
    """Return the money of each role, EUR: its account less what it suffers itself.

    `house_cost` [B, P] is discomfort and missing stored energy by house; it sums to those of `costs`. Then the roles
    sum to minus the system cost, up to the rounding of prices and energies to millionths: within 1e-3 EUR as long as
    nomination and imbalance together stay below 1 MWh in a slot.
    """
    houses = house_cost.shape[1]
    money = from_micro_eur(ledger.balance).to(house_cost.dtype)
    aggregator, brp, dso, _ = money[:, houses:].unbind(1)
    return Rewards(money[:, :houses] - house_cost, aggregator, brp, dso - costs.overload - costs.voltage)


def delivery_payment(base: Tensor, ordered: Tensor, metered: Tensor, price: Tensor, penalty: Tensor) -> Tensor:
    """Return what an ordered change earns by the rule of USEF, of any shape: price * delivered - penalty * missing.

    A positive order is a reduction below the base: delivered = min(max(base - metered, 0), ordered) and
    missing = max(metered - (base - ordered), 0). A negative order is an increase and paid as the mirror image.
    """
    change = (base - metered) * ordered.sign()
    delivered = change.clamp(min=0).minimum(ordered.abs())
    missing = (ordered.abs() - change).clamp(min=0)
    return price * delivered - penalty * missing


def _by_house(params: Params, energy: Tensor) -> Tensor:
    """Sum the devices [B, N] of each house [B, P], mWh."""
    return energy.new_zeros(len(energy), len(params.node)).index_add(1, params.house, energy)


def _money(product: Tensor) -> Tensor:
    """A product that counts in millionths of a micro-EUR, as whole micro-EUR, halves up; any shape, int64."""
    return torch.div(product + _MICRO // 2, _MICRO, rounding_mode="floor")


def _wholesale(delivery: Delivery, consumption: Tensor) -> Tensor:
    """What the BRP pays the world outside [B] when its houses consume this much [B] mWh."""
    nomination = to_mwh_integer(delivery.nomination_kwh)
    beyond = consumption - to_mwh_integer(delivery.wind_kwh) - nomination
    spot, up, down = (to_micro_eur(price) for price in (delivery.spot, delivery.up, delivery.down))
    return _money(spot * nomination + up * beyond.clamp(min=0) + down * beyond.clamp(max=0))
