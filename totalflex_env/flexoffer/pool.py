"""Aggregates that have been assigned, and what becomes of them when members are lost.

An assignment of an aggregate is a promise that its members keep together. When one of them is canceled the promise
stands but nobody keeps all of it: the aggregate is broken, nothing may be read from its assignments, until the others
have been assigned anew. What they cannot make up for is returned as an imbalance and never lost silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer import lifecycle
from totalflex_env.flexoffer.grouping import number
from totalflex_env.flexoffer.offers import levels, load, reach, require, tighten, used
from totalflex_env.flexoffer.start_alignment import StartAligned, align_groups, coupling, split
from totalflex_env.trade_types import FlexOfferBatch, OfferState


@dataclass(frozen=True)
class Pool:
    """G assigned aggregates, V slices long, and what their N members of W slices do for them."""

    aligned: StartAligned  # states of the aggregates and of the members among it
    start: Tensor  # [G] int64, slot
    energy: Tensor  # [G, V] kWh per slice, what was promised
    member_start: Tensor  # [N] int64, slot
    member_energy: Tensor  # [N, W] kWh per slice
    broken: Tensor  # [G] bool, has lost a member since its members were last assigned


def promise(aligned: StartAligned, start: Tensor, energy: Tensor, slot: int) -> Pool:
    """Return accepted aggregates assigned in `slot` to start [G] int64 and energy [G, V] kWh, and so their members.

    An assignment outside an aggregate, too late, in the past, or of an offer that is not accepted is an OfferError.
    """
    member_start, member_energy = split(aligned, start, energy)
    offers = lifecycle.assign(aligned.offers, _all(aligned.offers), start, energy, slot)
    members = lifecycle.assign(aligned.members, _all(aligned.members), member_start, member_energy, slot)
    aligned = replace(aligned, offers=offers, members=members)
    return Pool(aligned, start, energy, member_start, member_energy, torch.zeros_like(start, dtype=torch.bool))


def cancel(pool: Pool, index: Tensor, slot: int) -> Pool:
    """Return the pool with the members at `index` [n] int64 CANCELED, who take nothing from `slot` on.

    Their aggregates are broken; one that has lost every member is CANCELED itself, and nobody is left to mend it.
    """
    aligned = pool.aligned
    members = lifecycle.move(aligned.members, index, OfferState.CANCELED, slot)
    left = (members.state == OfferState.ASSIGNED).long()
    empty = torch.zeros_like(pool.start).index_add(0, aligned.group, left) == 0
    gone = empty & (aligned.offers.state == OfferState.ASSIGNED)
    offers = lifecycle.move(aligned.offers, gone, OfferState.CANCELED, slot)
    broken = pool.broken.index_fill(0, aligned.group[index], True) & ~empty
    kept = torch.where(_past(pool, index, slot), pool.member_energy[index], 0.0)
    energy = pool.member_energy.index_copy(0, index, kept)
    return replace(pool, aligned=replace(aligned, offers=offers, members=members), member_energy=energy, broken=broken)


def mend(pool: Pool, slot: int) -> Pool:
    """Return the pool with the members left in broken aggregates assigned anew, and what is missing [G, V] kWh.

    Starts stay and so do slices before `slot`; the rest moves towards what was promised, slice by slice as near as the
    members left can follow. `missing` tells what is still not kept.
    """
    aligned = pool.aligned
    left = aligned.members.state == OfferState.ASSIGNED
    index = (left & pool.broken[aligned.group]).nonzero()[:, 0]
    energy = pool.member_energy
    if len(index):
        now = _from_now_on(pool, index, slot)
        group = number(aligned.group[index])
        together = align_groups(now, group, torch.zeros_like(group, dtype=torch.bool), _coupled_groups(now, group))
        rows = aligned.group.new_zeros(len(together.offers.state)).scatter(0, group, aligned.group[index])
        wanted = _window(pool, rows, together.offers)
        _, some = split(together, together.offers.earliest, _nearest(together.offers, wanted))
        energy = energy.index_copy(0, index, some)
    return replace(pool, member_energy=energy, broken=torch.zeros_like(pool.broken))


def missing(pool: Pool) -> Tensor:
    """Return what was promised and the members do not deliver [G, V] kWh per slice of the aggregates."""
    group, width = pool.aligned.group.unsqueeze(1), pool.energy.shape[1]
    begin = (pool.member_start - pool.start[pool.aligned.group]).unsqueeze(1)
    column = (begin + _position(pool.member_energy)).clamp(max=width - 1)
    return pool.energy.index_put((group.expand_as(column), column), -pool.member_energy, accumulate=True)


def finish(pool: Pool, slot: int) -> Pool:
    """Return the pool with members and aggregates that have ended by `slot` EXECUTED; none of them may be broken."""
    aligned = pool.aligned
    ended = (pool.start + aligned.offers.slices <= slot) & (aligned.offers.state == OfferState.ASSIGNED)
    require("a broken aggregate is assigned anew before it ends", ~(pool.broken & ended), pool.start)
    done = (aligned.members.state == OfferState.ASSIGNED) & ended[aligned.group]
    offers = lifecycle.move(aligned.offers, ended, OfferState.EXECUTED, slot)
    members = lifecycle.move(aligned.members, done, OfferState.EXECUTED, slot)
    return replace(pool, aligned=replace(aligned, offers=offers, members=members))


def loads(pool: Pool, slots: int) -> Tensor:
    """Return what the members take [N, slots] kWh per slot; an OfferError while an aggregate is broken."""
    require("a broken aggregate is assigned anew before its members act", ~pool.broken, pool.start)
    return load(pool.aligned.members, pool.member_start, pool.member_energy, slots)


def _all(offers: FlexOfferBatch) -> Tensor:
    return torch.arange(len(offers.state), device=offers.state.device)


def _from_now_on(pool: Pool, index: Tensor, slot: int) -> FlexOfferBatch:
    """Return what the members at `index` [n] can still do: their start and past slices are fixed.

    Their default is their present assignment.
    """
    some, start, energy = take_rows(pool.aligned.members, index), pool.member_start[index], pool.member_energy[index]
    past = _past(pool, index, slot)
    fixed = replace(
        some,
        earliest=start,
        latest=start,
        default_start=start,
        default=energy,
        lower=torch.where(past, energy, some.lower),
        upper=torch.where(past, energy, some.upper),
    )
    return tighten(fixed)


def _coupled_groups(offers: FlexOfferBatch, group: Tensor) -> Tensor:
    """Return 1 [N] int64 for all offers with any range in groups where totals or levels of some bind."""
    binds = torch.zeros(int(group.max()) + 1, dtype=torch.int64, device=group.device).index_add(
        0, group, coupling(offers)
    )
    return ((binds[group] > 0) & (offers.upper - offers.lower > 0.0).any(1)).long()


def _window(pool: Pool, rows: Tensor, together: FlexOfferBatch) -> Tensor:
    """Return what aggregates `rows` [g] had promised in the slices of `together` [g, v], which may begin later."""
    begin = (together.earliest - pool.start[rows]).unsqueeze(1)
    column = begin + _position(together.lower)
    inside = used(together)
    return torch.where(inside, pool.energy[rows].gather(1, column.clamp(max=pool.energy.shape[1] - 1)), 0.0)


def _nearest(offers: FlexOfferBatch, energy: Tensor) -> Tensor:
    """Return energies [N, W] kWh cut, slice by slice, to what leaves the rest of an assignment possible."""
    least, greatest = reach(offers.lower, offers.upper, *levels(offers))
    level, cut = torch.zeros_like(offers.total_lower), []
    for k in range(energy.shape[1]):
        fewest = torch.maximum(offers.lower[:, k], least[:, k] - level)
        most = torch.minimum(offers.upper[:, k], greatest[:, k] - level)
        cut.append(torch.maximum(torch.minimum(energy[:, k], most), fewest))
        level = level + cut[-1]
    return torch.stack(cut, dim=1)


def _past(pool: Pool, index: Tensor, slot: int) -> Tensor:
    """Return which slices of the members at `index` [n] lie before `slot` [n, W] bool."""
    return pool.member_start[index].unsqueeze(1) + _position(pool.member_energy) < slot


def _position(energy: Tensor) -> Tensor:
    return torch.arange(energy.shape[1], device=energy.device)
