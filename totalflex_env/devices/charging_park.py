"""Public charging parks: many chargers behind one connection, and whoever comes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage
from totalflex_env.dice import Array, Dice
from totalflex_env.errors import ConfigError
from totalflex_env.units import kwh_from_kw

SESSIONS_PER_DAY = 4
"""Most sessions of one charger a day."""


class ChargingParkConfig(DeviceSettings):
    """Chargers of public parks, 'chargers' of them in a row behind one connection; `count` is the number of chargers.

    A charger gives 17 kWh a day and is occupied 18 % of the time, as public ones in German towns are: Hecht and others,
    eTransportation 6 (2020), iScience 25 (2022) and Energies 16 (2023).
    """

    family: ClassVar[type[Storage]] = Storage
    chargers: PositiveInt = Field(10, description="chargers of one park; the last park may have fewer")
    power_kw: PositiveFloat = Field(11.0, description="of one charger")
    connection_kw: PositiveFloat = Field(50.0, description="of one park")
    sessions_per_day: PositiveFloat = Field(1.2, description="mean number of sessions of one charger a day")
    open_hours: tuple[float, float] = Field((7.0, 21.0), description="local hours in which vehicles arrive")
    stay_median_h: PositiveFloat = Field(3.0, description="median stay")
    stay_log_spread: NonNegativeFloat = Field(0.6, description="standard deviation of the logarithm of the stay")
    need_median_kwh: PositiveFloat = 12.0
    need_log_spread: NonNegativeFloat = Field(0.6, description="standard deviation of the logarithm of the need")
    need_max_kwh: PositiveFloat = 60.0
    unmet_price: NonNegativeFloat = Field(1.0, description="EUR per kWh that is missing at departure")

    def build(self, houses: int, slot_hours: float) -> Storage:
        """Return the chargers as storages that share connections; a park stands in the house of its first charger."""
        park = torch.arange(self.count) // self.chargers
        parks = math.ceil(self.count / self.chargers)
        sure = min(self.power_kw, self.connection_kw / min(self.chargers, max(self.count, 1)))
        return Storage(
            house=self.houses_of(houses)[park * self.chargers] if self.houses is None else self.houses_of(houses),
            charge_kwh=self.same(self.power_kw * slot_hours),
            discharge_kwh=self.same(0.0),
            capacity_kwh=self.same(self.need_max_kwh),
            charge_efficiency=self.same(1.0),
            discharge_efficiency=self.same(1.0),
            unmet_price=self.same(self.unmet_price),
            session=torch.ones(self.count, dtype=torch.bool),
            beyond_need=torch.zeros(self.count, dtype=torch.bool),
            sure_kwh=self.same(sure * slot_hours),
            park=park,
            connection_kwh=torch.full((parks,), self.connection_kw * slot_hours, dtype=torch.float64),
        )

    def draw(self, dice: Dice, day: Day) -> Sessions:
        """Draw arrivals spread over the open hours, each charger serving one vehicle after the other."""
        size = (SESSIONS_PER_DAY * self._days(day), self.count)
        arrival = np.sort(self._arrivals(dice, day, size), axis=1)
        stay = self.stay_median_h * np.exp(self.stay_log_spread * dice.normal(*size))
        need = self.need_median_kwh * np.exp(self.need_log_spread * dice.normal(*size))
        comes = dice.uniform(*size) < self.sessions_per_day / SESSIONS_PER_DAY
        parts = (torch.from_numpy(part) for part in (arrival, arrival + stay, need, comes))
        return self._sessions(day, *parts)

    def expected(self, day: Day) -> Sessions:
        """Return sessions evenly over the open hours, with the mean energy of all that may or may not come."""
        size, (first, last) = (day.rows, SESSIONS_PER_DAY * self._days(day), self.count), self.open_hours
        within = (torch.arange(SESSIONS_PER_DAY) + 0.5) / SESSIONS_PER_DAY * (last - first) + first
        days = 24.0 * torch.arange(self._days(day), dtype=torch.float64)
        arrival = (days[:, None] + within).flatten()[:, None].expand(size).clone()
        need = torch.full(size, self.mean_need_kwh * self.sessions_per_day / SESSIONS_PER_DAY, dtype=torch.float64)
        comes = torch.ones(size, dtype=torch.bool)
        return self._sessions(day, arrival, arrival + self.stay_median_h, need, comes)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one charger."""
        return self.mean_need_kwh * self.sessions_per_day / 24.0

    @property
    def mean_need_kwh(self) -> float:
        """Mean of the lognormal need, not counting what the upper bound cuts off."""
        return min(self.need_median_kwh * math.exp(self.need_log_spread**2 / 2.0), self.need_max_kwh)

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse more sessions than a charger can have, and hours that end before they begin."""
        if self.sessions_per_day > SESSIONS_PER_DAY:
            field = "devices.charging_park.sessions_per_day"
            raise ConfigError(name, field, self.sessions_per_day, f"at most {SESSIONS_PER_DAY}")
        if self.open_hours[1] <= self.open_hours[0]:
            raise ConfigError(name, "devices.charging_park.open_hours", self.open_hours, "an end after the beginning")

    def _days(self, day: Day) -> int:
        return math.ceil(day.end_hour / 24.0)

    def _arrivals(self, dice: Dice, day: Day, size: tuple[int, int]) -> Array:
        """Uniform arrivals [B, K, n] in local hours of the first day, as many for every day."""
        first, last = self.open_hours
        begins = 24.0 * np.repeat(np.arange(self._days(day)), SESSIONS_PER_DAY)
        return begins[:, None] + (first + (last - first) * dice.uniform(*size))

    def _sessions(self, day: Day, arrival_h: Tensor, departure_h: Tensor, need: Tensor, comes: Tensor) -> Sessions:
        """Put local hours [B, K, n] on slots; a vehicle waits for the one before it to leave, and may then not stay."""
        first, last = day.slot(arrival_h), day.slot(departure_h).clamp(max=day.slots)
        comes = comes & (first >= 0)
        arrivals, departures, free = [], [], torch.zeros_like(first[:, 0])
        for session in range(first.shape[1]):
            begin = torch.maximum(first[:, session], free).clamp(max=day.slots)
            end = torch.where(comes[:, session], torch.maximum(last[:, session], begin), free)
            arrivals.append(torch.where(comes[:, session], begin, free))
            departures.append(end)
            free = end
        arrival, departure = torch.stack(arrivals, dim=1), torch.stack(departures, dim=1)
        room = (departure - arrival) * kwh_from_kw(self.power_kw)
        need = torch.minimum(need.clamp(max=self.need_max_kwh), room)
        return Sessions(arrival, departure, need, torch.zeros_like(need))
