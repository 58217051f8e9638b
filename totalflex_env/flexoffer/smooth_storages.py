"""Storages that answer a price smoothly: exact, without a solver, many side by side.

At a price c[t] a storage takes the energy that minimises c.e + width / 2 sum range (u - 1/2)^2 within its bounds, where
u in [0, 1] is the place of e between its bounds: it ramps from the least to the most over `width` EUR/kWh. The optimum
is u[t] = clip(1/2 + (scale[t] v[t] - c[t]) / width, 0, 1) with v[t] the value of a kWh stored, in the coordinates of
`scans` in which nothing leaks. v changes only where the level meets a bound: up at a ceiling, down at a floor.

So the slots fall into spans of one value each, and a span is found by splitting (the decomposition of Fujishige 1980
and Groenevelt 1991 for separable convex functions on polymatroids): try one value over a span and follow the level,
held within its bounds. Where it was pushed down, all slots up to there want a lower value; where it was lifted, a
higher one. Cut there, and try again in every part the value that one Newton step suggests, or the middle of what is
known. When nothing pushes any more, the values are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import map_tensors
from totalflex_env.flexoffer.scans import Steps

ROUNDING = 1e-12  # of a storage's largest step: levels closer than that to a bound are at the bound
MOST_CUTS = 120  # then values differ from their neighbours in floating point by less than rounding


@dataclass(frozen=True)
class Answer:
    """What storages take at a price, and how that changes with the price."""

    energy: Tensor  # [T, n] kWh
    derivative: Tensor  # [T, T] kWh per EUR/kWh of the sum of the energies, negative semidefinite


@dataclass(frozen=True)
class _Work:
    """Storages whose spans are not all settled."""

    index: Tensor  # [m] int64, among all
    least: Tensor  # [T, m] scaled energy of each slot
    range: Tensor  # [T, m]
    scale: Tensor  # [T, m], or [T, 1] where it is 1
    floor: Tensor  # [T, m], both the level itself at the end of a span
    ceiling: Tensor  # [T, m]
    ends: Tensor  # [T, m] bool
    value: Tensor  # [T, m] tried
    low: Tensor  # [T, m] known to be too low
    high: Tensor  # [T, m] known to be too high
    slack: Tensor  # [m]


def answer(able: Steps, price: Tensor, width: float) -> Answer:
    """Return the answer of storages to a price [T, 1] EUR/kWh, at a `width` > 0 EUR/kWh."""
    scale = torch.ones_like(able.least[:, :1]) if able.scale is None else able.scale
    work = _start(able, scale, price, width)
    value, ends = torch.zeros_like(able.least), torch.zeros_like(able.least, dtype=torch.bool)
    for _ in range(MOST_CUTS):
        step = _energy(work, price, width)
        sign, event = _signs(work, step)
        value[:, work.index], ends[:, work.index] = work.value, work.ends
        left = (sign != 0).any(0).nonzero()[:, 0]
        if not len(left):
            break
        if 2 * len(left) < len(work.index):
            work, step, sign, event = _take(work, left), step[:, left], sign[:, left], event[:, left]
        work = _cut(work, sign, event)
        work = _try(work, step, price, width, sign)
    return _answer(able, scale, (value, ends), price, width)


def _start(able: Steps, scale: Tensor, price: Tensor, width: float) -> _Work:
    """Return all storages with one span each, which ends with any level and so with the value 0."""
    range_ = able.most - able.least
    shape = able.least.shape
    return _Work(
        index=torch.arange(shape[1]),
        least=able.least,
        range=range_,
        scale=scale,
        floor=able.floor.clone(),
        ceiling=able.ceiling.clone(),
        ends=torch.zeros(shape, dtype=torch.bool),
        value=torch.zeros_like(able.least),
        low=((price - 2.0 * width) / scale).amin(0).expand(shape).clone(),
        high=((price + 2.0 * width) / scale).amax(0).expand(shape).clone(),
        slack=ROUNDING * (1.0 + able.most.abs().amax(0) + able.least.abs().amax(0)) * len(able.least),
    )


def _place(value: Tensor, scale: Tensor, price: Tensor, width: float) -> Tensor:
    """Return the place between the bounds before clipping [T, m]."""
    return (scale * value).sub_(price).div_(width).add_(0.5)


def _energy(work: _Work, price: Tensor, width: float) -> Tensor:
    """Return the scaled energies [T, m] at the values tried."""
    place = _place(work.value, work.scale, price, width).clamp_(0.0, 1.0)
    return torch.addcmul(work.least, work.range, place)


def _signs(work: _Work, step: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether each slot wants a higher (1), a lower (-1) or this value (0) [T, m], and where a bound pushed.

    The level is pushed down at a ceiling and lifted at a floor; each slot wants what the next push says, and nothing if
    its span ends before one.
    """
    level = torch.empty_like(step)
    now = torch.zeros_like(step[0])
    for slot in range(len(step)):
        torch.add(now, step[slot], out=level[slot])
        now = torch.minimum(torch.maximum(level[slot], work.floor[slot]), work.ceiling[slot])
    push = (level < work.floor - work.slack).to(torch.int8) - (level > work.ceiling + work.slack).to(torch.int8)
    event = push != 0
    known, wanted = event | work.ends, torch.zeros_like(push[0])
    sign = torch.empty_like(push)
    for slot in range(len(step) - 1, -1, -1):
        wanted = torch.where(known[slot], push[slot], wanted)
        sign[slot] = wanted
    return sign, event


