"""The checkers of every framework on every registered environment, and rows that do not know of each other in each."""

from __future__ import annotations

import warnings

import gymnasium
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from ray.rllib.utils.pre_checks.env import check_multiagent_environments
from stable_baselines3.common import env_checker
from torchrl.envs.utils import check_env_specs

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import ScriptedPolicy, action, neutral
from totalflex_env.engine.simulator import Simulator
from totalflex_env.envs.ids import IDS
from totalflex_env.envs.parallel import env, parallel_env
from totalflex_env.envs.rllib import RllibEnv
from totalflex_env.envs.single import single_env
from totalflex_env.envs.torchrl import torchrl_env

NAMES = [
    pytest.param(name, marks=[] if name in {"tiny", "house", "street"} else [pytest.mark.slow])
    for name in config_files.names("env")
]
SLOTS = 6


def test_the_registered_environments_are_all_here() -> None:
    assert [name.values[0] for name in NAMES] == ["house", "office_industry", "street", "tiny", "town", "village"]


@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo(name: str) -> None:
    parallel_api_test(parallel_env(name), num_cycles=20)
    parallel_seed_test(lambda: parallel_env(name), num_cycles=2)


# Roles see different things, so their observations differ in size; PettingZoo remarks on that and on nothing else.
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_turn_by_turn(name: str) -> None:
    api_test(env(name), num_cycles=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agent", ["aggregator_0", "prosumer_1", "brp_0", "dso_0"])
def test_gymnasium_and_stable_baselines3(name: str, agent: str) -> None:
    alone = single_env(name, agent)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not having the environment's spec.*")  # it was made by hand
        warnings.filterwarnings("ignore", message=".*skip_render_check.*")
        check_env(alone, skip_render_check=True)
    env_checker.check_env(alone, skip_render_check=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("policies", ["shared", "role", "separate"])
def test_rllib(name: str, policies: str) -> None:
    check_multiagent_environments(RllibEnv({"env": name, "policies": policies}))


@pytest.mark.parametrize("name", NAMES)
def test_torchrl(name: str) -> None:
    check_env_specs(torchrl_env(name, num_envs=2))


@pytest.mark.parametrize("name", sorted(IDS))
def test_the_registered_ids(name: str) -> None:
    made = gymnasium.make(name)
    assert made.spec is not None
    assert (made.spec.id, made.spec.max_episode_steps) == (name, None)
    check_env(made.unwrapped, skip_render_check=True)
    rows = gymnasium.make_vec(name, num_envs=2, vectorization_mode="vector_entry_point")
    assert rows.single_action_space == made.action_space
    assert rows.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    assert rows.reset(seed=0)[0].shape == (2, *made.observation_space.shape)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_a_batch_equals_its_seed_alone(name: str) -> None:
    """Row 1 of 3 while every role of every row does something else."""
    world, row = build(config_files.load(EnvConfig, name, "env")), torch.tensor([1])
    together, alone = Simulator(world, ScriptedPolicy()), Simulator(world, ScriptedPolicy())
    now_together, now_alone = together.reset([5, 6, 7]), alone.reset([6])
    generator = torch.Generator().manual_seed(0)
    for _ in range(min(SLOTS, world.params.config.slots - 1)):
        assert batch.equal(batch.take_rows(observe(now_together), row), observe(now_alone), 1e-9)
        controls = batch.map_tensors(
            neutral(world.params, 3), lambda zeros: 2.0 * torch.rand(zeros.shape, generator=generator).to(zeros) - 1.0
        )
        of_all = together.step(action(now_together, controls))
        of_one = alone.step(action(now_alone, batch.take_rows(controls, row)))
        for record, lonely in zip(of_all, of_one):
            assert batch.equal(batch.take_rows(record, row), lonely, 1e-9)
        now_together, now_alone = together.situation(), alone.situation()
