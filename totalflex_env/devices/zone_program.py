"""Zones with two heat capacities as the coefficients of a linear program. n zones, T slots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices.thermal_program import level_parts
from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places


@dataclass(frozen=True)
class Task:
    """Second-order stores: (air, mass)_t = kept (air, mass)_(t-1) + drift_t + lift_t * energy_t."""

    slot: int  # first slot that is still open
    slot_hours: float
    power_kwh: Tensor  # [n]
    kept: Tensor  # [2, 2, n]
    drift: Tensor  # [2, n, T] what comes from outside, and from the state at the start
    lift: Tensor  # [2, n, T] kelvin per kWh
    band: tuple[Tensor, Tensor]  # [n, T] comfort band at the end of each slot
    envelope: tuple[Tensor, Tensor]  # [n, T] floor and ceiling of the air at the end of each slot, kept where possible
    content: Tensor  # [2, n] electric energy that a kelvin stands for
    start: Tensor  # [n] electric energy that the temperatures stood for at the beginning
    degree_hour_price: Tensor  # [n] EUR
    refill: Tensor  # [n] EUR per kWh missing in the end


def linear(task: Task) -> LinearBlock:
    """Return the zones as a linear program.

    The air stays within what the limits of the engine can lead to; the mass is free. Variables: energy, air within the
    band, above it, below it, mass [n, T], energy missing against the start [n].
    """
    size = tuple(task.band[0].shape)
    energy, inside, above, below, mass, missing = places(size, size, size, size, size, size[:1])
    of_air, of_mass, reach = places(size, size, size[:1])
    time, nothing, endless = torch.arange(size[1]), torch.zeros(size), torch.full(size, torch.inf)
    passed = torch.where(time < task.slot, endless, 0.0)
    open_slots = (time >= task.slot).expand(size)
    discomfort = (task.degree_hour_price * task.slot_hours)[:, None].expand(size)
    air = [(inside, 1.0), (above, 1.0), (below, -1.0)]
    kept, content = task.kept[..., None], task.content

    def row(rows: Tensor, to: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """What a capacity keeps of the slot before, and what energy does to it."""
        before = [(rows[:, 1:], part[:, :-1], -sign * kept[to, 0]) for part, sign in air]
        return [*before, (rows[:, 1:], mass[:, :-1], -kept[to, 1]), (rows, energy, -task.lift[to])]

    def limited(bound: Tensor) -> Tensor:
        return torch.where(open_slots, bound, 0.0)

    free = limited(endless)
    lowest, highest = level_parts(task.band, _reachable(task))
    return LinearBlock(
        cost=flat(nothing, nothing, discomfort, discomfort, nothing, task.refill),
        lower=flat(nothing, *(limited(part) for part in lowest), -free, nothing[:, 0]),
        upper=flat(limited(task.power_kwh[:, None]), *(limited(part) for part in highest), free, endless[:, 0]),
        integer=torch.zeros(5 * energy.numel() + size[0], dtype=torch.bool),
        rows=matrix(
            *[(of_air, part, sign) for part, sign in air],
            *row(of_air, 0),
            (of_mass, mass, 1.0),
            *row(of_mass, 1),
            *[(reach, part[:, -1], sign * content[0]) for part, sign in air],
            (reach, mass[:, -1], content[1]),
            (reach, missing, 1.0),
        ),
        row_lower=flat(task.drift[0] - passed, task.drift[1] - passed, task.start),
        row_upper=flat(task.drift[0] + passed, task.drift[1] + passed, endless[:, 0]),
        energy=energy_map((time, torch.arange(size[0])[:, None], energy, 1.0)),
        row_names=(
            ("heat balance of the air", of_air.numel()),
            ("heat balance of the mass", of_mass.numel()),
            ("heat wanted in the end", reach.numel()),
        ),
    )


def _reachable(task: Task) -> tuple[Tensor, Tensor]:
    """Return lowest and highest air [n, T] that the limits can lead to: floor and ceiling, if within reach.

    What a capacity keeps is never negative, so the coldest and the warmest air and mass so far bound all that follow.
    """
    weakest, strongest = ((task.lift * task.power_kwh[:, None]).clamp(*ends) for ends in ((None, 0.0), (0.0, None)))
    low = high = torch.zeros_like(task.drift[..., 0])  # what there was before `slot` is in the drift
    floor, ceiling = task.envelope
    least, most = [], []
    for slot in range(task.drift.shape[2]):
        if slot >= task.slot:
            idle_low, idle_high = ((task.kept * part).sum(dim=1) + task.drift[..., slot] for part in (low, high))
            low, high = idle_low + weakest[..., slot], idle_high + strongest[..., slot]
            forced_low, forced_high = idle_low + strongest[..., slot], idle_high + weakest[..., slot]
            low[0] = torch.maximum(low[0], torch.minimum(floor[:, slot], forced_low[0]))
            high[0] = torch.minimum(high[0], torch.maximum(ceiling[:, slot], forced_high[0]))
        least.append(low[0])
        most.append(high[0])
    return torch.stack(least, dim=1), torch.stack(most, dim=1)
