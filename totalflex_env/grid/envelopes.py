"""Operating envelopes: limits of power for each node within which everybody may do as he likes, and the grid holds.

Every node claims some import and some export (the fuse of its houses, or what they ask for). What the grid cannot carry
is shared out in one of two ways.

* "proportional": all receive the same share of their claim, the largest that holds.
* "max_min": from there on, whoever is not behind a full element goes on growing at the same rate, until the next is
  full (progressive filling; weighted max-min fairness, Bertsekas and Gallager, Data Networks, 1987, section 6.5.2). A
  voltage at its limit stops everybody, since every node moves every voltage. Nobody ends with less than by
  "proportional", but for the reserve below.

An envelope holds if it holds at its worst corners, solved by AC power flow. On a radial grid that feeds constant power,
voltages fall with every node's consumption. So the lowest voltages come with all nodes at their import limits, the
highest with all at their export limits. The current of an element grows with the power behind it in either direction,
and with sagging voltages all around: it is largest where the nodes behind it are at one of their limits, all the same
way, and the others at either of theirs. `test_envelopes.py` tries random points inside against the power flow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from totalflex_env.errors import GridError
from totalflex_env.grid import tree
from totalflex_env.grid_model import GridModel

Rule = Literal["proportional", "max_min"]

RESERVE = 0.01
"""Of a rating; left free by an element's own filling, so that others may grow a little without breaking it."""

_TRIED = 16  # levels looked at side by side
_ROUNDS = 4  # of looking closer: shares are exact to (1 / 16) ** 4


@dataclass(frozen=True)
class Envelope:
    """Limits of the net power of every node, at the reactive power that they were found for."""

    import_kw: Tensor  # [M] >= 0, most consumption
    export_kw: Tensor  # [M] >= 0, most production
    reactive_kvar: Tensor  # [M] consumption


@dataclass(frozen=True)
class _State:
    """How candidate envelopes fare at their worst corners."""

    loading: Tensor  # [R, E] the highest
    broken: Tensor  # [R] bool, a voltage outside its band or a corner without a power flow


def envelope(
    grid: GridModel, import_claim_kw: Tensor, export_claim_kw: Tensor, reactive_kvar: Tensor, rule: Rule = "max_min"
) -> Envelope:
    """Return the largest limits up to the claims [M] kW, all >= 0, that hold at reactive power [M] kvar by the rule.

    Imports are shared out first; they do not depend on exports. A grid that is outside its limits without any active
    power is a GridError, and so are claims that are not one number >= 0 per node.
    """
    for name, claim in (("import claim", import_claim_kw), ("export claim", export_claim_kw)):
        if claim.shape != (len(grid.node_names),) or not bool((claim >= 0.0).all() and claim.isfinite().all()):
            raise GridError(name, claim.tolist(), f"{len(grid.node_names)} numbers >= 0, one per node")
    none = torch.zeros_like(import_claim_kw)
    if not holds(grid, Envelope(none, none, reactive_kvar)):
        raise GridError("the grid without active power", "outside its limits", "inside, so that there is room to share")

    def importing(kw: Tensor) -> _State:
        return _at_corners(grid, kw, none[None], reactive_kvar)

    import_kw = _fill(grid, import_claim_kw, rule, importing)

    def exporting(kw: Tensor) -> _State:
        return _at_corners(grid, -kw, import_kw[None], reactive_kvar)

    return Envelope(import_kw, _fill(grid, export_claim_kw, rule, exporting), reactive_kvar)


def holds(grid: GridModel, limits: Envelope) -> bool:
    """Return whether every worst corner of the envelope has a power flow, inside all ratings and voltage bands."""
    high, low = limits.import_kw[None], -limits.export_kw[None]
    found = (_at_corners(grid, *sides, limits.reactive_kvar) for sides in ((high, low), (low, high)))
    return all(bool((state.loading <= 1.0).all() & ~state.broken.any()) for state in found)


def corners(grid: GridModel, one: Tensor, other: Tensor) -> Tensor:
    """Return the worst corners [R, 2 E + 1, M] kW of R envelopes for what happens at the limits `one` [R, M].

    All nodes at that limit; and for each element the nodes behind it there, with the rest at `other` [R or 1, M] or, as
    without imports to spare it, at nothing.
    """
    behind = grid.downstream > 0.0
    one, other = one[:, None], other[:, None]
    rest = (torch.where(behind, one, outside) for outside in (other, torch.zeros_like(other)))
    return torch.cat([one, *rest], dim=1)


def _fill(grid: GridModel, claim: Tensor, rule: Rule, state: Callable[[Tensor], _State]) -> Tensor:
    """Grow all shares alike from nothing, and stop those behind an element once it is full."""
    share, growing = torch.zeros_like(claim), claim > 0.0
    limit = torch.full_like(grid.rating_kva, 1.0 - RESERVE if rule == "max_min" else 1.0)
    while growing.any():
        levels, found = _climb(share, growing, claim, state, limit)
        share = torch.where(growing, levels, share)
        if found is None or rule == "proportional":
            break
        full = found.loading[0] > limit
        last = bool(found.broken[0] or (full & (limit == 1.0)).any())
        growing = growing & ~(torch.ones_like(growing) if last else (grid.downstream[full] > 0.0).any(0))
        limit = limit.masked_fill(full, 1.0)
    return share * claim


def _climb(
    share: Tensor, growing: Tensor, claim: Tensor, state: Callable[[Tensor], _State], limit: Tensor
) -> tuple[float, _State | None]:
    """The largest common share, up to 1, of those that grow, and what breaks just above it (None at 1)."""

    def tried(low: float, high: float, count: int) -> tuple[Tensor, _State]:
        levels = torch.linspace(low, high, count + 1, dtype=claim.dtype)[1:]
        return levels, state(torch.where(growing, levels[:, None], share) * claim)

    low, high = float(share.max()), 1.0
    found = tried(low, high, 1)[1]
    if not bool(found.broken[0] or (found.loading[0] > limit).any()):
        return 1.0, None
    for _ in range(_ROUNDS):
        levels, found = tried(low, high, _TRIED)
        broken = found.broken | (found.loading > limit).any(1)
        first = int(broken.int().argmax())  # the last level is known to break
        low, high = float(levels[first - 1]) if first > 0 else low, float(levels[first])
        found = _State(found.loading[first : first + 1], found.broken[first : first + 1])
    return low, found


def _at_corners(grid: GridModel, one: Tensor, other: Tensor, reactive_kvar: Tensor) -> _State:
    """How envelopes [R, M] fare at their worst corners for what happens at the limits `one`."""
    points = corners(grid, one, other)
    active = points.flatten(0, 1)
    flow = tree.solve(grid, active, reactive_kvar.expand_as(active))
    loading = flow.loading.unflatten(0, points.shape[:2])
    own = loading[:, 1:].unflatten(1, (2, -1)).diagonal(dim1=2, dim2=3)  # of the element that each corner is made for
    voltage = flow.voltage.unflatten(0, points.shape[:2])[:, 0]
    outside = ((voltage < grid.voltage_lower) | (voltage > grid.voltage_upper)).any(1)
    lost = ~flow.converged.unflatten(0, points.shape[:2]).all(1)
    return _State(torch.maximum(loading[:, 0], own.amax(1)), outside | lost)
