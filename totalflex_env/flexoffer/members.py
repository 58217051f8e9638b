"""Putting members together and apart, and the dense form of what is stored in few numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.batch import Record, concatenate_rows, take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.kinds import Boxes, Chains, Members, Movables, Programmes, Storages, Vehicles
from totalflex_env.flexoffer.offers import concatenate, levels
from totalflex_env.trade_types import FlexOfferBatch

Kind = Boxes | Vehicles | Storages | Chains | Programmes | Movables


def kinds(members: Members) -> tuple[Boxes, Vehicles, Storages, Chains, Programmes, Movables]:
    """Return the offers kind by kind."""
    return (
        members.boxes,
        members.vehicles,
        members.storages,
        members.chains,
        members.programmes,
        members.movables,
    )


def identities(members: Members) -> Tensor:
    """Return the identities [N] int64 of all members, kind by kind."""
    return torch.cat([kind.offer for kind in kinds(members)])


def empty(slots: int) -> Members:
    """Return no members on a grid of `slots` slots."""
    none, bounds = torch.zeros(0, dtype=torch.int64), torch.zeros(0, slots, dtype=torch.float64)
    off, float_, whole = none.bool(), bounds[:, 0], bounds.long()
    chains = Chains(none, none, off, bounds, bounds, bounds, bounds, float_, none, bounds)
    starts = Programmes(none, none, off, none, none, none, torch.zeros(0, 1, dtype=torch.int64))
    return Members(
        slots=slots,
        boxes=Boxes(none, none, off, whole, whole),
        vehicles=Vehicles(none, none, off, none, none, none, none, none, none),
        storages=Storages(none, none, off, none, none, float_, float_, float_, float_, float_, float_),
        chains=chains,
        programmes=starts,
        movables=Movables(none, none, off, _no_offers()),
    )


def join(parts: Sequence[Members]) -> Members:
    """Return the members of several parts as one, every kind in the order of the identities.

    An OfferError names the first identity that occurs twice; parts on grids of different length are refused too.
    """
    slots = parts[0].slots
    for part in parts:
        if part.slots != slots:
            raise OfferError("of a part", f"all parts lie on one grid of {slots} slots", part.slots)
    parts = [part for part in parts if len(identities(part))] or list(parts[:1])
    joined = Members(
        slots=slots,
        boxes=_in_order(concatenate_rows([part.boxes for part in parts])),
        vehicles=_in_order(concatenate_rows([part.vehicles for part in parts])),
        storages=_in_order(concatenate_rows([part.storages for part in parts])),
        chains=_ordered_chains(_join_chains([part.chains for part in parts])),
        programmes=_ordered_programmes(_join_programmes([part.programmes for part in parts])),
        movables=_narrow(_in_order(_join_movables([part.movables for part in parts]))),
    )
    require_unique(identities(joined))
    return joined


def select(members: Members, offer: Tensor) -> Members:
    """Return the members whose identities are among `offer` [m] int64; an OfferError names one that is not a member."""
    masks = [_among(kind.offer, offer) for kind in kinds(members)]
    if sum(int(mask.sum()) for mask in masks) < len(offer):
        missing = offer[~torch.isin(offer, identities(members))]
        if len(missing):
            raise OfferError(str(int(missing[0])), "only members can be selected or deleted", int(missing[0]))
    return _keep(members, masks)


def drop(members: Members, offer: Tensor) -> Members:
    """Return the members whose identities are not among `offer` [m] int64."""
    return _keep(members, [~_among(kind.offer, offer) for kind in kinds(members)])


def at_node(members: Members, node: int) -> Members:
    """Return the members at one node of the grid."""
    return _keep(members, [kind.node == node for kind in kinds(members)])


def expand(storages: Storages, slots: int) -> Chains:
    """Return storages of few numbers as chains of dense bounds [n, T]."""
    slot, bounds = torch.arange(slots), storages.charge[:, None]
    arrival, departure = storages.arrival[:, None], storages.departure[:, None]
    inside, last = (slot >= arrival) & (slot < departure), slot == departure - 1
    lower = torch.maximum(storages.level_lower, storages.final_lower)[:, None]
    upper = torch.minimum(storages.level_upper, storages.final_upper)[:, None]
    level_lower = torch.where(last, lower, storages.level_lower[:, None])
    level_upper = torch.where(last, upper, storages.level_upper[:, None])
    return lossless(
        storages,
        (torch.where(inside, -storages.discharge[:, None], 0.0), torch.where(inside, bounds, 0.0)),
        (torch.where(inside, level_lower, -torch.inf), torch.where(inside, level_upper, torch.inf)),
    )


def lossless(who: Kind, energy: tuple[Tensor, Tensor], level: tuple[Tensor, Tensor]) -> Chains:
    """Return chains without losses of the same offers, given bounds [n, T] kWh on energy and on cumulative energy."""
    return Chains(
        offer=who.offer,
        node=who.node,
        inner=who.inner,
        lower=energy[0],
        upper=energy[1],
        level_lower=level[0],
        level_upper=level[1],
        retention=energy[0].new_ones(len(who.offer)),
        profile=torch.zeros_like(who.offer),
        gains=energy[0].new_ones(1, energy[0].shape[1]),
    )


def placed(movables: Movables, start: Tensor, slots: int) -> Chains:
    """Return shiftable offers whose start [n] int64 is settled as chains on the grid."""
    offers = movables.offers
    low, high = levels(offers)
    return lossless(
        movables,
        (place(offers.lower, start, slots, 0.0), place(offers.upper, start, slots, 0.0)),
        (place(low, start, slots, -torch.inf), place(high, start, slots, torch.inf)),
    )


def take_chains(chains: Chains, index: Tensor) -> Chains:
    """Return the chains of rows `index` (int64 [m] or bool [n]); the gain profiles stay whole."""
    return replace(take_rows(replace(chains, gains=chains.offer), index), gains=chains.gains)


def take_programmes(programmes: Programmes, index: Tensor) -> Programmes:
    """Return the programmes of rows `index` (int64 [m] or bool [n]); the shapes stay whole."""
    return replace(take_rows(replace(programmes, shapes=programmes.offer), index), shapes=programmes.shapes)


def place(values: Tensor, start: Tensor, slots: int, elsewhere: float) -> Tensor:
    """Return values [n, W] per slice at their slots of the grid [n, T] for starts [n], `elsewhere` in other slots."""
    slot = (start[:, None] + torch.arange(values.shape[1])).clamp(max=slots)
    return values.new_full((len(values), slots + 1), elsewhere).scatter(1, slot, values)[:, :slots]


def distinct(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows [Z, ...] in ascending order and the row among them of each of the `rows` [n, ...]."""
    unique, index = torch.unique(rows, dim=0, return_inverse=True) if len(rows) else (rows, rows.new_zeros(0).long())
    return unique, index


