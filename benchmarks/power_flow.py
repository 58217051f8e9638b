"""Power flows per second of one core, against power-grid-model, lightsim2grid and pandapower in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pandapower.networks as pn
import torch
from torch import Tensor

from benchmarks import power_flow_rivals as rivals
from benchmarks.figures import Figure, cpu_seconds
from totalflex_env import batch
from totalflex_env.errors import PhysicsError
from totalflex_env.grid import checks, network, power_flow, reference, tree
from totalflex_env.grid_model import GridModel
from totalflex_env.scenario import simbench

ACCURACY = 1e-6  # p.u.
NETS: dict[str, Callable[[], checks.Net]] = {
    "rural1": lambda: simbench.load("1-LV-rural1--0-sw").net,
    "semiurb4": lambda: simbench.load("1-LV-semiurb4--0-sw").net,
    "cigre_lv": pn.create_cigre_network_lv,
    "cigre_mv": pn.create_cigre_network_mv,
    "kerber_dorfnetz": pn.create_kerber_dorfnetz,
    "mv_lv": lambda: simbench.load("1-MVLV-semiurb-3.202-0-sw").net,
}
DENSE = ("rural1", "semiurb4", "cigre_lv")  # the nets of at most 60 nodes whose torch path has a target
ROWS = 2048


@dataclass(frozen=True)
class Case:
    """A net, its model and power flows to solve: the net's own loads times random numbers between 0 and 2."""

    name: str
    net: checks.Net
    grid: GridModel
    active_kw: Tensor  # [ROWS, M]
    reactive_kvar: Tensor  # [ROWS, M]

    def first(self, rows: int) -> tuple[Tensor, Tensor]:
        """The first rows of the consumption."""
        return self.active_kw[:rows], self.reactive_kvar[:rows]


def figures(full: bool) -> Iterator[Figure]:
    """Yield every figure of the power flow; the full form repeats more often and measures more batch sizes."""
    torch.set_num_threads(1)
    repeats = 15 if full else 5
    for name, make in NETS.items():
        case = case_of(name, make())
        pgm_name, pgm = fastest_power_grid_model(case, repeats)
        yield from _tree(case, pgm_name, pgm, repeats)
        if name in DENSE:
            yield from _dense(case, pgm_name, pgm, repeats)
        if name == "kerber_dorfnetz":
            yield from _others(case, repeats, full)
        if name == "semiurb4":
            yield _share_of_limit(case, repeats)
            yield _gradients(case, repeats)


