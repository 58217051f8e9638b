"""Days that are made up whole: weather, prices and homes drawn together, on any radial grid, without any data file.

The calendar is that of 2023, by the clock of Denmark; each of its days is drawn anew for every seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.scenario import days, habits, households, outside, weather
from totalflex_env.scenario.assemble import scenario
from totalflex_env.scenario.calendar import calendar
from totalflex_env.scenario.sources import grid_of
from totalflex_env.types import Scenario
from totalflex_env.units import kw_from_kwh, kwh_from_kw

YEAR = [date(2023, 1, 1) + timedelta(day) for day in range(365)]

PEAK_TO_MEAN = 15.0
"""Highest inflexible consumption of a home over its mean, as far as its grid connection is concerned."""


@dataclass(frozen=True)
class Homes:
    """Who lives on a grid, and the wind park that belongs to them; all in kWh per slot."""

    mean_kwh: Array  # [P] consumption in the long run
    pv_rating_kwh: Array  # [P] highest output
    wind_rating_kwh: float


@dataclass(frozen=True)
class SyntheticDays:
    """Draws days without any record."""

    config: EnvConfig
    net: Any  # pandapower net, None where the engine makes it
    house_bus: tuple[int, ...]  # [P]
    homes: Homes
    beginnings: tuple[date, ...]  # days on which an episode may begin

    @property
    def peak_kw(self) -> tuple[float, ...]:
        """Highest inflexible consumption or production of every house."""
        return peak_kw(self.homes)

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""
        config, homes, dice = self.config, self.homes, Dice.of(seeds)
        chosen = dice.integers(len(self.beginnings))
        when = calendar([days.start(self.beginnings[each], config) for each in chosen], config.slots)
        outdoors = weather.draw(dice, when)
        base, pv = households.draw(dice, when, outdoors, homes.mean_kwh, homes.pv_rating_kwh)
        paid = outside.market(dice, config, when, outdoors.wind)
        day = households.house_day(base, pv, homes.mean_kwh, homes.pv_rating_kwh, homes.wind_rating_kwh)
        truth, guess = outside.expected_day(dice, config, outdoors, day, paid, when)
        lived = habits.draw(dice, config, truth)
        return scenario(truth, lived), scenario(guess, habits.expected(config, guess))


def make(config: EnvConfig) -> SyntheticDays:
    """Return the source of made-up days on the grid of a configuration."""
    habits.check(config)
    grid = grid_of(config)
    beginnings = tuple(days.beginnings(YEAR, config))
    homes = homes_of(config, *households.sizes(config, len(grid.house_bus)), beginnings)
    return SyntheticDays(config, grid.net, grid.house_bus, homes, beginnings)


def homes_of(config: EnvConfig, mean: Array, pv: Array, beginnings: tuple[date, ...]) -> Homes:
    """Return homes of the given sizes [P] kWh, with a wind park that yields its share of what they and devices need."""
    of_year = calendar([days.start(day, config) for day in beginnings], 1).day[:, 0]
    outdoors, blowing = float(weather.season(of_year).mean()), float(weather.wind_mean(of_year).mean())
    consumption = float(mean.sum()) + kwh_from_kw(habits.mean_kw(config, outdoors))
    return Homes(mean, pv, config.wind.share * consumption / blowing)


def peak_kw(homes: Homes) -> tuple[float, ...]:
    """Highest inflexible consumption or production of every home."""
    return tuple(kw_from_kwh(np.maximum(PEAK_TO_MEAN * homes.mean_kwh, homes.pv_rating_kwh)).tolist())
