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
from totalflex_env.flexoffer.chunks import in_chunks
from totalflex_env.flexoffer.grouping import Grouping, group, number
from totalflex_env.flexoffer.offers import contains, levels, require, tighten, tolerance, used
from totalflex_env.trade_types import FlexOfferBatch, OfferState


@dataclass(frozen=True)
class StartAligned:
    """G aggregates of N offers; every offer is a member of exactly one. V slices of an aggregate, W of a member."""

    offers: FlexOfferBatch  # [G] the aggregates, flex-offers themselves; device or house is -1 where members differ
    members: FlexOfferBatch  # [N]
    group: Tensor  # [N] int64, the aggregate of each member
    offset: Tensor  # [N] int64, slots by which a member starts after its aggregate
    lower: Tensor  # [N, W] kWh per slice of a member while its aggregate is at `floor`
    upper: Tensor  # [N, W] kWh per slice of a member while its aggregate is at `ceiling`
    floor: Tensor  # [G, V] kWh, the sums of `lower`; the aggregates' totals and levels may keep them from it
    ceiling: Tensor  # [G, V] kWh, the sums of `upper`
    apart: Tensor  # [N] bool, fitted no bin of the grouping and is alone in an aggregate


def align(offers: FlexOfferBatch, grouping: Grouping) -> StartAligned:
    """Return tightened offers as aggregates, which may be aggregated again.

    Offers whose totals and levels do not bind lose no energy range by it, in whatever order they are merged. Members
    delay their default start equally, so that their defaults together are the default of the aggregate.
    """
    coupled, delay = coupling(offers), offers.default_start - offers.earliest
    return align_groups(offers, *group(offers, 2 * delay + coupled, grouping), coupled)


def align_groups(offers: FlexOfferBatch, group_: Tensor, apart: Tensor, coupled: Tensor) -> StartAligned:
    """Return tightened offers as aggregates of the given groups [N] int64, numbered from 0 without gaps.

    The default starts in a group are equally long after the earliest starts. `coupled` [N] int64 is 1 for offers that
    share deviations because totals or levels bind, in all of a group or none of it but for fixed offers.
    """
    count, delay = int(group_.max()) + 1 if len(group_) else 0, offers.default_start - offers.earliest
    first = _extreme(offers.earliest, group_, count, "amin")
    offset = offers.earliest - first[group_]
    slices = _extreme(offset + offers.slices, group_, count, "amax")
    frame = _frame(group_, offset, count, int(slices.max()) if count else offers.lower.shape[1])
    lower, upper, level_lower, level_upper = _common_range(offers, frame, coupled)
    default, floor, ceiling = frame.sum(offers.default), frame.sum(lower), frame.sum(upper)
    latest = first + _extreme(offers.latest - offers.earliest, group_, count, "amin")
    assignment = torch.minimum(_extreme(offers.assignment, group_, count, "amin"), latest)
    together = FlexOfferBatch(
        device=_shared(offers.device, group_, count),
        house=_shared(offers.house, group_, count),
        earliest=first,
        latest=latest,
        slices=slices,
        lower=floor,
        upper=ceiling,
        total_lower=floor.sum(1),
        total_upper=ceiling.sum(1),
        level_lower=level_lower,
        level_upper=level_upper,
        default_start=first + _extreme(delay, group_, count, "amin"),
        default=default,
        price_shift=torch.zeros_like(default[:, 0]).index_add(0, group_, offers.price_shift),
        acceptance=torch.minimum(_extreme(offers.acceptance, group_, count, "amin"), assignment),
        assignment=assignment,
        state=torch.full_like(first, OfferState.INITIAL),
    )
    return StartAligned(tighten(together), offers, group_, offset, lower, upper, floor, ceiling, apart)


