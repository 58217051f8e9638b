"""Machines that people load and that then run a programme: what dishwashers, washing machines and dryers share."""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from totalflex_env.devices.appliance import NEVER, Appliance, Windows
from totalflex_env.devices.family import Day
from totalflex_env.dice import Dice
from totalflex_env.errors import ConfigError
from totalflex_env.units import SLOT_HOURS, kwh_from_kw


class Loaded(Protocol):
    """The numbers of one kind of machine and its owners, who load it in the same hours every day."""

    field: ClassVar[str]  # of the configuration
    count: int
    programmes_kw: tuple[tuple[float, ...], ...]  # power per slot of each programme, all equally likely
    ready_hour: tuple[float, float]  # local hours between which it is loaded
    latest_end_hour: float  # local hour by which the programme has ended
    chance: float  # share of days with a run
    delay_price: float  # EUR per slot that the start is put off

    def houses_of(self, houses: int) -> Tensor:
        """Return the house [count] of every machine."""


class WetMachines:
    """What settings that are `Loaded` do with their numbers; a kind of machine is this, `DeviceSettings` and fields."""

    def build(self: Loaded, houses: int, slot_hours: float) -> Appliance:
        """Return the machines."""
        longest = max(len(programme) for programme in self.programmes_kw)
        padded = [[*programme, *[0.0] * (longest - len(programme))] for programme in self.programmes_kw]
        profile = torch.tensor(padded, dtype=torch.float64) * slot_hours
        duration = torch.tensor([len(programme) for programme in self.programmes_kw])
        return Appliance(
            house=self.houses_of(houses),
            profile_kwh=profile.repeat(self.count, 1, 1),
            duration=duration.repeat(self.count, 1),
            delay_price=torch.full((self.count,), self.delay_price, dtype=torch.float64),
            linked=torch.zeros(self.count, dtype=torch.bool),
        )

    def draw(self: Loaded, dice: Dice, day: Day) -> Windows:
        """Draw when machines are loaded, uniformly, on which days, and with which programme."""
        size, (first, last) = (_days(self, day), self.count), self.ready_hour
        ready = torch.from_numpy(first + (last - first) * dice.uniform(*size))
        here, programme = torch.ones(ready.shape, dtype=torch.bool), torch.zeros(ready.shape, dtype=torch.int64)
        if self.chance < 1.0:
            here = torch.from_numpy(dice.uniform(*size) < self.chance)
        if len(self.programmes_kw) > 1:
            programme = torch.from_numpy(dice.integers(len(self.programmes_kw), *size))
        return _windows(self, day, ready, here, programme)

    def expected(self: Loaded, day: Day) -> Windows:
        """Return machines that are loaded in the middle of the hours with their first programme, if at all likely."""
        size = (day.rows, _days(self, day), self.count)
        ready = torch.full(size, sum(self.ready_hour) / 2.0, dtype=torch.float64)
        return _windows(self, day, ready, torch.full(size, self.chance >= 0.5), torch.zeros(size, dtype=torch.int64))

    def mean_kw(self: Loaded, outdoors: float, hours: float) -> float:
        """Return the mean power of one machine over an episode."""
        energy = [kwh_from_kw(sum(programme)) for programme in self.programmes_kw]
        return sum(energy) / len(energy) * self.chance * max(round(hours / 24.0), 1) / hours

    def check(self: Loaded, name: str, hours: tuple[float, float]) -> None:
        """Refuse windows that cannot hold the programmes."""
        length = _longest_hours(self)
        if min(self.latest_end_hour, hours[1]) - length < max(self.ready_hour):
            expectation = f"at least ready_hour and the {length:g} h of the programme, within the episode"
            raise ConfigError(name, f"devices.{self.field}.latest_end_hour", self.latest_end_hour, expectation)
        if self.latest_end_hour > min(self.ready_hour) + 24.0:
            expectation = f"at most {min(self.ready_hour) + 24.0:g}, when it may be loaded again"
            raise ConfigError(name, f"devices.{self.field}.latest_end_hour", self.latest_end_hour, expectation)


def _longest_hours(machine: Loaded) -> float:
    return max(len(programme) for programme in machine.programmes_kw) * SLOT_HOURS


def _days(machine: Loaded, day: Day) -> int:
    """Number of days on which a machine may be loaded so early that the programme still fits."""
    latest = day.end_hour - _longest_hours(machine)
    return max(math.floor((latest - max(machine.ready_hour)) / 24.0) + 1, 1)


def _windows(machine: Loaded, day: Day, ready_h: Tensor, here: Tensor, programme: Tensor) -> Windows:
    """Put local hours [B, K, n] of the first day on slots of K days."""
    later = 24.0 * torch.arange(ready_h.shape[1], dtype=torch.float64)[:, None]
    length = torch.tensor([len(each) for each in machine.programmes_kw])[programme]
    end = (machine.latest_end_hour + later).clamp(max=day.end_hour).expand_as(ready_h)
    latest = day.slot(end) - length
    ready = torch.minimum(day.slot(ready_h + later).clamp(min=0), latest)
    never = torch.full_like(ready, NEVER)
    return Windows(torch.where(here, ready, never), torch.where(here, latest, never), programme)
