"""Does a profile lie in an exact aggregate? With a certificate whatever the answer.

Convex kinds alone have two answers. Starts, and powers in steps, are whole numbers: a profile may lie in the convex
hull of what the members can do without being something they can do. Then starts are sought by rounding, which keeps
Hall's condition, and what is left of the profile must lie in the convex kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

from totalflex_env.errors import OfferError, PhysicsError
from totalflex_env.flexoffer.dual import WIDTH
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.hull import Hull, locate
from totalflex_env.flexoffer.kinds import Members, to_kwh
from totalflex_env.flexoffer.members import empty, identities
from totalflex_env.flexoffer.nearest import nearest
from totalflex_env.flexoffer.settle import settle
from totalflex_env.flexoffer.smooth_starts import fractional_counts
from totalflex_env.flexoffer.starts import best_starts, counts_load, hall
from totalflex_env.flexoffer.stepped import has_steps, take_steps, within
from totalflex_env.flexoffer.support import best, best_movables, checked_profile, energy_bounds
from totalflex_env.flexoffer.whole import LEANINGS, whole_counts

NO_STARTS = torch.zeros(0, dtype=torch.int64)


class Answer(IntEnum):
    """Where a profile lies."""

    OUTSIDE = 0
    HULL = 1  # no price was found that keeps it out of the convex hull, and no whole numbers that make it
    INSIDE = 2


@dataclass(frozen=True)
class Membership:
    """An answer and what proves it."""

    answer: Answer
    distance: float  # kWh (Euclidean norm over the slots), at least so far outside
    price: Tensor  # [T] direction in which the profile is worth more than all of the aggregate; zero if not outside
    slots: Tensor  # [T] bool, set of slots in which the profile takes too much or too little; empty if there is none
    energy: float  # kWh of the profile in those slots
    bounds: tuple[float, float]  # kWh, the least and the most that the aggregate can take in those slots
    starts: Tensor  # [Z, T] int64 start counts of the programmes, shape by shape, if inside
    movable_start: Tensor  # [n] int64 starts of the movables, if inside


def contains(aggregate: ExactAggregate, profile: Tensor) -> Membership:
    """Return where a profile [T] kWh lies, up to 1e-6 kWh.

    OUTSIDE is proved by a price, and by a set of slots wherever the aggregate is a generalized polymatroid; INSIDE by
    starts and what the members take, with movables by a mixture of vertices. HULL says that no linear price can tell
    the profile from the inside, no more.
    """
    profile = checked_profile(profile, aggregate.members.slots)
    hull, price = _locate(aggregate, profile)
    if hull is None:
        return _undecided(aggregate)
    if not hull.inside:
        return _outside(aggregate, profile, hull)
    return _whole(aggregate, profile, hull, price)


def require_inside(membership: Membership) -> None:
    """Raise an OfferError with the certificate unless the profile lies inside."""
    if membership.answer == Answer.INSIDE:
        return
    if membership.answer == Answer.HULL:
        raise OfferError("aggregate", "whole numbers of starts and steps make the profile", "a profile of the hull")
    slots = membership.slots.nonzero()[:, 0].tolist()
    if slots:
        least, most = membership.bounds
        rule = f"slots {slots} together take from {least:.6f} to {most:.6f} kWh"
        raise OfferError("aggregate", rule, membership.energy)
    price = [round(value, 4) for value in membership.price.tolist()]
    rule = f"no profile is worth more than its support at price {price}"
    raise OfferError("aggregate", rule, f"a profile {membership.distance:.6f} kWh outside")


def _locate(aggregate: ExactAggregate, profile: Tensor) -> tuple[Hull | None, Tensor | None]:
    """Return where a profile lies in the hull, and the price [T] at which members share it, if that settled it.

    None stands for neither found nor proved to be outside. Movables have no such price: there the profile is sought as
    a mixture of vertices.
    """
    near = within(profile)
    if len(aggregate.members.movables.offer):
        return locate(lambda direction: best(aggregate, direction[None])[0], profile, near), None
    found = nearest(aggregate, profile, near)
    if found.distance > near and found.proved == 0.0:
        return None, None
    none = profile[None, :0], profile[:0]
    return Hull(found.distance <= near, *none, found.normal, found.proved), found.price


def _whole(aggregate: ExactAggregate, profile: Tensor, hull: Hull, price: Tensor | None) -> Membership:
    """Return the answer for a profile in the hull: a mixture of vertices, or what a price does."""
    members = aggregate.members
    if not (has_steps(aggregate) or len(members.programmes.offer) or len(members.movables.offer)):
        return _found(aggregate, Answer.INSIDE)
    if price is None:
        counts = _mixed_counts(aggregate, hull)
        if len(hull.weights) == 1:
            return _found(aggregate, Answer.INSIDE, counts.round().long(), _leaning(members, hull, 0.5))
        if has_steps(aggregate):
            return _found(aggregate, Answer.HULL)
    elif has_steps(aggregate):
        return _in_steps(aggregate, profile)
    else:
        counts = fractional_counts(aggregate.starts, price, WIDTH)
    return _started(aggregate, profile, counts, lambda lean: _leaning(members, hull, lean))


def _undecided(aggregate: ExactAggregate) -> Membership:
    """Return HULL where starts or steps are whole numbers, for there it promises nothing; else raise a PhysicsError."""
    if len(aggregate.members.programmes.offer) or has_steps(aggregate):
        return _found(aggregate, Answer.HULL)
    raise PhysicsError("neither was the profile reached within 1e-6 kWh nor does a price prove that it lies outside")


def _in_steps(aggregate: ExactAggregate, profile: Tensor) -> Membership:
    """Return INSIDE if the members without steps can take what whole steps of the others leave, else HULL."""
    _, others, left = take_steps(aggregate, profile)
    if len(identities(others.members)):
        rest = contains(others, left)
    else:
        rest = _found(others, Answer.INSIDE if float(left.norm()) <= within(profile) else Answer.HULL)
    return rest if rest.answer == Answer.INSIDE else _found(aggregate, Answer.HULL)


def _started(
    aggregate: ExactAggregate, profile: Tensor, counts: Tensor, movable_start: Callable[[float], Tensor]
) -> Membership:
    """Return INSIDE if whole starts near counts [Z, T] leave what the convex members can make, else HULL."""
    for starts, lean in zip(whole_counts(counts), LEANINGS):
        begin = movable_start(lean)
        convex = settle(replace(aggregate.members, programmes=empty(aggregate.members.slots).programmes), begin)
        left = profile - to_kwh(counts_load(aggregate.starts, starts))
        rest = _locate(aggregate_exact(convex), left)[0] if bool(hall(aggregate.starts, starts).all()) else None
        if rest is not None and rest.inside:
            return _found(aggregate, Answer.INSIDE, starts, begin)
    return _found(aggregate, Answer.HULL)


def _outside(aggregate: ExactAggregate, profile: Tensor, hull: Hull) -> Membership:
    """Return the certificate: of the slots above and below each value of the normal the set that is missed most.

    Greedy optimality makes normal @ profile - support the weighted sum of how far those sets are missed, so that for a
    generalized polymatroid one of them is.
    """
    normal, slots = hull.normal, aggregate.members.slots
    above, below = normal >= normal[:, None], normal <= normal[:, None]
    sets = torch.cat([above[normal > 0.0], below[normal < 0.0]])
    energy = (sets * profile).sum(1)
    least, most = energy_bounds(aggregate, sets)
    missed = torch.maximum(energy - most, least - energy)
    worst = int(missed.argmax())
    proved = bool(missed[worst] > 0.0)
    return Membership(
        answer=Answer.OUTSIDE,
        distance=hull.distance,
        price=normal,
        slots=sets[worst] if proved else torch.zeros(slots, dtype=torch.bool),
        energy=float(energy[worst]) if proved else 0.0,
        bounds=(float(least[worst]), float(most[worst])) if proved else (0.0, 0.0),
        starts=torch.zeros(0, slots).long(),
        movable_start=torch.zeros(0).long(),
    )


def _found(
    aggregate: ExactAggregate, answer: Answer, starts: Tensor | None = None, movable_start: Tensor = NO_STARTS
) -> Membership:
    none = torch.zeros(aggregate.members.slots, dtype=torch.float64)
    starts = none[None, :].long()[:0] if starts is None else starts
    return Membership(answer, 0.0, none, none.bool(), 0.0, (0.0, 0.0), starts, movable_start)


def _mixed_counts(aggregate: ExactAggregate, hull: Hull) -> Tensor:
    """Return the start counts [Z, T] float64 of a mixture of vertices."""
    counts, slots = aggregate.starts, aggregate.members.slots
    mixed = torch.zeros(len(counts.shapes) * slots, dtype=torch.float64)
    for direction, weight in zip(hull.directions if len(counts.count) else (), hull.weights):
        chosen = best_starts(counts, direction[None])[0]
        mixed.index_add_(0, counts.shape * slots + chosen, weight * counts.count)
    return mixed.view(len(counts.shapes), slots)


def _leaning(members: Members, hull: Hull, lean: float) -> Tensor:
    """Return the start [n] int64 of each movable where its shares over the starts of the mixture add up to `lean`."""
    if not len(members.movables.offer):
        return NO_STARTS
    choices = torch.stack([best_movables(members.movables, direction)[0] for direction in hull.directions])
    start, order = choices.sort(dim=0)
    reached = hull.weights[order].cumsum(0) >= lean
    return start.gather(0, reached.long().argmax(0, keepdim=True))[0]
