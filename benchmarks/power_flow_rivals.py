"""The power flows of others on the grids of ours: power-grid-model, lightsim2grid and pandapower, one thread each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightsim2grid.network
import lightsim2grid.timeSerie
import numpy as np
import pandapower as pp
import torch
from numpy.typing import NDArray
from power_grid_model import CalculationMethod, ComponentType, LoadGenType, PowerGridModel, initialize_array
from torch import Tensor

from totalflex_env.grid import checks
from totalflex_env.grid_model import GridModel

_STIFF_VA = 1e25  # short-circuit power of the source: none of its own voltage drop
METHODS = (CalculationMethod.iterative_current, CalculationMethod.newton_raphson)


@dataclass(frozen=True)
class Branches:
    """The net as pandapower's power flow sees it; generic branches carry its transformer model over exactly."""

    rated_v: NDArray[np.float64]  # [n]
    ends: NDArray[np.int64]  # [2, b]
    table: NDArray[np.complex128]  # [b, 26] of pandapower, p.u.
    base_va: float
    slack: int
    slack_voltage: complex
    at: list[int]  # M, internal bus of each node


def branches_of(net: checks.Net, grid: GridModel) -> Branches:
    """The internal circuit of the net, and where in it the nodes of the model are."""
    net = checks.prepared(net)
    pp.runpp(net, init="dc", lightsim2grid=False, numba=False)
    solved, lookup = net._ppc["internal"], net._pd2ppc_lookups["bus"]
    bus_of = {node: bus for bus, node in grid.node_of_bus.items()}
    slack = int(solved["ref"][0])
    return Branches(
        rated_v=solved["bus"][:, 9].real * 1e3,
        ends=solved["branch"][:, :2].real.astype(np.int64).T,
        table=solved["branch"],
        base_va=float(solved["baseMVA"]) * 1e6,
        slack=slack,
        slack_voltage=complex(solved["V"][slack]),
        at=[int(lookup[bus_of[node]]) for node in range(len(grid.node_names))],
    )


def power_grid_model(branches: Branches, method: CalculationMethod) -> Callable[[Tensor, Tensor], NDArray[np.float64]]:
    """A function of consumption [B, M] in kW and kvar: voltages [B, M] in p.u., with all branch results computed."""
    buses, count, nodes = len(branches.rated_v), len(branches.table), len(branches.at)
    node = initialize_array("input", "node", buses)
    node["id"], node["u_rated"] = np.arange(buses), branches.rated_v
    branch = initialize_array("input", "generic_branch", count)
    branch["id"], branch["from_status"], branch["to_status"] = buses + np.arange(count), 1, 1
    branch["from_node"], branch["to_node"] = branches.ends
    ohm = branches.rated_v[branches.ends[1]] ** 2 / branches.base_va
    resistance, reactance, susceptance, ratio, shift = (branches.table[:, column].real for column in (2, 3, 4, 8, 9))
    branch["r1"], branch["x1"], branch["b1"] = resistance * ohm, reactance * ohm, susceptance / ohm
    branch["g1"] = branches.table[:, 23].real / ohm
    branch["k"], branch["theta"], branch["sn"] = np.where(ratio == 0.0, 1.0, ratio), np.deg2rad(shift), branches.base_va
    source = initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["sk"] = buses + count, branches.slack, 1, _STIFF_VA
    source["u_ref"], source["u_ref_angle"] = abs(branches.slack_voltage), np.angle(branches.slack_voltage)
    load = initialize_array("input", "sym_load", nodes)
    load["id"], load["node"], load["status"] = buses + count + 1 + np.arange(nodes), branches.at, 1
    load["type"], load["p_specified"], load["q_specified"] = LoadGenType.const_power, 0.0, 0.0
    model = PowerGridModel({"node": node, "generic_branch": branch, "source": source, "sym_load": load})

    def solve(active_kw: Tensor, reactive_kvar: Tensor) -> NDArray[np.float64]:
        update = initialize_array("update", "sym_load", (len(active_kw), nodes))
        update["id"], update["p_specified"] = load["id"], active_kw.numpy() * 1e3
        update["q_specified"] = reactive_kvar.numpy() * 1e3
        result = model.calculate_power_flow(
            update_data={"sym_load": update},
            calculation_method=method,
            threading=-1,
            output_component_types=["node", "generic_branch"],
        )
        voltage: NDArray[np.float64] = result[ComponentType.node]["u_pu"]
        return voltage[:, branches.at]

    return solve


def lightsim2grid_model(net: checks.Net, grid: GridModel) -> Callable[[Tensor, Tensor], Any]:
    """A function of consumption [B, M] in kW and kvar: complex voltages [B, M] by batched Newton-Raphson, and flows.

    lightsim2grid leaves switches out, so the net has to have none.
    """
    net = with_one_load_per_node(net, grid)
    with warnings.catch_warnings(action="ignore"):  # it says that it turns the external grid into a generator
        model = lightsim2grid.network.init_from_pandapower(net)
    start = model.dc_pf(np.ones(len(net.bus), dtype=np.complex128), 10, 1e-8)
    series = lightsim2grid.timeSerie.TimeSeriesCPP(model)

    def solve(active_kw: Tensor, reactive_kvar: Tensor) -> Any:
        rows = len(active_kw)
        generators, none = np.zeros((rows, len(model.get_generators()))), np.zeros((rows, 0))
        megawatts, megavars = active_kw.numpy() / 1e3, reactive_kvar.numpy() / 1e3
        series.compute_Vs(generators, none, megawatts, megavars, start, 20, 1e-8)
        series.compute_flows()
        return series.get_voltages()[:, net.load.bus.to_numpy()]

    return solve


def pandapower_model(net: checks.Net, grid: GridModel) -> Callable[[Tensor, Tensor], None]:
    """A function of consumption [B, M] in kW and kvar that solves its rows one by one, each from the one before."""
    net = with_one_load_per_node(net, grid)
    pp.runpp(net, init="dc", lightsim2grid=False)

    def solve(active_kw: Tensor, reactive_kvar: Tensor) -> None:
        for p, q in zip(active_kw.numpy() / 1e3, reactive_kvar.numpy() / 1e3):
            net.load["p_mw"], net.load["q_mvar"] = p, q
            pp.runpp(net, init="results", lightsim2grid=False)

    return solve


def with_one_load_per_node(net: checks.Net, grid: GridModel) -> checks.Net:
    """The net with a load at each node of the model, in their order, instead of its own."""
    net = checks.prepared(net)
    for table in checks.CONSUMERS:
        net[table] = net[table].iloc[:0]
    bus_of = {node: bus for bus, node in grid.node_of_bus.items()}
    for node in range(len(grid.node_names)):
        pp.create_load(net, bus_of[node], p_mw=0.0)
    return net


def worst_error(voltage: NDArray[np.float64], exact: Tensor) -> float:
    """Largest difference in p.u."""
    return float((torch.from_numpy(voltage) - exact).abs().max())
