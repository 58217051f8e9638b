"""Both batched power flows against pandapower's Newton-Raphson, from no load to the brink of voltage collapse."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandapower.topology
import pytest
import simbench
import torch
from simbench.networks import extract_simbench_grids_from_csv as simbench_tables
from torch import Tensor

from totalflex_env import batch
from totalflex_env.grid import network, power_flow, reference, tree
from totalflex_env.grid_model import GridModel, PowerFlow

VOLTAGE_PU = 1e-6
LOADING = 1e-5  # 1e-3 percentage points
SINGLE_LOADING = 1e-5  # of a loading in float32, beside as many of the rating: the last load is up to eleven times it


READ = simbench_tables.read_csv_data


@functools.cache
def table(path: str, separator: str, names: Any, rows: int | None) -> Any:
    return READ(path, separator, tablename=list(names) if isinstance(names, tuple) else names, nrows=rows)


@functools.cache
def simbench_net(code: str) -> Any:
    """The net as simbench makes it, but its tables read once for all nets: that is most of the time it takes."""

    def read(path: str, sep: str, tablename: Any = None, nrows: int | None = None) -> Any:
        names = tuple(tablename) if isinstance(tablename, list) else tablename
        return copy.deepcopy(table(path, sep, names, nrows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simbench_tables, "read_csv_data", read)
        net = simbench.get_simbench_net(code)
    del net["profiles"]
    return net


def rural() -> Any:
    return copy.deepcopy(simbench_net("1-LV-rural1--0-sw"))


def parallel_and_switches() -> Any:
    """Parallel transformers and cables, fused buses, a switch with impedance, a line open at one end, a shunt, taps.

    The rated voltages of the transformers are not those of their buses.
    """
    net = pp.create_empty_network()
    medium, low, fused, far, end, off = (pp.create_bus(net, kv) for kv in (20.0, 0.4, 0.4, 0.4, 0.4, 0.4))
    pp.create_ext_grid(net, medium, vm_pu=1.01, va_degree=3.0)
    for sn_mva, position in ((0.16, 1), (0.25, 1)):
        pp.create_transformer_from_parameters(
            net, medium, low, sn_mva, 21.0, 0.41, 1.4, 4.0, 0.46, 0.3, shift_degree=150.0, tap_side="hv", tap_neutral=0,
            tap_min=-2, tap_max=2, tap_step_percent=2.5, tap_pos=position, tap_changer_type="Ratio",
        )  # fmt: skip
    pp.create_switch(net, low, fused, et="b", closed=True)
    pp.create_line(net, fused, far, 0.1, "NAYY 4x150 SE", parallel=2)
    pp.create_line(net, fused, far, 0.1, "NAYY 4x50 SE", df=0.9)
    pp.create_switch(net, far, end, et="b", closed=True, z_ohm=0.02)
    open_line = pp.create_line(net, end, off, 0.2, "NAYY 4x50 SE")
    pp.create_switch(net, off, open_line, et="l", closed=False)
    pp.create_shunt(net, far, q_mvar=-0.01, p_mw=0.001)
    for bus in (fused, far, end):
        pp.create_load(net, bus, p_mw=0.06, q_mvar=0.02)
    pp.create_sgen(net, end, p_mw=0.03)
    return net


NETS: dict[str, Callable[[], Any]] = {
    "two_houses": network.two_house_feeder,
    "parallel_and_switches": parallel_and_switches,
    "cigre_lv": pn.create_cigre_network_lv,
    "cigre_mv": pn.create_cigre_network_mv,
    "kerber_landnetz": pn.create_kerber_landnetz_freileitung_1,
    "kerber_dorfnetz": pn.create_kerber_dorfnetz,
    "case33bw": pn.case33bw,
} | {
    code: functools.partial(simbench_net, code)
    for code in (
        *("1-LV-rural1--0-sw", "1-LV-rural2--0-sw", "1-LV-rural3--0-sw"),
        *("1-LV-semiurb4--0-sw", "1-LV-semiurb5--0-sw", "1-LV-urban6--0-sw"),
        *("1-MV-rural--0-sw", "1-MVLV-semiurb-3.202-0-sw"),
    )
}


@pytest.mark.parametrize("name", list(NETS))
def test_equals_runpp(name: str) -> None:
    """One test for each net, since it takes seconds to make one."""
    net = NETS[name]()
    own_loads_give_the_result_tables(copy.deepcopy(net))
    up_to_the_brink_of_collapse(net)
    generator = np.random.default_rng(len(net.bus))
    for _ in range(2):
        any_switches_and_taps(rearranged(net, generator))


def consumption(net: Any, grid: GridModel) -> tuple[Tensor, Tensor]:
    """Consumption [M] in kW and kvar of the net's own loads, static generators and storages."""
    power = torch.zeros(2, len(grid.node_names), dtype=torch.float64)
    for table, sign in (("load", 1.0), ("sgen", -1.0), ("storage", 1.0)):
        for element in net[table].itertuples():
            if element.bus in grid.node_of_bus:
                kw = torch.tensor([element.p_mw, element.q_mvar], dtype=torch.float64) * 1e3 * element.scaling
                power[:, grid.node_of_bus[element.bus]] += sign * kw
    return power[0], power[1]


