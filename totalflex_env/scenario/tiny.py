"""Four quarter-hours of two houses without any chance: small enough to be solved by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario import habits
from totalflex_env.scenario.assemble import Outside, scenario
from totalflex_env.types import Scenario

DAY = Outside(
    spot=np.array([[0.30, 0.10, 0.20, 0.40]]),
    up=np.full((1, 4), 0.10),
    down=np.full((1, 4), 0.05),
    wind_kwh=np.zeros((1, 4)),
    temperature=np.full((1, 4), 5.0),
    base_kwh=np.array([[[0.25, 0.50]] * 4]),
    base_kvarh=np.array([[[0.05, 0.10]] * 4]),
    pv_kwh=np.array([[[0.0, 0.0], [0.0, 0.25], [0.0, 0.25], [0.0, 0.0]]]),
    irradiance=np.array([[0.0, 0.25, 0.25, 0.0]]),
    weekday=np.array([0]),
)


@dataclass(frozen=True)
class TinyDays:
    """The same episode for every seed, expected exactly as it comes; devices as configured, with their mean habits."""

    config: EnvConfig
    net: None = None
    house_bus: tuple[int, ...] = (2, 3)  # of the two-house feeder
    peak_kw: tuple[float, ...] = (1.0, 2.0)

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, which are equal, one row per seed, float64."""
        day = Outside(*(np.repeat(each, len(seeds), axis=0) for each in vars(DAY).values()))
        expected = scenario(day, habits.expected(self.config, day))
        return expected, expected


def make(config: EnvConfig) -> TinyDays:
    """Return the source of the two-house feeder."""
    if config.grid.source != "two_house":
        raise ConfigError(config.name, "grid.source", config.grid.source, "'two_house' for scenario.source 'tiny'")
    slots = DAY.spot.shape[1]
    if config.slots != slots:
        raise ConfigError(config.name, "slots", config.slots, f"{slots}, the length of scenario.source 'tiny'")
    habits.check(config)
    return TinyDays(config)
