"""What the weather does: outdoor temperature, wind and sunshine, drawn together, since one comes with the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from totalflex_env.dice import Array, Dice
from totalflex_env.scenario import sun
from totalflex_env.scenario.calendar import Calendar
from totalflex_env.scenario.noise import wander
from totalflex_env.units import SLOTS_PER_HOUR

# Temperature of Aalborg 2018-19 (DMI Open Data): mean 8.9, standard deviation 7.0 degrees Celsius.
YEAR_MEAN = 8.9
SEASON_AMPLITUDE = 8.0
WARMEST_DAY = 205.0
DAY_AMPLITUDE = (1.1, 3.8)  # mid-winter and midsummer
WARMEST_HOUR = 14.5
TEMPERATURE_DEVIATION = 3.6  # of the rest, of which 0.57 is left after two days and 0.33 after a week
TEMPERATURE_MEMORY_H = 140.0  # of the part that neither wind nor clouds explain

# Onshore wind of one Jutland municipality, 2023-04 to 2025-02 (Energinet), in shares of its highest output. October to
# March: mean 0.30, standard deviation 0.28; quantiles 25, 50, 75, 95 %: 0.05, 0.23, 0.51, 0.84. April to September:
# mean 0.18, standard deviation 0.19; 0.04, 0.11, 0.28, 0.59. Its logit is nearly normal, memory 18 h.
WIND_LOGIT = (-1.70, -0.62)  # mean over the year, and what summer adds
WIND_LOGIT_DEVIATION = (1.73, -0.17)
WIND_MEMORY_H = 18.0
WIND_MEAN = (0.246, -0.089)  # of the share: mean over the year, and what summer adds
WIND_DEVIATION = (0.235, -0.053)

# Sunshine, as share of what a clear sky would give. DK1 solar power, May to July 2023-24 (Energinet): mean 0.68,
# standard deviation 0.29, quantiles 5, 25, 50, 75 %: 0.11, 0.48, 0.76, 0.93; daily means 0.24 after a day. Winter is
# duller: DWD test reference years 1 to 3, North and Baltic Sea coast, daily means 0.42 to 0.54 against 0.63 to 0.71.
CLEARNESS_LOGIT = (0.50, 0.65)
CLEARNESS_LOGIT_DEVIATION = 1.6
CLOUD_MEMORY_H = (18.0, 1.0)  # weather, and broken clouds
BROKEN_SHARE = 0.2  # of the variance

# Correlations of daily deviations from the season, DWD test reference years 1 to 3: mid-winter and midsummer.
WARM_WIND = (0.45, -0.35)  # 0.28 to 0.63, and -0.24 to -0.43: westerlies are mild in winter and cool in summer
WARM_SUN = (-0.20, 0.45)  # -0.06 to -0.33, and 0.33 to 0.64
WINDY_SUN = -0.15  # -0.01 to -0.30; DK1, hours of daylight: -0.16 in winter, -0.18 in summer


@dataclass(frozen=True)
class Weather:
    """The weather of T quarter-hours in B episodes."""

    temperature: Array  # [B, T] degrees Celsius, outdoors
    wind: Array  # [B, T] output of a wind park as a share of its rating, between 0 and 1
    irradiance: Array  # [B, T] kW/m2 on the horizontal plane


def draw(dice: Dice, time: Calendar, drift: Array | None = None) -> Weather:
    """Draw the weather of B episodes.

    Where the wind is known, `drift` [B, T] says how it deviates, as `drift_of` has it; sun and temperature go with it.
    """
    day = time.day
    wind, slow, broken, warm = (
        wander(dice, time.slots, hours * SLOTS_PER_HOUR)[..., 0]
        for hours in (WIND_MEMORY_H, *CLOUD_MEMORY_H, TEMPERATURE_MEMORY_H)
    )
    wind = wind if drift is None else drift
    clear = WINDY_SUN * wind + math.sqrt(1.0 - WINDY_SUN**2) * slow
    clearness = _logistic(
        _seasonal(CLEARNESS_LOGIT, day)
        + CLEARNESS_LOGIT_DEVIATION * (math.sqrt(1.0 - BROKEN_SHARE) * clear + math.sqrt(BROKEN_SHARE) * broken)
    )  # fmt: skip
    share = _logistic(_seasonal(WIND_LOGIT, day) + _seasonal(WIND_LOGIT_DEVIATION, day) * wind)
    # The temperature's part in the wind and in the slow part of the clouds follows from its correlations with both.
    of_wind = _between(WARM_WIND, day)
    of_slow = (_between(WARM_SUN, day) - of_wind * WINDY_SUN) / math.sqrt(1.0 - WINDY_SUN**2)
    rest = of_wind * wind + of_slow * slow + np.sqrt(1.0 - of_wind**2 - of_slow**2) * warm
    return Weather(
        temperature=expected_temperature(day) + TEMPERATURE_DEVIATION * rest,
        wind=share,
        irradiance=sun.clear_sky(day) * clearness,
    )


def drift_of(share: Array, day: Array) -> Array:
    """What makes a wind park yield `share` of its rating at a time of the year: the inverse of what `draw` does.

    The result is about normal with unit variance; calm and full wind are taken as 0.2 % from the ends. Any shape.
    """
    inside = np.clip(share, 0.002, 0.998)
    return np.asarray(
        (np.log(inside / (1.0 - inside)) - _seasonal(WIND_LOGIT, day)) / _seasonal(WIND_LOGIT_DEVIATION, day)
    )


def season(day: Array) -> Array:
    """Mean temperature of a day of the year, counted from 1 January, fractions allowed; any shape."""
    return YEAR_MEAN + SEASON_AMPLITUDE * summer(day)


def expected_temperature(day: Array) -> Array:
    """Mean temperature of a time of the year, by season and hour; any shape."""
    daily = _between(DAY_AMPLITUDE, day) * np.cos(2.0 * np.pi * (day - WARMEST_HOUR / 24.0))
    return np.asarray(season(day) + daily)


def wind_mean(day: Array) -> Array:
    """Mean output of a wind park at a time of the year, as a share of its rating; any shape."""
    return _seasonal(WIND_MEAN, day)


def windiness(share: Array, day: Array) -> Array:
    """The output of a wind park in standard deviations from the mean of the season; any shape."""
    return (share - wind_mean(day)) / _seasonal(WIND_DEVIATION, day)


def summer(day: Array) -> Array:
    """1 on the warmest day of the year, -1 on the coldest; `day` counts from 1 January, any shape."""
    return np.asarray(np.cos(2.0 * np.pi * (day - WARMEST_DAY) / 365.25))


def _seasonal(course: tuple[float, float], day: Array) -> Array:
    """A mean over the year, and what summer adds to it and winter takes from it."""
    return course[0] + course[1] * summer(day)


def _between(ends: tuple[float, float], day: Array) -> Array:
    """From the value of mid-winter to that of midsummer."""
    winter, midsummer = ends
    return winter + (midsummer - winter) * (1.0 + summer(day)) / 2.0


def _logistic(logit: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