def own_loads_give_the_result_tables(net: Any) -> None:
    grid = network.from_pandapower(net)
    active, reactive = consumption(net, grid)
    net.trafo["tap_changer_type"] = "Ratio"
    flow = power_flow.solve(grid, active[None], reactive[None])
    pp.runpp(net, init="dc", lightsim2grid=False, numba=False, tolerance_mva=1e-9)
    assert flow.converged.all()
    for bus, node in grid.node_of_bus.items():
        assert float(flow.voltage[0, node]) == pytest.approx(net.res_bus.vm_pu[bus], abs=VOLTAGE_PU)
    for element, (table, index) in enumerate(grid.elements):
        percent = net[f"res_{table}"].loading_percent[index]
        assert float(flow.loading[0, element]) == pytest.approx(percent / 100.0, abs=LOADING)
    assert len(grid.elements) == sum(net[f"res_{t}"].loading_percent.gt(0.0).sum() for t in ("line", "trafo"))


def up_to_the_brink_of_collapse(net: Any) -> None:
    """Random shares of load up to the last level that converges here; at 1.02 times that level runpp fails, too."""
    grid = network.from_pandapower(net)
    active, reactive = random_load(grid)
    last = last_converged_scale(grid, active, reactive)

    scale = last * torch.tensor([0.02, 0.5, 0.9, 0.98, 1.0, -0.02, -0.2], dtype=torch.float64)[:, None]
    flow = power_flow.solve(grid, scale * active, scale * reactive)
    judge = reference.run(net, scale * active, scale * reactive)
    assert judge.converged.all()
    assert flow.converged.all()
    swept = tree.solve(grid, scale * active, scale * reactive)
    assert swept.converged.all()
    for ours in (flow, swept):
        torch.testing.assert_close(ours.voltage, judge.voltage, atol=VOLTAGE_PU, rtol=0.0)
        torch.testing.assert_close(ours.loading, judge.loading, atol=LOADING, rtol=0.0)

    single = power_flow.solve(
        batch.to(grid, torch.float32), (scale[:4] * active).float(), (scale[:4] * reactive).float()
    )
    assert single.converged.all()
    torch.testing.assert_close(single.voltage.double(), judge.voltage[:4], atol=1e-4, rtol=0.0)
    torch.testing.assert_close(single.loading.double(), judge.loading[:4], atol=LOADING, rtol=SINGLE_LOADING)

    beyond = last * torch.tensor([[1.02], [1.5], [10.0]], dtype=torch.float64)
    assert not reference.run(net, beyond[:1] * active, beyond[:1] * reactive).converged.any()
    for flow in (solve(grid, beyond * active, beyond * reactive) for solve in (power_flow.solve, tree.solve)):
        assert not flow.converged.any()
        assert flow.voltage.isfinite().all()
        assert flow.loading.isfinite().all()


def any_switches_and_taps(net: Any) -> None:
    """Random consumption and production at a few tenths of the last solvable load."""
    grid = network.from_pandapower(net)
    active, reactive = random_load(grid)
    scale = last_converged_scale(grid, active, reactive, tree.solve) * torch.tensor(
        [[0.4], [-0.1]], dtype=torch.float64
    )
    judge = reference.run(net, scale * active, scale * reactive)
    assert judge.converged.all()
    for solve in (power_flow.solve, tree.solve):
        flow = solve(grid, scale * active, scale * reactive)
        torch.testing.assert_close(flow.voltage, judge.voltage, atol=VOLTAGE_PU, rtol=0.0)
        torch.testing.assert_close(flow.loading, judge.loading, atol=LOADING, rtol=0.0)


def rings_of_lines(net: Any) -> list[list[tuple[int, int]]]:
    """The rings of the net, each as its lines with a bus at one end; closed switches between busbars are none."""
    graph = pandapower.topology.create_nxgraph(net)
    rings = []
    for ring in networkx.cycle_basis(networkx.Graph(graph)):
        pairs = zip(ring, [*ring[1:], ring[0]])
        rings.append(sorted({(a, key[1]) for a, b in pairs for key in graph[a][b] if key[0] == "line"}))
    return [ring for ring in rings if ring]


