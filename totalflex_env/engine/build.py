"""From a configuration to a world, and from seeds to episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.devices import appliance, storage, thermal
from totalflex_env.engine.values import stored_values
from totalflex_env.grid import network
from totalflex_env.grid_model import GridModel
from totalflex_env.scenario.sources import make_source
from totalflex_env.types import Episode, Outlook, Params, Scenario, Source
from totalflex_env.units import SLOT_HOURS

BASE_LOAD_KW = 15.0
"""Inflexible power that a house is taken to reach when asking which elements could ever be overloaded."""


@dataclass(frozen=True)
class World:
    """Everything that stays when episodes come and go."""

    params: Params
    source: Source


def build(config: EnvConfig, dtype: torch.dtype = torch.float64, device: str = "cpu") -> World:
    """Return the world that `config` describes, its tensors of `dtype` on `device`."""
    source = make_source(config)
    net = network.two_house_feeder() if config.grid.source == "two_house" else source.net
    grid = network.from_pandapower(net)
    node = torch.tensor([grid.node_of_bus[bus] for bus in source.house_bus])
    houses, devices = len(node), config.devices
    store = storage.build(devices.ev, devices.battery, houses, SLOT_HOURS)
    heat = thermal.build(devices.heat_pump, devices.freezer, houses, SLOT_HOURS)
    wash = appliance.build(devices.dishwasher, houses, SLOT_HOURS)
    house = torch.cat([store.house, heat.house, wash.house])
    power = torch.cat([store.charge_kwh, heat.power_kwh, wash.profile_kwh.amax(dim=1)]) / SLOT_HOURS
    limited = limited_elements(grid, node, BASE_LOAD_KW + torch.zeros(houses).double().index_add(0, house, power))
    params = Params(
        config=config,
        storage=store,
        thermal=heat,
        appliance=wash,
        house=house,
        node=node,
        grid=grid,
        limited=limited,
        members=grid.downstream[limited][:, node] > 0,
        slot_hours=SLOT_HOURS,
    )
    return World(batch.to(params, dtype=dtype, device=torch.device(device)), source)


def limited_elements(grid: GridModel, node: Tensor, power_kw: Tensor) -> Tensor:
    """Return the elements [L], leaf before root, that the installed power [P] behind them could overload."""
    behind = grid.downstream[:, node].double()
    candidates = torch.nonzero(behind @ power_kw > grid.rating_kva).flatten()
    return candidates[torch.argsort(behind.sum(dim=1)[candidates], stable=True)]


def draw(world: World, seeds: Sequence[int]) -> Episode:
    """Return one episode per seed, with nothing nominated yet."""
    dtype, device = world.params.storage.charge_kwh.dtype, world.params.house.device
    actual, expected = (batch.to(part, dtype=dtype, device=device) for part in world.source.draw(list(seeds)))
    return episode_of(world.params, actual, expected)


def episode_of(params: Params, actual: Scenario, expected: Scenario) -> Episode:
    """Return the episode of a truth and its expectation, with nothing nominated yet."""
    floor, ceiling = thermal.envelope(params.thermal, expected)
    storage_value, heat_value = stored_values(params, expected)
    outlook = Outlook(
        spot=expected.spot,
        cheapest=expected.spot.argsort(dim=1, stable=True),
        load_kwh=(expected.base_kwh - expected.pv_kwh).sum(dim=2),
        holding_kwh=thermal.holding(params.thermal, expected).sum(dim=2),
        storage_value=storage_value,
        heat_value=heat_value,
    )
    return Episode(actual, expected, outlook, torch.zeros_like(actual.spot), floor, ceiling)
