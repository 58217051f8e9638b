"""Total-energy offers that answer a price smoothly, any number of them at the cost of their windows.

At a price c[t] an offer of power m takes the energy that minimises c.e + width m / 2 sum (u - 1/2)^2, u = e / m: a
device ramps from nothing to full power over `width` EUR/kWh, and all devices bear alike what they must. With the prices
in units of the width, z[t] = c[t] / width - 1/2, the answer is u[t] = clip(level - z[t], 0, 1): water poured to a level
over z, 0 while the total allows it, else the level whose total is the nearer bound.

So within a window the offers are sorted by the slots of full power they need, r = total / power, and the water filled,
R(level), is one piecewise linear function for all of them. Between two of its bends, the sums of m and m r say what the
offers there take together. Sorted once, a fleet answers a new price in O(T) per window, however many offers it has
(docs/flex_offers.md, "Disaggregation").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.flexoffer.kinds import Vehicles, to_kwh

ROWS = 8192  # offers whose energies are written at a time, so that they stay in the cache
SIDE = 2**62  # above every key


@dataclass(frozen=True)
class Fleet:
    """Total-energy offers sorted by window and by the full slots they need; G windows."""

    slots: int  # T
    grain: float  # of keys: r = 1 counts that much, so that keys of all windows fit int64
    arrival: Tensor  # [G] int64
    departure: Tensor  # [G] int64
    inside: Tensor  # [G, T] bool
    window: Tensor  # [n] int64, of each offer
    power: Tensor  # [n] kWh per slot
    least: Tensor  # [n] full slots that the offer needs
    most: Tensor  # [n] full slots that it can take
    power_in: Tensor  # [G] kWh per slot, sum of the powers in a window
    least_side: _Sorted
    most_side: _Sorted
    sides_key: Tensor  # [2 n] int64, the keys by `most` and then, raised by SIDE, those by `least`
    sides_power: Tensor  # [2 n + 2] the sums of both
    sides_energy: Tensor  # [2 n + 2]


@dataclass(frozen=True)
class _Sorted:
    """Offers in the order of one of their bounds, with the sums of those before."""

    key: Tensor  # [n] int64, window by window and r by r
    first: Tensor  # [G] int64, offers before each window
    power: Tensor  # [n + 1] kWh per slot, sum of the powers of the first offers
    energy: Tensor  # [n + 1] kWh, sum of power times bound


@dataclass(frozen=True)
class _Water:
    """R(level) of each window: bends z and z + 1 of all slots in rising order, K = 2 T of them."""

    z: Tensor  # [T]
    bend: Tensor  # [K] level
    low: Tensor  # [T] int64, the bend z of each slot
    high: Tensor  # [T] int64, the bend z + 1 of each slot
    slope: Tensor  # [G, K] slots of the window that fill between a bend and the next
    filled: Tensor  # [G, K] R at the bends
    resting: Tensor  # [G] R(0)


def fleet(vehicles: Vehicles, slots: int) -> Fleet:
    """Return total-energy offers ready to answer prices: sorted once, O(n log n)."""
    key = vehicles.arrival * (slots + 1) + vehicles.departure
    windows, window = torch.unique(key, return_inverse=True)
    arrival, departure = windows // (slots + 1), windows % (slots + 1)
    power = to_kwh(vehicles.power)
    full = power.clamp(min=1e-300)
    least, most = to_kwh(vehicles.least) / full, to_kwh(vehicles.most) / full
    slot = torch.arange(slots)
    grain = 2.0 ** int(61 - math.log2(max(1, len(windows)) * (slots + 1)))
    by_least = _sort(_keys(window, least, slots, grain), window, least, power)
    by_most = _sort(_keys(window, most, slots, grain), window, most, power)
    return Fleet(
        slots=slots,
        grain=grain,
        arrival=arrival,
        departure=departure,
        inside=(slot >= arrival[:, None]) & (slot < departure[:, None]),
        window=window,
        power=power,
        least=least,
        most=most,
        power_in=torch.zeros(len(windows), dtype=power.dtype).index_add(0, window, power),
        least_side=by_least,
        most_side=by_most,
        sides_key=torch.cat([by_most.key, by_least.key + SIDE]),
        sides_power=torch.cat([by_most.power, by_least.power]),
        sides_energy=torch.cat([by_most.energy, by_least.energy]),
    )


def answer(fleet: Fleet, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the profile [T] kWh at a price [T] EUR/kWh and its derivative [T, T] by price, negative semidefinite."""
    water = _pour(fleet, price / width - 0.5)
    power, energy = _sums(fleet, water)
    piece, volume = power.diff(dim=1), energy.diff(dim=1)
    slope = water.slope[:, :-1]
    filled, bend = water.filled[:, :-1], water.bend[:-1]
    rise = torch.where(slope > 0.5, (volume - filled * piece) / slope.clamp(min=1.0), 0.0)
    levels = pad((bend * piece + rise).cumsum(1), (1, 0))  # sum of power times level up to each bend
    below, above = power[:, water.low], power[:, water.high]
    partial = above - below
    taken = fleet.power_in[:, None] - above + levels[:, water.high] - levels[:, water.low] - water.z * partial
    profile = torch.where(fleet.inside, taken, 0.0).sum(0)
    own = torch.where(fleet.inside, partial, 0.0).sum(0)
    return profile, (_shared(fleet, water, piece) - torch.diag(own)) / width


