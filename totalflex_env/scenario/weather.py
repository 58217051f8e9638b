"""What the weather does: outdoor temperature, wind power, and what heat pumps and freezers feel of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from totalflex_env.config import DevicesConfig
from totalflex_env.scenario.noise import Array, wander
from totalflex_env.units import SLOTS_PER_DAY, SLOTS_PER_HOUR

# Temperature of Aalborg 2018-19 (DMI Open Data): mean 8.9, standard deviation 7.0 degrees Celsius.
YEAR_MEAN = 8.9
SEASON_AMPLITUDE = 8.0
WARMEST_DAY = 205.0
DAY_AMPLITUDE = (1.1, 3.8)  # mid-winter and midsummer
WARMEST_HOUR = 14.5
TEMPERATURE_DEVIATION = 3.6  # of the rest, which keeps 1/e of a deviation for two days
TEMPERATURE_MEMORY_H = 50.0

# Onshore wind of one Jutland municipality, October to March 2023-2025 (Energinet): mean 0.30, standard deviation 0.27
# of the highest output; quantiles 25, 50, 75, 95 %: 0.06, 0.23, 0.50, 0.82. Its logit is nearly normal, memory 18 h.
WIND_LOGIT_MEAN = -1.3
WIND_LOGIT_DEVIATION = 1.8
WIND_MEMORY_H = 18.0
WIND_MEAN = 0.301
WIND_DEVIATION = 0.266

FIELD_FACTOR = 0.85
"""Correction of laboratory coefficients of performance for use in the field, as in when2heat."""


def season(day: Array) -> Array:
    """Mean temperature of a day of the year, counted from 1 January, fractions allowed; any shape."""
    return YEAR_MEAN + SEASON_AMPLITUDE * _summer(day)


def temperature(rng: np.random.Generator, first_slot: int, slots: int) -> Array:
    """Outdoor temperature [slots], beginning `first_slot` quarter-hours after New Year."""
    day = (first_slot + np.arange(slots)) / SLOTS_PER_DAY
    low, high = DAY_AMPLITUDE
    swing = low + (high - low) * (1.0 + _summer(day)) / 2.0
    daily = swing * np.cos(2.0 * np.pi * (day - WARMEST_HOUR / 24.0))
    rest = wander(rng, slots, TEMPERATURE_MEMORY_H * SLOTS_PER_HOUR)[:, 0]
    return season(day) + daily + TEMPERATURE_DEVIATION * rest


def wind(rng: np.random.Generator, slots: int) -> Array:
    """Output of a wind park as a share of its rating [slots], between 0 and 1."""
    logit = WIND_LOGIT_MEAN + WIND_LOGIT_DEVIATION * wander(rng, slots, WIND_MEMORY_H * SLOTS_PER_HOUR)[:, 0]
    return 1.0 / (1.0 + np.exp(-logit))


def standardised(share: Array) -> Array:
    """The output of a wind park in standard deviations from its mean; any shape."""
    return (share - WIND_MEAN) / WIND_DEVIATION


def coefficient_of_performance(temperature: Tensor, flow_c: float) -> Tensor:
    """Heat per electric energy of an air-source heat pump, any shape; 1.1 at its lowest.

    when2heat (Ruhnau et al. 2019): 6.08 - 0.0941 dT + 0.000464 dT², dT the lift to the supply temperature.
    """
    lift = flow_c - temperature
    return FIELD_FACTOR * (6.08 - 0.0941 * lift + 0.000464 * lift * lift)


def surroundings(temperature: Tensor, devices: DevicesConfig) -> tuple[Tensor, Tensor]:
    """Ambient temperature and coefficient of performance [B, T, H] of heat pumps, then freezers; outdoors [B, T]."""
    pumps, freezers = devices.heat_pump.count, devices.freezer.count
    room = temperature.new_full((*temperature.shape, freezers), devices.freezer.room_c)
    cold = temperature.new_full((*temperature.shape, freezers), devices.freezer.coefficient_of_performance)
    outdoors = temperature.unsqueeze(-1).expand(*temperature.shape, pumps)
    heat = coefficient_of_performance(temperature, devices.heat_pump.flow_c).unsqueeze(-1).expand_as(outdoors)
    return torch.cat([outdoors, room], dim=-1), torch.cat([heat, cold], dim=-1)


def _summer(day: Array) -> Array:
    """1 on the warmest day of the year, -1 on the coldest."""
    return np.cos(2.0 * np.pi * (day - WARMEST_DAY) / 365.25)
