"""What energy costs: day-ahead prices and imbalance spreads of a synthetic Danish year.

Fitted to DK1, source Energinet (energidataservice.dk), CC BY 4.0: day-ahead price 2022-10 to 2025-09, its course by
hour, weekday, season and wind 2023-04 to 2025-02; imbalance price by the hour 2023-02 to 2025-02, by the quarter-hour
2025-03 to 2025-07. `docs/data.md` sets what is drawn beside what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from totalflex_env.config import PriceConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.scenario import weather
from totalflex_env.scenario.calendar import Calendar
from totalflex_env.scenario.noise import wander
from totalflex_env.units import SLOTS_PER_HOUR, eur_per_kwh

WINTER_SHAPE = np.array(
    [
        [-15.0, -18.0, -20.5, -22.5, -23.0, -19.5, -8.5, 10.5, 18.0, 11.0, 2.5, -3.5],
        [-7.5, -9.0, -5.0, 3.0, 15.0, 31.5, 32.5, 22.5, 7.0, -2.0, -6.0, -13.0],
    ]
).ravel()
SUMMER_SHAPE = np.array(
    [
        [7.5, 1.5, -3.0, -5.0, -4.5, -1.0, 11.5, 22.5, 16.0, -1.0, -16.0, -26.5],
        [-33.5, -40.0, -42.0, -37.5, -25.0, -2.0, 20.5, 46.5, 53.0, 37.0, 23.0, 12.0],
    ]
).ravel()
"""Mean price of each local hour less the mean of its month, EUR/MWh, October to March and April to September.

The trough of summer is the sun's: within a month, sunnier days are not measurably cheaper in DK1 (correlations of -0.01
and 0.08), whose price many countries' sun makes.
"""

WEEKDAY_SHIFT = np.array([4.0, 7.0, 8.0, 9.0, 2.0, -10.0, -20.0])
"""Mean price of each weekday, Monday first, less the mean of all, EUR/MWh."""

WIND_CORRELATION = -0.55
"""Of the residual with the wind: from calm to full wind the price falls by some 90 EUR/MWh, in winter and summer."""

LEVEL_SHARE = 0.32
"""Share of the residual's variance that fuel prices and seasons make: it stays for months."""

LEVEL_MEMORY_H = 60.0 * 24.0
RESIDUAL_MEMORY_H = 30.0

SCARCE = 165.0
"""EUR/MWh from which winter prices grow ever faster: the highest 1 % of them lies above 238, 0.1 % above 550."""

SCARCE_SCALE = 35.0

NEGATIVE_SHARE = 0.2
"""Left of a price below zero, since wind parks stop then: in winter the lowest 0.1 % lies at -3 EUR/MWh."""

NEGATIVE_SCALE = 60.0
"""EUR/MWh below zero from which prices of summer fall ever faster: the lowest 0.1 % lies at -98, the lowest at -440."""

HARMONISED_LIMITS = (-500.0, 4000.0)
"""Lowest and highest day-ahead price of the European auction, EUR/MWh."""

BALANCING_LIMIT = 15_000.0
"""EUR/MWh that no spread exceeds, an assumption: the transitional limit of prices of balancing energy, up and down,
that ACER decision 03/2022 set until July 2026."""


@dataclass(frozen=True)
class Spreads:
    """How the sizes of imbalance spreads are distributed: log-normal, each direction with a mean and a tail."""

    up_to_down: float  # mean spread of periods with up-regulation over that of periods with down-regulation
    log_up: float  # standard deviation of the logarithm of a spread
    log_down: float


SPREADS = {"hourly": Spreads(1.69, 1.2, 1.2), "15min": Spreads(1.0, 1.5, 1.0)}
"""By the hour: 59 EUR/MWh up and 35 down; the deviation of the logarithm is 1.3, with a shorter tail.

By the quarter-hour only totals are known, but they tell the two directions apart: the highest price, 9,385 EUR/MWh, is
four times as far from the day-ahead prices as the lowest, -2,287, and 25 % of the prices are negative. Hence a longer
tail upwards, and downwards a median of 62 EUR/MWh, not far below the price of power itself.
"""


def spot(dice: Dice, share: Array, time: Calendar, prices: PriceConfig) -> Array:
    """Draw the day-ahead price [B, T] EUR/kWh, which holds for whole hours.

    Course of the day, the week and the season, months of dearness, a slow residual, and the wind, whose `share` [B, T]
    of its rating is known the day before.
    """
    blowing = _hourly_mean(weather.windiness(share, time.day))
    hours, day = blowing.shape[1], time.day[:, ::SLOTS_PER_HOUR]
    own = wander(dice, hours, RESIDUAL_MEMORY_H)[..., 0]
    level = wander(dice, hours, LEVEL_MEMORY_H)[..., 0]
    rest = math.sqrt(1.0 - WIND_CORRELATION**2 - LEVEL_SHARE)
    residual = WIND_CORRELATION * blowing + math.sqrt(LEVEL_SHARE) * level + rest * own
    price = prices.spot_mean + prices.spot_shape * _shape(time) + prices.spot_deviation * residual
    return eur_per_kwh(_every_slot(np.clip(_bent(price, day), *HARMONISED_LIMITS), SLOTS_PER_HOUR)[:, : time.slots])


