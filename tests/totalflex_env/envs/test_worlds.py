from __future__ import annotations

from pathlib import Path

import pytest
import torch

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.envs import worlds
from totalflex_env.errors import ConfigError


def test_a_name_a_file_and_a_configuration_mean_the_same(tmp_path: Path) -> None:
    config = config_files.load(EnvConfig, "tiny", "env")
    file = tmp_path / "mine.yaml"
    file.write_text(config_files.dump(config))
    for env in ("tiny", file, str(file), config):
        assert worlds.make_simulator(env, torch.float64).world.params.config == config


def test_an_unknown_name_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="tiny"):
        worlds.make_simulator("tinny", torch.float64)


def test_the_last_situation_shows_the_devices_as_they_ended() -> None:
    simulator = worlds.make_simulator("tiny", torch.float64)
    simulator.reset([0])
    while not simulator.done:
        simulator.step(ScriptedPolicy().act(worlds.situation(simulator)))
    end = worlds.situation(simulator)
    assert end.state.slot == 3
    assert end.state.devices is simulator.state.devices
