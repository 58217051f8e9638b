"""What the flex-offers of all families have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.trade_types import FlexOfferBatch, OfferState


def fixed(slot: int, house: Tensor, slices: Tensor, default: Tensor) -> FlexOfferBatch:
    """Return offers of devices of `house` [n] that start in `slot` and allow their `default` [n, W] kWh alone.

    `slices` [n] says for how long; the index of a device is its place among the n.
    """
    now, total = torch.full_like(house, slot), default.sum(1)
    unbounded = torch.full_like(default, torch.inf)
    return FlexOfferBatch(
        device=torch.arange(len(house), device=house.device),
        house=house,
        earliest=now,
        latest=now,
        slices=slices,
        lower=default,
        upper=default,
        total_lower=total,
        total_upper=total,
        level_lower=-unbounded,
        level_upper=unbounded,
        default_start=now,
        default=default,
        price_shift=torch.zeros_like(total),
        acceptance=now,
        assignment=now,
        state=torch.full_like(house, OfferState.INITIAL),
    )
