"""Several aggregators, policies for roles that do not learn, weights of rewards, and masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines import catalog
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import ROLES, ScriptedPolicy, action, neutral
from totalflex_env.envs import rewards, worlds
from totalflex_env.envs.batched import Batch, Setup
from totalflex_env.envs.names import agent
from totalflex_env.envs.parallel import parallel_env
from totalflex_env.envs.rllib import RllibEnv
from totalflex_env.envs.single import single_env
from totalflex_env.envs.spaces import rule
from totalflex_env.errors import ConfigError

TWO_HOURS = ["--slots=8", "--scenario.start_hour=16", "--devices.ev.arrival_hour=16.5", "--devices.dishwasher.count=0"]


def street(*overrides: str) -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env", [*TWO_HOURS, *overrides])


def test_each_aggregator_bids_for_its_own_houses_and_sees_their_devices() -> None:
    """What one of three does moves its own devices' bids alone, and only the accounts they come from are its own."""
    simulator = worlds.make_simulator(street("--aggregators=3"), torch.float64)
    now = simulator.reset([0, 1])
    idle = neutral(now.params, 2)
    assert idle.aggregator.shape == (2, 3, 8)
    moved = neutral(now.params, 2)
    moved.aggregator[:, 1] = torch.tensor([1.0, 0.5, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    one, other = action(now, idle), action(now, moved)
    own = now.params.aggregator[now.params.house] == 1
    different = (one.worth_less != other.worth_less).any(dim=0)
    assert different.any() and not (different & ~own).any()
    assert torch.equal(now.params.aggregator, torch.arange(13) % 3)


def test_all_aggregators_with_the_same_knobs_are_one() -> None:
    """The market does not see who bids; what they earn adds up."""
    alone, three = (worlds.make_simulator(street(f"--aggregators={n}"), torch.float64) for n in (1, 3))
    money = []
    for simulator in (alone, three):
        simulator.reset([4])
        simulator.step(ScriptedPolicy().act(simulator.situation()))
        decision, outcome = simulator.step(ScriptedPolicy().act(simulator.situation()))
        money.append((decision.energy_kwh, outcome.rewards))
    torch.testing.assert_close(money[0][0], money[1][0], rtol=0.0, atol=1e-12)
    torch.testing.assert_close(money[0][1].aggregator, money[1][1].aggregator.sum(dim=1, keepdim=True))
    assert money[1][1].aggregator.shape == (1, 3)


def test_more_aggregators_than_houses_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"aggregators = 3.*2 houses"):
        parallel_env(config_files.load(EnvConfig, "tiny", "env", ["--aggregators=3"]))


def test_a_policy_acts_for_a_role_that_does_not_learn() -> None:
    """The scripted rule as a policy changes nothing; the greedy one trades nothing, whatever the DSO learns."""
    dso = street("--learners=[dso]")
    totals = []
    for policies in ({}, {"aggregator": ScriptedPolicy()}, {"aggregator": catalog.make("price_greedy")}):
        view = parallel_env(dso, policies=policies)
        view.reset(seed=1)
        total = 0.0
        while view.agents:
            _, _, _, _, infos = view.step({"dso_0": np.zeros(2, np.float32)})
            total += infos["dso_0"]["cost_eur"]
        totals.append(total)
    assert totals[0] == totals[1] != totals[2]


def test_rllib_lets_policies_act_too() -> None:
    dso, greedy = street("--learners=[dso]"), {"aggregator": catalog.make("price_greedy")}
    view, other = parallel_env(dso, policies=greedy), RllibEnv({"env": dso, "others": greedy})
    still = {"dso_0": np.zeros(2, np.float32)}
    costs = []
    for each in (view, other, RllibEnv({"env": dso})):
        each.reset(seed=1)
        costs.append(sum(each.step(still)[4]["dso_0"]["cost_eur"] for _ in range(8)))
    assert costs[0] == costs[1] != costs[2]


def test_a_role_cannot_learn_and_follow_a_policy() -> None:
    with pytest.raises(ConfigError, match="aggregator"):
        parallel_env("tiny", policies={"aggregator": ScriptedPolicy()})


@pytest.mark.parametrize("constraints", ["[project, penalty]", "[project, cost]"])
def test_terms_sum_to_the_system_cost_and_weights_scale_them(constraints: str) -> None:
    """With 'cost' what the grid suffers is told beside the reward and is no part of it."""
    config = street("--market.dso_share=0.2", "--aggregators=2", f"--constraints={constraints}")
    batch = Batch(config, ROLES, Setup(dtype=torch.float64))
    batch.reset([0, 1])
    generator = torch.Generator().manual_seed(1)
    for slot in range(3):
        actions = {role: 2.0 * torch.rand(2, n, c, generator=generator) - 1.0 for role, (n, c) in SHAPES.items()}
        out = batch.step({role: values.double() for role, values in actions.items()})
        costs, weights = out.outcome.costs, rewards.weights(config)
        outside = costs.overload + costs.voltage if "cost" in constraints else 0.0
        roles = torch.stack([earned.sum(dim=1) for earned in out.rewards.values()]).sum(dim=0)
        torch.testing.assert_close(roles, outside - costs.total(), rtol=0.0, atol=1e-4)
        terms = rewards.system_terms(out.outcome, batch.simulator.episode.actual.spot[:, slot])
        torch.testing.assert_close(rewards.total(terms, weights)[:, 0], outside - costs.total())
        premium = rewards.total(terms, weights | {"imbalance": 0.0})[:, 0] - (outside - costs.total())
        torch.testing.assert_close(premium, -terms["imbalance"][:, 0])
        assert (premium >= 0.0).all()


SHAPES = {"prosumer": (13, 2), "aggregator": (2, 8), "brp": (1, 2), "dso": (1, 2)}


def test_a_masked_number_has_no_effect_and_an_open_one_may() -> None:
    """At 16:00 no vehicle has come: their knobs are closed, those of heat and batteries open."""
    late = ["--devices.ev.arrival_hour=17.2", "--devices.ev.arrival_spread_h=0.0", "--devices.ev.need_median_kwh=4"]
    config = street("--constraints=[project, penalty, mask]", *late)
    view = single_env(config, "aggregator_0")
    _, info = view.reset(seed=2)
    assert info["action_mask"].dtype == np.int8
    assert info["action_mask"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    outcomes = []
    for size in (0.0, 1.0):
        view.reset(seed=2)
        outcomes.append(view.step(np.array([size] * 4 + [0.0] * 4, np.float32))[1])
    assert outcomes[0] == outcomes[1]


def test_limits_always_hold_so_projection_cannot_be_left_out() -> None:
    with pytest.raises(ConfigError, match="project"):
        config_files.load(EnvConfig, "tiny", "env", ["--constraints=[penalty]"])


def test_a_household_earns_what_its_house_and_aggregator_do() -> None:
    house = single_env("house", "aggregator_0", "household")
    everybody = parallel_env("house")
    house.reset(seed=0)
    everybody.reset(seed=0)
    still = {name: rule(agent(name).role) for name in everybody.agents}
    _, earned, *_ = everybody.step(still)
    assert house.step(np.zeros(8, np.float32))[1] == pytest.approx(earned["prosumer_0"] + earned["aggregator_0"])


@pytest.mark.parametrize("devices", [0, 1])
def test_a_day_with_one_device_or_none(devices: int) -> None:
    """Nothing to trade is a day like any other: the roles' money still sums to minus the system cost."""
    few = [f"--devices.ev.count={devices}", "--devices.dishwasher.count=0", "--constraints=[project, penalty, mask]"]
    view = parallel_env(config_files.load(EnvConfig, "tiny", "env", few))
    view.reset(seed=0)
    while view.agents:
        actions = {name: view.action_space(name).high for name in view.agents}
        seen, earned, _, _, infos = view.step(actions)
        assert sum(earned.values()) == pytest.approx(-infos["dso_0"]["cost_eur"], abs=1e-4)
        assert all(np.isfinite(values).all() for values in seen.values())
    assert not infos["aggregator_0"]["action_mask"].any()
