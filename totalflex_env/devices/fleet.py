"""All devices of all kinds together: storages, then thermal devices, then appliances, in one axis N."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import appliance, storage, thermal
from totalflex_env.types import DeviceState, Episode, Params, Scenario


@dataclass(frozen=True)
class Discomfort:
    """What a slot did to the people in the houses."""

    cost: Tensor  # [B, N] EUR
    degree_hours: Tensor  # [B]
    unmet_kwh: Tensor  # [B]


@dataclass(frozen=True)
class Range:
    """Energy limits of a slot and what the devices' own controllers would do within them."""

    lower: Tensor  # [B, N] kWh
    upper: Tensor  # [B, N] kWh
    default: Tensor  # [B, N] kWh


def split(params: Params, energy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut [..., N] into the parts of storages [..., S], thermal devices [..., H] and appliances [..., A]."""
    storages, thermals = len(params.storage.house), len(params.thermal.house)
    return energy[..., :storages], energy[..., storages : storages + thermals], energy[..., storages + thermals :]


def start(scenario: Scenario) -> DeviceState:
    """Return the state [B, ...] at the beginning of an episode."""
    slots = scenario.spot.shape[1]
    return DeviceState(
        stored_kwh=scenario.stored_kwh,
        temperature=scenario.start_temperature,
        start=torch.full_like(scenario.ready, slots),
    )


def limits(params: Params, state: DeviceState, episode: Episode, slot: int) -> Range:
    """Return the energy range [B, N] of a slot that keeps later slots feasible, and the default within it."""
    actual = episode.actual
    bounds = (episode.heat_floor, episode.heat_ceiling)
    store = storage.limits(params.storage, state.stored_kwh, actual, slot)
    heat = thermal.limits(params.thermal, state.temperature, actual, bounds, slot)
    wash = appliance.limits(params.appliance, state.start, actual, slot)
    lower, upper = (torch.cat(part, dim=1) for part in zip(store, heat, wash, strict=True))
    thermostat = thermal.default(params.thermal, state.temperature, actual, slot).clamp(*heat)
    default = torch.cat([storage.default(params.storage, *store), thermostat, wash[1]], dim=1)
    return Range(lower, upper, default)


def snap(params: Params, energy: Tensor, allowed: Range) -> Tensor:
    """Return `energy` [B, N] brought into the limits, appliances to one of their two ends."""
    within = torch.minimum(torch.maximum(energy, allowed.lower), allowed.upper)
    appliances = slice(energy.shape[-1] - len(params.appliance.house), None)
    starts = appliance.snap(allowed.lower[..., appliances], allowed.upper[..., appliances], within[..., appliances])
    return torch.cat([within[..., : appliances.start], starts], dim=-1)


def advance(params: Params, state: DeviceState, energy: Tensor, scenario: Scenario, slot: int) -> DeviceState:
    """Return the state after a slot in which the devices used `energy` [B, N] kWh."""
    stored, heat, wash = split(params, energy)
    return DeviceState(
        stored_kwh=storage.advance(params.storage, state.stored_kwh, stored),
        temperature=thermal.advance(params.thermal, state.temperature, heat, scenario, slot),
        start=appliance.advance(state.start, wash, scenario, slot),
    )


def discomfort(params: Params, after: DeviceState, scenario: Scenario, slot: int) -> Discomfort:
    """Return missing charge, degree-hours and delays of a slot that ended in the state `after`."""
    missing = storage.unmet(params.storage, after.stored_kwh, scenario, slot)
    outside = thermal.degree_hours(params.thermal, after.temperature, params.slot_hours)
    waiting = appliance.delayed(after.start, scenario, slot)
    cost = [missing * params.storage.unmet_price, outside * params.thermal.degree_hour_price]
    return Discomfort(
        cost=torch.cat([*cost, waiting * params.appliance.delay_price], dim=1),
        degree_hours=outside.sum(dim=1),
        unmet_kwh=missing.sum(dim=1),
    )


def shortfall(params: Params, end: DeviceState, scenario: Scenario) -> Tensor:
    """Return the energy [B, N] kWh that refills batteries, houses and freezers to where the episode started."""
    store = params.storage
    stored = (scenario.stored_kwh - end.stored_kwh).clamp(min=0.0) / store.charge_efficiency * ~store.session
    cold = params.thermal.direction * (scenario.start_temperature - end.temperature)
    heat = cold.clamp(min=0.0) * params.thermal.capacity_kwh_per_k / scenario.cop.mean(dim=1)
    return torch.cat([stored, heat, torch.zeros_like(end.start, dtype=heat.dtype)], dim=1)
