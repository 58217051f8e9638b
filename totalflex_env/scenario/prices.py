"""What energy costs: hourly spot prices and imbalance spreads of a synthetic Danish winter.

Fitted to DK1, source Energinet (energidataservice.dk): spot 2022-10 to 2025-02, October to March; imbalance price
2023-02 to 2025-02, while it was settled by the hour.
"""

from __future__ import annotations

import math

import numpy as np

from totalflex_env.config import PriceConfig
from totalflex_env.scenario.noise import Array, wander
from totalflex_env.units import SLOTS_PER_HOUR, eur_per_kwh

DAILY_SHAPE = np.array(
    [
        [-14.0, -17.5, -20.0, -22.0, -22.5, -19.0, -8.0, 10.0, 19.0, 12.0, 3.5, -2.5],
        [-6.5, -8.0, -4.0, 4.0, 16.0, 32.5, 33.5, 23.5, 8.0, -1.0, -5.0, -12.0],
    ]
).ravel()
"""Mean spot price of each local hour less the mean of all, winters 2023/24 and 2024/25, EUR/MWh."""

WIND_CORRELATION = -0.55
"""Of the residual with the wind; in those winters the price fell by 110 EUR/MWh from calm to full wind."""

RESIDUAL_MEMORY_H = 24.0
"""72 % of the residual's variance lies between days, 28 % within them."""

NEGATIVE_SHARE = 0.2
"""Left of a price below zero, since wind parks stop then: the lowest of those winters was -9 EUR/MWh."""

UP_TO_DOWN = 1.69
"""Mean spread of hours with up-regulation (59 EUR/MWh) over that of hours with down-regulation (35 EUR/MWh)."""

LOG_SPREAD = 1.2
"""Standard deviation of the logarithm of a spread (1.3 measured, with a shorter tail)."""


def spot(rng: np.random.Generator, wind: Array, first_hour: int, prices: PriceConfig) -> Array:
    """Spot price [T] EUR/kWh: daily shape, slow residual and wind, the latter standardised [T]."""
    blowing = _hourly_mean(wind)
    own = wander(rng, len(blowing), RESIDUAL_MEMORY_H)[:, 0]
    residual = WIND_CORRELATION * blowing + math.sqrt(1.0 - WIND_CORRELATION**2) * own
    shape = DAILY_SHAPE[(first_hour + np.arange(len(blowing))) % 24]
    price = prices.spot_mean + prices.spot_shape * shape + prices.spot_deviation * residual
    return eur_per_kwh(_every_slot(np.where(price < 0.0, NEGATIVE_SHARE * price, price), len(wind)))


def spreads(rng: np.random.Generator, slots: int, prices: PriceConfig, memory_h: float) -> tuple[Array, Array]:
    """Imbalance spreads above and below the spot price [T] EUR/kWh, both >= 0, one of them 0.

    Each hour keeps regime (none, up or down) and size of the hour before with probability exp(-1 / memory_h), else both
    are drawn anew: a Markov chain with the configured shares as stationary distribution, whose conditional expectation
    fades exponentially. In DK1 each of the three regimes is kept with probability 0.53 beyond chance: 1.6 hours.
    """
    hours = math.ceil(slots / SLOTS_PER_HOUR)
    kept = rng.random(hours) < math.exp(-1.0 / memory_h)
    drawn = np.maximum.accumulate(np.where(kept, 0, np.arange(hours)))
    regime = rng.random(hours)[drawn]
    size = np.exp(LOG_SPREAD * rng.standard_normal(hours) - LOG_SPREAD**2 / 2.0)[drawn]
    up, down = _regime_means(prices)
    above = np.where(regime < prices.up_share, up * size, 0.0)
    below = np.where(regime > 1.0 - prices.down_share, down * size, 0.0)
    return eur_per_kwh(_every_slot(above, slots)), eur_per_kwh(_every_slot(below, slots))


def mean_spreads(prices: PriceConfig) -> tuple[float, float]:
    """Expected spread above and below the spot price, over all regimes, EUR/kWh."""
    up, down = _regime_means(prices)
    return eur_per_kwh(prices.up_share * up), eur_per_kwh(prices.down_share * down)


def _regime_means(prices: PriceConfig) -> tuple[float, float]:
    """Mean spread of the hours with up- and with down-regulation, EUR/MWh; together they average `spread_mean`."""
    weight = UP_TO_DOWN * prices.up_share + prices.down_share
    down = prices.spread_mean * (prices.up_share + prices.down_share) / weight if weight > 0.0 else 0.0
    return UP_TO_DOWN * down, down


def _hourly_mean(values: Array) -> Array:
    """Means over whole hours [ceil(T / 4)]; the last slot stands for what an hour lacks."""
    whole = np.pad(values, (0, -len(values) % SLOTS_PER_HOUR), mode="edge")
    return np.asarray(whole.reshape(-1, SLOTS_PER_HOUR).mean(axis=1), dtype=np.float64)


def _every_slot(hourly: Array, slots: int) -> Array:
    """Hourly values on quarter-hours [T]."""
    return np.repeat(hourly, SLOTS_PER_HOUR)[:slots]