def split(aligned: StartAligned, start: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [N] int64 and energy [N, W] kWh of the members for an assignment start [G], energy [G, V] kWh.

    Valid for every member, and equal to the assignment in every slot; an assignment outside its aggregate is an
    OfferError.
    """
    require("an assignment lies inside its aggregate", contains(aligned.offers, start, energy), energy)
    room = aligned.ceiling - aligned.floor
    share = torch.where(room > 0.0, (energy - aligned.floor) / room, 0.0).clamp(0.0, 1.0)
    frame = _frame(aligned.group, aligned.offset, len(start), energy.shape[1])
    taken = frame.take(share, aligned.lower.shape[1])
    torch.lerp(aligned.lower, aligned.upper, taken, out=taken)
    return start[aligned.group] + aligned.offset, taken


@dataclass(frozen=True)
class _Frame:
    """Where the slices of N members lie in the V slices of their G aggregates: in P places, most of them shared."""

    place: Tensor  # [N] int64, one for each combination of an aggregate and an offset in it
    group: Tensor  # [P] int64
    offset: Tensor  # [P] int64
    count: int  # G
    width: int  # V

    def sum(self, values: Tensor) -> Tensor:
        """Return the sums [G, V] over the members of values [N, W]."""
        placed = values.new_zeros(len(self.group), values.shape[1]).index_add_(0, self.place, values)
        cell = self.group.unsqueeze(1) * self.width + self._column(values.shape[1], self.width - 1)
        total = values.new_zeros(self.count * self.width)
        return total.index_add(0, cell.flatten(), placed.flatten()).view(self.count, self.width)

    def least(self, values: Tensor, elsewhere: float) -> Tensor:
        """Return the least [G, V] over the members of values [N, W], `elsewhere` where a member has no slices."""
        at = self.place.unsqueeze(1).expand_as(values)
        least = values.new_full((len(self.group), values.shape[1]), torch.inf).scatter_reduce(0, at, values, "amin")
        placed = values.new_full((len(least), self.width + 1), elsewhere)
        placed = placed.scatter(1, self._column(values.shape[1], self.width), least)[:, : self.width]
        group = self.group.unsqueeze(1).expand_as(placed)
        return values.new_full((self.count, self.width), torch.inf).scatter_reduce(0, group, placed, "amin")

    def take(self, values: Tensor, width: int) -> Tensor:
        """Return the values [G, V] of the aggregates at the slices of their members [N, W]."""
        return values[self.group].gather(1, self._column(width, self.width - 1)).index_select(0, self.place)

    def _column(self, width: int, last: int) -> Tensor:
        return (self.offset.unsqueeze(1) + torch.arange(width, device=self.offset.device)).clamp(max=last)


def _frame(group: Tensor, offset: Tensor, count: int, width: int) -> _Frame:
    """Return the frame of members in groups [N] int64 with offsets [N] int64."""
    place = number(group, offset)
    blank = torch.empty(int(place.max()) + 1 if len(place) else 0, dtype=torch.int64, device=place.device)
    return _Frame(place, blank.scatter(0, place, group), blank.scatter(0, place, offset), count, width)


def coupling(offers: FlexOfferBatch) -> Tensor:
    """Return whose totals or levels forbid an energy within the slice bounds [N] int64, 1 or 0."""

    def binds(part: FlexOfferBatch) -> tuple[Tensor]:
        level_lower, level_upper = levels(part)
        slack = tolerance(part.lower)
        falls = part.lower.cumsum(1) < level_lower - slack
        rises = part.upper.cumsum(1) > level_upper + slack
        return ((falls | rises).any(1).long(),)

    return in_chunks(binds, offers, *offers.lower.shape)[0]


def _common_range(offers: FlexOfferBatch, frame: _Frame, coupled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the slice bounds [N, W] of the members that aggregates may use, and their level bounds [G, V].

    A member of size s (its widest slice) takes s / S of a deviation of its aggregate, S the sum of sizes. With `down`,
    `up` per slice and `fall`, `rise` of the running sum as the least that any member can bear per kWh of its size, all
    can.
    """
    index = coupled.nonzero()[:, 0]
    unbounded = offers.lower.new_full((frame.count, frame.width), torch.inf)
    if not len(index):
        return offers.lower, offers.upper, -unbounded, unbounded
    some = take_rows(offers, index)
    part = _Frame(frame.place[index], frame.group, frame.offset, frame.count, frame.width)
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
    sizes = size.new_zeros(frame.count).index_add(0, frame.group[part.place], size).unsqueeze(1)
    together = frame.sum(offers.default).cumsum(1)
    return (
        offers.lower.index_copy(0, index, torch.where(inside, lower, 0.0)),
        offers.upper.index_copy(0, index, torch.where(inside, upper, 0.0)),
        torch.where(sizes > 0.0, together - sizes * fall, -torch.inf),
        torch.where(sizes > 0.0, together + sizes * rise, torch.inf),
    )


def _extreme(values: Tensor, group: Tensor, count: int, reduce: Literal["amin", "amax"]) -> Tensor:
    """Return the least or greatest value [G] of the members' [N]."""
    return values.new_zeros(count).scatter_reduce(0, group, values, reduce, include_self=False)


def _shared(values: Tensor, group: Tensor, count: int) -> Tensor:
    """Return the value [G] that all members [N] share, -1 where they differ."""
    least = _extreme(values, group, count, "amin")
    return torch.where(least == _extreme(values, group, count, "amax"), least, -1)
