"""How zones keep comfort whatever the weather does within a margin: by looking ahead from their air and mass.

Slot by slot the energy now has to leave a state from which full power would hold the comfort band for a day to come:
the lower end in the coldest weather, the upper end in the warmest. Air and mass after k further slots at full power are
kept^k (air, mass) + what weather and power bring, so each of these slots asks for one linear condition on the state:

    ahead_k (air, mass) >= floor_k        ahead_k (air, mass) <= ceiling_k        ahead_k: upper row of kept^k
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.compiled import inlined
from totalflex_env.kernels import kernel
from totalflex_env.units import SLOTS_PER_DAY

LOOK_AHEAD = SLOTS_PER_DAY
"""Slots for which comfort is kept, this one included."""


@dataclass(frozen=True)
class Envelope:
    """What is to be withstood, on two sides: the lower end of the band when it is coldest, the upper when warmest."""

    band: Tensor  # [B, T, 2, n] degrees at the end of each slot
    drive: Tensor  # [B, T, 2, 2, n] kelvin that a slot at full power brings, by side, to air and mass


def needs(kept: Tensor, guard: Envelope, idle: Tensor, lift: Tensor, slot: int) -> tuple[Tensor, Tensor]:
    """Return the most heat [..., B, n] kWh in `slot` that the lower side asks for in any slot ahead, and the least
    that the upper side leaves.

    `idle` [2, ..., B, n] is air and mass after the slot without energy, `lift` [2, n] what a kWh of heat adds to them,
    `kept` [2, 2, n] what they keep.
    """
    rows = idle.shape[1:-1].numel()
    asked = idle.new_empty(rows, 2, idle.shape[-1])
    air, mass = idle.reshape(2, rows, -1).unbind()
    inputs = (guard.band, guard.drive, kept, lift, air, mass)
    _needs([part.contiguous() for part in inputs], [asked], 0, [slot, LOOK_AHEAD])
    return asked[:, 0].reshape(idle.shape[1:]), asked[:, 1].reshape(idle.shape[1:])


@kernel
def _needs(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    band, asked = inputs[0], outputs[0]
    end = min(numbers[0] + numbers[1], band.shape[1])
    for row in range(rows[0], rows[1], rows[2]):
        for n in range(asked.shape[2]):
            for side in range(2):
                asked[row, side, n] = _asked((row, row % len(band), side, n), inputs, numbers[0], end)


@inlined
def _asked(place: tuple[int, int, int, int], inputs: Any, slot: int, end: int) -> float:
    """The heat that one side of a zone asks for: the most of the lower one, 0, and the least of the upper one, 1."""
    row, day, side, n = place
    band, drive, kept, lift, airs, masses = inputs
    air, mass, by_air, by_mass = airs[row, n], masses[row, n], lift[0, n], lift[1, n]
    asked = (band[day, slot, side, n] - air) / by_air
    for t in range(slot + 1, end):
        brought = drive[day, t, side]
        air, mass = (
            brought[0, n] + kept[0, 0, n] * air + kept[0, 1, n] * mass,
            brought[1, n] + kept[1, 0, n] * air + kept[1, 1, n] * mass,
        )
        by_air, by_mass = (
            kept[0, 0, n] * by_air + kept[0, 1, n] * by_mass,
            kept[1, 0, n] * by_air + kept[1, 1, n] * by_mass,
        )
        heat = (band[day, t, side, n] - air) / by_air
        asked = max(asked, heat) if side == 0 else min(asked, heat)
    return asked  # type: ignore[no-any-return]


def directions(kept: Tensor, slots: int) -> Tensor:
    """Return how much of air and mass [R, 2, n] is in the air k slots later, k = 0 to R - 1 of at most `slots`."""
    row = torch.zeros_like(kept[0])
    row[0] = 1.0
    rows = []
    for _ in range(min(slots, LOOK_AHEAD)):
        rows.append(row)
        row = (row[:, None] * kept).sum(dim=0)
    return torch.stack(rows)


def conditions(kept: Tensor, guard: Envelope) -> Tensor:
    """Return floors and ceilings [2, R, n, T] of `directions` after each slot of an envelope of one row.

    Infinite where the slot ahead is beyond the end.
    """
    band, drive = (
        guard.band[0].permute(1, 2, 0),
        guard.drive[0].permute(2, 1, 3, 0),
    )  # [2, n, T], [air and mass, 2, n, T]
    brought, found = torch.zeros_like(drive), []
    for ahead in range(min(band.shape[2], LOOK_AHEAD)):
        found.append(_later(band, ahead, torch.tensor([-torch.inf, torch.inf])) - brought[0])
        brought = (kept[:, :, None, :, None] * brought).sum(dim=1) + _later(drive, ahead + 1, torch.zeros(1))
    return torch.stack(found, dim=1)


def _later(series: Tensor, slots: int, beyond: Tensor) -> Tensor:
    """Return a series [..., 2, n, T] that is `slots` ahead, and `beyond` [2 or 1] at its end."""
    rest = beyond.to(series)[:, None, None].expand(*series.shape[:-1], slots)
    return torch.cat([series[..., slots:], rest], dim=-1)
