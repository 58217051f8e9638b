"""Hot-water tanks with draw-off."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from totalflex_env.devices.circuit import Circuit
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.thermal import coefficient_of_performance
from totalflex_env.devices.zone import Rooms, Zone, zone_of
from totalflex_env.dice import Dice
from totalflex_env.units import SLOTS_PER_DAY

KWH_PER_LITRE_AND_KELVIN = 4.186 / 3600.0

TAPPING = ((0.46, 8.7, 1.2), (0.17, 13.0, 1.5), (0.37, 20.1, 2.1))
"""Share of a day's water, mean local hour and spread in hours, as people take showers and baths (Aerts, in StROBe)."""

TAPS = 23
"""Draws of a household a day, as many as load profile M of Regulation (EU) 812/2013 has."""


class HotWaterConfig(DeviceSettings):
    """Hot-water tanks, fully mixed, heated by a small heat pump or a rod."""

    family: ClassVar[type[Zone]] = Zone
    power_kw: PositiveFloat = Field(0.6, description="electric power")
    rod: bool = Field(False, description="heated by a rod, one kWh of heat per kWh")
    litres: PositiveFloat = 200.0
    loss_kwh_per_day: PositiveFloat = Field(
        1.47, description="standing loss at 45 K: 61 W, the most that label class B of EU 812/2013 allows at 200 l"
    )
    daily_kwh: PositiveFloat = Field(5.845, description="mean heat drawn a day, load profile M of EU 812/2013")
    daily_log_spread: NonNegativeFloat = Field(0.3, description="standard deviation of the logarithm of a day's draw")
    setpoint_c: float = 52.0
    lower_c: float = Field(42.0, description="comfort band")
    upper_c: float = Field(62.0, description="comfort band")
    room_c: float = 20.0
    flow_c: float = Field(55.0, description="supply temperature that the coefficient of performance refers to")
    degree_hour_price: NonNegativeFloat = Field(0.1, description="EUR per degree-hour outside the band")

    def build(self, houses: int, slot_hours: float) -> Zone:
        """Return the tanks as zones of one capacity."""
        circuit = Circuit(
            air_kwh_per_k=self.litres * KWH_PER_LITRE_AND_KELVIN,
            mass_kwh_per_k=1.0,
            inner_k_per_kw=math.inf,
            outer_k_per_kw=math.inf,
            leak_k_per_kw=45.0 * 24.0 / self.loss_kwh_per_day,
            heat_share=1.0,
        )
        zone = zone_of(circuit, self.houses_of(houses), slot_hours).in_room(self.room_c, self.rod)
        return zone.with_pump(self.power_kw * slot_hours, self.flow_c, 0.0, self.degree_hour_price)

    def draw(self, dice: Dice, day: Day) -> Rooms:
        """Draw lognormal days of so many taps each, of exponential sizes, at hours of the three peaks."""
        drawn = np.zeros((day.rows, day.slots, self.count))
        row = np.arange(day.rows)[:, None, None]
        days = math.ceil(day.slots / SLOTS_PER_DAY) + 1
        share, hour, spread = (np.array(column) for column in zip(*TAPPING))
        for each in range(days):
            spell = self.daily_log_spread * (dice.normal(1, self.count) - 0.5 * self.daily_log_spread)
            peak = np.searchsorted(np.cumsum(share) / share.sum(), dice.uniform(TAPS, self.count), side="right")
            at = 24.0 * each + hour[peak] + spread[peak] * dice.normal(TAPS, self.count)
            slot = day.slot(torch.from_numpy(at)).numpy()
            size = dice.exponential(TAPS, self.count)
            inside = (slot >= 0) & (slot < day.slots)
            taps = self.daily_kwh * np.exp(spell) * size / size.sum(axis=1, keepdims=True) * inside
            np.add.at(drawn, (row, slot.clip(0, day.slots - 1), np.arange(self.count)), taps)
        return self._rooms(day, torch.from_numpy(drawn))

    def expected(self, day: Day) -> Rooms:
        """Return the mean draw at every hour of the day."""
        density = sum(
            share * torch.exp(-0.5 * ((day.hour() - hour) / spread) ** 2) / (spread * math.sqrt(2.0 * math.pi))
            for share, hour, spread in TAPPING
        )
        mean = self.daily_kwh * day.slot_hours * torch.as_tensor(density)
        return self._rooms(day, mean[None, :, None].repeat(day.rows, 1, self.count))

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of draws and losses."""
        heat = (self.daily_kwh + self.loss_kwh_per_day) / 24.0
        efficiency = coefficient_of_performance(torch.tensor(outdoors), torch.tensor(self.flow_c))
        return heat if self.rod else heat / float(efficiency)

    def _rooms(self, day: Day, drawn: Tensor) -> Rooms:
        series = torch.ones_like(drawn)
        start = torch.tensor([self.setpoint_c, 0.0], dtype=torch.float64)[:, None].repeat(day.rows, 1, self.count)
        return Rooms(
            outdoors=day.weather.temperature[..., None] * series,
            sun=0.0 * series,
            gain_kwh=-drawn,
            lower=self.lower_c * series,
            upper=self.upper_c * series,
            setpoint=self.setpoint_c * series,
            start=start,
        )
