"""PPO of stable-baselines3 on `tiny`: it starts at the rule, and its policy acts the same outside stable-baselines3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from policies import sb3
from policies.config import PpoConfig, TrainConfig, ValidationConfig, environment
from policies.measure import measure
from policies.run_folder import RunFolder
from policies.session import Session
from totalflex_env.engine.build import build
from totalflex_env.envs.sb3 import make_vec_env


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        name="quick",
        env="tiny",
        trainer="sb3_ppo",
        total_steps=64,
        ppo=PpoConfig(num_envs=4, n_steps=8, minibatch=16, hidden=(8,)),
        validation=ValidationConfig(days=2),
        out=tmp_path / "quick",
    )


def test_the_policy_starts_at_the_rule_and_acts_the_same_outside(config: TrainConfig) -> None:
    env, run = environment("tiny", "train"), RunFolder(config.out)
    run.start(config)
    measured = measure(build(env, torch.float32), 0)
    copies = make_vec_env(env, 4)
    with Session(config, run) as session:
        model = sb3.make_model(config, sb3.ScaledReward(copies, 1.0), measured, session)
    actor = sb3.actor_of(model)
    for observations in (copies.reset(), 20.0 * np.ones((4, copies.observation_space.shape[0]), np.float32)):
        mean, _ = model.predict(observations, deterministic=True)
        with torch.no_grad():
            found = actor(torch.from_numpy(observations)).numpy()
        np.testing.assert_allclose(found, mean, atol=1e-6)
        assert np.abs(found).max() < 0.1


def test_training_ends_with_its_steps_and_resumes(config: TrainConfig) -> None:
    run = RunFolder(config.out)
    run.start(config)
    trained = sb3.train(config, run, resume=False)
    assert 64 <= trained.steps < 64 + 32
    assert trained.validation_cost_eur <= trained.rule_cost_eur
    assert list(run.training.glob("events.*"))
    with Session(config, run) as session:
        session.steps = 32
        session.validate(trained.actor)
        measured = measure(build(environment("tiny", "train"), torch.float32), 0)
        model = sb3.make_model(config, sb3.ScaledReward(make_vec_env("tiny", 4), 1.0), measured, session)
        session.save(sb3.state_of(model))
    resumed = sb3.train(config, run, resume=True)
    assert resumed.steps >= 64
    assert resumed.seconds > 0.0
