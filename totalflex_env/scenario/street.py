"""Days on a real grid: a SimBench grid's own load and solar profiles, with synthetic prices, weather and habits.

The houses are those of `simbench_houses.py`. Profiles are taken as local time without daylight saving. Load and solar
profiles are the truth like the weather, and the expectation is drawn around them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from totalflex_env.config import EnvConfig
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.dice import Array, Dice
from totalflex_env.errors import ConfigError
from totalflex_env.scenario import (
    days,
    habits,
    outside,
    simbench,
    simbench_devices,
    simbench_houses,
    weather,
)
from totalflex_env.scenario.assemble import scenario
from totalflex_env.scenario.calendar import calendar
from totalflex_env.types import Scenario
from totalflex_env.units import SLOTS_PER_DAY, kwh_from_kw

NEW_YEAR = date(2016, 1, 1)
"""SimBench profiles are those of 2016."""


@dataclass(frozen=True)
class Year:
    """The profiles of the houses over a year of n slots, and what follows from them; all in kWh or kvarh per slot."""

    base_kwh: Array  # [n, P] inflexible consumption
    base_kvarh: Array  # [n, P]
    pv_kwh: Array  # [n, P] production
    first_slots: NDArray[np.int64]  # slots at which an episode may begin
    mean_base_kwh: Array  # [P] over the days that may be drawn
    pv_rating_kwh: Array  # [P] highest output
    sky: Array | None  # [n] irradiance in kW/m2, read off the solar plants; None without any
    wind_rating_kwh: float  # highest output of the wind park


@dataclass(frozen=True)
class StreetDays:
    """Draws days of a SimBench grid."""

    config: EnvConfig  # with the devices of the grid, where they are flexible
    net: Any  # pandapower net
    house_bus: tuple[int, ...]  # [P]
    peak_kw: tuple[float, ...]  # [P] highest inflexible consumption or production of the year
    year: Year

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""
        config, year, dice = self.config, self.year, Dice.of(seeds)
        first = year.first_slots[dice.integers(len(year.first_slots))]
        midnight = datetime.combine(NEW_YEAR, time())
        when = calendar([midnight + timedelta(minutes=15 * int(slot)) for slot in first], config.slots)
        outdoors = weather.draw(dice, when)
        paid = outside.market(dice, config, when, outdoors.wind)
        played = first[:, None] + np.arange(config.slots)
        houses = outside.HouseDay(
            base_kwh=year.base_kwh[played],
            base_kvarh=year.base_kvarh[played],
            pv_kwh=year.pv_kwh[played],
            mean_kwh=year.mean_base_kwh,
            pv_rating_kwh=year.pv_rating_kwh,
            wind_rating_kwh=year.wind_rating_kwh,
        )
        if year.sky is not None:
            outdoors = replace(outdoors, irradiance=year.sky[played])
        truth, guess = outside.expected_day(dice, config, outdoors, houses, paid, when)
        lived = habits.draw(dice, config, truth)
        return scenario(truth, lived), scenario(guess, habits.expected(config, guess))


def make(config: EnvConfig) -> StreetDays:
    """Return the source of the days of a SimBench grid; a grid without profiles is an error."""
    if config.grid.source != "simbench":
        expected = "'simbench', the grid whose profiles scenario.source 'simbench' draws from"
        raise ConfigError(config.name, "grid.source", config.grid.source, expected)
    loaded = simbench.load(config.grid.code)
    houses = simbench_houses.houses_of(loaded)
    if config.grid.devices == "flexible":
        config = with_devices(config, [simbench_devices.flexible(device) for device in houses.devices])
    else:
        houses = simbench_houses.played(houses)
    habits.check(config)
    return StreetDays(
        config=config,
        net=simbench.rerated(loaded.net, config.grid.transformer_kva),
        house_bus=houses.bus,
        peak_kw=tuple(np.maximum(houses.base_kw, houses.pv_kw).max(axis=0).tolist()),
        year=year_of(config, houses),
    )


def with_devices(config: EnvConfig, more: list[DeviceSettings]) -> EnvConfig:
    """Return `config` with the devices of the grid beside its own."""
    devices = config.devices.model_copy(update={"further": (*config.devices.further, *more)})
    return config.model_copy(update={"devices": devices})


def year_of(config: EnvConfig, houses: simbench_houses.Houses) -> Year:
    """Return the profiles of the houses, and a wind park sized for them."""
    base, pv = kwh_from_kw(houses.base_kw), kwh_from_kw(houses.pv_kw)
    first_slots = days.first_slots(NEW_YEAR, len(base), config)
    drawn = np.unique(np.add.outer(first_slots, np.arange(config.slots)))
    mean_base = base[drawn].mean(axis=0)
    outdoors = float(weather.season(drawn / SLOTS_PER_DAY).mean())
    consumption = float(mean_base.sum()) + kwh_from_kw(habits.mean_kw(config, outdoors))
    return Year(
        base_kwh=base,
        base_kvarh=kwh_from_kw(houses.base_kvar),
        pv_kwh=pv,
        first_slots=first_slots,
        mean_base_kwh=mean_base,
        pv_rating_kwh=pv.max(axis=0),
        sky=houses.sun_kw / houses.sun_kw.max() if houses.sun_kw.any() else None,
        wind_rating_kwh=config.wind.share * consumption / float(weather.wind_mean(drawn / SLOTS_PER_DAY).mean()),
    )
