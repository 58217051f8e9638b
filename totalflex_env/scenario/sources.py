"""Which source draws the episodes of a configuration: the one place where its name is looked up."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario.population import populated
from totalflex_env.types import HouseSource

MODULES = {
    "simbench": "totalflex_env.scenario.street",
    "synthetic": "totalflex_env.scenario.synthetic",
    "recorded": "totalflex_env.scenario.recorded_days",
    "tiny": "totalflex_env.scenario.tiny",
}
"""Module of each source, imported when it is asked for: grid libraries take seconds. Each has `make(config)`."""


GRIDS = {
    "simbench": "totalflex_env.scenario.simbench_grid",
    "json": "totalflex_env.scenario.grid_file",
}
"""Module of each grid that comes without days, imported likewise. Each has `grid(config)`."""


@dataclass(frozen=True)
class HouseGrid:
    """A grid and where its houses are."""

    net: Any  # pandapower net, None where the engine makes it
    house_bus: tuple[int, ...]  # [P]
    load: tuple[int, ...]  # [P] index of each house in the table of loads


def make_source(config: EnvConfig) -> HouseSource:
    """Return the source that `config.scenario.source` names; an unknown name is a ConfigError."""
    name = config.scenario.source
    if name not in MODULES:
        raise ConfigError(config.name, "scenario.source", name, f"one of {', '.join(MODULES)}")
    source: HouseSource = importlib.import_module(MODULES[name]).make(config)
    return source if config.population.everybody else populated(source)


def grid_of(config: EnvConfig) -> HouseGrid:
    """Return the grid that `config.grid.source` names, without asking where days come from."""
    if config.grid.source == "two_house":
        return HouseGrid(None, (2, 3), (0, 1))
    found: HouseGrid = importlib.import_module(GRIDS[config.grid.source]).grid(config)
    return found
