"""What flex-offers do when they are paid a price per slot: the cheapest assignment of each, exact and feasible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.chunks import in_chunks
from totalflex_env.flexoffer.kinds import Chains
from totalflex_env.flexoffer.offers import levels, require, tolerance
from totalflex_env.flexoffer.scans import Steps, best_apart, steps
from totalflex_env.trade_types import FlexOfferBatch

Cheapest = Callable[[Tensor, Tensor], Tensor]
"""Energies [N, W] kWh at prices [N, W] per slice, given the slices in the order of their price [N, W]."""


def respond(offers: FlexOfferBatch, price: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [N] int64 and energy [N, W] kWh of the cheapest assignments at `price` [T] EUR/kWh per slot.

    Cost is price times energy plus `price_shift` for each slot that the start is away from the default start. Of
    equally cheap assignments the earliest is taken.
    """
    ends = offers.latest + offers.slices
    require(f"the profile ends by slot {len(price)}, the end of the prices", ends <= len(price), ends)
    width = offers.lower.shape[1]
    windows = pad(price, (0, width)).unfold(0, width, 1).contiguous()
    table = _Table(windows, windows.argsort(dim=1, stable=True))

    def plain(part: FlexOfferBatch) -> tuple[Tensor, Tensor]:
        room = room_of(part)
        return _best(part, table, lambda prices, rank: room.lower + filled(room, prices, rank))

    def leveled(part: FlexOfferBatch) -> tuple[Tensor, Tensor]:
        able = able_of(part)
        return _best(part, table, lambda prices, rank: best_apart(able, -prices.T).T)

    start, energy = offers.earliest, offers.lower
    bounded = (offers.level_lower.isfinite() | offers.level_upper.isfinite()).any(1)
    for some, answer in ((~bounded, plain), (bounded, leveled)):
        if bool(some.all()):
            start, energy = in_chunks(answer, offers, *offers.lower.shape)
        elif bool(some.any()):
            index = some.nonzero()[:, 0]
            begin, taken = in_chunks(answer, take_rows(offers, index), len(index), width)
            start, energy = start.index_copy(0, index, begin), energy.index_copy(0, index, taken)
    return start, energy


@dataclass(frozen=True)
class _Table:
    """Prices of the slices for every start."""

    prices: Tensor  # [T + 1, W] EUR/kWh
    ranks: Tensor  # [T + 1, W] int64, the slices in the order of their price


def _best(offers: FlexOfferBatch, table: _Table, cheapest: Cheapest) -> tuple[Tensor, Tensor]:
    """Return the cheapest start [N] and energy [N, W], given the cheapest energies at a price.

    Every offer tries as many starts as the most patient one; its last again and again is never strictly cheaper.
    """
    start, cost = offers.earliest, torch.full_like(offers.total_lower, torch.inf)
    flexibility = offers.latest - offers.earliest
    span = int(flexibility.max()) if len(start) else 0
    for shift in range(span + 1 if span else 0):
        begin = torch.minimum(offers.earliest + shift, offers.latest)
        prices = table.prices.index_select(0, begin)
        energy = cheapest(prices, table.ranks.index_select(0, begin))
        costs = (prices * energy).sum(1) + offers.price_shift * (begin - offers.default_start).abs()
        start = torch.where(costs < cost, begin, start)
        cost = torch.minimum(cost, costs)
    return start, cheapest(table.prices.index_select(0, start), table.ranks.index_select(0, start))


@dataclass(frozen=True)
class Room:
    """What N offers without bounds on partial sums leave open, whatever the start."""

    lower: Tensor  # [N, W] kWh
    range_: Tensor  # [N, W] kWh, upper less lower
    least: Tensor  # [N] kWh above `lower` that the total demands
    most: Tensor  # [N] kWh above `lower` that the total allows
    totals_bind: bool  # for any of the offers


def room_of(offers: FlexOfferBatch) -> Room:
    """Return the room of offers whose level bounds, if they have any, are left out of account."""
    range_, base = offers.upper - offers.lower, offers.lower.sum(1)
    least, most = offers.total_lower - base, offers.total_upper - base
    slack = tolerance(range_)
    binds = bool(((least > slack) | (most < range_.sum(1) - slack)).any())
    return Room(offers.lower, range_, least, most, binds)


def filled(room: Room, price: Tensor, rank: Tensor) -> Tensor:
    """Return energies above `lower` [N, W] kWh of the least cost at prices [N, W], ranked by `rank` [N, W].

    Slices are filled in the order of their price while it is negative, further or less far where a total demands it.
    """
    wanted = torch.where(price < 0.0, room.range_, 0.0)
    if not room.totals_bind:
        return wanted
    amount = torch.minimum(torch.maximum(wanted.sum(1), room.least), room.most)
    ranges = room.range_.gather(1, rank)
    energy = torch.minimum((amount[:, None] - ranges.cumsum(1) + ranges).clamp(min=0.0), ranges)
    return torch.empty_like(energy).scatter_(1, rank, energy)


def able_of(offers: FlexOfferBatch) -> Steps:
    """Return offers as storages on a grid of slices that begins with the profile."""
    nobody, ones = torch.full_like(offers.device, -1), torch.ones_like(offers.total_lower)
    gains = torch.ones_like(offers.lower[:1])
    return steps(
        Chains(
            offer=nobody,
            node=nobody,
            inner=nobody < 0,
            lower=offers.lower,
            upper=offers.upper,
            level_lower=levels(offers)[0],
            level_upper=levels(offers)[1],
            retention=ones,
            profile=torch.zeros_like(nobody),
            gains=gains,
        )
    )
