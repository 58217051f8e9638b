"""Which of the batched power flows to run: the fastest one that can answer what is asked."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.grid import power_flow, tree
from totalflex_env.grid_model import GridModel, PowerFlow


def solve(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    On the CPU the sweeps of `grid.tree`, in float64 whatever the precision of the consumption; where gradients are
    wanted, and on other devices, the fixed point of `grid.power_flow`. Both solve the same equations and give the same
    record, in the consumption's precision and on its device. Their counts of iterations differ.
    """
    wants_gradients = torch.is_grad_enabled() and (active_kw.requires_grad or reactive_kvar.requires_grad)
    if wants_gradients or active_kw.device.type != "cpu":
        return power_flow.solve(grid, active_kw, reactive_kvar)
    flow = tree.solve(grid, active_kw.double(), reactive_kvar.double())
    return PowerFlow(flow.voltage.to(active_kw), flow.loading.to(active_kw), flow.converged, flow.iterations)
