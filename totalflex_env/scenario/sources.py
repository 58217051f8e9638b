"""Which source draws the episodes of a configuration: the one place where its name is looked up."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError
from totalflex_env.types import Scenario

MODULES = {
    "simbench": "totalflex_env.scenario.street",
    "tiny": "totalflex_env.scenario.tiny",
}
"""Module of each source, imported when it is asked for: grid libraries take seconds. Each has `make(config)`."""


class HouseSource(Protocol):
    """A source of episodes that knows where its houses are."""

    @property
    def net(self) -> Any:
        """The pandapower net, None where the grid is made elsewhere."""

    @property
    def house_bus(self) -> tuple[int, ...]:
        """Pandapower bus of every house."""

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return the truth and its day-ahead expectation, float64, one row per seed and by that seed alone."""


def make_source(config: EnvConfig) -> HouseSource:
    """Return the source that `config.scenario.source` names; an unknown name is a ConfigError."""
    name = config.scenario.source
    if name not in MODULES:
        raise ConfigError(config.name, "scenario.source", name, f"one of {', '.join(MODULES)}")
    source: HouseSource = importlib.import_module(MODULES[name]).make(config)
    return source
