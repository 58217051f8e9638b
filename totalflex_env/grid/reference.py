"""pandapower as the judge, and the slow path for grids that the model refuses: Newton-Raphson, one row at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pandapower as pp
import torch
from torch import Tensor

from totalflex_env.grid.checks import Net, without_consumption
from totalflex_env.grid.network import from_pandapower
from totalflex_env.grid_model import PowerFlow
from totalflex_env.units import mw_from_kw


def run(net: Net, active_kw: Tensor, reactive_kvar: Tensor) -> PowerFlow:
    """Voltages and loadings by pandapower at the consumption [B, M] in kW and kvar, in the model's order of nodes.

    Rows for which pandapower finds no solution are NaN and not converged.
    """
    grid = from_pandapower(net)
    bus_of_node = {node: bus for bus, node in grid.node_of_bus.items()}
    buses = [bus_of_node[node] for node in range(len(grid.node_names))]
    return solve(net, buses, grid.elements, active_kw, reactive_kvar)


def solve(
    net: Net, buses: Sequence[int], elements: Sequence[tuple[str, int]], active_kw: Tensor, reactive_kvar: Tensor
) -> PowerFlow:
    """Voltages of the buses [M] and loadings of the elements [E] of any net that pandapower solves, meshed ones too.

    The consumption [B, M] in kW and kvar at the buses replaces the net's loads, static generators and storages. An
    element is a table of pandapower ("line", "trafo", "trafo3w") and an index. Rows for which pandapower finds no
    solution are NaN and not converged. A row takes 20 ms and more.
    """
    net = without_consumption(net)
    loads = [pp.create_load(net, bus, p_mw=0.0) for bus in buses]
    flow = PowerFlow(
        voltage=torch.full((len(active_kw), len(buses)), torch.nan, dtype=torch.float64),
        loading=torch.full((len(active_kw), len(elements)), torch.nan, dtype=torch.float64),
        converged=torch.zeros(len(active_kw), dtype=torch.bool),
        iterations=torch.zeros(len(active_kw), dtype=torch.int64),
    )
    for row, (p, q) in enumerate(zip(mw_from_kw(active_kw).tolist(), mw_from_kw(reactive_kvar).tolist())):
        net.load.loc[loads, "p_mw"], net.load.loc[loads, "q_mvar"] = p, q
        try:
            pp.runpp(net, init="dc", lightsim2grid=False, numba=False, tolerance_mva=1e-9)
        except pp.LoadflowNotConverged:
            continue
        flow.converged[row] = True
        flow.iterations[row] = net._ppc["iterations"]
        flow.voltage[row] = torch.from_numpy(net.res_bus.vm_pu.loc[list(buses)].to_numpy(copy=True))
        percent = [net[f"res_{table}"].at[index, "loading_percent"] for table, index in elements]
        flow.loading[row] = torch.tensor(percent, dtype=torch.float64) / 100.0
    return flow