def spreads(dice: Dice, slots: int, prices: PriceConfig, memory_h: float) -> tuple[Array, Array]:
    """Draw imbalance spreads above and below the spot price [B, slots] EUR/kWh, both >= 0, one of them 0.

    Each period keeps regime (none, up or down) and size of the one before with probability exp(-period / memory_h),
    else both are drawn anew: a Markov chain with the configured shares as stationary distribution, whose conditional
    expectation fades exponentially. By the hour, each of the three regimes is kept with probability 0.53 beyond chance:
    1.6 hours. A period lasts an hour, or a quarter-hour in the era "15min".
    """
    length = prices.period_slots
    periods = math.ceil(slots / length)
    kept = dice.uniform(periods) < math.exp(-length / SLOTS_PER_HOUR / memory_h)
    drawn = np.maximum.accumulate(np.where(kept, 0, np.arange(periods)), axis=1)
    regime = np.take_along_axis(dice.uniform(periods), drawn, axis=1)
    size = np.take_along_axis(dice.normal(periods), drawn, axis=1)
    of_era, (up, down) = SPREADS[prices.era], _regime_means(prices)
    dearer, cheaper = up * _log_normal(of_era.log_up, size), down * _log_normal(of_era.log_down, size)
    above = np.where(regime < prices.up_share, np.minimum(dearer, BALANCING_LIMIT), 0.0)
    below = np.where(regime > 1.0 - prices.down_share, np.minimum(cheaper, BALANCING_LIMIT), 0.0)
    return eur_per_kwh(_every_slot(above, length)[:, :slots]), eur_per_kwh(_every_slot(below, length)[:, :slots])


def mean_spreads(prices: PriceConfig) -> tuple[float, float]:
    """Expected spread above and below the spot price, over all regimes, EUR/kWh."""
    up, down = _regime_means(prices)
    return eur_per_kwh(prices.up_share * up), eur_per_kwh(prices.down_share * down)


def _shape(time: Calendar) -> Array:
    """Course of the day and the week at every hour; the share of summer is 0 to 1 from mid-winter to midsummer."""
    hours = np.s_[:, ::SLOTS_PER_HOUR]
    day, hour, weekday = time.day[hours], time.hour[hours].astype(int), time.weekday[hours]
    # Half-years are compared whole, so that each shape stands for the middle of its own: the mean of `summer` is 0.64.
    warm = np.clip((1.0 + weather.summer(day) / 0.64) / 2.0, 0.0, 1.0)
    return np.asarray((1.0 - warm) * WINTER_SHAPE[hour] + warm * SUMMER_SHAPE[hour] + WEEKDAY_SHIFT[weekday])


def _bent(price: Array, day: Array) -> Array:
    """Prices that run away where power is scarce in winter, and hardly fall below zero, unless in summer."""
    warm = (1.0 + weather.summer(day)) / 2.0
    excess, below = np.maximum(price - SCARCE, 0.0), np.maximum(-price, 0.0)
    dear = price + (1.0 - warm) * excess * (excess / SCARCE_SCALE) ** 2
    cheap = -NEGATIVE_SHARE * below * (1.0 + warm * (below / NEGATIVE_SCALE) ** 2)
    return np.where(price < 0.0, cheap, dear)


def _regime_means(prices: PriceConfig) -> tuple[float, float]:
    """Mean spread of the periods with up- and with down-regulation, EUR/MWh; together they average `spread_mean`."""
    up_to_down = SPREADS[prices.era].up_to_down
    weight = up_to_down * prices.up_share + prices.down_share
    down = prices.spread_mean * (prices.up_share + prices.down_share) / weight if weight > 0.0 else 0.0
    return up_to_down * down, down


def _log_normal(deviation: float, normal: Array) -> Array:
    """Log-normal values with a mean of 1 from standard normal ones; any shape."""
    return np.asarray(np.exp(deviation * normal - deviation**2 / 2.0))


def _hourly_mean(values: Array) -> Array:
    """Means over whole hours [B, ceil(T / 4)]; the last slot stands for what an hour lacks."""
    whole = np.pad(values, ((0, 0), (0, -values.shape[1] % SLOTS_PER_HOUR)), mode="edge")
    return np.asarray(whole.reshape(len(values), -1, SLOTS_PER_HOUR).mean(axis=2), dtype=np.float64)


def _every_slot(values: Array, length: int) -> Array:
    """Values of periods [B, ...] on quarter-hours."""
    return np.repeat(values, length, axis=1)
