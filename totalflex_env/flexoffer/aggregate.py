"""Many flex-offers as few: start alignment, and the way back.

Members are laid over each other with their earliest starts aligned and only ever shifted together, so an aggregate can
wait as long as its least patient member, and its bounds are sums (Siksnys, Khalefa and Pedersen, SSDBM 2012). An energy
inside the bounds goes back to the members in proportion to their ranges, slice by slice.

Sums of totals are not sound: two members that need 1 and 3 kWh at 1 kWh per slot cannot take (2, 2, 0, 0) together.
Members whose totals or levels bind therefore form aggregates of their own, in which every deviation from the summed
defaults is split by fixed shares, one per member. The deviations allowed are those that every member can bear: per kWh
of its size, the intersection of the members' ranges around their defaults. That is an inner approximation: nothing is
promised that cannot be kept, and the defaults are always inside, but members with little in common keep little
flexibility.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import contains, levels, require, tighten, tolerance, used
from totalflex_env.trade_types import FlexOfferBatch, OfferState


@dataclass(frozen=True)
class Grouping:
    """Which offers may share an aggregate: those in one cell of a grid of earliest starts and flexibilities."""

    earliest_tolerance: int = 0  # slots by which earliest starts in a cell may differ
    flexibility_tolerance: int = 0  # slots by which latest less earliest start may differ
    most_members: int | None = None  # of one aggregate, None for any number
    least_members: int = 1  # offers that would be fewer stay apart


@dataclass(frozen=True)
class Aggregate:
    """G aggregates of N offers; every offer is a member of exactly one."""

    offers: FlexOfferBatch  # [G] the aggregates, flex-offers themselves; device or house is -1 where members differ
    members: FlexOfferBatch  # [N]
    group: Tensor  # [N] int64, the aggregate of each member
    offset: Tensor  # [N] int64, slots by which a member starts after its aggregate
    lower: Tensor  # [N, W] kWh per slice of a member while its aggregate is at its lower bound
    upper: Tensor  # [N, W] kWh per slice of a member while its aggregate is at its upper bound
    apart: Tensor  # [N] bool, fitted into no aggregate of enough members and is alone in one


def aggregate(offers: FlexOfferBatch, grouping: Grouping) -> Aggregate:
    """Return tightened offers as aggregates, which may be aggregated again.

    Offers whose totals and levels do not bind lose no energy range by it, in whatever order they are merged. Members
    delay their default start equally, so that their defaults together are the default of the aggregate.
    """
    coupled = _coupled(offers)
    group, apart = _group(offers, coupled, grouping)
    count = int(group.max()) + 1 if len(group) else 0
    first = _extreme(offers.earliest, group, count, "amin")
    offset = offers.earliest - first[group]
    slices = _extreme(offset + offers.slices, group, count, "amax")
    frame = _Frame(group, offset, count, int(slices.max()) if count else offers.lower.shape[1])
    lower, upper, level_lower, level_upper = _common_range(offers, frame, coupled)
    default, bounds = frame.sum(offers.default), (frame.sum(lower), frame.sum(upper))
    latest = first + _extreme(offers.latest - offers.earliest, group, count, "amin")
    assignment = torch.minimum(_extreme(offers.assignment, group, count, "amin"), latest)
    together = FlexOfferBatch(
        device=_shared(offers.device, group, count),
        house=_shared(offers.house, group, count),
        earliest=first,
        latest=latest,
        slices=slices,
        lower=bounds[0],
        upper=bounds[1],
        total_lower=bounds[0].sum(1),
        total_upper=bounds[1].sum(1),
        level_lower=level_lower,
        level_upper=level_upper,
        default_start=first + _extreme(offers.default_start - offers.earliest, group, count, "amin"),
        default=default,
        price_shift=torch.zeros_like(default[:, 0]).index_add(0, group, offers.price_shift),
        acceptance=torch.minimum(_extreme(offers.acceptance, group, count, "amin"), assignment),
        assignment=assignment,
        state=torch.full_like(first, OfferState.INITIAL),
    )
    return Aggregate(tighten(together), offers, group, offset, lower, upper, apart)


def disaggregate(aggregate: Aggregate, start: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [N] int64 and energy [N, W] kWh of the members for an assignment start [G], energy [G, V] kWh.

    Valid for every member, and equal to the assignment in every slot; an assignment outside its aggregate is an
    OfferError.
    """
    require("an assignment lies inside its aggregate", contains(aggregate.offers, start, energy), energy)
    group, lower, width = aggregate.group, aggregate.lower, aggregate.upper - aggregate.lower
    frame = _Frame(group, aggregate.offset, len(start), energy.shape[1])
    floor, room = frame.sum(lower), frame.sum(width)
    share = torch.where(room > 0.0, (energy - floor) / room, 0.0).clamp(0.0, 1.0)
    return start[group] + aggregate.offset, lower + frame.take(share, lower.shape[1]) * width


