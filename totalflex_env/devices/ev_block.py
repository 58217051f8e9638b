"""Electric vehicles at home that charge in one block: once begun, at full power until they have what they need."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from totalflex_env.devices.appliance import Appliance, Windows
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.dice import Dice
from totalflex_env.errors import ConfigError
from totalflex_env.units import SLOT_HOURS, kwh_from_kw


class EvBlockConfig(DeviceSettings):
    """Vehicles behind chargers that can only be switched on: every evening a block of slots at full power."""

    family: ClassVar[type[Appliance]] = Appliance
    power_kw: PositiveFloat = 3.7
    arrival_hour: float = Field(17.0, ge=12.0, lt=36.0, description="mean local hour of plugging in")
    arrival_spread_h: NonNegativeFloat = Field(0.8, description="standard deviation of the arrival")
    departure_hour: float = Field(30.5, description="local hour by which the block has ended")
    need_median_kwh: PositiveFloat = 10.0
    need_log_spread: NonNegativeFloat = Field(0.6, description="standard deviation of the logarithm of the need")
    need_max_kwh: PositiveFloat = 30.0
    delay_price: NonNegativeFloat = Field(0.0, description="EUR per slot that the start is put off")

    def build(self, houses: int, slot_hours: float) -> Appliance:
        """Return the vehicles as machines whose programmes are blocks of one slot, two slots, ..."""
        longest = self._slots(self.need_max_kwh)
        block = torch.ones(longest, longest, dtype=torch.float64).tril() * self.power_kw * slot_hours
        return Appliance(
            house=self.houses_of(houses),
            profile_kwh=block.repeat(self.count, 1, 1),
            duration=torch.arange(1, longest + 1).repeat(self.count, 1),
            delay_price=self.same(self.delay_price),
            linked=torch.zeros(self.count, dtype=torch.bool),
        )

    def draw(self, dice: Dice, day: Day) -> Windows:
        """Draw normal arrivals of every evening and lognormal needs, rounded up to whole slots."""
        size = (self._evenings(day), self.count)
        arrival = self.arrival_hour + self.arrival_spread_h * dice.normal(*size)
        need = self.need_median_kwh * np.exp(self.need_log_spread * dice.normal(*size))
        return self._windows(day, torch.from_numpy(arrival), torch.from_numpy(need))

    def expected(self, day: Day) -> Windows:
        """Return the mean arrival of every evening and the mean need."""
        every = torch.ones(day.rows, self._evenings(day), self.count, dtype=torch.float64)
        return self._windows(day, self.arrival_hour * every, self._mean_need_kwh * every)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one vehicle."""
        return self._mean_need_kwh * max(round(hours / 24.0), 1) / hours

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse stays that cannot hold the largest need after a late arrival, and those that end after the next."""
        needed = self._slots(self.need_max_kwh) * SLOT_HOURS
        latest = min(self.departure_hour, hours[1]) - needed
        if latest < self.arrival_hour:
            expectation = f"at least arrival_hour and the {needed:g} h of the largest need, within the episode"
            raise ConfigError(name, "devices.ev_block.departure_hour", self.departure_hour, expectation)
        if self.departure_hour > self.arrival_hour + 24.0:
            expectation = f"at most {self.arrival_hour + 24.0:g}, when the vehicle comes again"
            raise ConfigError(name, "devices.ev_block.departure_hour", self.departure_hour, expectation)

    @property
    def _mean_need_kwh(self) -> float:
        return min(self.need_median_kwh * math.exp(self.need_log_spread**2 / 2.0), self.need_max_kwh)

    def _slots(self, need_kwh: float) -> int:
        return math.ceil(need_kwh / kwh_from_kw(self.power_kw) - 1e-9)

    def _evenings(self, day: Day) -> int:
        """Number of evenings after which the largest need still fits into the episode."""
        latest = day.end_hour - self._slots(self.need_max_kwh) * SLOT_HOURS
        return max(math.floor((latest - self.arrival_hour) / 24.0) + 1, 1)

    def _windows(self, day: Day, arrival_h: Tensor, need: Tensor) -> Windows:
        """Put local hours [B, K, n] of the first day on slots of K evenings; a vehicle leaves before it comes again."""
        later = 24.0 * torch.arange(arrival_h.shape[1], dtype=torch.float64)[:, None]
        slots = torch.ceil(need.clamp(max=self.need_max_kwh) / kwh_from_kw(self.power_kw) - 1e-9).long().clamp(min=1)
        end = day.slot((self.departure_hour + later).clamp(max=day.end_hour)).expand_as(slots)
        ready = day.slot(arrival_h + later).clamp(min=0)
        ready[:, 1:] = torch.maximum(ready[:, 1:], end[:, :-1])
        return Windows(torch.minimum(ready, end - slots), end - slots, slots - 1)
