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
from totalflex_env.errors import ConfigError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Series
from totalflex_env.scenario import days, habits, households, outside, prices, synthetic, weather
from totalflex_env.scenario.assemble import Outside, scenario
from totalflex_env.scenario.noise import Array, wander
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
        truths, guesses, lived = zip(*(self._episode(np.random.default_rng(seed)) for seed in seeds))
        return scenario(truths, lived), scenario(guesses, [habits.expected(self.config, guess) for guess in guesses])

    def _episode(self, rng: np.random.Generator) -> tuple[Outside, Outside, tuple[Any, ...]]:
        """The truth and the expectation of what happens outside, and the true habits."""
        config, homes = self.config, self.homes
        day = self.beginnings[int(rng.integers(len(self.beginnings)))]
        first, begin = days.start(day, config), clock.moment(day, config.scenario.start_hour)
        spot = self.records.spot.window(begin, config.slots)
        outdoors = self._weather(rng, day, begin, spot)
        base, pv = households.draw(rng, first, outdoors, homes.mean_kwh, homes.pv_rating_kwh)
        base, pv = self._recorded(self.records.load, begin, base), self._recorded(self.records.pv, begin, pv)
        living = households.house_day(base, pv, homes.mean_kwh, homes.pv_rating_kwh, homes.wind_rating_kwh)
        paid = self._market(rng, begin, spot)
        truth, guess = outside.expected_day(rng, config, outdoors, living, paid, day.weekday())
        return truth, guess, habits.draw(rng, config, truth)

    def _recorded(self, houses: tuple[Series, ...], begin: np.datetime64, drawn: Array) -> Array:
        """Energy [T, P] kWh of the houses as recorded, else as drawn."""
        if not houses:
            return drawn
        return kwh_from_kw(np.column_stack([each.window(begin, self.config.slots) for each in houses]))

    def _weather(self, rng: np.random.Generator, day: date, begin: np.datetime64, spot: Array) -> weather.Weather:
        """What files know of the weather, and the rest to go with it."""
        records, slots, first = self.records, self.config.slots, days.start(day, self.config)
        of_year = weather.days(first, slots)
        if records.wind is None:
            own = wander(rng, slots, weather.WIND_MEMORY_H * SLOTS_PER_HOUR)[:, 0]
            dear = np.clip((spot - records.spot_mean) / records.spot_deviation, -2.0, 2.0)
            drift = prices.WIND_CORRELATION * dear + math.sqrt(1.0 - prices.WIND_CORRELATION**2) * own
        else:
            drift = weather.drift_of(records.wind.window(begin, slots), of_year)
        drawn = weather.draw(rng, first, slots, drift)
        if records.wind is not None:
            drawn = replace(drawn, wind=records.wind.window(begin, slots))
        if records.temperature is not None:
            drawn = replace(drawn, temperature=records.temperature.window(begin, slots))
        return drawn

    def _market(self, rng: np.random.Generator, begin: np.datetime64, spot: Array) -> outside.Market:
        """The recorded prices; imbalance prices are expected to be what they are on average."""
        config, slots, price = self.config, self.config.slots, self.records.imbalance
        if price is None:
            up, down = prices.spreads(rng, slots, config.prices, config.forecast.spread_memory_h)
            mean_up, mean_down = prices.mean_spreads(config.prices)
        else:
            paid = price.window(begin, slots)
            up, down = np.maximum(paid - spot, 0.0), np.maximum(spot - paid, 0.0)
            mean_up, mean_down = self.records.mean_spreads
        return outside.Market(spot, up, down, np.full(slots, mean_up), np.full(slots, mean_down))


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
