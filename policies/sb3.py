"""Learning the aggregator's role with PPO of stable-baselines3, starting from the scripted rule.

The first actions are zeros, which are the rule, with a little noise: learning begins at the rule and improves on it.
While it learns, every day is nominated by the policy as it is then, because that is how it will be judged.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.config import TrainConfig, environment
from policies.learned import LearnedPolicy
from policies.measure import Measured, first_seed, measure
from policies.network import Actor, Standardise
from policies.run_folder import RunFolder
from policies.session import Session, State, Trained
from totalflex_env.engine.build import build
from totalflex_env.envs.sb3 import TotalFlexVecEnv, make_vec_env
from totalflex_env.errors import MissingExtraError

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import VecEnvWrapper
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
except ModuleNotFoundError as error:
    raise MissingExtraError("stable_baselines3", "train") from error


class Features(BaseFeaturesExtractor):
    """Standardised features, for actor and critic alike."""

    def __init__(self, space: gymnasium.spaces.Box, measured: Measured) -> None:
        super().__init__(space, space.shape[0])
        self.standardise = Standardise(measured.mean, measured.deviation)

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
        """Begin the next episodes and return the first observations."""
        observations: NDArray[np.float32] = self.venv.reset()  # type: ignore[assignment]
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Advance by one slot."""
        observations, rewards, ends, infos = self.venv.step_wait()
        return observations, rewards * self.scale, ends, infos


class Follow(BaseCallback):
    """Lets the session count, validate and save; ends the training with it."""

    def __init__(self, session: Session, actor: Actor) -> None:
        super().__init__()
        self.session, self.actor = session, actor

    def _on_rollout_start(self) -> None:
        self.session.look(self.actor, lambda: state_of(self.model))

    def _on_step(self) -> bool:
        self.session.advance(self.training_env.num_envs)
        return self.session.left > 0.0


def train(config: TrainConfig, run: RunFolder, resume: bool) -> Trained:
    """Learn until time or steps are up, or Ctrl-C, and return the policy that was best on the validation days."""
    torch.set_num_threads(1)
    with Session(config, run) as session:
        env = environment(config.env, "train")
        measured = measure(build(env, torch.float32), config.seed)
        copies = make_vec_env(env, config.ppo.num_envs, seed=first_seed(config.seed))
        model = make_model(config, ScaledReward(copies, 1.0 / measured.cost_deviation_eur), measured, session)
        actor = actor_of(model)
        copies.nominate_by(LearnedPolicy(actor))
        if resume:
            restore(model, session.load())
            copies.seed(first_seed(config.seed) + session.steps // env.slots + config.ppo.num_envs)
        model.set_logger(Logger(None, [TensorBoardOutputFormat(str(run.training))]))
        model.learn(config.total_steps - session.steps, Follow(session, actor))
        session.validate(actor)
    return session.trained(actor)


def make_model(config: TrainConfig, copies: ScaledReward, measured: Measured, session: Session) -> PPO:
    """Return PPO on these copies of the world; its rate falls as the session goes on."""
    ppo = config.ppo
    return PPO(
        "MlpPolicy",
        copies,
        learning_rate=lambda _: ppo.learning_rate * session.left,
        n_steps=ppo.n_steps,
        batch_size=ppo.minibatch,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip,
        ent_coef=ppo.entropy,
        vf_coef=ppo.value_weight,
        max_grad_norm=ppo.max_gradient,
        policy_kwargs={
            "net_arch": list(ppo.hidden),
            "log_std_init": math.log(ppo.initial_std),
            "features_extractor_class": Features,
            "features_extractor_kwargs": {"measured": measured},
        },
        seed=config.seed,
        device="cpu",
    )


def actor_of(model: PPO) -> Actor:
    """Return the mean of the model's policy as an actor; it shares the weights, so it learns along."""
    policy = model.policy
    features, head = policy.features_extractor, policy.action_net
    assert isinstance(features, Features) and isinstance(head, nn.Linear)
    return Actor(features.standardise, policy.mlp_extractor.policy_net, head)


def state_of(model: BaseAlgorithm) -> State:
    """Return what `restore` goes on from."""
    policy = model.policy
    return {
        "policy": policy.state_dict(),
        "optimizer": policy.optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }


def restore(model: PPO, state: State) -> None:
    """Go on from a saved state."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
