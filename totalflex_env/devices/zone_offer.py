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
    slack: Tensor  # [R, W, n] kelvin to the nearer of two conditions after each slot then
    response: Tensor  # [2, W, W, n] kelvin of air and mass after slot k per kWh in slot j, zero for j > k
    ahead: Tensor  # [R, 2, n] what the conditions weigh air and mass with


def responses(kept: Tensor, lift: Tensor) -> Tensor:
    """Return the kelvin [2, W, W, n] of air and mass after slot k by a kWh in slot j, of zones that keep [2, 2, n].

    `lift` [2, W, n] is what a kWh brings air and mass within its slot.
    """
    slots = lift.shape[1]
    found = lift.new_zeros(2, slots, slots, lift.shape[2])
    pulse = torch.zeros_like(lift)
    for k in range(slots):
        pulse = (kept[:, :, None] * pulse).sum(dim=1)
        pulse[:, k] = lift[:, k]
        found[:, k] = pulse * (torch.arange(slots, device=lift.device) <= k)[:, None]
    return found


def offer(slot: int, room: Room) -> FlexOfferBatch:
    """Offer any power as long as the energy drawn since `slot` stays near that of the default.

    A deviation x from the default moves a condition after slot k by sum_j w_kj x_j; by parts, w_kk X_k - sum_{j<k}
    (w_k,j+1 - w_kj) X_j of its cumulative sum X. So |X_j| <= slack_k / (|w_kk| + sum_j |w_k,j+1 - w_kj|) for all k >= j
    keeps every slot within its bounds. A zone whose default has no slack at the end offers the default alone.
    """
    default = room.default
    slots = default.shape[1]
    inside = torch.tril(torch.ones(slots, slots, dtype=torch.bool, device=default.device))[:, 1:, None]
    margin = torch.full_like(default.T, torch.inf)
    for ahead, slack in zip(room.ahead, room.slack):
        response = (ahead[:, None, None] * room.response).sum(dim=0)
        own = response.diagonal(dim1=0, dim2=1).T.abs()
        weight = own + (response.diff(dim=1).abs() * inside).sum(dim=1)
        margin = torch.minimum(margin, slack / weight)
    margin = margin.T.flip(1).cummin(1).values.flip(1)
    drawn = default.cumsum(1)
    return replace(
        fixed(slot, room.house, torch.full_like(room.house, slots), default),
        lower=torch.zeros_like(default),
        upper=room.power_kwh[:, None].expand_as(default),
        total_lower=(drawn - margin)[:, -1],
        total_upper=(drawn + margin)[:, -1],
        level_lower=drawn - margin,
        level_upper=drawn + margin,
    )
