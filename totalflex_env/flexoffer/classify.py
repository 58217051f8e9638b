"""From the public batch of flex-offers to the kinds that exact aggregation knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows, to
from totalflex_env.flexoffer.kinds import Boxes, Chains, Members, Movables, Programmes, Vehicles, to_uwh
from totalflex_env.flexoffer.members import distinct, empty, join, place, placed
from totalflex_env.flexoffer.offers import levels, reach, require, tighten, tolerance, validate
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class _Some:
    """Offers of one kind."""

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    offers: FlexOfferBatch  # [n], tightened


def classify(
    offers: FlexOfferBatch,
    slots: int | None = None,
    offer: Tensor | None = None,
    node: Tensor | None = None,
    inner: Tensor | None = None,
) -> Members:
    """Return the offers as members, each of the first kind that holds it without loss.

    A fixed start makes a box if no total or level binds, a total-energy offer if a total alone binds and the power is
    constant in a window, else a chain. A start that can move makes a programme if every slice is fixed, else a movable.

    `slots` is the length of the grid, by default up to the last possible end. `offer` [N] int64 are identities, by
    default 0 to N - 1, `node` [N] int64 nodes of the grid, `inner` [N] bool marks offers that hold less than their
    device. An OfferError names the first offer that breaks a rule, ends after the grid or shares an identity.
    """
    validate(offers)
    offers = tighten(to(offers, torch.float64))
    count, ends = len(offers.earliest), offers.latest + offers.slices
    slots = slots if slots is not None else int(ends.max()) if count else 1
    require(f"the profile ends by slot {slots}, the end of the grid", ends <= slots, ends)
    moves, fixed = offers.latest > offers.earliest, (offers.upper - offers.lower <= tolerance(offers.lower)).all(1)
    box, vehicle = ~moves & ~_coupled(offers), ~moves & _coupled(offers) & _total_alone(offers) & _constant(offers)
    every = _Some(
        torch.arange(count) if offer is None else offer,
        torch.full((count,), -1) if node is None else node,
        torch.zeros(count, dtype=torch.bool) if inner is None else inner,
        offers,
    )
    members = replace(
        empty(slots),
        boxes=_boxes(take_rows(every, box), slots),
        vehicles=_vehicles(take_rows(every, vehicle)),
        chains=_chains(take_rows(every, ~moves & ~box & ~vehicle), slots),
        programmes=_programmes(take_rows(every, moves & fixed)),
        movables=_movables(take_rows(every, moves & ~fixed)),
    )
    return join([members])


def _coupled(offers: FlexOfferBatch) -> Tensor:
    """Return whose totals or levels forbid energies within the slice bounds [N] bool."""
    low, high = levels(offers)
    slack = tolerance(offers.lower)
    return ((offers.lower.cumsum(1) < low - slack) | (offers.upper.cumsum(1) > high + slack)).any(1)


def _total_alone(offers: FlexOfferBatch) -> Tensor:
    """Return whose levels forbid nothing that slices and totals allow [N] bool."""
    unbounded, slack = torch.full_like(offers.lower, torch.inf), tolerance(offers.lower)
    alone = replace(offers, level_lower=-unbounded, level_upper=unbounded)
    least, greatest = reach(offers.lower, offers.upper, *levels(alone))
    return ((offers.level_lower <= least + slack) & (offers.level_upper >= greatest - slack)).all(1)


def _constant(offers: FlexOfferBatch) -> Tensor:
    """Return who takes anything from 0 to one constant power in neighbouring slots, but for the totals [N] bool.

    Tightened bounds are recognised: a total that needs every slot raises all lower bounds alike.
    """
    slack = tolerance(offers.lower)
    arrival, departure = _window(offers)
    slice_ = torch.arange(offers.lower.shape[1])
    inside = (slice_ >= arrival[:, None]) & (slice_ < departure[:, None])
    power = offers.upper.amax(1, keepdim=True)
    least = (offers.total_lower[:, None] - (departure - arrival - 1)[:, None] * power).clamp(min=0.0)
    upper = torch.where(inside, (offers.upper - power).abs(), offers.upper.abs())
    lower = torch.where(inside, (offers.lower - least).abs(), offers.lower.abs())
    return (torch.maximum(upper, lower) <= slack).all(1) & (power[:, 0] > slack)


def _window(offers: FlexOfferBatch) -> tuple[Tensor, Tensor]:
    """Return the first slice [N] with a positive upper bound and the first after the last such slice [N]."""
    slice_ = torch.arange(offers.lower.shape[1])
    taking = offers.upper > tolerance(offers.lower)
    first = torch.where(taking, slice_, len(slice_)).amin(1)
    return first, torch.where(taking, slice_ + 1, 0).amax(1)


def _boxes(some: _Some, slots: int) -> Boxes:
    start = some.offers.earliest
    lower, upper = (place(bound, start, slots, 0.0) for bound in (some.offers.lower, some.offers.upper))
    return Boxes(some.offer, some.node, some.inner, to_uwh(torch.minimum(lower, upper)), to_uwh(upper))


def _vehicles(some: _Some) -> Vehicles:
    arrival, departure = _window(some.offers)
    power = to_uwh(some.offers.upper.amax(1))
    most = torch.minimum(to_uwh(some.offers.total_upper), power * (departure - arrival))
    return Vehicles(
        offer=some.offer,
        node=some.node,
        inner=some.inner,
        arrival=some.offers.earliest + arrival,
        departure=some.offers.earliest + departure,
        power=power,
        least=torch.minimum(to_uwh(some.offers.total_lower), most).clamp(min=0),
        most=most,
        quantum=torch.zeros_like(power),
    )


def _chains(some: _Some, slots: int) -> Chains:
    return placed(_movables(some), some.offers.earliest, slots)


def _programmes(some: _Some) -> Programmes:
    shapes, shape = distinct(to_uwh(some.offers.upper))
    return Programmes(some.offer, some.node, some.inner, some.offers.earliest, some.offers.latest, shape, shapes)


def _movables(some: _Some) -> Movables:
    return Movables(some.offer, some.node, some.inner, some.offers)
