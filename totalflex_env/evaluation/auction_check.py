"""What an auction's awards do to the real grid: the AC power flow where the auction saw a linear one.

`grid_limits` turns a grid and its expected consumption into the limits of a book: elements by the power behind them,
voltages by the exact slopes of the AC power flow at that consumption. `check` solves the AC power flow for the awards
and reports what is still outside the limits, before and after, and how far the linear values were off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.grid import solvers
from totalflex_env.grid.limits import Overrun, overruns, violations
from totalflex_env.grid.linear import linearise
from totalflex_env.grid_model import GridModel
from totalflex_env.market.auction import Clearing
from totalflex_env.market.book import GridLimits, element_limits, join_limits


@dataclass(frozen=True)
class AuctionCheck:
    """A day by the AC power flow; sums over the slots."""

    overload_before: float  # kVAh beyond the ratings at the positions
    overload: float  # kVAh at the awards
    voltage_before: float  # p.u. h outside the band
    voltage: float
    overruns: tuple[Overrun, ...]  # at the awards, the longest first
    element_error: float  # kWh, largest difference between an element's linear value and its AC loading times rating
    voltage_error: float  # p.u., the same of voltages
    unsolved: int  # slots without a power flow


def grid_limits(
    grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor, slot_hours: float, caps: tuple[float, float]
) -> GridLimits:
    """Return limits on all elements and voltages of a grid that consumes [T, M] kW and kvar at the positions.

    `caps` are the prices of a kWh beyond a rating, and of a p.u. and slot beyond a voltage limit. Elements are limited
    in the active energy that their rating leaves beside the reactive one, without losses. Voltages are linear in the
    mean slopes of the day.
    """
    behind = grid.downstream.double()
    apparent, reactive = grid.rating_kva[:, None] * slot_hours, behind @ reactive_kvar.T * slot_hours
    room = (apparent.square() - reactive.square()).clamp(min=0.0).sqrt()
    elements = element_limits(grid.element_names, behind, behind @ active_kw.T * slot_hours, room, caps[0])
    model = linearise(grid, active_kw, reactive_kvar)
    voltage = model.voltage0.T.contiguous()
    endless = torch.full_like(voltage, torch.inf)
    voltages = GridLimits(
        name=grid.node_names,
        voltage=torch.ones(len(voltage), dtype=torch.bool),
        sensitivity=model.d_voltage_d_kw.mean(0) / slot_hours,
        base=voltage,
        lower=grid.voltage_lower[:, None].expand_as(voltage).contiguous(),
        upper=grid.voltage_upper[:, None].expand_as(voltage).contiguous(),
        fall=endless,
        rise=endless,
        cap=torch.full_like(voltage, caps[1]),
    )
    return join_limits(elements, voltages)


def check(grid: GridModel, clearing: Clearing, active_kw: Tensor, reactive_kvar: Tensor) -> AuctionCheck:
    """Return what the AC power flow says of a clearing whose limits are those of `grid_limits`.

    Consumption at the positions is [T, M] kW and kvar; the nodes of the orders are those of the grid.
    """
    book, done = clearing.book, clearing.allocation
    hours, elements = book.slot_hours, len(grid.element_names)
    change = torch.zeros(len(grid.node_names), book.slots, dtype=torch.float64)
    change.index_add_(0, book.orders.node, done.deviation / hours)
    before, after = (solvers.solve(grid, kw, reactive_kvar) for kw in (active_kw, active_kw + change.T))
    was, is_ = (violations(grid, flow) for flow in (before, after))
    solved = after.converged
    carried = after.loading * grid.rating_kva * hours
    reactive = (grid.downstream.double() @ reactive_kvar.T).T * hours
    predicted = (done.value[:elements].T.square() + reactive.square()).sqrt()
    return AuctionCheck(
        overload_before=float(was.overload_kva.sum()) * hours,
        overload=float(is_.overload_kva.sum()) * hours,
        voltage_before=float(was.voltage_pu.sum()) * hours,
        voltage=float(is_.voltage_pu.sum()) * hours,
        overruns=overruns(grid, after, hours),
        element_error=float((carried - predicted)[solved].abs().max()),
        voltage_error=float((after.voltage - done.value[elements:].T)[solved].abs().max()),
        unsolved=int((~solved).sum()),
    )
