"""How far a power flow is outside the limits of the grid."""

from __future__ import annotations

from totalflex_env.grid_model import GridModel, PowerFlow, Violations


def violations(grid: GridModel, flow: PowerFlow) -> Violations:
    """Loading above the rating in kVA and voltage outside the band in p.u., per element and node and summed [B].

    Loadings are magnitudes, so imports and exports count alike.
    """
    overload = (flow.loading - 1.0).clamp(min=0.0) * grid.rating_kva
    outside = (grid.voltage_lower - flow.voltage).clamp(min=0.0) + (flow.voltage - grid.voltage_upper).clamp(min=0.0)
    return Violations(overload.sum(-1), outside.sum(-1), overload, outside)