def rearranged(net: Any, generator: np.random.Generator) -> Any:
    """The net with random taps, one open line closed and its ring opened elsewhere, and one last bus cut off."""
    net = copy.deepcopy(net)
    movable = net.trafo.index[net.trafo.tap_min.notna() & net.trafo.tap_max.notna()]
    for trafo in movable:
        lowest, highest = int(net.trafo.tap_min[trafo]), int(net.trafo.tap_max[trafo])
        net.trafo.loc[trafo, "tap_pos"] = int(generator.integers(lowest, highest + 1))
    opened = net.switch.element[(net.switch.et == "l") & ~net.switch.closed].tolist()
    ties = sorted({*opened, *net.line.index[~net.line.in_service]})
    if ties:
        tie = ties[generator.integers(len(ties))]
        net.line.loc[tie, "in_service"] = True
        net.switch.loc[(net.switch.et == "l") & (net.switch.element == tie), "closed"] = True
    while rings := rings_of_lines(net):
        bus, line = rings[0][generator.integers(len(rings[0]))]
        pp.create_switch(net, bus, line, et="l", closed=False)
    graph = pandapower.topology.create_nxgraph(net)
    last = sorted(
        (a, key[1]) for a, b, key in graph.edges(keys=True) for a in (a, b) if graph.degree(a) == 1 and key[0] == "line"
    )
    bus, line = last[generator.integers(len(last))]
    pp.create_switch(net, bus, line, et="l", closed=False)
    for consumers in ("load", "sgen", "storage"):
        net[consumers].loc[net[consumers].bus == bus, "in_service"] = False
    return net


def random_load(grid: GridModel) -> tuple[Tensor, Tensor]:
    """Random consumption [M] in kW and kvar, about 100 kW in all."""
    nodes = len(grid.node_names)
    draw = torch.rand(2, nodes, generator=torch.Generator().manual_seed(nodes), dtype=torch.float64)
    return draw[0] * 200.0 / nodes, draw[1] * 80.0 / nodes


def last_converged_scale(
    grid: GridModel, active: Tensor, reactive: Tensor, solve: Callable[..., PowerFlow] = power_flow.solve
) -> float:
    """The largest multiple of the load, to 0.1 %, at which a batched power flow still converges."""
    scale = torch.logspace(-2.0, 4.0, 200, dtype=torch.float64)
    for _ in range(2):
        converged = solve(grid, scale[:, None] * active, scale[:, None] * reactive).converged
        last = int(converged.sum()) - 1
        assert converged[: last + 1].all()  # there is one brink, not many
        scale = torch.linspace(float(scale[last]), float(scale[last + 1]), 100, dtype=torch.float64)
    return float(scale[0])


@pytest.mark.parametrize("position", [-2, 2])
def test_tap_positions_of_simbench_nets_act(position: int) -> None:
    """One tap is 2.5 %: two taps move the voltage by about 0.05 p.u., where pandapower alone ignores them."""
    net = rural()
    neutral = network.from_pandapower(net)
    net.trafo["tap_pos"] = position
    for changer in ("Ratio", None):  # with the type that our loader sets, and with the one that SimBench leaves
        net.trafo["tap_changer_type"] = changer
        grid = network.from_pandapower(net)
        none = torch.zeros(1, len(grid.node_names), dtype=torch.float64)
        moved = power_flow.solve(grid, none, none).voltage - power_flow.solve(neutral, none, none).voltage
        assert torch.all((moved.abs() - 0.05).abs() < 0.005)
        assert torch.all(moved.sign() == -position / abs(position))
        judge = reference.run(net, none, none)
        torch.testing.assert_close(power_flow.solve(grid, none, none).voltage, judge.voltage, atol=VOLTAGE_PU, rtol=0.0)


@pytest.mark.parametrize("name", ["cigre_lv", "parallel_and_switches", "1-LV-semiurb4--0-sw"])
def test_gradients_are_finite_differences_of_pandapower(name: str) -> None:
    """Of any weighted sum of voltages and loadings, by active and reactive power at the last four nodes."""
    net = NETS[name]()
    grid = network.from_pandapower(net)
    active, reactive = (part[None].requires_grad_() for part in random_load(grid))
    draw = torch.Generator().manual_seed(4)
    weights = [torch.rand(len(names), generator=draw).double() for names in (grid.node_names, grid.element_names)]

    def weighted(flow: PowerFlow) -> Tensor:
        return flow.voltage @ weights[0] + flow.loading @ weights[1]

    weighted(power_flow.solve(grid, active, reactive)).sum().backward()
    nodes, step_kw = len(grid.node_names), 0.005  # far less than any load, since an idle line has a kink
    change = step_kw * torch.eye(nodes, dtype=torch.float64)[-4:]
    for power, by_active in ((active, True), (reactive, False)):
        moved = torch.cat([power.detach() + change, power.detach() - change])
        rows = (moved, reactive.detach().expand_as(moved)) if by_active else (active.detach().expand_as(moved), moved)
        more, less = weighted(reference.run(net, *rows)).chunk(2)
        assert power.grad is not None
        torch.testing.assert_close(power.grad[0, -4:], (more - less) / (2.0 * step_kw), rtol=1e-4, atol=1e-9)
