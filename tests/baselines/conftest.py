from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from totalflex_env import fleet
from totalflex_env.config import DevicesConfig, EnvConfig, GridConfig, ScenarioConfig
from totalflex_env.devices.appliance import Windows
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.dishwasher import DishwasherConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.freezer import FreezerConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.thermal import Climate
from totalflex_env.engine.build import build, episode_of
from totalflex_env.types import Episode, Params, Scenario
from totalflex_env.units import SLOT_HOURS

SLOTS = 96
DEVICES = DevicesConfig(
    ev=EvConfig(count=3),
    battery=BatteryConfig(count=1),
    heat_pump=HeatPumpConfig(count=2),
    freezer=FreezerConfig(count=1),
    dishwasher=DishwasherConfig(count=1),
)


@pytest.fixture(scope="session")
def params() -> Params:
    """Two houses behind a transformer of 25 kVA that three vehicles can overload."""
    config = EnvConfig(name="two", slots=4, grid=GridConfig(source="two_house"), scenario=ScenarioConfig(source="tiny"))
    world = build(config).params
    families, kinds = fleet.build(DEVICES, 2, SLOT_HOURS)
    return replace(
        world,
        config=config.model_copy(update={"devices": DEVICES, "slots": SLOTS}),
        families=families,
        kinds=kinds,
        house=torch.cat([family.house for family in families]),
        limited=torch.tensor([len(world.grid.rating_kva) - 1]),
        members=torch.ones(1, 2, dtype=torch.bool),
    )


@pytest.fixture(scope="session")
def day(params: Params) -> Scenario:
    """A winter day from noon to noon, cheap after midnight, dear in the evening; vehicles come at five."""
    hour = torch.arange(SLOTS, dtype=torch.float64) * SLOT_HOURS
    spot = 0.10 - 0.05 * torch.cos((hour - 5.0) * 2.0 * math.pi / 24.0 + math.pi)
    spot = spot.reshape(1, SLOTS)
    outdoors = torch.full((1, SLOTS), 2.0, dtype=torch.float64)
    store, heat, _ = params.families
    heating, vehicles = heat.direction > 0.0, store.session
    sessions = Sessions(
        arrival=torch.where(vehicles, 20, 0)[None, None],
        departure=torch.where(vehicles, 74, SLOTS)[None, None],
        need_kwh=torch.where(vehicles, 12.0, 0.0).double()[None, None],
        stored_kwh=torch.where(vehicles, 0.0, 4.0).double()[None, None],
    )
    climate = Climate(
        ambient=torch.where(heating, outdoors[..., None], 20.0),
        cop=torch.where(heating, 3.0, 1.6).double().expand(1, SLOTS, -1).clone(),
        start=heat.setpoint[None],
    )
    windows = Windows(torch.tensor([[[28]]]), torch.tensor([[[70]]]), torch.tensor([[[0]]]))
    return Scenario(
        spot=spot,
        up=spot + 0.03,
        down=spot - 0.02,
        wind_kwh=torch.full((1, SLOTS), 0.5, dtype=torch.float64),
        temperature=outdoors,
        base_kwh=torch.full((1, SLOTS, 2), 0.3, dtype=torch.float64),
        base_kvarh=torch.full((1, SLOTS, 2), 0.05, dtype=torch.float64),
        pv_kwh=torch.zeros(1, SLOTS, 2, dtype=torch.float64),
        irradiance=torch.zeros_like(spot),
        habits=(sessions, climate, windows),
    )


@pytest.fixture(scope="session")
def episode(params: Params, day: Scenario) -> Episode:
    """A day whose load and wind were expected lower and whose third vehicle was expected an hour later."""
    sessions, climate, windows = day.habits
    later = replace(sessions, arrival=sessions.arrival + torch.tensor([0, 0, 4, 0]))
    habits = (later, climate, windows)
    expected = replace(day, base_kwh=0.9 * day.base_kwh, wind_kwh=0.8 * day.wind_kwh, habits=habits)
    return episode_of(params, day, expected)
