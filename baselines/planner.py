"""From a task to a plan, with one solver kept for all tasks of the same shape."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.program import Program, Task, assemble
from baselines.solver import Effort, Solution, Solver


@dataclass(frozen=True)
class Plan:
    """What the devices should do from the slot of the task on; zero before."""

    energy_kwh: Tensor  # [T, N]
    net_kwh: Tensor  # [T] net consumption with the expected load, solar and wind power
    solution: Solution


class Planner:
    """Makes plans; building a model takes longer than solving it, so the last one is kept."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._solver: Solver | None = None

    def plan(self, task: Task) -> Plan:
        """Return the best plan that the effort allows."""
        program = assemble(task)
        if self._solver is None or not self._solver.fits(program.block):
            self._solver = Solver(program.block)
        else:
            self._solver.update(program.block)
        solution = self._solver.solve(self.effort)
        energy = _energies(program, torch.from_numpy(solution.value), len(task.params.house))
        return Plan(energy, energy.sum(dim=1) + program.fixed_kwh, solution)


def _energies(program: Program, value: Tensor, devices: int) -> Tensor:
    """Return the energy [T, N] kWh of all devices in a solution [V]."""
    where = program.block.energy
    energy = value.new_zeros(len(program.fixed_kwh), devices)
    return energy.index_put((where.slot, where.device), where.value * value[where.column], accumulate=True)
