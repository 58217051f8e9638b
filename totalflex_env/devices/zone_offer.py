"""The flex-offers of zones: any power, as long as the energy drawn since now stays near the default's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.devices.offering import fixed
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Room:
    """n zones over the W slots to the end of the horizon."""

    house: Tensor  # [n] int64
    power_kwh: Tensor  # [n]
    default: Tensor  # [n, W] energy left alone
    slack: Tensor  # [W, n] kelvin to the nearer bound after each slot then
    response: Tensor  # [W, W, n] kelvin of the air after slot k per kWh in slot j, zero for j > k


def responses(kept: Tensor, lift: Tensor) -> Tensor:
    """Return the kelvin [W, W, n] of the air after slot k by a kWh in slot j, of zones that keep [2, 2, n].

    `lift` [2, W, n] is what a kWh brings air and mass within its slot.
    """
    slots = lift.shape[1]
    found = lift.new_zeros(slots, slots, lift.shape[2])
    pulse = torch.zeros_like(lift)
    for k in range(slots):
        pulse = (kept[:, :, None] * pulse).sum(dim=1)
        pulse[:, k] = lift[:, k]
        found[k] = pulse[0] * (torch.arange(slots, device=lift.device) <= k)[:, None]
    return found


def offer(slot: int, room: Room) -> FlexOfferBatch:
    """Offer any power as long as the energy drawn since `slot` stays near that of the default.

    A deviation x from the default moves the air after slot k by sum_j w_kj x_j; by parts, w_kk X_k - sum_{j<k}
    (w_k,j+1 - w_kj) X_j of its cumulative sum X. So |X_j| <= slack_k / (|w_kk| + sum_j |w_k,j+1 - w_kj|) for all k >= j
    keeps every slot within its bounds. A zone whose default has no slack at the end offers the default alone.
    """
    response, default = room.response, room.default
    own = response.diagonal(dim1=0, dim2=1).T.abs()
    inside = torch.tril(torch.ones(response.shape[:2], dtype=torch.bool, device=response.device))[:, 1:, None]
    weight = own + (response.diff(dim=1).abs() * inside).sum(dim=1)
    margin = (room.slack / weight).T.flip(1).cummin(1).values.flip(1)
    drawn = default.cumsum(1)
    return replace(
        fixed(slot, room.house, torch.full_like(room.house, default.shape[1]), default),
        lower=torch.zeros_like(default),
        upper=room.power_kwh[:, None].expand_as(default),
        total_lower=(drawn - margin)[:, -1],
        total_upper=(drawn + margin)[:, -1],
        level_lower=drawn - margin,
        level_upper=drawn + margin,
    )
