"""Total-energy offers that answer a price smoothly, many at the cost of their windows.

At a price c[t] an offer of power m takes the energy that minimises c.e + width m / 2 sum (u - 1/2)^2, u = e / m: a
device ramps from nothing to full power over `width` EUR/kWh, and all devices bear alike what they must. With the prices
in units of the width, z[t] = c[t] / width - 1/2, the answer is u[t] = clip(level - z[t], 0, 1): water poured to a level
over z, 0 while the total allows it, else the level whose total is the nearer bound.

So within a window the water filled, R(level), is one piecewise linear function for all offers, and each finds its level
in it by bisection. Between two of its bends all offers fill the same slots: what they take there together, and how that
changes with the price, needs the sums of their powers and levels alone (docs/flex_offers.md, "Disaggregation").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env.compiled import compiled, inlined
from totalflex_env.flexoffer.kinds import Vehicles, to_kwh

LEVEL, FILLED, FILLING = range(3)  # rows of how a window fills, bend by bend
POWER, ENERGY, SHARE = range(3)  # rows of sums over offers
"""Power, power times level, and power per slot that fills of the offers that are not at rest."""


@dataclass(frozen=True)
class Fleet:
    """Total-energy offers window by window, G of them."""

    slots: int  # T
    arrival: Tensor  # [G] int64
    departure: Tensor  # [G] int64
    first: Tensor  # [G + 1] int64, where the offers of each window begin in `offer`, and the end
    offer: Tensor  # [n] int64, rows of the offers, window by window
    power: Tensor  # [n] kWh per slot, window by window like the next two
    least: Tensor  # [n] full slots that the offer needs
    most: Tensor  # [n] full slots that it can take


def fleet(vehicles: Vehicles, slots: int) -> Fleet:
    """Return total-energy offers ready to answer prices."""
    key, offer = (vehicles.arrival * (slots + 1) + vehicles.departure).sort(stable=True)
    windows, count = torch.unique_consecutive(key, return_counts=True)
    first = torch.cat([count.new_zeros(1), count.cumsum(0)])
    power, least, most = (to_kwh(values[offer]) for values in (vehicles.power, vehicles.least, vehicles.most))
    full = power.clamp(min=1e-300)
    return Fleet(slots, windows // (slots + 1), windows % (slots + 1), first, offer, power, least / full, most / full)


def answer(fleet: Fleet, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the profile [T] kWh at a price [T] EUR/kWh and its derivative [T, T] by price, negative semidefinite."""
    profile, derivative = np.zeros(fleet.slots), np.zeros((fleet.slots, fleet.slots))
    bends, order = _bends(price, width)
    _answer(_windows(fleet), _offers(fleet), bends, profile, derivative)
    half = torch.from_numpy(derivative)  # by rank of z, above the diagonal once
    whole = half + half.triu(1).T
    back = order.argsort()
    return torch.from_numpy(profile), whole[back][:, back] / width


def assign(fleet: Fleet, price: Tensor, width: float) -> Tensor:
    """Return the energies [n, T] kWh of the offers at a price [T] EUR/kWh: what adds up to the profile of `answer`."""
    energy = np.empty((len(fleet.offer), fleet.slots))
    _assign(_windows(fleet), _offers(fleet), _bends(price, width)[0], fleet.offer.numpy(), energy)
    return torch.from_numpy(energy)


def _bends(price: Tensor, width: float) -> tuple[Any, Tensor]:
    """Return z [T], the slots in rising order of z [T] and of bends [2 T], and the former order [T] once more.

    R bends at z and at z + 1 of every slot; the slots of the latter are counted from T on. Of slots with the same z the
    same one comes first in all orders, also where z differ and z + 1 do not: so slots fill up as they begin to fill.
    """
    z = price / width - 0.5
    order = z.argsort(stable=True)
    both = torch.cat([z[order], z[order] + 1.0]).argsort(stable=True)
    bend = torch.cat([order, order + len(z)])[both]
    return (z.numpy(), order.numpy(), bend.numpy()), order


def _windows(fleet: Fleet) -> tuple[Any, ...]:
    return tuple(values.numpy() for values in (fleet.arrival, fleet.departure, fleet.first))


def _offers(fleet: Fleet) -> tuple[Any, ...]:
    return tuple(values.numpy() for values in (fleet.power, fleet.least, fleet.most))


