"""Whose the variables and rows of a program are: read off its entries, so that no device has to say so."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.linear_types import LinearBlock


def devices_of(block: LinearBlock, device_rows: int) -> tuple[Tensor, Tensor]:
    """Return the device of each column [V] and of each row [R], -1 where none; the first `device_rows` have one.

    A column that carries energy belongs to its device, and what shares a row with it to the same. A row that ties
    several devices together belongs to the last of them.
    """
    column, row = (torch.full((len(part),), -1, dtype=torch.int64) for part in (block.cost, block.row_lower))
    column[block.energy.column] = block.energy.device
    own = block.rows.row < device_rows
    at, to = block.rows.row[own], block.rows.column[own]
    known = -1
    while known < int((column >= 0).sum()):
        known = int((column >= 0).sum())
        row = row.scatter_reduce(0, at, column[to], "amax")
        column = torch.where(column < 0, column.scatter_reduce(0, to, row[at], "amax"), column)
    return column, row


def together(block: LinearBlock, device_rows: int, column: Tensor, devices: int) -> Tensor:
    """Return for each device [N] the first of all devices with which it is tied together by the first `device_rows`.

    `column` [V] tells whose the columns are.
    """
    first, own = torch.arange(devices), block.rows.row < device_rows
    at, owner = block.rows.row[own], column[block.rows.column[own]]
    while True:
        row = torch.full((device_rows,), devices).scatter_reduce(0, at, first[owner], "amin")
        joined = first.scatter_reduce(0, owner, row[at], "amin")
        if torch.equal(joined, first):
            return first
        first = joined
