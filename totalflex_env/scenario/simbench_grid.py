"""A SimBench grid without its profiles: the same houses as in the source 'simbench'."""

from __future__ import annotations

from totalflex_env.config import EnvConfig
from totalflex_env.scenario import simbench, simbench_houses
from totalflex_env.scenario.sources import HouseGrid


def grid(config: EnvConfig) -> HouseGrid:
    """Return the grid of `config.grid.code` and the buses of its houses."""
    loaded = simbench.load(config.grid.code)
    net = simbench.rerated(loaded.net, config.grid.transformer_kva)
    bus = simbench_houses.houses_of(loaded).bus
    return HouseGrid(net, bus, tuple(range(len(bus))))
