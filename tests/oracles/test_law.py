"""The law of the yardstick on real scenarios: what the engine does, the program can do, and nothing beats the bound.

The grid is linear in the program and AC in the engine: its costs may differ by what `tangents` overestimates.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from baselines import catalog
from baselines.foresight import foresight
from baselines.planner import energies
from baselines.program import Task, assemble, fixed_at
from baselines.solver import Effort, Solver
from baselines.tangents import overestimate, tangents, watched_nodes
from totalflex_env import batch, fleet
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine import scripted
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Action, Episode, Policy, Situation

EXACT = Effort(gap=0.0, gap_eur=0.0, tolerance=1e-9)
QUICK = ("default_schedule", "price_greedy", "timer")
"""Baselines that take no time to decide."""


class Wander:
    """Asks for any energy between the limits, often for one of the two ends; some wander near the default."""

    def __init__(self, seed: int, reach: float = 1.0) -> None:
        self.rng, self.reach = torch.Generator().manual_seed(seed), reach

    def reset(self, situation: Situation) -> None:
        pass

    def act(self, situation: Situation) -> Action:
        share = (2.0 * torch.rand(situation.lower.shape, generator=self.rng, dtype=torch.float64) - 0.5).clamp(0.0, 1.0)
        anywhere = situation.lower + share * (situation.upper - situation.lower)
        return scripted.untraded(situation, torch.lerp(situation.default, anywhere, self.reach))


@dataclass(frozen=True)
class Compared:
    """What trajectories cost, EUR, one row each."""

    engine: Tensor  # [B] without the grid
    program: Tensor  # [B] without the grid
    engine_grid: Tensor  # [B] overloads and voltages by AC power flow
    program_grid: Tensor  # [B] by tangents, limits relaxed by what they overestimate


def world(name: str) -> World:
    return build(load(EnvConfig, name, "env"))


def compare(here: World, seeds: range, policy: Policy) -> Compared:
    """Roll days out together and fix each in its program."""
    params = here.params
    episode = draw(here, seeds)
    outcomes = rollout(params, episode, policy).outcomes
    grid = (outcomes.costs.overload + outcomes.costs.voltage).sum(dim=1)
    found, found_grid, solver = [], [], None
    nodes = watched_nodes(params, episode.actual)
    for i in range(len(seeds)):
        row = batch.take_rows(episode, torch.tensor([i]))
        lines = tangents(params, row.actual, nodes)
        task = Task(
            params=params,
            scenario=row.actual,
            state=fleet.start(params, row.actual),
            slot=0,
            guards=row.guards,
            tangents=lines,
            limit=1.0 + overestimate(params, row.actual, lines),
            nomination_kwh=row.nomination_kwh[0],
            deviation_kwh=torch.zeros_like(row.nomination_kwh[0]),
        )
        program = assemble(task)
        block = fixed_at(program, outcomes.energy_kwh[i]).block
        if solver is None or not solver.fits(block):
            solver = Solver(block)
        solver.update(block)
        solution = solver.solve(EXACT)
        strain = len(lines.loading) * (lines.loading.shape[1] + 2 * len(nodes))  # the last columns of a program
        strained = float(solution.value[-strain:] @ block.cost.numpy()[-strain:]) if strain else 0.0
        found.append(solution.objective - strained)
        found_grid.append(strained)
        planned = energies(program, torch.from_numpy(solution.value), outcomes.energy_kwh.shape[2])
        torch.testing.assert_close(planned, outcomes.energy_kwh[i], rtol=0.0, atol=1e-6)
    by_program, strained_by = (torch.tensor(part, dtype=torch.float64) for part in (found, found_grid))
    return Compared(outcomes.costs.total().sum(dim=1) - grid, by_program, grid, strained_by)


def obeyed(found: Compared) -> None:
    """Equal cost of all but the grid; that of the grid not above what AC power flow finds, so that the bound holds."""
    torch.testing.assert_close(found.program, found.engine, rtol=0.0, atol=1e-6)
    assert bool((found.program_grid <= found.engine_grid + 1e-6).all())
    error = (found.engine_grid - found.program_grid) / found.engine_grid.clamp(min=1.0)
    assert float(error.max()) < 0.15


@pytest.mark.parametrize("name, days", [("tiny", 20), ("house", 8), ("street", 3), ("office_industry", 1)])
def test_trajectories_of_every_scenario_are_feasible_at_equal_cost(name: str, days: int) -> None:
    obeyed(compare(world(name), range(100, 100 + days), Wander(1)))


def test_where_the_grid_is_overloaded_the_program_charges_it_too() -> None:
    """Devices that follow the price alone overload the transformer of `street` on every one of these days."""
    found = compare(world("street"), range(100, 103), catalog.make("price_greedy"))
    obeyed(found)
    assert bool((found.engine_grid > 0.1).all())
    assert bool((found.program_grid > 0.85 * found.engine_grid).all())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, days", [("tiny", 500), ("house", 440), ("street", 50), ("village", 6), ("office_industry", 4)]
)
def test_a_thousand_trajectories_are_feasible_at_equal_cost(name: str, days: int) -> None:
    obeyed(compare(world(name), range(2000, 2000 + days), Wander(2)))


def run(here: World, episode: Episode, policy: Policy) -> Trace:
    return rollout(here.params, nominate(here.params, episode, policy), policy)


def nobody_beats_the_bound(here: World, episode: Episode, policies: list[Policy]) -> None:
    plan = foresight(here.params, episode)
    assert bool((plan.cost_eur >= plan.bound_eur - 1e-6).all())
    for policy in policies:
        assert bool((run(here, episode, policy).cost() >= plan.bound_eur - 1e-6).all()), policy


def quick() -> list[Policy]:
    return [*(catalog.make(name) for name in QUICK), Wander(3), Wander(4, reach=0.1)]


def test_no_policy_costs_less_than_the_bound() -> None:
    """Every causal baseline and random policies on a house, one day; ten more below, which take minutes."""
    here = world("house")
    nobody_beats_the_bound(here, draw(here, [300]), [*map(catalog.make, catalog.POLICIES), *quick()])


@pytest.mark.slow
def test_no_policy_costs_less_than_the_bound_on_two_hundred_days() -> None:
    here = world("house")
    nobody_beats_the_bound(here, draw(here, range(400, 600)), quick())
    few = draw(here, range(400, 410))
    nobody_beats_the_bound(here, few, [catalog.make(name) for name in catalog.POLICIES if name not in QUICK])


@pytest.mark.parametrize("name", ["house", "street"])
def test_the_replay_costs_what_was_planned(name: str) -> None:
    here = world(name)
    episode = draw(here, range(800, 803))
    plan, default = foresight(here.params, episode), run(here, episode, catalog.make("default_schedule")).cost()
    assert float(((plan.cost_eur - plan.planned_cost_eur).abs() / (default - plan.cost_eur)).max()) < 0.02


@pytest.mark.slow
def test_a_week_is_planned_too() -> None:
    here = build(load(EnvConfig, "house", "env", ["--slots=672"]))
    plan = foresight(here.params, draw(here, [700]))
    assert plan.energy_kwh.shape[1] == 672
    assert float(plan.mip_gap) <= 1e-3
    assert float(plan.bound_eur) <= float(plan.cost_eur) + 1e-6
    assert float(plan.cost_eur) == pytest.approx(float(plan.planned_cost_eur), abs=0.02)
