"""The best use of an exact aggregate: any convex cost of its profile, with a proof of how good the answer is.

The members answer a price per slot, smoothly (`smooth`), and Newton's method finds the price at which what they take
meets what the cost asks for. What they take is feasible at any price, so its cost is an upper bound; the same price
gives a lower bound on the cost of every profile, by duality: the members' least cost at that price (their support
function) less the conjugate of the cost. The smoothing is reduced until the bounds meet.

The price is sought with a sample of the members first. Storages cost the most time: they answer that price, all of
them once, and the others make up for what the sample got wrong. If that leaves the bounds too far apart, the price is
sought with all.

Starts of programmes and powers in steps are whole numbers. They are rounded at the end; by the theorem of Shapley and
Folkman that matters less the more members there are. What it does to the profile is reported and counted in the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.kinds import Assignments
from totalflex_env.flexoffer.newton import balance
from totalflex_env.flexoffer.objective import Objective, conjugate, cost, dual_bounds, exceeded, wanted
from totalflex_env.flexoffer.parts import Part, assemble, fixed, parts_of, restarted, sampled
from totalflex_env.flexoffer.settle import unsettle
from totalflex_env.flexoffer.smooth import answer, assignments
from totalflex_env.flexoffer.smooth_starts import fractional_counts
from totalflex_env.flexoffer.starts import assign_starts
from totalflex_env.flexoffer.support import best_movables, support
from totalflex_env.flexoffer.whole import load_of, whole_counts, whole_steps

REFINING = 0.25  # factor by which the width of smoothing falls while the bounds are too far apart
REFINEMENTS = 12
REACH = 2.0  # widths that a price may change in one step of the search
SAMPLE = 256  # members of each kind with which the price is sought first
HELD = 1e-5  # kWh per slot by which a hard limit may be missed
SAFETY = 0.6  # of the gap that the smoothing may use up, by what the sample says


@dataclass(frozen=True)
class Schedule:
    """Assignments of all members and what is known about them."""

    profile: Tensor  # [T] kWh per slot
    rows: Tensor  # [1 + L, T] kWh per slot, of all members and of those in each limit
    assignments: Assignments
    price: Tensor  # [T] EUR/kWh at which the members take this profile: what one more kWh would cost
    limit_prices: Tensor  # [L, T] EUR/kWh on top of it behind each limit, positive where it holds consumption back
    cost: float  # EUR
    bound: float  # EUR; no profile of the aggregate costs less
    gap: float  # (cost - bound) / max(|cost|, |bound|)
    rounding: Tensor  # [T] kWh that whole starts and steps add to the relaxed optimum


@dataclass(frozen=True)
class _Made:
    """What one part does at a price."""

    relaxed: Tensor  # [T] kWh per slot
    profile: Tensor  # [T] kWh per slot, starts and steps whole
    assignments: Assignments


def schedule(aggregate: ExactAggregate, objective: Objective, gap: float = 1e-3) -> Schedule:
    """Return assignments of nearly the least cost: stops at a relative `gap`, or where less smoothing does not help.

    The gap returned is proved, whatever it is. An OfferError refuses an objective on another grid, and hard limits that
    the members did not keep.
    """
    slots = aggregate.members.slots
    if len(objective.price) != slots:
        raise OfferError("objective", f"it has the {slots} slots of the aggregate", len(objective.price))
    parts = parts_of(aggregate, [limit.nodes for limit in objective.limits])
    met = gap * max(1e-3, float(objective.target.abs().max()))  # kWh of imbalance left; the gap counts what it costs
    price, width = _sought([sampled(part, SAMPLE) for part in parts], objective, gap, met)
    found: list[Schedule] = []
    for _ in range(REFINEMENTS):
        parts = _restarted(parts, price)
        settled = [fixed(part, part.sees @ price, width) for part in parts]
        price = _balanced(settled, objective, price, width, met)
        found.append(_schedule(aggregate, settled, objective, (price, width)))
        if found[-1].gap <= gap or (len(found) > 2 and found[-1].gap > 0.7 * found[-3].gap):
            break
        if len(found) % 2 == 0:
            width, met = REFINING * width, REFINING * met
        met = min(met, gap * abs(found[-1].bound) / (slots * _first_width(objective)))
        price = _balanced(parts, objective, price, width, met)
    return _checked(min(found, key=lambda one: one.gap), objective)


def _sought(parts: Sequence[Part], objective: Objective, gap: float, met: float) -> tuple[Tensor, float]:
    """Return a price [1 + L, T] and a width that leave some of the gap, found with a sample of the storages.

    What smoothing costs falls with the square of the width, so that one width tells the next.
    """
    low, high = dual_bounds(objective)
    price = torch.zeros_like(low)
    price[0] = objective.price
    price, width = torch.minimum(torch.maximum(price, low), high), _first_width(objective)
    for _ in range(REFINEMENTS):
        price = _balanced(parts, objective, price, width, met)
        share = _smoothing(parts, objective, price, width) / (SAFETY * gap)
        if share <= 1.0:
            break
        width *= min(REFINING, max(REFINING**3, 0.9 * share**-0.5)) if share > 1.5 else 0.7
    return price, width


def _first_width(objective: Objective) -> float:
    """Return a width in EUR/kWh as large as the prices that the members will see differ."""
    spread = float(objective.price.max() - objective.price.min())
    imbalance = float(torch.maximum(objective.above, objective.below).mean())
    squared = 0.1 * float((objective.square * objective.target.abs()).max())
    return max(spread, imbalance, squared, 1e-3)


def _balanced(parts: Sequence[Part], objective: Objective, price: Tensor, width: float, met: float) -> Tensor:
    """Return the dual prices [1 + L, T] at which members take what the cost asks for, nearly."""
    shape = price.shape

    def excess(flat: Tensor) -> tuple[Tensor, Tensor]:
        duals = flat.view(shape)
        energies, rises = wanted(objective, duals, width)
        surplus, slope = -energies, -torch.diag(rises.flatten())
        blocks = slope.view(*shape, *shape)
        for part in parts:
            taken, derivative = answer(part.ready, part.sees @ duals, width)
            surplus = surplus + part.sees[:, None] * taken
            blocks += torch.einsum("a,b,ij->aibj", part.sees, part.sees, derivative)
        return surplus.flatten(), slope

    low, high = (bound.flatten() for bound in dual_bounds(objective))
    return balance(excess, price.flatten(), met, (low, high), REACH * width).price.view(shape)


def _smoothing(parts: Sequence[Part], objective: Objective, price: Tensor, width: float) -> float:
    """Return about the share of the cost that smoothing adds: what a part pays beyond its answer to half the width."""
    profiles, extra = [], 0.0
    for part in parts:
        own = part.sees @ price
        wide, narrow = (answer(part.ready, own, scale)[0] for scale in (width, 0.25 * width))
        profiles.append(part.sees[:, None] * wide)
        extra += float(own @ (wide - narrow))
    return abs(extra) / max(1e-9, abs(cost(objective, torch.stack(profiles).sum(0))))


def _restarted(parts: Sequence[Part], price: Tensor) -> list[Part]:
    """Return the parts with their movables at their best start at dual prices [1 + L, T]."""
    return [restarted(part, best_movables(part.aggregate.members.movables, -(part.sees @ price))[0]) for part in parts]


def _schedule(
    aggregate: ExactAggregate, parts: Sequence[Part], objective: Objective, at: tuple[Tensor, float]
) -> Schedule:
    """Return what the parts do at a price [1 + L, T] and width, with its cost and the bound that the price proves."""
    price, width = at
    made = [_made(part, objective, part.sees @ price, width) for part in parts]
    sees = torch.stack([part.sees for part in parts], dim=1)
    rows, relaxed = (sees @ torch.stack(values) for values in zip(*((one.profile, one.relaxed) for one in made)))
    paid = cost(objective, rows)
    least = sum(-float(support(part.aggregate, -(part.sees @ price)[None])) for part in parts)
    bound = least - conjugate(objective, price)
    return Schedule(
        profile=rows[0],
        rows=rows,
        assignments=assemble(aggregate.members, parts, [one.assignments for one in made]),
        price=price[0],
        limit_prices=price[1:],
        cost=paid,
        bound=bound,
        gap=(paid - bound) / max(abs(paid), abs(bound), 1e-9),
        rounding=rows[0] - relaxed[0],
    )


def _made(part: Part, objective: Objective, price: Tensor, width: float) -> _Made:
    """Return what a part does at a price [T]; of the roundings of starts the one nearest to the relaxed profile."""
    members, counts = part.settled, part.ready.starts
    convex = assignments(members, part.ready, price, width)
    if part.stored is not None:
        storages, chains = part.stored.split([len(members.storages.offer), len(members.chains.offer)])
        convex = replace(convex, storages=storages, chains=chains)
    smooth = convex.vehicles.sum(0)
    convex = replace(convex, vehicles=whole_steps(members.vehicles, convex.vehicles))
    energies = (convex.boxes, convex.vehicles, convex.storages, convex.chains)
    profile = torch.stack([energy.sum(0) for energy in energies]).sum(0)
    relaxed = profile - convex.vehicles.sum(0) + smooth
    if len(counts.count):
        shares = fractional_counts(counts, price, width)
        wanted_load = load_of(counts, shares)
        rounded = list(whole_counts(shares))
        loads = [load_of(counts, starts) for starts in rounded]
        nearest = min(range(len(loads)), key=lambda one: float((relaxed + wanted_load - profile - loads[one]).norm()))
        chosen = assign_starts(members.programmes, rounded[nearest])
        assert chosen is not None, "rounding keeps Hall's condition"
        convex = replace(convex, programmes=chosen)
        profile, relaxed = profile + loads[nearest], relaxed + wanted_load
    return _Made(relaxed, profile, unsettle(part.aggregate.members, members, convex, part.start))


def _checked(found: Schedule, objective: Objective) -> Schedule:
    """Return the schedule; an OfferError names a hard limit that it does not keep."""
    for number, (limit, beyond) in enumerate(exceeded(objective, found.rows)):
        worst = int(beyond.argmax())
        if limit.cap == torch.inf and float(beyond[worst]) > HELD:
            rule = f"the members behind it can keep it in slot {worst}"
            raise OfferError(f"limit {number}", rule, f"{float(beyond[worst]):.6f} kWh beyond")
    return found
