"""How the parts of an episode become its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.scenario import weather
from totalflex_env.scenario.noise import Array
from totalflex_env.scenario.sessions import Sessions
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


def scenario(config: EnvConfig, outside: Sequence[Outside], habits: Sequence[Sessions]) -> Scenario:
    """Return the record of B episodes in float64, one row for each pair of parts."""
    spot, temperature = _stack(outside, "spot"), _stack(outside, "temperature")
    ambient, cop = weather.surroundings(temperature, config.devices)
    return Scenario(
        spot=spot,
        up=spot + _stack(outside, "up"),
        down=spot - _stack(outside, "down"),
        wind_kwh=_stack(outside, "wind_kwh"),
        temperature=temperature,
        base_kwh=_stack(outside, "base_kwh"),
        base_kvarh=_stack(outside, "base_kvarh"),
        pv_kwh=_stack(outside, "pv_kwh"),
        arrival=_stack(habits, "arrival"),
        departure=_stack(habits, "departure"),
        need_kwh=_stack(habits, "need_kwh"),
        stored_kwh=_stack(habits, "stored_kwh"),
        ambient=ambient,
        cop=cop,
        start_temperature=_setpoints(config.devices).expand(len(outside), -1).clone(),
        ready=_stack(habits, "ready"),
        latest=_stack(habits, "latest"),
    )


def _stack(parts: Sequence[Outside] | Sequence[Sessions], field: str) -> Tensor:
    """One field of all parts [B, ...]."""
    return torch.from_numpy(np.stack([vars(part)[field] for part in parts]))


def _setpoints(devices: DevicesConfig) -> Tensor:
    """Set-points [H] of heat pumps, then freezers."""
    pump, freezer = devices.heat_pump, devices.freezer
    return torch.tensor([pump.setpoint_c] * pump.count + [freezer.setpoint_c] * freezer.count, dtype=torch.float64)