def assign(fleet: Fleet, price: Tensor, width: float) -> Tensor:
    """Return the energies [n, T] kWh of the offers at a price [T] EUR/kWh: what adds up to the profile of `answer`."""
    water = _pour(fleet, price / width - 0.5)
    level = _levels(fleet, water)
    slot = torch.arange(fleet.slots)
    energy = torch.empty(len(level), fleet.slots, dtype=level.dtype)
    for first in range(0, len(level), ROWS):
        chunk = slice(first, first + ROWS)
        window, out = fleet.window[chunk], energy[chunk]
        torch.sub(level[chunk, None], water.z, out=out)
        out.clamp_(0.0, 1.0).mul_(fleet.power[chunk, None])
        out.mul_(slot >= fleet.arrival[window, None]).mul_(slot < fleet.departure[window, None])
    return energy


def _keys(window: Tensor, full: Tensor, slots: int, grain: float) -> Tensor:
    """Return int64 keys that sort by window and then by full slots, finer than float64 could for all windows."""
    return window * ((slots + 1) * int(grain)) + (full * grain).round().long()


def _sort(key: Tensor, window: Tensor, bound: Tensor, power: Tensor) -> _Sorted:
    key, order = key.sort()
    sums = [pad(values[order].cumsum(0), (1, 0)) for values in (power, power * bound)]
    windows = int(window.max()) + 1 if len(window) else 0
    return _Sorted(key, torch.searchsorted(window[order], torch.arange(windows)), *sums)


def _pour(fleet: Fleet, z: Tensor) -> _Water:
    """Return how the windows fill over z [T]."""
    bend, order = torch.cat([z, z + 1.0]).sort()
    position = order.argsort()
    change = torch.cat([fleet.inside, -fleet.inside.to(torch.int8)], dim=1)[:, order]
    slope = change.cumsum(1, dtype=torch.int16).double()
    filled = pad((slope[:, :-1] * bend.diff()).cumsum(1), (1, 0))
    rest = pad((-z).clamp(0.0, 1.0).cumsum(0), (1, 0))
    resting = rest[fleet.departure] - rest[fleet.arrival]
    slots = fleet.slots
    return _Water(z, bend, position[:slots], position[slots:], slope, filled, resting)


