"""Price rules of the auction behind one interface: from a relaxation to awards, prices and payments.

* CONVEX_HULL: prices are those of the relaxation, with the least uplifts of all uniform prices (Gribik, Hogan and Pope
  2007). An uplift makes up for what a family misses by its award at these prices, whether it loses or is turned down.
* FIXED: accepted orders and starts are fixed and the energies priced again (O'Neill et al. 2005); uplifts as above.
* PAY_AS_BID: everybody who bears a cost receives his own bid, those who gain pay for it; prices are for information.
* EUROPEAN: prices of FIXED, no uplift; an optional order that would lose at them is turned down and the rest cleared
  again, until nobody loses. Orders may be turned down although the prices would suit them. A child that loses is turned
  down itself and never counts in favour of its parent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.book import AuctionBook, default_is_position
from totalflex_env.market.dual import Bound, Prices, bound
from totalflex_env.market.families import Families, subtree_cost
from totalflex_env.market.payments import Payments, as_bid, at_prices, with_uplift
from totalflex_env.market.relaxation import Relaxation, relax
from totalflex_env.market.whole import Allocation, whole

LOSES = 1e-6  # EUR by which an award may miss without being called a loss


class PriceRule(StrEnum):
    """The rules there are."""

    CONVEX_HULL = "convex_hull"
    FIXED = "fixed"
    PAY_AS_BID = "pay_as_bid"
    EUROPEAN = "european"


@dataclass(frozen=True)
class Priced:
    """What a rule makes of a relaxation."""

    allocation: Allocation
    prices: Prices
    payments: Payments
    missed: Tensor  # [N] EUR that each family misses at the prices without uplift, at its head


def price(rule: PriceRule, relaxation: Relaxation, tolerance: float) -> Priced:
    """Return awards, prices and payments by a rule; whole numbers to a relative `tolerance`."""
    return _RULES[rule](relaxation, tolerance)


def missed_by_families(book: AuctionBook, family: Families, least: Bound, allocation: Allocation) -> Tensor:
    """Return what families could gain at prices beyond what they do, by their own choice [N] EUR, at their heads."""
    does = allocation.discomfort + _pays(book, least, allocation)
    return torch.zeros_like(does).index_add(0, family.head, does) - least.family


def _pays(book: AuctionBook, least: Bound, allocation: Allocation) -> Tensor:
    """Return the price of the awarded deviations [N] EUR at the prices of a bound."""
    return (least.prices.nodal[book.orders.node] * allocation.deviation).sum(1)


def _convex_hull(relaxation: Relaxation, tolerance: float) -> Priced:
    allocation, _ = whole(relaxation, tolerance)
    return _uplifted(relaxation, allocation, relaxation.bound)


def _fixed(relaxation: Relaxation, tolerance: float) -> Priced:
    allocation, fixed = whole(relaxation, tolerance)
    return _uplifted(
        relaxation, allocation, bound(relaxation.book, relaxation.patterns, relaxation.family, fixed.prices)
    )


def _uplifted(relaxation: Relaxation, allocation: Allocation, least: Bound) -> Priced:
    book, family = relaxation.book, relaxation.family
    missed = missed_by_families(book, family, least, allocation)
    paid = with_uplift(at_prices(book, allocation, least.prices), missed.clamp(min=0.0))
    return Priced(allocation, least.prices, paid, missed)


def _pay_as_bid(relaxation: Relaxation, tolerance: float) -> Priced:
    allocation, _ = whole(relaxation, tolerance)
    book = relaxation.book
    missed = missed_by_families(book, relaxation.family, relaxation.bound, allocation)
    return Priced(allocation, relaxation.prices, as_bid(book, allocation), missed)


def _european(relaxation: Relaxation, tolerance: float) -> Priced:
    book = relaxation.book
    rows = torch.arange(len(book.orders.id))
    current = relaxation
    while True:
        allocation, fixed = whole(current, tolerance)
        loses, stays = _losers(current.book, current.family, fixed.prices, allocation)
        if not bool((loses | stays).any()):
            break
        rows, narrowed = rows[~loses], _turned_down(current.book, loses, stays)
        current = relax(narrowed, tolerance / 4.0, fixed.prices)
    allocation = _embedded(book, rows, allocation)
    least = bound(book, relaxation.patterns, relaxation.family, fixed.prices)
    missed = missed_by_families(book, relaxation.family, least, allocation)
    return Priced(allocation, fixed.prices, at_prices(book, allocation, fixed.prices), missed)


def _losers(book: AuctionBook, family: Families, prices: Prices, done: Allocation) -> tuple[Tensor, Tensor]:
    """Return which accepted orders lose [N] bool and are turned down, and which then keep to their position instead."""
    orders = book.orders
    cost = done.discomfort + (prices.nodal[orders.node] * done.deviation).sum(1)
    own = subtree_cost(family, torch.where(done.accepted, cost, 0.0))
    loses = done.accepted & ~orders.must_run & (own > LOSES)
    for level in reversed(family.levels):  # children of an order that is turned down go with it
        parent = family.parent[level]
        loses = loses.index_put((level,), loses[level] | ((parent >= 0) & loses[parent.clamp(min=0)]))
    fixed = (orders.offers.earliest == orders.offers.latest) & (orders.offers.lower == orders.offers.upper).all(1)
    stays = orders.must_run & (cost > LOSES) & default_is_position(orders) & ~fixed & (orders.group < 0)
    return loses, stays


def _turned_down(book: AuctionBook, loses: Tensor, stays: Tensor) -> AuctionBook:
    """Return the book without the orders that lose, and with those that stay as by default."""
    orders, offers = book.orders, book.orders.offers
    row = stays[:, None]
    kept = replace(
        offers,
        earliest=torch.where(stays, offers.default_start, offers.earliest),
        latest=torch.where(stays, offers.default_start, offers.latest),
        lower=torch.where(row, offers.default, offers.lower),
        upper=torch.where(row, offers.default, offers.upper),
        total_lower=torch.where(stays, offers.default.sum(1), offers.total_lower),
        total_upper=torch.where(stays, offers.default.sum(1), offers.total_upper),
        level_lower=torch.where(row, -torch.inf, offers.level_lower),
        level_upper=torch.where(row, torch.inf, offers.level_upper),
    )
    return replace(book, orders=take_rows(replace(orders, offers=kept), ~loses))


def _embedded(book: AuctionBook, rows: Tensor, some: Allocation) -> Allocation:
    """Return an allocation of the orders `rows` as one of the whole book, the others not accepted."""
    orders = book.orders

    def spread(part: Tensor, rest: Tensor) -> Tensor:
        return rest.index_copy(0, rows, part)

    return replace(
        some,
        accepted=spread(some.accepted, torch.zeros_like(orders.must_run)),
        start=spread(some.start, orders.offers.default_start),
        energy=spread(some.energy, torch.zeros(len(orders.id), some.energy.shape[1], dtype=torch.float64)),
        deviation=spread(some.deviation, torch.zeros_like(orders.position)),
        discomfort=spread(some.discomfort, torch.zeros_like(orders.worth)),
    )


_RULES: dict[PriceRule, Callable[[Relaxation, float], Priced]] = {
    PriceRule.CONVEX_HULL: _convex_hull,
    PriceRule.FIXED: _fixed,
    PriceRule.PAY_AS_BID: _pay_as_bid,
    PriceRule.EUROPEAN: _european,
}
