"""The scripted aggregator: a rule that bids for all devices family by family, with eight knobs.

Every bid says how much energy a device should take in this slot and at which prices it would take less or more. With
all knobs at zero this is the rule; a learner moves the knobs, so it starts from the rule and never leaves what is
feasible. What a family bids is in its own module.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.bidding import Bid, Knobs, View
from totalflex_env.types import Situation

AGGREGATOR_CONTROLS = (
    ("vehicle_worth", "shift of what a vehicle pays for energy now, 0.05 EUR/kWh at 1"),
    ("vehicle_headroom", "share of the forecast headroom that vehicles plan with, factor 2 at 1"),
    ("vehicle_urgency", "what a vehicle pays more as its slack runs out, 0.1 EUR/kWh at 1"),
    ("vehicle_hold", "price difference that moves a vehicle away from its plan, 0.02 EUR/kWh more at 1"),
    ("heat_worth", "factor on the value of heat, 1.6 at 1"),
    ("heat_hold", "price difference that moves heat away from its plan, 0.02 EUR/kWh more at 1"),
    ("battery_worth", "factor on the value of stored energy, 1.6 at 1"),
    ("battery_hold", "price difference that moves a battery away from its plan, 0.02 EUR/kWh more at 1"),
)


def bids(situation: Situation, controls: Tensor) -> Bid:
    """Return the bids of the rule for all devices [B, N] with its knobs `controls` [B, 8] in -1..1."""
    parts = zip(situation.params.families, views(situation, controls))
    found = [family.bid(view) for family, view in parts]
    nothing = situation.lower[:, :0]
    return Bid(
        target_kwh=torch.cat([nothing, *(bid.target_kwh for bid in found)], dim=1),
        worth_less=torch.cat([nothing, *(bid.worth_less for bid in found)], dim=1),
        worth_more=torch.cat([nothing, *(bid.worth_more for bid in found)], dim=1),
    )


def views(situation: Situation, controls: Tensor) -> list[View[Any, Any]]:
    """Return what the rule knows of every family in this slot, with its knobs `controls` [B, 8] in -1..1."""
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
    params, outlook = situation.params, situation.outlook
    if len(params.limited) == 0:
        return torch.full_like(outlook.spot, torch.inf)
    limit = params.grid.rating_kva[params.limited[-1]] * params.config.market.dso_share * params.slot_hours
    return limit - outlook.load_kwh - outlook.holding_kwh


def cheapness(situation: Situation, window: int) -> Tensor:
    """Return the share [B, 1] of the coming `window` slots with a price above the present one, half if none is left."""
    slot, spot = situation.state.slot, situation.outlook.spot
    ahead = spot[:, slot + 1 : slot + 1 + window]
    if ahead.shape[1] == 0:
        return torch.full_like(spot[:, :1], 0.5)
    now = spot[:, slot : slot + 1]
    return ((ahead > now).to(spot.dtype) + 0.5 * (ahead == now).to(spot.dtype)).mean(dim=1, keepdim=True)