@dataclass(frozen=True)
class _Frame:
    """Where the slices of N members lie in the V slices of their G aggregates."""

    group: Tensor  # [N] int64
    offset: Tensor  # [N] int64
    count: int  # G
    width: int  # V

    def sum(self, values: Tensor) -> Tensor:
        """Return the sums [G, V] over the members of values [N, W]."""
        cell = self.group.unsqueeze(1) * self.width + self._column(values.shape[1], self.width - 1)
        total = values.new_zeros(self.count * self.width)
        return total.index_add(0, cell.flatten(), values.flatten()).view(self.count, self.width)

    def least(self, values: Tensor, elsewhere: float) -> Tensor:
        """Return the least [G, V] over the members of values [N, W], `elsewhere` where a member has no slices."""
        placed = values.new_full((len(values), self.width + 1), elsewhere)
        placed = placed.scatter(1, self._column(values.shape[1], self.width), values)[:, : self.width]
        group = self.group.unsqueeze(1).expand_as(placed)
        return values.new_full((self.count, self.width), torch.inf).scatter_reduce(0, group, placed, "amin")

    def take(self, values: Tensor, width: int) -> Tensor:
        """Return the values [G, V] of the aggregates at the slices of their members [N, W]."""
        return values[self.group].gather(1, self._column(width, self.width - 1))

    def _column(self, width: int, last: int) -> Tensor:
        return (self.offset.unsqueeze(1) + torch.arange(width, device=self.offset.device)).clamp(max=last)


def _coupled(offers: FlexOfferBatch) -> Tensor:
    """Return whose totals or levels forbid an energy within the slice bounds [N] bool."""
    level_lower, level_upper = levels(offers)
    slack = tolerance(offers.lower)
    falls = offers.lower.cumsum(1) < level_lower - slack
    rises = offers.upper.cumsum(1) > level_upper + slack
    return (falls | rises).any(1)


def _common_range(offers: FlexOfferBatch, frame: _Frame, coupled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the slice bounds [N, W] of the members that aggregates may use, and their level bounds [G, V].

    A member of size s (its widest slice) takes s / S of a deviation of its aggregate, S the sum of sizes. With `down`,
    `up` per slice and `fall`, `rise` of the running sum as the least that any member can bear per kWh of its size, all
    can.
    """
    index = coupled.nonzero()[:, 0]
    some = take_rows(offers, index)
    part = _Frame(frame.group[index], frame.offset[index], frame.count, frame.width)
    size = (some.upper - some.lower).amax(1)
    level, (level_lower, level_upper) = some.default.cumsum(1), levels(some)

    def bearable(room: Tensor, elsewhere: float) -> Tensor:
        return part.least(room.clamp(min=0.0) / size.unsqueeze(1), elsewhere)

    down, up = bearable(some.default - some.lower, 0.0), bearable(some.upper - some.default, 0.0)
    fall, rise = bearable(level - level_lower, torch.inf), bearable(level_upper - level, torch.inf)
    width = offers.lower.shape[1]
    lower = some.default - size.unsqueeze(1) * part.take(down, width)
    upper = some.default + size.unsqueeze(1) * part.take(up, width)
    inside = used(some)
    sizes = torch.zeros_like(fall[:, :1]).index_add(0, part.group, size.unsqueeze(1))
    together = part.sum(some.default).cumsum(1)
    return (
        offers.lower.index_copy(0, index, torch.where(inside, lower, 0.0)),
        offers.upper.index_copy(0, index, torch.where(inside, upper, 0.0)),
        torch.where(sizes > 0.0, together - sizes * fall, -torch.inf),
        torch.where(sizes > 0.0, together + sizes * rise, torch.inf),
    )


def _group(offers: FlexOfferBatch, coupled: Tensor, grouping: Grouping) -> tuple[Tensor, Tensor]:
    """Return the group of each offer [N] int64, counted from 0, and which are alone for want of company [N] bool."""
    flexibility = offers.latest - offers.earliest
    group = _number(
        _cell(offers.earliest, grouping.earliest_tolerance),
        _cell(flexibility, grouping.flexibility_tolerance),
        offers.default_start - offers.earliest,
        coupled.long(),
    )
    if grouping.most_members is not None:
        order = group.argsort(stable=True)
        sorted_ = group[order]
        rank = torch.arange(len(group), device=group.device) - torch.searchsorted(sorted_, sorted_)
        group = _number(group, torch.empty_like(group).scatter(0, order, rank // grouping.most_members))
    apart = group.bincount()[group] < grouping.least_members
    alone = torch.arange(1, len(group) + 1, device=group.device)
    return _number(group, torch.where(apart, alone, 0)), apart


def _cell(values: Tensor, width: int) -> Tensor:
    """Return the cell [N] int64 of values [N] int64 that lie up to `width` apart in a cell, counted from the least."""
    return (values - values.min()) // (width + 1) if len(values) else values


def _number(*keys: Tensor) -> Tensor:
    """Return the number [N] of each combination of the keys [N] int64 >= 0 among those that occur."""
    number = torch.zeros_like(keys[0])
    for key in keys:
        number = torch.unique(number * (key.max() + 1) + key, return_inverse=True)[1] if len(key) else number
    return number


def _extreme(values: Tensor, group: Tensor, count: int, reduce: Literal["amin", "amax"]) -> Tensor:
    """Return the least or greatest value [G] of the members' [N]."""
    return values.new_zeros(count).scatter_reduce(0, group, values, reduce, include_self=False)


def _shared(values: Tensor, group: Tensor, count: int) -> Tensor:
    """Return the value [G] that all members [N] share, -1 where they differ."""
    least = _extreme(values, group, count, "amin")
    return torch.where(least == _extreme(values, group, count, "amax"), least, -1)
