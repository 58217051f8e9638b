from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import Role, ScriptedPolicy, action, neutral
from totalflex_env.envs import worlds
from totalflex_env.envs.sb3 import TotalFlexVecEnv, make_vec_env
from totalflex_env.envs.spaces import rule
from totalflex_env.errors import MissingExtraError

# Two hours of the street, from 16:00 on.
TWO_HOURS = ["--slots=8", "--scenario.start_hour=16", "--devices.ev.arrival_hour=16.5", "--devices.dishwasher.count=0"]


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env", TWO_HOURS)


def still(env: TotalFlexVecEnv, role: Role = "aggregator") -> np.ndarray:
    return np.tile(rule(role), (env.num_envs, 1))


def test_all_rows_end_together_by_truncation_and_begin_again_in_the_same_step(config: EnvConfig) -> None:
    street = make_vec_env(config, num_envs=2, seed=10)
    fresh = make_vec_env(config, num_envs=2, seed=12)
    first = fresh.reset()
    assert not np.array_equal(street.reset(), first)
    for slot in range(8):
        seen, _, done, infos = street.step(still(street))
        assert done.tolist() == [slot == 7] * 2
        assert [info["TimeLimit.truncated"] for info in infos] == [slot == 7] * 2
        assert all(("terminal_observation" in info) == (slot == 7) for info in infos)
    assert [info["episode_seed"] for info in street.reset_infos] == [12, 13]
    np.testing.assert_array_equal(seen, first)
    for row, info in enumerate(infos):
        assert street.observation_space.contains(info["terminal_observation"])
        assert not np.array_equal(info["terminal_observation"], seen[row])


def test_row_i_of_episode_e_has_seed_plus_e_times_rows_plus_i() -> None:
    tiny = make_vec_env("tiny", num_envs=3, role="prosumer", seed=100)
    drawn = []
    for _ in range(2):
        tiny.reset()
        drawn.append([info["episode_seed"] for info in tiny.reset_infos])
    assert drawn == [[100, 100, 101, 101, 102, 102], [103, 103, 104, 104, 105, 105]]
    assert tiny.seed(7) == [7, 7, 8, 8, 9, 9]
    tiny.reset()
    assert tiny.reset_infos[0] == {"episode_seed": 7}
    assert tiny.seed() != tiny.seed()


def test_the_system_reward_is_what_a_slot_costs_beyond_what_was_bought(config: EnvConfig) -> None:
    """-[spot L + (up - spot) r+ + (spot - down) r- + overload + voltage + discomfort + shortfall], L the net load."""
    street = make_vec_env(config, num_envs=3, dtype=torch.float64, seed=1)
    simulator = worlds.make_simulator(config, torch.float64)
    simulator.reset([1, 2, 3])
    street.reset()
    for slot in range(8):
        _, rewards, _, _ = street.step(still(street))
        _, outcome = simulator.step(ScriptedPolicy().act(simulator.situation()))
        day, costs, r = simulator.episode.actual, outcome.costs, outcome.imbalance_kwh
        spot, up, down = day.spot[:, slot], day.up[:, slot], day.down[:, slot]
        trade = spot * outcome.net_kwh + (up - spot) * r.clamp(min=0) + (spot - down) * (-r).clamp(min=0)
        cost = trade + costs.overload + costs.voltage + costs.discomfort + costs.shortfall
        np.testing.assert_allclose(rewards, -cost.numpy(), atol=1e-9)


def test_the_role_reward_is_the_money_of_the_role(config: EnvConfig) -> None:
    street = make_vec_env(config, num_envs=2, role="prosumer", dtype=torch.float64, seed=1)
    simulator = worlds.make_simulator(config, torch.float64)
    now = simulator.reset([1, 2])
    street.reset()
    _, rewards, _, _ = street.step(still(street, "prosumer"))
    _, outcome = simulator.step(action(now, neutral(now.params, 2)))
    assert street.num_envs == 2 * 13
    np.testing.assert_allclose(rewards.reshape(2, 13), outcome.rewards.prosumer.numpy(), atol=1e-12)


def test_houses_may_learn_from_the_system_cost_too() -> None:
    tiny = make_vec_env("tiny", num_envs=2, role="prosumer", reward="system")
    tiny.reset()
    _, rewards, _, infos = tiny.step(still(tiny, "prosumer"))
    np.testing.assert_allclose(rewards, [-info["cost_eur"] for info in infos], rtol=1e-6)


def test_each_slot_counts_its_own_cut_actions() -> None:
    tiny = make_vec_env("tiny", num_envs=2, role="prosumer")
    tiny.reset()
    actions = still(tiny, "prosumer")
    actions[1] = [2.0, -2.0]
    actions[2, 0] = 9.0
    assert [info["action_clipped"] for info in tiny.step(actions)[3]] == [0, 2, 1, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rewards_have_the_precision_of_the_engine_and_observations_that_of_their_space(dtype: torch.dtype) -> None:
    tiny = make_vec_env("tiny", num_envs=2, dtype=dtype)
    assert tiny.reset().dtype == np.float32
    seen, rewards, done, _ = tiny.step(still(tiny))
    assert (seen.dtype, rewards.dtype, done.dtype) == (np.float32, torch.empty(0, dtype=dtype).numpy().dtype, np.bool_)


def test_without_stable_baselines3_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    monkeypatch.delitem(sys.modules, "totalflex_env.envs.sb3")
    with pytest.raises(MissingExtraError, match=r"pip install .*totalflex\[train\]"):
        __import__("totalflex_env.envs.sb3")
