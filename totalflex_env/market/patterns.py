"""What whole flex-offers would do at a price per node and slot: the oracle of the auction.

A pattern is an order with its start fixed. At a price its owner takes the slices in the order of what a kWh costs
there, discomfort included: price - price_less up to the position, price + price_more beyond it. A slice that holds the
position inside its bounds is cut there in two. So the cheapest energies are those that `flexoffer.respond` finds for a
price per slice, for all patterns at once; the cheapest pattern of an order is its answer. Patterns of similar length
are answered together, those without any range need no answer at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import levels
from totalflex_env.flexoffer.respond import Room, able_of, filled
from totalflex_env.flexoffer.scans import Steps, best_apart
from totalflex_env.market.book import FlexOrders
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Bucket:
    """Patterns that are answered together; V pieces of slices each."""

    pattern: Tensor  # [R] int64, their numbers
    order: Tensor  # [R] int64
    slot: Tensor  # [R, V] int64, T where there is no slice
    lower: Tensor  # [R, V] kWh
    offset: Tensor  # [R, V] EUR/kWh that energy above `lower` costs on top of the price
    free: Room | Steps | None  # bounded by totals, by levels, or not at all because nothing is free


@dataclass(frozen=True)
class Patterns:
    """All patterns of N orders, in the order of the orders and of their starts."""

    orders: FlexOrders
    order: Tensor  # [R] int64
    start: Tensor  # [R] int64
    cost: Tensor  # [R] EUR of the pattern with all slices at their lower bound
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class Schedules:
    """One or more schedules of some orders, and what they cost their owners."""

    order: Tensor  # [C] int64
    start: Tensor  # [C] int64
    deviation: Tensor  # [C, T] kWh per slot, energy less position
    cost: Tensor  # [C] EUR


def discomfort(orders: FlexOrders, start: Tensor, deviation: Tensor, order: Tensor | None = None) -> Tensor:
    """Return what schedules cost the owners [C] EUR: start [C], deviation [C, T] kWh, of the orders `order` [C].

    Without `order` it is one schedule of each.
    """
    rows = slice(None) if order is None else order
    shift = orders.offers.price_shift[rows] * (start - orders.offers.default_start[rows]).abs()
    more = deviation.clamp(min=0.0).sum(1)
    less = more - deviation.sum(1)
    return shift + orders.price_more[rows] * more + orders.price_less[rows] * less - orders.worth[rows]


def expand(orders: FlexOrders) -> Patterns:
    """Return the patterns of orders whose offers are tightened and end within the day."""
    offers = orders.offers
    count = offers.latest - offers.earliest + 1
    order = torch.arange(len(count)).repeat_interleave(count)
    first = (count.cumsum(0) - count)[order]
    start = offers.earliest[order] + torch.arange(len(order)) - first
    deviation = -orders.position
    idle = discomfort(orders, offers.default_start, deviation)[order]
    cost = idle + offers.price_shift[order] * (start - offers.default_start[order]).abs()
    buckets = []
    for rows, width, leveled in _alike(offers, order):
        bucket, extra = _bucket(orders, (rows, order[rows], start[rows]), width, leveled)
        cost = cost.index_add(0, rows, extra)
        buckets.append(bucket)
    return Patterns(orders, order, start, cost, tuple(buckets))


def answers(patterns: Patterns, nodal: Tensor) -> tuple[Schedules, Tensor]:
    """Return the schedule of each order that costs least at prices [M, T] EUR/kWh, and its cost [N] at these prices.

    The cost is discomfort plus the price of the deviation. Of equally cheap starts the earliest is taken.
    """
    orders = patterns.orders
    energy, cost = _respond(patterns, nodal)
    chosen = _first_least(patterns.order, cost, len(orders.id))
    return schedules(patterns, energy, chosen), cost[chosen] - (nodal[orders.node] * orders.position).sum(1)


def every_pattern(patterns: Patterns, nodal: Tensor) -> Schedules:
    """Return the cheapest schedule of each pattern, not only of each order, at prices [M, T] EUR/kWh."""
    return schedules(patterns, _respond(patterns, nodal)[0], torch.arange(len(patterns.order)))


def restricted(orders: FlexOrders, start: Tensor) -> FlexOrders:
    """Return the same orders with no other start than `start` [N]."""
    return replace(orders, offers=replace(orders.offers, earliest=start, latest=start))


def energies(orders: FlexOrders, start: Tensor, deviation: Tensor) -> Tensor:
    """Return deviations [N, T] kWh of schedules as energies per slice [N, W] kWh from the `start` [N] on."""
    width = orders.offers.lower.shape[1]
    slice_ = torch.arange(width)
    slot = (start[:, None] + slice_).clamp(max=orders.position.shape[1] - 1)
    inside = slice_ < orders.offers.slices[:, None]
    return torch.where(inside, (deviation + orders.position).gather(1, slot), 0.0)


def _alike(offers: FlexOfferBatch, order: Tensor) -> Iterator[tuple[Tensor, int, bool]]:
    """Yield patterns of profiles with similar length and bounds of one kind, with room for the longest."""
    bounded = (offers.level_lower.isfinite() | offers.level_upper.isfinite()).any(1)
    rigid = (offers.upper == offers.lower).all(1)
    doubling = offers.slices.double().log2().ceil().long()
    key = (doubling * 3 + torch.where(rigid, 0, 1 + bounded.long()))[order]
    for value in key.unique().tolist():
        rows = (key == value).nonzero()[:, 0]
        yield rows, int(offers.slices[order[rows]].max()), value % 3 == 2


def _bucket(
    orders: FlexOrders, which: tuple[Tensor, Tensor, Tensor], width: int, leveled: bool
) -> tuple[Bucket, Tensor]:
    """Return patterns as a bucket, and what moving from nothing to their lower bounds costs the owners [R] EUR."""
    pattern, order, start = which
    offers, slots = take_rows(orders.offers, order), orders.position.shape[1]
    slice_ = torch.arange(width)
    inside = slice_ < offers.slices[:, None]
    slot = torch.where(inside, start[:, None] + slice_, slots)
    position = pad(orders.position, (0, 1)).flatten()[order[:, None] * (slots + 1) + slot]
    lower, upper = offers.lower[:, :width].double(), offers.upper[:, :width].double()
    more, less = orders.price_more[order, None], orders.price_less[order, None]

    def owner_pays(energy: Tensor) -> Tensor:
        beyond = energy - position
        return more * beyond.clamp(min=0.0) - less * beyond.clamp(max=0.0)

    extra = (owner_pays(lower) - owner_pays(torch.zeros_like(lower))).sum(1)
    middle = position.clamp(lower, upper)
    cut = (middle > lower) & (middle < upper) & (more + less > 0.0)
    offset = torch.where(middle > lower, -less, more)
    if bool((lower == upper).all()):
        return Bucket(pattern, order, slot, lower, offset, None), extra
    bucket = Bucket(pattern, order, slot, lower, offset, None)
    if leveled:
        return _leveled(bucket, offers, torch.stack([middle, upper], 2), cut, more.expand_as(lower)), extra
    return _totalled(bucket, offers, torch.where(cut, middle, upper), upper, (cut, more)), extra


def _totalled(
    bucket: Bucket, offers: FlexOfferBatch, middle: Tensor, upper: Tensor, cut: tuple[Tensor, Tensor]
) -> Bucket:
    """Return a bucket bounded by totals; the upper parts of cut slices are put behind all slices."""
    where, more = cut
    extra = int(where.sum(1).max())
    part = where.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :extra]
    range_ = torch.cat([middle - bucket.lower, (upper - middle).gather(1, part)], 1)
    base = bucket.lower.sum(1)
    least, most = offers.total_lower.double() - base, offers.total_upper.double() - base
    binds = bool(((least > 1e-12) | (most < range_.sum(1) - 1e-12)).any())
    return replace(
        bucket,
        slot=torch.cat([bucket.slot, bucket.slot.gather(1, part)], 1),
        lower=pad(bucket.lower, (0, extra)),
        offset=torch.cat([bucket.offset, more.expand(-1, extra)], 1),
        free=Room(bucket.lower, range_, least, most, binds),
    )


def _leveled(bucket: Bucket, offers: FlexOfferBatch, ends: Tensor, cut: Tensor, more: Tensor) -> Bucket:
    """Return a bucket bounded by levels; where a slice is cut, every slice becomes two, its level after the second."""
    width = bucket.lower.shape[1]
    low, high = (bound[:, :width].double() for bound in levels(offers))
    one = replace(
        offers, lower=bucket.lower, upper=ends[..., 1], level_lower=low, level_upper=high, default=bucket.lower
    )
    if not bool(cut.any()):
        return replace(bucket, free=able_of(one))

    def two(first: Tensor, second: Tensor) -> Tensor:
        return torch.stack([first, second], 2).flatten(1)

    zero, endless = torch.zeros_like(bucket.lower), torch.full_like(bucket.lower, torch.inf)
    lower = two(bucket.lower, zero)
    parts = replace(
        one,
        slices=2 * offers.slices,
        lower=lower,
        upper=two(ends[..., 0], ends[..., 1] - ends[..., 0]),
        level_lower=two(-endless, low),
        level_upper=two(endless, high),
        default=lower,
    )
    offset = two(bucket.offset, more)
    slot = bucket.slot.repeat_interleave(2, dim=1)
    return replace(bucket, slot=slot, lower=lower, offset=offset, free=able_of(parts))


def _respond(patterns: Patterns, nodal: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the cheapest energies of each bucket [R, V] kWh, and what patterns cost [R], but for their position."""
    node, slots = patterns.orders.node, nodal.shape[1]
    padded = pad(nodal, (0, 1)).flatten()
    cost, energies = patterns.cost.clone(), []
    for bucket in patterns.buckets:
        price = padded[node[bucket.order, None] * (slots + 1) + bucket.slot]
        extra = above(bucket, price + bucket.offset)
        cost[bucket.pattern] += (price * bucket.lower).sum(1)
        if extra is not None:
            cost[bucket.pattern] += ((price + bucket.offset) * extra).sum(1)
        energies.append(bucket.lower if extra is None else bucket.lower + extra)
    return energies, cost


