"""What is measured of a rollout, against sums worked out from the trace itself, on `tiny`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.evaluation.protocol import measure, try_policy
from totalflex_env.evaluation.results import CAUSES

SEEDS = [3, 4, 8]


@pytest.fixture(scope="module")
def world() -> World:
    return build(config_files.load(EnvConfig, "tiny", "env"))


@pytest.fixture(scope="module")
def trace(world: World) -> Trace:
    return rollout(world.params, nominate(world.params, draw(world, SEEDS), ScriptedPolicy()), ScriptedPolicy())


def test_costs_money_and_power_add_up(world: World, trace: Trace) -> None:
    results = try_policy(world, SEEDS, ScriptedPolicy())
    assert results.seeds == (3, 4, 8)
    np.testing.assert_allclose(results.cost_eur, trace.cost().numpy(), atol=1e-12)
    np.testing.assert_allclose(results.causes_eur.sum(axis=1), results.cost_eur, atol=1e-9)
    np.testing.assert_allclose(results.money_eur.sum(axis=1), -results.cost_eur, atol=1e-5)
    wind = draw(world, SEEDS).actual.wind_kwh.numpy() / world.params.slot_hours
    np.testing.assert_allclose(results.power_kw.sum(axis=2) - wind, results.net_kw, atol=1e-9)


def test_every_policy_meets_the_same_days_in_whatever_groups(world: World) -> None:
    together = try_policy(world, SEEDS, ScriptedPolicy())
    for day, seed in enumerate(SEEDS):
        alone = try_policy(world, [seed], ScriptedPolicy())
        np.testing.assert_allclose(alone.cost_eur[0], together.cost_eur[day], atol=1e-9)
        np.testing.assert_allclose(alone.nomination_kw[0], together.nomination_kw[day], atol=1e-9)
        np.testing.assert_array_equal(alone.spot[0], together.spot[day])


def test_minutes_count_slots_with_any_element_above_its_rating(world: World, trace: Trace) -> None:
    loading = torch.full_like(trace.outcomes.flow.loading, 0.5)
    loading[0, 1, 0] = 1.2
    loading[0, 2] = 1.3
    loading[1, 0, 0] = 1.0 + 1e-6  # the accuracy of the power flow
    voltage = torch.zeros_like(trace.outcomes.voltage_puh)
    voltage[2, 3] = 0.01
    outcomes = replace(trace.outcomes, flow=replace(trace.outcomes.flow, loading=loading), voltage_puh=voltage)
    results = measure(world.params, SEEDS, draw(world, SEEDS).actual, replace(trace, outcomes=outcomes))
    assert results.overload_minutes.tolist() == [30.0, 0.0, 0.0]
    assert results.voltage_minutes.tolist() == [0.0, 0.0, 15.0]
    assert results.loading[0].tolist() == [0.5, 1.2, 1.3, 0.5]


def test_discomfort_and_decision_time_are_per_day(world: World, trace: Trace) -> None:
    slots = torch.arange(1.0, 5.0, dtype=torch.float64).expand(3, 4)
    outcomes = replace(trace.outcomes, degree_hours=slots, unmet_kwh=2.0 * slots)
    slow = replace(trace, outcomes=outcomes, decision_seconds=0.6)
    results = measure(world.params, SEEDS, draw(world, SEEDS).actual, slow)
    assert results.comfort_degree_hours.tolist() == [10.0] * 3
    assert results.unmet_kwh.tolist() == [20.0] * 3
    np.testing.assert_allclose(results.decision_seconds, 0.2)


def test_causes_are_the_fields_of_the_costs(trace: Trace) -> None:
    assert set(vars(trace.outcomes.costs)) == set(CAUSES)
