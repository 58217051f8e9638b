"""The classical flex-offer pipeline: every hour devices issue flex-offers, which are aggregated by start alignment,
scheduled against the spot price and the room left in the grid, disaggregated and assigned.

Programmes that only their start tells apart share aggregates. Offers of energy do not: start alignment gives all
members of an aggregate the same share of their range in every slot, so a vehicle beside a battery would hardly shift.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from baselines.scheduling import Scene, evolve, greedy
from totalflex_env import fleet
from totalflex_env.batch import take_rows
from totalflex_env.devices.storage import Storage
from totalflex_env.engine import dispatch, scripted
from totalflex_env.flexoffer import lifecycle
from totalflex_env.flexoffer.aggregate import aggregate
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.grouping import Bins, Grouping
from totalflex_env.flexoffer.offers import load, tighten
from totalflex_env.flexoffer.respond import respond
from totalflex_env.flexoffer.start_alignment import split
from totalflex_env.trade_types import FlexOfferBatch, OfferState
from totalflex_env.types import Action, Forecast, Situation

PLAN_EVERY = 4
"""Slots between two rounds of offers, unless something happens."""

PROGRAMMES = Grouping(flexibility_tolerance=2, bins=Bins(most=4))
ALONE = Grouping(bins=Bins(most=1))


class FlexOfferPipeline:
    """Follows the assignments of the last round of flex-offers; a device without one takes no more than it must.

    A round takes place every hour, and when a vehicle arrives or an appliance is loaded.
    """

    def __init__(self, mutations: int = 0) -> None:
        self.mutations = mutations  # of each schedule; none leaves it as greed made it
        self._plan_kwh: Tensor  # [B, T, N]

    def reset(self, situation: Situation) -> None:
        """Nothing is assigned yet."""
        self._plan_kwh = situation.lower.new_zeros(
            len(situation.lower), situation.outlook.spot.shape[1], situation.lower.shape[1]
        )

    def act(self, situation: Situation) -> Action:
        """Return the action that asks for what is assigned in this slot."""
        slot, rows = situation.state.slot, len(situation.lower)
        news = fleet.news(situation.params, situation.present, slot, rows) | (slot % PLAN_EVERY == 0)
        if bool(news.any()):
            forecast = situation.forecast()
            for row in torch.nonzero(news).flatten().tolist():
                self._plan_kwh[row] = assignments(situation, forecast, row, self.mutations)
        return scripted.follow(situation, self._plan_kwh[:, slot])


def assignments(situation: Situation, forecast: Forecast, row: int, mutations: int = 0) -> Tensor:
    """Return what one round of flex-offers assigns to the devices of a row [T, N] kWh."""
    params, slot = situation.params, situation.state.slot
    offers = generate(params, forecast, situation.state, row)
    offers = refilled(offers, surplus(situation, row), situation.outlook.spot[row])
    everyone = torch.arange(len(offers.device), device=offers.device.device)
    for state in (OfferState.OFFERED, OfferState.ACCEPTED):
        offers = lifecycle.move(offers, everyone, state, slot)
    start, energy = schedule(offers, situation, row, mutations)
    offers = lifecycle.assign(offers, everyone, start, energy, slot)
    plan = energy.new_zeros(len(situation.lower[row]), situation.outlook.spot.shape[1])
    return plan.index_add(0, offers.device, load(offers, start, energy, plan.shape[1])).T


def schedule(offers: FlexOfferBatch, situation: Situation, row: int, mutations: int) -> tuple[Tensor, Tensor]:
    """Return start [N] and energy [N, W] kWh of every offer: programmes first, since they are the least flexible."""
    spot, room = situation.outlook.spot[row], dispatch.headroom(situation)[row]
    scene = Scene(spot, room, situation.params.config.market.overload_price)
    programme = (offers.lower == offers.upper).all(dim=1)
    taken, schedules, members = torch.zeros_like(spot), [], []
    for mask, grouping in ((programme, PROGRAMMES), (~programme, ALONE)):
        if bool(mask.any()):
            made, taken = greedy(aggregate(take_rows(offers, mask), grouping), scene, taken)
            schedules.append(made)
            members.append(torch.nonzero(mask).flatten())
    evolve(schedules, scene, mutations, seed=situation.state.slot)
    start, energy = offers.earliest.clone(), offers.lower.clone()
    for made, index in zip(schedules, members):
        start[index], energy[index] = split(made.bundle, made.start, made.energy)
    return start, energy


def refilled(offers: FlexOfferBatch, spare: Tensor, price: Tensor) -> FlexOfferBatch:
    """Return the offers with a least total that leaves nothing to be refilled in the end.

    Left alone, a device ends where it began the day, or with `spare` [N] kWh more that it may give away. Where it is
    less, its default becomes to refill itself at the lowest `price` [T].
    """
    left_alone = offers.default.sum(dim=1)
    least = torch.minimum(torch.maximum(offers.total_lower, left_alone - spare[offers.device]), offers.total_upper)
    full = tighten(replace(offers, total_lower=least))
    owing = (least > left_alone)[:, None]
    return replace(full, default=torch.where(owing, respond(full, price)[1], offers.default))


def surplus(situation: Situation, row: int) -> Tensor:
    """Return the energy [N] kWh at the house that batteries hold beyond what they began the day with; others none."""
    spare, place = torch.zeros_like(situation.lower[row]), fleet.find(situation.params, Storage)
    if place is None:
        return spare
    stored = situation.state.devices.parts[place.index].stored_kwh[row]
    began = situation.present[place.index].stored_kwh[row, 0]
    beyond = (stored - began) * place.family.discharge_efficiency
    spare[place.at] = torch.where(place.family.session, 0.0, beyond)
    return spare
