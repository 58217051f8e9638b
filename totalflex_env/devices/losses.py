"""What a storage that loses energy both ways can promise as one that loses none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cycling:
    """Stored energy per slot is at least gain * e - loss for any energy e from -discharge to charge."""

    discharge: Tensor  # [n] kWh per slot
    gain: Tensor  # [n] kWh stored per kWh
    loss: Tensor  # [n] kWh per slot


def cycling(charge: Tensor, discharge: Tensor, efficiency: tuple[Tensor, Tensor], spare: Tensor) -> Cycling:
    """Return the most discharge up to `discharge` [n] whose loss is at most `spare` [n] kWh per slot, and its chord.

    A storage gains g(e) = efficiency[0] * e of e >= 0 and e / efficiency[1] of e < 0 kWh. As g is concave, it lies
    above the chord between -discharge and charge, gain * e - loss.
    """
    charging, discharging = efficiency[0], 1.0 / efficiency[1]
    most_loss = charge * (discharging - charging)  # with unlimited discharge power
    bearable = torch.where(most_loss > spare, spare * charge / (most_loss - spare), torch.inf)
    allowed = torch.minimum(discharge, bearable)
    width = charge + allowed
    gain = torch.where(width > 0.0, (charging * charge + discharging * allowed) / width, charging)
    return Cycling(allowed, gain, allowed * (discharging - gain))
