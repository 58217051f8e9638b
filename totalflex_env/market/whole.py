"""From mixtures of schedules to awards: every order accepted or not, with one start.

Orders whose set is convex may keep a mixture; the others need whole numbers. First each takes the pattern with the
largest share and the energies are cleared again for these starts. If that leaves more than the tolerance, HiGHS chooses
among the patterns with any share as a mixed-integer program over the columns found so far (price and branch), and the
energies are cleared again, as long as that helps. The bound of the relaxation says how good the result is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import contains
from totalflex_env.market.book import AuctionBook, FlexOrders
from totalflex_env.market.patterns import discomfort, energies, restricted
from totalflex_env.market.relaxation import Relaxation, relative_gap, relax

SHARE = 1e-6  # of a schedule that counts as none
REPEATS = 4  # of choosing patterns with the columns that the last choice has brought


@dataclass(frozen=True)
class Allocation:
    """What everybody does."""

    accepted: Tensor  # [N] bool
    start: Tensor  # [N] int64, the default start where not accepted
    energy: Tensor  # [N, W] kWh per slice, zero where not accepted
    deviation: Tensor  # [N, T] kWh per slot
    discomfort: Tensor  # [N] EUR, what the award costs the owner by his own bid
    supplied: Tensor  # [P, T] kWh
    value: Tensor  # [L, T] of the limits, kWh or p.u.
    cost: float  # EUR of all together


def whole(relaxation: Relaxation, tolerance: float) -> tuple[Allocation, Relaxation]:
    """Return an allocation in whole starts, and the clearing of its energies, whose prices are for fixed starts."""
    best = _cleared(relaxation, _largest(relaxation), tolerance)
    for _ in range(REPEATS):
        if relative_gap(best[0].cost, relaxation.bound.total) <= tolerance:
            break
        found = _cleared(relaxation, _branched(relaxation, tolerance), tolerance)
        if found[0].cost >= best[0].cost - 1e-9 * max(1.0, abs(best[0].cost)):
            break
        best = found
    return best


def _cleared(relaxation: Relaxation, chosen: tuple[Tensor, Tensor], tolerance: float) -> tuple[Allocation, Relaxation]:
    """Return the energies cleared for who is accepted [N] bool and starts [N], known to the relaxation from now on."""
    accepted, start = chosen
    every, _ = relaxation.mixture()
    place = torch.where(accepted, accepted.cumsum(0) - 1, -1)
    some = take_rows(every, accepted[every.order] & (every.start == start[every.order]))
    some = replace(some, order=place[some.order])
    fixed = relax(fixed_book(relaxation.book, accepted, start), tolerance / 4.0, relaxation.prices, some)
    _learn(relaxation, accepted, fixed)
    return _allocation(relaxation.book, accepted, start, fixed), fixed


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


def fixed_book(book: AuctionBook, accepted: Tensor, start: Tensor) -> AuctionBook:
    """Return the book of the accepted orders [N] bool alone, which must run and start at `start` [N]."""
    orders = take_rows(restricted(book.orders, start), accepted)
    free = torch.full_like(orders.group, -1)
    runs = torch.ones_like(orders.must_run)
    still = divisible(orders) & ~orders.must_run  # may be taken in part, at any price
    return replace(book, orders=replace(orders, must_run=runs & ~still, group=free, parent=free))


def _shares(relaxation: Relaxation) -> Tensor:
    """Return the share [R] that each pattern has in the mixture."""
    some, weight = relaxation.mixture()
    key = pattern_of(relaxation, some.order, some.start)
    return torch.zeros(len(relaxation.patterns.order), dtype=torch.float64).index_add(0, key, weight)


def pattern_of(relaxation: Relaxation, order: Tensor, start: Tensor) -> Tensor:
    """Return the numbers of the patterns of orders with given starts."""
    offers = relaxation.book.orders.offers
    count = offers.latest - offers.earliest + 1
    return (count.cumsum(0) - count)[order] + start - offers.earliest[order]


def _largest(relaxation: Relaxation) -> tuple[Tensor, Tensor]:
    """Return who is accepted [N] bool and starts [N] by the largest shares, families kept consistent."""
    patterns, orders, family = relaxation.patterns, relaxation.book.orders, relaxation.family
    share, count = _shares(relaxation), len(orders.id)
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
    return accepted, patterns.start[chosen]


def _branched(relaxation: Relaxation, tolerance: float) -> tuple[Tensor, Tensor]:
    """Return who is accepted [N] bool and starts [N] by a mixed-integer program over the columns there are."""
    patterns, orders = relaxation.patterns, relaxation.book.orders
    some = relaxation.master.schedules
    key = pattern_of(relaxation, some.order, some.start)
    needs = ~divisible(orders)
    taken = relaxation.master.choose(key, needs[some.order], tolerance / 4.0)
    start = orders.offers.default_start.index_put((patterns.order[taken],), patterns.start[taken])
    accepted = torch.zeros_like(needs).index_fill(0, patterns.order[taken], True)
    only = orders.offers.earliest
    return torch.where(needs, accepted, True), torch.where(needs, start, only)


def _learn(relaxation: Relaxation, accepted: Tensor, fixed: Relaxation) -> None:
    """Add the schedules that the fixed clearing has used to the master of the relaxation."""
    rows = accepted.nonzero()[:, 0]
    some, _ = fixed.mixture(SHARE)
    relaxation.master.add_limits(fixed.master.modelled)
    relaxation.master.add_schedules(replace(some, order=rows[some.order]))


def _allocation(book: AuctionBook, accepted: Tensor, start: Tensor, fixed: Relaxation) -> Allocation:
    """Return the mixture of a book of fixed starts as the allocation of the whole book."""
    orders, rows = book.orders, accepted.nonzero()[:, 0]
    some, weight = fixed.mixture()
    deviation = torch.zeros_like(orders.position)
    deviation.index_add_(0, rows[some.order], weight[:, None] * some.deviation)
    share = torch.zeros_like(orders.worth).index_add(0, rows[some.order], weight)
    served = accepted & (share > SHARE)
    start = torch.where(served, start, orders.offers.default_start)
    pays = torch.where(served, discomfort(orders, start, deviation), 0.0)
    supplied, value = fixed.solution.supplied, book.limits.base + book.limits.sensitivity @ fixed.solution.change
    energy = torch.where(served[:, None], energies(orders, start, deviation), 0.0)
    return Allocation(served, start, energy, deviation, pays, supplied, value, fixed.cost)
