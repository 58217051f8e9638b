"""The master program of a decomposition: what crowds offered to do so far, mixed so that grid and market cost least.

Dantzig and Wolfe, "Decomposition principle for linear programs", Operations Research 8 (1960). Any prices of the rows
that tie crowds together prove a bound: what the crowds cost at least at these prices and what the rest costs at least.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy.sparse import csc_array, csr_array

from baselines.crowds import NOBODY, Crowd, Split
from baselines.solver import Array, quiet
from totalflex_env.errors import PhysicsError

ZERO = 1e-7
"""EUR below which a reduced cost is rounding: what a solver leaves on a variable without bounds."""


@dataclass(frozen=True)
class Mixture:
    """The best mixture so far."""

    cost: float  # EUR
    price: Array  # [S] EUR per unit of the rows that tie crowds together
    weights: list[Array]  # of each crowd's offers


class Master:
    """The columns of grid and market, and the offers of K crowds, in one linear program that grows by offers."""

    def __init__(self, whole: Split, crowds: list[Crowd]) -> None:
        self._whole, self._crowds = whole, crowds
        own = np.flatnonzero(whole.group == NOBODY)
        self._rows = whole.tie.shape[0]
        fixed = (whole.lower == whole.upper) & (whole.group != NOBODY)
        held = np.where(fixed, whole.lower, 0.0)
        moved = whole.tie @ held
        self.fixed_eur = float(whole.cost @ held)
        low, high = whole.tie_bounds
        self._bounds = low - moved, high - moved
        self._cost, self._lower, self._upper = whole.cost[own], whole.lower[own], whole.upper[own]
        self._tie = csc_array(whole.tie[:, own])
        self.offers: list[list[Array]] = [[] for _ in crowds]  # [V] each
        self._places: list[list[int]] = [[] for _ in crowds]
        self._model = quiet()
        count, rows = len(own), csr_array(self._tie)
        self._model.addVars(count, self._lower, self._upper)
        self._model.changeColsCost(count, np.arange(count, dtype=np.int32), self._cost)
        self._model.addRows(self._rows, *self._bounds, rows.nnz, rows.indptr[:-1], rows.indices, rows.data)
        one, none = np.ones(len(crowds)), np.zeros(0)
        starts = np.zeros(len(crowds), dtype=np.int32)
        self._model.addRows(len(crowds), one, one, 0, starts, none.astype(np.int32), none)

    def offer(self, crowd: int, value: Array) -> None:
        """Add what a crowd could do [V]."""
        self.offers[crowd].append(value)
        self._places[crowd].append(self._model.getNumCol())
        tie = self._crowds[crowd].tie @ value
        rows = np.flatnonzero(np.abs(tie) > 0.0)
        index = np.append(rows, self._rows + crowd).astype(np.int32)
        cost = float(self._crowds[crowd].cost @ value)
        self._model.addCol(cost, 0.0, highspy.kHighsInf, len(index), index, np.append(tie[rows], 1.0))

    def hold(self, crowd: int, value: Array) -> None:
        """Let a crowd do this [V] and nothing else from now on."""
        for place in self._places[crowd]:
            self._model.changeColBounds(place, 0.0, 0.0)
        self.offer(crowd, value)

    def mix(self) -> Mixture:
        """Return the best mixture of all offers."""
        model = self._model
        model.run()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise PhysicsError(f"the grid allows no plan: {model.modelStatusToString(model.getModelStatus())}")
        solution = model.getSolution()
        value, price = np.asarray(solution.col_value), self._whole.proper(np.asarray(solution.row_dual)[: self._rows])
        cost = self.fixed_eur + float(model.getInfo().objective_function_value)
        return Mixture(cost, price, [value[places].clip(min=0.0) for places in self._places])

    def cost(self, values: list[Array]) -> float:
        """Return what it costs in EUR that crowds do `values` [V] each; grid and market make the best of it."""
        cost = self.fixed_eur + sum(float(crowd.cost @ value) for crowd, value in zip(self._crowds, values))
        taken = sum(crowd.tie @ value for crowd, value in zip(self._crowds, values))
        rest, rows, count = quiet(), csr_array(self._tie), len(self._cost)
        rest.addVars(count, self._lower, self._upper)
        rest.changeColsCost(count, np.arange(count, dtype=np.int32), self._cost)
        lower, upper = (bound - taken for bound in self._bounds)
        rest.addRows(self._rows, lower, upper, rows.nnz, rows.indptr[:-1], rows.indices, rows.data)
        rest.run()
        if rest.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise PhysicsError(f"the grid allows no plan: {rest.modelStatusToString(rest.getModelStatus())}")
        return cost + float(rest.getInfo().objective_function_value)

    def least(self, price: Array) -> float:
        """Return what grid and market, and what is fixed, cost at least at prices [S] that leave nothing unbounded."""
        lower, upper = self._bounds
        rows = np.where(price > 0.0, lower, upper)
        reduced = self._cost - self._tie.T @ price
        columns = np.where(reduced > 0.0, self._lower, self._upper)
        told = np.abs(reduced) > ZERO
        priced = price != 0.0
        paid = (price[priced] * rows[priced]).sum() + (reduced[told] * columns[told]).sum()
        return self.fixed_eur + float(paid)
