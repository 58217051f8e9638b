"""What the scripted aggregator knows when it bids for a family of devices, and the arithmetic of such bids.

A bid says how much energy a device should take in a slot, and at which prices it would take less or more. What stored
energy is worth comes from tables of slopes on LEVELS equidistant levels between empty and full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Habits = TypeVar("Habits")
State = TypeVar("State")

HOLD = 0.02
"""EUR/kWh. Balance prices are noisy and stay on one side for hours: following each of them moves too much."""
FACTOR = 0.47
"""Logarithm of the factor that a knob means at 1."""
STEPS = 9
"""Points at which the value of stored energy is read between the limits of a slot."""
LEVELS = 17


@dataclass(frozen=True)
class Knobs:
    """How far a learner moves the rule away from itself, each [B, 1] in -1..1; meanings in `engine/dispatch.py`."""

    vehicle_worth: Tensor
    vehicle_headroom: Tensor
    vehicle_urgency: Tensor
    vehicle_hold: Tensor
    heat_worth: Tensor
    heat_hold: Tensor
    battery_worth: Tensor
    battery_hold: Tensor


@dataclass(frozen=True)
class View(Generic[Habits, State]):
    """A slot as the scripted aggregator sees it, of the n devices of one family."""

    slot: int
    spot: Tensor  # [B, T]
    cheapest: Tensor  # [B, T] int64, slots in rising order of the spot price
    now: Tensor  # [B] spot price of this slot
    headroom_kwh: Tensor  # [B, T] what the grid can still carry beyond all that cannot choose its time
    price_cap: float
    lower: Tensor  # [B, n]
    upper: Tensor  # [B, n]
    default: Tensor  # [B, n]
    state: State
    present: Habits
    value: Any  # what `Family.value` returned
    knobs: Knobs


@dataclass(frozen=True)
class Bid:
    """Targets [B, n] kWh and prices [B, n] EUR/kWh of one slot."""

    target_kwh: Tensor
    worth_less: Tensor
    worth_more: Tensor


@dataclass(frozen=True)
class Prices:
    """Slots in rising order of price."""

    price: Tensor  # [B, T] rising
    slot: Tensor  # [B, T] the slot of each price


def market(view: View[Any, Any]) -> Prices:
    """Return the prices of this and all later slots in rising order."""
    slot = view.cheapest[view.cheapest >= view.slot].reshape(len(view.spot), -1)
    return Prices(view.spot.gather(1, slot), slot)


def price_at(prices: Prices, too_few: Tensor) -> Tensor:
    """Return the price [B, n] of the first slot in rising order at which `too_few` [B, n, T] ends, else the highest."""
    return prices.price.gather(1, too_few.sum(dim=2).clamp(max=too_few.shape[2] - 1))


def stay(view: View[Any, Any]) -> Bid:
    """Return the bid that leaves devices alone unless a price is further from the spot price than the hold."""
    worth = view.now[:, None].expand_as(view.default)
    return Bid(view.default, worth + HOLD, worth - HOLD)


def plan(bid: Bid, knob: Tensor) -> Bid:
    """Return a bid that only a price difference beyond the hold, set by `knob` [B, 1], moves away from its target."""
    hold = HOLD * (1.0 + knob)
    return Bid(bid.target_kwh, bid.worth_less + hold, bid.worth_more - hold)


def steps(lower: Tensor, upper: Tensor) -> Tensor:
    """Return energies [B, n, STEPS] from lower to upper limit."""
    share = torch.linspace(0.0, 1.0, STEPS, dtype=lower.dtype, device=lower.device)
    return torch.lerp(lower[..., None], upper[..., None], share)


def between(value: Tensor) -> Tensor:
    """Return the means [..., n - 1] of neighbours in [..., n]."""
    return (value[..., 1:] + value[..., :-1]) / 2.0


def bought(view: View[Any, Any], worth: Tensor) -> Bid:
    """Return the bid that takes energy as long as its steps [B, n, STEPS - 1] are worth more than the spot price.

    Its prices are the mean worth of the steps that are taken, and of those that are not.
    """
    taken = (worth > view.now[:, None, None]).to(worth.dtype)
    number = taken.sum(dim=2)
    less = (worth * taken).sum(dim=2) / number.clamp(min=1.0)
    more = (worth * (1.0 - taken)).sum(dim=2) / (STEPS - 1 - number).clamp(min=1.0)
    return Bid(torch.lerp(view.lower, view.upper, number / (STEPS - 1)), less, more)


def slope_at(slopes: Tensor, fill: Tensor, outside: float) -> Tensor:
    """Return the slopes [..., LEVELS] at `fill` [..., n], 0 empty to 1 full; +-`outside` beyond the ends."""
    place = fill.clamp(0.0, 1.0) * (LEVELS - 1)
    below = place.floor().clamp(max=LEVELS - 2)
    index = below.long()
    value = torch.lerp(slopes.gather(-1, index), slopes.gather(-1, index + 1), place - below)
    slack = 1e-6
    return value + outside * ((fill < -slack).to(value.dtype) - (fill > 1.0 + slack).to(value.dtype))
