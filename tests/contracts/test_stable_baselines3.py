"""stable-baselines3 trains on the VecEnv, alone and inside its usual wrappers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from totalflex_env.engine.roles import ROLES, Role
from totalflex_env.envs.sb3 import TotalFlexVecEnv, make_vec_env


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ppo_learns_for_every_role(role: Role, dtype: torch.dtype) -> None:
    tiny = make_vec_env("tiny", num_envs=4, role=role, dtype=dtype)
    before = PPO("MlpPolicy", tiny, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    start = [parameter.clone() for parameter in before.policy.parameters()]
    before.learn(64)
    assert any(not torch.equal(old, new) for old, new in zip(start, before.policy.parameters()))


def test_an_off_policy_algorithm_learns() -> None:
    tiny = make_vec_env("tiny", num_envs=2)
    SAC("MlpPolicy", tiny, learning_starts=4, batch_size=4, buffer_size=100, seed=0, device="cpu").learn(16)


def test_the_usual_wrappers_see_whole_episodes(tmp_path: Path) -> None:
    tiny = make_vec_env("tiny", num_envs=3)
    wrapped = VecNormalize(VecMonitor(tiny, info_keywords=("cost_eur",)))
    model = PPO("MlpPolicy", wrapped, n_steps=8, batch_size=12, n_epochs=1, seed=0, device="cpu")
    model.learn(48)
    assert {episode["l"] for episode in model.ep_info_buffer} == {4}
    assert wrapped.obs_rms.count > 24
    returns, lengths = evaluate_policy(model, wrapped, n_eval_episodes=6, return_episode_rewards=True)
    assert lengths == [4] * 6
    assert np.isfinite(returns).all()
    model.save(tmp_path / "model")
    assert PPO.load(tmp_path / "model", device="cpu").observation_space == tiny.observation_space


def test_the_attributes_of_slots_are_those_of_the_one_object() -> None:
    tiny = make_vec_env("tiny", num_envs=3)
    assert tiny.get_attr("rows") == [3, 3, 3]
    assert tiny.get_attr("rows", indices=[1]) == [3]
    assert tiny.env_method("seed", 5, indices=0) == [[5, 6, 7]]
    assert (tiny.has_attr("rows"), tiny.has_attr("action_masks")) == (True, False)
    assert tiny.env_is_wrapped(VecMonitor) == [False] * 3  # type: ignore[arg-type]
    tiny.set_attr("render_mode", "human")
    assert tiny.get_attr("render_mode") == ["human"] * 3
    assert isinstance(VecMonitor(tiny).unwrapped, TotalFlexVecEnv)
