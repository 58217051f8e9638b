from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest
import torch

from totalflex_env.errors import GridError
from totalflex_env.grid import network
from totalflex_env.recorded import grid_json


def test_the_two_house_feeder() -> None:
    """Busbar, house 0, house 1; cable 0, cable 1 (0.142 kA at 0.4 kV), transformer."""
    grid = network.from_pandapower(network.two_house_feeder())
    assert grid.node_names == ("bus 1 (busbar)", "bus 2 (house 0)", "bus 3 (house 1)")
    assert grid.element_names == ("line 0 (cable 0)", "line 1 (cable 1)", "trafo 0 (transformer)")
    assert grid.elements == (("line", 0), ("line", 1), ("trafo", 0))
    assert grid.node_of_bus == {1: 0, 2: 1, 3: 2}
    assert grid.downstream.tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 1]]
    assert grid.rating_kva.tolist() == pytest.approx([sqrt(3) * 0.4 * 142, sqrt(3) * 0.4 * 142, 25.0])
    assert (grid.base_kva, grid.slack_voltage) == (1000.0, 1.0)
    assert grid.voltage_lower.tolist() == [0.9, 0.9, 0.9]
    assert grid.voltage_upper.tolist() == [1.1, 1.1, 1.1]
    assert all(value.dtype == torch.float64 for value in vars(grid).values() if isinstance(value, torch.Tensor))


def test_fused_buses_are_one_node_with_the_tighter_band() -> None:
    net = network.two_house_feeder()
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = [0.9, 0.9, 0.92, 0.95], [1.1, 1.1, float("nan"), 1.05]
    pp.create_switch(net, 2, 3, et="b", closed=True)
    net.line.loc[1, "in_service"] = False
    grid = network.from_pandapower(net)
    assert grid.node_of_bus == {1: 0, 2: 1, 3: 1}
    assert grid.node_names[1] == "bus 2 (house 0) = bus 3 (house 1)"
    assert grid.elements == (("line", 0), ("trafo", 0))
    assert grid.downstream.tolist() == [[0, 1], [1, 1]]
    assert grid.voltage_lower.tolist() == [0.9, 0.95]
    assert grid.voltage_upper.tolist() == [1.1, 1.05]


def test_parallel_elements_share_by_their_admittance() -> None:
    net = network.two_house_feeder()
    pp.create_line(net, 1, 2, 0.03, "NAYY 4x50 SE")  # half as long as cable 0
    grid = network.from_pandapower(net)
    assert grid.downstream[:, 1].tolist() == pytest.approx([1 / 3, 0.0, 2 / 3, 1.0])


def test_open_line_ends_are_no_nodes() -> None:
    net = network.two_house_feeder()
    spare = pp.create_bus(net, 0.4)
    line = pp.create_line(net, 3, spare, 0.1, "NAYY 4x50 SE")
    pp.create_switch(net, spare, line, et="l", closed=False)
    grid = network.from_pandapower(net)
    assert grid.node_of_bus == {1: 0, 2: 1, 3: 2}
    assert grid.elements[2] == ("line", line)
    assert grid.downstream[2].tolist() == [0, 0, 0]


def test_conversion_leaves_the_net_alone() -> None:
    net = network.two_house_feeder()
    tables = {table: net[table].copy() for table in ("bus", "line", "trafo", "load", "sgen", "storage", "ext_grid")}
    network.from_pandapower(net)
    assert all(net[table].equals(before) for table, before in tables.items())
    assert "_ppc" not in net or net["_ppc"] is None


def broken(change: Callable[[Any], Any]) -> Any:
    net = network.two_house_feeder()
    change(net)
    return net


def set_value(table: str, column: str, value: object) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table].loc[0, column] = value

    return change


def island(net: Any) -> None:
    net.line.loc[1, "in_service"] = False


def voltage_dependent(net: Any) -> None:
    net.load.loc[1, "const_z_q_percent"] = 20.0


def upside_down(net: Any) -> None:
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = [0.9, 0.9, 0.9, 1.1], [1.1, 1.1, float("nan"), 0.9]


def three_windings(net: Any) -> None:
    buses = [pp.create_bus(net, kv) for kv in (110.0, 20.0, 10.0)]
    pp.create_transformer3w(net, *buses, "63/25/38 MVA 110/20/10 kV", name="triple")


