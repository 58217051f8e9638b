from __future__ import annotations

import math
from dataclasses import replace

import pandapower as pp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env import batch
from totalflex_env.grid import network, power_flow
from totalflex_env.grid_model import GridModel

GRID = network.from_pandapower(network.two_house_feeder())


def one_line() -> GridModel:
    """0.4 kV, one line of 0.1 ohm and 100 A (its reactance is as good as none), and nothing else."""
    net = pp.create_empty_network()
    source, house = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, source)
    pp.create_line_from_parameters(
        net, source, house, 1.0, r_ohm_per_km=0.1, x_ohm_per_km=1e-9, c_nf_per_km=0.0, max_i_ka=0.1
    )
    return network.from_pandapower(net)


def power(*kw: float) -> Tensor:
    return torch.tensor(kw, dtype=torch.float64)[:, None]


def test_one_line_by_hand() -> None:
    """A line of r = 0.1 ohm at 0.4 kV (base 1 MVA: 0.16 ohm, r = 0.625 p.u.) and a load p: v² - v + r p = 0.

    40 kW: p = 0.04, v = (1 + sqrt(1 - 4 · 0.625 · 0.04)) / 2 = 0.974342; i = p / v = 0.041053 p.u. = 59.26 A of 100 A.
    It collapses where 4 r p = 1: at 400 kW. Feeding in 40 kW: v = (1 + sqrt(1.1)) / 2 = 1.024404, i = 56.36 A.
    """
    grid = one_line()
    flow = power_flow.solve(grid, power(0.0, 40.0, -40.0, 399.0, 401.0), torch.zeros(5, 1, dtype=torch.float64))
    assert flow.converged.tolist() == [
        True,
        True,
        True,
        False,
        False,
    ]  # the last 0.3 % before the collapse are too slow
    assert flow.voltage[:3, 0].tolist() == pytest.approx([1.0, (1 + math.sqrt(0.9)) / 2, (1 + math.sqrt(1.1)) / 2])
    assert flow.loading[:3, 0].tolist() == pytest.approx([0.0, 0.5926, 0.5636], abs=1e-4)
    assert flow.iterations[0] < flow.iterations[1] < flow.iterations[3]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-60, 60), st.floats(-30, 30)), min_size=2, max_size=8),
    st.integers(0, 1000),
    st.sampled_from([None, 1e-3]),
)
def test_a_row_does_not_depend_on_the_others(
    houses: list[tuple[float, float]], seed: int, tolerance: float | None
) -> None:
    """Near, at and beyond collapse rows need many iterations; their neighbours must not notice, at any tolerance."""
    active = torch.tensor([[0.0, *pair] for pair in houses] + [[0.0, 1e4, 0.0]], dtype=torch.float64)
    reactive = 0.3 * active[torch.randperm(len(active), generator=torch.Generator().manual_seed(seed))]
    together = power_flow.solve(GRID, active, reactive, tolerance)
    for row in range(len(active)):
        alone = power_flow.solve(GRID, active[row : row + 1], reactive[row : row + 1], tolerance)
        among = batch.take_rows(together, torch.tensor([row]))
        assert batch.equal(among, alone, tolerance=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.floats(1e2, 1e12), st.floats(-1e12, 1e12), st.sampled_from([torch.float32, torch.float64]))
def test_beyond_collapse_rows_are_flagged_and_finite(kw: float, kvar: float, dtype: torch.dtype) -> None:
    active = torch.tensor([[0.0, 5.0, 1e4 + kw], [0.0, 5.0, 5.0]], dtype=dtype)
    flow = power_flow.solve(
        batch.to(GRID, dtype), active, torch.tensor([[0.0, 0.0, kvar], [0.0, 0.0, 0.0]], dtype=dtype)
    )
    assert flow.converged.tolist() == [False, True]
    assert flow.voltage.isfinite().all()
    assert flow.loading.isfinite().all()


