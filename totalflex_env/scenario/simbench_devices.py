"""SimBench's heat pumps, chargers and batteries as flexible devices: same house, same power, same energy in a year.

A profile says how much and when, but not how long a vehicle stayed or how warm a house was. Those come from the
defaults of the kind; what the profile tells is kept: power, yearly energy, and of vehicles how often, when and how
much they charge.
"""

from __future__ import annotations

import numpy as np

from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.dice import Array
from totalflex_env.scenario import weather
from totalflex_env.scenario.simbench_houses import GridDevice
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_DAY, SLOTS_PER_HOUR, kwh_from_kw

TIME_CONSTANT_H = 36.0
"""Resistance times capacitance of a house, as in the defaults of a heat pump."""

NOON = 12
"""Hour at which the days of vehicles begin, so that a night lies whole in one."""

IDLE_KWH = 0.05
"""Energy up to which a vehicle is taken not to have charged on a day."""

HOME_H, PUBLIC_H = (12.0, 27.0), (24.0, 36.0)
"""Local hours of the arrivals that count: most come home in the afternoon, and to public chargers in the morning."""

LEAVE_PUBLIC_H = 36.0
"""Vehicles at public chargers stay until noon, the end of the episode."""


def flexible(device: GridDevice) -> DeviceSettings:
    """Return the settings of the flexible device that stands for one of SimBench's."""
    if device.kind == "battery":
        return BatteryConfig(
            count=1, houses=(device.house,), power_kw=device.rated_kw, capacity_kwh=device.capacity_kwh
        )
    return heat_pump(device) if device.kind == "heat pump" else vehicle(device)


def heat_pump(device: GridDevice) -> HeatPumpConfig:
    """Return a heat pump whose house needs the yearly energy of the profile at the mean temperatures of our weather."""
    hours = len(device.kw) * SLOT_HOURS
    unit = HeatPumpConfig(count=1, resistance_k_per_kw=1.0)
    days = np.arange(len(device.kw) // SLOTS_PER_DAY, dtype=np.float64)
    at_one = float(np.mean([unit.mean_kw(float(outdoors), 24.0) for outdoors in weather.season(days)]))
    resistance = at_one / (kwh_from_kw(float(device.kw.sum())) / hours)
    return HeatPumpConfig(
        count=1,
        houses=(device.house,),
        power_kw=(device.rated_kw, device.rated_kw),
        resistance_k_per_kw=resistance,
        capacitance_kwh_per_k=TIME_CONSTANT_H / resistance,
    )


def vehicle(device: GridDevice) -> EvConfig:
    """Return a vehicle that plugs in as often, at the hours and for the energy that the profile shows."""
    days = noon_to_noon(device.kw)
    energy = kwh_from_kw(days.sum(axis=1))
    charged = energy > IDLE_KWH
    need = energy[charged]
    spread = float(np.sqrt(np.log1p((need.std() / need.mean()) ** 2)))  # of a lognormal with these two moments
    begin = NOON + (days[charged] > 0.0).argmax(axis=1) / SLOTS_PER_HOUR
    first, last = EvConfig().departure_first_hour, EvConfig().departure_last_hour
    earliest, latest = HOME_H
    if device.kind == "public charger":
        first = last = LEAVE_PUBLIC_H
        earliest, latest = PUBLIC_H
    usual = begin[(begin >= earliest) & (begin < latest)]
    return EvConfig(
        count=1,
        houses=(device.house,),
        power_kw=device.rated_kw,
        arrival_hour=float(usual.mean()),
        arrival_spread_h=float(usual.std()),
        departure_first_hour=first,
        departure_last_hour=last,
        plugged_share=float(charged.mean()),
        need_median_kwh=float(need.mean() * np.exp(-(spread**2) / 2.0)),
        need_log_spread=spread,
        need_max_kwh=float(need.max()),
    )


def noon_to_noon(kw: Array) -> Array:
    """Return a year of quarter-hours as days from noon to noon [days, 96], the two half days at its ends left out."""
    half = SLOTS_PER_DAY // 2
    return kw[half : len(kw) - half].reshape(-1, SLOTS_PER_DAY)
