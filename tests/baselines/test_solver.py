"""What the solver says when there is no plan, no time, or more than one best plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from baselines import planner as planning
from baselines.planner import Planner, make_solver
from baselines.program import Program, Task, assemble
from baselines.solver import Effort, SolverName
from baselines.tangents import tangents
from totalflex_env import config_files, fleet
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build, draw
from totalflex_env.errors import ConfigError, InfeasibleError, MissingExtraError, OutOfTimeError
from totalflex_env.types import Episode, Params

SOLVERS: tuple[SolverName, ...] = ("highs", "gurobi")


def task_of(params: Params, episode: Episode) -> Task:
    """The whole day as it will come, its own nomination."""
    grid = tangents(params, episode.actual, torch.zeros(0, dtype=torch.int64))
    return Task(
        params=params,
        scenario=episode.actual,
        state=fleet.start(params, episode.actual),
        slot=0,
        guards=episode.guards,
        tangents=grid,
        limit=torch.ones(grid.loading.shape[:2], dtype=torch.float64),
        nomination_kwh=None,
        deviation_kwh=torch.zeros_like(episode.nomination_kwh[0]),
    )


@pytest.fixture(scope="module")
def evening() -> Task:
    """A house from 16:00 to 8:00: a program that the licence that comes with Gurobi covers."""
    world = build(config_files.load(EnvConfig, "house", "env", ["--slots=64", "--scenario.start_hour=16"]))
    return task_of(world.params, draw(world, [3]))


@pytest.fixture(params=SOLVERS)
def solver(request: pytest.FixtureRequest) -> SolverName:
    name: SolverName = request.param
    return name


def spoiled(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let the planner's programs be what `change` makes of them."""
    monkeypatch.setattr(planning, "assemble", lambda task: change(assemble(task)))


def test_an_infeasible_program_names_devices_and_constraints(
    evening: Task, solver: SolverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    def demand(program: Program) -> Program:
        """The dishwasher must start twice, and every slot holds one start at most."""
        names = [name for name, count in program.block.row_names for _ in range(count)]
        once = names.index("one start of each run")
        bound = program.block.row_lower.clone()
        bound[once] = 99.0
        block = replace(program.block, row_lower=bound, row_upper=bound.maximum(program.block.row_upper))
        return replace(program, block=block)

    spoiled(monkeypatch, demand)
    with pytest.raises(InfeasibleError) as error:
        Planner(Effort(solver=solver)).plan(evening)
    text = str(error.value)
    assert "one start of each run of dishwasher 0 in house 0" in text
    assert "ev" not in text and "\n" not in text


def test_what_whole_numbers_alone_make_infeasible_is_named_too(
    evening: Task, solver: SolverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(program: Program) -> Program:
        names = [name for name, count in program.block.row_names for _ in range(count)]
        once = names.index("one start of each run")
        lower, upper = program.block.row_lower.clone(), program.block.row_upper.clone()
        lower[once] = upper[once] = 0.5
        return replace(program, block=replace(program.block, row_lower=lower, row_upper=upper))

    spoiled(monkeypatch, half)
    with pytest.raises(InfeasibleError, match="one start of each run of dishwasher 0"):
        Planner(Effort(solver=solver)).plan(evening)


def test_without_any_plan_in_the_last_seconds_it_is_an_error(evening: Task, solver: SolverName) -> None:
    with pytest.raises(OutOfTimeError, match="no plan within 0 s"):
        Planner(Effort(seconds=0.0, last_seconds=0.0, solver=solver)).plan(evening)


def test_out_of_time_the_best_plan_found_is_flagged(evening: Task, solver: SolverName) -> None:
    found = Planner(Effort(gap=0.0, gap_eur=0.0, seconds=0.0, solver=solver)).plan(evening).solution
    assert not found.complete
    assert 0.0 <= found.gap_eur < float("inf")


def test_of_equally_good_plans_the_one_near_the_previous_is_taken(params: Params, episode: Episode) -> None:
    """At a flat price every schedule of a vehicle costs the same, so the one made for cheap nights is kept."""
    flat = torch.full_like(episode.actual.spot, 0.1)
    calm = replace(episode, actual=replace(episode.actual, spot=flat, up=flat, down=flat))
    wide = torch.full_like(task_of(params, calm).limit, 1e6)
    task, cheap_nights = (replace(task_of(params, day), limit=wide) for day in (calm, episode))
    planner = Planner(Effort(gap=0.0, gap_eur=1e-9))
    first = planner.plan(cheap_nights)
    again = planner.plan(task, first)
    vehicles = slice(0, 3)
    assert torch.allclose(again.energy_kwh[:, vehicles], first.energy_kwh[:, vehicles], atol=1e-5)
    without = Planner(Effort(gap=0.0, gap_eur=1e-9)).plan(task)
    assert again.solution.objective == pytest.approx(without.solution.objective, abs=1e-3)
    assert not torch.allclose(without.energy_kwh[:, vehicles], first.energy_kwh[:, vehicles], atol=1e-5)


def test_gurobi_finds_what_highs_finds(evening: Task) -> None:
    highs, gurobi = (Planner(Effort(gap=0.0, gap_eur=1e-9, solver=name)) for name in SOLVERS)
    first = highs.plan(evening)
    for task, previous in ((evening, None), (evening, first), (replace(evening, limit=0.5 * evening.limit), None)):
        one, other = (planner.plan(task, previous).solution for planner in (highs, gurobi))
        assert other.objective == pytest.approx(one.objective, abs=1e-6)
        assert other.bound <= one.objective + 1e-6
        assert one.complete
        assert other.complete


def test_a_program_beyond_the_licence_of_gurobi_is_one_line(params: Params, episode: Episode) -> None:
    block = assemble(task_of(params, episode)).block
    with pytest.raises(ConfigError) as error:
        make_solver(block, Effort(solver="gurobi")).solve(Effort(solver="gurobi"))
    size = f"{len(block.cost)} variables and"
    assert str(error.value).startswith(f"evaluate: solver = gurobi: expected highs, or a licence for {size}")


def test_without_gurobi_one_line_says_what_to_install(evening: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_gurobi", False)
    with pytest.raises(MissingExtraError, match="gurobi"):
        Planner(Effort(solver="gurobi")).plan(evening)
