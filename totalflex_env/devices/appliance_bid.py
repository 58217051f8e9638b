"""What the scripted aggregator reckons with when a programme may start: the costs of all starts, and the best later."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from totalflex_env.kernels import kernel


def costs_of_starts(profile: Tensor, spot: Tensor, delay_price: Tensor) -> Tensor:
    """Return what profiles [B, n, D] kWh cost that start in each slot [B, n, T] EUR, at the prices `spot` [B, T].

    A slot of delay costs `delay_price` [n] EUR, counted from the first slot. The last price holds beyond the end.
    """
    slots, longest = spot.shape[1], profile.shape[2]
    padded = torch.cat([spot, spot[:, -1:].expand(-1, longest - 1)], dim=1)[:, None]
    cost = torch.arange(slots, device=spot.device) * delay_price[:, None]
    for step in range(longest):
        cost = torch.addcmul(cost, padded[..., step : step + slots], profile[..., step, None])
    return cost


def best_later(costs: Tensor, programme: Tensor, latest: Tensor, slot: int) -> Tensor:
    """Return the least cost [B, n] of a start after `slot` and by `latest` [B, n], infinite where it is too late.

    `costs` [B, n, M, T] EUR are those of every programme, of which `programme` [B, n] is the one to run.
    """
    best = torch.empty_like(programme, dtype=costs.dtype)
    _best_later([costs.contiguous(), programme.contiguous(), latest.contiguous()], [best], 0, [slot])
    return best


@kernel
def _best_later(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    (costs, programme, latest), (best,), (slot,) = inputs, outputs, numbers
    for row in range(rows[0], rows[1], rows[2]):
        for n in range(best.shape[1]):
            best[row, n] = math.inf
            for at in range(slot + 1, min(latest[row, n] + 1, costs.shape[3])):
                best[row, n] = min(best[row, n], costs[row, n, programme[row, n], at])
