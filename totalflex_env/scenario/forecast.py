"""What may be known at the start of a slot: the past as it was, the rest as expected in the light of it.

A known error of the day-ahead expectation is carried on and fades with the memory of its kind, which is the conditional
expectation of a first-order autoregressive error.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.scenario import weather
from totalflex_env.types import Forecast, Present, Scenario, SlotForecast
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_HOUR, kwh_from_kw


def forecast(actual: Scenario, expected: Scenario, slot: int, config: EnvConfig) -> Forecast:
    """Return what may be known of an episode at the start of `slot`.

    Of `actual` that is the spot price, the outcomes of earlier slots, this slot's temperature, and the sessions and
    programmes that have begun; all else comes from `expected`.
    """
    slots = actual.spot.shape[1]
    ahead = _outlook(actual, expected, slot, slots, config)
    known = min(slot + 1, slots)
    fade = _fade(expected.temperature, known, slots, config.forecast.temperature.memory_h)
    warmth = _carry(actual.temperature, expected.temperature, known, slots, fade)
    temperature = torch.cat([actual.temperature[:, :known], warmth], dim=1)
    ambient, cop = weather.surroundings(temperature, config.devices)
    scenario = replace(
        _habits(actual, expected, slot, config),
        spot=actual.spot,
        up=torch.cat([actual.up[:, :slot], ahead.up], dim=1),
        down=torch.cat([actual.down[:, :slot], ahead.down], dim=1),
        wind_kwh=torch.cat([actual.wind_kwh[:, :slot], ahead.wind_kwh], dim=1),
        temperature=temperature,
        base_kwh=torch.cat([actual.base_kwh[:, :slot], ahead.base_kwh], dim=1),
        base_kvarh=torch.cat([actual.base_kvarh[:, :slot], ahead.base_kvarh], dim=1),
        pv_kwh=torch.cat([actual.pv_kwh[:, :slot], ahead.pv_kwh], dim=1),
        ambient=ambient,
        cop=cop,
    )
    return Forecast(slot=slot, scenario=scenario)


def expect_slot(actual: Scenario, expected: Scenario, slot: int, config: EnvConfig) -> SlotForecast:
    """Return the column `slot` of `forecast`, at the cost of one slot."""
    ahead = _outlook(actual, expected, slot, slot + 1, config)
    return SlotForecast(
        base_kwh=ahead.base_kwh[:, 0],
        base_kvarh=ahead.base_kvarh[:, 0],
        pv_kwh=ahead.pv_kwh[:, 0],
        wind_kwh=ahead.wind_kwh[:, 0],
        spot=ahead.spot[:, 0],
        up=ahead.up[:, 0],
        down=ahead.down[:, 0],
    )


def present(actual: Scenario, expected: Scenario, slot: int, config: EnvConfig) -> Present:
    """Return what is known at the start of `slot` without forecasting, with expectations for what has yet to come."""
    known = _habits(actual, expected, slot, config)
    return Present(
        ambient=actual.ambient[:, slot],
        cop=actual.cop[:, slot],
        arrival=known.arrival,
        departure=known.departure,
        need_kwh=known.need_kwh,
        ready=known.ready,
        latest=known.latest,
    )


def _outlook(actual: Scenario, expected: Scenario, slot: int, stop: int, config: EnvConfig) -> SlotForecast:
    """The energies and prices of slots `slot` to `stop`, every tensor with that axis second: [B, stop - slot, ...].

    Production stays between nothing and twice the expectation: what is dark stays dark.
    """
    error, spot = config.forecast, actual.spot[:, slot:stop]

    def carry(truth: Tensor, guess: Tensor, memory_h: float) -> Tensor:
        return _carry(truth, guess, slot, stop, _fade(guess, slot, stop, memory_h))

    def produced(truth: Tensor, guess: Tensor, memory_h: float) -> Tensor:
        return torch.minimum(carry(truth, guess, memory_h).clamp(min=0.0), 2.0 * guess[:, slot:stop])

    by_hour = _fade_by_hour(spot, slot, stop, error.spread_memory_h)
    above = _carry(actual.up - actual.spot, expected.up - expected.spot, slot, stop, by_hour)
    below = _carry(actual.spot - actual.down, expected.spot - expected.down, slot, stop, by_hour)
    return SlotForecast(
        base_kwh=carry(actual.base_kwh, expected.base_kwh, error.load.memory_h).clamp(min=0.0),
        base_kvarh=carry(actual.base_kvarh, expected.base_kvarh, error.load.memory_h),
        pv_kwh=produced(actual.pv_kwh, expected.pv_kwh, error.pv.memory_h),
        wind_kwh=produced(actual.wind_kwh, expected.wind_kwh, error.wind.memory_h),
        spot=spot,
        up=spot + above.clamp(min=0.0),
        down=spot - below.clamp(min=0.0),
    )


def _carry(actual: Tensor, expected: Tensor, known: int, stop: int, fade: Tensor) -> Tensor:
    """Slots `known` to `stop` of the expectation [B, T, ...] plus the error of the last of `known` slots, faded."""
    if known == 0:
        return expected[:, :stop]
    last = (actual - expected)[:, known - 1 : known]
    return expected[:, known:stop] + fade.reshape(-1, *[1] * (expected.dim() - 2)) * last


def _fade(like: Tensor, known: int, stop: int, memory_h: float) -> Tensor:
    """Share of the last known error that is left in slots `known` to `stop`."""
    lead = torch.arange(1, stop - known + 1, dtype=like.dtype, device=like.device)
    return torch.exp(-lead * SLOT_HOURS / memory_h)


def _fade_by_hour(like: Tensor, known: int, stop: int, memory_h: float) -> Tensor:
    """The same for imbalance prices, which hold for whole hours."""
    hour = torch.arange(known, stop, device=like.device) // SLOTS_PER_HOUR - (known - 1) // SLOTS_PER_HOUR
    return torch.exp(-hour.to(like.dtype) / memory_h)


def _habits(actual: Scenario, expected: Scenario, slot: int, config: EnvConfig) -> Scenario:
    """The expectation, what has begun as it is, and what is overdue to begin in the next slot."""
    slots, charge_kwh = actual.spot.shape[1], kwh_from_kw(config.devices.ev.power_kw)
    there, loaded = actual.arrival <= slot, actual.ready <= slot
    arrival = expected.arrival.clamp(min=slot + 1).clamp(max=slots)
    needed = torch.ceil(expected.need_kwh / charge_kwh - 1e-6).long()
    departure = torch.maximum(expected.departure, arrival + needed).clamp(max=slots)
    need = torch.minimum(expected.need_kwh, (departure - arrival) * charge_kwh)
    return replace(
        expected,
        arrival=torch.where(there, actual.arrival, arrival),
        departure=torch.where(there, actual.departure, departure),
        need_kwh=torch.where(there, actual.need_kwh, need),
        stored_kwh=torch.where(there, actual.stored_kwh, expected.stored_kwh),
        ready=torch.where(loaded, actual.ready, torch.minimum(expected.ready.clamp(min=slot + 1), expected.latest)),
        latest=torch.where(loaded, actual.latest, expected.latest),
    )
