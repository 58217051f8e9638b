"""The grid as tangents to its AC power flow, in the power of the houses.

Loadings are nearly convex in the powers, so a tangent hardly ever lies above them. What is close to a limit has to be
exact, hence the points of contact: on the way from all devices at their least to all at full power, where an element
just reaches its rating, once coming from export (side 0) and once from import (side 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.grid import power_flow
from totalflex_env.grid_model import PowerFlow
from totalflex_env.types import Params, Scenario

RAY_POINTS = 9
"""Points looked at on the way from least to full power."""

WATCHED_LOADING = 1.25
"""Nodes are left out whose voltage stays inside the band wherever no limited element is loaded beyond this."""


@dataclass(frozen=True)
class Tangents:
    """Loading of L limited elements and voltage of U nodes on C = 2 sides: value at no power, and slope per kW."""

    loading: Tensor  # [T, L, C]
    loading_slope: Tensor  # [T, L, C, P] per kW of each house
    node: Tensor  # [U] int64
    voltage: Tensor  # [T, U, C] p.u.
    voltage_slope: Tensor  # [T, U, C, P] p.u. per kW


def inflexible_kw(params: Params, scenario: Scenario) -> Tensor:
    """Return the power [B, T, P] kW of the houses without their devices."""
    return (scenario.base_kwh - scenario.pv_kwh) / params.slot_hours


def watched_nodes(params: Params, scenario: Scenario) -> Tensor:
    """Return the nodes [U] whose voltage could leave its band in some row of `scenario` [B, ...]."""
    loading, voltage = _along_ray(params, scenario)
    credible = _largest(params, loading) <= WATCHED_LOADING
    outside = (voltage < params.grid.voltage_lower) | (voltage > params.grid.voltage_upper)
    return torch.nonzero((outside & credible).flatten(0, 2).any(dim=0)).flatten()


def tangents(params: Params, scenario: Scenario, node: Tensor) -> Tangents:
    """Return the tangents to all limited elements and to the voltages of `node` [U]; `scenario` has one row.

    Voltages are taken where the first limited element reaches its rating.
    """
    loading, _ = _along_ray(params, scenario)
    along = torch.cat([loading[..., params.limited], _largest(params, loading)], dim=-1)[:, 0]  # [R, T, L + 1]
    contact = torch.stack([1.0 - _reach(along.flip(0)), _reach(along)], dim=-1)  # [T, L + 1, C]
    least, most = (power[0, :, None, None] for power in _ends(params, scenario))
    power = least + contact[..., None] * (most - least)
    reactive = scenario.base_kvarh[0, :, None, None] / params.slot_hours
    of_voltages = power[:, -1:].expand(-1, len(node), -1, -1)
    return Tangents(
        *_touching(params, power[:, :-1], reactive, lambda flow: flow.loading[..., params.limited]),
        node,
        *_touching(params, of_voltages, reactive, lambda flow: flow.voltage[..., node]),
    )


def _touching(
    params: Params, power: Tensor, reactive: Tensor, read: Callable[[PowerFlow], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the tangents to X quantities [K, X] that `read` takes from power flows of any K rows.

    Each quantity has points of contact of its own, `power` [T, X, C, P] in kW. The values [T, X, C] are those at no
    power; the slopes [T, X, C, P] per kW come from the adjoint of the power flow, one for each point.
    """
    slots, quantities, sides = power.shape[:3]
    active, reactive = (_at_nodes(params, part.expand_as(power).flatten(0, 2)) for part in (power, reactive))
    with torch.enable_grad():
        active.requires_grad_()
        found = read(power_flow.solve(params.grid, active, reactive)).unflatten(0, (slots, quantities, sides))
        value = found.diagonal(dim1=1, dim2=3).transpose(1, 2)
        (by_node,) = torch.autograd.grad(value.sum(), active)
    slope = by_node[:, params.node].view_as(power)
    return value.detach() - (slope * power).sum(dim=-1), slope


