"""Learning the aggregator's role with PPO of stable-baselines3, from the scripted rule on.

The first actions are zeros, which are the rule, with a little noise: learning begins at the rule and improves on it. While
it learns, every day is nominated by the policy as it is then, because that is how it will be judged.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from policies.config import TrainConfig
from policies.learned import LearnedPolicy
from policies.network import Actor, Standardise
from policies.run_folder import CurvePoint, RunFolder, write_curve
from policies.validation import Validator
from totalflex_env.envs.sb3 import TotalFlexVecEnv
from totalflex_env.errors import MissingExtraError

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import configure
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import VecEnvWrapper
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
except ModuleNotFoundError as error:
    raise MissingExtraError("stable_baselines3", "train") from error

SEEDS_PER_RUN = 1_000_000
"""Training days of run seed s start at (s + 1) times this: far from the seeds of validation and evaluation."""
LEAST_DEVIATION = 0.05
"""Features that hardly change under the rule are not blown up beyond this."""


@dataclass(frozen=True)
class Measured:
    """What the scripted rule's days look like to a learner."""

    mean: Tensor  # [F] of the features
    deviation: Tensor  # [F]
    reward_deviation: float  # EUR per slot


@dataclass(frozen=True)
class Trained:
    """The policy that was kept, and how it was found."""

    actor: Actor
    steps: int
    seconds: float
    rule_cost_eur: float  # mean per validation day
    validation_cost_eur: float
    interrupted: bool  # by Ctrl-C


class Features(BaseFeaturesExtractor):
    """Standardised features, for actor and critic alike."""

    def __init__(self, space: gymnasium.spaces.Box, mean: Tensor, deviation: Tensor) -> None:
        super().__init__(space, space.shape[0])
        self.standardise = Standardise(mean, deviation)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features [B, F] standardised."""
        standardised: Tensor = self.standardise(features)
        return standardised


class ScaledReward(VecEnvWrapper):
    """Rewards of order one for the critic; reported costs never pass through here."""

    def __init__(self, venv: TotalFlexVecEnv, scale: float) -> None:
        super().__init__(venv)
        self.scale = scale

    def reset(self) -> NDArray[np.float32]:
        """Begin the next episodes."""
        observation: NDArray[np.float32] = self.venv.reset()  # type: ignore[assignment]
        return observation

    def step_wait(self) -> VecEnvStepReturn:
        """Advance by one slot."""
        observation, reward, done, info = self.venv.step_wait()
        return observation, reward * self.scale, done, info


class Session(BaseCallback):
    """Clock, progress bar, validation and saved states of one training, also over a resume."""

    def __init__(self, config: TrainConfig, run: RunFolder, validator: Validator) -> None:
        super().__init__()
        self.config, self.run, self.validator = config, run, validator
        self.begun = time.monotonic()
        self.validated = self.saved = 0.0
        self.curve: list[CurvePoint] = []
        self.best: dict[str, Tensor] = {}
        self.bar = tqdm(total=round(config.time_limit_s), desc=f"training {config.name}", unit="s", mininterval=0.5)

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return time.monotonic() - self.begun

    @property
    def left(self) -> float:
        """Share of the training that is left, by time or by steps, whichever ends first."""
        time_left = 1.0 - self.seconds / self.config.time_limit_s
        return max(0.0, min(time_left, 1.0 - self.num_timesteps / self.config.total_steps))

    def _on_rollout_start(self) -> None:
        if not self.curve or self.seconds - self.validated >= self.config.validation.every_s:
            self.validate()
        if self.seconds - self.saved >= self.config.checkpoint_every_s:
            self.save()

    def _on_step(self) -> bool:
        self.bar.update(min(round(self.seconds), self.bar.total) - self.bar.n)
        return self.left > 0.0

    def validate(self) -> None:
        """Try the policy on the validation days and keep it if none was better."""
        actor = actor_of(self.model)
        cost = self.validator.cost(LearnedPolicy(actor))
        if not self.curve or cost < min(point.validation_cost_eur for point in self.curve):
            self.best = {name: tensor.clone() for name, tensor in actor.state_dict().items()}
        self.validated = self.seconds
        self.curve.append(CurvePoint(round(self.validated, 3), self.num_timesteps, cost))
        write_curve(self.run.training, self.curve)
        self.logger.record("validation/cost_eur", cost)
        best = min(point.validation_cost_eur for point in self.curve)
        self.bar.set_postfix_str(f"validation {best:.3f} EUR/day, rule {self.curve[0].validation_cost_eur:.3f}")

    def save(self) -> None:
        """Write the state to resume from."""
        state = {
            "policy": self.model.policy.state_dict(),
            "optimizer": self.model.policy.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "scale": self.training_env.scale,
            "steps": self.num_timesteps,
            "seconds": self.seconds,
            "best": self.best,
            "curve": [asdict(point) for point in self.curve],
        }
        unfinished = self.run.state.with_suffix(".tmp")
        torch.save(state, unfinished)
        os.replace(unfinished, self.run.state)
        self.saved = self.seconds
