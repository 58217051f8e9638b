"""Disaggregation in which all members use alike shares of what they could take in all.

How much of its power each member uses in a slot is shared alike already (`disaggregate`). Here their totals are too: of
every total-energy offer and storage the total lies at one place between the least and the most it could take, or, where
the profile leaves no such split, as near to that place as one band around it allows: the narrowest band is sought.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.flexoffer.disaggregate import disaggregate, split
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.kinds import Assignments, Members, to_kwh
from totalflex_env.flexoffer.members import expand
from totalflex_env.flexoffer.scans import steps
from totalflex_env.flexoffer.support import checked_profile

HALVINGS = 8


def disaggregate_fairly(aggregate: ExactAggregate, profile: Tensor) -> tuple[Assignments, float]:
    """Return assignments as `disaggregate` does, and the width of the band [0, 1] in which all relative totals lie.

    For boxes, total-energy offers, storages and chains; starts that must be chosen leave the totals as they come, with
    band 1. An OfferError refuses a profile [T] outside the aggregate.
    """
    members, profile = aggregate.members, checked_profile(profile, aggregate.members.slots)
    anyhow = disaggregate(aggregate, profile)
    whole = len(members.programmes.offer) + len(members.movables.offer) + int(members.vehicles.quantum.sum())
    if whole:
        return anyhow, 1.0
    middle = _place(members, anyhow)
    alike = split(_narrowed(members, middle, 0.0), profile)
    if alike is not None:
        return alike, 0.0
    narrow, wide, best = 0.0, 1.0, anyhow
    for _ in range(HALVINGS):
        band = 0.5 * (narrow + wide)
        found = split(_narrowed(members, middle, 0.5 * band), profile)
        if found is None:
            narrow = band
        else:
            wide, best = band, found
    return best, wide


def _place(members: Members, split_: Assignments) -> float:
    """Return where between the least and the most the totals lie, all together."""
    cars = members.vehicles
    low, high = _final_levels(members)
    least, most = to_kwh(cars.least.sum()) + low.sum(), to_kwh(cars.most.sum()) + high.sum()
    taken = split_.vehicles.sum() + split_.storages.sum()
    return float((taken - least) / (most - least)) if float(most) > float(least) else 0.5


def _narrowed(members: Members, middle: float, half: float) -> Members:
    """Return members whose totals must lie within `half` of the place `middle`, as shares of their range."""
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    cars, storages = members.vehicles, members.storages
    room = (cars.most - cars.least).double()
    least = cars.least + (low * room).floor().long()
    most = torch.minimum(cars.least + (high * room).ceil().long(), cars.most)
    bottom, top = _final_levels(members)
    final = bottom + low * (top - bottom), bottom + high * (top - bottom)
    return replace(
        members,
        vehicles=replace(cars, least=least, most=most),
        storages=replace(storages, final_lower=final[0], final_upper=torch.maximum(*final)),
    )


def _final_levels(members: Members) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest level [n] kWh at which each storage can end."""
    able = steps(expand(members.storages, members.slots))
    low = high = torch.zeros_like(able.least[0])
    for slot in range(len(able.least)):
        low = torch.maximum(low + able.least[slot], able.floor[slot])
        high = torch.minimum(high + able.most[slot], able.ceiling[slot])
    return low, high
