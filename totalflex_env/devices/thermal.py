"""Thermal devices: heat pumps in houses and freezers, each one heat capacity behind one resistance.

    T' = a T + (1 - a) T_ambient + direction * kelvin_per_kwh * cop * energy          a = exp(-dt / RC)

To treat heating and cooling alike, bounds are kept for the level direction * T: energy always raises the level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.config import FreezerConfig, HeatPumpConfig
from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places
from totalflex_env.types import Scenario, ThermalParams

COP_LOSS_PER_KELVIN = 0.04
"""when2heat's air-source coefficient of performance falls by less than this share per kelvin of cold."""


def build(heat_pump: HeatPumpConfig, freezer: FreezerConfig, houses: int, slot_hours: float) -> ThermalParams:
    """Return the parameters of all heat pumps (powers spread evenly over their range), then all freezers."""
    counts = (heat_pump.count, freezer.count)

    def both(of_heat_pump: float, of_freezer: float) -> Tensor:
        values = zip(counts, (of_heat_pump, of_freezer), strict=True)
        return torch.cat([torch.full((n,), v, dtype=torch.float64) for n, v in values])

    resistance = both(heat_pump.resistance_k_per_kw, freezer.resistance_k_per_kw)
    capacitance = both(heat_pump.capacitance_kwh_per_k, freezer.capacitance_kwh_per_k)
    retention = torch.exp(-slot_hours / (resistance * capacitance))
    powers = torch.linspace(*heat_pump.power_kw, max(heat_pump.count, 1), dtype=torch.float64)[: heat_pump.count]
    setpoint, band = both(heat_pump.setpoint_c, freezer.setpoint_c), both(heat_pump.band_k, freezer.band_k)
    return ThermalParams(
        power_kwh=torch.cat([powers, torch.full((freezer.count,), freezer.power_kw, dtype=torch.float64)]) * slot_hours,
        retention=retention,
        kelvin_per_kwh=(1.0 - retention) * resistance / slot_hours,
        direction=both(1.0, -1.0),
        setpoint=setpoint,
        lower=setpoint - band,
        upper=setpoint + band,
        margin_k=both(heat_pump.margin_k, 0.0),
        degree_hour_price=both(heat_pump.degree_hour_price, freezer.degree_hour_price),
        capacity_kwh_per_k=capacitance,
        house=torch.cat([torch.arange(n) % houses for n in counts]),
    )


