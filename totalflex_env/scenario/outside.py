"""What happens outside the devices, as it is and as it is expected the day before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.scenario import prices, uncertainty
from totalflex_env.scenario.assemble import Outside
from totalflex_env.scenario.calendar import Calendar
from totalflex_env.scenario.weather import Weather

FULL_SUN = 1.0
"""kW/m2 that a forecast error of the irradiance is a share of."""


@dataclass(frozen=True)
class HouseDay:
    """What the houses do without their devices in B episodes, and what that is to be compared with."""

    base_kwh: Array  # [B, T, P] inflexible consumption
    base_kvarh: Array  # [B, T, P]
    pv_kwh: Array  # [B, T, P] production
    mean_kwh: Array  # [P] consumption of a slot in the long run
    pv_rating_kwh: Array  # [P] highest output
    wind_rating_kwh: float  # highest output of the wind park


@dataclass(frozen=True)
class Market:
    """Prices of B episodes in EUR/kWh."""

    spot: Array  # [B, T]
    up: Array  # [B, T] above the spot price, >= 0
    down: Array  # [B, T] below it, >= 0
    mean_up: Array  # [B, T] what is expected of them the day before
    mean_down: Array  # [B, T]


def market(dice: Dice, config: EnvConfig, time: Calendar, share: Array) -> Market:
    """Draw the prices of B episodes; a wind park yields `share` [B, T] of its rating."""
    spot = prices.spot(dice, share, time, config.prices)
    up, down = prices.spreads(dice, time.slots, config.prices, config.forecast.spread_memory_h)
    mean_up, mean_down = (np.full(spot.shape, mean) for mean in prices.mean_spreads(config.prices))
    return Market(spot, up, down, mean_up, mean_down)


def expected_day(
    dice: Dice, config: EnvConfig, weather: Weather, houses: HouseDay, paid: Market, time: Calendar
) -> tuple[Outside, Outside]:
    """Return the truth and what is expected of it the day before.

    Houses and weather are the truth, and the expectation is drawn around them, as it is around a recorded day.
    """
    error, rating = config.forecast, np.array([houses.wind_rating_kwh])
    base, reactive = houses.base_kwh, houses.base_kvarh
    base_guess = base - uncertainty.load(dice, error.load, base, houses.mean_kwh)
    reactive_guess = reactive * np.divide(base_guess, base, out=np.ones_like(base), where=base > 0.0)
    lit = np.concatenate([houses.pv_kwh, weather.irradiance[..., None]], axis=2)
    lit_guess = lit - uncertainty.production(dice, error.pv, lit, np.append(houses.pv_rating_kwh, FULL_SUN))
    wind = houses.wind_rating_kwh * weather.wind
    wind_guess = wind - uncertainty.production(dice, error.wind, wind[..., None], rating)[..., 0]
    warmth_guess = weather.temperature - uncertainty.temperature(dice, error.temperature, time.slots)
    truth = Outside(
        spot=paid.spot,
        up=paid.up,
        down=paid.down,
        wind_kwh=wind,
        temperature=weather.temperature,
        base_kwh=base,
        base_kvarh=reactive,
        pv_kwh=houses.pv_kwh,
        irradiance=weather.irradiance,
        weekday=time.weekday[:, 0],
    )
    guess = Outside(
        spot=paid.spot,
        up=paid.mean_up,
        down=paid.mean_down,
        wind_kwh=wind_guess,
        temperature=warmth_guess,
        base_kwh=base_guess,
        base_kvarh=reactive_guess,
        pv_kwh=lit_guess[..., :-1],
        irradiance=lit_guess[..., -1],
        weekday=time.weekday[:, 0],
    )
    return truth, guess
