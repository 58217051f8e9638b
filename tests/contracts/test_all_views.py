"""One engine behind every framework: same seed and same actions, same observations and money; ends are truncations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from tensordict import TensorDict

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.envs.batched import Setup
from totalflex_env.envs.parallel import env, parallel_env
from totalflex_env.envs.rllib import RllibEnv, make_config
from totalflex_env.envs.sb3 import TotalFlexVecEnv, make_vec_env
from totalflex_env.envs.single import single_env
from totalflex_env.envs.torchrl import torchrl_env
from totalflex_env.envs.vector import TotalFlexVectorEnv, make_vec

SEED, SLOTS = 11, 4
Day = tuple[list[np.ndarray], list[float]]
"""Observations of the agent, the last one included, and its rewards."""


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    """The tiny day with one learner, so that every view can show it."""
    return config_files.load(EnvConfig, "tiny", "env", ["--learners=[aggregator]"])


def actions() -> list[np.ndarray]:
    return list(np.random.default_rng(2).uniform(-1.0, 1.0, (SLOTS, 8)).astype(np.float32))


def by_parallel(config: EnvConfig) -> Day:
    view = parallel_env(config)
    seen, money = [view.reset(seed=SEED)[0]["aggregator_0"]], []
    for action in actions():
        observations, rewards, *_ = view.step({"aggregator_0": action})
        seen.append(observations["aggregator_0"])
        money.append(rewards["aggregator_0"])
    return seen, money


def by_turns(config: EnvConfig) -> Day:
    view = env(config)
    view.reset(seed=SEED)
    seen, money = [view.observe("aggregator_0")], []
    for action in actions():
        view.step(action)
        seen.append(view.observe("aggregator_0"))
        money.append(view.rewards["aggregator_0"])
    return seen, money


def by_gymnasium(config: EnvConfig) -> Day:
    view = single_env(config, reward="role")
    seen, money = [view.reset(seed=SEED)[0]], []
    for action in actions():
        observation, reward, *_ = view.step(action)
        seen.append(observation)
        money.append(reward)
    return seen, money


def by_vector(config: EnvConfig) -> Day:
    view = TotalFlexVectorEnv(config, 3, "aggregator_0", Setup(dtype=torch.float64))
    seen, money = [view.reset(seed=SEED - 1)[0][1]], []
    for action in actions():
        observations, rewards, *_ = view.step(np.stack([0.0 * action, action, -action]))
        seen.append(observations[1])
        money.append(rewards[1])
    return seen, money


def by_sb3(config: EnvConfig) -> Day:
    view = make_vec_env(config, 2, reward="role", dtype=torch.float64, seed=SEED - 1)
    seen, money = [view.reset()[1]], []
    for action in actions():
        observations, rewards, dones, infos = view.step(np.stack([-action, action]))
        seen.append(infos[1]["terminal_observation"] if dones[1] else observations[1])
        money.append(rewards[1])
    return seen, money


def by_rllib(config: EnvConfig) -> Day:
    view = RllibEnv({"env": config})
    seen, money = [view.reset(seed=SEED)[0]["aggregator_0"]], []
    for action in actions():
        observations, rewards, *_ = view.step({"aggregator_0": action})
        seen.append(observations["aggregator_0"])
        money.append(rewards["aggregator_0"])
    return seen, money


def by_torchrl(config: EnvConfig) -> Day:
    view = torchrl_env(config, 2, Setup(dtype=torch.float64))
    view.set_seed(SEED - 1, static_seed=True)
    now = view.reset()
    seen, money = [now["aggregator", "observation"][1, 0].numpy()], []
    for action in actions():
        taken = torch.from_numpy(np.stack([-action, action]))[:, None]
        now = view.step(now.update({"aggregator": TensorDict({"action": taken}, batch_size=[2, 1])}))["next"]
        seen.append(now["aggregator", "observation"][1, 0].numpy())
        money.append(now["aggregator", "reward"][1, 0, 0].item())
    return seen, money


@pytest.mark.parametrize("view", [by_turns, by_gymnasium, by_vector, by_sb3, by_rllib, by_torchrl])
def test_a_day_is_the_same_in_every_view(view: Callable[[EnvConfig], Day], config: EnvConfig) -> None:
    """Also what is seen when the horizon is reached, from which learners bootstrap."""
    seen, money = view(config)
    expected_seen, expected_money = by_parallel(config)
    np.testing.assert_allclose(np.stack(seen), np.stack(expected_seen), atol=1e-6)
    np.testing.assert_allclose(money, expected_money, atol=1e-6)
    assert sum(money) == pytest.approx(sum(expected_money), abs=1e-6)
    assert any(money)


def test_learners_bootstrap_where_the_horizon_cuts_the_episode() -> None:
    """With a critic that says 100 of every state, the last slot's return holds gamma times 100 beside its reward."""
    rows: TotalFlexVecEnv = make_vec_env("tiny", 2, seed=SEED)
    model = PPO("MlpPolicy", rows, n_steps=SLOTS, batch_size=8, gamma=0.9, seed=0, device="cpu")
    with torch.no_grad():
        model.policy.value_net.weight.zero_()
        model.policy.value_net.bias.fill_(100.0)
    callback = _Watch()
    model.set_logger(Logger(None, []))
    _, started = model._setup_learn(8, callback)
    model.collect_rollouts(rows, started, model.rollout_buffer, n_rollout_steps=SLOTS)
    earned = np.stack(callback.rewards)
    np.testing.assert_allclose(model.rollout_buffer.rewards[:-1], earned[:-1], atol=1e-5)
    np.testing.assert_allclose(model.rollout_buffer.rewards[-1], earned[-1] + 0.9 * 100.0, rtol=1e-6)


class _Watch(BaseCallback):
    """Remembers the rewards as the environment gave them."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[np.ndarray] = []

    def _on_step(self) -> bool:
        self.rewards.append(self.locals["rewards"].copy())
        return True


def test_the_step_after_the_end_begins_the_next_episodes() -> None:
    rows = make_vec("tiny", 2)
    with pytest.raises(Exception, match="reset"):
        rows.step(rows.action_space.sample() * 0.0)
    rows.reset(seed=5)
    for slot in range(SLOTS):
        _, _, terminated, truncated, _ = rows.step(np.zeros((2, 8), np.float32))
        assert truncated.tolist() == [slot == SLOTS - 1] * 2
        assert not terminated.any()
    seen, reward, terminated, truncated, infos = rows.step(np.ones((2, 8), np.float32))
    assert infos["episode_seed"].tolist() == [7, 8]
    assert not (reward.any() or terminated.any() or truncated.any())
    np.testing.assert_array_equal(seen, make_vec("tiny", 2).reset(seed=7)[0])
    assert make_vec("tiny", 2).reset(seed=[8, 3])[1]["episode_seed"].tolist() == [8, 3]


# RLlib registers its own wrapper with Gymnasium for every algorithm that it builds.
@pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-multi-agent-env-v0:UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("policies", ["shared", "role", "separate"])
def test_rllib_trains(policies: str) -> None:
    config = make_config("tiny", policies).training(train_batch_size_per_learner=16, minibatch_size=8, num_epochs=1)
    algorithm = config.build_algo()
    try:
        assert np.isfinite(algorithm.train()["env_runners"]["episode_return_mean"])
    finally:
        algorithm.stop()
