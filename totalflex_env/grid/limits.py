"""How far a power flow is outside the limits of the grid, where, when and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from totalflex_env.grid_model import GridModel, PowerFlow, Violations

LOADING_TOLERANCE = 1e-5
"""Accuracy of a loading: what fills an element exactly does not overload it."""

VOLTAGE_TOLERANCE = 1e-6
"""The same of a voltage, in p.u."""

Kind = Literal["overload", "undervoltage", "overvoltage"]


@dataclass(frozen=True)
class Overrun:
    """An uninterrupted stay of one element or node outside one of its limits."""

    where: str  # name of the element or node
    kind: Kind
    slot: int  # the first
    minutes: float
    worst: float  # loading over rating, or voltage in p.u., where it is farthest outside
    worst_slot: int
    beyond: float  # kVAh above the rating, or p.u. hours outside the band


@dataclass(frozen=True)
class _Side:
    """One limit of X elements or nodes over T slots."""

    kind: Kind
    names: tuple[str, ...]  # X
    value: Tensor  # [T, X]
    beyond: Tensor  # [T, X] how far outside, negative inside
    unit: Tensor  # [X] size of 1
    tolerance: float


def violations(grid: GridModel, flow: PowerFlow) -> Violations:
    """Loading above the rating in kVA and voltage outside the band in p.u., per element and node and summed [B].

    Loadings are magnitudes, so imports and exports count alike.
    """
    overload = (flow.loading - 1.0).clamp(min=0.0) * grid.rating_kva
    outside = (grid.voltage_lower - flow.voltage).clamp(min=0.0) + (flow.voltage - grid.voltage_upper).clamp(min=0.0)
    return Violations(overload.sum(-1), outside.sum(-1), overload, outside)


def overruns(grid: GridModel, flow: PowerFlow, slot_hours: float) -> tuple[Overrun, ...]:
    """Every stay outside a limit in a flow whose rows are the slots of one day, [T, ...], the longest first.

    Slots without a power-flow solution have no place: count them by `flow.converged`.
    """
    solved = flow.converged[:, None]
    one = torch.ones_like(grid.voltage_lower)
    sides = (
        _Side("overload", grid.element_names, flow.loading, flow.loading - 1.0, grid.rating_kva, LOADING_TOLERANCE),
        _Side("undervoltage", grid.node_names, flow.voltage, grid.voltage_lower - flow.voltage, one, VOLTAGE_TOLERANCE),
        _Side("overvoltage", grid.node_names, flow.voltage, flow.voltage - grid.voltage_upper, one, VOLTAGE_TOLERANCE),
    )
    found = [
        _overrun(side, column, stay, slot_hours)
        for side in sides
        for outside in [(side.beyond > side.tolerance) & solved]
        for column in torch.nonzero(outside.any(0)).flatten().tolist()
        for stay in _stays(outside[:, column])
    ]
    return tuple(sorted(found, key=lambda overrun: -overrun.minutes))


def _overrun(side: _Side, column: int, stay: tuple[int, int], slot_hours: float) -> Overrun:
    begin, end = stay
    beyond = side.beyond[begin:end, column]
    worst = begin + int(beyond.argmax())
    return Overrun(
        where=side.names[column],
        kind=side.kind,
        slot=begin,
        minutes=60.0 * slot_hours * (end - begin),
        worst=float(side.value[worst, column]),
        worst_slot=worst,
        beyond=float(beyond.sum() * side.unit[column]) * slot_hours,
    )


def _stays(mask: Tensor) -> Iterator[tuple[int, int]]:
    """First slot and the slot after the last of every run of True in a mask [T]."""
    edge = torch.diff(mask.int(), prepend=torch.zeros(1, dtype=torch.int32), append=torch.zeros(1, dtype=torch.int32))
    yield from zip(torch.nonzero(edge == 1).flatten().tolist(), torch.nonzero(edge == -1).flatten().tolist())
