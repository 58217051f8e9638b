"""What may be known at the start of a slot: the past as it was, the rest as expected in the light of it.

A known error of the day-ahead expectation is carried on and fades with the memory of its kind, which is the conditional
expectation of a first-order autoregressive error.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.config import EnvConfig
from totalflex_env.devices.family import Weather
from totalflex_env.types import Forecast, Params, Scenario, SlotForecast
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_HOUR


def forecast(params: Params, actual: Scenario, expected: Scenario, slot: int) -> Forecast:
    """Return what may be known of an episode at the start of `slot`.

    Of `actual` that is the spot price, the outcomes of earlier slots, this slot's temperature, and the sessions and
    programmes that have begun; all else comes from `expected`.
    """
    config, slots = params.config, actual.spot.shape[1]
    ahead = _outlook(actual, expected, slot, slots, config)
    known = min(slot + 1, slots)
    fade = _fade(expected.temperature, known, slots, config.forecast.temperature.memory_h)
    warmth = _carry(actual.temperature, expected.temperature, known, slots, fade)
    temperature = torch.cat([actual.temperature[:, :known], warmth], dim=1)
    irradiance = torch.cat([actual.irradiance[:, :known], _shining(actual, expected, known, config)], dim=1)
    scenario = replace(
        expected,
        spot=actual.spot,
        up=torch.cat([actual.up[:, :slot], ahead.up], dim=1),
        down=torch.cat([actual.down[:, :slot], ahead.down], dim=1),
        wind_kwh=torch.cat([actual.wind_kwh[:, :slot], ahead.wind_kwh], dim=1),
        temperature=temperature,
        base_kwh=torch.cat([actual.base_kwh[:, :slot], ahead.base_kwh], dim=1),
        base_kvarh=torch.cat([actual.base_kvarh[:, :slot], ahead.base_kvarh], dim=1),
        pv_kwh=torch.cat([actual.pv_kwh[:, :slot], ahead.pv_kwh], dim=1),
        irradiance=irradiance,
        habits=fleet.known(params, actual, expected, Weather(temperature, irradiance), slot),
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


def _shining(actual: Scenario, expected: Scenario, known: int, config: EnvConfig) -> Tensor:
    """The irradiance of slots from `known` on, between nothing and twice the expectation like solar power."""
    slots = expected.irradiance.shape[1]
    fade = _fade(expected.irradiance, known, slots, config.forecast.pv.memory_h)
    carried = _carry(actual.irradiance, expected.irradiance, known, slots, fade).clamp(min=0.0)
    return torch.minimum(carried, 2.0 * expected.irradiance[:, known:])


def _outlook(actual: Scenario, expected: Scenario, slot: int, stop: int, config: EnvConfig) -> SlotForecast:
    """The energies and prices of slots `slot` to `stop`, every tensor with that axis second: [B, stop - slot, ...].

    Production stays between nothing and twice the expectation: what is dark stays dark.
    """
    error, spot, begin = config.forecast, actual.spot[:, slot:stop], max(slot - 1, 0)

    def between(low: Tensor, high: Tensor) -> Tensor:
        return high[:, begin:stop] - low[:, begin:stop]  # no column that is not asked for

    def carry(truth: Tensor, guess: Tensor, memory_h: float) -> Tensor:
        return _carry(truth, guess, slot, stop, _fade(guess, slot, stop, memory_h))

    def produced(truth: Tensor, guess: Tensor, memory_h: float) -> Tensor:
        return torch.minimum(carry(truth, guess, memory_h).clamp(min=0.0), 2.0 * guess[:, slot:stop])

    held = _fade_by_period(actual.spot, slot, stop, config)
    rest = slot - begin, stop - begin, held
    above = _carry(between(actual.spot, actual.up), between(expected.spot, expected.up), *rest)
    below = _carry(between(actual.down, actual.spot), between(expected.down, expected.spot), *rest)
    lowest = 0.0 if config.market.imbalance == "two_price" else -torch.inf  # a single price lies on either side of spot
    return SlotForecast(
        base_kwh=carry(actual.base_kwh, expected.base_kwh, error.load.memory_h).clamp(min=0.0),
        base_kvarh=carry(actual.base_kvarh, expected.base_kvarh, error.load.memory_h),
        pv_kwh=produced(actual.pv_kwh, expected.pv_kwh, error.pv.memory_h),
        wind_kwh=produced(actual.wind_kwh, expected.wind_kwh, error.wind.memory_h),
        spot=spot,
        up=spot + above.clamp(min=lowest),
        down=spot - below.clamp(min=lowest),
    )


def _carry(actual: Tensor, expected: Tensor, known: int, stop: int, fade: Tensor) -> Tensor:
    """Slots `known` to `stop` of the expectation [B, T, ...] plus the error of the last of `known` slots, faded."""
    if known == 0:
        return expected[:, :stop]
    at = slice(known - 1, known)
    last = actual[:, at] - expected[:, at]
    return expected[:, known:stop] + fade.reshape(-1, *[1] * (expected.dim() - 2)) * last


def _fade(like: Tensor, known: int, stop: int, memory_h: float) -> Tensor:
    """Share of the last known error that is left in slots `known` to `stop`."""
    lead = torch.arange(1, stop - known + 1, dtype=like.dtype, device=like.device)
    return torch.exp(-lead * SLOT_HOURS / memory_h)


def _fade_by_period(series: Tensor, known: int, stop: int, config: EnvConfig) -> Tensor:
    """The same for imbalance prices, which hold for whole hours, or for quarter-hours in the era "15min"."""
    length = config.prices.period_slots
    period = torch.arange(-1, series.shape[1], device=series.device) // length  # of the slots from -1 on
    passed = period[known + 1 : stop + 1] - period[known]
    return torch.exp(-passed.to(series.dtype) * length / SLOTS_PER_HOUR / config.forecast.spread_memory_h)
