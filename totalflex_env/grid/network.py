"""From a pandapower net to a GridModel: the only place where pandapower's MW, kA and kV become kVA and p.u.

The equations are pandapower's own: one power flow without load, and the admittances it built are taken over, with taps,
phase shifts, shunts, line charging, open switches and parallel elements in them.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pandapower as pp
import torch
from numpy.typing import NDArray

from totalflex_env.errors import GridError
from totalflex_env.grid.checks import CONSUMERS, Net, label, prepared
from totalflex_env.grid.topology import Circuit, feeders_of, pairs, radial_tree, shares_of
from totalflex_env.grid_model import GridModel
from totalflex_env.units import kw_from_mw

_VOLTAGE_BAND = (0.9, 1.1)  # p.u., EN 50160, where a bus states none
_BASE_KV = 9  # column of pandapower's internal bus table


def from_pandapower(net: Net) -> GridModel:
    """The model, in float64, of a radial pandapower net; loads, static generators and storages are left out.

    A net that is meshed, lacks a limit or holds what the model cannot express is refused by the name of the element.
    """
    checked = prepared(net)
    circuit = _solve_without_load(checked)
    buses = _fused_buses(checked, circuit)
    _refuse_unsupplied(net, {bus for group in buses.values() for bus in group})
    del buses[circuit.slack]
    elements = [branch for branch, (table, _) in enumerate(circuit.branches) if table != "switch"]
    names = tuple(circuit.branches[branch] for branch in elements)

    nodes = list(buses)
    feeder = feeders_of(checked, circuit)
    fed = np.delete(np.arange(len(circuit.admittance)), circuit.slack)
    impedance = np.zeros_like(circuit.admittance)
    impedance[np.ix_(fed, fed)] = np.linalg.inv(circuit.admittance[np.ix_(fed, fed)])
    voltage = -impedance @ circuit.admittance[:, circuit.slack] * circuit.slack_voltage
    voltage[circuit.slack] = circuit.slack_voltage
    # Open ends of lines are no nodes: they carry no load, so that dropping them from the inverse is exact.
    rated = _rated_currents(checked, circuit, elements)
    loading = np.concatenate(circuit.end_admittance[:, elements] / rated[..., None])
    limits = np.array(_voltage_limits(checked, list(buses.values())))
    return GridModel(
        node_names=tuple(" = ".join(label(checked, "bus", bus) for bus in group) for group in buses.values()),
        element_names=tuple(label(checked, *name) for name in names),
        elements=names,
        node_of_bus={bus: node for node, group in enumerate(buses.values()) for bus in group},
        base_kva=kw_from_mw(circuit.base_mva),
        slack_voltage=float(abs(circuit.slack_voltage)),
        no_load_voltage=torch.from_numpy(pairs(voltage[nodes])),
        impedance=torch.from_numpy(pairs(impedance[np.ix_(nodes, nodes)])),
        no_load_end_loading=torch.from_numpy(pairs(loading @ voltage)),
        end_loading=torch.from_numpy(pairs(loading @ impedance[:, nodes])),
        rating_kva=torch.tensor([kw_from_mw(_rating_mva(checked, *name)) for name in names], dtype=torch.float64),
        voltage_lower=torch.tensor(limits[:, 0]),
        voltage_upper=torch.tensor(limits[:, 1]),
        downstream=torch.tensor(shares_of(circuit, feeder)[np.ix_(elements, nodes)]),
        tree=radial_tree(circuit, feeder, nodes, elements, rated),
    )


def strengthened(grid: GridModel, factor: float) -> GridModel:
    """Return a grid in which `factor` times the power at every node leads to the same voltages and loadings."""
    tree = replace(grid.tree, current_by_kva=grid.tree.current_by_kva / factor)
    return replace(grid, base_kva=grid.base_kva * factor, rating_kva=grid.rating_kva * factor, tree=tree)


def two_house_feeder() -> Net:
    """The smallest street: a 25 kVA transformer 20/0.4 kV and two cables of 60 m and 90 m to one house each."""
    net = pp.create_empty_network(name="two houses")
    medium = pp.create_bus(net, 20.0, name="medium voltage")
    low = pp.create_bus(net, 0.4, name="busbar")
    pp.create_ext_grid(net, medium)
    pp.create_transformer_from_parameters(
        net, medium, low, sn_mva=0.025, vn_hv_kv=20.0, vn_lv_kv=0.4, vk_percent=4.0, vkr_percent=2.4, pfe_kw=0.11,
        i0_percent=1.0, shift_degree=150.0, name="transformer",
    )  # fmt: skip
    for house, length_km in enumerate((0.06, 0.09)):
        bus = pp.create_bus(net, 0.4, name=f"house {house}")
        pp.create_line(net, low, bus, length_km, "NAYY 4x50 SE", name=f"cable {house}")
        pp.create_load(net, bus, p_mw=0.001, name=f"house {house}")
    return net


def _solve_without_load(net: Net) -> Circuit:
    try:
        pp.runpp(net, init="dc", lightsim2grid=False, numba=False, tolerance_mva=1e-9)
    except (pp.LoadflowNotConverged, UserWarning) as error:
        raise GridError("the power flow without load", str(error), "a solution") from error
    solved = net._ppc["internal"]
    lookup = net._pd2ppc_lookups["branch"]
    switches = net.switch.index[net._impedance_bb_switches > 0]
    indices = {"line": net.line.index, "trafo": net.trafo.index, "switch": switches}
    named = [(table, int(index)) for table in sorted(lookup, key=lookup.get) for index in indices[table]]
    return Circuit(
        base_mva=float(solved["baseMVA"]),
        slack=int(solved["ref"][0]),
        slack_voltage=complex(solved["V"][solved["ref"][0]]),
        base_kv=solved["bus"][:, _BASE_KV].real,
        admittance=solved["Ybus"].toarray(),
        end_admittance=np.stack([solved["Yf"].toarray(), solved["Yt"].toarray()]),
        ends=solved["branch"][:, :2].real.astype(np.int64).T,
        branches=tuple(name for name, used in zip(named, solved["branch_is"]) if used),
    )


def _fused_buses(net: Net, circuit: Circuit) -> dict[int, list[int]]:
    """Internal bus -> the pandapower buses fused into it, for every supplied one, in internal order."""
    lookup = net._pd2ppc_lookups["bus"]
    buses: dict[int, list[int]] = {}
    for bus in sorted(net.bus.index, key=lambda bus: lookup[bus]):
        if 0 <= lookup[bus] < len(circuit.admittance):
            buses.setdefault(int(lookup[bus]), []).append(int(bus))
    return buses


def _refuse_unsupplied(net: Net, supplied: set[int]) -> None:
    for table in CONSUMERS:
        for index, bus in net[table].bus[net[table].in_service.astype(bool)].items():
            if bus not in supplied:
                consumer = label(net, table, index)
                raise GridError(f"{label(net, 'bus', bus)} of {consumer}", "unsupplied", "a path to the external grid")


def _rating_mva(net: Net, table: str, index: int) -> float:
    """Power of an element at its rated current and nominal voltage."""
    element = net[table].loc[index]
    if table == "trafo":
        return float(element.sn_mva * element.df * element.parallel)
    return float(sqrt(3) * net.bus.at[element.from_bus, "vn_kv"] * element.max_i_ka * element.df * element.parallel)


def _rated_currents(net: Net, circuit: Circuit, elements: list[int]) -> NDArray[np.float64]:
    """Rated current [2, E] in p.u. of both ends of every element, by what pandapower rates each end at."""
    rated = np.empty((2, len(elements)))
    for column, branch in enumerate(elements):
        table, index = circuit.branches[branch]
        base_kv = circuit.base_kv[circuit.ends[:, branch]]
        rated_kv = base_kv[0]
        if table == "trafo":  # its rated currents are those at its own nominal voltages
            rated_kv = net.trafo.loc[index, ["vn_hv_kv", "vn_lv_kv"]].to_numpy(dtype=float)
        rated[:, column] = _rating_mva(net, table, index) * base_kv / rated_kv / circuit.base_mva
    return rated


def _voltage_limits(net: Net, nodes: list[list[int]]) -> list[tuple[float, float]]:
    """The tightest band [p.u.] of the buses that are fused into each node."""
    table = net.bus.reindex(columns=["min_vm_pu", "max_vm_pu"]).astype(float)
    table = table.fillna(dict(zip(table.columns, _VOLTAGE_BAND)))
    lower, upper = table.min_vm_pu.to_dict(), table.max_vm_pu.to_dict()
    return [(max(lower[bus] for bus in buses), min(upper[bus] for bus in buses)) for buses in nodes]
