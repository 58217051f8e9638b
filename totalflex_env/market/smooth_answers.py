"""Orders that answer prices smoothly, and how their answers change with the prices.

An order that is asked its cheapest schedule jumps from one to another where two are equally dear. A smooth one spreads
itself: within a pattern the energy above the lower bounds minimises price.e + width / 2 sum (e² / range - e), so that a
slice ramps from nothing to all over `width` EUR/kWh; the shares of patterns, and of not being accepted, are those of
the logit model (McFadden 1974) at a temperature of WARMTH * width * its energy. Such an answer is a mixture of
schedules and the gradient of a concave function of the prices. Orders bounded in their levels answer as they always do,
and families are left out of account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.compiled import compiled, inlined
from totalflex_env.flexoffer.respond import Room
from totalflex_env.market.patterns import Bucket, Patterns, above

WARMTH = 0.1
NOTHING = 1e-5  # share below which a pattern does not count in the derivative
ROUNDS = 60  # of the search for the level of a total
EXACT = 1e-12  # of a total


@dataclass(frozen=True)
class SmoothAnswer:
    """What all orders do at some prices."""

    change: Tensor  # [M, T] kWh, deviations by node
    slope: Tensor  # [M, T, T] kWh per EUR/kWh, its derivative by the prices of the node
    share: Tensor  # [R] of the patterns
    energy: tuple[Tensor, ...]  # [R, V] kWh of each bucket


def smooth_answer(patterns: Patterns, nodal: Tensor, width: float) -> SmoothAnswer:
    """Return what orders do at prices [M, T] EUR/kWh if they ramp over `width` EUR/kWh."""
    orders, (nodes, slots) = patterns.orders, nodal.shape
    price, change = pad(nodal, (0, 1)), torch.zeros(nodes, slots + 1, dtype=torch.float64)
    slope = torch.zeros(nodes, slots, slots, dtype=torch.float64)
    share, energy = torch.zeros(len(patterns.order), dtype=torch.float64), []
    kept = -(nodal[orders.node] * orders.position).sum(1)  # what the position costs, spared by an award
    for bucket in patterns.buckets:
        taken, room = _room(bucket, price, orders.node)
        own = torch.empty(len(bucket.order), dtype=torch.float64)
        who = (bucket.order, orders.node, bucket.slot, patterns.cost[bucket.pattern], kept, orders.must_run)
        sums, out = (change.numpy(), slope.numpy()), _arrays((own, taken))
        _answer(_arrays(who), _arrays(room), price.numpy(), width, sums, out)
        share[bucket.pattern] = own
        energy.append(bucket.lower + taken)
    accepted = torch.zeros(len(orders.id), dtype=torch.float64).index_add(0, patterns.order, share)
    change = change[:, :-1].index_add(0, orders.node, -accepted[:, None] * orders.position)
    return SmoothAnswer(change, slope, share, tuple(energy))


def _room(bucket: Bucket, price: Tensor, node: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return energies above the lower bounds [R, V] kWh, to be filled in or final, and what bounds them."""
    if isinstance(bucket.free, Room):
        free = bucket.free
        return torch.zeros_like(bucket.lower), (bucket.lower, bucket.offset, free.range_, free.least, free.most)
    final = above(bucket, price[node[bucket.order, None], bucket.slot] + bucket.offset)
    none, far = torch.zeros_like(bucket.lower), torch.full_like(bucket.lower[:, 0], torch.inf)
    return none if final is None else final, (bucket.lower, bucket.offset, torch.zeros_like(none), -far, far)


def _arrays(tensors: tuple[Tensor, ...]) -> Any:
    return tuple([tensor.contiguous().numpy() for tensor in tensors])


@compiled
def _answer(who: Any, room: Any, price: Any, width: float, sums: Any, out: Any) -> None:
    """Write shares [R] and energies [R, V] of the patterns of a bucket, order by order, and add up what they do."""
    order, node, slot, fixed, kept, must_run = who
    change, slope = sums
    share, taken = out
    rows, begin = len(order), 0
    level, binds, mean = np.empty(rows), np.empty(rows, np.bool_), np.zeros(price.shape[1])
    while begin < rows:
        end, own, least = begin, node[order[begin]], np.inf
        while end < rows and order[end] == order[begin]:
            cost, level[end], binds[end] = _fill(end, room, price[own], slot[end], width, taken)
            share[end] = cost + fixed[end] + kept[order[begin]]
            least = min(least, share[end])
            end += 1
        warmth = max(WARMTH * width * (np.abs(room[0][begin]).sum() + room[2][begin].sum()), EXACT)
        total = 0.0
        if not must_run[order[begin]]:
            least = min(least, 0.0)
            total = np.exp(least / warmth)
        for row in range(begin, end):
            share[row] = np.exp((least - share[row]) / warmth)
            total += share[row]
        share[begin:end] /= total
        for row in range(begin, end):
            if share[row] > NOTHING:
                _bend(row, room, (price[own], slot[row], level[row], binds[row], share[row]), width, slope[own])
        _mix((begin, end), (slot, room[0], taken, share), warmth, mean, change[own], slope[own])
        begin = end