def advance(params: ThermalParams, temperature: Tensor, energy: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return the temperature [B, H] after a slot in which `energy` [B, H] kWh was used."""
    drift = params.retention * temperature + (1.0 - params.retention) * scenario.ambient[:, slot]
    return drift + params.direction * params.kelvin_per_kwh * scenario.cop[:, slot] * energy


def envelope(params: ThermalParams, expected: Scenario) -> tuple[Tensor, Tensor]:
    """Return floor and ceiling [B, T + 1, H] of the level from which comfort can be kept to the end of the episode.

    Backward recursion over the forecast: full power must hold the floor at the coldest weather within the margin, no
    power the ceiling at the warmest. A device too weak for its band gets the ceiling as its floor: full power.
    """
    low, high = level_band(params)
    outside = params.direction * expected.ambient
    lift = params.kelvin_per_kwh * expected.cop * (1.0 - COP_LOSS_PER_KELVIN * params.margin_k) * params.power_kwh
    coldest = (1.0 - params.retention) * (outside - params.margin_k) + lift
    warmest = (1.0 - params.retention) * (outside + params.margin_k)
    floor, ceiling = [low.expand_as(outside[:, 0])], [high.expand_as(outside[:, 0])]
    for slot in reversed(range(outside.shape[1])):
        ceiling.append(torch.minimum(high, (ceiling[-1] - warmest[:, slot]) / params.retention))
        needed = torch.maximum(low, (floor[-1] - coldest[:, slot]) / params.retention)
        floor.append(torch.minimum(needed, ceiling[-1]))
    return torch.stack(floor[::-1], dim=1), torch.stack(ceiling[::-1], dim=1)


def level_band(params: ThermalParams) -> tuple[Tensor, Tensor]:
    """Return the levels [H] at which a device's store is empty and full: the ends of its comfort band."""
    heating = params.direction > 0.0
    return torch.where(heating, params.lower, -params.upper), torch.where(heating, params.upper, -params.lower)


def idle_level(params: ThermalParams, level: Tensor, ambient: Tensor) -> Tensor:
    """Return the level [..., H] after a slot without energy that began at `level` [..., H]."""
    return params.retention * level + (1.0 - params.retention) * params.direction * ambient


def energy_to(params: ThermalParams, temperature: Tensor, level: Tensor, ambient: Tensor, cop: Tensor) -> Tensor:
    """Return the energy [B, H] within the device's power that ends a slot at `level` or as near as it can."""
    idle = idle_level(params, params.direction * temperature, ambient)
    energy = (level - idle) / (params.kelvin_per_kwh * cop)
    return torch.minimum(energy.clamp(min=0.0), params.power_kwh)


def limits(
    params: ThermalParams, temperature: Tensor, scenario: Scenario, bounds: tuple[Tensor, Tensor], slot: int
) -> tuple[Tensor, Tensor]:
    """Return the energy range [B, H] kWh of a slot that ends within `bounds` [B, T + 1, H], as far as it can."""
    floor, ceiling = bounds
    weather = scenario.ambient[:, slot], scenario.cop[:, slot]
    lower = energy_to(params, temperature, floor[:, slot + 1], *weather)
    upper = energy_to(params, temperature, ceiling[:, slot + 1], *weather)
    return lower, torch.maximum(lower, upper)


def default(params: ThermalParams, temperature: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return what the thermostat does [B, H] kWh: reach the set-point within the slot, as far as power allows."""
    return energy_to(
        params, temperature, params.direction * params.setpoint, scenario.ambient[:, slot], scenario.cop[:, slot]
    )


def holding(params: ThermalParams, scenario: Scenario) -> Tensor:
    """Return the energy [B, T, H] kWh that keeps every device at its set-point, as far as power allows."""
    loss = (1.0 - params.retention) * params.direction * (params.setpoint - scenario.ambient)
    return torch.minimum((loss / (params.kelvin_per_kwh * scenario.cop)).clamp(min=0.0), params.power_kwh)


def degree_hours(params: ThermalParams, temperature: Tensor, slot_hours: float) -> Tensor:
    """Return the degree-hours [B, H] outside the comfort band of a slot that ends at `temperature`."""
    return ((params.lower - temperature).clamp(min=0.0) + (temperature - params.upper).clamp(min=0.0)) * slot_hours


def linear(
    params: ThermalParams,
    temperature: Tensor,
    scenario: Scenario,
    bounds: tuple[Tensor, Tensor],
    slot: int,
    slot_hours: float,
) -> LinearBlock:
    """Return the devices as a linear program from `temperature` [1, H] at the start of `slot`; `scenario` has one row.

    Levels stay within the `bounds` [1, T + 1, H] that `limits` keeps, or as near as a device can get.
    Variables: energy, level within the band, above it, below it [H, T], level missing against the start [H].
    """
    size = (len(params.house), scenario.spot.shape[1])
    energy, inside, above, below, missing = places(size, size, size, size, size[:1])
    balance, reach = places(size, size[:1])
    time, a, gain = torch.arange(size[1]), params.retention[:, None], (params.kelvin_per_kwh * scenario.cop[0]).T
    begin = (1.0 - a) * (params.direction * scenario.ambient[0]).T
    begin = begin + torch.where(time == slot, a * (params.direction * temperature[0])[:, None], 0.0)
    nothing, endless = torch.zeros(size), torch.full(size, torch.inf)
    passed = torch.where(time < slot, endless, 0.0)
    lower, upper = _level_parts(params, _reachable(params, temperature, scenario, bounds, slot))
    discomfort = (params.degree_hour_price * slot_hours)[:, None].expand(size)
    refill = scenario.spot.mean().clamp(min=0.0) * params.capacity_kwh_per_k / scenario.cop[0].mean(dim=0)
    level = [(inside, 1.0), (above, 1.0), (below, -1.0)]
    ahead = flat(*[(time >= slot).expand(size)] * 4, nothing[:, 0] + 1.0)
    return LinearBlock(
        cost=flat(nothing, nothing, discomfort, discomfort, refill),
        lower=flat(nothing, *lower, nothing[:, 0]) * ahead,
        upper=flat(params.power_kwh[:, None].expand(size), *upper, nothing[:, 0]) * ahead
        + flat(*[nothing] * 4, endless[:, 0]),
        integer=torch.zeros(len(ahead), dtype=torch.bool),
        rows=matrix(
            *[(balance, part, sign) for part, sign in level],
            *[(balance[:, 1:], part[:, :-1], -sign * a) for part, sign in level],
            *[(reach, part[:, -1], sign) for part, sign in level],
            (reach, missing, 1.0),
            (balance, energy, -gain),
        ),
        row_lower=flat(begin - passed, params.direction * scenario.start_temperature[0]),
        row_upper=flat(begin + passed, endless[:, 0]),
        energy=energy_map((time, torch.arange(size[0])[:, None], energy, 1.0)),
    )


def _level_parts(params: ThermalParams, levels: tuple[Tensor, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Split lowest and highest levels [H, T] into bounds of the parts within, above and below the comfort band."""
    low, high = (level[:, None] for level in level_band(params))
    least, most = levels
    lower = [least.clamp(low, high), (least - high).clamp(min=0.0), (low - most).clamp(min=0.0)]
    upper = [most.clamp(low, high), (most - high).clamp(min=0.0), (low - least).clamp(min=0.0)]
    return lower, upper


def _reachable(
    params: ThermalParams, temperature: Tensor, scenario: Scenario, bounds: tuple[Tensor, Tensor], slot: int
) -> tuple[Tensor, Tensor]:
    """Return lowest and highest level [H, T] that `limits` can lead to: floor and ceiling, if within reach."""
    low = high = temperature
    idle, full = torch.zeros_like(temperature), params.power_kwh.expand_as(temperature)
    least, most = [], []
    for t in range(scenario.spot.shape[1]):
        if t >= slot:
            strongest = params.direction * advance(params, low, full, scenario, t)
            weakest = params.direction * advance(params, high, idle, scenario, t)
            low = params.direction * torch.minimum(bounds[0][:, t + 1], strongest)
            high = params.direction * torch.maximum(bounds[1][:, t + 1], weakest)
        least.append((params.direction * low)[0])
        most.append((params.direction * high)[0])
    return torch.stack(least, dim=1), torch.stack(most, dim=1)
