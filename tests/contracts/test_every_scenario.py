"""The checkers of every framework on every registered environment, and rows that do not know of each other in each."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator

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
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import ScriptedPolicy, action, neutral
from totalflex_env.engine.simulator import Simulator
from totalflex_env.envs import worlds
from totalflex_env.envs.ids import IDS
from totalflex_env.envs.parallel import env, parallel_env
from totalflex_env.envs.rllib import RllibEnv
from totalflex_env.envs.single import single_env
from totalflex_env.envs.torchrl import torchrl_env

LARGE = ["office_industry", "town", "village"]
TWO_HOURS = ["--slots=8", "--scenario.start_hour=16", "--devices.dishwasher.count=0", "--devices.industry.count=0"]
TWO_HOURS += ["--devices.ev.arrival_hour=16.5", "--devices.industry.houses=null", "--grid.devices=profiles"]
FORMS = [*config_files.names("env"), *(f"{name} at four" for name in LARGE)]
"""Every registered environment, and the large ones for two hours, which takes seconds instead of minutes."""
NAMES = [name for name in FORMS if name not in LARGE]
WHOLE = [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in FORMS]
SLOTS = 6


@pytest.fixture(scope="module", autouse=True)
def _built_once() -> Iterator[None]:
    """Worlds never change, so that every test of one may share it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "build", functools.cache(worlds.build))
        yield


@functools.cache
def config_of(name: str) -> EnvConfig:
    registered, *at_four = name.split(" ", 1)
    return config_files.load(EnvConfig, registered, "env", TWO_HOURS if at_four else [])


def test_the_registered_environments_are_all_here() -> None:
    registered = ["house", "office_industry", "street", "tiny", "town", "village"]
    assert sorted({name.split()[0] for name in FORMS}) == sorted({name.split()[0] for name in NAMES}) == registered


@pytest.mark.parametrize("name", WHOLE)
def test_pettingzoo(name: str) -> None:
    parallel_api_test(parallel_env(config_of(name)), num_cycles=20)
    parallel_seed_test(lambda: parallel_env(config_of(name)), num_cycles=2)


# Roles see different things, so their observations differ in size; PettingZoo remarks on that and on nothing else.
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo_turn_by_turn(name: str) -> None:
    api_test(env(config_of(name)), num_cycles=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agent", ["aggregator_0", "prosumer_1", "brp_0", "dso_0"])
def test_gymnasium_and_stable_baselines3(name: str, agent: str) -> None:
    alone = single_env(config_of(name), agent)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not having the environment's spec.*")  # it was made by hand
        warnings.filterwarnings("ignore", message=".*skip_render_check.*")
        check_env(alone, skip_render_check=True)
    env_checker.check_env(alone, skip_render_check=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("policies", ["shared", "role", "separate"])
def test_rllib(name: str, policies: str) -> None:
    check_multiagent_environments(RllibEnv({"env": config_of(name), "policies": policies}))


@pytest.mark.parametrize("name", WHOLE)
def test_torchrl(name: str) -> None:
    check_env_specs(torchrl_env(config_of(name), num_envs=2))


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


@pytest.mark.parametrize("name", WHOLE)
def test_a_row_of_a_batch_equals_its_seed_alone(name: str) -> None:
    """Row 1 of 3 while every role of every row does something else."""
    world, row = worlds.build(config_of(name)), torch.tensor([1])
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
