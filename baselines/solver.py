"""A linear program in a solver that keeps it: built once with linopy, then only numbers in the HiGHS model change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import highspy
import linopy
import numpy as np
import torch
import xarray
from numpy.typing import NDArray

from totalflex_env.errors import OutOfTimeError, PhysicsError
from totalflex_env.linear_types import LinearBlock

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Status = highspy.HighsModelStatus
SolverName = Literal["highs", "gurobi"]

TIE = 2e-6
"""EUR per kWh for leaving the previous plan, just above what a solver can tell from nothing."""

AT_BOUND = 1e-6
"""A variable this close to a bound is at it."""

INFEASIBLE = (Status.kInfeasible, Status.kUnboundedOrInfeasible)


@dataclass(frozen=True)
class Effort:
    """When the solver may stop."""

    gap: float = 1e-3  # share of the objective
    gap_eur: float = 1e-3  # the same in EUR, since costs cross zero
    seconds: float = 60.0  # then the best plan found counts; where there is none yet, the first one to be found
    last_seconds: float = 600.0  # then having none is an error
    tolerance: float = 1e-7  # by which a row may be missed
    solver: SolverName = "highs"


@dataclass(frozen=True)
class Solution:
    """What the solver found and proved."""

    value: Array  # [V]
    objective: float  # EUR
    bound: float  # EUR, no plan costs less
    gap_eur: float  # objective less bound
    seconds: float
    complete: bool  # False when time ran out before the gap was reached


class Conflict(Exception):  # noqa: N818  the planner turns it into an InfeasibleError that bears names
    """A program without a solution: which rows and which variables cannot be kept together."""

    def __init__(self, rows: Index, columns: Index) -> None:
        super().__init__(rows, columns)
        self.rows, self.columns = rows, columns


class Solver:
    """One HiGHS model for all programs of one shape."""

    def __init__(self, block: LinearBlock) -> None:
        self._model = _highs(block)
        self._block = block
        self.update(block)

    def fits(self, block: LinearBlock) -> bool:
        """Return whether `block` has the shape of the model."""
        old, new = self._block, block
        sizes = len(old.cost) == len(new.cost) and len(old.row_lower) == len(new.row_lower)
        return sizes and torch.equal(old.rows.row, new.rows.row) and torch.equal(old.rows.column, new.rows.column)

    def update(self, block: LinearBlock) -> None:
        """Take the numbers of another program of the same shape."""
        model, columns, rows = self._model, len(block.cost), len(block.row_lower)
        every_column, every_row = np.arange(columns, dtype=np.int32), np.arange(rows, dtype=np.int32)
        model.changeColsBounds(columns, every_column, block.lower.numpy(), block.upper.numpy())
        model.changeColsCost(columns, every_column, block.cost.numpy())
        model.changeColsIntegrality(columns, every_column, block.integer.numpy().astype(np.uint8))
        row_lower, row_upper = block.row_lower.numpy(), block.row_upper.numpy()
        model.changeRowsBounds(rows, every_row, row_lower, row_upper)  # type: ignore[attr-defined]
        old, new = self._block.rows, block.rows
        for i in np.flatnonzero((old.value != new.value).numpy()).tolist():
            model.changeCoeff(int(new.row[i]), int(new.column[i]), float(new.value[i]))
        self._block = block

    def solve(self, effort: Effort, previous: Array | None = None) -> Solution:
        """Return the best plan that the effort allows; of equally good ones, one near the `previous` plan [V].

        Raises Conflict where no plan is feasible, and OutOfTimeError where none was found in the last seconds.
        """
        begun = time.perf_counter()
        if previous is not None:
            cost = leaning(self._block, previous)
            self._model.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
        self._model.setOptionValue("primal_feasibility_tolerance", effort.tolerance)
        self._model.setOptionValue("mip_feasibility_tolerance", 10.0 * effort.tolerance)
        self._run((effort.gap, effort.gap_eur), effort.seconds)
        complete = self._model.getModelStatus() == Status.kOptimal
        if self._model.getModelStatus() == Status.kTimeLimit and not self._found():
            if previous is not None:
                self._begin(previous)
            self._run((highspy.kHighsInf, highspy.kHighsInf), effort.last_seconds)
        self._check_found(effort)
        info = self._model.getInfo()
        proved = info.mip_dual_bound if self._whole else info.objective_function_value
        gap = max(info.objective_function_value - proved, 0.0)
        value = np.asarray(self._model.getSolution().col_value)
        objective = float(value @ self._block.cost.numpy())
        return Solution(value, objective, objective - gap, gap, time.perf_counter() - begun, complete)

    def _check_found(self, effort: Effort) -> None:
        """Raise what says why there is no plan, if there is none."""
        if self._found():
            return
        status = self._model.getModelStatus()
        if status == Status.kTimeLimit:
            raise OutOfTimeError(effort.last_seconds)
        if status not in INFEASIBLE:
            raise PhysicsError(f"the solver ended without a plan: {self._model.modelStatusToString(status)}")
        raise self._conflict()

    def _conflict(self) -> Conflict:
        """Return an irreducible set of constraints without a solution; whole numbers count as any number.

        Where only whole numbers make it infeasible, it is the rows that would have to give way.
        """
        _, found = self._model.getIis()
        rows, columns = np.array(found.row_index_, dtype=np.int64), np.array(found.col_index_, dtype=np.int64)
        if len(rows) + len(columns):
            return Conflict(rows, columns)
        self._model.feasibilityRelaxation(-1.0, -1.0, 1.0)
        level = np.asarray(self._model.getSolution().row_value)
        missed = np.maximum(self._block.row_lower.numpy() - level, level - self._block.row_upper.numpy())
        return Conflict(np.flatnonzero(missed > AT_BOUND).astype(np.int64), columns)

    def _begin(self, previous: Array) -> None:
        """Search first where whole numbers are as in a previous plan: costs more time than it saves unless urgent."""
        whole = np.flatnonzero(self._block.integer.numpy()).astype(np.int32)
        self._model.setSolution(len(whole), whole, np.round(within(self._block, previous)[whole]))

    def _run(self, gaps: tuple[float, float], seconds: float) -> None:
        share, eur = gaps
        self._model.setOptionValue("mip_rel_gap", share)
        self._model.setOptionValue("mip_abs_gap", eur)
        # HiGHS counts the time of a mixed-integer program from the start of this run, of a linear one from its first.
        spent = 0.0 if self._whole else self._model.getRunTime()
        self._model.setOptionValue("time_limit", spent + seconds)
        self._model.run()

    @property
    def _whole(self) -> bool:
        return bool(self._block.integer.any())

    def _found(self) -> bool:
        return bool(self._model.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible)


def leaning(block: LinearBlock, previous: Array) -> Array:
    """Return the cost [V] EUR with which it costs a little to move a device's energy off a bound of a previous plan.

    What is not at a bound, the bounds and rows decide: moving it alone is no tie.
    """
    value, lower, upper = within(block, previous), block.lower.numpy(), block.upper.numpy()
    side = (value <= lower + AT_BOUND).astype(float) - (value >= upper - AT_BOUND)
    cost, energies = block.cost.numpy().copy(), np.unique(block.energy.column.numpy())
    cost[energies] += TIE * side[energies]
    return cost


def within(block: LinearBlock, previous: Array) -> Array:
    """Return a previous plan [V] moved to within the bounds."""
    value: Array = np.clip(previous, block.lower.numpy(), block.upper.numpy())
    return value


def _highs(block: LinearBlock) -> highspy.Highs:
    """Build the model with linopy and return it as a HiGHS model, columns and rows in the order of the block."""
    model = linopy.Model()
    model.add_variables(coords=[("variable", np.arange(len(block.cost)))], name="x")
    coefficient, column = _padded(block)
    terms = xarray.Dataset({"coeffs": (("row", "_term"), coefficient), "vars": (("row", "_term"), column)})
    model.add_constraints(linopy.LinearExpression(terms, model) >= 0.0, name="rows")
    rows = model.matrices.A.tocsr()  # type: ignore[union-attr]
    highs = quiet()
    highs.addVars(len(block.cost), block.lower.numpy(), block.upper.numpy())
    bounds = block.row_lower.numpy(), block.row_upper.numpy()
    highs.addRows(len(block.row_lower), *bounds, rows.nnz, rows.indptr, rows.indices, rows.data)
    return highs


def quiet() -> highspy.Highs:
    """Return an empty HiGHS model on one thread that prints nothing."""
    model = highspy.Highs()  # type: ignore[no-untyped-call]
    model.setOptionValue("output_flag", False)  # before anything else, or it prints a banner
    model.setOptionValue("threads", 1)
    return model


def _padded(block: LinearBlock) -> tuple[Array, NDArray[np.int64]]:
    """Return coefficients and columns of all rows [R, terms], filled up with column -1, which means no term."""
    row, column, value = (part.numpy() for part in (block.rows.row, block.rows.column, block.rows.value))
    order = np.argsort(row, kind="stable")
    terms = np.bincount(row, minlength=len(block.row_lower))
    place = np.arange(len(row)) - np.repeat(np.cumsum(terms) - terms, terms)
    coefficients = np.full((len(terms), int(terms.max(initial=1))), np.nan)
    columns = np.full(coefficients.shape, -1, dtype=np.int64)
    coefficients[row[order], place], columns[row[order], place] = value[order], column[order]
    return coefficients, columns
