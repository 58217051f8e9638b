"""How the parts of episodes become their record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from totalflex_env.dice import Array
from totalflex_env.types import Scenario


@dataclass(frozen=True)
class Outside:
    """What happens outside the devices in B episodes."""

    spot: Array  # [B, T] EUR/kWh
    up: Array  # [B, T] EUR/kWh above the spot price, >= 0
    down: Array  # [B, T] EUR/kWh below it, >= 0
    wind_kwh: Array  # [B, T]
    temperature: Array  # [B, T]
    base_kwh: Array  # [B, T, P]
    base_kvarh: Array  # [B, T, P]
    pv_kwh: Array  # [B, T, P]
    irradiance: Array  # [B, T] kW/m2 on the horizontal
    weekday: NDArray[np.int64]  # [B] of the first slot, Monday is 0


def scenario(outside: Outside, habits: tuple[Any, ...]) -> Scenario:
    """Return the record of B episodes in float64, with the habits [B, ...] of every family."""
    spot = torch.from_numpy(outside.spot)
    return Scenario(
        spot=spot,
        up=spot + torch.from_numpy(outside.up),
        down=spot - torch.from_numpy(outside.down),
        wind_kwh=torch.from_numpy(outside.wind_kwh),
        temperature=torch.from_numpy(outside.temperature),
        irradiance=torch.from_numpy(np.ascontiguousarray(outside.irradiance)),
        base_kwh=torch.from_numpy(outside.base_kwh),
        base_kvarh=torch.from_numpy(outside.base_kvarh),
        pv_kwh=torch.from_numpy(np.ascontiguousarray(outside.pv_kwh)),
        habits=habits,
    )
