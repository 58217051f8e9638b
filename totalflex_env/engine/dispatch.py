"""The scripted aggregator: a rule that bids for all devices family by family, with eight knobs.

Every bid says how much energy a device should take in this slot and at which prices it would take less or more. With
all knobs at zero this is the rule; a learner moves the knobs, so it starts from the rule and never leaves what is
feasible. What a family bids is in its own module. Of several aggregators each has knobs of its own and bids for the
devices of its own houses; what the grid can still carry and how many vehicles will want it, the rule foresees for all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from totalflex_env import batch, fleet
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
