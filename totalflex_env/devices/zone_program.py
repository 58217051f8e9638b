"""Zones with two heat capacities as the coefficients of a linear program. n zones, T slots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import zone_reach
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
    ahead: Tensor  # [R, 2, n] what the conditions of the engine's limits weigh air and mass with, the air alone first
    conditions: Tensor  # [2, R, n, T] their floors and ceilings after each slot, kept where possible
    content: Tensor  # [2, n] electric energy that a kelvin stands for
    start: Tensor  # [n] electric energy that the temperatures stood for at the beginning
    degree_hour_price: Tensor  # [n] EUR
    refill: Tensor  # [n] EUR per kWh missing in the end


def linear(task: Task) -> LinearBlock:
    """Return the zones as a linear program.

    Air and mass stay within what the limits of the engine can lead to. Variables: energy, air within the band, above
    it, below it, mass [n, T], energy missing against the start [n].
    """
    size = tuple(task.band[0].shape)
    energy, inside, above, below, mass, missing = places(size, size, size, size, size, size[:1])
    further, at = _looks_ahead(len(task.ahead), size[1])
    of_air, of_mass, reach, guarded = places(size, size, size[:1], (len(at), size[0]))
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
    motion = zone_reach.Motion(task.slot, task.kept, task.drift, task.lift * task.power_kwh[:, None])
    low, high = zone_reach.reach(task.ahead, task.conditions, motion)
    lowest, highest = level_parts(task.band, (low[0], high[0]))
    weight = task.ahead[further]
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
            *[(guarded, part[:, at].T, sign * weight[:, 0]) for part, sign in air],
            (guarded, mass[:, at].T, weight[:, 1]),
        ),
        row_lower=flat(task.drift[0] - passed, task.drift[1] - passed, task.start, low[further, :, at]),
        row_upper=flat(task.drift[0] + passed, task.drift[1] + passed, endless[:, 0], high[further, :, at]),
        energy=energy_map((time, torch.arange(size[0])[:, None], energy, 1.0)),
        row_names=(
            ("heat balance of the air", of_air.numel()),
            ("heat balance of the mass", of_mass.numel()),
            ("heat wanted in the end", reach.numel()),
            ("comfort of the hours ahead", guarded.numel()),
        ),
    )


def _looks_ahead(conditions: int, slots: int) -> tuple[Tensor, Tensor]:
    """Return condition and slot [G] of all that look ahead, and no farther than to the end."""
    ahead, slot = torch.meshgrid(torch.arange(1, conditions), torch.arange(slots), indexing="ij")
    within = ahead + slot < slots
    return ahead[within], slot[within]
