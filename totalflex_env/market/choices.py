"""Which orders are accepted, and at which starts: what a mixture of schedules says of it.

Orders whose set is convex may keep a mixture; all others need one start, taken whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.flexoffer.offers import contains
from totalflex_env.market.book import FlexOrders
from totalflex_env.market.patterns import energies
from totalflex_env.market.relaxation import Relaxation

SHARE = 1e-6  # of a schedule that counts as none


@dataclass(frozen=True)
class Choice:
    """Who is accepted, and when it starts."""

    accepted: Tensor  # [N] bool
    start: Tensor  # [N] int64


def divisible(orders: FlexOrders) -> Tensor:
    """Return which orders [N] bool may be mixed: one start only, and either they must run or a part of them is allowed.

    A part of an optional order is allowed if doing nothing is one of its schedules and being accepted is worth nothing.
    """
    offers = orders.offers
    idle = contains(offers, offers.earliest, energies(orders, offers.earliest, torch.zeros_like(orders.position)))
    within = energies(orders, offers.earliest, torch.zeros_like(orders.position)).sum(1) - orders.position.sum(1)
    part = idle & (within.abs() <= 1e-9) & (orders.worth == 0.0) & (offers.earliest == offers.default_start)
    alone = (orders.group < 0) & (orders.parent < 0) & ~torch.isin(orders.id, orders.parent)
    return (offers.earliest == offers.latest) & alone & (orders.must_run | part)


def pattern_of(relaxation: Relaxation, order: Tensor, start: Tensor) -> Tensor:
    """Return the numbers of the patterns of orders with given starts."""
    offers = relaxation.book.orders.offers
    count = offers.latest - offers.earliest + 1
    return (count.cumsum(0) - count)[order] + start - offers.earliest[order]


def shares(relaxation: Relaxation) -> Tensor:
    """Return the share [R] that each pattern has in the mixture."""
    some, weight = relaxation.mixture()
    key = pattern_of(relaxation, some.order, some.start)
    return torch.zeros(len(relaxation.patterns.order), dtype=torch.float64).index_add(0, key, weight)


def largest(relaxation: Relaxation) -> Choice:
    """Return the choice of the largest shares, families kept consistent."""
    patterns, orders, family = relaxation.patterns, relaxation.book.orders, relaxation.family
    share, count = shares(relaxation), len(orders.id)
    total = torch.zeros(count, dtype=torch.float64).index_add(0, patterns.order, share)
    most = torch.full((count,), -1.0, dtype=torch.float64).scatter_reduce(0, patterns.order, share, "amax")
    number = torch.where(share >= most[patterns.order], torch.arange(len(share)), len(share))
    chosen = torch.full((count,), len(share)).scatter_reduce(0, patterns.order, number, "amin")
    accepted = orders.must_run | (total >= 0.5) | (divisible(orders) & (total > SHARE))
    if family.groups:
        grouped = family.group >= 0
        top = torch.zeros(family.groups, dtype=torch.float64).scatter_reduce(
            0, family.group[grouped], total[grouped], "amax"
        )
        row = torch.arange(count)
        leads = grouped & (total >= top[family.group.clamp(min=0)] - SHARE)
        first = torch.full((family.groups,), count).scatter_reduce(0, family.group[leads], row[leads], "amin")
        wanted = (top >= 0.5) | orders.must_run[first]
        accepted = torch.where(grouped, wanted[family.group] & (first[family.group] == row), accepted)
    for level in reversed(family.levels):
        parent = family.parent[level]
        accepted = accepted.index_put((level,), accepted[level] & ((parent < 0) | accepted[parent.clamp(min=0)]))
    return Choice(accepted, patterns.start[chosen])


def branched(relaxation: Relaxation, tolerance: float) -> Choice:
    """Return the choice of a mixed-integer program over the columns that there are."""
    patterns, orders = relaxation.patterns, relaxation.book.orders
    some = relaxation.master.schedules
    key = pattern_of(relaxation, some.order, some.start)
    needs = ~divisible(orders)
    taken = relaxation.master.choose(key, needs[some.order], tolerance)
    start = orders.offers.default_start.index_put((patterns.order[taken],), patterns.start[taken])
    accepted = torch.zeros_like(needs).index_fill(0, patterns.order[taken], True)
    return Choice(torch.where(needs, accepted, True), torch.where(needs, start, orders.offers.earliest))
