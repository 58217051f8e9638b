"""SimBench's profile devices as flexible ones: at the same house, of the same power, with the same energy in a year."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.family import Day, Weather
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.dice import Dice
from totalflex_env.engine.build import build
from totalflex_env.scenario import simbench, simbench_houses, weather
from totalflex_env.scenario.simbench_devices import flexible, noon_to_noon
from totalflex_env.scenario.simbench_houses import GridDevice

FAR_FUTURE = ["--grid.code=1-LV-semiurb4--2-sw"]


@pytest.fixture(scope="module")
def devices() -> tuple[GridDevice, ...]:
    return simbench_houses.houses_of(simbench.load("1-LV-semiurb4--2-sw")).devices


def of_kind(devices: tuple[GridDevice, ...], *kinds: str) -> list[GridDevice]:
    return [device for device in devices if device.kind in kinds]


def test_batteries_keep_power_and_capacity(devices: tuple[GridDevice, ...]) -> None:
    for device in of_kind(devices, "battery"):
        settings = flexible(device)
        assert isinstance(settings, BatteryConfig) and settings.houses == (device.house,)
        assert (settings.power_kw, settings.capacity_kwh) == (device.rated_kw, device.capacity_kwh)


def test_heat_pumps_take_the_same_energy_in_a_year(devices: tuple[GridDevice, ...]) -> None:
    for device in of_kind(devices, "heat pump"):
        settings = flexible(device)
        assert isinstance(settings, HeatPumpConfig) and settings.houses == (device.house,)
        year = [settings.mean_kw(float(outdoors), 24.0) for outdoors in weather.season(np.arange(366.0))]
        assert 8784.0 * np.mean(year) == pytest.approx(device.kw.sum() / 4.0, rel=1e-3)
        assert settings.mean_kw(-7.0, 24.0) < device.rated_kw  # it keeps the house warm on a cold day


def test_vehicles_charge_as_often_and_as_much(devices: tuple[GridDevice, ...]) -> None:
    """The lognormal needs are cut off at the highest one seen, and stays at the day, which costs a few per cent."""
    dice, slots = Dice.of([5]), 96
    outdoors = Weather(torch.zeros(1, slots, dtype=torch.float64), torch.zeros(1, slots, dtype=torch.float64))
    day = Day(outdoors, torch.tensor([0]), 12.0)
    for device in of_kind(devices, "home charger", "public charger"):
        settings = flexible(device)
        assert isinstance(settings, EvConfig) and settings.houses == (device.house,)
        assert settings.power_kw == device.rated_kw
        many = settings.model_copy(update={"count": 20_000, "houses": None})
        drawn = many.draw(dice, day).need_kwh[0].sum(dim=0).numpy()
        days = noon_to_noon(device.kw).sum(axis=1) / 4.0
        assert (drawn > 0.05).mean() == pytest.approx((days > 0.05).mean(), abs=0.02)
        assert drawn.mean() == pytest.approx(days.mean(), rel=0.08)


def test_days_run_from_noon_to_noon() -> None:
    days = noon_to_noon(np.arange(3.0 * 96.0))
    assert days.shape == (2, 96) and days[0, 0] == 48.0 and days[-1, -1] == 3 * 96 - 49


def test_the_grid_brings_its_devices_or_plays_them() -> None:
    played = build(load(EnvConfig, "street", "env", FAR_FUTURE))
    free = build(load(EnvConfig, "street", "env", [*FAR_FUTURE, "--grid.devices=flexible"]))
    more = {kind: free.params.kinds.count(kind) - played.params.kinds.count(kind) for kind in set(free.params.kinds)}
    assert more == {"ev": 7, "heat-pump": 10, "battery": 4, "freezer": 0, "dishwasher": 0}
    assert len(free.params.house) == len(free.params.kinds) and int(free.params.house.max()) < 41
    base, less = (world.source.draw([3])[0].base_kwh.sum() for world in (played, free))
    assert float(base) > float(less)
