"""A profile of an exact aggregate as assignments of its members, whatever their kinds.

Starts are whole numbers and come first, from the proof that the profile lies in the aggregate. The rest is convex: the
members split it so that all use alike shares of their power, as far as their totals and levels allow, which is the
optimum of a strictly convex cost. Its dual has one price per slot; where the members' answers to a price add up to the
profile, these answers are the assignments. Powers in steps are rounded, and the others make up for it. A profile
without such a price lies outside and is refused with the certificate of `membership`, never repaired.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.errors import PhysicsError
from totalflex_env.flexoffer import smooth
from totalflex_env.flexoffer.dual import NEAR, WIDTH, sharing_price
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.hull import locate
from totalflex_env.flexoffer.kinds import Assignments, Members, to_kwh
from totalflex_env.flexoffer.members import empty, identities
from totalflex_env.flexoffer.membership import contains, require_inside
from totalflex_env.flexoffer.offers import load
from totalflex_env.flexoffer.settle import settle, unsettle
from totalflex_env.flexoffer.smooth_starts import fractional_counts
from totalflex_env.flexoffer.starts import assign_starts, count_windows, counts_load
from totalflex_env.flexoffer.stepped import has_steps, merged, take_steps
from totalflex_env.flexoffer.support import best, checked_profile, respond_members
from totalflex_env.flexoffer.whole import whole_counts

ROUNDS = 4  # of asking again for what rounding misses


def disaggregate(aggregate: ExactAggregate, profile: Tensor) -> Assignments:
    """Return assignments of all members that add up to a profile [T] kWh within 1e-6 kWh in every slot.

    Every assignment is valid for its member. An OfferError refuses a profile outside the aggregate and says why.
    """
    members = aggregate.members
    profile = checked_profile(profile, members.slots)
    if has_steps(aggregate):
        return _stepped(aggregate, profile)
    if not len(members.programmes.offer) and not len(members.movables.offer):
        found = split(members, profile)
    else:
        found = _rounded(members, profile) if not len(members.movables.offer) else None
        found = _proved(aggregate, profile) if found is None else found
    if found is None:
        require_inside(contains(aggregate, profile))
        return _mixed(aggregate, profile)
    return found


def total_load(members: Members, assignments: Assignments) -> Tensor:
    """Return the sum [T] kWh per slot of one assignment of each member."""
    convex = (assignments.boxes, assignments.vehicles, assignments.storages, assignments.chains)
    total = torch.stack([energies.sum(0) for energies in convex]).sum(0)
    slots, programmes = members.slots, members.programmes
    if len(programmes.offer):
        started = total.new_zeros(len(programmes.shapes), slots, dtype=torch.int64)
        cells = programmes.shape * slots + assignments.programmes
        started.view(-1).index_add_(0, cells, torch.ones_like(cells))
        total = total + to_kwh(counts_load(count_windows(programmes), started))
    if len(members.movables.offer):
        total = total + load(members.movables.offers, assignments.movable_start, assignments.movables, slots).sum(0)
    return total


def split(members: Members, profile: Tensor) -> Assignments | None:
    """Return how convex members split a profile [T] kWh, None if no price makes them.

    Sums over a million members round; what they miss is asked for on top.
    """
    ready, wanted, price = smooth.prepare(members), profile, torch.zeros_like(profile)
    for _ in range(ROUNDS):
        price, met = sharing_price(ready, wanted, price)
        if not met:
            return None
        made = smooth.assignments(members, ready, price, WIDTH)
        missed = profile - total_load(members, made)
        if float(missed.abs().max()) <= NEAR:
            return made
        wanted = wanted + missed
    return None


def _rounded(members: Members, profile: Tensor) -> Assignments | None:
    """Return a split with the starts of programmes rounded from the smooth optimum, None if the rest has none."""
    ready = smooth.prepare(members)
    price, met = sharing_price(ready, profile)
    if not met:
        return None
    for starts in whole_counts(fractional_counts(ready.starts, price, WIDTH)):
        found = _settled(members, profile, starts, torch.zeros(0, dtype=torch.int64))
        if found is not None:
            return found
    return None


def _proved(aggregate: ExactAggregate, profile: Tensor) -> Assignments | None:
    """Return a split with the starts that prove that the profile lies in the aggregate."""
    membership = contains(aggregate, profile)
    require_inside(membership)
    return _settled(aggregate.members, profile, membership.starts, membership.movable_start)


def _settled(members: Members, profile: Tensor, starts: Tensor, movable_start: Tensor) -> Assignments | None:
    """Return a split for start counts [Z, T] of the programmes and starts [n] of the movables."""
    slots, counts = members.slots, count_windows(members.programmes)
    chosen = assign_starts(members.programmes, starts)
    if chosen is None:
        return None
    convex = settle(replace(members, programmes=empty(slots).programmes), movable_start)
    made = split(convex, profile - to_kwh(counts_load(counts, starts)))
    return None if made is None else replace(unsettle(members, convex, made, movable_start), programmes=chosen)


def _stepped(aggregate: ExactAggregate, profile: Tensor) -> Assignments:
    """Return a split in which powers in steps are whole, and the others make up for the rounding."""
    members = aggregate.members
    require_inside(contains(aggregate, profile))
    if len(members.movables.offer):  # then only vertices are known to be inside
        hull = locate(lambda direction: best(aggregate, direction[None])[0], profile, NEAR)
        return respond_members(members, -hull.directions[0])
    energies, others, left = take_steps(aggregate, profile)
    if len(identities(others.members)):
        made = disaggregate(others, left)
    else:
        made = respond_members(others.members, left)
    return replace(made, vehicles=merged(made.vehicles, energies, members.vehicles.quantum > 0))


def _mixed(aggregate: ExactAggregate, profile: Tensor) -> Assignments:
    """Return the mixture of vertices that proves that convex members can make the profile: slower, and always there."""
    if len(aggregate.members.programmes.offer) + len(aggregate.members.movables.offer):
        raise PhysicsError("the profile lies in the aggregate, but its members found no split within 1e-6 kWh")
    hull = locate(lambda direction: best(aggregate, direction[None])[0], profile, 0.5 * NEAR)
    parts = [respond_members(aggregate.members, -direction) for direction in hull.directions]

    def mixed(name: str) -> Tensor:
        return torch.stack([weight * vars(part)[name] for weight, part in zip(hull.weights, parts)]).sum(0)

    energies = {name: mixed(name) for name in ("boxes", "vehicles", "storages", "chains")}
    return replace(parts[0], **energies)
