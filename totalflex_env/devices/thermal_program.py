"""Stores of heat or cold with a comfort band as the coefficients of a linear program. n stores, T slots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places


@dataclass(frozen=True)
class Task:
    """First-order stores: level_t = retention * level_(t-1) + begin_t + lift_t * energy_t."""

    slot: int  # first slot that is still open
    slot_hours: float
    power_kwh: Tensor  # [n]
    retention: Tensor  # [n]
    lift: Tensor  # [n, T] level per kWh
    begin: Tensor  # [n, T] what comes from outside, and from the level at the start
    band: tuple[Tensor, Tensor]  # [n] comfort band
    levels: tuple[Tensor, Tensor]  # [n, T] lowest and highest level that limits can lead to
    start: Tensor  # [n] level at the beginning of the episode
    degree_hour_price: Tensor  # [n] EUR
    refill: Tensor  # [n] EUR per kelvin missing in the end


def linear(task: Task) -> LinearBlock:
    """Return the stores as a linear program.

    Variables: energy, level within the band, above it, below it [n, T], level missing against the start [n].
    """
    size = tuple(task.lift.shape)
    energy, inside, above, below, missing = places(size, size, size, size, size[:1])
    balance, reach = places(size, size[:1])
    time, kept = torch.arange(size[1]), task.retention[:, None]
    nothing, endless = torch.zeros(size), torch.full(size, torch.inf)
    passed = torch.where(time < task.slot, endless, 0.0)
    low, high = task.band
    lower, upper = level_parts((low[:, None], high[:, None]), task.levels)
    discomfort = (task.degree_hour_price * task.slot_hours)[:, None].expand(size)
    level = [(inside, 1.0), (above, 1.0), (below, -1.0)]
    ahead = flat(*[(time >= task.slot).expand(size)] * 4, nothing[:, 0] + 1.0)
    return LinearBlock(
        cost=flat(nothing, nothing, discomfort, discomfort, task.refill),
        lower=flat(nothing, *lower, nothing[:, 0]) * ahead,
        upper=flat(task.power_kwh[:, None].expand(size), *upper, nothing[:, 0]) * ahead
        + flat(*[nothing] * 4, endless[:, 0]),
        integer=torch.zeros(len(ahead), dtype=torch.bool),
        rows=matrix(
            *[(balance, part, sign) for part, sign in level],
            *[(balance[:, 1:], part[:, :-1], -sign * kept) for part, sign in level],
            *[(reach, part[:, -1], sign) for part, sign in level],
            (reach, missing, 1.0),
            (balance, energy, -task.lift),
        ),
        row_lower=flat(task.begin - passed, task.start),
        row_upper=flat(task.begin + passed, endless[:, 0]),
        energy=energy_map((time, torch.arange(size[0])[:, None], energy, 1.0)),
        row_names=(("heat balance", balance.numel()), ("heat wanted in the end", reach.numel())),
    )


def level_parts(band: tuple[Tensor, Tensor], levels: tuple[Tensor, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Split lowest and highest levels [n, T] into bounds of the parts within, above and below a comfort band [n, T]."""
    low, high = band
    least, most = levels
    lower = [least.clamp(low, high), (least - high).clamp(min=0.0), (low - most).clamp(min=0.0)]
    upper = [most.clamp(low, high), (most - high).clamp(min=0.0), (low - least).clamp(min=0.0)]
    return lower, upper
