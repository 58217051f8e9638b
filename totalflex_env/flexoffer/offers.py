"""Batches of flex-offers: consistent bounds, rules, membership and load.

An assignment is a start slot and an energy per slice. It belongs to its offer when the start lies in the window, every
slice between its bounds, their sum between the totals, and every partial sum between the level bounds. So an offer is a
chain of intervals for the cumulative energy, and one backward and one forward pass know all about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.batch import concatenate_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.chunks import chunks, in_chunks
from totalflex_env.trade_types import FlexOfferBatch, OfferState

Rule = tuple[str, Tensor, Tensor]  # what must hold, for which offers it does [N] bool, the numbers it is about [N, ...]


def tolerance(energy: Tensor) -> float:
    """Return the energy in kWh that rounding may add to a sum of slices in the number format of `energy`."""
    return 1e-9 if energy.dtype == torch.float64 else 1e-4


def used(offers: FlexOfferBatch) -> Tensor:
    """Return which slices belong to the profiles [N, W] bool."""
    return _position(offers) < offers.slices.unsqueeze(1)


def levels(offers: FlexOfferBatch) -> tuple[Tensor, Tensor]:
    """Return the bounds of the cumulative energy after each slice [N, W] kWh, the totals among them."""
    last = _position(offers) == offers.slices.unsqueeze(1) - 1
    lower = torch.maximum(offers.level_lower, offers.total_lower.unsqueeze(1))
    upper = torch.minimum(offers.level_upper, offers.total_upper.unsqueeze(1))
    return torch.where(last, lower, offers.level_lower), torch.where(last, upper, offers.level_upper)


def reach(lower: Tensor, upper: Tensor, level_lower: Tensor, level_upper: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest cumulative energy [N, W] kWh that some assignment has after each slice.

    Backward, a level must leave the later bounds within reach; forward, it must be reached from zero. Written with
    running sums and extremes instead of a loop; all arguments [N, W] kWh. Empty offers give a lower above an upper.
    """
    slowest, fastest = lower.cumsum(1), upper.cumsum(1)
    needed = fastest - _running_minimum((fastest - level_lower).flip(1)).flip(1)
    allowed = slowest + _running_minimum((level_upper - slowest).flip(1)).flip(1)
    least = slowest - _running_minimum(slowest - needed).clamp(max=0.0)
    greatest = fastest + _running_minimum(allowed - fastest).clamp(max=0.0)
    return least, greatest