def require_unique(offer: Tensor) -> None:
    """Raise an OfferError that names the first of identities [N] int64 that occurs twice."""
    if bool((offer.diff() > 0).all()):
        return
    ordered = offer.sort().values
    twice = ordered[1:][ordered.diff() == 0]
    if len(twice):
        raise OfferError(str(int(twice[0])), "identities are unique", int(twice[0]))


def _among(ordered: Tensor, offer: Tensor) -> Tensor:
    """Return which identities [n] in ascending order are among `offer` [m]: m searches, not n."""
    row = torch.searchsorted(ordered, offer).clamp(max=max(len(ordered) - 1, 0))
    found = row[ordered[row] == offer] if len(ordered) else row[:0]
    return torch.zeros(len(ordered), dtype=torch.bool).index_fill(0, found, True)


def _keep(members: Members, masks: Sequence[Tensor]) -> Members:
    boxes, vehicles, storages, chains, programmes, movables = masks
    return replace(
        members,
        boxes=take_rows(members.boxes, boxes),
        vehicles=take_rows(members.vehicles, vehicles),
        storages=take_rows(members.storages, storages),
        chains=_ordered_chains(members.chains, chains),
        programmes=_ordered_programmes(members.programmes, programmes),
        movables=_narrow(take_rows(members.movables, movables)),
    )