@inlined
def _pour(window: Any, bends: Any, water: Any, place: Any) -> Any:
    """Write how a window fills; return the number of its bends, how many lie up to the level 0, and R(0).

    `water` [3, 2 T] takes level, filled slots and slots that fill from there on, bend by bend, and `place` [2 T] the
    bend of each slot.
    """
    z, _, both = bends
    slots, arrival, departure = len(z), window[0], window[1]
    count, idle, filling, filled, level, resting = 0, 0, 0, 0.0, 0.0, 0.0
    for bend in both:
        slot = bend if bend < slots else bend - slots
        if slot < arrival or slot >= departure:
            continue
        now = z[slot] if bend < slots else z[slot] + 1.0
        filled += filling * (now - level)
        level = now
        filling += 1 if bend < slots else -1
        water[LEVEL, count], water[FILLED, count], water[FILLING, count] = level, filled, filling
        place[bend] = count
        count += 1
        idle += 1 if level <= 0.0 else 0
    for slot in range(arrival, departure):
        resting += min(max(-z[slot], 0.0), 1.0)
    return count, idle, resting


@inlined
def _level(total: float, poured: Any, water: Any) -> Any:
    """Return the level at which `total` full slots are filled, and how many bends lie up to it."""
    count, idle, resting = poured
    if total == resting:  # though R may be flat there
        return 0.0, idle
    low, high = 0, count - 1
    while high - low > 1:
        middle = (low + high) // 2
        if water[FILLED, middle] <= total:
            low = middle
        else:
            high = middle
    return water[LEVEL, low] + (total - water[FILLED, low]) / max(1.0, water[FILLING, low]), high


@inlined
def _collect(offers: Any, some: Any, poured: Any, water: Any, sums: Any) -> None:
    """Write the sums [3, K + 1] over the offers of a window whose level has up to 0, 1, ..., K bends below it."""
    power, least, most = offers
    count, _, resting = poured
    sums[:, : count + 1] = 0.0
    for offer in range(some[0], some[1]):
        total = min(max(resting, least[offer]), most[offer])
        level, piece = _level(total, poured, water)
        sums[POWER, piece] += power[offer]
        sums[ENERGY, piece] += power[offer] * level
        if total != resting:
            sums[SHARE, piece] += power[offer] / max(1.0, water[FILLING, piece - 1])
    for piece in range(count):
        sums[:, piece + 1] += sums[:, piece]


@inlined
def _spread(sums: Any, z: Any, place: Any, some: Any, profile: Any, derivative: Any) -> None:
    """Add what the offers of a window take, and its derivative: what a slot takes less, others that fill take more.

    `some` holds the slots of the window in rising order of z and the ranks of their z.
    """
    slots, ranks, whole = some
    for one in range(len(slots)):
        slot, rank = slots[one], ranks[one]
        low, high = place[slot], place[slot + len(z)]
        partial = sums[POWER, high] - sums[POWER, low]
        profile[slot] += whole - sums[POWER, high] + sums[ENERGY, high] - sums[ENERGY, low] - z[slot] * partial
        derivative[rank, rank] -= partial
        for other in range(one, len(slots)):
            above = place[slots[other]]
            if above >= high or sums[SHARE, high] == sums[SHARE, low]:
                break
            derivative[rank, ranks[other]] += sums[SHARE, high] - sums[SHARE, above]


@compiled
def _answer(windows: Any, offers: Any, bends: Any, profile: Any, derivative: Any) -> None:
    """Add what all take to a profile [T], and its derivative by z to one half of `derivative` [T, T], by rank of z."""
    arrival, departure, first = windows
    z, order, _ = bends
    slots = len(z)
    water, place, sums = np.zeros((3, 2 * slots)), np.zeros(2 * slots, np.int64), np.zeros((3, 2 * slots + 1))
    inside, ranks = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    for window in range(len(arrival)):
        poured = _pour((arrival[window], departure[window]), bends, water, place)
        _collect(offers, (first[window], first[window + 1]), poured, water, sums)
        count = 0
        for rank in range(slots):
            if arrival[window] <= order[rank] < departure[window]:
                inside[count], ranks[count] = order[rank], rank
                count += 1
        some = inside[:count], ranks[:count], sums[POWER, poured[0]]
        _spread(sums, z, place, some, profile, derivative)


@compiled
def _assign(windows: Any, offers: Any, bends: Any, rows: Any, energy: Any) -> None:
    """Write the energies [n, T] of all offers, window by window, into their rows."""
    arrival, departure, first = windows
    power, least, most = offers
    z, slots = bends[0], len(bends[0])
    water, place = np.zeros((3, 2 * slots)), np.zeros(2 * slots, np.int64)
    for window in range(len(arrival)):
        poured = _pour((arrival[window], departure[window]), bends, water, place)
        for offer in range(first[window], first[window + 1]):
            level, _ = _level(min(max(poured[2], least[offer]), most[offer]), poured, water)
            row = energy[rows[offer]]
            row[: arrival[window]] = 0.0
            for slot in range(arrival[window], departure[window]):
                row[slot] = power[offer] * min(max(level - z[slot], 0.0), 1.0)
            row[departure[window] :] = 0.0
