"""Every baseline acts for the aggregator in every view, as it does in a plain rollout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from baselines import catalog
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.envs.batched import Batch, Setup
from totalflex_env.envs.parallel import env, parallel_env
from totalflex_env.envs.sb3 import TotalFlexVecEnv
from totalflex_env.envs.single import TotalFlexEnv
from totalflex_env.envs.torchrl import torchrl_env
from totalflex_env.envs.vector import TotalFlexVectorEnv
from totalflex_env.types import Action, Outcome

SEED, SLOTS = 11, 4
Run = Callable[[EnvConfig, Setup, "Watch"], None]


class Watch:
    """Keeps what the devices took, slot by slot."""

    def __init__(self) -> None:
        self.energy: list[torch.Tensor] = []

    def begin(self, seeds: tuple[int, ...]) -> None:
        self.energy = []

    def take(self, action: Action, outcome: Outcome) -> None:
        self.energy.append(outcome.energy_kwh)

    def of(self, batch: Batch) -> None:
        batch.recorder = self


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    """The tiny day, in which the grid operator is the learner and does nothing."""
    return config_files.load(EnvConfig, "tiny", "env", ["--learners=[dso]"])


def by_parallel(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = parallel_env(config, dtype=setup.dtype, policies=setup.policies)
    watch.of(view.batch)
    view.reset(seed=SEED)
    for _ in range(SLOTS):
        view.step({"dso_0": np.zeros(view.action_space("dso_0").shape, np.float32)})


def by_turns(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = env(config, dtype=setup.dtype, policies=setup.policies)
    watch.of(view.unwrapped.batch)
    view.reset(seed=SEED)
    for _ in range(SLOTS):
        view.step(np.zeros(view.action_space("dso_0").shape, np.float32))


def by_gymnasium(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = TotalFlexEnv(config, "dso_0", None, setup)
    watch.of(view.unwrapped.batch)
    view.reset(seed=SEED)
    for _ in range(SLOTS):
        view.step(np.zeros(view.action_space.shape, np.float32))


def by_vector(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = TotalFlexVectorEnv(config, 1, "dso_0", setup)
    watch.of(view.worlds.parts[0])
    view.reset(seed=SEED)
    for _ in range(SLOTS):
        view.step(np.zeros(view.action_space.shape, np.float32))


def by_sb3(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = TotalFlexVecEnv(config, 1, "dso", setup)
    watch.of(view.worlds.parts[0])
    view.seed(SEED)
    view.reset()
    taken = []
    for _ in range(SLOTS):
        view.step(np.zeros((1, *view.action_space.shape), np.float32))
        taken = watch.energy or taken  # the last step begins the next day
    watch.energy = taken


def by_torchrl(config: EnvConfig, setup: Setup, watch: Watch) -> None:
    view = torchrl_env(config, 1, setup)
    watch.of(view.worlds.parts[0])
    view.set_seed(SEED, static_seed=True)
    now = view.reset()
    for _ in range(SLOTS):
        idle = torch.zeros_like(view.full_action_spec["dso", "action"].zero())
        now = view.step(now.update({"dso": TensorDict({"action": idle}, batch_size=idle.shape[:2])}))["next"]


@pytest.mark.parametrize("name", list(catalog.POLICIES))
@pytest.mark.parametrize("view", [by_parallel, by_turns, by_gymnasium, by_vector, by_sb3, by_torchrl])
def test_a_baseline_does_in_a_view_what_it_does_in_a_rollout(view: Run, name: str, config: EnvConfig) -> None:
    world, watch = build(config), Watch()
    policy = catalog.make(name)
    expected = rollout(world.params, nominate(world.params, draw(world, [SEED]), policy), policy).outcomes.energy_kwh
    view(config, Setup(policies={"aggregator": catalog.make(name)}, dtype=torch.float64), watch)
    torch.testing.assert_close(torch.stack(watch.energy, dim=1), expected, rtol=0.0, atol=1e-9)
    assert float(expected.abs().sum()) > 0.0
