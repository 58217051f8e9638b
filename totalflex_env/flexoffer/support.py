"""Questions to exact aggregates: the most worth at a price, the profile that has it, the energy in a set of slots.

The worth of a sum is the sum of the worths (support functions of Minkowski sums add up), so every kind answers for
itself: boxes slot by slot, total-energy offers by their window tables, programmes by their histogram, storages by
scans, movables one by one. All answers are attained: a profile that comes out is what the members can do together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.exact import LARGEST, ExactAggregate
from totalflex_env.flexoffer.kinds import UWH_PER_KWH, Assignments, Chains, Members, Movables, to_kwh
from totalflex_env.flexoffer.members import expand, take_chains
from totalflex_env.flexoffer.offers import load
from totalflex_env.flexoffer.respond import respond as respond_offers
from totalflex_env.flexoffer.scans import best_apart, best_together, extreme_energy, lossless_rows, steps
from totalflex_env.flexoffer.starts import best_starts, count_windows, start_load
from totalflex_env.flexoffer.windows import vehicle_response, window_bounds, window_response

CHUNK = 2048  # storages scanned side by side: their levels stay in the cache of a core


def support(aggregate: ExactAggregate, direction: Tensor) -> Tensor:
    """Return the most worth [R] EUR of a profile of the aggregate at directions [R, T] EUR/kWh.

    Equal to the optimum over all members one by one. The least cost at prices c is -support(aggregate, -c).
    """
    return (direction.double() * best(aggregate, direction)).sum(1)


def support_width(aggregate: ExactAggregate, prices: Tensor) -> Tensor:
    """Return the most less the least cost [R] EUR at prices [R, T]: what the flexibility is worth at most.

    Additive: the width of an aggregate is the sum of the widths of its members.
    """
    return support(aggregate, prices) + support(aggregate, -prices)


def respond(aggregate: ExactAggregate, prices: Tensor) -> Tensor:
    """Return the profile [R, T] kWh of the least cost at prices [R, T] EUR/kWh."""
    return best(aggregate, -prices)


def best(aggregate: ExactAggregate, direction: Tensor) -> Tensor:
    """Return the profile [R, T] kWh of the most worth at directions [R, T] EUR/kWh.

    Of two slots of equal worth the earlier is filled first, of two starts of equal worth the earlier is taken.
    """
    members, starts = aggregate.members, aggregate.starts
    direction = checked(direction, members.slots)
    profile = to_kwh(torch.where(direction > 0.0, aggregate.upper, aggregate.lower))
    if len(members.vehicles.offer):
        profile += window_response(aggregate.windows, direction)
    for row, directions in enumerate(direction if len(starts.count) else direction[:0]):
        chosen = best_starts(starts, directions[None])
        profile[row] += to_kwh(start_load(starts, chosen, members.slots)[0])
    for chains in chunks(members):
        profile += _best_storages(chains, direction)
    for row, directions in enumerate(direction if len(members.movables.offer) else direction[:0]):
        chosen, energy = best_movables(members.movables, directions)
        profile[row] += load(members.movables.offers, chosen, energy, members.slots).sum(0)
    return profile


def respond_members(members: Members, price: Tensor) -> Assignments:
    """Return the assignment of each member that costs least at `price` [T] EUR/kWh.

    Their sum is the response of the aggregate, slot for slot: a profile that is optimal at a price is disaggregated so.
    """
    direction = checked(-price[None], members.slots)[0]
    boxes = to_kwh(torch.where(direction > 0.0, members.boxes.upper, members.boxes.lower))
    counts = count_windows(members.programmes)
    start = torch.zeros_like(members.programmes.offer)
    if len(start):
        chosen = best_starts(counts, direction[None])[0]
        programmes = members.programmes
        key = programmes.shape * members.slots + programmes.earliest
        rows = (counts.shape * members.slots + counts.earliest) * members.slots + counts.latest
        start = chosen[torch.searchsorted(rows, key * members.slots + programmes.latest)]
    storages = [_best_each(part, direction) for part in _chunked_storages(members)]
    chains = [_best_each(part, direction) for part in _chunked_chains(members)]
    none = boxes.new_zeros(0, members.slots)
    movable_start, movables = best_movables(members.movables, direction)
    return Assignments(
        boxes=boxes,
        vehicles=to_kwh(vehicle_response(members.vehicles, direction)),
        storages=torch.cat([none, *storages]),
        chains=torch.cat([none, *chains]),
        programmes=start,
        movable_start=movable_start,
        movables=movables,
    )


def energy_bounds(aggregate: ExactAggregate, sets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [A] kWh that can be taken in sets of slots [A, T] bool.

    Exact, and additive over members. Sets of neighbouring slots give the deliverable energy of an interval. Together
    the two bounds of all sets describe an aggregate of boxes, total-energy offers and lossless storages completely.
    """
    members, sets = aggregate.members, checked(sets, aggregate.members.slots) > 0.0
    least, most = (to_kwh((sets * bound).sum(1)) for bound in (aggregate.lower, aggregate.upper))
    windows = window_bounds(aggregate.windows, sets)
    least, most = least + to_kwh(windows[0]), most + to_kwh(windows[1])
    rest = sets.double()
    for chains in chunks(members):
        plain = lossless_rows(chains)
        low, high = extreme_energy(steps(take_chains(chains, plain)), sets)
        leaky = take_chains(chains, ~plain)
        least, most = least + low, most + high
        if len(leaky.offer):
            least = least + (rest * _best_storages(leaky, -rest)).sum(1)
            most = most + (rest * _best_storages(leaky, rest)).sum(1)
    return least + _whole(aggregate, rest, -1.0), most + _whole(aggregate, rest, 1.0)