REFUSED = {
    "mesh": (
        lambda net: pp.create_line(net, 2, 3, 0.1, "NAYY 4x50 SE", name="ring"),
        ["line ", "closes a loop", "radial", "reference.solve"],
    ),
    "generator": (lambda net: pp.create_gen(net, 2, p_mw=0.01, name="chp"), ["gen 0 (chp)"]),
    "three windings": (three_windings, ["trafo3w 0 (triple)"]),
    "unbalanced": (lambda net: pp.create_asymmetric_load(net, 2, p_a_mw=0.001), ["asymmetric_load 0"]),
    "no source": (set_value("ext_grid", "in_service", False), ["ext_grid", "0 in service"]),
    "two sources": (lambda net: pp.create_ext_grid(net, 2), ["ext_grid", "2 in service"]),
    "source on a dead bus": (set_value("bus", "in_service", False), ["power flow without load"]),
    "island": (island, ["bus 3 (house 1) of load 1 (house 1)", "unsupplied"]),
    "no current limit": (set_value("line", "max_i_ka", float("nan")), ["line 0 (cable 0), max_i_ka = nan"]),
    "zero current limit": (set_value("line", "max_i_ka", 0.0), ["line 0 (cable 0), max_i_ka = 0.0"]),
    "no rating": (set_value("trafo", "sn_mva", float("nan")), ["trafo 0 (transformer), sn_mva = nan"]),
    "no resistance": (set_value("line", "r_ohm_per_km", float("nan")), ["line 0 (cable 0), r_ohm_per_km = nan"]),
    "no phase shift": (set_value("trafo", "shift_degree", float("nan")), ["trafo 0 (transformer), shift_degree = nan"]),
    "no nominal voltage": (set_value("bus", "vn_kv", float("nan")), ["bus 0 (medium voltage), vn_kv = nan"]),
    "no source voltage": (set_value("ext_grid", "vm_pu", float("nan")), ["ext_grid 0, vm_pu = nan"]),
    "no power of a load": (set_value("load", "p_mw", float("nan")), ["load 0 (house 0), p_mw = nan"]),
    "limits upside down": (upside_down, ["bus 3 (house 1)", "1.1 to 0.9", "not above the upper"]),
    "zero length": (set_value("line", "length_km", 0.0), ["line 0 (cable 0), length_km = 0.0"]),
    "voltage-dependent load": (voltage_dependent, ["load 1 (house 1)", "constant power"]),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused_by_name(name: str) -> None:
    change, words = REFUSED[name]
    with pytest.raises(GridError) as refusal:
        network.from_pandapower(broken(change))
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_a_line_without_impedance_is_refused() -> None:
    net = network.two_house_feeder()
    net.line.loc[0, ["r_ohm_per_km", "x_ohm_per_km"]] = 0.0
    with pytest.raises(GridError, match=r"line 0 \(cable 0\), x_ohm_per_km = 0.0"):
        network.from_pandapower(net)


def test_out_of_service_elements_are_not_refused() -> None:
    net = network.two_house_feeder()
    pp.create_gen(net, 2, p_mw=0.01, in_service=False)
    pp.create_line_from_parameters(net, 2, 3, 1.0, 0.1, 0.1, 0.0, max_i_ka=0.0, in_service=False)
    assert len(network.from_pandapower(net).elements) == 3
    assert len(network.from_pandapower(pn.case33bw()).elements) == 32  # five tie lines are out of service


@pytest.mark.parametrize("changer", [None, "Ratio"])
def test_tap_positions_act_in_any_net(tmp_path: Path, changer: str | None) -> None:
    """Without a type of tap changer pandapower 3 ignores the position: 2 taps of 2.5 % are 5 % of the voltage."""
    net = network.two_house_feeder()
    tap = {"tap_side": "hv", "tap_neutral": 0, "tap_step_percent": 2.5, "tap_pos": 2, "tap_changer_type": changer}
    for column, value in tap.items():
        net.trafo[column] = value
    pp.to_json(net, str(tmp_path / "grid.json"))
    for taken in (net, grid_json.load(tmp_path / "grid.json")):
        grid = network.from_pandapower(taken)
        assert torch.view_as_complex(grid.no_load_voltage).abs()[0] == pytest.approx(1.0 / 1.05, abs=1e-3)


def test_the_tree_of_the_two_house_feeder() -> None:
    """Busbar, then a house each, fed by the busbar; without load the cables carry nothing and u is 1 everywhere."""
    tree = network.from_pandapower(network.two_house_feeder()).tree
    assert sorted(zip(tree.node.tolist(), tree.feeder.tolist())) == [(0, 0), (1, 1), (2, 1)]
    assert tree.near.tolist() == [1, 1, 0]
    assert sorted(tree.far[:2].tolist()) == [2, 3]
    assert tree.far[2] == 1
    assert abs(tree.charging[:, :2]).max() < 1e-3  # of the rating, by the capacitance of the cables
    lengths = [abs(complex(*tree.series[place - 1])) for place in tree.far[:2]]
    assert lengths[1] / lengths[0] == pytest.approx(1.5, abs=1e-3)  # 90 m and 60 m
