"""Which days of a year of profiles may be drawn: chosen months, and weeks set apart to train, validate and test."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.units import SLOTS_PER_DAY, SLOTS_PER_HOUR

WEEKS = {"train": (0, 1, 2, 3), "validation": (4,), "test": (5,), "all": (0, 1, 2, 3, 4, 5)}
"""Of every six ISO weeks, the ones that belong to a split."""


def first_slots(new_year: date, slots: int, config: EnvConfig) -> NDArray[np.int64]:
    """Slots of a year of profiles [n] at which an episode may begin; `slots` is the length of the year.

    An episode begins in one of the configured months and lies wholly in weeks of the configured split: one that crosses
    into another split's week is not drawn.
    """
    scenario, allowed = config.scenario, WEEKS[config.scenario.split]
    found = []
    for day in range(slots // SLOTS_PER_DAY):
        begin = day * SLOTS_PER_DAY + scenario.start_hour * SLOTS_PER_HOUR
        end = begin + config.slots
        touched = range(day, (end - 1) // SLOTS_PER_DAY + 1)
        in_month = (new_year + timedelta(day)).month in scenario.months
        if end <= slots and in_month and all(week(new_year + timedelta(each)) % 6 in allowed for each in touched):
            found.append(begin)
    if not found:
        expected = f"a split in which an episode of {config.slots} slots in months {scenario.months} lies whole"
        raise ConfigError(config.name, "scenario.split", scenario.split, expected)
    return np.array(found, dtype=np.int64)


def week(day: date) -> int:
    """Number of the ISO week, Monday to Sunday, counted through all years."""
    return (day.toordinal() - 1) // 7
