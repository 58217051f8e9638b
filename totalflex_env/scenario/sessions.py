"""When people need their devices: charging sessions of vehicles, loading of dishwashers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from totalflex_env.config import EnvConfig, EvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario.noise import Array
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_HOUR, kwh_from_kw

Slots = NDArray[np.int64]


@dataclass(frozen=True)
class Sessions:
    """One episode of habits; storages are vehicles, then batteries."""

    arrival: Slots  # [S] first slot of presence
    departure: Slots  # [S] first slot of absence
    need_kwh: Array  # [S] stored energy asked for at departure
    stored_kwh: Array  # [S] at arrival
    ready: Slots  # [A] first slot in which the programme may start
    latest: Slots  # [A] last such slot


def draw(rng: np.random.Generator, config: EnvConfig) -> Sessions:
    """Draw the habits of one episode: normal arrival, uniform departure, lognormal need, uniform loading."""
    ev, washer = config.devices.ev, config.devices.dishwasher
    arrival = rng.normal(ev.arrival_hour, ev.arrival_spread_h, ev.count)
    departure = rng.uniform(ev.departure_first_hour, ev.departure_last_hour, ev.count)
    need = ev.need_median_kwh * np.exp(ev.need_log_spread * rng.standard_normal(ev.count))
    ready = rng.uniform(*washer.ready_hour, washer.count)
    return _fit(config, arrival, departure, need, ready)


def expected(config: EnvConfig) -> Sessions:
    """The habits that are expected the day before: means of arrival, departure, need and loading."""
    ev, washer = config.devices.ev, config.devices.dishwasher
    departure = (ev.departure_first_hour + ev.departure_last_hour) / 2.0
    vehicles = np.ones(ev.count)
    ready = np.full(washer.count, sum(washer.ready_hour) / 2.0)
    return _fit(config, ev.arrival_hour * vehicles, departure * vehicles, mean_need_kwh(ev) * vehicles, ready)


def mean_need_kwh(ev: EvConfig) -> float:
    """Mean of the lognormal need, not counting what the upper bound cuts off (1 % at the default)."""
    return min(ev.need_median_kwh * math.exp(ev.need_log_spread**2 / 2.0), ev.need_max_kwh)


def check(config: EnvConfig) -> None:
    """Raise a ConfigError if a window cannot hold the energy of its device."""
    ev, washer = config.devices.ev, config.devices.dishwasher
    first, last, hours = ev.departure_first_hour, ev.departure_last_hour, len(washer.profile_kw) * SLOT_HOURS
    holds = ev.power_kw * (min(first, _end_hour(config)) - ev.arrival_hour)
    if ev.count and last < first:
        raise ConfigError(config.name, "devices.ev.departure_last_hour", last, f"at least {first:g}, the first hour")
    if ev.count and holds < ev.need_median_kwh:
        expectation = f"at most {holds:g}, what {ev.power_kw:g} kW charge between arrival and departure"
        raise ConfigError(config.name, "devices.ev.need_median_kwh", ev.need_median_kwh, expectation)
    if washer.count and min(washer.latest_end_hour, _end_hour(config)) - hours < max(washer.ready_hour):
        expectation = f"at least ready_hour and the {hours:g} h of the programme, within the episode"
        raise ConfigError(config.name, "devices.dishwasher.latest_end_hour", washer.latest_end_hour, expectation)


def _fit(config: EnvConfig, arrival_h: Array, departure_h: Array, need: Array, ready_h: Array) -> Sessions:
    """Put local hours on slots, clip sessions to the episode and needs to what fits, and add the batteries."""
    ev, battery, washer = config.devices.ev, config.devices.battery, config.devices.dishwasher
    arrival = _slot(config, arrival_h).clip(0, config.slots - 1)
    departure = _slot(config, departure_h).clip(arrival + 1, config.slots)
    room = kwh_from_kw((departure - arrival) * ev.power_kw)
    batteries = np.zeros(battery.count, dtype=np.int64)
    last_end = np.full(washer.count, min(washer.latest_end_hour, _end_hour(config)))
    latest = _slot(config, last_end) - len(washer.profile_kw)
    charged = np.full(battery.count, battery.start_share * battery.capacity_kwh)
    return Sessions(
        arrival=np.concatenate([arrival, batteries]),
        departure=np.concatenate([departure, batteries + config.slots]),
        need_kwh=np.concatenate([np.minimum(need, ev.need_max_kwh).clip(max=room), np.zeros(battery.count)]),
        stored_kwh=np.concatenate([np.zeros(ev.count), charged]),
        ready=_slot(config, ready_h).clip(0, latest),
        latest=latest,
    )


def _slot(config: EnvConfig, hour: Array) -> Slots:
    """The slot whose start is nearest to a local hour, 24 and more being the next day."""
    return np.rint((hour - config.scenario.start_hour) * SLOTS_PER_HOUR).astype(np.int64)


def _end_hour(config: EnvConfig) -> float:
    return config.scenario.start_hour + config.slots * SLOT_HOURS
