"""Who lives on a SimBench grid: loads are recognised by their profiles, and no energy is lost on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from totalflex_env.errors import DataError
from totalflex_env.scenario import simbench
from totalflex_env.scenario.simbench_houses import DEVICES, Houses, houses_of, kind_of, played


@pytest.fixture(scope="module")
def loaded() -> simbench.SimbenchNet:
    return simbench.load("1-LV-semiurb4--2-sw")


@pytest.fixture(scope="module")
def houses(loaded: simbench.SimbenchNet) -> Houses:
    return houses_of(loaded)


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        ("H0-A", "home"),
        ("G4-B", "business"),
        ("BL-H", "business"),
        ("WB-H", "business"),
        ("L2-M", "farm"),
        ("lv_semiurb4", "grid"),
        ("HS13", "grid"),
        ("Air_Semi-Parallel_2", "heat pump"),
        ("Soil_Alternative_1", "heat pump"),
        ("HLS_A_22.0", "home charger"),
        ("APLS_0.5202", "public charger"),
    ],
)
def test_a_load_is_known_by_its_profile(profile: str, kind: str) -> None:
    assert kind_of(profile) == kind


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(DataError, match="X9-Z"):
        kind_of("X9-Z")


def test_semiurb4_of_the_far_future(houses: Houses) -> None:
    """32 homes, 9 businesses; 10 heat pumps, 4 vehicles at home and 3 at work, 4 batteries with 450 kWh."""
    assert [houses.kind.count(kind) for kind in ("home", "business")] == [32, 9] and len(houses.bus) == 41
    count = {kind: sum(device.kind == kind for device in houses.devices) for kind in (*DEVICES, "battery")}
    assert count == {"heat pump": 10, "home charger": 4, "public charger": 3, "battery": 4}
    assert sum(device.capacity_kwh for device in houses.devices) == pytest.approx(450.4, abs=0.5)
    assert {houses.kind[device.house] for device in houses.devices if device.kind == "home charger"} == {"home"}


def test_rural1_of_the_near_future() -> None:
    """Scenario 1: 3 homes and 10 farms get a heat pump of 0.34 kW on average and four batteries."""
    near = houses_of(simbench.load("1-LV-rural1--1-sw"))
    assert [near.kind.count(kind) for kind in ("home", "farm")] == [3, 10]
    assert sorted(device.kind for device in near.devices) == ["battery"] * 4 + ["heat pump"]
    (pump,) = (device for device in near.devices if device.kind == "heat pump")
    assert float(pump.kw.mean()) == pytest.approx(0.335, abs=0.001) and pump.kw.min() >= 0.0
    assert played(near).base_kw.sum() == pytest.approx(near.base_kw.sum() + pump.kw.sum())


def test_no_energy_is_lost(loaded: simbench.SimbenchNet, houses: Houses) -> None:
    whole = played(houses)
    net = loaded.load_kw.sum(axis=1, dtype=np.float64) - loaded.sgen_kw.sum(axis=1, dtype=np.float64)
    net -= loaded.storage_kw.sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose((whole.base_kw - whole.pv_kw).sum(axis=1), net, atol=1e-3)
    assert whole.base_kw.min() >= 0.0 and whole.pv_kw.min() >= -1e-6 and whole.devices == ()
    battery = next(device for device in houses.devices if device.kind == "battery")
    assert abs(battery.kw.sum()) < 1e-3 * np.abs(battery.kw).sum()  # what it takes it gives back


def test_devices_of_one_kind_at_one_bus_go_to_its_houses_in_turn(loaded: simbench.SimbenchNet) -> None:
    bus = next(int(bus) for bus, count in zip(*np.unique(loaded.load_bus, return_counts=True)) if count > 1)
    names = np.array(["H0-A", "H0-B", *["HLS_A_3.7"] * 3])
    three = replace(
        loaded,
        load_bus=np.full(5, bus),
        load_kv=np.full(5, 0.4),
        load_profile=names,
        load_rated_kw=np.ones(5),
        load_kw=loaded.load_kw[:, :5],
        load_kvar=loaded.load_kvar[:, :5],
        storage_bus=loaded.storage_bus[:0],
        storage_profile=loaded.storage_profile[:0],
    )
    assert [device.house for device in houses_of(three).devices] == [0, 1, 0]
    with pytest.raises(DataError, match="home charger"):
        houses_of(replace(three, load_bus=np.array([bus, bus, bus, bus, -1])))


def test_a_plant_alone_at_its_bus_is_a_house_and_low_voltage_comes_first(loaded: simbench.SimbenchNet) -> None:
    elsewhere = int(loaded.sgen_bus[0]) + 1000
    kv = loaded.load_kv.copy()
    kv[0] = 20.0
    grid = houses_of(replace(loaded, sgen_bus=np.array([elsewhere, *loaded.sgen_bus[1:]]), load_kv=kv))
    assert grid.bus[-1] == elsewhere and len(grid.bus) == 42
    assert grid.base_kw[:, -1].max() == 0.0 < grid.pv_kw[:, -1].max()
    assert grid.bus[40] == loaded.load_bus[0]
    np.testing.assert_array_equal(grid.base_kw[:, 40], loaded.load_kw[:, 0])
