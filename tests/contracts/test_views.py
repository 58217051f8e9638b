"""Every view shows the same engine: same seed and same actions, same trajectory; and rows do not know of each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import Controls, ScriptedPolicy, action, neutral
from totalflex_env.engine.simulator import Simulator
from totalflex_env.envs.names import Role
from totalflex_env.envs.parallel import parallel_env
from totalflex_env.envs.sb3 import make_vec_env

SEED = 40


@pytest.fixture(scope="module")
def street() -> World:
    return build(config_files.load(EnvConfig, "street", "env"))


def random_controls(idle: Controls, generator: torch.Generator) -> Controls:
    return batch.map_tensors(
        idle, lambda zeros: 2.0 * torch.rand(zeros.shape, generator=generator, dtype=zeros.dtype) - 1.0
    )


def test_a_row_of_a_batch_equals_its_seed_alone(street: World) -> None:
    """Row 3 of 8 over a day in which every role of every row does something else."""
    row = torch.tensor([3])
    together, alone = Simulator(street, ScriptedPolicy()), Simulator(street, ScriptedPolicy())
    now_together, now_alone = together.reset(range(SEED, SEED + 8)), alone.reset([SEED + 3])
    generator = torch.Generator().manual_seed(0)
    while not alone.done:
        assert batch.equal(batch.take_rows(observe(now_together), row), observe(now_alone), 1e-9)
        controls = random_controls(neutral(street.params, 8), generator)
        of_all = together.step(action(now_together, controls))
        of_one = alone.step(action(now_alone, batch.take_rows(controls, row)))
        for record, lonely in zip(of_all, of_one):
            assert batch.equal(batch.take_rows(record, row), lonely, 1e-9)
        if not alone.done:
            now_together, now_alone = together.situation(), alone.situation()
    assert together.done


WHOLE_DAY: list[str] = []
TWO_HOURS = ["--slots=8", "--scenario.start_hour=16", "--devices.ev.arrival_hour=16.5", "--devices.dishwasher.count=0"]


@pytest.mark.parametrize(
    ("role", "period"),
    [("aggregator", WHOLE_DAY), ("prosumer", TWO_HOURS), ("brp", TWO_HOURS), ("dso", TWO_HOURS)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pettingzoo_and_sb3_see_the_same_trajectory(role: Role, period: list[str]) -> None:
    """Two rows of the VecEnv against two episodes of PettingZoo: observations, money, and the end of the episode."""
    config = config_files.load(EnvConfig, "street", "env", [f"--learners=[{role}]", *period])
    slots = config.slots
    vector = make_vec_env(config, num_envs=2, role=role, reward="role", dtype=torch.float64, seed=SEED)
    single = parallel_env(config)
    agents = len(single.possible_agents)
    width = single.action_space(single.possible_agents[0]).shape
    generator = np.random.default_rng(1)
    actions = generator.uniform(-1.2, 1.2, (slots, 2, agents, *width)).astype(np.float32)
    seen = [vector.reset()]
    rewards, infos = [], []
    for acts in actions:
        observation, reward, done, info = vector.step(acts.reshape(2 * agents, *width))
        seen.append(observation if not done.any() else np.stack([each["terminal_observation"] for each in info]))
        rewards.append(reward.reshape(2, agents))
        infos.append(info)
    for row in range(2):
        observations, _ = single.reset(seed=SEED + row)
        for slot in range(slots + 1):
            part = seen[slot].reshape(2, agents, -1)[row]
            np.testing.assert_allclose(np.stack(list(observations.values())), part, atol=1e-6)
            if slot < slots:
                observations, gains, _, truncations, single_infos = single.step(
                    dict(zip(single.agents, actions[slot, row]))
                )
                np.testing.assert_allclose(list(gains.values()), rewards[slot][row], atol=1e-9)
                of_slot = infos[slot][row * agents]
                for key, value in single_infos[single.possible_agents[0]].items():
                    assert of_slot[key] == pytest.approx(value, abs=1e-7), key
        assert all(truncations.values())
        assert single.agents == []
