"""The checkers of every framework on environments in which houses and devices come and go, down to nobody at all."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from ray.rllib.utils.pre_checks.env import check_multiagent_environments
from stable_baselines3.common import env_checker
from torchrl.envs.utils import check_env_specs

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.envs.parallel import env, parallel_env
from totalflex_env.envs.rllib import RllibEnv
from totalflex_env.envs.sb3 import make_vec_env
from totalflex_env.envs.single import single_env
from totalflex_env.envs.torchrl import torchrl_env
from totalflex_env.envs.vector import make_vec

SOME = ["--population.houses=[0.0, 1.0]", "--population.devices=[0.5, 1.0]", "--aggregators=2"]


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    """The tiny world with nobody, one or two houses, each with an aggregator of its own."""
    return config_files.load(EnvConfig, "tiny", "env", SOME)


def agents_of(config: EnvConfig, seed: int) -> list[str]:
    view = parallel_env(config)
    view.reset(seed=seed)
    return view.agents


def test_the_agents_of_a_day_are_those_who_are_there(config: EnvConfig) -> None:
    found = {tuple(agents_of(config, seed)) for seed in range(20)}
    nobody, one, both = ((), (0,), (0, 1))
    for houses in (nobody, one, (1,), both):
        names = [f"{role}_{house}" for role in ("prosumer", "aggregator") for house in houses]
        assert (*names, "brp_0", "dso_0") in found
    assert len(found) == 4


def test_money_of_those_who_are_there_is_minus_the_system_cost(config: EnvConfig) -> None:
    view, generator = parallel_env(config), np.random.default_rng(0)
    for seed in range(8):
        seen, _ = view.reset(seed=seed)
        acting = list(view.agents)
        while view.agents:
            actions = {name: generator.uniform(-1.0, 1.0, view.action_space(name).shape) for name in acting}
            seen, earned, _, _, infos = view.step(actions)
            assert list(seen) == list(earned) == list(infos) == acting
            assert sum(earned.values()) == pytest.approx(-infos["dso_0"]["cost_eur"], abs=1e-4)


def test_a_day_on_which_nobody_could_act_is_over_before_it_begins() -> None:
    empty = ["--population.houses=[0, 0]", "--learners=[prosumer]"]
    view = parallel_env(config_files.load(EnvConfig, "tiny", "env", empty))
    assert view.reset(seed=0) == ({}, {}) and view.agents == [] and view.possible_agents == ["prosumer_0", "prosumer_1"]


# PettingZoo remarks on days that end although some possible agents have not acted: they were not there.
@pytest.mark.filterwarnings("ignore:No agents present but not all possible_agents:UserWarning")
def test_pettingzoo(config: EnvConfig) -> None:
    parallel_api_test(parallel_env(config), num_cycles=60)
    parallel_seed_test(lambda: parallel_env(config), num_cycles=8)


@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
def test_pettingzoo_turn_by_turn(config: EnvConfig) -> None:
    api_test(env(config), num_cycles=8)


@pytest.mark.filterwarnings("ignore:.*not having the environment's spec.*")
@pytest.mark.parametrize("agent", ["aggregator_1", "prosumer_1", "brp_0", "dso_0"])
def test_gymnasium_and_stable_baselines3(config: EnvConfig, agent: str) -> None:
    alone = single_env(config, agent)
    check_env(alone, skip_render_check=True)
    env_checker.check_env(alone, skip_render_check=True)


@pytest.mark.parametrize("policies", ["shared", "role", "separate"])
def test_rllib(config: EnvConfig, policies: str) -> None:
    check_multiagent_environments(RllibEnv({"env": config, "policies": policies}))


def test_torchrl(config: EnvConfig) -> None:
    check_env_specs(torchrl_env(config, num_envs=6))


def test_all_views_tell_the_same_of_who_is_there(config: EnvConfig) -> None:
    seeds = range(8)
    there = ["prosumer_1" in agents_of(config, seed) for seed in seeds]
    assert 0 < sum(there) < 8
    assert [single_env(config, "prosumer_1").reset(seed=seed)[1]["agent_mask"] for seed in seeds] == there
    assert make_vec(config, 8, agent="prosumer_1").reset(seed=0)[1]["agent_mask"].tolist() == there
    copies = make_vec_env(config, 8, role="prosumer", seed=0)
    copies.reset()
    assert [info["agent_mask"] for info in copies.reset_infos[1::2]] == there
    rows = torchrl_env(config, 8)
    rows.set_seed(0, static_seed=True)
    assert rows.reset()["prosumer", "mask"][:, 1].tolist() == there
