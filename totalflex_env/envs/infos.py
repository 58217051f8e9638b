"""What a slot did, as the flat numbers that frameworks log: one dictionary per row, units in the keys."""

from __future__ import annotations

from torch import Tensor

from totalflex_env.grid_model import GridModel, PowerFlow
from totalflex_env.types import Decision, Outcome
from totalflex_env.units import from_micro_eur

Info = dict[str, float | int | bool]


def slot_infos(grid: GridModel, decision: Decision, outcome: Outcome) -> list[Info]:
    """Return one info [B] per row; costs, energies and strain are those of the whole system in this slot."""
    costs = outcome.costs
    columns = {
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
        "balance_price_eur_per_kwh": from_micro_eur(decision.balance_price),
        **_grid_columns(grid, outcome.flow),
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _grid_columns(grid: GridModel, flow: PowerFlow) -> dict[str, Tensor]:
    """Voltages, convergence, and the highest loading of each kind of element that the grid has."""
    columns = {
        "vm_pu_min": flow.voltage.amin(dim=1),
        "vm_pu_max": flow.voltage.amax(dim=1),
        "pf_converged": flow.converged,
    }
    for kind in sorted({kind for kind, _ in grid.elements}):
        members = [element for element, (of_kind, _) in enumerate(grid.elements) if of_kind == kind]
        columns[f"{kind}_loading_max_pct"] = 100.0 * flow.loading[:, members].amax(dim=1)
    return columns
