"""Movables with a start that has been chosen: chains among the other chains, and back again."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.flexoffer.kinds import Assignments, Members
from totalflex_env.flexoffer.members import empty, join, placed


def settle(members: Members, start: Tensor) -> Members:
    """Return members with their movables as chains that begin in slots `start` [n] int64."""
    if not len(members.movables.offer):
        return members
    none = empty(members.slots)
    moved = replace(none, chains=placed(members.movables, start, members.slots))
    return join([replace(members, movables=none.movables), moved])


def unsettle(members: Members, settled: Members, assignments: Assignments, start: Tensor) -> Assignments:
    """Return assignments of settled members as assignments of the members that they were."""
    if not len(members.movables.offer):
        return assignments
    row = torch.searchsorted(settled.chains.offer, torch.cat([members.chains.offer, members.movables.offer]))
    chains, movables = assignments.chains[row].split([len(members.chains.offer), len(start)])
    offers = members.movables.offers
    position = torch.arange(offers.lower.shape[1])
    slot = (start[:, None] + position).clamp(max=members.slots - 1)
    inside = position < offers.slices[:, None]
    energies = torch.where(inside, movables.gather(1, slot), 0.0)
    return replace(assignments, chains=chains, movable_start=start, movables=energies)
