"""Devices as the coefficients of a mixed-integer linear program: arrays only, no solver.

Letters in the shapes: V variables, R rows, Z entries that are not zero, T slots of the episode. Numbers are float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix by its entries that are not zero for good, at most one at a place."""

    row: Tensor  # [Z] int64
    column: Tensor  # [Z] int64
    value: Tensor  # [Z]


@dataclass(frozen=True)
class EnergyMap:
    """The grid energy of devices as a linear function of variables, by its entries."""

    slot: Tensor  # [Z] int64
    device: Tensor  # [Z] int64, index within the devices of one kind
    column: Tensor  # [Z] int64
    value: Tensor  # [Z] kWh per unit of the variable


@dataclass(frozen=True)
class LinearBlock:
    """The devices of one kind from one slot to the end of an episode, for one row of a batch.

    A solver minimises `cost @ x` over `lower <= x <= upper`, `row_lower <= rows @ x <= row_upper`, where `x[integer]`
    are whole numbers. Sizes and places of entries depend on the parameters and T alone, so that a solver may keep its
    model and take new numbers: variables of slots that have passed are fixed at zero and their rows are free.
    """

    cost: Tensor  # [V] EUR per unit of a variable
    lower: Tensor  # [V]
    upper: Tensor  # [V]
    integer: Tensor  # [V] bool
    rows: SparseMatrix  # [R, V]
    row_lower: Tensor  # [R]
    row_upper: Tensor  # [R]
    energy: EnergyMap
    row_names: tuple[tuple[str, int], ...] = ()  # what the rows say, in their order: a constraint and how many say it


def places(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Return consecutive int64 indices in tensors of the given shapes: where variables or rows of a block lie."""
    found, first = [], 0
    for shape in shapes:
        count = math.prod(shape)
        found.append(torch.arange(first, first + count).reshape(shape))
        first += count
    return found


def flat(*parts: Tensor) -> Tensor:
    """Return tensors of any shapes as one vector of float64, in the order of `places`."""
    return torch.cat([part.flatten().double() for part in parts])


def matrix(*entries: tuple[Tensor, Tensor, Tensor | float]) -> SparseMatrix:
    """Return a matrix from groups of entries (row, column, value), each group broadcast to one shape."""
    groups = [torch.broadcast_tensors(row, column, torch.as_tensor(value).double()) for row, column, value in entries]
    row, column, value = (torch.cat([part.flatten() for part in parts]) for parts in zip(*groups, strict=True))
    return SparseMatrix(row, column, value)


def energy_map(*entries: tuple[Tensor, Tensor, Tensor, Tensor | float]) -> EnergyMap:
    """Return the energy map of groups of entries (slot, device, column, value), each group broadcast to one shape."""
    groups = [torch.broadcast_tensors(s, d, c, torch.as_tensor(value).double()) for s, d, c, value in entries]
    slot, device, column, value = (torch.cat([part.flatten() for part in parts]) for parts in zip(*groups, strict=True))
    return EnergyMap(slot, device, column, value)


def join(blocks: Sequence[LinearBlock]) -> LinearBlock:
    """Return blocks side by side as one block; device indices stay as they are."""
    columns = [sum(len(b.cost) for b in blocks[:i]) for i in range(len(blocks))]
    rows = [sum(len(b.row_lower) for b in blocks[:i]) for i in range(len(blocks))]
    return LinearBlock(
        cost=flat(*[b.cost for b in blocks]),
        lower=flat(*[b.lower for b in blocks]),
        upper=flat(*[b.upper for b in blocks]),
        integer=torch.cat([b.integer for b in blocks]),
        rows=matrix(*[(b.rows.row + r, b.rows.column + c, b.rows.value) for b, r, c in zip(blocks, rows, columns)]),
        row_lower=flat(*[b.row_lower for b in blocks]),
        row_upper=flat(*[b.row_upper for b in blocks]),
        energy=energy_map(
            *[(b.energy.slot, b.energy.device, b.energy.column + c, b.energy.value) for b, c in zip(blocks, columns)]
        ),
        row_names=tuple(name for block in blocks for name in named(block)),
    )


def named(block: LinearBlock) -> tuple[tuple[str, int], ...]:
    """Return the names of all rows of a block and how many bear them; rows without one are called constraints."""
    nameless = len(block.row_lower) - sum(count for _, count in block.row_names)
    return (*block.row_names, ("constraint", nameless)) if nameless else block.row_names
