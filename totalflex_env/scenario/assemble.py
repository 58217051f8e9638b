"""How the parts of an episode become its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.scenario import weather
from totalflex_env.scenario.noise import Array
from totalflex_env.scenario.sessions import Sessions, Slots
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
    spot = _rows(each.spot for each in outside)
    temperature = _rows(each.temperature for each in outside)
    ambient, cop = weather.surroundings(temperature, config.devices)
    return Scenario(
        spot=spot,
        up=spot + _rows(each.up for each in outside),
        down=spot - _rows(each.down for each in outside),
        wind_kwh=_rows(each.wind_kwh for each in outside),
        temperature=temperature,
        base_kwh=_rows(each.base_kwh for each in outside),
        base_kvarh=_rows(each.base_kvarh for each in outside),
        pv_kwh=_rows(each.pv_kwh for each in outside),
        arrival=_rows(each.arrival for each in habits),
        departure=_rows(each.departure for each in habits),
        need_kwh=_rows(each.need_kwh for each in habits),
        stored_kwh=_rows(each.stored_kwh for each in habits),
        ambient=ambient,
        cop=cop,
        start_temperature=_setpoints(config.devices).expand(len(outside), -1).clone(),
        ready=_rows(each.ready for each in habits),
        latest=_rows(each.latest for each in habits),
    )


def _rows(values: Iterable[Array | Slots]) -> Tensor:
    return torch.from_numpy(np.stack(list(values)))


def _setpoints(devices: DevicesConfig) -> Tensor:
    """Set-points [H] of heat pumps, then freezers."""
    pump, freezer = devices.heat_pump, devices.freezer
    return torch.tensor([pump.setpoint_c] * pump.count + [freezer.setpoint_c] * freezer.count, dtype=torch.float64)
