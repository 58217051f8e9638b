"""Where the limits of the engine can lead zones: bounds that hold for every trajectory, for conditions on air and mass.

A condition weighs air and mass with a direction d_r; the next direction is what this one becomes by a slot passing,
d_(r+1) = d_r kept. So what holds for d_(r+1) before a slot holds for d_r after it, moved by what the slot brings.
n zones, R conditions, T slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Motion:
    """(air, mass)_t = kept (air, mass)_(t-1) + drift_t + a share of full_t from `slot` on; drift holds the start."""

    slot: int
    kept: Tensor  # [2, 2, n]
    drift: Tensor  # [2, n, T] kelvin
    full: Tensor  # [2, n, T] kelvin that full power brings, negative where it cools


@dataclass(frozen=True)
class _Bounds:
    """Lowest or highest values after a slot."""

    conditions: Tensor  # [R, n]
    mass: Tensor  # [n]
    implied: Tensor  # [R, n] bool, follow from those before the slot and what power can do


def reach(ahead: Tensor, conditions: Tensor, motion: Motion) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest values [R, n, T] of the conditions with directions `ahead` [R, 2, n].

    Where power works towards a side of `conditions` [2, R, n, T], it holds or all power is used. The other side holds,
    or no power is used, or just what the first side asks for. Conditions that all others imply are infinite, but for
    the first, that of the air itself.
    """
    nothing = torch.zeros_like(ahead[:, 0])
    low = high = _Bounds(nothing, nothing[0], nothing == 0.0)  # what there was before `slot` is in the drift
    lows, highs = [], []
    for slot in range(motion.drift.shape[2]):
        if slot >= motion.slot:
            low, high = _after(ahead, conditions[..., slot], motion, slot, (low, high))
        lows.append(_told(low, -torch.inf))
        highs.append(_told(high, torch.inf))
    return torch.stack(lows, dim=2), torch.stack(highs, dim=2)


def _told(bounds: _Bounds, anything: float) -> Tensor:
    """Return bounds [R, n] of conditions that other conditions do not imply; the first one is told anyway."""
    told = torch.where(bounds.implied, anything, bounds.conditions)
    return torch.cat([bounds.conditions[:1], told[1:]])


def _after(
    ahead: Tensor, sides: Tensor, motion: Motion, slot: int, before: tuple[_Bounds, _Bounds]
) -> tuple[_Bounds, _Bounds]:
    drift, full = motion.drift[..., slot], motion.full[..., slot]
    idle_low, idle_high = (_moved(ahead, each, motion.kept) + (ahead * drift).sum(dim=1) for each in before)
    power = (ahead * full).sum(dim=1)
    cooled, heated = power.clamp(max=0.0), power.clamp(min=0.0)
    mass_low, mass_high = (
        motion.kept[1, 0] * each.conditions[0] + motion.kept[1, 1] * each.mass + drift[1] + full[1].clamp(*ends)
        for each, ends in zip(before, ((None, 0.0), (0.0, None)))
    )
    floor, ceiling = sides
    lowest, highest = idle_low + cooled, idle_high + heated
    low = torch.maximum(lowest, torch.minimum(floor, idle_low + heated))
    high = torch.minimum(highest, torch.maximum(ceiling, idle_high + cooled))
    too_warm = _conflict(ahead, floor, low[0], (mass_low, mass_high))
    too_cold = -_conflict(ahead, -ceiling, -high[0], (-mass_high, -mass_low))
    heating = full[0] > 0.0
    high = torch.where(heating, torch.minimum(highest, torch.maximum(high, too_warm)), high)
    low = torch.where(heating, low, torch.maximum(lowest, torch.minimum(low, too_cold)))
    return _Bounds(low, mass_low, low <= lowest), _Bounds(high, mass_high, high >= highest)


def _moved(ahead: Tensor, bounds: _Bounds, kept: Tensor) -> Tensor:
    """Return bounds [R, n] of conditions after a slot without drift: those of the next direction before it."""
    last = (ahead[-1][:, None] * kept).sum(dim=0)
    beyond = last[0] * bounds.conditions[0] + last[1] * bounds.mass
    return torch.cat([bounds.conditions[1:], beyond[None]])


def _conflict(ahead: Tensor, floor: Tensor, coldest: Tensor, mass: tuple[Tensor, Tensor]) -> Tensor:
    """Return how high the conditions [R, n] can be where another one is not above its `floor` [R, n].

    The air is at least `coldest` [n] and the mass within bounds [n]. For each pair the value is linear in the mass.
    """
    air, weight = ahead[:, 0], ahead[:, 1]
    known = floor.isfinite()
    wanted = torch.where(known, floor, 0.0)
    room = (wanted - air * coldest) / weight.clamp(min=1e-12)
    most = torch.where(weight > 0.0, torch.minimum(mass[1], room), mass[1])
    slope = weight[:, None] - air[:, None] * weight / air
    at = torch.where(slope > 0.0, torch.maximum(most, mass[0]), mass[0])
    value = air[:, None] * wanted / air + slope * at
    return torch.where(known, value, -torch.inf).amax(dim=1)
