"""Which days may be drawn: chosen months, and weeks set apart to train, validate and test."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_DAY, SLOTS_PER_HOUR

WEEKS = {"train": (0, 1, 2, 3), "validation": (4,), "test": (5,), "all": (0, 1, 2, 3, 4, 5)}
"""Of every six ISO weeks, the ones that belong to a split."""


def beginnings(days: Iterable[date], config: EnvConfig) -> list[date]:
    """Return the days on which an episode may begin.

    An episode begins in one of the configured months and lies wholly in weeks of the configured split: one that crosses
    into another split's week is not drawn. That no day is left is a ConfigError.
    """
    scenario, allowed = config.scenario, WEEKS[config.scenario.split]
    last_hour = scenario.start_hour + (config.slots - 1) * SLOT_HOURS
    touched = range(int(last_hour // 24.0) + 1)
    found = [
        day
        for day in days
        if day.month in scenario.months and all(week(day + timedelta(each)) % 6 in allowed for each in touched)
    ]
    if not found:
        expected = f"a split in which an episode of {config.slots} slots in months {scenario.months} lies whole"
        raise ConfigError(config.name, "scenario.split", scenario.split, expected)
    return found


def first_slots(new_year: date, slots: int, config: EnvConfig) -> NDArray[np.int64]:
    """Slots of a year of profiles [n] at which an episode may begin; `slots` is the length of the year."""
    start = config.scenario.start_hour * SLOTS_PER_HOUR
    whole = range((slots - start - config.slots) // SLOTS_PER_DAY + 1)
    found = beginnings((new_year + timedelta(day) for day in whole), config)
    return np.array([(day - new_year).days * SLOTS_PER_DAY + start for day in found], dtype=np.int64)


def start(day: date, config: EnvConfig) -> datetime:
    """The local time at which an episode begins on a day."""
    return datetime.combine(day, time(config.scenario.start_hour))


def week(day: date) -> int:
    """Number of the ISO week, Monday to Sunday, counted through all years."""
    return (day.toordinal() - 1) // 7
