"""The classical flex-offer pipeline: every hour devices issue flex-offers, which are aggregated by start alignment,
scheduled one after the other against the spot price and the room left in the grid, disaggregated and assigned."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.engine import dispatch, scripted
from totalflex_env.flexoffer import lifecycle
from totalflex_env.flexoffer.aggregate import aggregate
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.grouping import Bins, Grouping
from totalflex_env.flexoffer.offers import load
from totalflex_env.flexoffer.respond import respond
from totalflex_env.flexoffer.start_alignment import StartAligned, split
from totalflex_env.trade_types import OfferState
from totalflex_env.types import Action, Forecast, Situation

PLAN_EVERY = 4
"""Slots between two rounds of offers."""

GROUPING = Grouping(flexibility_tolerance=2, bins=Bins(most=4))


class FlexOfferPipeline:
    """Follows the assignments of the last round of flex-offers; a device without one takes no more than it must."""

    def __init__(self) -> None:
        self._plan_kwh: Tensor  # [B, T, N]

    def reset(self, situation: Situation) -> None:
        """Nothing to forget: the first slot of a day begins with a round of offers."""

    def act(self, situation: Situation) -> Action:
        """Return the action that asks for what is assigned in this slot."""
        slot = situation.state.slot
        if slot % PLAN_EVERY == 0:
            forecast = situation.forecast()
            rows = range(len(situation.lower))
            self._plan_kwh = torch.stack([assignments(situation, forecast, row) for row in rows])
        return scripted.follow(situation, self._plan_kwh[:, slot])


def assignments(situation: Situation, forecast: Forecast, row: int) -> Tensor:
    """Return what one round of flex-offers assigns to the devices of a row [T, N] kWh."""
    params, slot = situation.params, situation.state.slot
    offers = generate(params, forecast, situation.state, row)
    everyone = torch.arange(len(offers.device), device=offers.device.device)
    for state in (OfferState.OFFERED, OfferState.ACCEPTED):
        offers = lifecycle.move(offers, everyone, state, slot)
    start, energy = split(*schedule(aggregate(offers, GROUPING), situation, row))
    offers = lifecycle.assign(offers, everyone, start, energy, slot)
    plan = energy.new_zeros(len(situation.lower[row]), situation.outlook.spot.shape[1])
    return plan.index_add(0, offers.device, load(offers, start, energy, plan.shape[1])).T


def schedule(bundle: StartAligned, situation: Situation, row: int) -> tuple[StartAligned, Tensor, Tensor]:
    """Return the aggregates, their start [G] and energy [G, V] kWh: cheapest in turn, an overload at its price."""
    spot, room = situation.outlook.spot[row], dispatch.headroom(situation)[row]
    overload_price = situation.params.config.market.overload_price
    taken, starts, energies = torch.zeros_like(spot), [], []
    for index in range(len(bundle.offers.device)):
        offer = take_rows(bundle.offers, torch.tensor([index], device=spot.device))
        full = taken + offer.upper.amax() > room
        start, energy = respond(offer, spot + overload_price * full)
        taken = taken + load(offer, start, energy, len(spot))[0]
        starts.append(start)
        energies.append(energy)
    if not starts:
        return bundle, bundle.offers.earliest, bundle.offers.lower
    return bundle, torch.cat(starts), torch.cat(energies)
