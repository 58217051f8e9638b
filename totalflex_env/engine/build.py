"""From a configuration to a world, and from seeds to episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env import batch, fleet
from totalflex_env.config import EnvConfig
from totalflex_env.engine import almanac
from totalflex_env.errors import ConfigError
from totalflex_env.grid import network
from totalflex_env.grid_model import GridModel
from totalflex_env.market import imbalance
from totalflex_env.scenario.sources import make_source
from totalflex_env.types import Episode, Outlook, Params, Scenario, Source
from totalflex_env.units import SLOT_HOURS

BASE_LOAD_KW = 15.0
"""Inflexible power that every house is taken to reach when asking which elements could ever be overloaded."""


@dataclass(frozen=True)
class World:
    """Everything that stays when episodes come and go."""

    params: Params
    source: Source


def build(config: EnvConfig, dtype: torch.dtype = torch.float64, device: str = "cpu") -> World:
    """Return the world that `config` describes, its tensors of `dtype` on `device`."""
    source = make_source(config)
    config = source.config
    net = network.two_house_feeder() if config.grid.source == "two_house" else source.net
    grid = network.from_pandapower(net)
    node = torch.tensor([grid.node_of_bus[bus] for bus in source.house_bus])
    houses = len(node)
    if config.aggregators > houses:
        raise ConfigError(config.name, "aggregators", config.aggregators, f"at most one for each of {houses} houses")
    families, kinds = fleet.build(config.devices, houses, SLOT_HOURS)
    house = torch.cat([torch.zeros(0, dtype=torch.int64), *(family.house for family in families)])
    params = Params(
        config=config,
        families=families,
        kinds=kinds,
        house=house,
        node=node,
        grid=grid,
        limited=house,
        members=house.bool(),
        slot_hours=SLOT_HOURS,
        aggregator=torch.arange(houses) % config.aggregators,
    )
    _, most = fleet.range_kwh(params)
    power = torch.zeros(houses).double().index_add(0, house, most / SLOT_HOURS)
    base = torch.tensor(source.peak_kw, dtype=torch.float64).clamp(min=BASE_LOAD_KW)
    limited = limited_elements(grid, node, base + power)
    params = replace(params, limited=limited, members=grid.downstream[limited][:, node] > 0)
    return World(batch.to(params, dtype=dtype, device=torch.device(device)), source)


def limited_elements(grid: GridModel, node: Tensor, power_kw: Tensor) -> Tensor:
    """Return the elements [L], leaf before root, that the installed power [P] behind them could overload."""
    behind = grid.downstream[:, node].double()
    candidates = torch.nonzero(behind @ power_kw > grid.rating_kva).flatten()
    return candidates[torch.argsort(behind.sum(dim=1)[candidates], stable=True)]


def draw(world: World, seeds: Sequence[int]) -> Episode:
    """Return one episode per seed, with nothing nominated yet."""
    dtype, device = world.params.grid.rating_kva.dtype, world.params.house.device
    actual, expected = (batch.to(part, dtype=dtype, device=device) for part in world.source.draw(list(seeds)))
    rule = world.params.config.market.imbalance
    return episode_of(world.params, imbalance.priced(rule, actual), imbalance.priced(rule, expected))


def episode_of(params: Params, actual: Scenario, expected: Scenario) -> Episode:
    """Return the episode of a truth and its expectation, with nothing nominated yet."""
    spot, load = expected.spot, (expected.base_kwh - expected.pv_kwh).sum(dim=2)
    holding = fleet.holding(params, expected)
    headroom = almanac.headroom(params, load, holding)
    outlook = Outlook(
        spot=spot,
        cheapest=spot.argsort(dim=1, stable=True),
        load_kwh=load,
        holding_kwh=holding,
        headroom_kwh=headroom,
        features=almanac.features(params, spot, headroom, holding),
        values=fleet.values(params, expected),
    )
    return Episode(actual, expected, outlook, torch.zeros_like(actual.spot), fleet.guards(params, expected))
