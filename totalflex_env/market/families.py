"""Orders that depend on each other: exclusive groups, and children that need their parent.

An order is in a group or linked, never both (`admission` rejects it); links form trees. Given what each order would
cost if it were accepted, the cheapest choice of a family is found exactly: the best of a group, or from the leaves of a
tree to its root, where a child is taken only if it lowers the cost itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.market.book import FlexOrders


@dataclass(frozen=True)
class Families:
    """Who belongs together; numbers of orders are rows of the book, not ids."""

    head: Tensor  # [N] int64, the order that stands for the family: itself if it is alone
    group: Tensor  # [N] int64, 0 ... G - 1, or -1
    groups: int  # G
    parent: Tensor  # [N] int64, or -1
    levels: tuple[Tensor, ...]  # of linked orders, the deepest first, each [n] int64; roots are last
    must_run: Tensor  # [N] bool


def families(orders: FlexOrders) -> Families:
    """Return the families of admitted orders."""
    count = len(orders.id)
    own = torch.arange(count)
    named, group = orders.group.unique(return_inverse=True)
    grouped = orders.group >= 0
    offset = int((named < 0).sum())
    group = torch.where(grouped, group - offset, -1)
    sorted_id, row = orders.id.sort()
    at = torch.searchsorted(sorted_id, orders.parent.clamp(min=0)).clamp(max=max(count - 1, 0))
    parent = torch.where(orders.parent >= 0, row[at], -1) if count else orders.parent
    groups = len(named) - offset
    first = torch.full((groups + 1,), count).scatter_reduce(0, torch.where(grouped, group, groups), own, "amin")
    head = torch.where(grouped, first[group], own)
    depth = torch.zeros_like(own)
    above = parent.clone()
    while bool((above >= 0).any()):
        linked = above >= 0
        head = torch.where(linked, above, head)
        depth += linked
        above = torch.where(linked, parent[above.clamp(min=0)], above)
    involved = torch.zeros(count, dtype=torch.bool)
    involved[parent[parent >= 0]] = True
    involved |= parent >= 0
    deepest = int(depth.max()) if count else 0
    levels = tuple(((depth == d) & involved).nonzero()[:, 0] for d in range(deepest, -1, -1)) if deepest else ()
    return Families(head, group, groups, parent, levels, orders.must_run)


def best_choice(family: Families, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least cost [N] EUR of each family, at its head, and who is accepted for it [N] bool.

    `cost` [N] EUR is that of each order accepted; not being accepted costs nothing. A tie is left unaccepted.
    """
    free = family.group < 0
    accepted = free & (family.must_run | (cost < 0.0))
    total = torch.where(accepted, cost, 0.0)
    if family.groups:
        total, accepted = _best_of_groups(family, cost, total, accepted)
    if family.levels:
        total, accepted = _best_of_trees(family, cost, total, accepted)
    return total, accepted


def subtree_cost(family: Families, cost: Tensor) -> Tensor:
    """Return the cost [N] EUR of accepting each linked order with its best descendants; its own cost if it has none."""
    best = cost.clone()
    for level in family.levels[:-1]:
        children = level[(best[level] < 0.0) | family.must_run[level]]
        best = best.index_add(0, family.parent[children], best[children])
    return best


def _best_of_groups(family: Families, cost: Tensor, total: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    grouped = (family.group >= 0).nonzero()[:, 0]
    group = family.group[grouped]
    far = torch.full((family.groups,), torch.inf, dtype=cost.dtype)
    least = far.scatter_reduce(0, group, cost[grouped], "amin")
    number = torch.where(cost[grouped] <= least[group], grouped, len(cost))
    best = torch.full((family.groups,), len(cost)).scatter_reduce(0, group, number, "amin")
    taken = family.must_run[best] | (least < 0.0)
    total = total.index_put((family.head[best],), torch.where(taken, least, 0.0))
    return total, accepted.index_fill(0, best[taken], True)


def _best_of_trees(family: Families, cost: Tensor, total: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    best = subtree_cost(family, cost)
    wanted = family.must_run | (best < 0.0)
    for level in reversed(family.levels):
        parent = family.parent[level]
        allowed = (parent < 0) | accepted[parent.clamp(min=0)]
        accepted = accepted.index_put((level,), wanted[level] & allowed)
        total = total.index_put((level,), torch.zeros_like(best[level]))
    roots = family.levels[-1]
    return total.index_put((roots,), torch.where(accepted[roots], best[roots], 0.0)), accepted
