"""What an auction's awards do to the real grid: the AC power flow where the auction saw a linear one.

`grid_limits` turns a grid and its expected consumption into the limits of a book: elements by the power behind them,
voltages by the exact slopes of the AC power flow at that consumption. `check` solves the AC power flow for the awards
and reports what is still outside the limits, before and after, and how far the linear values were off. `clear_checked`
does both, and clears once more with the limits as the AC power flow sees them at the awards, losses included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.grid import solvers
from totalflex_env.grid.limits import Overrun, overruns, violations
from totalflex_env.grid.linear import linearise
from totalflex_env.grid_model import GridModel
from totalflex_env.market.auction import Clearing, clear
from totalflex_env.market.book import AuctionBook, GridLimits, element_limits, join_limits
from totalflex_env.market.price_rules import PriceRule

LOADED = 0.5  # of its rating: an element that carries less is as the linear grid has it
RESIDUAL = 1e-3  # kVAh and p.u. h of a day that are left as they are


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


def clear_checked(
    grid: GridModel,
    book: AuctionBook,
    consumption: tuple[Tensor, Tensor],
    rule: PriceRule = PriceRule.CONVEX_HULL,
    tolerance: float = 1e-3,
) -> tuple[Clearing, AuctionCheck]:
    """Return a clearing and its check, cleared again with corrected limits if the first one left the grid overloaded.

    `book` has the limits of `grid_limits`, `consumption` [T, M] kW and kvar is that at the positions. The correction is
    made once: the second clearing is returned with what residual it has.
    """
    first = clear(book, rule, tolerance)
    checked = check(grid, first, *consumption)
    if max(checked.overload, checked.voltage) <= RESIDUAL:
        return first, checked
    corrected = replace(book, limits=corrected_limits(grid, first, *consumption))
    second = clear(corrected, rule, tolerance, first)
    return second, check(grid, second, *consumption)


def corrected_limits(grid: GridModel, clearing: Clearing, active_kw: Tensor, reactive_kvar: Tensor) -> GridLimits:
    """Return the limits of a clearing moved so that, at its awards, their values are those of the AC power flow.

    An element's value is the active energy that with the reactive one behind it loads it as the AC power flow does:
    losses count as consumption. Slots without a power flow, and elements far from their rating, stay as they are.
    """
    limits, value, hours = clearing.book.limits, clearing.allocation.value, clearing.book.slot_hours
    elements = len(grid.element_names)
    flow = solvers.solve(grid, active_kw + _change_kw(grid, clearing), reactive_kvar)
    reactive = grid.downstream.double() @ reactive_kvar.T * hours
    carried = (flow.loading * grid.rating_kva * hours).T
    active = (carried.square() - reactive.square()).clamp(min=0.0).sqrt() * value[:elements].sign()
    seen = torch.where(flow.loading.T >= LOADED, active, value[:elements])
    moved = torch.where(flow.converged, torch.cat([seen, flow.voltage.T]) - value, 0.0)
    return replace(limits, base=limits.base + moved)


def _change_kw(grid: GridModel, clearing: Clearing) -> Tensor:
    """Return by how much the awards change the consumption of the nodes [T, M] kW."""
    book = clearing.book
    change = torch.zeros(len(grid.node_names), book.slots, dtype=torch.float64)
    return change.index_add(0, book.orders.node, clearing.allocation.deviation / book.slot_hours).T


def check(grid: GridModel, clearing: Clearing, active_kw: Tensor, reactive_kvar: Tensor) -> AuctionCheck:
    """Return what the AC power flow says of a clearing whose limits are those of `grid_limits`.

    Consumption at the positions is [T, M] kW and kvar; the nodes of the orders are those of the grid.
    """
    book, done = clearing.book, clearing.allocation
    hours, elements = book.slot_hours, len(grid.element_names)
    awarded = active_kw + _change_kw(grid, clearing)
    before, after = (solvers.solve(grid, kw, reactive_kvar) for kw in (active_kw, awarded))
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
