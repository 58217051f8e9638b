from __future__ import annotations

from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.grid import linear, network, power_flow
from totalflex_env.grid_model import GridModel
from totalflex_env.scenario import simbench


def points(grid: GridModel, rows: int) -> tuple[Tensor, Tensor]:
    """Random consumption and production, up to about the ratings."""
    draw = torch.rand(2, rows, len(grid.node_names), generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    level = 0.8 * float(grid.rating_kva.min()) / len(grid.node_names)
    return level * (3.0 * draw[0] - 1.0), level * (0.6 * draw[1] - 0.1)


@pytest.mark.parametrize(
    "net", [network.two_house_feeder(), pn.create_cigre_network_lv(), pn.create_cigre_network_mv()]
)
def test_slopes_are_finite_differences_of_the_power_flow(net: Any) -> None:
    grid = network.from_pandapower(net)
    active, reactive = points(grid, 4)
    model = linear.linearise(grid, active, reactive)
    at = power_flow.solve(grid, active, reactive)
    torch.testing.assert_close(model.loading0, at.loading)
    torch.testing.assert_close(model.voltage0, at.voltage)
    assert model.converged.all()
    step = 1e-4 * float(active.abs().max())
    for node in range(active.shape[1]):
        change = torch.zeros_like(active)
        change[:, node] = step
        more, less = (power_flow.solve(grid, active + sign * change, reactive, tolerance=1e-14) for sign in (1, -1))
        d_loading, d_voltage = (more.loading - less.loading) / (2 * step), (more.voltage - less.voltage) / (2 * step)
        torch.testing.assert_close(model.d_loading_d_kw[..., node], d_loading, rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(model.d_voltage_d_kw[..., node], d_voltage, rtol=1e-4, atol=1e-9)


def test_slopes_equal_the_gradients() -> None:
    grid = network.from_pandapower(network.two_house_feeder())
    active, reactive = points(grid, 1)
    model = linear.linearise(grid, active, reactive)

    def outputs(p: Tensor) -> tuple[Tensor, Tensor]:
        flow = power_flow.solve(grid, p, reactive)
        return flow.voltage[0], flow.loading[0]

    d_voltage, d_loading = torch.autograd.functional.jacobian(outputs, active)
    torch.testing.assert_close(model.d_voltage_d_kw[0], d_voltage[:, 0], atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(model.d_loading_d_kw[0], d_loading[:, 0], atol=1e-10, rtol=1e-8)


def test_the_transformer_takes_what_its_houses_take() -> None:
    """Near its rating and at unity power factor, one kW more at a house loads a 25 kVA transformer by 1 / 25 more."""
    grid = network.from_pandapower(network.two_house_feeder())
    active = torch.tensor([[0.0, 10.0, 12.0], [0.0, -10.0, -12.0]], dtype=torch.float64)
    model = linear.linearise(grid, active, torch.zeros_like(active))
    torch.testing.assert_close(
        model.d_loading_d_kw[0, 2], torch.full((3,), 0.04, dtype=torch.float64), rtol=0.15, atol=0.0
    )
    torch.testing.assert_close(
        model.d_loading_d_kw[1, 2], torch.full((3,), -0.04, dtype=torch.float64), rtol=0.15, atol=0.0
    )
    assert (model.d_voltage_d_kw < 0.0).all()


def test_no_current_has_no_slope_and_no_solution_is_flagged() -> None:
    grid = batch.to(network.from_pandapower(network.two_house_feeder()), torch.float32)
    grid_without_losses = grid.no_load_end_loading.zero_()
    assert grid_without_losses.abs().max() == 0.0
    model = linear.linearise(grid, torch.tensor([[0.0, 0.0, 0.0], [0.0, 1e5, 0.0]]), torch.zeros(2, 3))
    assert model.converged.tolist() == [True, False]
    assert (model.d_loading_d_kw[0] == 0.0).all()
    assert model.d_voltage_d_kw.dtype == torch.float32


ERRORS = {  # largest, of voltage in p.u. and of loading in percentage points: LinDistFlow, then slopes at the mean load
    "rural1": (1e-3, 0.5, 3e-4, 4.0),
    "semiurb4": (3e-3, 4.0, 6e-4, 5.0),
    "cigre_lv": (1.5e-2, 15.0, 8e-3, 20.0),
    "kerber_dorfnetz": (3e-3, 5.0, 6e-4, 0.6),
}
"""What docs/grid_limits.md promises."""


def nets(name: str) -> Any:
    makers = {"cigre_lv": pn.create_cigre_network_lv, "kerber_dorfnetz": pn.create_kerber_dorfnetz}
    return makers[name]() if name in makers else simbench.load(f"1-LV-{name}--0-sw").net


@pytest.mark.parametrize("name", list(ERRORS))
def test_errors_of_the_linear_models_are_as_stated(name: str) -> None:
    """2,000 random points, each of the net's own loads between nothing and twice its size, against the power flow."""
    net = nets(name)
    grid = network.from_pandapower(net)
    mean = torch.zeros(2, len(grid.node_names), dtype=torch.float64)
    for load in net.load.itertuples():
        mean[:, grid.node_of_bus[load.bus]] += 1e3 * torch.tensor([load.p_mw, load.q_mvar], dtype=torch.float64)
    share = torch.rand(2000, mean.shape[1], generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    active, reactive = 2.0 * share * mean[0], mean[1].expand(2000, -1)
    exact, plain = power_flow.solve(grid, active, reactive), linear.lossless(grid, active, reactive)
    assert exact.converged.all()
    model = linear.linearise(grid, mean[:1], mean[1:])
    loading, voltage = linear.predict(model, (active - mean[0])[None])
    errors = (
        float((plain.voltage - exact.voltage).abs().max()),
        100.0 * float((plain.loading - exact.loading).abs().max()),
        float((voltage[0] - exact.voltage).abs().max()),
        100.0 * float((loading[0] - exact.loading).abs().max()),
    )
    assert all(0.5 * stated < error <= stated for error, stated in zip(errors, ERRORS[name]))
    assert errors[2] < 0.5 * errors[0]  # slopes know the losses


def test_lindistflow_by_hand() -> None:
    """A line of r = 0.625 p.u. (see test_power_flow) and 40 kW: v² = 1 - 2 · 0.625 · 0.04 = 0.95; 40 of 69.3 kVA."""
    net = pp.create_empty_network()
    source, house = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, source)
    pp.create_line_from_parameters(net, source, house, 1.0, 0.1, 1e-9, 0.0, max_i_ka=0.1)
    grid = network.from_pandapower(net)
    power = torch.tensor([[40.0], [-40.0]], dtype=torch.float64)
    flow = linear.lossless(grid, power, torch.zeros_like(power))
    assert flow.voltage[:, 0].tolist() == pytest.approx([0.95**0.5, 1.05**0.5])
    assert flow.loading[:, 0].tolist() == pytest.approx([40.0 / 69.28] * 2, abs=1e-4)
    assert flow.converged.all()
