"""What homes consume without their flexible devices: a course of the day, and the chance of who cooks when.

Homes differ in size, and each wanders around the common course on its own, so that their peaks do not coincide: the
highest quarter-hour of a winter grows with the number n of homes about as Velander's formula has it, n k1 W + k2
sqrt(n W), W kWh a year, with k1 = 0.00033 and k2 = 0.05 for detached houses (docs/data.md has the source, compares).
"""

from __future__ import annotations

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.scenario import sun, weather
from totalflex_env.scenario.calendar import Calendar
from totalflex_env.scenario.noise import wander
from totalflex_env.scenario.outside import HouseDay
from totalflex_env.units import SLOTS_PER_HOUR, kwh_from_kw

HOURS_OF_A_YEAR = 8766.0
SATURDAY = 5

WORKDAY = np.array(
    [
        [0.55, 0.50, 0.47, 0.46, 0.47, 0.55, 0.90, 1.15, 0.95, 0.80, 0.78, 0.80],
        [0.83, 0.80, 0.80, 0.90, 1.20, 1.85, 2.00, 1.65, 1.40, 1.25, 1.05, 0.75],
    ]
).ravel()
WEEKEND = np.array(
    [
        [0.60, 0.53, 0.48, 0.47, 0.47, 0.50, 0.62, 0.85, 1.15, 1.30, 1.30, 1.25],
        [1.25, 1.20, 1.15, 1.15, 1.30, 1.75, 1.85, 1.55, 1.30, 1.20, 1.05, 0.80],
    ]
).ravel()
"""Consumption at each local hour, 1 is about the mean, as Danish homes without electric heating have it: an assumption
in round numbers, cooking between 17 and 19 being the peak of the day."""

WEEK_MEAN = float(5.0 * WORKDAY.mean() + 2.0 * WEEKEND.mean()) / 7.0

WINTER_SURPLUS = 0.15
"""Share of the mean that mid-winter adds and midsummer saves: light, and being at home."""

COLD_SURPLUS = 0.006
"""Share that each kelvin below the mean of the season adds: an assumption for pumps, tumblers and dark days."""

OWN_LOG_DEVIATION = 0.57
OWN_MEMORY_H = 0.7
COMMON_LOG_DEVIATION = 0.14
COMMON_MEMORY_H = 6.0
SIZE_LOG_DEVIATION = 0.40
REACTIVE_SHARE = 0.2
"""Reactive over active power, a power factor of 0.98."""


def sizes(config: EnvConfig, houses: int) -> tuple[Array, Array]:
    """Mean consumption of a slot and highest solar output of a slot [P] kWh: who lives there, the same in all episodes.

    Of the houses, the configured share has solar power, spread evenly over the grid.
    """
    given = config.synthetic
    rng = np.random.default_rng(given.houses_seed)
    spread = np.exp(SIZE_LOG_DEVIATION * rng.standard_normal(houses) - SIZE_LOG_DEVIATION**2 / 2.0)
    plants = np.floor(np.arange(1, houses + 1) * given.pv_share) - np.floor(np.arange(houses) * given.pv_share)
    mean = np.full(houses, kwh_from_kw(given.household_kwh / HOURS_OF_A_YEAR)) * spread
    return mean, np.asarray(plants * kwh_from_kw(given.pv_kw))


def draw(
    dice: Dice, time: Calendar, outdoors: weather.Weather, mean_kwh: Array, pv_rating_kwh: Array
) -> tuple[Array, Array]:
    """Draw consumption and solar production [B, T, P] kWh of homes under one sky."""
    own = wander(dice, time.slots, OWN_MEMORY_H * SLOTS_PER_HOUR, len(mean_kwh))
    common = wander(dice, time.slots, COMMON_MEMORY_H * SLOTS_PER_HOUR)
    variance = OWN_LOG_DEVIATION**2 + COMMON_LOG_DEVIATION**2
    chance = np.exp(OWN_LOG_DEVIATION * own + COMMON_LOG_DEVIATION * common - variance / 2.0)
    base = mean_kwh * _course(time, outdoors.temperature)[..., None] * chance
    return base, sun.power(outdoors.irradiance, time.day)[..., None] * pv_rating_kwh


def house_day(base: Array, pv: Array, mean_kwh: Array, pv_rating_kwh: Array, wind_rating_kwh: float) -> HouseDay:
    """Return what homes do in an episode, with the reactive energy of their consumption."""
    return HouseDay(base, REACTIVE_SHARE * base, pv, mean_kwh, pv_rating_kwh, wind_rating_kwh)


def _course(time: Calendar, temperature: Array) -> Array:
    """Expected consumption of every slot over the mean: hour, weekday, season, and cold."""
    marks = np.arange(25) + 0.5
    shapes = [np.interp((time.hour - 0.5) % 24.0 + 0.5, marks, np.append(each, each[0])) for each in (WORKDAY, WEEKEND)]
    season = 1.0 - WINTER_SURPLUS * weather.summer(time.day)
    cold = 1.0 + COLD_SURPLUS * (weather.expected_temperature(time.day) - temperature)
    shape = np.where(time.weekday >= SATURDAY, shapes[1], shapes[0]) / WEEK_MEAN
    return np.asarray(shape * season * np.maximum(cold, 0.5))
