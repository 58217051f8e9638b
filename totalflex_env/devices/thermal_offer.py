"""The flex-offers of stores that leak: any power, as long as the energy drawn since now stays near the default's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from totalflex_env.devices.offering import fixed
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Store:
    """n stores over the W slots to the end of the horizon."""

    house: Tensor  # [n] int64
    power_kwh: Tensor  # [n]
    retention: Tensor  # [n]
    lift: Tensor  # [W, n] kelvin per kWh
    default: Tensor  # [n, W] energy left alone
    slack: Tensor  # [n, W] kelvin to the nearer bound after each slot then


def offer(slot: int, store: Store) -> FlexOfferBatch:
    """Offer any power as long as the energy drawn since `slot` stays near that of the default.

    A deviation x from the default moves the temperature after slot k by sum_j w_kj x_j, w_kj = retention^(k-j) *
    lift_j; by parts, w_kk X_k - sum_{j<k} (w_k,j+1 - w_kj) X_j of its cumulative sum X. With `weight`_k = w_kk + sum_j
    |w_k,j+1 - w_kj| and `slack`_k degrees to the nearer bound, |X_j| <= slack_k / weight_k for all k >= j therefore
    keeps every slot within its bounds. A device whose default has no slack at the end offers the default alone.
    """
    default = store.default
    margin = (store.slack / _weights(store.retention, store.lift).T).flip(1).cummin(1).values.flip(1)
    slices = torch.full_like(store.house, default.shape[1])
    drawn = default.cumsum(1)
    return replace(
        fixed(slot, store.house, slices, default),
        lower=torch.zeros_like(default),
        upper=store.power_kwh[:, None].expand_as(default),
        total_lower=(drawn - margin)[:, -1],
        total_upper=(drawn + margin)[:, -1],
        level_lower=drawn - margin,
        level_upper=drawn + margin,
    )


def _weights(retention: Tensor, lift: Tensor) -> Tensor:
    """Return the degrees [W, n] after each slot per kWh of margin, for lifts [W, n] in degrees per kWh."""
    variation, weights = torch.zeros_like(retention), [lift[0]]
    for before, now in pairwise(lift):
        variation = retention * variation + (now - retention * before).abs()
        weights.append(now + variation)
    return torch.stack(weights)
