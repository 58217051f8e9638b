"""The best use of storages at a price, by scans that know no solver.

In the coordinates y[t] = gain[t] * energy[t] / retention^(t + 1) leaky storage is lossless storage, whose feasible
energies form a generalized polymatroid. There the greedy algorithm is exact (Frank and Tardos 1988), and one scan does
it. How much a storage can be worth by the time that its level is so and so high is a concave function of the level:
pieces of energy that a slot may still take, in falling order of worth, above a level that it has in any case. A slot
adds its piece. A floor takes from the front of the pieces what must be taken by then, a ceiling drops from the back
what cannot be, and at the end what is left is taken as far as it is worth anything. That moves at most T pieces a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env.compiled import compiled, inlined
from totalflex_env.flexoffer.kinds import Chains


@dataclass(frozen=True)
class Steps:
    """What storages can do slot by slot, in the coordinates in which nothing leaks: the level is a running sum."""

    least: Tensor  # [T, n] scaled energy of each slot
    most: Tensor  # [T, n]
    floor: Tensor  # [T, n] the lowest level after each slot from which the later bounds can be reached
    ceiling: Tensor  # [T, n]
    scale: Tensor | None  # [T, n] scaled energy per kWh taken, None for 1


def steps(chains: Chains) -> Steps:
    """Return the feasible envelope of chains, in one pass backwards."""
    bounds = chains.lower, chains.upper, chains.level_lower, chains.level_upper
    least, most, floor, ceiling = (bound.T.contiguous() for bound in bounds)
    scale = None
    if not lossless_rows(chains).all():
        keep = chains.retention ** torch.arange(1, len(least) + 1)[:, None]
        scale = chains.gains.T.index_select(1, chains.profile) / keep
        least, most, floor, ceiling = least * scale, most * scale, floor / keep, ceiling / keep
    for slot in range(len(floor) - 1, 0, -1):
        floor[slot - 1].clamp_(min=floor[slot] - most[slot])
        ceiling[slot - 1].clamp_(max=ceiling[slot] - least[slot])
    return Steps(least, most, floor, ceiling, scale)


def lossless_rows(chains: Chains) -> Tensor:
    """Return which chains neither leak nor multiply energy [n] bool."""
    return (chains.retention == 1.0) & (chains.gains == 1.0).all(1)[chains.profile]


def possible(chains: Chains, slack: float = 1e-9) -> Tensor:
    """Return which chains have a feasible energy at all [n] bool, up to `slack` kWh."""
    able = steps(chains)
    low = high = torch.zeros_like(chains.retention)
    holds = (chains.lower <= chains.upper + slack).all(1)
    for slot in range(len(able.floor)):
        low = torch.maximum(low + able.least[slot], able.floor[slot])
        high = torch.minimum(high + able.most[slot], able.ceiling[slot])
        room = high - low if able.scale is None else (high - low) / able.scale[slot]
        holds = holds & (room >= -slack)
    return holds


def extreme_energy(able: Steps, sets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [A] kWh that lossless storages together can take in sets [A, T] bool.

    All sets side by side: go through the slots and take, within what keeps the later bounds within reach, as much as
    possible in the set and as little as possible elsewhere. Raising the level by one inside gains one and costs at most
    one later; elsewhere, lowering it costs nothing.
    """
    bounds = []
    for inside in (~sets, sets):  # as little as possible in a set is as much as possible outside
        level = able.least.new_zeros(len(sets), able.least.shape[1])
        taken = able.least.new_zeros(len(sets))
        for slot in range(sets.shape[1]):
            up = torch.minimum(level + able.most[slot], able.ceiling[slot])
            down = torch.maximum(level + able.least[slot], able.floor[slot])
            moved = torch.where(inside[:, slot, None], up, down)
            taken += torch.where(sets[:, slot], (moved - level).sum(1), 0.0)
            level = moved
        bounds.append(taken)
    return bounds[0], bounds[1]


def best_together(able: Steps, direction: Tensor) -> Tensor:
    """Return the profile [T] kWh of the most worth of storages together at a direction [T] EUR/kWh."""
    return _best(able, direction[None]).sum(0)


