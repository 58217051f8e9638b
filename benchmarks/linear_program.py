"""The rival of exact scheduling: the same problem as one linear program for HiGHS."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import highspy
import numpy as np

from benchmarks.fleets import SLOTS, Shiftable, Storing
from totalflex_env.errors import PhysicsError
from totalflex_env.flexoffer.objective import Objective

THREADS = 1


@dataclass
class LinearProgram:
    """Columns and rows as they are added; entries are (row, column, value)."""

    cost: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)

    def column(self, lower: float, upper: float, cost: float = 0.0) -> int:
        """Add a variable and return its number."""
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.cost) - 1

    def row(self, lower: float, upper: float) -> int:
        """Add a constraint and return its number."""
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        return len(self.row_lower) - 1

    def solve(self) -> tuple[float, float]:
        """Return the optimum and the seconds of processor time that HiGHS took for it."""
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", THREADS)
        solver.passModel(self._model())
        began = time.process_time()
        solver.run()
        seconds = time.process_time() - began
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise PhysicsError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
        return solver.getInfo().objective_function_value, seconds

    def _model(self) -> highspy.HighsLp:
        row, column, value = (np.array(part) for part in zip(*sorted(self.entries)))
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.cost), len(self.row_lower)
        model.col_cost_, model.col_lower_, model.col_upper_ = (
            np.array(numbers) for numbers in (self.cost, self.lower, self.upper)
        )
        model.row_lower_, model.row_upper_ = np.array(self.row_lower), np.array(self.row_upper)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.searchsorted(row, np.arange(model.num_row_ + 1))
        model.a_matrix_.index_, model.a_matrix_.value_ = column, value
        return model


def schedule(objective: Objective, storing: list[Storing], shiftable: list[Shiftable]) -> tuple[float, float]:
    """Return the least cost and the processor seconds of the linear program for fleets of a few hundred devices.

    The objective has no squared cost and no limits. Programmes may start in parts: the rival need not round.
    """
    program = LinearProgram()
    for slot in range(SLOTS):  # rows 0, 1, ...: the balance of each slot
        program.row(float(objective.target[slot]), float(objective.target[slot]))
        above = program.column(0.0, np.inf, float(objective.above[slot]))
        below = program.column(0.0, np.inf, float(objective.below[slot]))
        program.entries += [(slot, above, -1.0), (slot, below, 1.0)]
    price = objective.price.tolist()
    for fleet in storing:
        for number in range(len(fleet.window[0])):
            _add_storing(program, price, fleet, number)
    for programmes in shiftable:
        for number in range(len(programmes.start[0])):
            _add_shiftable(program, price, programmes, number)
    return program.solve()


def _add_storing(program: LinearProgram, price: list[float], fleet: Storing, number: int) -> None:
    """Add the energies of a vehicle or a storage, and its levels."""
    first, end, out, into, least, most, final_least, final_most = (
        float(numbers[number]) for pair in (fleet.window, fleet.power, fleet.level, fleet.final) for numbers in pair
    )
    before = None
    for slot in range(int(first), int(end)):
        bounds = (final_least, final_most) if slot == int(end) - 1 else (least, most)
        energy, level = program.column(-out, into, price[slot]), program.column(*bounds)
        program.entries.append((slot, energy, 1.0))
        row = program.row(0.0, 0.0)
        program.entries += [(row, level, 1.0), (row, energy, -1.0)]
        if before is not None:
            program.entries.append((row, before, -1.0))
        before = level


def _add_shiftable(program: LinearProgram, price: list[float], programmes: Shiftable, number: int) -> None:
    """Add the shares of a programme that begin at each of its starts."""
    row, profile = program.row(1.0, 1.0), programmes.profile[number].tolist()
    for start in range(int(programmes.start[0][number]), int(programmes.start[1][number]) + 1):
        share = program.column(0.0, 1.0, sum(energy * price[start + step] for step, energy in enumerate(profile)))
        program.entries.append((row, share, 1.0))
        program.entries += [(start + step, share, energy) for step, energy in enumerate(profile) if energy]
