"""The scripted aggregator: a rule that bids for all devices family by family, with eight knobs.

Every bid says how much energy a device should take in this slot and at which prices it would take less or more. With
all knobs at zero this is the rule; a learner moves the knobs, so it starts from the rule and never leaves what is
feasible. What a family bids is in its own module. Of several aggregators each has knobs of its own and bids for the
devices of its own houses; what the grid can still carry and how many vehicles will want it, the rule foresees for all.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from totalflex_env import batch, fleet
from totalflex_env.devices.bidding import FACTOR, HOLD, Bid, Knobs, View
from totalflex_env.devices.storage_bid import HEADROOM, PRICE_STEP, URGENCY
from totalflex_env.engine.controls import Control
from totalflex_env.types import Situation


def _factor(logarithm: float) -> tuple[float, float]:
    """The ends of a factor whose logarithm at 1 is this."""
    return math.exp(-logarithm), math.exp(logarithm)


AGGREGATOR_CONTROLS = (
    Control("vehicle_worth", "more that a vehicle pays for energy now", "EUR/kWh", -PRICE_STEP, PRICE_STEP),
    Control("vehicle_headroom", "headroom that vehicles plan with, times the forecast", "1", *_factor(HEADROOM), True),
    Control("vehicle_urgency", "what a vehicle pays more as its slack runs out", "EUR/kWh", -URGENCY, URGENCY),
    Control("vehicle_hold", "price difference that moves a vehicle away from its plan", "EUR/kWh", 0.0, 2.0 * HOLD),
    Control("heat_worth", "value of heat, times that of the rule", "1", *_factor(FACTOR), True),
    Control("heat_hold", "price difference that moves heat away from its plan", "EUR/kWh", 0.0, 2.0 * HOLD),
    Control("battery_worth", "value of stored energy, times that of the rule", "1", *_factor(FACTOR), True),
    Control("battery_hold", "price difference that moves a battery away from its plan", "EUR/kWh", 0.0, 2.0 * HOLD),
)
"""The knobs, which `devices/bidding.py` turns into these values."""


def bids(situation: Situation, controls: Tensor) -> Bid:
    """Return the bids for all devices [B, N] of aggregators with the knobs `controls` [B, A, 8] in -1..1."""
    params = situation.params
    every = [_bids(situation, knobs) for knobs in controls.unbind(1)]
    if len(every) == 1:
        return every[0]
    aggregator = params.aggregator[params.house].expand(1, len(controls), -1)
    return batch.combine(every, lambda bids: torch.stack(list(bids)).gather(0, aggregator)[0])


def _bids(situation: Situation, controls: Tensor) -> Bid:
    """The bids for all devices [B, N] of one aggregator with the knobs `controls` [B, 8]."""
    parts = zip(situation.params.families, views(situation, controls))
    found = [family.bid(view) for family, view in parts]
    nothing = situation.lower[:, :0]
    return Bid(
        target_kwh=torch.cat([nothing, *(bid.target_kwh for bid in found)], dim=1),
        worth_less=torch.cat([nothing, *(bid.worth_less for bid in found)], dim=1),
        worth_more=torch.cat([nothing, *(bid.worth_more for bid in found)], dim=1),
    )


def views(situation: Situation, controls: Tensor) -> list[View[Any, Any]]:
    """Return what the rule knows of every family in this slot, with the knobs `controls` [B, 8] of an aggregator."""
    params, outlook, knobs = situation.params, situation.outlook, Knobs(*controls.split(1, dim=1))
    limits = zip(*(fleet.split(params, each) for each in (situation.lower, situation.upper, situation.default)))
    room = headroom(situation)
    return [
        View(
            slot=situation.state.slot,
            spot=outlook.spot,
            cheapest=outlook.cheapest,
            now=situation.expected.spot,
            headroom_kwh=room,
            price_cap=params.config.market.price_cap,
            lower=lower,
            upper=upper,
            default=default,
            state=state,
            present=present,
            value=value,
            knobs=knobs,
        )
        for (lower, upper, default), state, present, value in zip(
            limits, situation.state.devices.parts, situation.present, outlook.values, strict=True
        )
    ]


def headroom(situation: Situation) -> Tensor:
    """Return the energy [B, T] kWh that the element next to the root can still carry beyond expected load and heat."""
    return situation.outlook.headroom_kwh
