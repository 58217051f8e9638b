"""What the scripted aggregator knows when it bids for a family of devices, and the arithmetic of such bids.

A bid says how much energy a device should take in a slot, and at which prices it would take less or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

Habits = TypeVar("Habits")
State = TypeVar("State")

HOLD = 0.02
"""EUR/kWh. Balance prices are noisy and stay on one side for hours: following each of them moves too much."""
FACTOR = 0.47
"""Logarithm of the factor that a knob means at 1."""


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


def stay(view: View[Any, Any]) -> Bid:
    """Return the bid that leaves devices alone unless a price is further from the spot price than the hold."""
    worth = view.now[:, None].expand_as(view.default)
    return Bid(view.default, worth + HOLD, worth - HOLD)


def plan(bid: Bid, knob: Tensor) -> Bid:
    """Return a bid that only a price difference beyond the hold, set by `knob` [B, 1], moves away from its target."""
    hold = HOLD * (1.0 + knob)
    return Bid(bid.target_kwh, bid.worth_less + hold, bid.worth_more - hold)
