"""The restricted master program of the auction, a live model in HiGHS that grows by columns and rows.

Columns are weights of schedules, steps of the BRPs and overloads; rows are the balance of each slot, one per order or
group, one per link, and those limits of the grid that have mattered so far. Rows that nobody could keep are kept at a
price far above every bid (`HARD`): what is left of it at the optimum tells who cannot be served (`conflicts`).
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.batch import concatenate_rows
from totalflex_env.errors import PhysicsError
from totalflex_env.market.book import AuctionBook, effective_bounds
from totalflex_env.market.dual import Prices, dearest, make_prices, pieces
from totalflex_env.market.families import Families
from totalflex_env.market.patterns import Schedules

DUAL, PRIMAL = 1, 4  # simplex of HiGHS
NODES = 2_000  # of the search for whole numbers
Status = highspy.HighsBasisStatus
HARD = 1_000.0  # times the dearest bid of the book: the price of what must not happen

Floats = NDArray[np.float64]
Whole = NDArray[np.int32]


@dataclass(frozen=True)
class Solution:
    """An optimum of the restricted master."""

    cost: float  # EUR
    weight: Tensor  # [C] of the schedules
    supplied: Tensor  # [P, T] kWh
    change: Tensor  # [M, T] kWh, deviations by node
    prices: Prices
    surplus: Tensor  # [N] EUR, what a schedule must cost less than at the prices to improve the optimum
    unmet: Tensor  # [T] kWh, missing (positive) or left over (negative) in the balance
    beyond: Tensor  # [L, T] kWh or p.u. beyond hard limits


class Master:
    """The restricted master of one book."""

    def __init__(self, book: AuctionBook, family: Families) -> None:
        self.book, self._slots = book, book.slots
        self._node = book.orders.node.numpy()
        self._sensitivity = book.limits.sensitivity.numpy()
        lower, upper = effective_bounds(book.limits)
        self._lower, self._upper = (lower - book.limits.base).numpy(), (upper - book.limits.base).numpy()
        self.hard = HARD * dearest(book)
        cap = book.limits.cap.numpy()
        reach = np.abs(self._sensitivity).max(1, initial=0.0)[:, None]  # kWh or p.u. by the kWh that moves it most
        self._cap = np.where(np.isfinite(cap), cap, self.hard / np.where(reach > 0.0, reach, 1.0))
        self._is_hard = ~np.isfinite(cap)
        self._row = np.full(cap.shape, -1, dtype=np.int32)
        self._limit_rows: list[tuple[int, int]] = []
        self._schedules: list[Schedules] = []
        self._columns: list[Whole] = []
        self._slacks: list[tuple[int, int, int, float]] = []  # column, limit, slot, sign
        self._model = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("presolve", "on"),
            ("solver", "simplex"),
            ("simplex_strategy", DUAL),
        ):
            self._model.setOptionValue(option, value)
        self._add_balance()
        self._add_structure(family)

    @property
    def schedules(self) -> Schedules:
        """All schedules, in the order of their weights [C]."""
        return self._schedules[0] if len(self._schedules) == 1 else concatenate_rows(self._schedules)

    @property
    def modelled(self) -> Tensor:
        """Which limits [L, T] bool are rows already."""
        return torch.from_numpy(self._row >= 0)

    def add_schedules(self, some: Schedules) -> None:
        """Add schedules as columns."""
        order = some.order.numpy()
        deviation = some.deviation.numpy()
        limits = self._coefficients(order, deviation, self._limit_rows)
        members = self._members[order]
        dense = np.concatenate([deviation, limits, members[..., 1]], axis=1)
        rows = np.arange(self._slots), self._row[tuple(np.array(self._limit_rows, dtype=np.int32).reshape(-1, 2).T)]
        shared = np.broadcast_to(np.concatenate(rows), (len(order), len(rows[0]) + len(rows[1])))
        index = np.concatenate([shared, members[..., 0].astype(np.int32)], axis=1)
        self._columns.append(self._add_columns(some.cost.numpy(), np.full(len(order), np.inf), index, dense))
        self._schedules.append(some)

    def add_limits(self, wanted: Tensor) -> bool:
        """Add rows for the limits [L, T] bool that have none yet, with the price of exceeding them; whether any."""
        new = np.argwhere(wanted.numpy() & (self._row < 0))
        if not len(new):
            return False
        limit, slot = new.T
        first, count = self._model.getNumRow(), len(new)
        self._row[limit, slot] = np.arange(first, first + count)
        pairs = [(int(row), int(column)) for row, column in new]
        some = self.schedules
        dense = self._coefficients(some.order.numpy(), some.deviation.numpy(), pairs).T
        columns = np.broadcast_to(np.concatenate(self._columns), dense.shape)
        starts, index, values = _sparse(columns, dense)
        lower, upper = self._lower[limit, slot], self._upper[limit, slot]
        self._model.addRows(count, lower, upper, len(values), starts, index, values)
        self._limit_rows += pairs
        cap = np.repeat(self._cap[limit, slot], 2)
        sign = np.tile([-1.0, 1.0], count)
        rows = np.repeat(self._row[limit, slot], 2)[:, None]
        added = self._add_columns(cap, np.full(2 * count, np.inf), rows, sign[:, None])
        self._slacks += zip(added.tolist(), np.repeat(limit, 2).tolist(), np.repeat(slot, 2).tolist(), (-sign).tolist())
        return True

    def begin(self, prices: Prices) -> None:
        """Let the next solution begin where everybody does what suits him best at the prices, limits with a price bind.

        Each row gets one basic column, so that the basis is triangular: a schedule, the step at the price, an overload.
        """
        some, slot = self.schedules, self._step_cell % self._slots
        asks = (some.cost + (prices.nodal[self.book.orders.node[some.order]] * some.deviation).sum(1)).numpy()
        row = self._members[some.order.numpy(), 0, 0].astype(np.int64)
        best = _least_of_each(row, asks)
        best = best[np.isfinite(self._least[row[best] - self._slots]) | (asks[best] < 0.0)]
        gain = prices.balance.numpy()[slot] - self._step_price
        near = _least_of_each(slot, np.abs(gain))
        columns = np.full(self._model.getNumCol(), Status.kLower, dtype=object)
        rows = np.full(self._model.getNumRow(), Status.kBasic, dtype=object)
        columns[self._steps[gain * self._step_sign > 0.0]] = Status.kUpper
        columns[self._steps[near]], rows[slot[near]] = Status.kBasic, Status.kLower
        columns[np.concatenate(self._columns)[best]], rows[row[best]] = Status.kBasic, Status.kLower
        for column, limit, when, sign in self._slacks:
            if sign * float(prices.limit[limit, when]) > 0.0:
                columns[column] = Status.kBasic
                rows[self._row[limit, when]] = Status.kUpper if sign > 0.0 else Status.kLower
        basis = highspy.HighsBasis()
        basis.col_status, basis.row_status, basis.valid = columns.tolist(), rows.tolist(), True
        self._model.setBasis(basis)
        self._warm()

    def solve(self) -> Solution:
        """Return the optimum of the columns and rows there are."""
        model = self._model
        model.run()
        self._warm()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise PhysicsError(f"HiGHS: {model.modelStatusToString(model.getModelStatus())}")
        solution = model.getSolution()
        value, dual = np.array(solution.col_value), np.array(solution.row_dual)
        some, book = self.schedules, self.book
        weight = torch.from_numpy(value[np.concatenate(self._columns)]).clamp(min=0.0)
        change = torch.zeros(self._sensitivity.shape[1], self._slots, dtype=torch.float64)
        used = weight.nonzero()[:, 0]
        node = book.orders.node[some.order[used]]
        change.index_add_(0, node, weight[used, None] * some.deviation[used])
        price = torch.zeros(self._row.shape, dtype=torch.float64)
        modelled = torch.from_numpy(self._row >= 0)
        price[modelled] = torch.from_numpy(-dual[self._row[self._row >= 0]])
        members = self._members
        surplus = (dual[members[..., 0].astype(np.int32)] * members[..., 1]).sum(1)
        steps = value[self._steps] * self._step_sign
        supplied = np.bincount(self._step_cell, steps, book.curves.start.numel()).reshape(book.curves.start.shape)
        unmet = value[self._missing[0]] - value[self._missing[1]]
        return Solution(
            cost=float(model.getInfo().objective_function_value),
            weight=weight,
            supplied=torch.from_numpy(supplied),
            change=change,
            prices=make_prices(book.limits, torch.from_numpy(-dual[: self._slots]), price),
            surplus=torch.from_numpy(surplus),
            unmet=torch.from_numpy(unmet),
            beyond=self._hard_violations(value),
        )

    def choose(self, pattern: Tensor, whole: Tensor, tolerance: float) -> Tensor:
        """Return the patterns that a mixed-integer program takes, each of which would be taken whole or not at all.

        `pattern` [C] int64 is that of each schedule, `whole` [C] bool whether it has to be decided. The search ends
        after NODES nodes, so that its answer does not depend on the speed of the machine; the model is as before.
        """
        model, columns = self._model, np.concatenate(self._columns)
        decided = whole.numpy()
        named, place = np.unique(pattern.numpy()[decided], return_inverse=True)
        if not len(named):
            return torch.zeros(0, dtype=torch.int64)
        first, row = model.getNumCol(), model.getNumRow()
        count = len(named)
        zero = np.zeros(count)
        model.addCols(count, zero, zero, np.ones(count), 0, zero.astype(np.int32), np.zeros(0, np.int32), np.zeros(0))
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(count)).astype(np.int32)
        own = first + np.arange(count, dtype=np.int32)
        index = np.insert(columns[decided][order], starts, own).astype(np.int32)
        values = np.insert(np.ones(len(order)), starts, -np.ones(count))
        starts = (starts + np.arange(count)).astype(np.int32)
        model.addRows(count, zero, zero, len(values), starts, index, values)
        model.changeColsIntegrality(count, own, np.full(count, highspy.HighsVarType.kInteger))
        for option, value in (("mip_rel_gap", tolerance), ("mip_max_nodes", NODES), ("presolve", "on")):
            model.setOptionValue(option, value)
        model.run()
        chosen = np.array(model.getSolution().col_value)[own] > 0.5
        model.deleteRows(count, np.arange(row, row + count, dtype=np.int32))
        model.deleteCols(count, own)
        return torch.from_numpy(named[chosen])

    def _warm(self) -> None:
        """Use the basis there is from now on: new columns leave it primal feasible."""
        self._model.setOptionValue("presolve", "off")
        self._model.setOptionValue("simplex_strategy", PRIMAL)

    def _hard_violations(self, value: Floats) -> Tensor:
        beyond = torch.zeros(self._row.shape, dtype=torch.float64)
        for column, limit, slot, sign in self._slacks:
            if self._is_hard[limit, slot]:
                beyond[limit, slot] += sign * value[column]
        return beyond

    def _add_balance(self) -> None:
        """Add a row per slot, what the BRPs supply, and what is missing or left over."""
        slots, curves = self._slots, self.book.curves
        zero, none = np.zeros(slots), np.zeros(0)
        self._model.addRows(slots, zero, zero, 0, np.zeros(slots, dtype=np.int32), none.astype(np.int32), none)
        cell = np.arange(curves.start.numel())
        price = curves.price.flatten(0, 1).numpy()
        chosen, signs, size, cost = [], [], [], []
        for part, sign in zip(pieces(curves), (1.0, -1.0)):
            row, step = np.nonzero(part.flatten(0, 1).numpy() > 0.0)
            chosen.append(cell[row])
            signs.append(np.full(len(row), sign))
            size.append(part.flatten(0, 1).numpy()[row, step])
            cost.append(sign * price[row, step])
        self._step_cell, self._step_sign = np.concatenate(chosen), np.concatenate(signs)
        self._step_price = np.concatenate(cost) * self._step_sign
        rows = (self._step_cell % slots).astype(np.int32)[:, None]
        self._steps = self._add_columns(np.concatenate(cost), np.concatenate(size), rows, -self._step_sign[:, None])
        each = np.arange(slots, dtype=np.int32)[:, None]
        self._missing = tuple(
            self._add_columns(np.full(slots, self.hard), np.full(slots, np.inf), each, np.full((slots, 1), sign))
            for sign in (-1.0, 1.0)
        )

    def _add_structure(self, family: Families) -> None:
        """Add a row per order outside of groups, one per group and one per link; keep who is in which."""
        alone = family.group < 0
        first = self._slots
        row = torch.where(alone, alone.cumsum(0) - 1, int(alone.sum()) + family.group) + first
        groups = torch.zeros(family.groups, dtype=torch.bool).index_put(
            (family.group[~alone],), family.must_run[~alone]
        )
        lower = np.where(torch.cat([family.must_run[alone], groups]).numpy(), 1.0, -np.inf)
        children = (family.parent >= 0).nonzero()[:, 0].tolist()
        members = [[(number, 1.0)] for number in row.tolist()]
        for link, child in enumerate(children, first + len(lower)):
            members[child].append((link, 1.0))
            members[int(family.parent[child])].append((link, -1.0))
        lower = np.concatenate([lower, np.full(len(children), -np.inf)])
        upper = np.concatenate([np.ones(len(lower) - len(children)), np.zeros(len(children))])
        empty = np.zeros(len(lower), dtype=np.int32)
        self._least = lower
        self._model.addRows(len(lower), lower, upper, 0, empty, empty[:0], np.zeros(0))
        most = max((len(own) for own in members), default=1)
        padded = [own + [(first, 0.0)] * (most - len(own)) for own in members]
        self._members = np.array(padded, dtype=np.float64).reshape(len(members), most, 2)

    def _coefficients(self, order: Whole, deviation: Floats, pairs: list[tuple[int, int]]) -> Floats:
        """Return what schedules [C] add to limits [C, R]."""
        limit, slot = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return self._sensitivity[limit][:, self._node[order]].T * deviation[:, slot]

    def _add_columns(self, cost: Floats, upper: Floats, rows: Whole, values: Floats) -> Whole:
        """Add columns with lower bound 0; entries [C, D], those that are 0 are left out. Return their numbers."""
        first, count = self._model.getNumCol(), len(cost)
        starts, index, entries = _sparse(rows, values)
        self._model.addCols(count, cost, np.zeros(count), upper, len(entries), starts, index, entries)
        return np.arange(first, first + count, dtype=np.int32)


def _sparse(index: NDArray[np.int32], dense: Floats) -> tuple[Whole, Whole, Floats]:
    """Return the entries of dense rows [C, D] that are not zero, row by row."""
    row, place = np.nonzero(dense)
    starts = np.searchsorted(row, np.arange(len(dense))).astype(np.int32)
    return starts, np.ascontiguousarray(index[row, place], dtype=np.int32), dense[row, place]


def _least_of_each(group: NDArray[np.int64], value: Floats) -> NDArray[np.int64]:
    """Return the place of the first of the least values of each group."""
    order = np.lexsort((value, group))
    first: NDArray[np.int64] = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
    return first