def slice_range(lower: Tensor, upper: Tensor, least: Tensor, greatest: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [N, W] kWh of each slice, given the `reach` of the same bounds."""
    fewest = least - pad(greatest, (1, 0))[:, :-1]
    most = greatest - pad(least, (1, 0))[:, :-1]
    return torch.minimum(torch.maximum(lower, fewest), upper), torch.maximum(torch.minimum(upper, most), lower)


def tighten(offers: FlexOfferBatch) -> FlexOfferBatch:
    """Return the offers with every bound moved to the last value that some assignment takes.

    Keeps the set of assignments and, up to rounding, does nothing the second time. Levels without a bound stay so; one
    after the last slice becomes the total.
    """
    lower, upper, total_lower, total_upper, level_lower, level_upper = in_chunks(
        _tight_bounds, offers, *offers.lower.shape
    )
    return replace(
        offers,
        lower=lower,
        upper=upper,
        total_lower=total_lower,
        total_upper=total_upper,
        level_lower=level_lower,
        level_upper=level_upper,
    )


def validate(offers: FlexOfferBatch) -> None:
    """Raise an OfferError that names an offer, the rule that it breaks and its value, and passes if there is none."""
    for first, some in chunks(offers, *offers.lower.shape):
        index = torch.arange(first, first + len(some.state), device=some.state.device)
        for rules in (_number_rules, _bound_rules, _time_rules, _default_rules):
            for rule, holds, value in rules(some):
                require(rule, holds, value, index)


def require(rule: str, holds: Tensor, value: Tensor, index: Tensor | None = None) -> None:
    """Raise an OfferError for the first offer whose `value` [n, ...] does not follow the rule, `holds` [n] bool.

    `index` [n] int64 are the numbers of the offers in their batch, where they are not all of it.
    """
    if not bool(holds.all()):
        first = int((~holds).nonzero()[0])
        raise OfferError(str(first if index is None else int(index[first])), rule, value[first].tolist())


def contains(offers: FlexOfferBatch, start: Tensor, energy: Tensor) -> Tensor:
    """Return whether assignments, start [N] int64 and energy [N, W] kWh, belong to their offers [N] bool."""

    def inside(part: _Assigned) -> tuple[Tensor]:
        slack, level = tolerance(energy), part.energy.cumsum(1)
        level_lower, level_upper = levels(part.offers)
        slices = (part.energy >= part.offers.lower - slack) & (part.energy <= part.offers.upper + slack)
        sums = ((level >= level_lower - slack) & (level <= level_upper + slack)) | ~used(part.offers)
        return ((slices & sums).all(1),)

    in_window = (start >= offers.earliest) & (start <= offers.latest)
    return in_window & in_chunks(inside, _Assigned(offers, energy), *energy.shape)[0]


def load(offers: FlexOfferBatch, start: Tensor, energy: Tensor, slots: int) -> Tensor:
    """Return assignments, start [N] int64 and energy [N, W] kWh, as energy per slot of the grid [N, slots] kWh."""
    ends = start + offers.slices
    require(f"the profile ends by slot {slots}", (start >= 0) & (ends <= slots), ends)
    slot = (start.unsqueeze(1) + _position(offers)).clamp(max=slots)
    grid = energy.new_zeros(len(start), slots + 1)
    return grid.scatter_add(1, slot, torch.where(used(offers), energy, 0.0))[:, :slots]


def concatenate(batches: Sequence[FlexOfferBatch]) -> FlexOfferBatch:
    """Return the offers of several batches, one after the other, with room for the longest profile."""
    width = max(batch.lower.shape[1] for batch in batches)
    return concatenate_rows([widen(batch, width) for batch in batches])


def widen(offers: FlexOfferBatch, width: int) -> FlexOfferBatch:
    """Return the same offers with room for profiles of `width` slices, at least as many as they have room for."""
    more = (0, width - offers.lower.shape[1])
    return replace(
        offers,
        lower=pad(offers.lower, more),
        upper=pad(offers.upper, more),
        level_lower=pad(offers.level_lower, more, value=-torch.inf),
        level_upper=pad(offers.level_upper, more, value=torch.inf),
        default=pad(offers.default, more),
    )


@dataclass(frozen=True)
class _Assigned:
    """Offers and energies assigned to them."""

    offers: FlexOfferBatch  # [N]
    energy: Tensor  # [N, W] kWh


def _tight_bounds(offers: FlexOfferBatch) -> tuple[Tensor, ...]:
    """Return the slice, total and level bounds of `tighten`, lower before upper."""
    least, greatest = reach(offers.lower, offers.upper, *levels(offers))
    before_last = _position(offers) < offers.slices.unsqueeze(1) - 1
    return (
        *slice_range(offers.lower, offers.upper, least, greatest),
        least[:, -1],
        greatest[:, -1],
        torch.where(before_last & offers.level_lower.isfinite(), least, -torch.inf),
        torch.where(before_last & offers.level_upper.isfinite(), greatest, torch.inf),
    )


def _number_rules(offers: FlexOfferBatch) -> Iterator[Rule]:
    energies = torch.cat([offers.lower, offers.upper, offers.default], dim=1)
    totals = torch.stack([offers.total_lower, offers.total_upper, offers.price_shift], dim=1)
    bounds = torch.cat([offers.level_lower, offers.level_upper], dim=1)
    yield "slices, totals, default and price are finite numbers", _finite(energies) & _finite(totals), energies
    yield "level bounds are numbers", ~bounds.isnan().any(1), bounds
    known = (offers.state >= min(OfferState)) & (offers.state <= max(OfferState))
    yield "the state is one of OfferState", known, offers.state


def _bound_rules(offers: FlexOfferBatch) -> Iterator[Rule]:
    width, slack = offers.lower.shape[1], tolerance(offers.lower)
    yield f"a profile has 1 to {width} slices", (offers.slices >= 1) & (offers.slices <= width), offers.slices
    range_ = offers.upper - offers.lower
    yield "lower <= upper in every slice", (range_ >= -slack).all(1), range_
    behind = torch.where(used(offers), 0.0, offers.lower.abs() + offers.upper.abs() + offers.default.abs())
    yield "energies behind the last slice are zero", (behind == 0.0).all(1), behind
    totals = torch.stack([offers.total_lower, offers.total_upper], dim=1)
    yield "total_lower <= total_upper", totals[:, 0] <= totals[:, 1] + slack, totals
    bounds = torch.stack([offers.level_lower, offers.level_upper], dim=2)
    yield "level_lower <= level_upper after every slice", (bounds[..., 0] <= bounds[..., 1] + slack).all(1), bounds
    box = torch.stack([offers.lower.sum(1), offers.upper.sum(1)], dim=1)
    possible = (totals[:, 0] <= box[:, 1] + slack) & (totals[:, 1] >= box[:, 0] - slack)
    yield "the slices can meet the totals", possible, totals
    least, greatest = reach(offers.lower, offers.upper, *levels(offers))
    yield "the slices can meet the levels", (least <= greatest + slack).all(1), bounds


def _time_rules(offers: FlexOfferBatch) -> Iterator[Rule]:
    window = torch.stack([offers.earliest, offers.latest], dim=1)
    yield "0 <= earliest start <= latest start", (window[:, 0] >= 0) & (window[:, 0] <= window[:, 1]), window
    deadlines = torch.stack([offers.acceptance, offers.assignment, offers.latest], dim=1)
    yield "acceptance <= assignment <= latest start", (deadlines.diff(dim=1) >= 0).all(1), deadlines


def _default_rules(offers: FlexOfferBatch) -> Iterator[Rule]:
    inside = (offers.default_start >= offers.earliest) & (offers.default_start <= offers.latest)
    yield "the default starts in the window", inside, offers.default_start
    yield "the default lies inside the offer", contains(offers, offers.default_start, offers.default), offers.default


def _position(offers: FlexOfferBatch) -> Tensor:
    return torch.arange(offers.lower.shape[1], device=offers.lower.device)


def _finite(numbers: Tensor) -> Tensor:
    return numbers.isfinite().all(1)


def _running_minimum(numbers: Tensor) -> Tensor:
    return torch.cummin(numbers, dim=1).values
