"""Industrial batch processes: steps that follow each other and, once begun, run to their end."""

from __future__ import annotations

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
    """Batch processes: an order released during the afternoon goes through all steps before it is due.

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
        """Draw when orders come, uniformly."""
        first, last = self.release_hour
        return self._windows(day, torch.from_numpy(first + (last - first) * dice.uniform(self.count)))

    def expected(self, day: Day) -> Windows:
        """Return orders that come in the middle of the hours."""
        middle = sum(self.release_hour) / 2.0
        return self._windows(day, torch.full((day.rows, self.count), middle, dtype=torch.float64))

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one order an episode."""
        return sum(power * slots * SLOT_HOURS for power, slots in self.steps) / hours

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse due dates that leave no time for the steps."""
        length = int(self._lengths().sum()) * SLOT_HOURS
        if min(self.due_hour, hours[1]) - length < max(self.release_hour):
            expectation = f"at least release_hour and the {length:g} h of all steps, within the episode"
            raise ConfigError(name, "devices.industry.due_hour", self.due_hour, expectation)

    def _lengths(self) -> Tensor:
        return torch.tensor([slots for _, slots in self.steps])

    def _windows(self, day: Day, release_h: Tensor) -> Windows:
        """Return when each step may start at the earliest and must start at the latest."""
        length = self._lengths()
        due = day.slot(torch.tensor(min(self.due_hour, day.end_hour), dtype=torch.float64))
        release = torch.minimum(day.slot(release_h).clamp(min=0), due - length.sum())
        before, left = length.cumsum(0) - length, length.flip(0).cumsum(0).flip(0)
        shape = (day.rows, len(length), self.count)
        return Windows(
            ready=release[:, None] + before[:, None],
            latest=(due - left)[:, None].expand(shape).clone(),
            programme=torch.arange(len(length))[:, None].expand(shape).clone(),
        )
