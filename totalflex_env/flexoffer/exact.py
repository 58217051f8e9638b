"""Exact aggregates: members, and the sums that stand for them whatever their number.

What adds up is kept added up, in integers, so that inserting and deleting are exact inverses: bounds of boxes, window
tables of total-energy offers, start counts of programmes. Storages keep their numbers; questions to them are answered
by scans. An aggregate of aggregates is the aggregate of all members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.kinds import UWH_PER_KWH, Boxes, Exactness, Members
from totalflex_env.flexoffer.members import at_node, drop, identities, join, kinds, select
from totalflex_env.flexoffer.starts import StartCounts, count_windows, merge_counts
from totalflex_env.flexoffer.windows import WindowTables, add_vehicles, merge_windows, no_windows

LARGEST = 2.0**62  # uWh = 4.6 TWh, half of what int64 holds


@dataclass(frozen=True)
class ExactAggregate:
    """Members and their sums."""

    members: Members
    lower: Tensor  # [T] int64 uWh, sum of the boxes
    upper: Tensor  # [T] int64 uWh
    windows: WindowTables  # of the total-energy offers
    starts: StartCounts  # of the programmes; `starts.shapes` are `members.programmes.shapes`
    exactness: Exactness  # INNER as soon as one member holds less than its device or is a movable


def aggregate_exact(members: Members) -> ExactAggregate:
    """Return the exact aggregate of members.

    An OfferError refuses two members of one identity, and sums of energies that int64 could not hold.
    """
    members = join([members])
    _require_small(members)
    return _aggregate(
        members,
        (members.boxes.lower.sum(0), members.boxes.upper.sum(0)),
        add_vehicles(no_windows(members.slots), members.vehicles),
        count_windows(members.programmes),
    )


def merge(aggregates: Sequence[ExactAggregate]) -> ExactAggregate:
    """Return the aggregate of all members of one or more aggregates: sums are added, never built again."""
    return _aggregate(
        join([part.members for part in aggregates]),
        (torch.stack([p.lower for p in aggregates]).sum(0), torch.stack([p.upper for p in aggregates]).sum(0)),
        merge_windows([part.windows for part in aggregates]),
        merge_counts([(part.starts, 1) for part in aggregates]),
    )


def insert(aggregate: ExactAggregate, members: Members) -> ExactAggregate:
    """Return the aggregate with more members; an identity that it has already is an OfferError."""
    return _change(aggregate, join([aggregate.members, members]), join([members]), 1)


def delete(aggregate: ExactAggregate, offer: Tensor) -> ExactAggregate:
    """Return the aggregate without the members of identities `offer` [m] int64; an unknown one is an OfferError."""
    return _change(aggregate, drop(aggregate.members, offer), select(aggregate.members, offer), -1)


def by_node(members: Members) -> dict[int, ExactAggregate]:
    """Return the aggregate of the members at each node of the grid that has any, by number of the node."""
    nodes = torch.cat([kind.node for kind in kinds(members)]).unique().tolist()
    return {node: aggregate_exact(at_node(members, node)) for node in nodes}


def subtrees(members: Members, parent: Sequence[int]) -> list[ExactAggregate]:
    """Return for each node of a radial grid the aggregate of the members at it and below it.

    `parent` holds the number of the parent of each node, -1 for a root. An OfferError names a member at no node.
    """
    nodes, offer = torch.cat([kind.node for kind in kinds(members)]), identities(members)
    outside = ((nodes < 0) | (nodes >= len(parent))).nonzero()[:, 0]
    if len(outside):
        first = int(outside[0])
        raise OfferError(str(int(offer[first])), f"its node is one of 0 to {len(parent) - 1}", int(nodes[first]))
    own = [aggregate_exact(at_node(members, node)) for node in range(len(parent))]
    below: list[list[int]] = [[node] for node in range(len(parent))]
    for node in range(len(parent)):
        above, steps = parent[node], 0
        while above >= 0:
            below[above].append(node)
            above, steps = parent[above], steps + 1
            if steps > len(parent):
                raise OfferError(str(node), "the parents of a node lead to a root", list(parent))
    return [merge([own[node] for node in part]) for part in below]


def _require_small(members: Members) -> None:
    """Raise an OfferError if the integers of some members could add up beyond what int64 holds."""
    boxes, vehicles, programmes = members.boxes, members.vehicles, members.programmes
    width = (vehicles.departure - vehicles.arrival).double()
    shape = programmes.shapes.double().abs().sum(1)[programmes.shape]
    energies = [boxes.lower.double().abs().sum(), boxes.upper.double().abs().sum(), (vehicles.power * width).sum()]
    energy = float(torch.stack([*energies, shape.sum()]).max())
    if energy > LARGEST:
        raise OfferError(
            "aggregate", f"energies add up to at most {LARGEST / UWH_PER_KWH:.1e} kWh", energy / UWH_PER_KWH
        )


def _change(aggregate: ExactAggregate, members: Members, changed: Members, sign: int) -> ExactAggregate:
    boxes: Boxes = changed.boxes
    return _aggregate(
        members,
        (aggregate.lower + sign * boxes.lower.sum(0), aggregate.upper + sign * boxes.upper.sum(0)),
        add_vehicles(aggregate.windows, changed.vehicles, sign),
        merge_counts([(aggregate.starts, 1), (count_windows(changed.programmes), sign)]),
    )


def _aggregate(
    members: Members, boxes: tuple[Tensor, Tensor], windows: WindowTables, starts: StartCounts
) -> ExactAggregate:
    inner = any(bool(kind.inner.any()) for kind in kinds(members)) or len(members.movables.offer) > 0
    return ExactAggregate(members, *boxes, windows, starts, Exactness.INNER if inner else Exactness.EXACT)
