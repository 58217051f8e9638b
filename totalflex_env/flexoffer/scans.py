"""The best use of storages at a price, by scans of O(T) that know no solver.

In the coordinates y[t] = gain[t] * energy[t] / retention^(t + 1) leaky storage is lossless storage, whose feasible
energies form a generalized polymatroid. There the greedy algorithm is exact: with the slots in falling order of worth
and S_k the first k of them, the k-th slot takes b(S_k) - b(S_(k-1)), where b(S) is the most energy that fits into S;
slots of negative worth likewise take the least that their successors leave (Frank and Tardos 1988).

b(S) needs no search: go through the slots and take, within what keeps the later bounds within reach, as much as
possible in S and as little as possible elsewhere. Raising the level by one inside S gains one and costs at most one
later; elsewhere, lowering it costs nothing. So all k sets are scanned side by side, T (T + 1) steps per storage.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
    """Return the least and the most energy [A] kWh that lossless storages together can take in sets [A, T] bool."""
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
    """Return the profile [T] kWh of the most worth of lossless storages together at a direction [T] EUR/kWh.

    All storages fill the slots in one order, so the sets S_k need no mask: in each slot the scans of the first sets go
    down and those of the others up.
    """
    order = direction.argsort(descending=True, stable=True)
    slots = len(direction)
    level = able.least.new_zeros(slots + 1, able.least.shape[1])
    total, inside = level.new_zeros(slots + 1), level.new_zeros(slots + 1)
    for slot, rank in enumerate(order.argsort().tolist()):
        down, up = level[: rank + 1], level[rank + 1 :]
        torch.maximum(down.add_(able.least[slot]), able.floor[slot], out=down)
        torch.minimum(up.add_(able.most[slot]), able.ceiling[slot], out=up)
        moved = level.sum(1)
        inside[rank + 1 :] += (moved - total)[rank + 1 :]
        total = moved
    return torch.zeros_like(total[1:]).scatter(0, order, _increments(inside, total, direction[order]))


def best_apart(able: Steps, direction: Tensor) -> Tensor:
    """Return the energy [T, n] kWh of the most worth of each storage at its own direction [T, n] EUR/kWh."""
    worth = direction if able.scale is None else direction / able.scale
    order = worth.argsort(dim=0, descending=True, stable=True)
    rank, number = order.argsort(dim=0).double(), torch.arange(len(direction) + 1, dtype=torch.float64)[:, None]
    width = able.most - able.least
    level = able.least.new_zeros(len(direction) + 1, able.least.shape[1])
    before, filling, inside = torch.zeros_like(level), torch.zeros_like(level), torch.zeros_like(level)
    for slot in range(len(direction)):
        torch.gt(number, rank[slot], out=filling)
        before.copy_(level)
        level.add_(able.least[slot]).addcmul_(filling, width[slot])
        torch.clamp(level, able.floor[slot], able.ceiling[slot], out=level)
        inside.addcmul_(filling, torch.sub(level, before, out=before))
    taken = torch.zeros_like(worth).scatter(0, order, _increments(inside, level, worth.gather(0, order)))
    return _kept_feasible(able, taken)


def _increments(inside: Tensor, total: Tensor, worth: Tensor) -> Tensor:
    """Return what each next slot takes [T, ...], given what the first k take and all do [T + 1, ...], and its worth."""
    return torch.where(worth > 0.0, inside.diff(dim=0), (inside - total).diff(dim=0))


def _kept_feasible(able: Steps, taken: Tensor) -> Tensor:
    """Return scaled energies [T, n] as kWh, without the rounding that would leave the bounds."""
    level, result = torch.zeros_like(taken[0]), torch.empty_like(taken)
    for slot in range(len(taken)):
        least = torch.maximum(able.least[slot], able.floor[slot] - level)
        most = torch.minimum(able.most[slot], able.ceiling[slot] - level)
        result[slot] = torch.minimum(torch.maximum(taken[slot], least), most)
        level = level + result[slot]
    return result if able.scale is None else result / able.scale
