"""What a schedule costs: energy, imbalance against a target, exceeded limits, and the duals of these costs.

Each cost is a convex function of the energy in one slot. Its dual turns a price into the energy at which the cost
rises by that price; where that is a range of energies, the price is at a bend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import OfferError

HARD = 1e3  # EUR/kWh at which a hard limit is enforced


@dataclass(frozen=True)
class Limit:
    """Bounds on the energy of a part of the members; kW times hours per slot for a limit of power."""

    nodes: Tensor  # [k] int64, the members at these nodes (a subtree of the grid)
    least: Tensor  # [T] kWh per slot
    most: Tensor  # [T] kWh per slot
    cap: float = float("inf")  # EUR per kWh beyond the bounds, infinite for a bound that must hold


@dataclass(frozen=True)
class Objective:
    """Cost of a profile y: price y + square / 2 (y - target)^2 + above (y - target)+ + below (target - y)+."""

    price: Tensor  # [T] EUR/kWh
    target: Tensor  # [T] kWh per slot
    square: Tensor  # [T] EUR/kWh^2 >= 0
    above: Tensor  # [T] EUR/kWh >= 0
    below: Tensor  # [T] EUR/kWh >= 0
    limits: Sequence[Limit] = ()


def objective(
    price: Tensor,
    target: Tensor,
    square: Tensor | float = 0.0,
    above: Tensor | float = 0.0,
    below: Tensor | float = 0.0,
    limits: Sequence[Limit] = (),
) -> Objective:
    """Return an objective in float64; numbers stand for all slots. An OfferError names what is not convex or finite."""
    price, target = price.double(), target.double()
    square, above, below = (
        torch.as_tensor(weight, dtype=torch.float64).expand_as(price) for weight in (square, above, below)
    )
    weights = (square, above, below)
    for name, values in zip(("price", "target", "square", "above", "below"), (price, target, *weights)):
        if values.shape != price.shape or not bool(values.isfinite().all()):
            raise OfferError("objective", f"{name} is a finite number for each of {len(price)} slots", values.tolist())
    for name, values in zip(("square", "above", "below"), weights):
        if bool((values < 0.0).any()):
            raise OfferError("objective", f"{name} is not negative, so that the cost is convex", float(values.min()))
    for number, limit in enumerate(limits):
        if limit.least.shape != price.shape or not bool((limit.least <= limit.most).all()) or not limit.cap >= 0.0:
            raise OfferError(f"limit {number}", "least <= most in every slot and a cap above zero", limit.cap)
    return Objective(price, target, square, above, below, limits)


def cost(objective: Objective, rows: Tensor) -> float:
    """Return the cost in EUR of energies [1 + L, T] kWh: of all members, and of those in each limit."""
    away = rows[0] - objective.target
    dear, missing = away.clamp(min=0.0), (-away).clamp(min=0.0)
    total = objective.price * rows[0] + 0.5 * objective.square * away**2
    total = total + objective.above * dear + objective.below * missing
    return float(total.sum()) + sum(_cap(limit) * float(over.sum()) for limit, over in exceeded(objective, rows))


def exceeded(objective: Objective, rows: Tensor) -> list[tuple[Limit, Tensor]]:
    """Return the energy beyond each limit [T] kWh, for energies [1 + L, T]."""
    return [
        (limit, (row - limit.most).clamp(min=0.0) + (limit.least - row).clamp(min=0.0))
        for limit, row in zip(objective.limits, rows[1:])
    ]


def dual_bounds(objective: Objective) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest dual price [1 + L, T] EUR/kWh at which the dual is finite."""
    rough = objective.square == 0.0
    low = torch.where(rough, objective.price - objective.below, -torch.inf)
    high = torch.where(rough, objective.price + objective.above, torch.inf)
    caps = [torch.full_like(low, _cap(limit)) for limit in objective.limits]
    return torch.stack([low, *(-cap for cap in caps)]), torch.stack([high, *caps])


def wanted(objective: Objective, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the energies [1 + L, T] kWh that dual prices [1 + L, T] ask for, and their derivatives by them, >= 0.

    Between its bounds a limit is smoothed: it asks for anything in between over a `width` in EUR/kWh.
    """
    push = price[0] - objective.price
    over, under = (push - objective.above).clamp(min=0.0), (-push - objective.below).clamp(min=0.0)
    soft = objective.square > 0.0
    weight = torch.where(soft, objective.square, 1.0)
    rows = [objective.target + torch.where(soft, (over - under) / weight, 0.0)]
    rises = [torch.where(soft & ((over > 0.0) | (under > 0.0)), 1.0 / weight, 0.0)]
    for limit, dual in zip(objective.limits, price[1:]):
        share, room = 0.5 + dual / width, limit.most - limit.least
        rows.append(limit.least + room * share.clamp(0.0, 1.0))
        rises.append(room * ((share > 0.0) & (share < 1.0)) / width)
    return torch.stack(rows), torch.stack(rises)


def conjugate(objective: Objective, price: Tensor) -> float:
    """Return the convex conjugate of the cost in EUR at dual prices [1 + L, T] within their bounds."""
    push = price[0] - objective.price
    over = torch.maximum(push - objective.above, -push - objective.below).clamp(min=0.0)
    weight = torch.where(objective.square > 0.0, objective.square, 1.0)
    total = float((push * objective.target + torch.where(objective.square > 0.0, over**2 / (2.0 * weight), 0.0)).sum())
    for limit, dual in zip(objective.limits, price[1:]):
        total += float((dual.clamp(min=0.0) * limit.most - (-dual).clamp(min=0.0) * limit.least).sum())
    return total


def _cap(limit: Limit) -> float:
    return min(limit.cap, HARD)