def _in_order(kind: Record) -> Record:
    offer: Tensor = vars(kind)["offer"]
    return kind if bool((offer.diff() > 0).all()) else take_rows(kind, offer.argsort(stable=True))


def _ordered_chains(chains: Chains, rows: Tensor | None = None) -> Chains:
    """Return chains, all or those of `rows`, by identity; gain profiles in use alone, in ascending order."""
    some = take_chains(chains, chains.offer.argsort(stable=True) if rows is None else rows)
    used, profile = some.profile.unique(return_inverse=True)
    gains, renumbered = distinct(some.gains[used])
    return replace(some, profile=renumbered[profile], gains=gains)


def _ordered_programmes(programmes: Programmes, rows: Tensor | None = None) -> Programmes:
    """Return programmes, all or those of `rows`, by identity; shapes in use alone, in ascending order."""
    some = take_programmes(programmes, programmes.offer.argsort(stable=True) if rows is None else rows)
    used, shape = some.shape.unique(return_inverse=True)
    shapes, renumbered = distinct(some.shapes[used])
    return replace(some, shape=renumbered[shape], shapes=shortened(shapes))


def shortened(shapes: Tensor) -> Tensor:
    """Return shapes [Z, S] without the slices, but one, behind the last energy of the longest."""
    used = (shapes != 0).any(0).nonzero()
    return shapes[:, : int(used.max()) + 1] if len(used) else shapes[:, :1]


def _join_chains(parts: Sequence[Chains]) -> Chains:
    bare = [replace(part, gains=part.offer, profile=part.profile + row) for part, row in _rows(parts, "gains")]
    return replace(concatenate_rows(bare), gains=torch.cat([part.gains for part in parts]))


def _join_programmes(parts: Sequence[Programmes]) -> Programmes:
    bare = [replace(part, shapes=part.offer, shape=part.shape + row) for part, row in _rows(parts, "shapes")]
    width = max(part.shapes.shape[1] for part in parts)
    shapes = [pad(part.shapes, (0, width - part.shapes.shape[1])) for part in parts]
    return replace(concatenate_rows(bare), shapes=torch.cat(shapes))


def _rows(parts: Sequence[Record], library: str) -> Iterator[tuple[Record, int]]:
    """Yield each part with the number of rows that the libraries of the parts before it hold."""
    row = 0
    for part in parts:
        yield part, row
        row += len(vars(part)[library])


def _join_movables(parts: Sequence[Movables]) -> Movables:
    some = [part for part in parts if len(part.offer)] or list(parts[:1])
    return Movables(
        torch.cat([part.offer for part in some]),
        torch.cat([part.node for part in some]),
        torch.cat([part.inner for part in some]),
        concatenate([part.offers for part in some]),
    )


def _narrow(movables: Movables) -> Movables:
    """Return the same offers with room for the longest profile among them, no more."""
    offers = movables.offers
    width = int(offers.slices.max()) if len(offers.slices) else 1
    bounds = ("lower", "upper", "level_lower", "level_upper", "default")
    return replace(movables, offers=replace(offers, **{name: vars(offers)[name][:, :width] for name in bounds}))


def _no_offers() -> FlexOfferBatch:
    """Return a batch of no offers, with room for profiles of one slice."""
    none, slice_ = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 1, dtype=torch.float64)
    money = slice_[:, 0]
    window = (none, none, none, none, none)
    bounds = (slice_, slice_, money, money, slice_, slice_)
    return FlexOfferBatch(*window, *bounds, none, slice_, money, none, none, none)
