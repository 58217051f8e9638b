"""How zones keep comfort whatever the weather does within a margin: by looking ahead from their air and mass.

Slot by slot the energy now has to leave a state from which full power would hold the comfort band for a day to come:
the lower end in the coldest weather, the upper end in the warmest. Air and mass after k further slots at full power are
kept^k (air, mass) + what weather and power bring, so each of these slots asks for one linear condition on the state:

    ahead_k (air, mass) >= floor_k        ahead_k (air, mass) <= ceiling_k        ahead_k: upper row of kept^k
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.units import SLOTS_PER_DAY

LOOK_AHEAD = SLOTS_PER_DAY
"""Slots for which comfort is kept, this one included."""


@dataclass(frozen=True)
class Envelope:
    """What is to be withstood, on two sides: the lower end of the band when it is coldest, the upper when warmest."""

    band: Tensor  # [B, T, 2, n] degrees at the end of each slot
    drive: Tensor  # [B, T, 2, 2, n] kelvin that a slot at full power brings, by side, to air and mass


def needs(kept: Tensor, guard: Envelope, idle: Tensor, lift: Tensor, slot: int) -> Tensor:
    """Return the energies [K, 2, ..., B, n] kWh in `slot` that both sides ask for in each of the K slots from it on.

    `idle` [2, ..., B, n] is air and mass after the slot without energy, `lift` [2, n] what a kWh of heat adds to them,
    `kept` [2, 2, n] what they keep.
    """
    end = min(slot + LOOK_AHEAD, guard.band.shape[1])
    from_air, from_mass = (kept[:, part].reshape(2, *[1] * (idle.dim() - 1), -1) for part in (0, 1))
    state, airs, lifts = idle[:, None], [idle[0].expand(2, *idle.shape[1:])], [lift[0]]
    for t in range(slot + 1, end):
        drive = guard.drive[:, t].permute(2, 1, 0, 3)
        drive = drive.reshape(2, 2, *[1] * (idle.dim() - 3), *drive.shape[2:])
        state = torch.addcmul(torch.addcmul(drive, from_air, state[0]), from_mass, state[1])
        lift = (kept * lift).sum(dim=1)
        airs.append(state[0])
        lifts.append(lift[0])
    band = guard.band[:, slot:end].permute(1, 2, 0, 3)
    band = band.reshape(*band.shape[:2], *[1] * (idle.dim() - 3), *band.shape[2:])
    needed: Tensor = (band - torch.stack(airs)) / torch.stack(lifts).reshape(
        -1, *[1] * (band.dim() - 2), lift.shape[-1]
    )
    return needed


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
