"""Rows of several worlds in one batch are those of each world alone, filled up with agents that are never there."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from torchrl.envs.utils import check_env_specs

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.envs.batched import Batch, Setup
from totalflex_env.envs.mixture import Mixture
from totalflex_env.envs.sb3 import make_vec_env
from totalflex_env.envs.spaces import by_role
from totalflex_env.envs.torchrl import torchrl_env
from totalflex_env.envs.vector import make_vec
from totalflex_env.errors import ConfigError

SHORT = ["--slots=8", "--scenario.start_hour=16", "--devices.ev.arrival_hour=16.5", "--devices.dishwasher.count=0"]
SOME = ["--population.houses=[0.2, 0.9]", "--population.devices=[0.5, 1.0]"]
SEEDS = [5, 6, 7, 8]


def short(name: str, *overrides: str) -> EnvConfig:
    return config_files.load(EnvConfig, name, "env", [*SHORT, *overrides])


@pytest.fixture(scope="module")
def street() -> EnvConfig:
    return short("street")


@pytest.fixture(scope="module")
def semiurb() -> EnvConfig:
    """A village without what a day of two hours cannot hold, some of it empty."""
    return short("village", *SOME)


def test_rows_are_those_of_each_world_alone(street: EnvConfig, semiurb: EnvConfig) -> None:
    """Observations, masks, money and infos over a day of random actions; padded agents see and earn nothing."""
    setup = Setup(dtype=torch.float64)
    mixed, generator = Mixture([street, semiurb], 4, None, setup), torch.Generator().manual_seed(0)
    alone = [Batch(config, config.learners, setup) for config in (street, semiurb)]
    assert mixed.agents == {"prosumer": 41, "aggregator": 1, "brp": 1, "dso": 1}
    mixed.reset(SEEDS)
    for batch, seeds in zip(alone, (SEEDS[:2], SEEDS[2:])):
        batch.reset(seeds)
    done = False
    while not done:
        for told, of_alone in ((mixed.observe(), "observe"), (mixed.there(), "there"), (mixed.masks(), "masks")):
            for number, batch in enumerate(alone):
                for role, values in getattr(batch, of_alone)().items():
                    rows = told[role][2 * number : 2 * number + 2]
                    assert torch.equal(rows[:, : values.shape[1]], values) and not rows[:, values.shape[1] :].any()
        shapes = {role: zeros.shape for role, zeros in by_role(mixed.idle).items()}
        actions = {role: 2.0 * torch.rand(shape, generator=generator).double() - 1.0 for role, shape in shapes.items()}
        slots = mixed.step(actions)
        for number, (batch, part) in enumerate(zip(alone, slots.parts)):
            rows, agents = slice(2 * number, 2 * number + 2), batch.agents
            slot = batch.step({role: values[rows, : agents[role]] for role, values in actions.items()})
            assert torch.equal(part.outcome.energy_kwh, slot.outcome.energy_kwh)
            for role, earned in slot.rewards.items():
                assert torch.equal(slots.rewards[role][rows, : agents[role]], earned)
                assert not slots.rewards[role][rows, agents[role] :].any()
        money = torch.cat(list(slots.rewards.values()), dim=1).sum(dim=1)
        torch.testing.assert_close(money, -mixed.system_told(slots).columns["cost_eur"], rtol=0.0, atol=1e-4)
        done = slots.done


def test_gymnasium_sees_one_agent_of_every_row(street: EnvConfig, semiurb: EnvConfig) -> None:
    """House 30 is in the village only; numbers that a grid does not have are marked as Gymnasium does."""
    one = make_vec(["tiny", short("street", "--slots=4", "--scenario.start_hour=18")], 2, agent="brp_0")
    one.reset(seed=0)
    told = one.step(np.zeros((2, 2), np.float32))[4]
    assert told["_line_loading_max_pct"].tolist() == [True, True]
    rows = make_vec([street, semiurb], 5, agent="prosumer_30")
    seen, told = rows.reset(seed=1)
    assert rows.worlds.rows == [3, 2] and seen.shape == (5, 13)
    assert told["agent_mask"][:3].tolist() == [False] * 3 and not seen[:3].any()
    assert seen[3:].any(axis=1).tolist() == told["agent_mask"][3:].tolist()
    earned = rows.step(np.ones((5, 2), np.float32))[1]
    assert not earned[~told["agent_mask"]].any()


def test_one_policy_learns_on_two_grids_and_many_fleets(street: EnvConfig, semiurb: EnvConfig) -> None:
    """Prosumers of both grids share a policy; every slot is an agent that there could be."""
    both = make_vec_env([street, semiurb], 2, role="prosumer", seed=3)
    assert both.num_envs == 13 + 41
    both.reset()
    assert both.reset_infos[0] == {"episode_seed": 3, "agent_mask": True}
    there = [info["agent_mask"] for info in both.reset_infos[13:]]
    assert 0 < sum(there) < 41
    seen, earned, _, told = both.step(np.zeros((54, 2), np.float32))
    assert not seen[13:][~np.array(there)].any() and not earned[13:][~np.array(there)].any()
    assert "line_loading_max_pct" in told[0] and told[13]["cost_eur"] == told[53]["cost_eur"] != told[0]["cost_eur"]
    model = PPO("MlpPolicy", both, n_steps=4, batch_size=54, n_epochs=1, seed=0, device="cpu").learn(216)
    assert all(bool(parameter.isfinite().all()) for parameter in model.policy.parameters())


def test_torchrl_gets_a_mask_beside_the_observation(street: EnvConfig, semiurb: EnvConfig) -> None:
    rows = torchrl_env([street, semiurb], 2)
    check_env_specs(rows)
    now = rows.reset()
    assert now["prosumer", "mask"].shape == (2, 41) and now["prosumer", "mask"][0].sum() == 13
    assert "mask" not in torchrl_env(street, 1).reset()["prosumer"]


def test_a_file_may_list_environments(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text("envs: [tiny, tiny]\n")
    assert make_vec(str(path), 3).worlds.name == "tiny+tiny"
    path.write_text("envs: [tiny]\nname: both\n")
    with pytest.raises(ConfigError, match="name"):
        make_vec(str(path), 3)


def test_worlds_that_cannot_share_a_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"slots = 96.*4"):
        make_vec(["tiny", "street"], 2)
    with pytest.raises(ConfigError, match="num_envs"):
        make_vec(["tiny", "tiny"], 1)
    assert isinstance(make_vec("tiny", 1).single_action_space, gymnasium.spaces.Box)