def best_apart(able: Steps, direction: Tensor) -> Tensor:
    """Return the energy [T, n] kWh of the most worth of each storage at its own direction [T, n] EUR/kWh.

    Of two slots of equal worth the earlier is filled first, and one that is worth nothing takes what it must.
    """
    return _best(able, direction.T).T


def _best(able: Steps, direction: Tensor) -> Tensor:
    """Return the energy [n, T] kWh of the most worth of each storage at directions [n, T], or [1, T] for all."""
    slots, count = able.least.shape
    energy = np.empty((count, slots))
    scale = np.ones((slots, 1)) if able.scale is None else _array(able.scale)
    bounds = tuple(_array(values) for values in (able.least, able.most, able.floor, able.ceiling))
    _scan(bounds, scale, _array(direction), energy)
    return torch.from_numpy(energy).to(able.least.dtype)


def _array(values: Tensor) -> Any:
    return values.double().contiguous().numpy()


@inlined
def _add(pieces: Any, count: int, worth: float, energy: float, slot: int) -> int:
    """Insert a piece behind those of at least its worth; return their number."""
    worths, energies, slots, front = pieces
    place = count
    while place > front[0] and worths[place - 1] < worth:
        worths[place], energies[place], slots[place] = worths[place - 1], energies[place - 1], slots[place - 1]
        place -= 1
    worths[place], energies[place], slots[place] = worth, energy, slot
    return count + 1


@inlined
def _take(pieces: Any, count: int, needed: float, taken: Any) -> float:
    """Take `needed` energy from the front of the pieces; return what could not be taken."""
    _, energies, slots, front = pieces
    while needed > 0.0 and front[0] < count:
        part = min(needed, energies[front[0]])
        taken[slots[front[0]]] += part
        energies[front[0]] -= part
        needed -= part
        if energies[front[0]] <= 0.0:
            front[0] += 1
    return needed


@inlined
def _drop(pieces: Any, count: int, surplus: float) -> Any:
    """Drop `surplus` energy from the back of the pieces; return how many are left."""
    _, energies, _, front = pieces
    while surplus > 0.0 and count > front[0]:
        part = min(surplus, energies[count - 1])
        energies[count - 1] -= part
        surplus -= part
        if energies[count - 1] <= 0.0:
            count -= 1
    return count


@inlined
def _keep(bounds: Any, number: int, taken: Any) -> None:
    """Clip scaled energies [T] to what a storage can take slot after slot: what rounding would leave the bounds."""
    least, most, floor, ceiling = bounds
    level = 0.0
    for slot in range(len(taken)):
        low = max(least[slot, number], floor[slot, number] - level)
        high = min(most[slot, number], ceiling[slot, number] - level)
        taken[slot] = min(max(taken[slot], low), high)
        level += taken[slot]


@compiled
def _scan(bounds: Any, scale: Any, direction: Any, energy: Any) -> None:
    """Write the energy [n, T] kWh of the most worth of each storage."""
    least, most, floor, ceiling = bounds
    count, slots = energy.shape
    pieces = np.empty(slots), np.empty(slots), np.empty(slots, np.int64), np.zeros(1, np.int64)
    for number in range(count):
        taken, level, above, waiting = energy[number], 0.0, 0.0, 0
        pieces[3][0] = 0
        for slot in range(slots):
            low, room = least[slot, number], most[slot, number] - least[slot, number]
            taken[slot] = low
            level += low
            if room > 0.0:
                worth = direction[number % len(direction), slot] / scale[slot, number % scale.shape[1]]
                waiting = _add(pieces, waiting, worth, room, slot)
                above += room
            if level < floor[slot, number]:
                moved = floor[slot, number] - level - _take(pieces, waiting, floor[slot, number] - level, taken)
                level, above = level + moved, above - moved
            if level + above > ceiling[slot, number]:
                surplus = min(above, level + above - ceiling[slot, number])
                waiting, above = _drop(pieces, waiting, surplus), above - surplus
        for piece in range(pieces[3][0], waiting):
            if pieces[0][piece] > 0.0:
                taken[pieces[2][piece]] += pieces[1][piece]
        _keep(bounds, number, taken)
        for slot in range(slots):
            taken[slot] /= scale[slot, number % scale.shape[1]]
