"""Is a point in the convex hull of what an oracle offers? Wolfe's minimum-norm-point algorithm, stopped early.

The oracle returns, for a direction, the point of the most worth. Wolfe (1976) keeps a few such points around the target
and their point nearest to it; each step asks the oracle for a point beyond the nearest one. Either the nearest point
reaches the target, and the target is a mixture of the points kept, or the oracle has nothing beyond a hyperplane that
leaves the target outside: its normal is the certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import PhysicsError

Oracle = Callable[[Tensor], Tensor]  # direction [T] to the point [T] of the most worth
MOST_STEPS = 1_000


@dataclass(frozen=True)
class Hull:
    """A target and the points of the hull around it."""

    inside: bool
    directions: Tensor  # [K, T] in which the oracle was asked for the points kept
    weights: Tensor  # [K] of the points in the mixture nearest to the target, positive, with sum 1
    normal: Tensor  # [T] of length 1 from the mixture to the target, zero inside: the certificate outside
    distance: float  # at least so far is the target from the hull; zero inside


def locate(oracle: Oracle, target: Tensor, tolerance: float, first: Tensor | None = None) -> Hull:
    """Return where a target [T] lies, inside up to `tolerance` in the Euclidean norm.

    `first` [T] is the direction to begin with, good if the target is nearly the best in it. Outside, the certificate is
    rigorous: normal @ target exceeds the most that any point of the hull has by `distance`. A PhysicsError says that
    1,000 points did not settle it, which happens near the boundary in many slots.
    """
    found = search(oracle, target, tolerance, MOST_STEPS, target if first is None else first)
    if found is None:
        raise PhysicsError(f"{MOST_STEPS} points of an aggregate did not settle whether it contains a profile")
    return found


def search(oracle: Oracle, target: Tensor, tolerance: float, most_steps: int, first: Tensor) -> Hull | None:
    """Return where a target [T] lies, like `locate`, or None if `most_steps` points do not settle it."""
    directions = first[None].clone()
    points = (oracle(first) - target)[None]
    weights = torch.ones(1, dtype=torch.float64)
    for _ in range(most_steps):
        nearest = weights @ points
        gap = float(nearest.norm())
        if gap <= tolerance:
            return Hull(True, directions, weights, torch.zeros_like(target), 0.0)
        normal = -nearest / gap
        point = oracle(normal) - target
        distance = -float(normal @ point)
        if distance >= 0.5 * gap:
            return Hull(False, directions, weights, normal, distance)
        directions, points = torch.cat([directions, normal[None]]), torch.cat([points, point[None]])
        weights, kept = _nearest(points, torch.cat([weights, weights.new_zeros(1)]))
        directions, points = directions[kept], points[kept]
    return None


def _nearest(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights > 0 of the mixture of points [K, T] nearest to the origin, and which points they are for.

    Wolfe's minor cycle: go to the nearest point of the affine hull; where that leaves the convex hull, stop at its
    border, drop the points that no longer count and try again.
    """
    kept = torch.arange(len(points))
    while True:
        aim = _affine(points[kept])
        if bool((aim > 1e-12).all()):
            return aim, kept
        falling = aim <= 1e-12
        ratio = torch.where(falling, weights / (weights - aim).clamp(min=1e-300), torch.inf)
        weights = weights + float(ratio.min().clamp(0.0, 1.0)) * (aim - weights)
        stay = weights > 1e-12
        stay[ratio.argmin()] = False
        kept, weights = kept[stay], weights[stay] / weights[stay].sum()


def _affine(points: Tensor) -> Tensor:
    """Return the weights [K], of any sign and sum 1, of the point nearest to the origin in the affine hull."""
    if len(points) == 1:
        return points.new_ones(1)
    steps = points[1:] - points[0]
    rest = torch.linalg.lstsq(steps.T, -points[0][:, None], driver="gelsd").solution[:, 0]
    return torch.cat([1.0 - rest.sum().reshape(1), rest])