@inlined
def _fill(row: int, room: Any, price: Any, slot: Any, width: float, taken: Any) -> Any:
    """Write the energies of a pattern above its lower bounds; return its smoothed cost, and how it is bounded."""
    lower, offset, range_, least, most = room
    dear = offset[row] + price[slot]
    level, binds = _level(dear, range_[row], (least[row], most[row]), width)
    cost = 0.0
    for piece in range(len(dear)):
        cost += (dear[piece] - offset[row, piece]) * lower[row, piece]
        if range_[row, piece] > 0.0:
            filled = min(max(0.5 - (dear[piece] - level) / width, 0.0), 1.0)
            taken[row, piece] = filled * range_[row, piece]
            cost += 0.5 * width * range_[row, piece] * filled * (filled - 1.0)
        cost += dear[piece] * taken[row, piece]
    return cost, level, binds


@inlined
def _level(price: Any, range_: Any, bounds: Any, width: float) -> Any:
    """Return by how much prices are lowered so that a total keeps its bounds, and whether one binds.

    What is filled rises with the level, piecewise linearly: Newton's method, kept within what bisection leaves.
    """
    low, high = price.min() - width, price.max() + width
    level, target = 0.0, 0.0
    for step in range(ROUNDS):
        total, rise = 0.0, 0.0
        for piece in range(len(price)):
            filled = 0.5 - (price[piece] - level) / width
            total += range_[piece] * min(max(filled, 0.0), 1.0)
            if 0.0 < filled < 1.0:
                rise += range_[piece] / width
        if step == 0:
            target = min(max(total, bounds[0]), bounds[1])
        if abs(total - target) <= EXACT * (1.0 + abs(target)):
            return level, step > 0
        if total < target:
            low = level
        else:
            high = level
        level = level + (target - total) / rise if rise > 0.0 else np.inf
        if not low < level < high:
            level = 0.5 * (low + high)
    return level, True


@inlined
def _bend(row: int, room: Any, at: Any, width: float, slope: Any) -> None:
    """Add how a pattern's energies change with the prices: slices that ramp, at each other's cost if a total binds."""
    offset, range_ = room[1][row], room[2][row]
    price, slot, level, binds, share = at
    ramps = np.empty(len(slot), np.int64)
    count, together = 0, 0.0
    for piece in range(len(slot)):
        filled = 0.5 - (price[slot[piece]] + offset[piece] - level) / width
        if range_[piece] > 0.0 and 0.0 < filled < 1.0:
            ramps[count] = piece
            count += 1
            together += range_[piece]
    for one in ramps[:count]:
        rise = share * range_[one] / width
        slope[slot[one], slot[one]] -= rise
        if binds:
            for other in ramps[:count]:
                slope[slot[one], slot[other]] += rise * range_[other] / together


@inlined
def _mix(rows: Any, patterns: Any, warmth: float, mean: Any, change: Any, slope: Any) -> None:
    """Add what an order takes on the whole, and how that changes by its shares: their covariance over the warmth."""
    slot, lower, taken, share = patterns
    first, last = len(mean), 0
    several = rows[1] > rows[0] + 1 or share[rows[0]] < 1.0
    for row in range(rows[0], rows[1]):
        for piece in range(slot.shape[1]):
            energy = share[row] * (lower[row, piece] + taken[row, piece])
            if energy != 0.0:
                mean[slot[row, piece]] += energy
                first, last = min(first, slot[row, piece]), max(last, slot[row, piece] + 1)
                if several and share[row] > NOTHING:
                    for other in range(slot.shape[1]):
                        both = energy * (lower[row, other] + taken[row, other])
                        if both != 0.0:
                            slope[slot[row, piece], slot[row, other]] -= both / warmth
    for one in range(first, last):
        change[one] += mean[one]
        if several:
            for other in range(first, last):
                slope[one, other] += mean[one] * mean[other] / warmth
    for one in range(first, last):
        mean[one] = 0.0
