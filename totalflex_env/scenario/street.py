"""Days on a real grid: a SimBench grid's own load and solar profiles, with synthetic prices, weather and habits.

The houses are the loads of the grid. Solar power belongs to the first house at its bus, and where no house shares the
bus to the first house of all. Profiles are taken as local time without daylight saving. Load and solar profiles are the
truth, and the expectation is drawn around them; wind and temperature are drawn as expected, and the truth around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario import days, prices, sessions, simbench, uncertainty, weather
from totalflex_env.scenario.assemble import Outside, scenario
from totalflex_env.scenario.noise import Array
from totalflex_env.types import Scenario
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_DAY, kwh_from_kw

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
    wind_rating_kwh: float  # highest output of the wind park


@dataclass(frozen=True)
class StreetDays:
    """Draws days of a SimBench grid."""

    config: EnvConfig
    net: Any  # pandapower net
    house_bus: tuple[int, ...]  # [P]
    year: Year

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""
        truths, guesses, habits = zip(*(self._episode(np.random.default_rng(seed)) for seed in seeds))
        expected_habits = [sessions.expected(self.config)] * len(seeds)
        return scenario(self.config, truths, habits), scenario(self.config, guesses, expected_habits)

    def _episode(self, rng: np.random.Generator) -> tuple[Outside, Outside, sessions.Sessions]:
        """The truth and the expectation of what happens outside, and the true habits."""
        config, year, error, slots = self.config, self.year, self.config.forecast, self.config.slots
        first = int(rng.choice(year.first_slots))
        day = slice(first, first + slots)
        base, reactive, pv = year.base_kwh[day], year.base_kvarh[day], year.pv_kwh[day]
        base_guess = base - uncertainty.load(rng, error.load, base, year.mean_base_kwh)
        reactive_guess = reactive * np.divide(base_guess, base, out=np.ones_like(base), where=base > 0.0)
        pv_guess = pv - uncertainty.production(rng, error.pv, pv, year.pv_rating_kwh)

        share = weather.wind(rng, slots)
        wind, rating = year.wind_rating_kwh * share, np.array([year.wind_rating_kwh])
        wind_truth = wind + uncertainty.production(rng, error.wind, wind[:, None], rating)[:, 0]
        outdoors = weather.temperature(rng, first, slots)
        outdoors_truth = outdoors + uncertainty.temperature(rng, error.temperature, slots)

        spot = prices.spot(rng, weather.standardised(share), config.scenario.start_hour, config.prices)
        up, down = prices.spreads(rng, slots, config.prices, error.spread_memory_h)
        mean_up, mean_down = (np.full(slots, mean) for mean in prices.mean_spreads(config.prices))
        truth = Outside(spot, up, down, wind_truth, outdoors_truth, base, reactive, pv)
        guess = Outside(spot, mean_up, mean_down, wind, outdoors, base_guess, reactive_guess, pv_guess)
        return truth, guess, sessions.draw(rng, config)


def make(config: EnvConfig) -> StreetDays:
    """Return the source of the days of a SimBench grid; a grid without profiles is an error."""
    if config.grid.source != "simbench":
        expected = "'simbench', the grid whose profiles scenario.source 'simbench' draws from"
        raise ConfigError(config.name, "grid.source", config.grid.source, expected)
    sessions.check(config)
    loaded = simbench.load(config.grid.code)
    return StreetDays(
        config=config,
        net=loaded.net,
        house_bus=tuple(int(bus) for bus in loaded.load_bus),
        year=year_of(config, loaded),
    )


def year_of(config: EnvConfig, loaded: simbench.SimbenchNet) -> Year:
    """Return the profiles of the houses, with solar power at its house and a wind park sized for them."""
    base = kwh_from_kw(loaded.load_kw.astype(np.float64))
    pv = np.zeros_like(base)
    for generator, bus in enumerate(loaded.sgen_bus):
        pv[:, _house_at(bus, loaded.load_bus)] += kwh_from_kw(loaded.sgen_kw[:, generator].astype(np.float64))
    first_slots = days.first_slots(NEW_YEAR, len(base), config)
    drawn = np.unique(np.add.outer(first_slots, np.arange(config.slots)))
    mean_base = base[drawn].mean(axis=0)
    outdoors = float(weather.season(drawn / SLOTS_PER_DAY).mean())
    consumption = float(mean_base.sum()) + kwh_from_kw(mean_device_kw(config, outdoors))
    return Year(
        base_kwh=base,
        base_kvarh=kwh_from_kw(loaded.load_kvar.astype(np.float64)),
        pv_kwh=pv,
        first_slots=first_slots,
        mean_base_kwh=mean_base,
        pv_rating_kwh=pv.max(axis=0),
        wind_rating_kwh=config.wind.share * consumption / weather.WIND_MEAN,
    )


def mean_device_kw(config: EnvConfig, outdoors: float) -> float:
    """Mean power of all devices over an episode, roughly: what they need at the outdoor temperature `outdoors`."""
    devices, hours = config.devices, config.slots * SLOT_HOURS
    pump, freezer = devices.heat_pump, devices.freezer
    cop = float(weather.coefficient_of_performance(torch.tensor(outdoors), pump.flow_c))
    heat = max(pump.setpoint_c - outdoors, 0.0) / pump.resistance_k_per_kw / cop
    leak = max(freezer.room_c - freezer.setpoint_c, 0.0) / freezer.resistance_k_per_kw
    charge = sessions.mean_need_kwh(devices.ev) / hours
    wash = kwh_from_kw(sum(devices.dishwasher.profile_kw)) / hours
    cold = leak / freezer.coefficient_of_performance
    return heat * pump.count + cold * freezer.count + charge * devices.ev.count + wash * devices.dishwasher.count


def _house_at(bus: int, house_bus: NDArray[np.int64]) -> int:
    """The first house at a bus, else the first house."""
    return int(np.argmax(house_bus == bus))