def test_an_iterate_that_is_not_finite_is_never_shown() -> None:
    """With v0 = 1, r = 0.625 and p = 1.6 p.u. the first iterate is 1 - 0.625 · 1.6 = 0, and the next divides by it."""
    grid = replace(
        one_line(),
        impedance=torch.tensor([[[0.625, 0.0]]], dtype=torch.float64),
        no_load_voltage=torch.tensor([[1.0, 0.0]], dtype=torch.float64),
    )
    flow = power_flow.solve(grid, power(1600.0), power(0.0))
    assert not flow.converged.any()
    assert flow.voltage.tolist() == [[1.0]]
    assert flow.loading.isfinite().all()


def test_not_a_number_is_never_a_solution() -> None:
    flow = power_flow.solve(
        GRID, torch.full((1, 3), torch.nan, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    )
    assert not flow.converged.any()
    assert flow.loading.isnan().any()


def test_float32_is_close_to_float64() -> None:
    active = 15.0 * torch.rand(64, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 5.0
    double = power_flow.solve(GRID, active, 0.2 * active)
    single = power_flow.solve(batch.to(GRID, torch.float32), active.float(), 0.2 * active.float())
    assert single.voltage.dtype == single.loading.dtype == torch.float32
    torch.testing.assert_close(single.voltage.double(), double.voltage, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(single.loading.double(), double.loading, atol=1e-5, rtol=0.0)


def test_a_tighter_tolerance_costs_iterations_and_gains_accuracy() -> None:
    active = torch.tensor([[0.0, 12.0, 20.0]], dtype=torch.float64)
    exact, rough = (power_flow.solve(GRID, active, active, tolerance=tolerance) for tolerance in (1e-13, 1e-3))
    assert rough.converged.all()
    assert exact.iterations > rough.iterations
    assert 1e-9 < (exact.voltage - rough.voltage).abs().max() < 1e-3
    assert not power_flow.solve(GRID, active, active, max_iterations=3).converged.any()


def test_gradients_are_those_of_the_solution() -> None:
    """Against finite differences, at moderate load, export and near collapse, of both outputs by both inputs."""
    active = torch.tensor(
        [[0.0, 8.0, 11.0], [1.0, -12.0, -9.0], [0.0, 0.0, 138.0]], dtype=torch.float64, requires_grad=True
    )
    reactive = torch.tensor(
        [[0.0, 1.0, 3.0], [0.5, 2.0, -3.0], [1.0, 0.0, 10.0]], dtype=torch.float64, requires_grad=True
    )
    assert power_flow.solve(GRID, active, reactive).converged.all()

    def outputs(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        flow = power_flow.solve(GRID, p, q, tolerance=1e-13, max_iterations=600)
        return flow.voltage, flow.loading

    assert torch.autograd.gradcheck(outputs, (active, reactive), eps=1e-4, atol=1e-8, rtol=1e-5)


def test_gradients_of_a_row_without_solution_are_zero() -> None:
    active = torch.tensor([[0.0, 8.0, 11.0], [0.0, 1e4, 0.0]], dtype=torch.float64, requires_grad=True)
    power_flow.solve(GRID, active, torch.zeros_like(active)).voltage.sum().backward()
    assert active.grad is not None
    assert (active.grad[0] < 0.0).all()
    assert active.grad[1].tolist() == [0.0, 0.0, 0.0]


def test_impedance_scales_the_voltage_drop() -> None:
    stiff = replace(GRID, impedance=0.5 * GRID.impedance)
    active = torch.tensor([[0.0, 5.0, 5.0]], dtype=torch.float64)
    none = power_flow.solve(GRID, 0.0 * active, 0.0 * active).voltage
    drops = [none - power_flow.solve(grid, active, 0.0 * active).voltage for grid in (GRID, stiff)]
    assert torch.allclose(drops[0], 2.0 * drops[1], rtol=0.05)
