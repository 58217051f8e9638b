"""When people need their devices, and what surrounds these: the habits of episodes, drawn kind by kind."""

from __future__ import annotations

from typing import Any

import torch

from totalflex_env import fleet
from totalflex_env.config import EnvConfig
from totalflex_env.devices.family import Day, Weather
from totalflex_env.dice import Dice
from totalflex_env.scenario.assemble import Outside
from totalflex_env.units import SLOT_HOURS


def draw(dice: Dice, config: EnvConfig, truth: Outside) -> tuple[Any, ...]:
    """Draw the habits [B, ...] of every family."""
    day, groups = day_of(config, truth), fleet.kinds(config.devices)
    return fleet.side_by_side(config.devices, [each.draw(dice, day) for group in groups for _, each in group])


def expected(config: EnvConfig, guess: Outside) -> tuple[Any, ...]:
    """Return the habits [B, ...] of every family that are expected the day before."""
    return fleet.expected(config.devices, day_of(config, guess))


def day_of(config: EnvConfig, outside: Outside) -> Day:
    """Return the calendar and the weather of episodes as devices see them."""
    weather = Weather(torch.from_numpy(outside.temperature), torch.from_numpy(outside.irradiance))
    return Day(weather, torch.from_numpy(outside.weekday), float(config.scenario.start_hour))


def mean_kw(config: EnvConfig, outdoors: float) -> float:
    """Return the mean power of all devices over an episode, roughly, at the mean temperature `outdoors`."""
    hours = config.slots * SLOT_HOURS
    return sum(
        settings.mean_kw(outdoors, hours) * settings.count
        for group in fleet.kinds(config.devices)
        for _, settings in group
    )


def check(config: EnvConfig) -> None:
    """Raise a ConfigError if the habits of a device do not fit the episode."""
    start = float(config.scenario.start_hour)
    for group in fleet.kinds(config.devices):
        for _, settings in group:
            settings.check(config.name, (start, start + config.slots * SLOT_HOURS))
