"""Whole numbers near a relaxed optimum: starts of programmes, powers in steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.compiled import compiled, inlined
from totalflex_env.flexoffer.kinds import Vehicles, to_kwh
from totalflex_env.flexoffer.starts import StartCounts

LEANINGS = (0.5, 0.25, 0.75)  # where in [0, 1) the rounding tips over
TIPPING = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)  # the same for powers in steps, all of them tried
WHOLE = 1e-6  # of a step, by which a whole number may be missed


def whole_counts(starts: Tensor) -> Iterator[Tensor]:
    """Yield whole start counts [Z, T] int64 near start counts [Z, T] that may be fractional.

    Differences of floor(running sum + lean) are whole, and no window gets fewer starts than the offers that must start
    inside it: a sum that is at least a whole number stays so (Hall's condition).
    """
    sums = starts.cumsum(1)
    for lean in LEANINGS:
        whole = (sums + lean + 1e-9).floor()
        yield whole.diff(dim=1, prepend=torch.zeros_like(whole[:, :1])).long()


def whole_steps(vehicles: Vehicles, energy: Tensor) -> Tensor:
    """Return energies [n, T] kWh of total-energy offers with those that have a quantum in multiples of it.

    Rounded along the slots as starts are, so that slots and totals stay within their whole bounds; each offer tips over
    where that makes up best for what those before it were rounded by. Offers of one quantum alone then move steps among
    their slots until they take whole multiples where all of `energy` does (integer sums of generalized polymatroids
    have integer parts, Frank and Tardos 1988).
    """
    stepped = (vehicles.quantum > 0).nonzero()[:, 0]
    if not len(stepped):
        return energy
    some: Vehicles = take_rows(vehicles, stepped)
    shares = (energy[stepped] / to_kwh(some.quantum)[:, None]).contiguous()
    steps = np.empty(shares.shape, np.int64)
    _round(shares.numpy(), to_kwh(some.quantum).numpy(), steps)
    wanted = shares.sum(0)
    if bool((some.quantum == some.quantum[0]).all()) and bool(((wanted - wanted.round()).abs() < WHOLE).all()):
        totals = (values // some.quantum for values in (some.power, some.least, some.most))
        bounds = tuple(values.numpy() for values in (some.arrival, some.departure, *totals))
        _move(bounds, wanted.round().long().numpy(), steps)
    return energy.index_copy(0, stepped, torch.from_numpy(steps) * to_kwh(some.quantum)[:, None])


@compiled
def _round(shares: Any, quantum: Any, steps: Any) -> None:
    """Write whole steps [n, T] near shares of them [n, T], so that their sum over offers stays near too."""
    count, slots = shares.shape
    error = np.zeros(slots)
    for offer in range(count):
        least, chosen = np.inf, 0.5
        for lean in TIPPING:
            squares, total, before = 0.0, 0.0, 0.0
            for slot in range(slots):
                total += shares[offer, slot]
                whole = np.floor(total + lean)
                away = error[slot] + quantum[offer] * (whole - before - shares[offer, slot])
                squares, before = squares + away * away, whole
            if squares < least:
                least, chosen = squares, lean
        total, before = 0.0, 0.0
        for slot in range(slots):
            total += shares[offer, slot]
            whole = np.floor(total + chosen)
            steps[offer, slot] = int(whole - before)
            error[slot] += quantum[offer] * (whole - before - shares[offer, slot])
            before = whole


@inlined
def _reach(bounds: Any, steps: Any, totals: Any, missing: Any, via: Any) -> int:
    """Search breadth first from where too much is taken to where too little is; return that place, -1 for none.

    Places are the slots, and last the outside, through which totals change. A step can leave a place for another where
    an offer takes one there and has room here; `via` [2, T + 1] takes the place before each and that offer.
    """
    arrival, departure, power, least, most = bounds
    count, slots = steps.shape
    queue = np.empty(slots + 1, np.int64)
    via[0, :] = -2
    ahead, behind = 0, 0
    for place in range(slots + 1):
        if missing[place] < 0:
            queue[behind], via[0, place] = place, -1
            behind += 1
    while ahead < behind:
        here = queue[ahead]
        ahead += 1
        for offer in range(count):
            inside = here == slots or arrival[offer] <= here < departure[offer]
            if not inside or (totals[offer] >= most[offer] if here == slots else steps[offer, here] == 0):
                continue
            for there in range(arrival[offer], departure[offer] + 1):
                place = there if there < departure[offer] else slots
                room = totals[offer] > least[offer] if place == slots else steps[offer, place] < power[offer]
                if via[0, place] != -2 or not room or place == here:
                    continue
                via[0, place], via[1, place] = here, offer
                if missing[place] > 0:
                    return place
                queue[behind] = place
                behind += 1
    return -1


@compiled
def _move(bounds: Any, wanted: Any, steps: Any) -> None:
    """Move steps [n, T] of offers along the shortest paths until they add up to `wanted` [T], as far as that goes."""
    slots = len(wanted)
    totals, via = steps.sum(1), np.empty((2, slots + 1), np.int64)
    missing = np.empty(slots + 1, np.int64)
    missing[:slots] = wanted - steps.sum(0)
    missing[slots] = -missing[:slots].sum()
    place = _reach(bounds, steps, totals, missing, via)
    while place >= 0:
        missing[place] -= 1
        while via[0, place] >= 0:
            before, offer = via[0, place], via[1, place]
            if place < slots:
                steps[offer, place] += 1
            if before < slots:
                steps[offer, before] -= 1
            totals[offer] += (place < slots) - (before < slots)
            place = before
        missing[place] += 1
        place = _reach(bounds, steps, totals, missing, via)


def load_of(counts: StartCounts, starts: Tensor) -> Tensor:
    """Return the profile [T] kWh of start counts [Z, T] that may be fractional."""
    slots, length = starts.shape[1], counts.shapes.shape[1]
    shapes, profile = to_kwh(counts.shapes), starts.new_zeros(slots + length, dtype=torch.float64)
    for slice_ in range(length):
        profile[slice_ : slice_ + slots] += (starts * shapes[:, slice_ : slice_ + 1]).sum(0)
    return profile[:slots]
