"""Days that were: prices, wind, temperature and charging sessions played from files, on any radial grid.

A day can be drawn when every file covers it. What no file brings is drawn as in the source 'synthetic', to go with what
is known: without a wind file, cheap hours are windy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.dice import Array, Dice
from totalflex_env.errors import ConfigError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Series
from totalflex_env.scenario import days, habits, households, outside, prices, synthetic, weather
from totalflex_env.scenario.assemble import scenario
from totalflex_env.scenario.calendar import Calendar, calendar
from totalflex_env.scenario.noise import wander
from totalflex_env.scenario.records import Records, load, with_sessions
from totalflex_env.scenario.sources import grid_of
from totalflex_env.types import Scenario
from totalflex_env.units import SLOTS_PER_HOUR, kwh_from_kw


@dataclass(frozen=True)
class RecordedDays:
    """Draws days from files."""

    config: EnvConfig
    net: Any  # pandapower net, None where the engine makes it
    house_bus: tuple[int, ...]  # [P]
    homes: synthetic.Homes
    records: Records
    beginnings: tuple[date, ...]  # days on which an episode may begin

    @property
    def peak_kw(self) -> tuple[float, ...]:
        """Highest inflexible consumption or production of every house."""
        return synthetic.peak_kw(self.homes)

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""
        config, homes, dice = self.config, self.homes, Dice.of(seeds)
        chosen = [self.beginnings[each] for each in dice.integers(len(self.beginnings))]
        when = calendar([days.start(day, config) for day in chosen], config.slots)
        begins = [clock.moment(day, config.scenario.start_hour) for day in chosen]
        spot = self._played(self.records.spot, begins)
        outdoors = self._weather(dice, when, begins, spot)
        base, pv = households.draw(dice, when, outdoors, homes.mean_kwh, homes.pv_rating_kwh)
        base, pv = self._recorded(self.records.load, begins, base), self._recorded(self.records.pv, begins, pv)
        living = households.house_day(base, pv, homes.mean_kwh, homes.pv_rating_kwh, homes.wind_rating_kwh)
        paid = self._market(dice, begins, spot)
        truth, guess = outside.expected_day(dice, config, outdoors, living, paid, when)
        lived = habits.draw(dice, config, truth)
        return scenario(truth, lived), scenario(guess, habits.expected(config, guess))

    def _played(self, series: Series, begins: list[np.datetime64]) -> Array:
        """The values [B, T] of a series in episodes that begin at these moments."""
        return np.stack([series.window(begin, self.config.slots) for begin in begins])

    def _recorded(self, houses: tuple[Series, ...], begins: list[np.datetime64], drawn: Array) -> Array:
        """Energy [B, T, P] kWh of the houses as recorded, else as drawn."""
        if not houses:
            return drawn
        return kwh_from_kw(np.stack([self._played(each, begins) for each in houses], axis=2))

    def _weather(self, dice: Dice, when: Calendar, begins: list[np.datetime64], spot: Array) -> weather.Weather:
        """What files know of the weather, and the rest to go with it."""
        records = self.records
        if records.wind is None:
            own = wander(dice, when.slots, weather.WIND_MEMORY_H * SLOTS_PER_HOUR)[..., 0]
            dear = np.clip((spot - records.spot_mean) / records.spot_deviation, -2.0, 2.0)
            drift = prices.WIND_CORRELATION * dear + math.sqrt(1.0 - prices.WIND_CORRELATION**2) * own
        else:
            drift = weather.drift_of(self._played(records.wind, begins), when.day)
        drawn = weather.draw(dice, when, drift)
        if records.wind is not None:
            drawn = replace(drawn, wind=self._played(records.wind, begins))
        if records.temperature is not None:
            drawn = replace(drawn, temperature=self._played(records.temperature, begins))
        return drawn

    def _market(self, dice: Dice, begins: list[np.datetime64], spot: Array) -> outside.Market:
        """The recorded prices; imbalance prices are expected to be what they are on average."""
        config, price = self.config, self.records.imbalance
        if price is None:
            up, down = prices.spreads(dice, config.slots, config.prices, config.forecast.spread_memory_h)
            mean_up, mean_down = prices.mean_spreads(config.prices)
        else:
            paid = self._played(price, begins)
            up, down = np.maximum(paid - spot, 0.0), np.maximum(spot - paid, 0.0)
            mean_up, mean_down = self.records.mean_spreads
        return outside.Market(spot, up, down, np.full(spot.shape, mean_up), np.full(spot.shape, mean_down))


def make(config: EnvConfig) -> RecordedDays:
    """Return the source of recorded days; files that cannot be read or share no day are errors."""
    grid = grid_of(config)
    records = load(config, grid.load)
    config = with_sessions(config)
    habits.check(config)
    covered = [day for day in _days(config, records.series) if _whole(config, day, records.series)]
    if not covered:
        spans = ", ".join(f"{each.file} {each.begin} to {each.end}" for each in records.series)
        raise ConfigError(config.name, "recorded", spans, f"a day of {config.slots} slots that all files cover")
    beginnings = tuple(days.beginnings(covered, config))
    mean, pv = households.sizes(config, len(grid.house_bus))
    if records.load:
        mean = kwh_from_kw(np.array([np.nanmean(each.values) for each in records.load]))
    if records.pv:
        pv = kwh_from_kw(np.array([np.nanmax(each.values) for each in records.pv]))
    homes = synthetic.homes_of(config, mean, pv, beginnings)
    return RecordedDays(config, grid.net, grid.house_bus, homes, records, beginnings)


def _days(config: EnvConfig, series: tuple[Series, ...]) -> list[date]:
    """Local days that lie between all beginnings and all ends, and between the configured days."""
    given = config.recorded
    first = max([clock.local(each.begin).date() for each in series] + ([given.first_day] if given.first_day else []))
    last = min([clock.local(each.end).date() for each in series] + ([given.last_day] if given.last_day else []))
    return [first + timedelta(day) for day in range((last - first).days + 1)]


def _whole(config: EnvConfig, day: date, series: tuple[Series, ...]) -> bool:
    """Whether an episode that begins on a day lies in every series, and meets no hole that was left in one."""
    begin = clock.moment(day, config.scenario.start_hour)
    end = begin + np.timedelta64(15 * config.slots, "m")
    inside = all(each.begin <= begin and end <= each.end for each in series)
    return inside and all(bool(np.isfinite(each.window(begin, config.slots)).all()) for each in series)
