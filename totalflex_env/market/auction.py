"""The day-ahead auction of whole flex-offers under balance and grid constraints.

Minimise discomfort + supply cost of the BRPs + cap * overload, subject to

    schedules of the orders, their groups and links          sum of deviations = sum of supplies     (balance price)
    lower <= base + sensitivity @ deviations <= upper, or the overload is paid for                   (limit prices)

`relaxation` finds prices and a bound, `whole` the awards, `price_rules` who pays what. The answer depends on the book
alone: orders are sorted by id, ties go to the earlier start and the smaller id, and no search is cut off by a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from totalflex_env.market.admission import admit
from totalflex_env.market.book import AuctionBook
from totalflex_env.market.conflicts import require_feasible
from totalflex_env.market.dual import Prices
from totalflex_env.market.payments import Payments
from totalflex_env.market.price_rules import PriceRule, price
from totalflex_env.market.rejections import Rejection
from totalflex_env.market.relaxation import relative_gap, relax
from totalflex_env.market.whole import Allocation

RELAXED = 0.8  # of the tolerance, for the relaxation; the rest is for whole numbers


@dataclass(frozen=True)
class Clearing:
    """The result of an auction, for the admitted orders in the order of their ids."""

    book: AuctionBook  # what was admitted
    rejections: tuple[Rejection, ...]  # and what was not
    rule: PriceRule
    allocation: Allocation
    prices: Prices
    payments: Payments
    missed: Tensor  # [N] EUR that families miss at the prices, at their heads, before uplifts
    bound: float  # EUR; no allocation of the book costs less
    rounds: int

    @property
    def gap(self) -> float:
        """Relative distance between cost and bound."""
        return relative_gap(self.allocation.cost, self.bound)


def clear(
    book: AuctionBook,
    rule: PriceRule = PriceRule.CONVEX_HULL,
    tolerance: float = 1e-3,
    previous: Clearing | None = None,
) -> Clearing:
    """Return awards, prices and payments; `tolerance` is the relative gap at which the search for better ones ends.

    The gap is proved, whatever it is. An InfeasibleError names what conflicts if limits must not be exceeded. A
    `previous` clearing of nearly the same book, with the same limits in the same order, is where the search begins.
    """
    admitted, rejections = admit(book)
    relaxation = relax(admitted, RELAXED * tolerance, previous.prices if previous else None)
    require_feasible(relaxation, admitted.orders.id[admitted.orders.must_run])
    priced = price(rule, relaxation, tolerance)
    return Clearing(
        book=admitted,
        rejections=rejections,
        rule=rule,
        allocation=priced.allocation,
        prices=priced.prices,
        payments=priced.payments,
        missed=priced.missed,
        bound=relaxation.bound.total,
        rounds=relaxation.rounds,
    )
