"""Industrial batch processes: steps that follow each other and, once begun, run to their end."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from totalflex_env.devices.appliance import Appliance, Windows
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.dice import Dice
from totalflex_env.errors import ConfigError
from totalflex_env.units import SLOT_HOURS


class IndustryConfig(DeviceSettings):
    """Batch processes: an order released every afternoon goes through all steps before it is due.

    The example is a heat treatment: 400 kg of high-speed steel are preheated to 790 °C, hardened at 1200 °C and
    tempered for two hours at 565 °C; docs/devices.md derives the powers.
    """

    family: ClassVar[type[Appliance]] = Appliance
    steps: tuple[tuple[PositiveFloat, PositiveInt], ...] = Field(
        ((80.0, 4), (80.0, 2), (28.0, 8)), min_length=1, description="power in kW and slots of each step, in order"
    )
    release_hour: tuple[float, float] = Field((13.0, 16.0), description="local hours between which an order comes")
    due_hour: float = Field(31.0, description="local hour by which the last step has ended")
    delay_price: NonNegativeFloat = Field(0.05, description="EUR per slot that a step is put off")

    def build(self, houses: int, slot_hours: float) -> Appliance:
        """Return the processes as machines whose runs are linked, each run a step."""
        longest = max(slots for _, slots in self.steps)
        profile = torch.zeros(len(self.steps), longest, dtype=torch.float64)
        for step, (power, slots) in enumerate(self.steps):
            profile[step, :slots] = power * slot_hours
        return Appliance(
            house=self.houses_of(houses),
            profile_kwh=profile.repeat(self.count, 1, 1),
            duration=self._lengths().repeat(self.count, 1),
            delay_price=self.same(self.delay_price),
            linked=torch.ones(self.count, dtype=torch.bool),
        )

    def draw(self, dice: Dice, day: Day) -> Windows:
        """Draw when the order of every day comes, uniformly."""
        first, last = self.release_hour
        drawn = first + (last - first) * dice.uniform(self._orders(day), self.count)
        return self._windows(day, torch.from_numpy(drawn))

    def expected(self, day: Day) -> Windows:
        """Return orders that come in the middle of the hours."""
        middle = sum(self.release_hour) / 2.0
        return self._windows(day, torch.full((day.rows, self._orders(day), self.count), middle, dtype=torch.float64))

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one order a day."""
        energy = sum(power * slots * SLOT_HOURS for power, slots in self.steps)
        return energy * max(round(hours / 24.0), 1) / hours

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse due dates that leave no time for the steps, and those after the next order has come."""
        length = int(self._lengths().sum()) * SLOT_HOURS
        if min(self.due_hour, hours[1]) - length < max(self.release_hour):
            expectation = f"at least release_hour and the {length:g} h of all steps, within the episode"
            raise ConfigError(name, "devices.industry.due_hour", self.due_hour, expectation)
        if self.due_hour > min(self.release_hour) + 24.0:
            expectation = f"at most {min(self.release_hour) + 24.0:g}, when the next order comes"
            raise ConfigError(name, "devices.industry.due_hour", self.due_hour, expectation)

    def _orders(self, day: Day) -> int:
        """Number of days on which an order may come so early that all steps still fit."""
        latest = day.end_hour - int(self._lengths().sum()) * SLOT_HOURS
        return max(math.floor((latest - max(self.release_hour)) / 24.0) + 1, 1)

    def _lengths(self) -> Tensor:
        return torch.tensor([slots for _, slots in self.steps])

    def _windows(self, day: Day, release_h: Tensor) -> Windows:
        """Return when each step of K orders, released at local hours [B, K, n] of the first day, may and must start."""
        length, later = self._lengths(), 24.0 * torch.arange(release_h.shape[1], dtype=torch.float64)[:, None]
        due = day.slot((self.due_hour + later).clamp(max=day.end_hour))
        release = torch.minimum(day.slot(release_h + later).clamp(min=0), due - length.sum())
        before, left = length.cumsum(0) - length, length.flip(0).cumsum(0).flip(0)
        ready = release[:, :, None] + before[:, None]
        return Windows(
            ready=ready.flatten(1, 2),
            latest=(due[:, None] - left[:, None]).expand_as(ready).flatten(1, 2),
            programme=torch.arange(len(length))[:, None].expand_as(ready).flatten(1, 2),
        )