def case_of(name: str, net: checks.Net) -> Case:
    """The power flows to solve, checked: ours are within the accuracy of pandapower's."""
    grid = network.from_pandapower(net)
    power = torch.zeros(2, len(grid.node_names), dtype=torch.float64)
    for load in net.load.itertuples():
        if load.in_service and load.bus in grid.node_of_bus:
            kw = torch.tensor([load.p_mw, load.q_mvar], dtype=torch.float64) * 1e3 * load.scaling
            power[:, grid.node_of_bus[load.bus]] += kw
    random = torch.rand(2, ROWS, power.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    case = Case(name, net, grid, *(2.0 * random * power[:, None]))
    judge, ours = reference.run(net, *case.first(3)), tree.solve(grid, *case.first(3))
    if not (judge.voltage - ours.voltage).abs().max() <= ACCURACY:
        raise PhysicsError(f"{name}: voltages are more than {ACCURACY} p.u. from pandapower's")
    return case


def rate(function: Callable[[], object], rows: int, repeats: int) -> float:
    """Rows per second of processor time."""
    return rows / cpu_seconds(function, repeats)


def fastest_power_grid_model(case: Case, repeats: int) -> tuple[str, float]:
    """The faster of power-grid-model's methods that meet the accuracy: its name and its power flows per second."""
    exact = tree.solve(case.grid, case.active_kw, case.reactive_kvar, tolerance=1e-12).voltage
    branches, rates = rivals.branches_of(case.net, case.grid), {}
    for method in rivals.METHODS:
        solve = rivals.power_grid_model(branches, method)
        consumption = case.active_kw, case.reactive_kvar
        if rivals.worst_error(solve(*consumption), exact) <= ACCURACY:
            rates[method.name] = rate(partial(solve, *consumption), ROWS, repeats)
    if not rates:
        raise PhysicsError(f"{case.name}: no method of power-grid-model is within {ACCURACY} p.u.")
    name = max(rates, key=lambda method: rates[method])
    return f"power-grid-model {name}, {rates[name]:.0f} flows/s", rates[name]


def _tree(case: Case, pgm_name: str, pgm: float, repeats: int) -> Iterator[Figure]:
    """End to end: packing, voltages, loadings of lines and transformers."""
    ours = rate(lambda: tree.solve(case.grid, case.active_kw, case.reactive_kvar), ROWS, 3 * repeats)
    target = 25.0 if case.name in ("rural1", "semiurb4") else 15.0
    yield Figure(f"tree_e2e_vs_pgm_ratio:{case.name}", ours / pgm, "x", "higher", target, 1.0, pgm_name)
    yield Figure(f"single_flow_us:{case.name}", 1e6 * _one_row(case, repeats), "us", "lower", 50.0)


def _others(case: Case, repeats: int, full: bool) -> Iterator[Figure]:
    """Power flows per second of processor time against the other two, on a net without switches."""
    newton = rivals.lightsim2grid_model(case.net, case.grid)
    exact = tree.solve(case.grid, case.active_kw, case.reactive_kvar, tolerance=1e-12).voltage
    if not rivals.worst_error(abs(newton(case.active_kw, case.reactive_kvar)), exact) <= ACCURACY:
        raise PhysicsError(f"{case.name}: voltages of lightsim2grid are more than {ACCURACY} p.u. from ours")
    one_by_one = rivals.pandapower_model(case.net, case.grid)
    slow = rate(partial(one_by_one, *case.first(10)), 10, 3)
    for rows in (16, 256, ROWS) if full else (ROWS,):
        ours = rate(partial(tree.solve, case.grid, *case.first(rows)), rows, 3 * repeats)
        theirs = rate(partial(newton, *case.first(rows)), rows, 3)
        for name, their_rate in (("lightsim2grid", theirs), ("pandapower", slow)):
            what = f"tree_flows_per_cpu_s:{case.name}_{rows}_vs_{name}"
            yield Figure(what, ours, "/s", "higher", their_rate, their_rate, name)


def _one_row(case: Case, repeats: int, calls: int = 200) -> float:
    """Seconds of a call for a single row."""
    row = case.first(1)

    def many() -> None:
        for _ in range(calls):
            tree.solve(case.grid, *row)

    return cpu_seconds(many, repeats) / calls


def _dense(case: Case, pgm_name: str, pgm: float, repeats: int) -> Iterator[Figure]:
    for label, dtype, target in (("f64", torch.float64, 2.0), ("f32", torch.float32, 6.0)):
        grid = batch.to(case.grid, dtype)
        active, reactive = case.active_kw.to(dtype), case.reactive_kvar.to(dtype)
        ours = rate(partial(power_flow.solve, grid, active, reactive), ROWS, 3 * repeats)
        yield Figure(f"torch_vs_pgm_ratio:{case.name}_{label}", ours / pgm, "x", "higher", target, 1.0, pgm_name)


def _share_of_limit(case: Case, repeats: int) -> Figure:
    """Share of the float64 arithmetic limit: 37 operations per node and iteration at the speed of a matrix product."""
    iterations = tree.solve(case.grid, case.active_kw, case.reactive_kvar).iterations.sum()
    work = 37.0 * len(case.grid.node_names) * float(iterations)
    size = 1024
    square = torch.ones(size, size, dtype=torch.float64)
    limit = 2.0 * size**3 / cpu_seconds(lambda: square @ square, 3 * repeats)
    ours = work / cpu_seconds(lambda: tree.solve(case.grid, case.active_kw, case.reactive_kvar), 3 * repeats)
    return Figure(
        f"tree_share_of_limit:{case.name}", ours / limit, "", "higher", 0.2, 1.0, f"{limit / 1e9:.0f} GFLOP/s"
    )


def _gradients(case: Case, repeats: int) -> Figure:
    """Forward and backward through voltages and loadings, float64, one thread."""

    def both() -> None:
        active = case.active_kw.clone().requires_grad_()
        flow = power_flow.solve(case.grid, active, case.reactive_kvar)
        (flow.voltage.sum() + flow.loading.sum()).backward()

    return Figure(f"gradients_per_s:{case.name}", rate(both, ROWS, repeats), "/s", "higher", 25_000.0)
