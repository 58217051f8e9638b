"""Where devices stand: in turn, or in the houses that are named; and several groups of one kind."""

from __future__ import annotations

import pytest

from totalflex_env import fleet
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.errors import ConfigError


def test_devices_stand_in_turn_or_where_they_are_put() -> None:
    assert EvConfig(count=5).houses_of(2).tolist() == [0, 1, 0, 1, 0]
    assert EvConfig(count=3, houses=(4, 4, 1)).houses_of(5).tolist() == [4, 4, 1]


def test_a_house_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="a house from 0 to 3"):
        EvConfig(count=1, houses=(4,)).houses_of(4)


def test_every_device_has_one_house() -> None:
    with pytest.raises(ConfigError, match="'houses' names 2 houses for 1 devices"):
        load(EnvConfig, "tiny", "env", ["--devices.ev.houses=[0, 1]"])


def test_further_groups_are_of_the_kinds_they_are() -> None:
    more = (EvConfig(count=1, houses=(1,), power_kw=3.7), BatteryConfig(count=1, houses=(0,)))
    families, kinds = fleet.build(DevicesConfig(ev=EvConfig(count=1), further=more), 2, 0.25)
    assert kinds == ("ev", "ev", "battery")
    assert len(families) == 1 and families[0].house.tolist() == [0, 1, 0]
    assert families[0].range_kwh()[1].tolist() == pytest.approx([2.75, 0.925, 1.0])


def test_files_hold_no_further_groups() -> None:
    with pytest.raises(ConfigError, match=r"devices\.further"):
        load(EnvConfig, "tiny", "env", ["--devices.further=[{count: 1}]"])
