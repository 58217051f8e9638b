"""Storages that answer a price smoothly: exact, without a solver, a few microseconds each.

At a price c[t] a storage takes the energy that minimises c.e + width / 2 sum range (u - 1/2)^2 within its bounds, where
u in [0, 1] is the place of e between its bounds: it ramps from the least to the most over `width` EUR/kWh. The optimum
is u[t] = clip(1/2 + (scale[t] v[t] - c[t]) / width, 0, 1) with v[t] the value of a kWh stored, in the coordinates of
`scans` in which nothing leaks. v changes only where the level meets a bound: up at a ceiling, down at a floor.

So the slots fall into spans of one value each, and a span is found by splitting (the decomposition of Fujishige 1980
and Groenevelt 1991 for separable convex functions on polymatroids): find the one value at which a span ends at the
level where it must, follow the level, and cut where it leaves its bounds furthest. The optimum is at that bound there:
were it not so, the value could only change the other way between the bounds reached before and after, and could not
make up for what the one value misses. The last span ends at any level, and so with the value 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env.compiled import compiled, inlined
from totalflex_env.flexoffer.scans import Steps

ROUNDING = 1e-12  # of a storage's largest step: levels closer than that to a bound are at the bound
MOST_TRIALS = 120  # of one value; then its bounds differ in floating point by less than rounding

LEAST, RANGE, PLACE, RISE, FLOOR, CEILING, TAKEN = range(7)  # rows of what is known about one storage, slot by slot
"""Scaled energies; the place between the bounds at the value 0 before clipping and its rise with the value."""


@dataclass(frozen=True)
class Answer:
    """What storages take at a price, and how that changes with the price."""

    energy: Tensor  # [n, T] kWh
    derivative: Tensor  # [T, T] kWh per EUR/kWh of the sum of the energies, negative semidefinite


def answer(able: Steps, price: Tensor, width: float) -> Answer:
    """Return the answer of storages to a price [T] EUR/kWh, at a `width` > 0 EUR/kWh."""
    slots, count = able.least.shape
    energy, derivative = np.empty((count, slots)), np.zeros((slots, slots))
    bounds = tuple(values.numpy() for values in (able.least, able.most, able.floor, able.ceiling))
    scale = np.ones((slots, 1)) if able.scale is None else able.scale.numpy()
    _answer(bounds, scale, price.contiguous().numpy(), float(width), energy, derivative)
    lower = np.tril(derivative, -1)
    return Answer(torch.from_numpy(energy), torch.from_numpy(derivative + lower.T))


@inlined
def _total(known: Any, first: int, end: int, value: float) -> Any:
    """Return the scaled energy of slots first..end - 1 at a value, and how it rises with the value."""
    energy, rise = 0.0, 0.0
    for slot in range(first, end):
        place = known[PLACE, slot] + known[RISE, slot] * value
        energy += known[LEAST, slot] + known[RANGE, slot] * min(max(place, 0.0), 1.0)
        rise += known[RANGE, slot] * known[RISE, slot] if 0.0 < place < 1.0 else 0.0
    return energy, rise


@inlined
def _value(known: Any, first: int, end: int, change: float, slack: float) -> Any:
    """Return the value at which slots first..end - 1 take `change` in all: Newton's method within a bracket."""
    low, high = np.inf, -np.inf
    for slot in range(first, end):
        low = min(low, -known[PLACE, slot] / known[RISE, slot])
        high = max(high, (1.0 - known[PLACE, slot]) / known[RISE, slot])
    value = 0.5 * (low + high)
    for _ in range(MOST_TRIALS):
        energy, rise = _total(known, first, end, value)
        missing = change - energy
        if abs(missing) <= slack or not low < high:
            break
        if missing > 0.0:
            low = value
        else:
            high = value
        value += missing / rise
        if not low < value < high:  # or no number, where nothing rises
            value = 0.5 * (low + high)
    return value