def _cut(work: _Work, sign: Tensor, event: Tensor) -> _Work:
    """Return the storages with spans cut where a push changes what is wanted; there the level is at that bound."""
    following = torch.zeros_like(sign)
    following[:-1] = sign[1:]
    new = event & (sign != following) & ~work.ends
    down, up = sign < 0, sign > 0
    floor = torch.where(new & down, work.ceiling, work.floor)
    return replace(
        work,
        floor=floor,
        ceiling=torch.where(new & up, floor, work.ceiling),
        ends=work.ends | new,
        low=torch.where(up, work.value, work.low),
        high=torch.where(down, work.value, work.high),
    )


def _try(work: _Work, step: Tensor, price: Tensor, width: float, sign: Tensor) -> _Work:
    """Return the storages with the next value to try in every span that is not settled.

    A Newton step for the value at which the energies of the span add up to the change of level between its ends.
    """
    place = _place(work.value, work.scale, price, width)
    slope = work.range * work.scale * ((place > 0.0) & (place < 1.0)) / width
    total, steepness = step.clone(), slope
    goes_on = (~work.ends).to(step.dtype)
    for slot in range(1, len(step)):
        total[slot].addcmul_(total[slot - 1], goes_on[slot - 1])
        steepness[slot].addcmul_(steepness[slot - 1], goes_on[slot - 1])
    change, start = torch.empty_like(step), torch.zeros_like(step[0])
    for slot in range(len(step)):
        torch.sub(work.floor[slot], start, out=change[slot])
        start = torch.where(work.ends[slot], work.floor[slot], start)
    candidate = (change - total) / steepness + work.value
    span = torch.zeros_like(step[0])
    for slot in range(len(step) - 1, -1, -1):
        span = torch.where(work.ends[slot], candidate[slot], span)
        candidate[slot] = span
    inside = (candidate > work.low) & (candidate < work.high)
    candidate = torch.where(inside, candidate, 0.5 * (work.low + work.high))
    return replace(work, value=torch.where(sign == 0, work.value, candidate))


def _take(work: _Work, left: Tensor) -> _Work:
    """Return the storages at `left` [l] int64."""
    return map_tensors(
        work, lambda values: values[left] if values.dim() == 1 else values if values.shape[1] == 1 else values[:, left]
    )


def _answer(able: Steps, scale: Tensor, spans: tuple[Tensor, Tensor], price: Tensor, width: float) -> Answer:
    """Return the energies of settled spans and the derivative of their sum.

    In a span between bounds the energies add up to a constant: what the slots that are free in it give up at a higher
    price, they share by their slopes. The last span, at the value 0, shares nothing.
    """
    value, ends = spans
    range_ = able.most - able.least
    place = _place(value, scale, price, width)
    own = range_ * ((place > 0.0) & (place < 1.0)) / width
    energy = torch.addcmul(able.least, range_, place.clamp(0.0, 1.0)) / scale
    weight = own.clone()
    own = own / scale
    held = ends.flip(0).cumsum(0).flip(0) > 0
    weight *= held
    sums, goes_on = weight * scale, (~ends).to(weight.dtype)
    for slot in range(1, len(sums)):
        sums[slot].addcmul_(sums[slot - 1], goes_on[slot - 1])
    whole = torch.ones_like(sums[0])
    for slot in range(len(sums) - 1, -1, -1):
        whole = torch.where(ends[slot], sums[slot], whole)
        sums[slot] = whole
    shared = weight / sums.clamp(min=1e-300)
    derivative = torch.zeros(len(sums), len(sums), dtype=weight.dtype)
    for slot in range(len(sums)):
        if slot:
            weight[:slot] *= goes_on[slot - 1]
        derivative[: slot + 1, slot] = weight[: slot + 1] @ shared[slot]
    derivative = derivative + derivative.triu(1).T - torch.diag(own.sum(1))
    return Answer(energy, derivative)