def schedules(patterns: Patterns, energy: Sequence[Tensor], chosen: Tensor) -> Schedules:
    """Return some patterns [C] with the energies [R, V] kWh of each bucket as schedules."""
    orders, slots = patterns.orders, patterns.orders.position.shape[1]
    row = torch.full((len(patterns.order),), -1).index_copy(0, chosen, torch.arange(len(chosen)))
    order, start = patterns.order[chosen], patterns.start[chosen]
    taken = pad(-orders.position[order], (0, 1))
    for bucket, some in zip(patterns.buckets, energy):
        mine = (row[bucket.pattern] >= 0).nonzero()[:, 0]
        cells = row[bucket.pattern[mine], None] * (slots + 1) + bucket.slot[mine]
        taken.view(-1).index_add_(0, cells.flatten(), some[mine].flatten())
    deviation = taken[:, :slots].contiguous()
    return Schedules(order, start, deviation, discomfort(orders, start, deviation, order))


def above(bucket: Bucket, price: Tensor) -> Tensor | None:
    """Return the cheapest energies above the lower bounds [R, V] kWh at what they cost [R, V] EUR/kWh."""
    if bucket.free is None:
        return None
    if isinstance(bucket.free, Steps):
        return best_apart(bucket.free, -price.T).T - bucket.lower
    rank = price.argsort(dim=1, stable=True) if bucket.free.totals_bind else price
    return filled(bucket.free, price, rank)


def _first_least(order: Tensor, cost: Tensor, count: int) -> Tensor:
    """Return the number [N] of the first of the cheapest patterns of each order."""
    least = torch.full((count,), torch.inf, dtype=cost.dtype).scatter_reduce(0, order, cost, "amin")
    number = torch.where(cost <= least[order], torch.arange(len(order)), len(order))
    return torch.full((count,), len(order)).scatter_reduce(0, order, number, "amin")
