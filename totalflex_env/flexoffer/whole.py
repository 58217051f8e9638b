"""Whole numbers near a relaxed optimum: starts of programmes, powers in steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from totalflex_env.flexoffer.kinds import Vehicles, to_kwh
from totalflex_env.flexoffer.starts import StartCounts

LEANINGS = (0.5, 0.25, 0.75)  # where in [0, 1) the rounding tips over
GOLDEN = 0.6180339887498949  # its multiples spread evenly over [0, 1)


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

    Rounded along the slots as starts are, so that slots and totals stay within their whole bounds, and tipping over at
    other places for every offer, so that their errors cancel out.
    """
    stepped = (vehicles.quantum > 0).nonzero()[:, 0]
    if not len(stepped):
        return energy
    quantum = to_kwh(vehicles.quantum[stepped])[:, None]
    lean = (torch.arange(1, len(stepped) + 1) * GOLDEN).double().frac()[:, None]
    whole = ((energy[stepped] / quantum).cumsum(1) + lean + 1e-9).floor()
    steps = whole.diff(dim=1, prepend=torch.zeros_like(whole[:, :1]))
    return energy.index_copy(0, stepped, steps * quantum)


def load_of(counts: StartCounts, starts: Tensor) -> Tensor:
    """Return the profile [T] kWh of start counts [Z, T] that may be fractional."""
    slots, length = starts.shape[1], counts.shapes.shape[1]
    shapes, profile = to_kwh(counts.shapes), starts.new_zeros(slots + length, dtype=torch.float64)
    for slice_ in range(length):
        profile[slice_ : slice_ + slots] += (starts * shapes[:, slice_ : slice_ + 1]).sum(0)
    return profile[:slots]
