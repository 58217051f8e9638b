"""A linear program in a solver that keeps it: built once with linopy, then only numbers in the HiGHS model change."""

from __future__ import annotations

import time
from dataclasses import dataclass

import highspy
import linopy
import numpy as np
import torch
import xarray
from numpy.typing import NDArray

from totalflex_env.errors import PhysicsError
from totalflex_env.linear_types import LinearBlock

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """When the solver may stop."""

    gap: float = 1e-3  # share of the objective
    gap_eur: float = 1e-3  # the same in EUR, since costs cross zero
    seconds: float = 60.0


@dataclass(frozen=True)
class Solution:
    """The best plan found and what is proven about it."""

    value: Array  # [V]
    objective: float  # EUR
    bound: float  # EUR, no plan costs less
    gap_eur: float  # objective less bound
    seconds: float
    complete: bool  # False when time ran out before the gap was reached


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

    def solve(self, effort: Effort) -> Solution:
        """Return the best plan that the effort allows; where time runs out before there is any, the first one found."""
        model, begun = self._model, time.perf_counter()
        self._run(effort.gap, effort.gap_eur, effort.seconds)
        complete = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
        if model.getModelStatus() == highspy.HighsModelStatus.kTimeLimit and not self._found():
            self._run(highspy.kHighsInf, highspy.kHighsInf, highspy.kHighsInf)
        info = model.getInfo()
        if not self._found():
            raise PhysicsError(f"the devices allow no plan: {model.modelStatusToString(model.getModelStatus())}")
        bound = info.mip_dual_bound if self._whole else info.objective_function_value
        return Solution(
            value=np.asarray(model.getSolution().col_value),
            objective=info.objective_function_value,
            bound=bound,
            gap_eur=max(info.objective_function_value - bound, 0.0),
            seconds=time.perf_counter() - begun,
            complete=complete,
        )

    def _run(self, gap: float, gap_eur: float, seconds: float) -> None:
        self._model.setOptionValue("mip_rel_gap", gap)
        self._model.setOptionValue("mip_abs_gap", gap_eur)
        # HiGHS counts the time of a mixed-integer program from the start of this run, of a linear one from its first.
        spent = 0.0 if self._whole else self._model.getRunTime()
        self._model.setOptionValue("time_limit", spent + seconds)
        self._model.run()

    @property
    def _whole(self) -> bool:
        return bool(self._block.integer.any())

    def _found(self) -> bool:
        return bool(self._model.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible)


def _highs(block: LinearBlock) -> highspy.Highs:
    """Build the model with linopy and return it as a HiGHS model, columns and rows in the order of the block."""
    model = linopy.Model()
    model.add_variables(coords=[("variable", np.arange(len(block.cost)))], name="x")
    coefficient, column = _padded(block)
    terms = xarray.Dataset({"coeffs": (("row", "_term"), coefficient), "vars": (("row", "_term"), column)})
    model.add_constraints(linopy.LinearExpression(terms, model) >= 0.0, name="rows")
    rows = model.matrices.A.tocsr()  # type: ignore[union-attr]
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)  # before anything else, or it prints a banner
    highs.setOptionValue("threads", 1)
    highs.addVars(len(block.cost), block.lower.numpy(), block.upper.numpy())
    bounds = block.row_lower.numpy(), block.row_upper.numpy()
    highs.addRows(len(block.row_lower), *bounds, rows.nnz, rows.indptr, rows.indices, rows.data)
    return highs


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
