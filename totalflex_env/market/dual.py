"""Prices, and the bound that they prove: what everybody could gain at them on his own (Lagrangian duality).

At prices pi = balance + sensitivity' limit, with limit prices within their caps, no allocation costs less than

    sum over families of their least (discomfort + pi deviation)
    + sum over BRPs of their least (supply cost - balance q) + sum over limits of price * (base - limit).

The same terms say what everybody misses when an allocation is decided at these prices: the uplifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.market.book import AuctionBook, GridLimits, StepCurves, effective_bounds
from totalflex_env.market.families import Families, best_choice
from totalflex_env.market.patterns import Patterns, Schedules, answers


@dataclass(frozen=True)
class Prices:
    """Prices of consumption. A limit price is positive where the upper bound holds the value down, else negative."""

    balance: Tensor  # [T] EUR/kWh, lambda
    limit: Tensor  # [L, T] EUR per unit, mu of elements and nu of voltages
    nodal: Tensor  # [M, T] EUR/kWh, pi


@dataclass(frozen=True)
class Bound:
    """The bound at some prices and its parts, EUR."""

    prices: Prices
    total: float
    family: Tensor  # [N] of each family, at its head
    curve: Tensor  # [P, T]
    limit: Tensor  # [L, T]
    schedules: Schedules  # [N] cheapest of each order at the prices
    cost: Tensor  # [N] of these schedules at the prices
    accepted: Tensor  # [N] bool, whether its family would want it


def make_prices(limits: GridLimits, balance: Tensor, limit: Tensor) -> Prices:
    """Return prices [T] and [L, T], the latter cut to the caps, with the nodal prices that they make."""
    limit = torch.maximum(torch.minimum(limit, limits.cap), -limits.cap)
    return Prices(balance, limit, balance + limits.sensitivity.T @ limit)


def mixed(limits: GridLimits, first: Prices, second: Prices, share: float) -> Prices:
    """Return prices on the way from the first to the second."""
    return make_prices(
        limits, torch.lerp(first.balance, second.balance, share), torch.lerp(first.limit, second.limit, share)
    )


def pieces(curves: StepCurves) -> tuple[Tensor, Tensor]:
    """Return how much [P, T, K] kWh of each step lies above and how much below a supply of 0."""
    end = curves.start[..., None] + curves.quantity.cumsum(2)
    begin = end - curves.quantity
    return end.clamp(min=0.0) - begin.clamp(min=0.0), begin.clamp(max=0.0).neg() - end.clamp(max=0.0).neg()


def supply_cost(curves: StepCurves, supplied: Tensor) -> Tensor:
    """Return what supplying [P, T] kWh costs the BRPs [P, T] EUR: the integral of their curves from 0."""
    above, below = pieces(curves)
    up = (supplied[..., None].clamp(min=0.0) - (above.cumsum(2) - above)).clamp(min=0.0).minimum(above)
    falling = below.flip(2).cumsum(2).flip(2) - below
    down = ((-supplied)[..., None].clamp(min=0.0) - falling).clamp(min=0.0).minimum(below)
    return (curves.price * (up - down)).sum(2)


def overload_cost(limits: GridLimits, value: Tensor) -> Tensor:
    """Return what values [L, T] beyond their limits cost [L, T] EUR."""
    lower, upper = effective_bounds(limits)
    beyond = (value - upper).clamp(min=0.0) + (lower - value).clamp(min=0.0)
    return torch.where(beyond > 0.0, beyond * limits.cap, 0.0)


def bound(book: AuctionBook, patterns: Patterns, family: Families, prices: Prices) -> Bound:
    """Return the bound on the cost of every allocation of the book that the prices prove."""
    schedules, cost = answers(patterns, prices.nodal)
    total, accepted = best_choice(family, cost)
    curve, limit = curve_bound(book.curves, prices.balance), limit_bound(book.limits, prices.limit)
    value = float(total.sum() + curve.sum() + limit.sum())
    return Bound(prices, value, total, curve, limit, schedules, cost, accepted)


def curve_bound(curves: StepCurves, balance: Tensor) -> Tensor:
    """Return the least (supply cost - balance * q) [P, T] EUR."""
    above, below = pieces(curves)
    gain = curves.price - balance[:, None]
    return (above * gain.clamp(max=0.0) - below * gain.clamp(min=0.0)).sum(2)


def limit_bound(limits: GridLimits, price: Tensor) -> Tensor:
    """Return the least (overload cost - price * value above the base) [L, T] EUR: price * (base - limit)."""
    lower, upper = effective_bounds(limits)
    up, down = price.clamp(min=0.0), -price.clamp(max=0.0)
    at_upper = torch.where(up > 0.0, up * (limits.base - upper), 0.0)
    return at_upper + torch.where(down > 0.0, down * (lower - limits.base), 0.0)


def dearest(book: AuctionBook) -> float:
    """Return the largest price in the book, EUR/kWh, at least 1."""
    orders, limits = book.orders, book.limits
    finite = torch.where(limits.cap.isfinite(), limits.cap, 0.0)
    reach = limits.sensitivity.abs().amax(1, keepdim=True) if limits.sensitivity.numel() else finite[:, :1]
    prices = [orders.price_more, orders.price_less, orders.worth, orders.offers.price_shift.double()]
    prices += [book.curves.price.flatten(), (finite * reach).flatten(), torch.ones(1, dtype=torch.float64)]
    return float(torch.cat([price.abs() for price in prices]).max())
