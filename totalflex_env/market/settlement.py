"""Who pays whom for a slot: double-entry bookings in whole micro-EUR, and what they leave to each role.

Prices (micro-EUR/kWh) and energies (mWh) are whole numbers before they are multiplied. Every booking is rounded once,
halves up, and enters two accounts with opposite signs, so the balances of a row sum to exactly 0. All that a slot's
money depends on is in its `Statement`, which messages and meters hold: whoever has those computes the same bookings to
the last micro-EUR. Products of price and energy fit into an int64 up to 4 EUR/kWh times 2 GWh in a slot.

Only money that changes hands is booked. The world outside is the spot market and the imbalance settlement. Discomfort,
missing stored energy, overloads and voltages are costs that nobody invoices: `rewards` takes them off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.market.delivery import delivered
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


@dataclass(frozen=True)
class Statement:
    """All that the money of a slot depends on, from its messages and meters: int64, mWh and micro-EUR/kWh."""

    base: Tensor  # [B, P] what the devices of a house would have consumed, agreed before the slot
    award: Tensor  # [B, P] deviation from the base that the market bought
    metered: Tensor  # [B, P] what the devices consumed
    fixed: Tensor  # [B, P] inflexible consumption less PV
    wind: Tensor  # [B]
    nomination: Tensor  # [B]
    spot: Tensor  # [B]
    up: Tensor  # [B]
    down: Tensor  # [B]
    balance_price: Tensor  # [B]
    grid_price: Tensor  # [B, P]


@dataclass(frozen=True)
class Bookings:
    """Every payment of a slot, int64 micro-EUR; a negative one flows the other way."""

    retail: Tensor  # [B, P] house -> BRP
    balance: Tensor  # [B, P] aggregator of the house -> BRP
    grid: Tensor  # [B, P] aggregator of the house -> DSO
    shared: Tensor  # [B, P] house -> its aggregator
    penalty: Tensor  # [B, P] aggregator of the house -> BRP
    wholesale: Tensor  # [B] BRP -> world outside


def settle(params: Params, decision: Decision, delivery: Delivery) -> Ledger:
    """Book a slot: the balances that its statement leaves."""
    return ledger(params, book(params, statement(params, decision, delivery)))


def statement(params: Params, decision: Decision, delivery: Delivery) -> Statement:
    """Return the statement of a slot. Without a market nothing is agreed: the base is what was consumed."""
    metered = _by_house(params, to_mwh_integer(delivery.energy_kwh))
    return Statement(
        base=_by_house(params, to_mwh_integer(decision.position_kwh)) if decision.traded else metered,
        award=_by_house(params, decision.award_mwh),
        metered=metered,
        fixed=to_mwh_integer(delivery.house_kwh),
        wind=to_mwh_integer(delivery.wind_kwh),
        nomination=to_mwh_integer(delivery.nomination_kwh),
        spot=to_micro_eur(delivery.spot),
        up=to_micro_eur(delivery.up),
        down=to_micro_eur(delivery.down),
        balance_price=decision.balance_price,
        grid_price=decision.grid_price,
    )


def book(params: Params, said: Statement) -> Bookings:
    """Return the payments that follow from a statement.

    Flexibility: for energy awarded and delivered (by the rule of `market.delivery`) the aggregator pays the BRP the
    balance price and the DSO the grid price, and the house pays the aggregator its share of both; for energy given away
    all three are turned around. For energy that is missing the aggregator, who sold it, pays a penalty to the BRP that
    has to make up.
    Retail: a house pays the BRP the spot price for all energy that flexibility did not pay for: base and inflexible
    load as long as awards are kept, and what was metered besides.
    Wholesale: the BRP pays the world outside for the nomination and the imbalance.
    """
    rules = params.config.market
    traded, missing = activated(params, said)
    balance = whole_money(said.balance_price[:, None] * traded)
    grid = whole_money(said.grid_price * traded)
    beyond = (said.metered + said.fixed).sum(1) - said.wind - said.nomination
    outside = said.spot * said.nomination + said.up * beyond.clamp(min=0) + said.down * beyond.clamp(max=0)
    return Bookings(
        retail=whole_money(said.spot[:, None] * (said.metered + said.fixed - traded)),
        balance=balance,
        grid=grid,
        shared=whole_money((balance + grid) * (_MICRO - round(rules.aggregator_share * _MICRO))),
        penalty=whole_money(round(rules.non_delivery_price * _MICRO) * missing),
        wholesale=whole_money(outside),
    )


def activated(params: Params, said: Statement) -> tuple[Tensor, Tensor]:
    """Return the change of consumption that counts as bought and delivered, and what is missing, both [B, P] mWh."""
    done = delivered(params.config.market.delivery, said.base, -said.award, said.metered)
    return done.paid * said.award.sign(), done.missing


def ledger(params: Params, booked: Bookings) -> Ledger:
    """Return what the payments change on every account, and their sum."""
    houses = -booked.retail - booked.shared
    kept = booked.shared - booked.balance - booked.grid - booked.penalty
    aggregators = kept.new_zeros(len(kept), params.aggregators).index_add(1, params.aggregator, kept)
    brp = (booked.retail + booked.balance + booked.penalty).sum(1) - booked.wholesale
    others = torch.stack([brp, booked.grid.sum(1), booked.wholesale], 1)
    every = torch.cat([payment.reshape(len(kept), -1) for payment in vars(booked).values()], 1)
    return Ledger(torch.cat([houses, aggregators, others], 1), every.abs().sum(1))


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
    brp, dso, _ = money[:, -3:].unbind(1)
    return Rewards(money[:, :houses] - house_cost, money[:, houses:-3], brp, dso - costs.overload - costs.voltage)


def _by_house(params: Params, energy: Tensor) -> Tensor:
    """Sum the devices [B, N] of each house [B, P], mWh."""
    return energy.new_zeros(len(energy), len(params.node)).index_add(1, params.house, energy)


def whole_money(product: Tensor) -> Tensor:
    """Return a product that counts in millionths of a micro-EUR as whole micro-EUR, halves up; any shape, int64."""
    return torch.div(product + _MICRO // 2, _MICRO, rounding_mode="floor")
