"""From a task to a plan, with one solver kept for all tasks of the same shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from baselines.conflict import explain
from baselines.program import Program, Task, assemble
from baselines.solver import Array, Conflict, Effort, Solution, Solver
from totalflex_env.errors import MissingExtraError
from totalflex_env.linear_types import LinearBlock

try:
    from baselines.gurobi import GurobiSolver

    _gurobi = True
except ModuleNotFoundError as error:  # Gurobi is a choice; without it there is HiGHS
    if error.name != "gurobipy":
        raise
    _gurobi = False


@dataclass(frozen=True)
class Plan:
    """What the devices should do from the slot of the task on; zero before."""

    energy_kwh: Tensor  # [T, N]
    net_kwh: Tensor  # [T] net consumption with the expected load, solar and wind power
    solution: Solution


class Planning(Protocol):
    """Anything that makes plans."""

    def plan(self, task: Task, previous: Plan | None = None) -> Plan:
        """Return a plan for the task; of equally good ones, one near the `previous` plan."""


class Planner:
    """Makes plans; building a model takes longer than solving it, so the last one is kept."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._solver: Solver | GurobiSolver | None = None

    def plan(self, task: Task, previous: Plan | None = None) -> Plan:
        """Return the best plan that the effort allows; of equally good ones, one near the `previous` plan.

        An InfeasibleError names the constraints that no plan keeps, an OutOfTimeError the time in which none was found.
        """
        program = assemble(task)
        if self._solver is None or not self._solver.fits(program.block):
            self._solver = make_solver(program.block, self.effort)
        else:
            self._solver.update(program.block)
        try:
            solution = self._solver.solve(self.effort, _values(previous, program))
        except Conflict as conflict:
            raise explain(program, task.params, conflict.rows, conflict.columns) from conflict
        energy = energies(program, torch.from_numpy(solution.value), len(task.params.house))
        return Plan(energy, energy.sum(dim=1) + program.fixed_kwh, solution)


def make_solver(block: LinearBlock, effort: Effort) -> Solver | GurobiSolver:
    """Return the solver that the effort names, a MissingExtraError if it is not installed."""
    if effort.solver == "highs":
        return Solver(block)
    if not _gurobi:
        raise MissingExtraError("gurobipy", "gurobi")
    return GurobiSolver(block)


def energies(program: Program, value: Tensor, devices: int) -> Tensor:
    """Return the energy [T, N] kWh of all devices in a solution [V]."""
    where = program.block.energy
    energy = value.new_zeros(len(program.fixed_kwh), devices)
    return energy.index_put((where.slot, where.device), where.value * value[where.column], accumulate=True)


def _values(previous: Plan | None, program: Program) -> Array | None:
    """Return the solution [V] of a previous plan if its program had the same shape."""
    if previous is None or len(previous.solution.value) != len(program.block.cost):
        return None
    return previous.solution.value
