"""Members in parts that see the same limits, each ready to answer prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer import smooth_storages
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.kinds import Assignments, Members
from totalflex_env.flexoffer.members import identities, kinds, select, take_chains, take_programmes
from totalflex_env.flexoffer.settle import settle
from totalflex_env.flexoffer.smooth import Smooth, prepare

KINDS = ("boxes", "vehicles", "storages", "chains", "programmes", "movables")


@dataclass(frozen=True)
class Part:
    """Members behind the same limits."""

    aggregate: ExactAggregate
    sees: Tensor  # [1 + L] float64, 1 for the whole and for each limit that the members are behind, else 0
    start: Tensor  # [n] int64, chosen starts of the movables
    settled: Members  # the members with these starts
    ready: Smooth  # the settled members
    stored: Tensor | None = None  # [m, T] kWh of the settled storages and chains, where they are fixed; then in `ready`


def parts_of(aggregate: ExactAggregate, limits: Sequence[Tensor]) -> list[Part]:
    """Return the members part by part, their movables at the default start; `limits` are nodes [k] of each limit."""
    members = aggregate.members
    offer, node = identities(members), torch.cat([kind.node for kind in kinds(members)])
    behind = torch.stack([torch.ones_like(node, dtype=torch.bool), *(torch.isin(node, nodes) for nodes in limits)])
    if bool(behind.all()):
        return [_part(aggregate, behind[:, 0] if len(offer) else torch.ones(len(behind)))]
    patterns, pattern = torch.unique(behind, dim=1, return_inverse=True)
    chosen = [select(members, offer[pattern == number]) for number in range(patterns.shape[1])]
    return [_part(aggregate_exact(some), sees) for some, sees in zip(chosen, patterns.T)]


def restarted(part: Part, start: Tensor) -> Part:
    """Return the part with its movables settled at slots `start` [n] int64."""
    if bool((start == part.start).all()):
        return part
    settled = settle(part.aggregate.members, start)
    return replace(part, start=start, settled=settled, ready=prepare(settled))


def sampled(part: Part, most: int) -> Part:
    """Return the part with every k-th member of a kind standing for k, so that about `most` of each kind are left."""
    members = part.settled
    cars, programmes = members.vehicles, members.programmes
    stored = len(members.storages.offer) + len(members.chains.offer)
    steps = [max(1, -(-count // most)) for count in (stored, len(cars.offer), len(programmes.offer))]
    if max(steps) == 1:
        return part
    cars = take_rows(cars, torch.arange(0, len(cars.offer), steps[1]))
    programmes = take_programmes(programmes, torch.arange(0, len(programmes.offer), steps[2]))
    some = replace(
        members,
        vehicles=replace(cars, power=cars.power * steps[1], least=cars.least * steps[1], most=cars.most * steps[1]),
        storages=take_rows(members.storages, torch.arange(0, len(members.storages.offer), steps[0])),
        chains=take_chains(members.chains, torch.arange(0, len(members.chains.offer), steps[0])),
        programmes=replace(programmes, shapes=programmes.shapes * steps[2]),
    )
    return replace(part, ready=replace(prepare(some), weight=float(steps[0])))


def fixed(part: Part, price: Tensor, width: float) -> Part:
    """Return the part with its storages and chains fixed at their answer to a price [T]: the others answer fast."""
    energies = [smooth_storages.answer(able, price, width).energy for able in part.ready.storages]
    if not energies:
        return part
    stored = torch.cat(energies)
    load = stored.sum(0)
    ready = replace(part.ready, lower=part.ready.lower + load, upper=part.ready.upper + load, storages=())
    return replace(part, ready=ready, stored=stored)


def assemble(members: Members, parts: Sequence[Part], made: Sequence[Assignments]) -> Assignments:
    """Return assignments of the parts as assignments of all members."""
    if len(parts) == 1:
        return made[0]
    fields = {}
    for name in (*KINDS, "movable_start"):
        kind = "movables" if name == "movable_start" else name
        own: Tensor = vars(vars(members)[kind])["offer"]
        offers = torch.cat([vars(vars(part.aggregate.members)[kind])["offer"] for part in parts])
        width = max(vars(part)[name].shape[-1] for part in made)
        values = [_widened(vars(part)[name], width) for part in made]
        fields[name] = torch.cat(values)[offers.argsort()][torch.searchsorted(offers.sort().values, own)]
    return Assignments(**fields)


def _widened(values: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, width - values.shape[1])) if values.dim() == 2 else values


def _part(aggregate: ExactAggregate, sees: Tensor) -> Part:
    start = aggregate.members.movables.offers.default_start
    settled = settle(aggregate.members, start)
    return Part(aggregate, sees.double(), start, settled, prepare(settled))
