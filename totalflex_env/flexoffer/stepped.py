"""Offers whose power comes in steps: their whole steps first, and what they leave of a profile for the others."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.dual import NEAR, WIDTH
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.nearest import nearest
from totalflex_env.flexoffer.smooth_vehicles import assign, fleet
from totalflex_env.flexoffer.whole import whole_steps


def within(profile: Tensor) -> float:
    """Return how far outside a profile [T] kWh may lie and still count as inside (Euclidean norm, kWh)."""
    return max(NEAR, 1e-10 * float(profile.norm()))


def has_steps(aggregate: ExactAggregate) -> bool:
    """Return whether any member takes power in steps."""
    return bool((aggregate.members.vehicles.quantum > 0).any())


def take_steps(aggregate: ExactAggregate, profile: Tensor) -> tuple[Tensor, ExactAggregate, Tensor]:
    """Return energies [m, T] kWh of the m members with steps, the others, and the profile [T] kWh left for these.

    The profile lies in the convex hull. All members share it as if there were no steps, then those with steps are
    rounded: the others have to make up for that.
    """
    members = aggregate.members
    stepped = members.vehicles.quantum > 0
    some = take_rows(members.vehicles, stepped)
    price = nearest(aggregate, profile, within(profile)).price
    energies = whole_steps(some, assign(fleet(some, members.slots), price, WIDTH))
    others = replace(members, vehicles=take_rows(members.vehicles, ~stepped))
    return energies, aggregate_exact(others), profile - energies.sum(0)


def merged(vehicles: Tensor, energies: Tensor, stepped: Tensor) -> Tensor:
    """Return the energies [n, T] kWh of all total-energy offers, given those with and those without steps [n] bool."""
    whole = torch.empty(len(stepped), energies.shape[1], dtype=energies.dtype)
    whole[stepped], whole[~stepped] = energies, vehicles
    return whole
