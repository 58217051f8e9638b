"""The local time of every slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from totalflex_env.dice import Array
from totalflex_env.units import SLOTS_PER_DAY

_MINUTES_OF_A_DAY = 1440


@dataclass(frozen=True)
class Calendar:
    """Local time at the start of T quarter-hours in B episodes."""

    day: Array  # [B, T] days since 1 January of the year in which the episode begins, with their fractions
    hour: Array  # [B, T] 0 to 24, with its fractions
    weekday: NDArray[np.int64]  # [B, T] Monday is 0

    @property
    def slots(self) -> int:
        """Quarter-hours of an episode."""
        return int(self.day.shape[1])


def calendar(firsts: Sequence[datetime], slots: int) -> Calendar:
    """Return the time of `slots` quarter-hours from each of the local times [B] `firsts` on."""
    since = np.array([(first - datetime(first.year, 1, 1)).total_seconds() / 86_400.0 for first in firsts])
    begin = np.array([60 * first.hour + first.minute for first in firsts])
    minutes = begin[:, None] + 15 * np.arange(slots)
    first_weekday = np.array([first.weekday() for first in firsts])
    return Calendar(
        day=since[:, None] + np.arange(slots) / SLOTS_PER_DAY,
        hour=minutes % _MINUTES_OF_A_DAY / 60.0,
        weekday=(first_weekday[:, None] + minutes // _MINUTES_OF_A_DAY) % 7,
    )