@inlined
def _furthest(known: Any, span: Any, value: float, slack: float) -> Any:
    """Return the slot after which the level lies furthest beyond its bounds, and that bound; slot -1 for none."""
    first, end, level, free = span
    worst, cut, bound = slack, -1, 0.0
    for slot in range(first, end):
        place = known[PLACE, slot] + known[RISE, slot] * value
        known[TAKEN, slot] = known[LEAST, slot] + known[RANGE, slot] * min(max(place, 0.0), 1.0)
        level += known[TAKEN, slot]
        if slot == end - 1 and not free:
            break
        if level - known[CEILING, slot] > worst:
            worst, cut, bound = level - known[CEILING, slot], slot, known[CEILING, slot]
        if known[FLOOR, slot] - level > worst:
            worst, cut, bound = known[FLOOR, slot] - level, slot, known[FLOOR, slot]
    return cut, bound


@inlined
def _differentiate(known: Any, span: Any, value: float, scale: Any, derivative: Any) -> None:
    """Add the derivative of a span, below the diagonal once: its free slots share what each gives up by their slopes.

    A span that ends at any level shares nothing.
    """
    first, end, free = span
    slope, shared = known[TAKEN], 0.0
    for slot in range(first, end):
        place = known[PLACE, slot] + known[RISE, slot] * value
        moves = 0.0 < place < 1.0
        slope[slot] = known[RANGE, slot] * known[RISE, slot] / scale[slot] if moves else 0.0
        shared += slope[slot] * scale[slot]
        derivative[slot, slot] -= slope[slot] / scale[slot]
    if free or shared <= 0.0:
        return
    for slot in range(first, end):
        if slope[slot] > 0.0:
            share = slope[slot] / shared
            for other in range(first, slot + 1):
                derivative[slot, other] += share * slope[other]


@inlined
def _prepare(bounds: Any, number: int, scales: Any, price: Any, width: float, known: Any) -> Any:
    """Write what is known about a storage; return its first slot, the slot after its last, and its largest steps."""
    least, most, floor, ceiling = bounds
    first, end, low, high = len(price), 0, 0.0, 0.0
    for slot in range(len(price)):
        bottom, top = least[slot, number], most[slot, number]
        known[LEAST, slot], known[RANGE, slot] = bottom, top - bottom
        known[FLOOR, slot], known[CEILING, slot] = floor[slot, number], ceiling[slot, number]
        known[PLACE, slot], known[RISE, slot] = 0.5 - price[slot] / width, scales[slot] / width
        if bottom != 0.0 or top != 0.0:
            first, end = min(first, slot), slot + 1
        low, high = max(low, abs(bottom)), max(high, abs(top))
    return first, end, 1.0 + low + high


@compiled
def _answer(bounds: Any, scale: Any, price: Any, width: float, energy: Any, derivative: Any) -> None:
    """Write the energies [n, T] and add the lower half of the derivative [T, T], storage by storage, span by span."""
    count, slots = energy.shape
    known, scales = np.empty((7, slots)), np.empty(slots)
    ends, targets = np.empty(slots + 1, np.int64), np.empty(slots + 1)  # spans that wait, the next one last
    for number in range(count):
        for slot in range(slots):
            scales[slot] = scale[slot, number % scale.shape[1]]
        first, last, step = _prepare(bounds, number, scales, price, width, known)
        slack, level, waiting = ROUNDING * step * slots, 0.0, 1
        ends[0], targets[0] = last, np.nan
        energy[number] = 0.0
        while waiting and first < last:
            end, target = ends[waiting - 1], targets[waiting - 1]
            free = np.isnan(target)
            value = 0.0 if free else _value(known, first, end, target - level, slack)
            cut, bound = _furthest(known, (first, end, level, free), value, slack)
            if cut >= 0:
                ends[waiting], targets[waiting] = cut + 1, bound
                waiting += 1
                continue
            for slot in range(first, end):
                energy[number, slot] = known[TAKEN, slot] / scales[slot]
            _differentiate(known, (first, end, free), value, scales, derivative)
            first, level, waiting = end, target, waiting - 1
