"""First prices of a large auction: Newton's method for its dual, with orders and BRPs that ramp instead of jumping.

The dual of the auction (`dual`) is concave, but its gradient jumps wherever an order has two cheapest schedules. With
smooth answers (`smooth_answers`) and curves without steps it bends only where limits begin to bind, and the prices at
which supply meets demand are found in few steps, however many orders there are. The smoothing is reduced until the
bound that the prices prove hardly rises. The schedules with a share in the last answer are then the first columns of
the restricted master, which makes a vertex of them and closes the rest of the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env.compiled import compiled
from totalflex_env.flexoffer.newton import balance
from totalflex_env.flexoffer.scans import Steps
from totalflex_env.market.book import AuctionBook, StepCurves, effective_bounds
from totalflex_env.market.dual import Bound, Prices, make_prices, pieces
from totalflex_env.market.patterns import Patterns, Schedules, schedules
from totalflex_env.market.smooth_answers import SmoothAnswer, smooth_answer

WIDEST = 0.03  # of the spread of all bids of the BRPs: the first width of smoothing
REFINING = 0.3  # factor by which it falls
REFINEMENTS = 8
RISES = 2.0  # tolerances by which a bound must rise for the smoothing to be reduced further
MET = 1e-2  # of the mean position of a slot: what may be left out of balance
REACH = 4.0  # widths that prices may change in one step
FARTHEST = 10.0  # price caps that a price may reach
SHARED = 0.02  # share from which a schedule is kept
GROWING = 8  # times that limits are added at one width
WITHIN = 1e-9  # units by which a value may pass its limit
LEVELED = 0.1  # share of patterns bounded in their levels, which answer in jumps, from which this is no help


@dataclass(frozen=True)
class _Rows:
    """Limits that have been exceeded, each on one side."""

    limit: Tensor  # [K] int64
    slot: Tensor  # [K] int64
    upper: Tensor  # [K] bool, which side


def is_smooth(patterns: Patterns) -> bool:
    """Return whether nearly all patterns can answer smoothly."""
    leveled = sum(len(bucket.order) for bucket in patterns.buckets if isinstance(bucket.free, Steps))
    return leveled <= LEVELED * len(patterns.order)


def smooth_start(
    book: AuctionBook, patterns: Patterns, prove: Callable[[Prices], Bound], first: Prices, tolerance: float
) -> tuple[Bound, Schedules]:
    """Return the best bound that smooth orders lead to from prices `first`, and schedules that nearly reach it.

    `prove` returns the bound of the auction at some prices. The search ends where the bound rises by little more than
    the relative `tolerance`.
    """
    lower, upper = effective_bounds(book.limits)
    none = torch.zeros(0, dtype=torch.int64)
    rows = _grown(_Rows(none, none, none > 0), book.limits.base > upper + WITHIN, book.limits.base < lower - WITHIN)
    duals, width, best = torch.zeros(len(rows.limit) + book.slots).double(), _first_width(book.curves), prove(first)
    duals[: book.slots] = first.balance
    for _ in range(REFINEMENTS):
        for _ in range(GROWING):
            duals, prices, answer = _balanced(book, patterns, rows, duals, width)
            value = book.limits.base + book.limits.sensitivity @ answer.change
            grown = _grown(rows, value > upper + WITHIN, value < lower - WITHIN)
            duals = torch.cat([duals, duals.new_zeros(len(grown.limit) - len(rows.limit))])
            if len(grown.limit) == len(rows.limit):
                break
            rows = grown
        found, before = prove(prices), best.total
        best = found if found.total > before else best
        if found.total - before <= RISES * tolerance * abs(found.total):
            break
        width *= REFINING
    kept = (answer.share > SHARED).nonzero()[:, 0]
    return best, schedules(patterns, answer.energy, kept)


def _first_width(curves: StepCurves) -> float:
    """Return a part of the spread in EUR/kWh of the prices that BRPs bid."""
    offered = curves.price[curves.quantity > 0.0]
    return WIDEST * max(float(offered.max() - offered.min()), 1e-3) if len(offered) else WIDEST


def _grown(rows: _Rows, above: Tensor, below: Tensor) -> _Rows:
    """Return the rows with those added that are exceeded above or below [L, T] bool."""
    for outside, upper in ((above, True), (below, False)):
        mine = rows.upper == upper
        fresh = outside.index_put((rows.limit[mine], rows.slot[mine]), torch.zeros(1, dtype=torch.bool))
        limit, slot = fresh.nonzero().T
        side = torch.full_like(limit, upper, dtype=torch.bool)
        rows = _Rows(torch.cat([rows.limit, limit]), torch.cat([rows.slot, slot]), torch.cat([rows.upper, side]))
    return rows


def _balanced(
    book: AuctionBook, patterns: Patterns, rows: _Rows, start: Tensor, width: float
) -> tuple[Tensor, Prices, SmoothAnswer]:
    """Return the prices [T + K] of balance and rows at which both are met, from those to `start` from; and answers."""
    limits, slots, place = book.limits, book.slots, (rows.limit, rows.slot)
    lower, upper = effective_bounds(limits)
    edge = torch.where(rows.upper, upper[place], lower[place])
    seen = torch.cat([torch.ones(slots, limits.sensitivity.shape[1]).double(), limits.sensitivity[rows.limit]])
    slot = torch.cat([torch.arange(slots), rows.slot])

    asked: list[tuple[Prices, SmoothAnswer]] = []

    def excess(duals: Tensor) -> tuple[Tensor, Tensor]:
        limit = torch.zeros_like(limits.base).index_put(place, duals[slots:], accumulate=True)
        prices = make_prices(limits, duals[:slots], limit)
        answer = smooth_answer(patterns, prices.nodal, width)
        asked[:] = [(prices, answer)]
        supplied, rise = _supply(book.curves, duals[:slots], width)
        value = limits.base + limits.sensitivity @ answer.change
        slope = np.zeros((len(slot), len(slot)))
        _add_nodes(answer.slope.numpy(), seen.T.contiguous().numpy(), slot.numpy(), slope)
        slope[np.arange(slots), np.arange(slots)] -= rise.numpy()
        return torch.cat([answer.change.sum(0) - supplied, value[place] - edge]), torch.from_numpy(slope)

    far = torch.full((slots,), FARTHEST * book.price_cap, dtype=torch.float64)
    cap = limits.cap[place].clamp(max=FARTHEST * book.price_cap)
    low, high = torch.where(rows.upper, 0.0, -cap), torch.where(rows.upper, cap, 0.0)
    met = MET * max(float(book.orders.position.abs().sum()) / slots, 1e-3)
    bounds = torch.cat([-far, low]), torch.cat([far, high])
    duals = balance(excess, start, met, bounds, REACH * width).price
    return duals, *asked[0]


def _supply(curves: StepCurves, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return what BRPs supply [T] kWh at balance prices [T] if their steps ramp, and the rise of that [T]."""
    up, down = pieces(curves)
    share = 0.5 + (price[:, None] - curves.price) / width
    rise = ((share > 0.0) & (share < 1.0)) * (up + down) / width
    share = share.clamp(0.0, 1.0)
    return (up * share - down * (1.0 - share)).sum((0, 2)), rise.sum((0, 2))


@compiled
def _add_nodes(nodal: Any, seen: Any, slot: Any, slope: Any) -> None:
    """Add up the derivative [K, K] of rows that see nodes [M, K] in slots [K], from those of nodes [M, T, T]."""
    for node in range(len(nodal)):
        rows = np.nonzero(seen[node])[0]
        for one in range(len(rows)):
            row = rows[one]
            for other in rows[: one + 1]:
                both = seen[node, row] * seen[node, other] * nodal[node, slot[row], slot[other]]
                slope[row, other] += both
                if row != other:
                    slope[other, row] += both