def loading_at(tangents: Tangents, power: Tensor) -> Tensor:
    """Return the loadings [..., T, L] that the tangents give for the power [..., T, P] kW of the houses."""
    slope = tangents.loading_slope
    return (tangents.loading + (slope * power[..., None, None, :]).sum(dim=-1)).amax(dim=-1)


def voltage_at(tangents: Tangents, power: Tensor) -> Tensor:
    """Return the voltages [T, U, C] p.u. that the tangents give for the power [T, P] kW of the houses."""
    return tangents.voltage + (tangents.voltage_slope * power[:, None, None]).sum(dim=-1)


def shifted(tangents: Tangents, loading: Tensor, voltage: Tensor) -> Tangents:
    """Return the tangents moved by measured gaps: loading [T, L], voltage [T, U, C] p.u."""
    return replace(tangents, loading=tangents.loading + loading[..., None], voltage=tangents.voltage + voltage)


def overestimate(params: Params, scenario: Scenario, tangents: Tangents) -> Tensor:
    """Return by how much overloads [T, L] by the tangents exceed those by AC power flow on the way to full power."""
    least, most = (power[0] for power in _ends(params, scenario))
    share = torch.linspace(0.0, 1.0, RAY_POINTS, dtype=least.dtype)[:, None, None]
    linear_loading = loading_at(tangents, least + share * (most - least))
    loading = _along_ray(params, scenario)[0][:, 0][..., params.limited]
    return (linear_loading.clamp(min=1.0) - loading.clamp(min=1.0)).clamp(min=0.0).amax(dim=0)


def _ends(params: Params, scenario: Scenario) -> tuple[Tensor, Tensor]:
    """Return the power [B, T, P] kW of the houses with all devices at their least and at full power, present or not."""
    fixed = inflexible_kw(params, scenario)
    houses = torch.zeros(len(params.node), dtype=fixed.dtype)
    least, most = (houses.index_add(0, params.house, energy) for energy in fleet.range_kwh(params))
    return fixed + least / params.slot_hours, fixed + most / params.slot_hours


def _along_ray(params: Params, scenario: Scenario) -> tuple[Tensor, Tensor]:
    """Return loadings [R, B, T, E], infinite without a power flow, and voltages [R, B, T, M] on that way."""
    least, most = _ends(params, scenario)
    share = torch.linspace(0.0, 1.0, RAY_POINTS, dtype=least.dtype)[:, None, None, None]
    power = least + share * (most - least)
    reactive = (scenario.base_kvarh / params.slot_hours).expand_as(power)
    active, reactive = (_at_nodes(params, part.flatten(0, 2)) for part in (power, reactive))
    flow = power_flow.solve(params.grid, active, reactive)
    loading = torch.where(flow.converged[:, None], flow.loading, torch.inf)
    return loading.unflatten(0, power.shape[:3]), flow.voltage.unflatten(0, power.shape[:3])


def _largest(params: Params, loading: Tensor) -> Tensor:
    """Return the loading [..., 1] of the most loaded limited element, zero if there is none."""
    none = torch.zeros_like(loading[..., :1])
    return torch.cat([loading[..., params.limited], none], dim=-1).amax(dim=-1, keepdim=True)


def _reach(loading: Tensor) -> Tensor:
    """Return how far along the ray [R, ...] a loading last is at its rating, as a share [...] of its length.

    The whole way, as far as there is a power flow, where the loading never or always exceeds the rating.
    """
    steps = len(loading) - 1
    within = loading <= 1.0
    candidates = torch.where(within.any(dim=0), within, loading.isfinite()).to(torch.int8)
    last = steps - candidates.flip(0).argmax(dim=0)
    here, beyond = (loading.gather(0, at[None])[0] for at in (last, (last + 1).clamp(max=steps)))
    further = torch.where((here <= 1.0) & (beyond > 1.0), (1.0 - here) / (beyond - here).clamp(min=1e-9), 0.0)
    return (last + further) / steps


def _at_nodes(params: Params, power: Tensor) -> Tensor:
    """Sum houses [K, P] at their grid nodes [K, M]."""
    return power.new_zeros(len(power), len(params.grid.node_names)).index_add(1, params.node, power)
