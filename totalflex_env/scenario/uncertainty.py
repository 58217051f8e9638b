"""How far the day-ahead expectation is from the truth.

Every error is autoregressive: at long lead times its standard deviation is `deviation`, at lead time h, with the last
error known, it is deviation * sqrt(1 - exp(-2 h / memory_h)). Errors of energies are cut off at the energy itself and
at what is left to the rating, on both sides alike, so that nothing becomes negative and nothing is biased. What is
configured should be no better than what forecasters reach:

* Solar: fitted to the forecasts for DK1, 2023-04 to 2025-02 (Energinet), in shares of the highest output, by day. Their
  error one hour ahead is 0.56 of the day-ahead one, five hours ahead 0.95: a memory of 5 hours gives 0.57 and 0.93. A
  single street is harder to forecast than half a country, hence the greater deviation that is configured.
* Wind: day-ahead errors of a single park are 10 to 20 % of its rating, those of a region 5 to 8 % (Giebel et al., "The
  state of the art in short-term prediction of wind power", 2011). A portfolio of some parks lies between.
* Load: the mean of the same quarter-hour of four weeks misses the profiles of 1-LV-rural1--0-sw by 28 % (farm) to 104 %
  (home) of the mean of a house, and their sum by 22 %, memory 2 hours. Houses therefore share a part of their errors.
* Temperature: a day-ahead forecast at 2 m errs by 1 to 1.5 K in northern Europe.
"""

from __future__ import annotations

import math

import numpy as np

from totalflex_env.config import ErrorConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.scenario.noise import wander
from totalflex_env.units import SLOTS_PER_HOUR

SOLAR_DAY_AHEAD = 0.083  # share of the highest output
SOLAR_FIVE_HOURS = 0.078
SOLAR_ONE_HOUR = 0.046
WIND_DAY_AHEAD = 0.08  # share of the rating, the upper end for regions
LOAD_DAY_AHEAD = 0.22  # share of the mean of a street
TEMPERATURE_DAY_AHEAD = 1.0  # kelvin

SHARED_LOAD_ERROR = 0.3
"""Share of the variance of load errors that all houses have in common."""


def load(dice: Dice, error: ErrorConfig, base: Array, mean: Array) -> Array:
    """Errors [B, T, P] kWh of the consumption of houses, `base` [B, T, P] with long-term `mean` [P] kWh."""
    _, slots, houses = base.shape
    path = wander(dice, slots, error.memory_h * SLOTS_PER_HOUR, houses + 1)
    own, common = path[..., :-1], path[..., -1:]
    wide = math.sqrt(1.0 - SHARED_LOAD_ERROR) * own + math.sqrt(SHARED_LOAD_ERROR) * common
    return np.clip(error.deviation * mean * wide, -base, base)


def production(dice: Dice, error: ErrorConfig, produced: Array, rating: Array) -> Array:
    """Errors [B, T, P] kWh of producers under one sky, `produced` [B, T, P] of `rating` [P] kWh."""
    path = wander(dice, produced.shape[1], error.memory_h * SLOTS_PER_HOUR)
    room = np.minimum(produced, rating - produced)
    return np.clip(error.deviation * rating * path, -room, room)


def temperature(dice: Dice, error: ErrorConfig, slots: int) -> Array:
    """Errors [B, T] in kelvin."""
    return error.deviation * wander(dice, slots, error.memory_h * SLOTS_PER_HOUR)[..., 0]