def checked(direction: Tensor, slots: int) -> Tensor:
    """Return directions or sets [R, T] as float64; an OfferError refuses another length or what is no number."""
    if direction.dim() != 2 or direction.shape[1] != slots:
        raise OfferError("aggregate", f"prices and sets have the shape [R, {slots}]", list(direction.shape))
    if not bool(direction.isfinite().all()):
        raise OfferError("aggregate", "prices are finite numbers", direction[~direction.isfinite()][0].item())
    return direction.double()


def checked_profile(profile: Tensor, slots: int) -> Tensor:
    """Return a profile [T] kWh as float64; an OfferError refuses another length, no number and more than all can take.

    Sums of energies stay below the latter (`exact.LARGEST`); beyond it nothing could be said about differences of kWh.
    """
    if profile.shape != (slots,):
        raise OfferError("aggregate", f"a profile has the shape [{slots}]", list(profile.shape))
    if not bool(profile.isfinite().all()):
        raise OfferError("aggregate", "the energies of a profile are finite numbers", profile.tolist())
    most = LARGEST / UWH_PER_KWH
    if bool((profile.abs() > most).any()):
        raise OfferError(
            "aggregate", f"the energies of a profile lie within {most:.1e} kWh", profile.abs().max().item()
        )
    return profile.double()


def chunks(members: Members) -> Iterator[Chains]:
    """Yield all storages, leaky or not, as chains in pieces that fit the cache."""
    yield from _chunked_storages(members)
    yield from _chunked_chains(members)


def _chunked_storages(members: Members) -> Iterator[Chains]:
    for index in torch.arange(len(members.storages.offer)).split(CHUNK):
        if len(index):
            yield expand(take_rows(members.storages, index), members.slots)


def _chunked_chains(members: Members) -> Iterator[Chains]:
    for index in torch.arange(len(members.chains.offer)).split(CHUNK):
        if len(index):
            yield take_chains(members.chains, index)


def _best_storages(chains: Chains, direction: Tensor) -> Tensor:
    """Return the profile [R, T] kWh of the most worth of some chains together at directions [R, T]."""
    able = steps(chains)
    return torch.stack([best_together(able, directions) for directions in direction])


def _best_each(chains: Chains, direction: Tensor) -> Tensor:
    """Return the energy [n, T] kWh of the most worth of each chain at a direction [T]."""
    return best_apart(steps(chains), direction[:, None].expand(-1, len(chains.offer))).T


def best_movables(movables: Movables, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [n] and energy [n, W] kWh of the most worth of each movable, whatever a shift is priced at."""
    offers = replace(movables.offers, price_shift=torch.zeros_like(movables.offers.price_shift))
    return respond_offers(offers, -direction)


def _whole(aggregate: ExactAggregate, sets: Tensor, sign: float) -> Tensor:
    """Return the most (sign 1) or least (sign -1) energy [A] kWh of programmes and movables in sets [A, T] float."""
    starts, movables = aggregate.starts, aggregate.members.movables
    energy = sets.new_zeros(len(sets))
    for row, inside in enumerate(sets if len(starts.count) + len(movables.offer) else sets[:0]):
        if len(starts.count):
            chosen = best_starts(starts, sign * inside[None])
            energy[row] += (inside * to_kwh(start_load(starts, chosen, len(inside))[0])).sum()
        chosen, energies = best_movables(movables, sign * inside)
        energy[row] += (inside * load(movables.offers, chosen, energies, len(inside)).sum(0)).sum()
    return energy
