"""The auction with shares of schedules allowed: Dantzig-Wolfe, and the prices that come out of it.

Each round the restricted master (`master`) proposes prices, the orders answer a mixture of them and of the best prices
so far (Wentges smoothing, so that early prices do not swing), and answers that improve the master are added. The same
answers prove a bound (`dual`). Limits of the grid enter as rows only when they are exceeded; until then an overload
counts at its cap, so the master's allocation has a true cost at any time. The rounds end when cost and bound meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.book import AuctionBook, default_is_position, effective_bounds
from totalflex_env.market.dual import Bound, Prices, bound, make_prices, mixed, overload_cost
from totalflex_env.market.families import Families, families
from totalflex_env.market.master import Master, Solution
from totalflex_env.market.patterns import Patterns, Schedules, discomfort, every_pattern, expand
from totalflex_env.market.smooth import is_smooth, smooth_start

ROUNDS = 400
SMOOTHING = 0.5  # share of the best prices so far in the prices that orders are asked
IMPROVES = 1e-9  # EUR that a schedule must save at the least to be added
IGNORED = 0.2  # of the tolerance: what all schedules that are not added for saving too little could save together
WITHIN = 1e-9  # units by which a value may pass its limit
FEW = 600  # patterns that are all added at once, so that small books are complete from the beginning


@dataclass(frozen=True)
class Relaxation:
    """The optimum over mixtures of schedules, up to `gap`."""

    book: AuctionBook
    patterns: Patterns
    family: Families
    master: Master
    solution: Solution
    prices: Prices  # of the best bound
    bound: Bound
    cost: float  # EUR of the mixture
    rounds: int

    @property
    def gap(self) -> float:
        """Relative distance between cost and bound."""
        return relative_gap(self.cost, self.bound.total)

    def mixture(self, least: float = 0.0) -> tuple[Schedules, Tensor]:
        """Return the schedules [C] that have a share above `least`, and their shares [C]."""
        weight = self.solution.weight
        used = (weight > least).nonzero()[:, 0]
        return take_rows(self.master.schedules, used), weight[used]


def relative_gap(cost: float, least: float) -> float:
    """Return (cost - bound) by the larger of the two, EUR; amounts below 1e-6 EUR count as that."""
    return (cost - least) / max(abs(cost), abs(least), 1e-6)


def relax(
    book: AuctionBook, tolerance: float, first: Prices | None = None, known: Schedules | None = None
) -> Relaxation:
    """Return mixtures of schedules that cost least, to a relative `tolerance`.

    The search begins at the prices `first` and with the schedules `known`, if there are any.
    """
    patterns, family = expand(book.orders), families(book.orders)
    master = Master(book, family)
    best = _begun(master, patterns, family, (first, known), tolerance)
    prices = best.prices
    lower, upper = effective_bounds(book.limits)
    cost, rounds, kept = torch.inf, 0, master.solve()
    while rounds < ROUNDS:
        solution = master.solve() if rounds else kept
        rounds += 1
        value = book.limits.base + book.limits.sensitivity @ solution.change
        outside = (value > upper + WITHIN) | (value < lower - WITHIN)
        extra = torch.where(outside & ~master.modelled, overload_cost(book.limits, value), 0.0)
        if solution.cost + float(extra.sum()) <= cost:
            cost, kept = solution.cost + float(extra.sum()), solution
        grown = master.add_limits(outside)
        least = max(IMPROVES, IGNORED * tolerance * min(abs(best.total), abs(cost)) / max(1, len(book.orders.id)))
        for share in (SMOOTHING, 0.0):
            asked = mixed(book.limits, solution.prices, prices, share)
            found = bound(book, patterns, family, asked)
            if found.total > best.total:
                best, prices = found, asked
            saved = _reduced(book, found.schedules, solution) < -least
            if bool(saved.any()):
                break
        master.add_schedules(take_rows(found.schedules, saved))
        if relative_gap(cost, best.total) <= tolerance or not (grown or bool(saved.any())):
            break
    return Relaxation(book, patterns, family, master, kept, prices, best, cost, rounds)


def _begun(
    master: Master,
    patterns: Patterns,
    family: Families,
    start: tuple[Prices | None, Schedules | None],
    tolerance: float,
) -> Bound:
    """Give the master its first columns, rows and basis; return the bound at the prices that they belong to."""
    book, (first, known) = master.book, start
    prices = opening(book) if first is None else first
    few = len(patterns.order) <= FEW
    master.add_schedules(_unchanged(book))
    if first is None and not few and is_smooth(patterns):
        best, known = smooth_start(book, patterns, lambda at: bound(book, patterns, family, at), prices, tolerance)
    else:
        best = bound(book, patterns, family, prices)
    if known is not None:
        master.add_schedules(known)
    master.add_schedules(every_pattern(patterns, prices.nodal) if few else best.schedules)
    lower, upper = effective_bounds(book.limits)
    exceeded = (book.limits.base > upper + WITHIN) | (book.limits.base < lower - WITHIN)
    master.add_limits(exceeded | (best.prices.limit != 0.0))
    if known is not None and not few:
        master.begin(best.prices)
    return best


def opening(book: AuctionBook) -> Prices:
    """Return the prices at which nobody trades yet: the middle of what BRPs bid around 0, limits free."""
    curves = book.curves
    middle = torch.zeros(book.slots, dtype=torch.float64)
    if curves.price.numel():
        nearest = (curves.start[..., None] + curves.quantity.cumsum(2) - 0.5 * curves.quantity).abs().argmin(2)
        middle = curves.price.gather(2, nearest[..., None])[..., 0].mean(0)
    return make_prices(book.limits, middle, torch.zeros_like(book.limits.base))


def _unchanged(book: AuctionBook) -> Schedules:
    """Return the default schedules of the orders whose default is their position and still open to them."""
    orders = book.orders
    start, deviation = orders.offers.default_start, torch.zeros_like(orders.position)
    every = Schedules(torch.arange(len(start)), start, deviation, discomfort(orders, start, deviation))
    allowed = (start >= orders.offers.earliest) & (start <= orders.offers.latest)
    return take_rows(every, default_is_position(orders) & allowed)


def _reduced(book: AuctionBook, some: Schedules, solution: Solution) -> Tensor:
    """Return what adding schedules, one of each order, would change [N] EUR by unit of weight."""
    nodal = solution.prices.nodal[book.orders.node]
    return some.cost + (nodal * some.deviation).sum(1) - solution.surplus
