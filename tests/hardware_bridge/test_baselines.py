"""The bridge runs every baseline by its name."""

from __future__ import annotations

import pytest

from baselines import catalog
from hardware_bridge.__main__ import policy_maker
from hardware_bridge.config import BridgeConfig
from hardware_bridge.demo import compare
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import build


@pytest.mark.parametrize("name", list(catalog.POLICIES))
def test_bridge_and_simulator_agree(name: str) -> None:
    report = compare(BridgeConfig(env="tiny", policy=name), build(load(EnvConfig, "tiny", "env")), policy_maker(name))
    assert report.agrees
