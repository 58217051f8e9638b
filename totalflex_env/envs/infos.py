"""What a slot did, as the flat numbers that frameworks log: one column per number, units in the keys."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import Role
from totalflex_env.envs.batched import Slot
from totalflex_env.grid_model import GridModel, PowerFlow
from totalflex_env.types import Decision, Outcome
from totalflex_env.units import from_micro_eur

Info = dict[str, float | int | bool]
Columns = dict[str, Tensor]


def slot_infos(grid: GridModel, decision: Decision, outcome: Outcome) -> list[Info]:
    """Return one info [B] per row; costs, energies and strain are those of the whole system in this slot."""
    return rows(columns(grid, decision, outcome))


def rows(columns: Columns) -> list[Info]:
    """Return columns [B] as one dictionary per row."""
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def columns(grid: GridModel, decision: Decision, outcome: Outcome) -> Columns:
    """Return the numbers [B] of every row; costs, energies and strain are those of the whole system in this slot."""
    costs = outcome.costs
    return {
        "cost_eur": costs.total(),
        "cost_spot_eur": costs.spot,
        "cost_imbalance_eur": costs.imbalance,
        "cost_overload_eur": costs.overload,
        "cost_voltage_eur": costs.voltage,
        "cost_discomfort_eur": costs.discomfort,
        "cost_shortfall_eur": costs.shortfall,
        "energy_kwh": outcome.net_kwh,
        "imbalance_kwh": outcome.imbalance_kwh,
        "unmet_kwh": outcome.unmet_kwh,
        "discomfort_kh": outcome.degree_hours,
        "overload_kvah": outcome.overload_kvah,
        "voltage_puh": outcome.voltage_puh,
        "curtailed_kwh": decision.curtailed_kwh,
        "balance_price_eur_per_kwh": from_micro_eur(decision.balance_price),
        **_grid_columns(grid, outcome.flow),
    }


def agent_columns(config: EnvConfig, slot: Slot, role: Role) -> Columns:
    """Return what concerns each agent of a role that learns, every column [B, agents].

    Its cut actions, the terms of its reward, and where `constraints` names 'cost' the cost of a constrained MDP: the
    violations of the grid's limits at their true prices, EUR, the same for all agents.
    """
    clipped, costs = slot.clipped[role], slot.outcome.costs
    found = {"action_clipped": clipped}
    found |= {f"reward_{name}_eur": term.expand_as(clipped) for name, term in slot.terms[role].items()}
    if "cost" in config.constraints:
        found["cost"] = (costs.overload + costs.voltage)[:, None].expand_as(clipped)
    return found


def agent_rows(config: EnvConfig, slot: Slot, role: Role) -> list[list[Info]]:
    """Return `agent_columns` as one dictionary for each agent of each row."""
    found = agent_columns(config, slot, role)
    flat = rows({name: column.flatten() for name, column in found.items()})
    agents = slot.clipped[role].shape[1]
    return [flat[first : first + agents] for first in range(0, len(flat), agents)]


def _grid_columns(grid: GridModel, flow: PowerFlow) -> dict[str, Tensor]:
    """Voltages, convergence, and the highest loading of each kind of element that the grid has."""
    columns = {
        "vm_pu_min": flow.voltage.amin(dim=1),
        "vm_pu_max": flow.voltage.amax(dim=1),
        "pf_converged": flow.converged,
    }
    for kind, members in _kinds(grid.elements):
        columns[f"{kind}_loading_max_pct"] = 100.0 * flow.loading[:, members].amax(dim=1)
    return columns


@functools.cache
def _kinds(elements: tuple[tuple[str, int], ...]) -> tuple[tuple[str, Tensor], ...]:
    """The kinds of elements, each with the indices of its members."""
    kinds = sorted({kind for kind, _ in elements})
    return tuple((kind, torch.tensor([at for at, (of, _) in enumerate(elements) if of == kind])) for kind in kinds)
