"""The price at which supply meets demand: Newton's method for a concave function that is smooth, but bends.

The function is the dual of a cost that members split among themselves; its gradient is the energy they take less the
energy wanted, piecewise linear in the price. A semismooth Newton method (Qi and Sun 1993) ends after a few steps with
the exact price, up to rounding. Prices may be bounded: then a price at its bound stays there while the gradient pushes
outwards (projected Newton, Bertsekas 1982).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Excess = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Price [M] to the energy taken beyond what is wanted [M] kWh, and its derivative [M, M], negative semidefinite."""

DAMPING = 1e-3  # of the excess, added to the slope: keeps steps short where members are saturated
MOST_STEPS = 60
FURTHEST = 1e3  # Newton steps taken at once where the gradient does not fall along the line
TRIALS = 30  # step lengths tried on a line


@dataclass(frozen=True)
class Balance:
    """Where the search ended, which is where the excess was asked for last."""

    price: Tensor  # [M] EUR/kWh
    excess: Tensor  # [M] kWh, zero where a price lies at the bound that the excess pushes to
    steps: int


def balance(
    excess: Excess,
    price: Tensor,
    tolerance: float,
    bounds: tuple[Tensor, Tensor] | None = None,
    reach: float = torch.inf,
) -> Balance:
    """Return the price [M] at which no excess is left, up to `tolerance` kWh, or the last after 60 steps.

    Starts from `price` [M]; `bounds` are the least and the greatest price [M], infinite by default. `reach` is a change
    of price beyond which the derivative says little; steps are kept to about that, slot by slot.
    """
    low, high = bounds or (torch.full_like(price, -torch.inf), torch.full_like(price, torch.inf))
    price = torch.minimum(torch.maximum(price, low), high)
    surplus, slope = excess(price)
    for step in range(MOST_STEPS):
        # surplus > 0 wants a higher price
        held = ((price >= high) & (surplus > 0.0)) | ((price <= low) & (surplus < 0.0))
        rest = torch.where(held, 0.0, surplus)
        size = float(rest.abs().max())
        if size <= tolerance:
            return Balance(price, rest, step)
        direction = _direction(slope, rest, held, reach)
        price, surplus, slope = _along(excess, price, direction, (surplus, slope), (low, high))
    held = ((price >= high) & (surplus > 0.0)) | ((price <= low) & (surplus < 0.0))
    return Balance(price, torch.where(held, 0.0, surplus), MOST_STEPS)


def _direction(slope: Tensor, rest: Tensor, held: Tensor, reach: float) -> Tensor:
    """Return the damped Newton step [M] of the prices that are not held."""
    free = (~held).to(rest.dtype)
    steepness = -slope * free * free[:, None]
    typical = steepness.diagonal().sum() / free.sum().clamp(min=1.0)
    damping = 1e-13 * typical + DAMPING * rest.abs().max() + rest.abs() / reach
    damped = steepness + torch.diag(damping + (1.0 - free) * typical.clamp(min=1e-9))
    direction: Tensor = torch.linalg.solve(damped, rest)
    return direction


def _along(
    excess: Excess, price: Tensor, direction: Tensor, here: tuple[Tensor, Tensor], bounds: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return price, excess and derivative after a step of a length that neither overshoots nor falls far short.

    Along the line the gradient falls; the step is right where it no longer points along the line.
    """
    length, low, high = 1.0, *bounds
    at = torch.minimum(torch.maximum(price + direction, low), high)
    surplus, slope = excess(at)
    start = float(here[0] @ (at - price)) / length
    for _ in range(TRIALS):
        forward = float(surplus @ (at - price)) / length
        if forward < -0.5 * start:
            length *= max(0.1, start / (start - forward))
        elif forward > 0.9 * start and 1.0 <= length < FURTHEST:
            length *= 4.0
        else:
            break
        at = torch.minimum(torch.maximum(price + length * direction, low), high)
        surplus, slope = excess(at)
    return at, surplus, slope
