"""How the parts of an episode become its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.scenario.noise import Array
from totalflex_env.types import Scenario


@dataclass(frozen=True)
class Outside:
    """What happens outside the devices in one episode."""

    spot: Array  # [T] EUR/kWh
    up: Array  # [T] EUR/kWh above the spot price, >= 0
    down: Array  # [T] EUR/kWh below it, >= 0
    wind_kwh: Array  # [T]
    temperature: Array  # [T]
    base_kwh: Array  # [T, P]
    base_kvarh: Array  # [T, P]
    pv_kwh: Array  # [T, P]
    irradiance: Array  # [T] kW/m2 on the horizontal
    weekday: int  # of the first slot, Monday is 0


def scenario(outside: Sequence[Outside], habits: Sequence[tuple[Any, ...]]) -> Scenario:
    """Return the record of B episodes in float64, one row for each pair of parts."""
    spot = _rows(each.spot for each in outside)
    return Scenario(
        spot=spot,
        up=spot + _rows(each.up for each in outside),
        down=spot - _rows(each.down for each in outside),
        wind_kwh=_rows(each.wind_kwh for each in outside),
        temperature=_rows(each.temperature for each in outside),
        irradiance=_rows(each.irradiance for each in outside),
        base_kwh=_rows(each.base_kwh for each in outside),
        base_kvarh=_rows(each.base_kvarh for each in outside),
        pv_kwh=_rows(each.pv_kwh for each in outside),
        habits=tuple(batch.concatenate_rows(family) for family in zip(*habits)),
    )


def _rows(values: Iterable[Array]) -> Tensor:
    return torch.from_numpy(np.stack(list(values)))
