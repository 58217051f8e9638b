"""Who is there: houses and devices of each episode, drawn beside its day so that the day stays what it is.

The houses of a world are the places that its grid has. A row may leave some of them empty, and devices out of others:
what such a row goes through is what a world with only those houses and devices would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.config import EnvConfig
from totalflex_env.devices.family import Family
from totalflex_env.dice import Array, Dice
from totalflex_env.types import HouseSource, Population, Scenario
from totalflex_env.units import SLOT_HOURS

_OWN_DICE = 0x5EED
"""Beside the seed, so that who is there is drawn apart from what the day brings."""


@dataclass(frozen=True)
class PopulatedDays:
    """Draws the days of another source, and who is there."""

    days: HouseSource
    config: EnvConfig
    net: Any  # pandapower net, None where the engine makes it
    house_bus: tuple[int, ...]  # [P]
    peak_kw: tuple[float, ...]  # [P]
    families: tuple[Family[Any, Any, Any], ...]

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, one row per seed; who is there is known the day before."""
        population, (truth, guess) = self.drawn(seeds), self.days.draw(seeds)
        return inhabited(self.families, truth, population), inhabited(self.families, guess, population)

    def drawn(self, seeds: list[int]) -> Population:
        """Return who is there in the episode of every seed."""
        shares, dice = self.config.population, Dice.of([(seed, _OWN_DICE) for seed in seeds])
        house = torch.cat([torch.zeros(0, dtype=torch.int64), *(family.house for family in self.families)])
        houses = chosen(dice, len(self.house_bus), shares.houses)
        return Population(houses, houses[:, house] & chosen(dice, len(house), shares.devices))


def populated(days: HouseSource) -> PopulatedDays:
    """Return a source that draws the days of another, and who is there by its configuration."""
    families, _ = fleet.build(days.config.devices, len(days.house_bus), SLOT_HOURS)
    return PopulatedDays(days, days.config, days.net, days.house_bus, days.peak_kw, families)


def chosen(dice: Dice, count: int, share: tuple[float, float]) -> Tensor:
    """Draw a share [B] evenly between two bounds, and which [B, count] bool, rounded to whole ones, it stands for."""
    least, most = share
    wanted: Array = np.rint((least + (most - least) * dice.uniform()) * count)
    rank = dice.uniform(count).argsort(axis=1).argsort(axis=1)
    return torch.from_numpy(rank < wanted[:, None])


def inhabited(families: tuple[Family[Any, Any, Any], ...], day: Scenario, population: Population) -> Scenario:
    """Return the day with no load in empty houses, and with nothing to do for devices that are not there."""
    here = population.houses[:, None]
    return replace(
        day,
        base_kwh=torch.where(here, day.base_kwh, 0.0),
        base_kvarh=torch.where(here, day.base_kvarh, 0.0),
        pv_kwh=torch.where(here, day.pv_kwh, 0.0),
        habits=fleet.without(families, day.habits, population.devices),
        population=population,
    )
