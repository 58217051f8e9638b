"""What a benchmark measures: figures with a target, and where there is one a rival measured in the same run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from totalflex_env.errors import PhysicsError


@dataclass(frozen=True)
class Figure:
    """One measured number, the number it has to reach, and what somebody else's program reaches."""

    what: str  # "figure:case"
    ours: float
    unit: str
    better: Literal["higher", "lower"]
    target: float  # in the same unit
    rival: float | None = None  # in the same unit
    rival_name: str | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.ours, self.target, self.rival or 0.0)):
            raise PhysicsError(f"benchmark {self.what}: {self.ours} against {self.rival} is not a finite number")

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.ours >= self.target if self.better == "higher" else self.ours <= self.target

    @property
    def ratio(self) -> float | None:
        """How many times better than the rival: above 1 when ours is the better number."""
        if self.rival is None or self.rival == 0.0 or self.ours == 0.0:
            return None
        return self.ours / self.rival if self.better == "higher" else self.rival / self.ours


def cpu_seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the median processor time in seconds of this process over `repeats` calls, after one to warm up.

    Processor time of all threads counts, so it says what the work costs on a busy machine too.
    """
    return _median_seconds(function, repeats, time.process_time)


def wall_seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the median elapsed time in seconds over `repeats` calls, after one to warm up."""
    return _median_seconds(function, repeats, time.perf_counter)


def _median_seconds(function: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        began = clock()
        function()
        seconds.append(clock() - began)
    return statistics.median(seconds)