def _sums(fleet: Fleet, water: _Water) -> tuple[Tensor, Tensor]:
    """Return the sums [G, K] of power and of power times r of the offers whose level lies up to each bend.

    Below the level 0 they are the offers whose `most` is too little for R(0), above it all but those whose `least` is
    more; the others rest at R(0).
    """
    keys = _keys(torch.arange(len(water.filled))[:, None], water.filled, fleet.slots, fleet.grain)
    rising = (water.filled >= water.resting[:, None]).long()
    offers = len(fleet.window)
    index = torch.searchsorted(fleet.sides_key, keys + rising * SIDE, right=True) + rising
    start = fleet.least_side.first[:, None] + rising * (offers + 1)
    power = fleet.sides_power[index] - fleet.sides_power[start]
    energy = fleet.sides_energy[index] - fleet.sides_energy[start]
    resting, moved = _resting(fleet, water)
    return power, energy + rising * (resting * water.resting + moved)[:, None]


def _resting(fleet: Fleet, water: _Water) -> tuple[Tensor, Tensor]:
    """Return the power [G] of the offers at level 0, and the energy [G] by which `least` sums miss those below it."""
    key = _keys(torch.arange(len(water.filled)), water.resting, fleet.slots, fleet.grain)
    low = torch.searchsorted(fleet.most_side.key, key)
    high = torch.searchsorted(fleet.least_side.key, key, right=True)
    below = fleet.most_side.power[low] - fleet.most_side.power[fleet.most_side.first]
    volume = fleet.most_side.energy[low] - fleet.most_side.energy[fleet.most_side.first]
    reached = fleet.least_side.power[high] - fleet.least_side.power[fleet.least_side.first]
    counted = fleet.least_side.energy[high] - fleet.least_side.energy[fleet.least_side.first]
    return reached - below, volume - counted


def _shared(fleet: Fleet, water: _Water, piece: Tensor) -> Tensor:
    """Return the derivative [T, T] that totals add: what one slot takes less, the others that fill take more.

    Offers at level 0 share nothing. Windows that hold both slots are counted by sums over arrivals and departures.
    """
    slots, bends = fleet.slots, piece.shape[1]
    middle = int((water.bend <= 0.0).sum()) - 1
    share = piece.clone()
    if 0 <= middle < bends:
        share[:, middle] -= _resting(fleet, water)[0]
    share = torch.where(water.slope[:, :-1] > 0.5, share.clamp(min=0.0) / water.slope[:, :-1].clamp(min=1.0), 0.0)
    cell = fleet.arrival * (slots + 1) + slots - fleet.departure
    table = share.new_zeros((slots + 1) * (slots + 1), bends).index_add(0, cell, share)
    table = table.view(slots + 1, slots + 1, bends)[:slots, :slots].cumsum(0).cumsum(1)
    number = torch.arange(bends)
    filling = ((number >= water.low[:, None]) & (number < water.high[:, None])).to(share.dtype)
    # windows that hold the slots a <= b arrive by a and depart later than b: columns up to T - 1 - b
    later = torch.einsum("ack,ak,ck->ac", table, filling, filling.flip(0)).flip(1)
    return later.triu() + later.triu(1).T


def _levels(fleet: Fleet, water: _Water) -> Tensor:
    """Return the level [n] of each offer."""
    total = torch.minimum(torch.maximum(water.resting[fleet.window], fleet.least), fleet.most)
    base = torch.arange(len(water.filled))[:, None] * (fleet.slots + 1)
    bends = water.filled.shape[1]
    flat = (water.filled + base).flatten()
    index = torch.searchsorted(flat, total + fleet.window * (fleet.slots + 1), right=True) - 1
    first = fleet.window * bends
    index = torch.minimum(torch.maximum(index, first), first + bends - 2)
    filled, slope = water.filled.flatten(), water.slope.flatten()
    index = torch.where((total < filled[index]) & (index > first), index - 1, index)
    index = torch.where((total > filled[index + 1]) & (index < first + bends - 2), index + 1, index)
    level = water.bend[index - first] + (total - filled[index]) / slope[index].clamp(min=1.0)
    return torch.where(total == water.resting[fleet.window], 0.0, level)
