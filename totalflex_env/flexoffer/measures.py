"""How much flexibility an offer holds: the eight classical measures, and two that add up.

The eight are those of Valsomatzis, Hose, Pedersen and Siksnys (EnDM at EDBT 2015). None of them says what flexibility
is worth: `support_range` and `interval_range` do, and of an exact aggregate both are the sums over its members
(`support.support_width` and `support.energy_bounds` give them from the aggregate itself). All take tightened offers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.flexoffer.offers import levels, load, tolerance
from totalflex_env.flexoffer.respond import respond
from totalflex_env.trade_types import FlexOfferBatch


def time(offers: FlexOfferBatch) -> Tensor:
    """Return the time flexibility [N] int64 slots: latest less earliest start."""
    return offers.latest - offers.earliest


def energy(offers: FlexOfferBatch) -> Tensor:
    """Return the energy flexibility [N] kWh: greatest less least total."""
    return offers.total_upper - offers.total_lower


def product(offers: FlexOfferBatch) -> Tensor:
    """Return time times energy flexibility [N] slots * kWh, zero when either is."""
    return time(offers) * energy(offers)


def vector(offers: FlexOfferBatch) -> Tensor:
    """Return time (slots) and energy flexibility (kWh) side by side [N, 2]."""
    return torch.stack([time(offers).to(offers.lower.dtype), energy(offers)], dim=1)


def vector_length(offers: FlexOfferBatch, order: float = 2.0) -> Tensor:
    """Return the length [N] of `vector` in the norm of that order: 1 adds them up, 2 is Euclidean."""
    length: Tensor = torch.linalg.vector_norm(vector(offers), order, dim=1)
    return length


def series(offers: FlexOfferBatch, order: float = 2.0) -> Tensor:
    """Return the norm [N] kWh of the greatest profile started last less the least profile started first."""
    later = time(offers)
    span = int(later.max()) if len(later) else 0
    difference = pad(-offers.lower, (0, span))
    column = later.unsqueeze(1) + torch.arange(offers.upper.shape[1], device=later.device)
    length: Tensor = torch.linalg.vector_norm(difference.scatter_add(1, column, offers.upper), order, dim=1)
    return length


def assignments(offers: FlexOfferBatch, quantum: float) -> list[int]:
    """Return how many assignments each offer has whose slices are multiples of `quantum` kWh.

    Exact, whatever their size: dynamic programming over the cumulative energy, O(slices * range / quantum).
    """
    bounds = torch.stack([offers.lower, offers.upper, *levels(offers)], dim=1)
    each = zip(bounds, offers.slices.tolist(), time(offers).tolist(), strict=True)
    return [(later + 1) * _profiles(bound[:, :slices].tolist(), quantum) for bound, slices, later in each]


def absolute_area(offers: FlexOfferBatch) -> Tensor:
    """Return the area [N] kWh that profiles can cover, consuming or producing, less what has to be exchanged anyway.

    That is `total_lower` of consumption and -`total_upper` of production; mixed offers may have to exchange nothing.
    """
    highest, lowest = _envelope(offers)
    must = torch.maximum(offers.total_lower, -offers.total_upper).clamp(min=0.0)
    return highest.sum(1) - lowest.sum(1) - must


def relative_area(offers: FlexOfferBatch) -> Tensor:
    """Return the absolute area [N] over the mean size of the totals; 0 without any area, else infinite at size 0."""
    area, size = absolute_area(offers), offers.total_lower.abs() + offers.total_upper.abs()
    return torch.where(area > tolerance(area), 2.0 * area / size, 0.0)


def support_range(offers: FlexOfferBatch, price: Tensor) -> Tensor:
    """Return the dearest less the cheapest bill [N] EUR that each offer can run up at `price` [T] EUR/kWh.

    The width of the set of assignments in the direction of the price: what control is worth. Shift prices are left out.
    """
    return _dot(offers, price, -price) - _dot(offers, price, price)


def interval_range(offers: FlexOfferBatch, first: int, last: int, slots: int) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [N] kWh that each offer can take in the slots first, ..., last - 1.

    Profiles end by `slots`.
    """
    inside = torch.zeros(slots, dtype=offers.lower.dtype, device=offers.lower.device)
    inside[first:last] = 1.0
    return _dot(offers, inside, inside), _dot(offers, inside, -inside)


def _dot(offers: FlexOfferBatch, weight: Tensor, price: Tensor) -> Tensor:
    """Return the weighted energy [N] at the cheapest assignments for a price, both [T]."""
    start, energies = respond(replace(offers, price_shift=torch.zeros_like(offers.price_shift)), price)
    return load(offers, start, energies, len(price)) @ weight


def _envelope(offers: FlexOfferBatch) -> tuple[Tensor, Tensor]:
    """Return the most and the least that any assignment takes [N, W + span] kWh in the slots from `earliest` on.

    Zero is among both: not to have started yet.
    """
    flexibility, width = time(offers), offers.lower.shape[1]
    span = int(flexibility.max()) if len(flexibility) else 0
    highest = lowest = pad(torch.zeros_like(offers.lower), (0, span))
    for shift in range(span + 1):
        may = (flexibility >= shift).unsqueeze(1)
        placed = (shift, highest.shape[1] - width - shift)
        highest = torch.maximum(highest, pad(torch.where(may, offers.upper, 0.0), placed))
        lowest = torch.minimum(lowest, pad(torch.where(may, offers.lower, 0.0), placed))
    return highest, lowest


def _profiles(bounds: list[list[float]], quantum: float) -> int:
    """Return how many profiles in multiples of `quantum` keep lower and upper per slice, floor and ceiling of sums."""
    slack = 1e-6  # of a quantum: bounds that are multiples but for rounding count
    counts, least = [1], 0  # profiles that reach the level least, least + 1, ... quanta
    for lower, upper, floor, ceiling in zip(*bounds, strict=True):
        low, high = math.ceil(lower / quantum - slack), math.floor(upper / quantum + slack)
        if high < low:
            return 0
        below = [0, *accumulate(counts)]
        top = len(counts) + high - low
        counts = [below[min(k + 1, len(below) - 1)] - below[max(k - (high - low), 0)] for k in range(top)]
        least += low
        first = 0 if floor == -math.inf else max(0, math.ceil(floor / quantum - slack) - least)
        last = top if ceiling == math.inf else math.floor(ceiling / quantum + slack) - least + 1
        counts, least = counts[first : max(last, first)], least + first
    return sum(counts)
