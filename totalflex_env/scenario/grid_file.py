"""Any radial pandapower grid from its JSON file: every load is a house."""

from __future__ import annotations

from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.recorded import grid_json
from totalflex_env.scenario.sources import HouseGrid


def grid(config: EnvConfig) -> HouseGrid:
    """Return the grid of `config.grid.path`; a file that holds none, or one without loads, is an error."""
    path = config.grid.path
    if not path:
        raise ConfigError(config.name, "grid.path", path, "a pandapower JSON file, for grid.source 'json'")
    net = grid_json.load(path)
    if net.load.empty:
        raise DataError(path, "load", "no rows", "at least one load, since every load is a house")
    return HouseGrid(net, tuple(int(bus) for bus in net.load.bus), tuple(int(load) for load in net.load.index))
