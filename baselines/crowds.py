"""A program cut into crowds of devices that only the grid and the market tie together.

Groups are devices that rows of their own tie together, such as a charging park; most are a single device. A crowd is
some groups with a solver of their own, whose columns that are fixed anyway are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from baselines.owners import devices_of, together
from baselines.program import Program
from baselines.solver import Array, Index, quiet
from totalflex_env.errors import PhysicsError

NOBODY = -1
"""Group of the columns of the grid and the market."""


@dataclass(frozen=True)
class Split:
    """A program by owners: C columns, R rows of devices, S rows that tie everything together."""

    cost: Array  # [C]
    lower: Array  # [C]
    upper: Array  # [C]
    whole: NDArray[np.bool_]  # [C]
    own: csr_array  # [R, C] rows of devices
    own_bounds: tuple[Array, Array]  # [R]
    tie: csc_array  # [S, C] rows that tie devices together
    tie_bounds: tuple[Array, Array]  # [S]
    group: Index  # [C] group that a column belongs to
    row_group: Index  # [R]

    def proper(self, price: Array) -> Array:
        """Return prices [S] of the rows that tie, rounding taken away: a row with one bound can be worth one sign."""
        lower, upper = self.tie_bounds
        rounding = ((price > 0.0) & np.isneginf(lower)) | ((price < 0.0) & np.isposinf(upper))
        return np.where(rounding, 0.0, price)


@dataclass(frozen=True)
class Answer:
    """What a crowd does at prices."""

    value: Array  # [V]
    least: float  # EUR at these prices, nothing costs less


def split(program: Program, devices: int) -> Split:
    """Return a program with `devices` devices by owners."""
    block, own = program.block, program.device_rows
    rows = csr_array(
        (block.rows.value.numpy(), (block.rows.row.numpy(), block.rows.column.numpy())),
        shape=(len(block.row_lower), len(block.cost)),
    )
    of_column, of_row = devices_of(block, own)
    first = together(block, own, of_column, devices)
    lower, upper = block.row_lower.numpy(), block.row_upper.numpy()

    def grouped(device: Tensor) -> Index:
        found: Index = torch.where(device >= 0, first[device.clamp(min=0)], NOBODY).numpy()
        return found

    return Split(
        cost=block.cost.numpy(),
        lower=block.lower.numpy(),
        upper=block.upper.numpy(),
        whole=block.integer.numpy(),
        own=rows[:own],
        own_bounds=(lower[:own], upper[:own]),
        tie=csc_array(rows[own:]),
        tie_bounds=(lower[own:], upper[own:]),
        group=grouped(of_column),
        row_group=grouped(of_row[:own]),
    )


def crowds(whole: Split, most: int) -> list[Crowd]:
    """Return at most `most` crowds or a few more; those with whole numbers apart, since they take longer."""
    fixed = whole.lower == whole.upper
    groups = np.unique(whole.group[whole.group >= 0])
    has_whole = np.isin(groups, whole.group[whole.whole & ~fixed])
    size = -(-len(groups) // most)
    parts = [part[i : i + size] for part in (groups[~has_whole], groups[has_whole]) for i in range(0, len(part), size)]
    crowd_of = np.full(int(groups.max(initial=-1)) + 1, -1)
    for number, part in enumerate(parts):
        crowd_of[part] = number
    column = np.where(fixed | (whole.group < 0), -1, crowd_of[whole.group])
    row = crowd_of[whole.row_group]
    by_column, by_row = np.argsort(column, kind="stable"), np.argsort(row, kind="stable")
    numbers = np.arange(len(parts) + 1)
    starts, ends = np.searchsorted(column[by_column], numbers), np.searchsorted(row[by_row], numbers)
    moved = whole.own @ np.where(fixed, whole.lower, 0.0)
    return [
        Crowd(whole, by_column[starts[i] : starts[i + 1]], by_row[ends[i] : ends[i + 1]], moved)
        for i in range(len(parts))
    ]


class Crowd:
    """The program of some groups of devices, with a solver that keeps its basis from price to price."""

    def __init__(self, whole: Split, columns: Index, rows: Index, moved: Array) -> None:
        self.columns = columns  # [V] of the program, those that are not fixed
        self.cost = whole.cost[columns]
        self.tie = csc_array(whole.tie[:, columns])  # [S, V]
        self.integer = whole.whole[columns]
        self.group = whole.group[columns]
        self._model = quiet()
        self._model.addVars(len(columns), whole.lower[columns], whole.upper[columns])
        self._model.changeColsIntegrality(len(columns), self._every, self.integer.astype(np.uint8))
        own = csr_array(whole.own[rows][:, columns])
        lower, upper = (bound[rows] - moved[rows] for bound in whole.own_bounds)
        self._model.addRows(len(rows), lower, upper, own.nnz, own.indptr[:-1], own.indices, own.data)
        for gap in ("mip_rel_gap", "mip_abs_gap"):
            self._model.setOptionValue(gap, 0.0)

    def answer(self, price: Array) -> Answer:
        """Return what the crowd does when the rows that tie it to others are worth `price` [S] EUR."""
        model = self._model
        model.changeColsCost(len(self.cost), self._every, self.cost - self.tie.T @ price)
        model.run()
        solution, info = np.asarray(model.getSolution().col_value), model.getInfo()
        if len(solution) != len(self.cost):
            status = model.modelStatusToString(model.getModelStatus())
            raise PhysicsError(f"the devices of a crowd allow no plan: {status}")
        least = info.mip_dual_bound if self.integer.any() else info.objective_function_value
        return Answer(np.where(self.integer, np.round(solution), solution), float(least))

    @property
    def _every(self) -> NDArray[np.int32]:
        return np.arange(len(self.cost), dtype=np.int32)
