"""Customer baselines: what a unit would have consumed, had its flexibility not been called. Seven methods.

Letters in the shapes: U units (a house, a device, a portfolio), T slots of the day, D days before it, the latest last.
Each method takes the same `Evidence` and returns kWh per slot [U, T]; only called slots are ever settled by it.

    nomination              what the unit declared at the gate
    default_schedule        the default schedule of its flex-offer
    mid_8_of_10             mean of the last ten days of the same type without the highest and the lowest, adjusted to
                            the hours before the first call (one of the "X of Y" methods)
    meter_before            meter before, meter after: mean of the last slots before the call
    zero                    nothing, as for batteries
    control_group           mean of the units of the same group that were not called all day
    regression              each slot's own mean of the days before, moved by the temperature

What each is wrong by, and what an adversary makes of it, is measured in `totalflex_env/evaluation/counterfactual.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import DataError
from totalflex_env.units import SLOTS_PER_HOUR

SIMILAR_DAYS = 10
ADJUSTMENT = (4 * SLOTS_PER_HOUR, 2 * SLOTS_PER_HOUR)
"""The same-day adjustment is read from four to two hours before the first call, too early to know of it."""

ADJUSTMENT_CAP = 0.2
"""Share of the unadjusted baseline by which it moves a slot at most."""

SLOTS_BEFORE = SLOTS_PER_HOUR
"""Slots before a call whose mean is what the meter read before."""


@dataclass(frozen=True)
class Evidence:
    """What baselines are computed from."""

    metered_kwh: Tensor  # [U, T] on the day, called or not
    called: Tensor  # [U, T] bool, slots in which the unit was called
    nomination_kwh: Tensor  # [U, T]
    default_kwh: Tensor  # [U, T]
    history_kwh: Tensor  # [U, D, T] meters of the days before
    eligible: Tensor  # [U, D] bool, days of the same type without a call
    temperature: Tensor  # [U, T] outdoors
    past_temperature: Tensor  # [U, D, T]
    group: Tensor  # [U] int64, units of a number are alike


def nomination(evidence: Evidence) -> Tensor:
    """Return the declared schedule [U, T]."""
    return evidence.nomination_kwh


def default_schedule(evidence: Evidence) -> Tensor:
    """Return the default schedule of the flex-offer [U, T]."""
    return evidence.default_kwh


def zero(evidence: Evidence) -> Tensor:
    """Return nothing [U, T]."""
    return torch.zeros_like(evidence.metered_kwh)


def mid_8_of_10(evidence: Evidence) -> Tensor:
    """Return the mean of eight of the last ten eligible days [U, T], shifted to this day before the first call.

    The days with the highest and the lowest energy are dropped. The shift is the mean difference of meter and mean from
    four to two hours before the first call, at most a fifth of the mean in every slot; a call within the first two
    hours leaves nothing to adjust to. A unit with fewer than ten eligible days is a DataError.
    """
    rank = evidence.eligible.long().flip(1).cumsum(1).flip(1)
    chosen = evidence.eligible & (rank <= SIMILAR_DAYS)
    _need("mid_8_of_10", chosen.sum(1), SIMILAR_DAYS, "eligible days")
    energy = evidence.history_kwh.sum(2)
    for extreme in (
        energy.masked_fill(~chosen, -torch.inf).argmax(1),
        energy.masked_fill(~chosen, torch.inf).argmin(1),
    ):
        chosen = chosen.scatter(1, extreme[:, None], False)
    mean = _mean(evidence.history_kwh, chosen[..., None], 1)
    begin, end = (_first_call(evidence) - slots for slots in ADJUSTMENT)
    slot = torch.arange(mean.shape[1], device=mean.device)
    before = (slot >= begin[:, None]) & (slot < end[:, None])
    shift = _mean(evidence.metered_kwh - mean, before, 1)[:, None]
    most = ADJUSTMENT_CAP * mean.abs()
    return mean + shift.clamp(-most, most)


def meter_before(evidence: Evidence) -> Tensor:
    """Return the mean meter of the hour before each call, in all slots of that call [U, T]; elsewhere the meter.

    A call in the first slot of a day has nothing before it, which is a DataError.
    """
    called, metered = evidence.called, evidence.metered_kwh
    _need("meter_before", (~called[:, :1]).sum(1), 1, "slots before the call")
    slots = torch.arange(called.shape[1], device=called.device)
    begin = torch.where(called, 0, slots + 1).cummax(1).values  # first slot of the call that a slot is in
    free = torch.where(called, slots + 1, 0).cummax(1).values  # end of the call before it
    before_begin = torch.cat([free.new_zeros(len(free), 1), free], 1).gather(1, begin)
    from_slot = torch.maximum(begin - SLOTS_BEFORE, before_begin)
    total = torch.cat([metered.new_zeros(len(metered), 1), metered.cumsum(1)], 1)
    mean = (total.gather(1, begin) - total.gather(1, from_slot)) / (begin - from_slot).clamp(min=1)
    return torch.where(called, mean, metered)


def control_group(evidence: Evidence) -> Tensor:
    """Return the mean meter of the units of the same group that were not called all day [U, T].

    A called unit without such a unit beside it is a DataError.
    """
    called = evidence.called.any(1)
    alike = (evidence.group[:, None] == evidence.group) & ~called
    peers = alike.sum(1)
    _need("control_group", peers + SIMILAR_DAYS * ~called, 1, "units of the same group that were not called")
    mean = alike.to(evidence.metered_kwh) @ evidence.metered_kwh / peers.clamp(min=1)[:, None]
    return torch.where(called[:, None], mean, evidence.metered_kwh)


def regression(evidence: Evidence) -> Tensor:
    """Return an ordinary least-squares fit to the eligible days [U, T]: a mean for every slot, one slope per kelvin.

    A unit without an eligible day is a DataError; where the days before were all alike in temperature the slope is 0.
    """
    eligible = evidence.eligible[..., None]
    _need("regression", evidence.eligible.sum(1), 1, "eligible days")
    energy, warmth = (_mean(past, eligible, 1) for past in (evidence.history_kwh, evidence.past_temperature))
    away = (evidence.past_temperature - warmth[:, None]) * eligible
    together = (away * (evidence.history_kwh - energy[:, None])).sum((1, 2))
    spread = away.square().sum((1, 2))
    slope = torch.where(spread > 0.0, together / spread.clamp(min=torch.finfo(spread.dtype).tiny), 0.0)
    return energy + slope[:, None] * (evidence.temperature - warmth)


METHODS: dict[str, Callable[[Evidence], Tensor]] = {
    "nomination": nomination,
    "default_schedule": default_schedule,
    "mid_8_of_10": mid_8_of_10,
    "meter_before": meter_before,
    "zero": zero,
    "control_group": control_group,
    "regression": regression,
}


def _first_call(evidence: Evidence) -> Tensor:
    """The first called slot [U]; T where there is none."""
    called = evidence.called
    return torch.where(called.any(1), called.byte().argmax(1), called.shape[1])


def _mean(values: Tensor, mask: Tensor, dim: int) -> Tensor:
    """The mean over the places of a mask, 0 where it has none."""
    mask = mask.expand_as(values)
    return (values * mask).sum(dim) / mask.sum(dim).clamp(min=1)


def _need(method: str, have: Tensor, least: int, what: str) -> None:
    """Refuse a baseline whose evidence is missing: `have` [U] counts it."""
    if bool((have < least).any()):
        unit = int((have < least).byte().argmax())
        raise DataError(f"baseline {method}", f"unit {unit}", int(have[unit]), f"at least {least} {what}")
