"""Start counts: any number of programmes of one shape as a histogram of their start windows, without loss.

Counts n[s] of starts per slot belong to windows [u, v] of offers if and only if they sum up to the number of offers and
no window [u, v] holds fewer starts than offers that must start inside it (Hall 1935 for convex bipartite graphs). Then
serving the offer with the earliest latest start first assigns every start (earliest deadline first, Glover 1967). The
load is the sum of n[s] times the shape shifted to s.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.flexoffer.kinds import Programmes
from totalflex_env.flexoffer.members import distinct, shortened


@dataclass(frozen=True)
class StartCounts:
    """H distinct start windows of Z shapes and how many offers have them; rows in ascending order, counts > 0."""

    shapes: Tensor  # [Z, S] int64 uWh per slice, ascending
    shape: Tensor  # [H] int64, row of `shapes`
    earliest: Tensor  # [H] int64
    latest: Tensor  # [H] int64
    count: Tensor  # [H] int64


def count_windows(programmes: Programmes) -> StartCounts:
    """Return the histogram of programmes."""
    keys = torch.stack([programmes.shape, programmes.earliest, programmes.latest], dim=1)
    return _collect(programmes.shapes, keys, torch.ones_like(programmes.offer))


def merge_counts(parts: list[tuple[StartCounts, int]]) -> StartCounts:
    """Return the sum of histograms, each with a sign: 1 inserts its offers and -1 deletes them, bit-exact."""
    width = max(part.shapes.shape[1] for part, _ in parts)
    shapes = torch.cat([pad(part.shapes, (0, width - part.shapes.shape[1])) for part, _ in parts])
    first = torch.tensor([0, *(len(part.shapes) for part, _ in parts[:-1])]).cumsum(0).tolist()
    shape = torch.cat([part.shape + row for (part, _), row in zip(parts, first)])
    window = [torch.cat([part.earliest for part, _ in parts]), torch.cat([part.latest for part, _ in parts])]
    count = torch.cat([sign * part.count for part, sign in parts])
    return _collect(shapes, torch.stack([shape, *window], dim=1), count)


def _collect(shapes: Tensor, keys: Tensor, count: Tensor) -> StartCounts:
    """Return the histogram of rows `keys` [n, 3] (shape, earliest, latest) and their counts [n], in canonical form."""
    shapes, renumbered = distinct(shapes)
    keys = torch.stack([renumbered[keys[:, 0]], keys[:, 1], keys[:, 2]], dim=1)
    keys, row = _windows(keys)
    total = torch.zeros(len(keys), dtype=torch.int64).index_add(0, row, count)
    keys, total = keys[total != 0], total[total != 0]
    used, shape = keys[:, 0].unique(return_inverse=True)
    return StartCounts(shortened(shapes[used]), shape, keys[:, 1], keys[:, 2], total)


def _windows(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows [H, 3] of keys [n, 3] >= 0 in ascending order, and the row of each key [n]."""
    if not len(keys):
        return keys, keys.new_zeros(0)
    base = int(keys[:, 1:].max()) + 1
    number, row = torch.unique((keys[:, 0] * base + keys[:, 1]) * base + keys[:, 2], return_inverse=True)
    return torch.stack([number // base**2, number // base % base, number % base], dim=1), row


def start_values(counts: StartCounts, direction: Tensor) -> Tensor:
    """Return the worth [R, Z, T] EUR of each shape started in each slot, at directions [R, T] EUR/kWh.

    A start whose profile would leave the grid counts what lies on the grid; no window allows it.
    """
    length = counts.shapes.shape[1]
    ahead = pad(direction.double(), (0, length - 1)).unfold(1, length, 1)
    return torch.einsum("rts,zs->rzt", ahead, counts.shapes.double() / 1e9)


def best_starts(counts: StartCounts, direction: Tensor) -> Tensor:
    """Return the start [R, H] int64 of the most worth in each window at directions [R, T]; the earliest of equals."""
    value = start_values(counts, direction)
    best = torch.arange(value.shape[2]).expand_as(value).contiguous()  # of the starts s..s + 2^level - 1
    width = counts.latest - counts.earliest + 1
    chosen = counts.earliest.expand(len(value), -1).clone()
    level = 0
    while len(width) and 2**level <= int(width.max()):
        step = 2**level
        at = (width >= step) & (width < 2 * step)
        shape, early, late = counts.shape[at], counts.earliest[at], counts.latest[at] - step + 1
        chosen[:, at] = _better(value, shape, best[:, shape, early], best[:, shape, late])
        other = best[:, :, (torch.arange(best.shape[2]) + step).clamp(max=best.shape[2] - 1)]
        best = torch.where(value.gather(2, other) > value.gather(2, best), other, best)
        level += 1
    return chosen


def start_load(counts: StartCounts, start: Tensor, slots: int) -> Tensor:
    """Return the profile [R, slots] int64 uWh if all offers of a window start in slot `start` [R, H] int64."""
    slot = start[:, :, None] + torch.arange(counts.shapes.shape[1])
    energy = (counts.count[:, None] * counts.shapes[counts.shape]).expand_as(slot)
    profile = torch.zeros(len(start), slots + counts.shapes.shape[1], dtype=torch.int64)
    return profile.scatter_add(1, slot.flatten(1), energy.flatten(1))[:, :slots]


def counts_load(counts: StartCounts, starts: Tensor) -> Tensor:
    """Return the profile [T] int64 uWh of start counts [Z, T] int64."""
    slots, length = starts.shape[1], counts.shapes.shape[1]
    profile = torch.zeros(slots + length, dtype=torch.int64)
    for slice_ in range(length):
        profile[slice_ : slice_ + slots] += (starts * counts.shapes[:, slice_ : slice_ + 1]).sum(0)
    return profile[:slots]


def hall(counts: StartCounts, starts: Tensor) -> Tensor:
    """Return whether start counts [Z, T] int64 can be assigned, shape by shape [Z] bool: Hall's condition."""
    shapes, slots = starts.shape
    inside = torch.zeros(shapes, slots, slots, dtype=torch.int64)
    inside.index_put_((counts.shape, counts.earliest, counts.latest), counts.count, accumulate=True)
    inside = inside.flip(1).cumsum(1).flip(1).cumsum(2)  # offers that must start in [u, v]
    upto = pad(starts.cumsum(1), (1, 0))
    held = upto[:, None, 1:] - upto[:, :-1, None]
    ordered = torch.ones(slots, slots, dtype=torch.bool).triu()
    enough = ((held >= inside) | ~ordered).flatten(1).all(1)
    return enough & (upto[:, -1] == inside[:, 0, -1]) & (starts >= 0).all(1)


def assign_starts(programmes: Programmes, starts: Tensor) -> Tensor | None:
    """Return the start [n] int64 of each programme for start counts [Z, T] int64, or None if they cannot be assigned.

    Earliest deadline first: each start goes to the waiting offer that must start soonest, of equals to the one of the
    least identity.
    """
    start = torch.full_like(programmes.offer, -1)
    for shape, wanted in enumerate(starts.tolist()):
        index = (programmes.shape == shape).nonzero()[:, 0]
        index = index[programmes.earliest[index].argsort(stable=True)]
        rows = list(zip(programmes.earliest[index].tolist(), programmes.latest[index].tolist(), index.tolist()))
        waiting: list[tuple[int, int]] = []
        arrived, members, slots = 0, [], []
        for slot, number in enumerate(wanted):
            while arrived < len(rows) and rows[arrived][0] <= slot:
                heapq.heappush(waiting, rows[arrived][1:])
                arrived += 1
            if number > len(waiting):
                return None
            for _ in range(number):
                members.append(heapq.heappop(waiting)[1])
                slots.append(slot)
            if waiting and waiting[0][0] <= slot:
                return None
        if waiting or arrived < len(rows):
            return None
        start[torch.tensor(members, dtype=torch.int64)] = torch.tensor(slots, dtype=torch.int64)
    return start


def _better(value: Tensor, shape: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return of starts a and b [R, h] of shapes [h] the one of more worth, a if equal."""
    row = torch.arange(len(value))[:, None]
    return torch.where(value[row, shape, b] > value[row, shape, a], b, a)
