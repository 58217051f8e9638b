"""The same programs solved by Gurobi, for those who have it."""

from __future__ import annotations

import time

import gurobipy
import numpy as np
from gurobipy import GRB
from scipy.sparse import csr_matrix

from baselines.solver import AT_BOUND, Array, Conflict, Effort, Index, Solution, leaning, within
from totalflex_env.errors import ConfigError, OutOfTimeError, PhysicsError
from totalflex_env.linear_types import LinearBlock

ANY_GAP = 1e9
"""Finite, so that some bound is proved."""

INFEASIBLE = (GRB.INFEASIBLE, GRB.INF_OR_UNBD)


class GurobiSolver:
    """Solves programs with Gurobi; a model is built anew for each, which takes little of the time."""

    def __init__(self, block: LinearBlock) -> None:
        self._block = block
        self._environment = gurobipy.Env(params={"OutputFlag": 0, "Threads": 1})

    def fits(self, _: LinearBlock) -> bool:
        """Return True: any program does."""
        return True

    def update(self, block: LinearBlock) -> None:
        """Take another program."""
        self._block = block

    def solve(self, effort: Effort, previous: Array | None = None) -> Solution:
        """Return the best plan that the effort allows; of equally good ones, one near the `previous` plan [V].

        Raises Conflict where no plan is feasible, OutOfTimeError where none was found in the last seconds, and
        ConfigError where the licence does not cover a program of this size.
        """
        begun = time.perf_counter()
        block = self._block
        cost = block.cost.numpy() if previous is None else leaning(block, previous)
        with gurobipy.Model(env=self._environment) as model:
            x, rows = self._build(model, cost, effort.tolerance)
            self._run(model, (effort.gap, effort.gap_eur), effort.seconds)
            complete = model.Status == GRB.OPTIMAL
            if model.Status == GRB.TIME_LIMIT and model.SolCount == 0:
                if previous is not None:
                    x.setAttr("Start", within(block, previous))
                self._run(model, (ANY_GAP, ANY_GAP), effort.last_seconds)
            if model.SolCount == 0:
                raise self._why(model, rows, x, effort)
            value = np.asarray(x.X)
            gap = max(model.ObjVal - model.ObjBound, 0.0) if model.IsMIP else 0.0
        objective = float(value @ block.cost.numpy())
        return Solution(value, objective, objective - gap, gap, time.perf_counter() - begun, complete)

    def _build(
        self, model: gurobipy.Model, cost: Array, tolerance: float
    ) -> tuple[gurobipy.MVar, list[tuple[Index, gurobipy.MConstr]]]:
        """Fill a model; return its variables [V], and its constraints with the rows of the program that they are."""
        block = self._block
        lower, upper = block.row_lower.numpy(), block.row_upper.numpy()
        coefficients, places = block.rows.value.numpy(), (block.rows.row.numpy(), block.rows.column.numpy())
        matrix = csr_matrix((coefficients, places), shape=(len(lower), len(cost)))
        kind = np.where(block.integer.numpy(), GRB.INTEGER, GRB.CONTINUOUS)
        x = model.addMVar(len(cost), lb=block.lower.numpy(), ub=block.upper.numpy(), obj=cost, vtype=kind)
        same = lower == upper
        sides = (
            (np.flatnonzero(same), "=", lower),
            (np.flatnonzero(~same & np.isfinite(lower)), ">", lower),
            (np.flatnonzero(~same & np.isfinite(upper)), "<", upper),
        )
        rows = [(index, model.addMConstr(matrix[index], x, sense, side[index])) for index, sense, side in sides]
        model.Params.FeasibilityTol = max(tolerance, 1e-9)  # the least that it allows
        model.Params.IntFeasTol = max(10.0 * tolerance, 1e-9)
        return x, rows

    def _run(self, model: gurobipy.Model, gaps: tuple[float, float], seconds: float) -> None:
        model.Params.MIPGap, model.Params.MIPGapAbs = gaps
        model.Params.TimeLimit = seconds
        try:
            model.optimize()
        except gurobipy.GurobiError as error:
            if error.errno != GRB.Error.SIZE_LIMIT_EXCEEDED:
                raise
            size = f"{model.NumVars} variables and {model.NumConstrs} rows"
            raise ConfigError("evaluate", "solver", "gurobi", f"highs, or a licence for {size}") from error

    def _why(
        self, model: gurobipy.Model, rows: list[tuple[Index, gurobipy.MConstr]], x: gurobipy.MVar, effort: Effort
    ) -> Exception:
        """Return what says why there is no plan."""
        if model.Status == GRB.TIME_LIMIT:
            return OutOfTimeError(effort.last_seconds)
        if model.Status not in INFEASIBLE:
            return PhysicsError(f"the solver ended without a plan: status {model.Status} of Gurobi")
        model.computeIIS()
        found = [index[np.asarray(constraints.IISConstr) > AT_BOUND] for index, constraints in rows]
        bounds = (np.asarray(x.IISLB) + np.asarray(x.IISUB)) > AT_BOUND
        return Conflict(np.unique(np.concatenate(found)), np.flatnonzero(bounds).astype(np.int64))
