"""Who pays whom in an auction, EUR. Everything paid is received: the residual is zero up to rounding.

With prices pi = balance + sensitivity' limit, an order receives -sum(pi * deviation), a BRP balance * supplied, and the
grid operator pays price * relief on every priced limit. That adds up to zero for any prices and any schedules, because
deviations add up to what is supplied. Uplifts are charged to the buyers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.market.book import AuctionBook
from totalflex_env.market.dual import Prices, overload_cost, supply_cost
from totalflex_env.market.whole import Allocation


@dataclass(frozen=True)
class Payments:
    """What each participant receives (negative: pays), EUR; uplifts and their charges are contained."""

    order: Tensor  # [N]
    curve: Tensor  # [P]
    grid: Tensor  # [L] by limit; the grid operator's account is the sum
    uplift: Tensor  # [N] of `order`
    charge: Tensor  # [N + P + 1] paid for uplifts by orders, curves and grid operator

    @property
    def residual(self) -> float:
        """What is left over, EUR: zero."""
        return float(self.order.sum() + self.curve.sum() + self.grid.sum() - self.charge[-1])


def at_prices(book: AuctionBook, allocation: Allocation, prices: Prices) -> Payments:
    """Return what everybody receives for his deviation at the prices."""
    order = -(prices.nodal[book.orders.node] * allocation.deviation).sum(1)
    curve = (prices.balance * allocation.supplied).sum(1)
    grid = -(prices.limit * (book.limits.base - allocation.value)).sum(1)
    none = torch.zeros(len(order) + len(curve) + 1, dtype=torch.float64)
    return Payments(order, curve, grid, torch.zeros_like(order), none)


def with_uplift(paid: Payments, uplift: Tensor) -> Payments:
    """Return payments with uplifts [N], charged to BRPs and grid operator pro rata to what they pay.

    Where neither pays, the orders that pay are charged, and where nobody pays, all alike.
    """
    orders, curves = len(paid.order), len(paid.curve)
    share = (-torch.cat([paid.order, paid.curve, paid.grid.sum().reshape(1)])).clamp(min=0.0)
    if float(share[orders:].sum()) > 0.0:
        share[:orders] = 0.0
    elif float(share.sum()) <= 0.0:
        share = torch.ones_like(share)
    charge = share * (uplift.sum() / share.sum())
    return replace(
        paid,
        order=paid.order + uplift - charge[:orders],
        curve=paid.curve - charge[orders : orders + curves],
        uplift=uplift,
        charge=charge,
    )


def as_bid(book: AuctionBook, allocation: Allocation) -> Payments:
    """Return payments by which everybody who bears a cost receives it, and those who gain pay pro rata to their gain.

    If the gains do not cover the costs (orders that must run were not served before), the rest is paid by the orders
    that must run, pro rata to the energy of their deviations.
    """
    change = overload_cost(book.limits, allocation.value) - overload_cost(book.limits, book.limits.base)
    curve, grid = supply_cost(book.curves, allocation.supplied).sum(1), change.sum(1)
    bears = torch.cat([allocation.discomfort, curve, grid.clamp(max=0.0)])
    costs, gains = bears.clamp(min=0.0), (-bears).clamp(min=0.0)
    needed, offered = float(costs.sum()), float(gains.sum())
    paid = costs - gains * min(1.0, needed / offered if offered > 0.0 else 0.0)
    count = len(allocation.discomfort)
    if needed > offered:
        moved = allocation.deviation.abs().sum(1) * book.orders.must_run
        share = moved if float(moved.sum()) > 0.0 else torch.ones_like(moved)
        paid[:count] -= share * ((needed - offered) / share.sum())
    none = torch.zeros(count + len(curve) + 1, dtype=torch.float64)
    return Payments(
        paid[:count], paid[count : count + len(curve)], paid[count + len(curve) :], torch.zeros(count).double(), none
    )
