"""Wet appliances: a fixed programme that runs once, without a pause, started inside a window."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.config import DishwasherConfig
from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places
from totalflex_env.types import ApplianceParams, Scenario


def build(dishwasher: DishwasherConfig, houses: int, slot_hours: float) -> ApplianceParams:
    """Return the parameters of all dishwashers; dishwasher i stands in house i modulo `houses`."""
    count, profile = dishwasher.count, torch.tensor(dishwasher.profile_kw, dtype=torch.float64) * slot_hours
    return ApplianceParams(
        profile_kwh=profile.repeat(count, 1),
        duration=torch.full((count,), len(profile)),
        delay_price=torch.full((count,), dishwasher.delay_price, dtype=torch.float64),
        house=torch.arange(count) % houses,
    )


def limits(params: ApplianceParams, start: Tensor, scenario: Scenario, slot: int) -> tuple[Tensor, Tensor]:
    """Return the energy range [B, A] kWh of a slot; only its two ends can be taken."""
    running = _running(params, start, slot)
    first = params.profile_kwh[:, 0].expand_as(running)
    can_start = may_start(start, scenario, slot)
    lower = torch.where(can_start & (scenario.latest <= slot), first, running)
    return lower, torch.where(can_start, first, running)


def may_start(start: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return which programmes are loaded and have not started [B, A] bool."""
    return (start > slot) & (scenario.ready <= slot)


def snap(lower: Tensor, upper: Tensor, energy: Tensor) -> Tensor:
    """Return the end of the range [B, A] kWh that is nearer to `energy`: a programme starts or it does not."""
    return torch.where(energy - lower > 0.5 * (upper - lower), upper, lower)


def advance(start: Tensor, energy: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return the start slots [B, A] after a slot in which `energy` [B, A] kWh was used."""
    return torch.where(may_start(start, scenario, slot) & (energy > 0.0), slot, start)


def delayed(start: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return which programmes wait although loaded [B, A] bool; `start` is after the slot."""
    return may_start(start, scenario, slot)


def linear(params: ApplianceParams, start: Tensor, scenario: Scenario, slot: int) -> LinearBlock:
    """Return the appliances as a linear program, given their `start` slots [1, A] at the start of `slot`; one row.

    Variables: whether the programme starts in a slot [A, T + 1]; the last one means that it does not start at all.
    """
    slots, (count, duration) = scenario.spot.shape[1], params.profile_kwh.shape
    (begin,), (once,) = places((count, slots + 1)), places((count,))
    ready, latest, started = scenario.ready[0, :, None], scenario.latest[0, :, None], start[0, :, None]
    time, step = torch.arange(slots + 1), torch.arange(duration)
    waiting = (time >= ready.clamp(min=slot)) & (time <= latest.clamp(min=slot))
    possible = torch.where(started < slot, time == started, waiting)
    within = (time[:, None] + step < slots).expand(count, -1, -1)
    device, first, at = torch.nonzero(within, as_tuple=True)
    return LinearBlock(
        cost=flat(params.delay_price[:, None] * (time - ready).clamp(min=0)),
        lower=torch.zeros(begin.numel(), dtype=torch.float64),
        upper=flat(possible),
        integer=possible.flatten(),
        rows=matrix((once[:, None], begin, 1.0)),
        row_lower=torch.ones(count, dtype=torch.float64),
        row_upper=torch.ones(count, dtype=torch.float64),
        energy=energy_map((first + at, device, begin[device, first], params.profile_kwh[device, at])),
    )


def _running(params: ApplianceParams, start: Tensor, slot: int) -> Tensor:
    """Return the energy [B, A] kWh of programmes that have started."""
    step = slot - start
    inside = (step >= 0) & (step < params.duration)
    profile = params.profile_kwh.expand(*start.shape, -1)
    return torch.where(inside, profile.gather(-1, step.clamp(0, profile.shape[-1] - 1).unsqueeze(-1)).squeeze(-1), 0.0)
