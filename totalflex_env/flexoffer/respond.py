"""What flex-offers do when they are paid a price per slot: the cheapest assignment of each, exact and feasible."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import levels, reach, require, slice_range
from totalflex_env.trade_types import FlexOfferBatch


def respond(offers: FlexOfferBatch, price: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [N] int64 and energy [N, W] kWh of the cheapest assignments at `price` [T] EUR/kWh per slot.

    Cost is price times energy plus `price_shift` for each slot that the start is away from the default start. Of
    equally cheap assignments the earliest is taken.
    """
    ends = offers.latest + offers.slices
    require(f"the profile ends by slot {len(price)}, the end of the prices", ends <= len(price), ends)
    start, energy = offers.earliest, torch.zeros_like(offers.lower)
    cost = torch.full_like(offers.total_lower, torch.inf)
    flexibility = offers.latest - offers.earliest
    for shift in range(int(flexibility.max()) + 1 if len(start) else 0):
        index = (flexibility >= shift).nonzero()[:, 0]
        some = take_rows(offers, index)
        begin = some.earliest + shift
        slot = begin[:, None] + torch.arange(energy.shape[1], device=price.device)
        prices = price[slot.clamp(max=len(price) - 1)]
        cheapest = _cheapest(some, prices)
        costs = (prices * cheapest).sum(1) + some.price_shift * (begin - some.default_start).abs()
        better = costs < cost[index]
        chosen = index[better]
        start, cost = start.index_copy(0, chosen, begin[better]), cost.index_copy(0, chosen, costs[better])
        energy = energy.index_copy(0, chosen, cheapest[better])
    return start, energy


def _cheapest(offers: FlexOfferBatch, price: Tensor) -> Tensor:
    """Return the cheapest energies [N, W] kWh at a price [N, W] per slice."""
    leveled = (offers.level_lower.isfinite() | offers.level_upper.isfinite()).any(1).nonzero()[:, 0]
    energy = _fill(offers, price)
    if len(leveled):
        energy = energy.index_copy(0, leveled, _greedy(take_rows(offers, leveled), price[leveled]))
    return energy


def _fill(offers: FlexOfferBatch, price: Tensor) -> Tensor:
    """Fill slices in the order of their price while it is negative, further or less far where a total demands it."""
    room, least = offers.upper - offers.lower, offers.lower.sum(1)
    wanted = torch.where(price < 0.0, room, 0.0).sum(1)
    amount = torch.minimum(torch.maximum(wanted, offers.total_lower - least), offers.total_upper - least)
    order = price.argsort(dim=1, stable=True)
    rooms = room.gather(1, order)
    filled = torch.minimum((amount[:, None] - rooms.cumsum(1) + rooms).clamp(min=0.0), rooms)
    return offers.lower + torch.zeros_like(room).scatter(1, order, filled)


def _greedy(offers: FlexOfferBatch, price: Tensor) -> Tensor:
    """Settle slices one by one, most at stake first, each at the cheaper end of what the settled ones leave.

    Optimal because assignments with bounds on slices and on partial sums form a generalized polymatroid, where the
    greedy algorithm is exact (Frank 1984; Mukhi, Loho and Abate 2025 for storages).
    """
    lower, upper, bounds = offers.lower, offers.upper, levels(offers)
    order = price.abs().argsort(dim=1, descending=True, stable=True)
    for step in range(price.shape[1]):
        fewest, most = slice_range(lower, upper, *reach(lower, upper, *bounds))
        at = order[:, step : step + 1]
        energy = torch.where(price < 0.0, most, fewest).gather(1, at)
        lower, upper = lower.scatter(1, at, energy), upper.scatter(1, at, energy)
    return lower
