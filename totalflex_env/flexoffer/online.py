"""Dispatch slot by slot, without knowing the slots to come.

`ranges` says what each member may take now so that the rest stays possible; a sequence of energies clipped to it ends
feasible whatever it was (recursive feasibility: from any level inside the envelope a next step stays inside it). Limits
of the moment - a fuse, a ramp, a minimum dwell - narrow the range and never leave it.

`serve` splits what is wanted now among total-energy offers. Those of one window are levelled: with r the slots of full
power that an offer still needs, take clip(r - level, 0, 1) of its power. That leaves the least spread, hence the most
that any later slots can ask for, so that any profile of the aggregate is served exactly (docs/flex_offers.md). With
different windows no rule without look-ahead serves all profiles; what is missing is returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.kinds import Chains, Vehicles, to_kwh


@dataclass(frozen=True)
class Progress:
    """Where members stand before a slot."""

    slot: int
    level: Tensor  # [n] kWh, as `level` of Chains; for total-energy offers the energy taken
    energy: Tensor  # [n] kWh taken in the last slot
    since: Tensor  # [n] int64, slots since the energy last changed between zero and not zero


@dataclass(frozen=True)
class Moment:
    """What binds from slot to slot beside the offer itself, [n] each."""

    fuse: Tensor  # kWh per slot, the most energy in either direction
    ramp: Tensor  # kWh per slot, the most change from one slot to the next
    dwell: Tensor  # int64, the fewest slots on or off before the next switch
    running: Tensor  # kWh per slot, the least while it must stay on


def begin(count: int) -> Progress:
    """Return where `count` members stand before slot 0: nothing taken, free to switch."""
    zero = torch.zeros(count, dtype=torch.float64)
    return Progress(0, zero, zero, torch.full((count,), 2**31))


def ranges(chains: Chains, progress: Progress, moment: Moment | None = None) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [n] kWh now after which every later bound can still be kept.

    Where a limit of the moment would leave nothing, the need of the offer goes first: it promised that energy.
    """
    slot = progress.slot
    floor, ceiling = _envelope(chains, slot)
    gain = chains.gains[chains.profile, slot]
    kept = chains.retention * progress.level
    least = torch.maximum(chains.lower[:, slot], (floor - kept) / gain)
    most = torch.minimum(chains.upper[:, slot], (ceiling - kept) / gain)
    least, most = torch.minimum(least, chains.upper[:, slot]), torch.maximum(most, chains.lower[:, slot])
    return (least, most) if moment is None else _narrowed(least, most, progress, moment)


def advance(chains: Chains, progress: Progress, energy: Tensor) -> Progress:
    """Return where the members stand after taking `energy` [n] kWh in the slot."""
    gain = chains.gains[chains.profile, progress.slot]
    switched = (energy != 0.0) != (progress.energy != 0.0)
    since = torch.where(switched, 1, progress.since + 1)
    return Progress(progress.slot + 1, chains.retention * progress.level + gain * energy, energy, since)


def serve(vehicles: Vehicles, left: Tensor, wanted: float, slot: int) -> tuple[Tensor, float]:
    """Return energies [n] kWh of total-energy offers that add up to `wanted` kWh in a slot, and what they cannot make.

    `left` [n] kWh is what each offer still takes before it leaves (`totals` settles it first). Exact for one window;
    else offers are levelled by the slack that they have left, r less the slots to departure, and the residual reported.
    """
    power = to_kwh(vehicles.power)
    slots = (vehicles.departure - slot).clamp(min=0)
    here = (slot >= vehicles.arrival) & (slots > 0)
    need = torch.where(here, left / power.clamp(min=1e-300), 0.0)
    urgency = need - slots  # zero: full power from now on
    must = (1.0 + urgency).clamp(0.0, 1.0) * here
    can = need.clamp(0.0, 1.0)
    share = _levelled(urgency, (must, can), power, wanted)
    energy = share * power
    return energy, wanted - float(energy.sum())


def follow(vehicles: Vehicles, profile: Tensor) -> tuple[Tensor, Tensor]:
    """Return energies [n, T] kWh of total-energy offers that follow a profile [T] kWh, and what they miss [T].

    Of the profile only the total is known in advance, of each slot what is wanted when it comes.
    """
    left = totals(vehicles, float(profile.sum()))
    energies, missed = [], []
    for slot, wanted in enumerate(profile.tolist()):
        energy, residual = serve(vehicles, left, wanted, slot)
        left = left - energy
        energies.append(energy)
        missed.append(residual)
    return torch.stack(energies, dim=1), profile.new_tensor(missed)


def totals(vehicles: Vehicles, energy: float) -> Tensor:
    """Return totals [n] kWh of offers that add up to `energy` kWh: equal slots of full power, within each one's bounds.

    An OfferError refuses an energy that their totals do not allow.
    """
    power, least, most = (to_kwh(values) for values in (vehicles.power, vehicles.least, vehicles.most))
    slack = 1e-9 * (1.0 + float(most.sum()))
    if not float(least.sum()) - slack <= energy <= float(most.sum()) + slack:
        raise OfferError("aggregate", f"totals add up to {float(least.sum())} to {float(most.sum())} kWh", energy)
    full = power.clamp(min=1e-300)
    zero = torch.zeros_like(power)
    return _levelled(zero, (least / full, most / full), power, energy) * power


def _levelled(start: Tensor, bounds: tuple[Tensor, Tensor], weight: Tensor, total: float) -> Tensor:
    """Return clip(start - level, *bounds) [n] at the level at which it adds up to `total`, weighted; or the nearest."""
    low, high = bounds
    bends = torch.cat([start - high, start - low]).sort().values
    first, last = 0, len(bends) - 1

    def made(level: Tensor) -> float:
        return float((weight * torch.minimum(torch.maximum(start - level, low), high)).sum())

    if not len(start) or made(bends[0]) <= total:
        return high
    if made(bends[-1]) >= total:
        return low
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (middle, last) if made(bends[middle]) >= total else (first, middle)
    above, below = made(bends[first]), made(bends[last])
    share = (above - total) / (above - below) if above > below else 0.0
    level = bends[first] + share * (bends[last] - bends[first])
    return torch.minimum(torch.maximum(start - level, low), high)


def _envelope(chains: Chains, slot: int) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest level [n] after a slot from which the later bounds can be reached."""
    floor, ceiling = chains.level_lower[:, -1], chains.level_upper[:, -1]
    for later in range(chains.lower.shape[1] - 1, slot, -1):
        gain = chains.gains[chains.profile, later]
        floor = (floor - gain * chains.upper[:, later]) / chains.retention
        ceiling = (ceiling - gain * chains.lower[:, later]) / chains.retention
        floor = torch.maximum(floor, chains.level_lower[:, later - 1])
        ceiling = torch.minimum(ceiling, chains.level_upper[:, later - 1])
    return floor, ceiling


def _narrowed(least: Tensor, most: Tensor, progress: Progress, moment: Moment) -> tuple[Tensor, Tensor]:
    """Return the part of the range that the limits of the moment allow, or its point nearest to them."""
    before, on = progress.energy, progress.energy != 0.0
    waits = progress.since < moment.dwell
    low = torch.maximum(-moment.fuse, before - moment.ramp)
    high = torch.minimum(moment.fuse, before + moment.ramp)
    low, high = torch.where(waits & ~on, 0.0, low), torch.where(waits & ~on, 0.0, high)
    low = torch.where(waits & on, torch.maximum(low, moment.running), low)
    low = torch.minimum(torch.maximum(low, least), most)
    return low, torch.maximum(torch.minimum(high, most), low)
