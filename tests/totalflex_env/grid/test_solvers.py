from __future__ import annotations

import pytest
import torch

from totalflex_env import batch
from totalflex_env.grid import network, power_flow, solvers, tree

GRID = network.from_pandapower(network.two_house_feeder())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_gradients_the_tree_answers_in_the_precision_of_the_question(dtype: torch.dtype) -> None:
    active = torch.tensor([[0.0, 8.0, 11.0], [0.0, 1e4, 0.0]], dtype=dtype)
    flow, exact = solvers.solve(GRID, active, 0.2 * active), tree.solve(GRID, active.double(), (0.2 * active).double())
    assert flow.voltage.dtype == flow.loading.dtype == dtype
    assert torch.equal(flow.voltage, exact.voltage.to(dtype)) and torch.equal(flow.loading, exact.loading.to(dtype))
    assert flow.converged.tolist() == [True, False]


def test_with_gradients_the_fixed_point_answers() -> None:
    active = torch.tensor([[0.0, 8.0, 11.0]], dtype=torch.float64, requires_grad=True)
    flow = solvers.solve(GRID, active, torch.zeros_like(active))
    assert batch.equal(flow, power_flow.solve(GRID, active, torch.zeros_like(active)))
    flow.voltage.sum().backward()
    assert active.grad is not None and (active.grad[0] < 0.0).all()
    with torch.no_grad():
        assert not solvers.solve(GRID, active, torch.zeros_like(active)).voltage.requires_grad


def test_a_stronger_grid_carries_more_alike_in_both_solvers() -> None:
    active, strong = torch.tensor([[0.0, 8.0, 11.0]], dtype=torch.float64), network.strengthened(GRID, 50.0)
    expected = tree.solve(GRID, active, 0.2 * active)
    for found in (tree.solve, power_flow.solve):
        flow = found(strong, 50.0 * active, 10.0 * active)
        torch.testing.assert_close(flow.voltage, expected.voltage, rtol=0.0, atol=1e-7)
        torch.testing.assert_close(flow.loading, expected.loading, rtol=0.0, atol=1e-6)
