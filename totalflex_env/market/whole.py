"""From mixtures of schedules to awards: every order accepted or not, with one start.

First each order takes the pattern with the largest share and the energies are cleared again for these starts. If that
leaves more than the tolerance, HiGHS chooses among the patterns as a mixed-integer program over the columns found so
far (price and branch), and the energies are cleared again, as long as that helps. What the columns do not hold is
searched for by branch and bound (`branch`). The bound of the relaxation says how good the result is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.book import AuctionBook
from totalflex_env.market.branch import search
from totalflex_env.market.choices import SHARE, Choice, branched, divisible, largest
from totalflex_env.market.conflicts import require_feasible
from totalflex_env.market.patterns import discomfort, energies, restricted
from totalflex_env.market.relaxation import Relaxation, relative_gap, relax

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
    """Return an allocation in whole starts, and the clearing of its energies, whose prices are for fixed starts.

    Where mixtures keep all hard limits and no whole awards that were found do, it is an InfeasibleError.
    """
    found = _best(relaxation, tolerance)
    orders = relaxation.book.orders
    require_feasible(found[1], orders.id[orders.must_run])
    return found


def _best(relaxation: Relaxation, tolerance: float) -> tuple[Allocation, Relaxation]:
    best = _cleared(relaxation, largest(relaxation), tolerance)
    for _ in range(REPEATS):
        if _close(relaxation, best, tolerance):
            return best
        found = _cleared(relaxation, branched(relaxation, tolerance / 4.0), tolerance)
        if found[0].cost >= best[0].cost - 1e-9 * max(1.0, abs(best[0].cost)):
            break
        best = found
    better = None if _close(relaxation, best, tolerance) else search(relaxation, best[0].cost, tolerance)
    return best if better is None else _cleared(relaxation, better, tolerance)


def _close(relaxation: Relaxation, found: tuple[Allocation, Relaxation], tolerance: float) -> bool:
    return relative_gap(found[0].cost, relaxation.bound.total) <= tolerance


def _cleared(relaxation: Relaxation, choice: Choice, tolerance: float) -> tuple[Allocation, Relaxation]:
    """Return the energies cleared for a choice, known to the relaxation from now on."""
    accepted, start = choice.accepted, choice.start
    every, _ = relaxation.mixture()
    place = torch.where(accepted, accepted.cumsum(0) - 1, -1)
    some = take_rows(every, accepted[every.order] & (every.start == start[every.order]))
    some = replace(some, order=place[some.order])
    fixed = relax(fixed_book(relaxation.book, accepted, start), tolerance / 4.0, relaxation.prices, some)
    _learn(relaxation, accepted, fixed)
    return _allocation(relaxation.book, accepted, start, fixed), fixed


def fixed_book(book: AuctionBook, accepted: Tensor, start: Tensor) -> AuctionBook:
    """Return the book of the accepted orders [N] bool alone, which must run and start at `start` [N]."""
    orders = take_rows(restricted(book.orders, start), accepted)
    free = torch.full_like(orders.group, -1)
    runs = torch.ones_like(orders.must_run)
    still = divisible(orders) & ~orders.must_run  # may be taken in part, at any price
    return replace(book, orders=replace(orders, must_run=runs & ~still, group=free, parent=free))


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
