"""Every view shows the same engine: same seed and same actions, same trajectory; and rows do not know of each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import Controls, Role, ScriptedPolicy, action, neutral
from totalflex_env.engine.simulator import Simulator
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
    ids=["aggregator", "prosumer", "brp", "dso"],
)
def test_pettingzoo_and_sb3_see_the_same_trajectory(role: Role, period: list[str]) -> None:
    """Row 1 of a VecEnv against its seed in PettingZoo: observations, money and infos, to the end of the day."""
    config = config_files.load(EnvConfig, "street", "env", [f"--learners=[{role}]", *period])
    vector = make_vec_env(config, num_envs=2, role=role, reward="role", dtype=torch.float64, seed=SEED)
    single = parallel_env(config)
    agents = len(single.possible_agents)
    width = vector.action_space.shape
    generator = np.random.default_rng(1)
    observations, _ = single.reset(seed=SEED + 1)
    seen = vector.reset()
    total, vector_total = 0.0, 0.0
    while single.agents:
        np.testing.assert_allclose(list(observations.values()), seen[agents:], atol=1e-6)
        actions = generator.uniform(-1.2, 1.2, (2 * agents, *width)).astype(np.float32)
        observations, gains, _, truncations, infos = single.step(dict(zip(single.agents, actions[agents:])))
        seen, rewards, dones, vector_infos = vector.step(actions)
        assert dones.tolist() == 2 * list(truncations.values())
        np.testing.assert_allclose(list(gains.values()), rewards[agents:], atol=1e-9)
        for info, vector_info in zip(infos.values(), vector_infos[agents:]):
            assert info == pytest.approx({key: vector_info[key] for key in info}, abs=1e-7)
        total += sum(gains.values())
        vector_total += rewards[agents:].sum()
    end = [info["terminal_observation"] for info in vector_infos[agents:]]
    np.testing.assert_allclose(list(observations.values()), end, atol=1e-6)
    assert total == pytest.approx(vector_total, abs=1e-7)
