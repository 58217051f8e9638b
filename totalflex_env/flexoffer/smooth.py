"""Members that answer prices smoothly, all kinds together: profile, derivative, assignments.

A hard answer jumps from one vertex to another where two slots are equally dear, and all devices jump at once. A smooth
one minimises cost plus a strictly convex term that is worth at most `width` EUR/kWh: it is unique, feasible, continuous
in the prices and differentiable almost everywhere, and tends to the hard answer as the width goes to zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import smooth_starts, smooth_storages, smooth_vehicles
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.kinds import Assignments, Members, to_kwh
from totalflex_env.flexoffer.members import expand, take_chains
from totalflex_env.flexoffer.scans import Steps, steps
from totalflex_env.flexoffer.starts import StartCounts, count_windows
from totalflex_env.flexoffer.support import checked

CHUNK = 8192  # storages answered side by side: many enough to outweigh the cost of each torch call


@dataclass(frozen=True)
class Smooth:
    """Members, prepared once to answer many prices."""

    slots: int  # T
    lower: Tensor  # [T] kWh, sum of the boxes
    upper: Tensor  # [T] kWh
    vehicles: smooth_vehicles.Fleet
    storages: Sequence[Steps]  # storages and chains, chunk by chunk
    starts: StartCounts
    weight: float = 1.0  # of each storage, above 1 where they are a sample of many


def prepare(members: Members) -> Smooth:
    """Return members ready to answer prices; an OfferError names a movable, whose start must be settled before."""
    if len(members.movables.offer):
        first = int(members.movables.offer[0])
        raise OfferError(str(first), "the start is settled before it answers prices smoothly", first)
    lower, upper = (to_kwh(bound.sum(0)) for bound in (members.boxes.lower, members.boxes.upper))
    fleet = smooth_vehicles.fleet(members.vehicles, members.slots)
    return Smooth(members.slots, lower, upper, fleet, list(_storages(members)), count_windows(members.programmes))


def answer(smooth: Smooth, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the profile [T] kWh at a price [T] EUR/kWh, and its derivative [T, T] by the price (symmetric)."""
    share = 0.5 - price / width
    room = smooth.upper - smooth.lower
    profile = torch.addcmul(smooth.lower, room, share.clamp(0.0, 1.0))
    derivative = -torch.diag(room * ((share > 0.0) & (share < 1.0)) / width)
    if len(smooth.vehicles.offer):
        taken, change = smooth_vehicles.answer(smooth.vehicles, price, width)
        profile, derivative = profile + taken, derivative + change
    if len(smooth.starts.count):
        taken, change = smooth_starts.start_answer(smooth.starts, price, width)
        profile, derivative = profile + taken, derivative + change
    for able in smooth.storages:
        part = smooth_storages.answer(able, price, width)
        profile = profile + smooth.weight * part.energy.sum(0)
        derivative = derivative + smooth.weight * part.derivative
    return profile, derivative


def assignments(members: Members, smooth: Smooth, price: Tensor, width: float) -> Assignments:
    """Return what each of `members`, of which `smooth` was made, takes at a price [T]; starts are left at slot 0."""
    lower, upper = to_kwh(members.boxes.lower), to_kwh(members.boxes.upper)
    none = price.new_zeros(0, smooth.slots)
    parts = [smooth_storages.answer(able, price, width).energy for able in smooth.storages]
    energies, storages = torch.cat([none, *parts]), len(members.storages.offer)
    return Assignments(
        boxes=torch.addcmul(lower, upper - lower, (0.5 - price / width).clamp(0.0, 1.0)),
        vehicles=smooth_vehicles.assign(smooth.vehicles, price, width),
        storages=energies[:storages],
        chains=energies[storages:],
        programmes=torch.zeros_like(members.programmes.offer),
        movable_start=torch.zeros(0, dtype=torch.int64),
        movables=none[:, :1],
    )


def respond_smoothly(aggregate: ExactAggregate, prices: Tensor, width: float) -> Tensor:
    """Return the profile [R, T] kWh of an aggregate at prices [R, T] EUR/kWh, differentiable in the prices.

    `width` > 0 EUR/kWh is the price range over which a device ramps. Gradients are those of the smooth optimum itself
    (implicit function theorem), not of an approximation of it. An OfferError refuses movables and what is no price.
    """
    checked(prices.detach(), aggregate.members.slots)
    if not width > 0.0:
        raise OfferError("aggregate", "the width of smoothing is above zero EUR/kWh", width)
    smooth = prepare(aggregate.members)
    return torch.stack([_answered(smooth, price, width) for price in prices.double()])


def _answered(smooth: Smooth, price: Tensor, width: float) -> Tensor:
    with torch.no_grad():
        profile, derivative = answer(smooth, price, width)
    # the value is the profile, the gradient the derivative
    return profile + derivative @ (price - price.detach())


def _storages(members: Members) -> Iterator[Steps]:
    for index in torch.arange(len(members.storages.offer)).split(CHUNK):
        if len(index):
            yield steps(expand(take_rows(members.storages, index), members.slots))
    for index in torch.arange(len(members.chains.offer)).split(CHUNK):
        if len(index):
            yield steps(take_chains(members.chains, index))
