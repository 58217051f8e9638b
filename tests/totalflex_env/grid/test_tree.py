from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pandapower.networks as pn
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env import batch
from totalflex_env.grid import network, power_flow, tree
from totalflex_env.grid_model import GridModel, PowerFlow

FEEDER = network.from_pandapower(network.two_house_feeder())
VILLAGE = network.from_pandapower(pn.create_cigre_network_lv())


def draw(grid: GridModel, rows: int, kw: float = 15.0) -> tuple[Tensor, Tensor]:
    """Random consumption and production of up to kw per node."""
    noise = torch.rand(2, rows, len(grid.node_names), generator=torch.Generator().manual_seed(rows)).double()
    return kw * (2.0 * noise[0] - 0.7), kw * (0.6 * noise[1] - 0.1)


def same(left: PowerFlow, right: PowerFlow, tolerance: float) -> bool:
    left_values, right_values = vars(left), vars(right)
    return all(
        torch.allclose(left_values[name].double(), right_values[name].double(), rtol=0.0, atol=tolerance)
        for name in (field.name for field in fields(PowerFlow))
        if name != "iterations"
    )


@pytest.mark.parametrize("grid", [FEEDER, VILLAGE])
@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 100])
def test_equals_the_dense_power_flow(grid: GridModel, rows: int) -> None:
    """Rows one by one, one block of them, and blocks that overlap at the end."""
    power = draw(grid, rows)
    swept, dense = tree.solve(grid, *power), power_flow.solve(grid, *power)
    assert swept.converged.all()
    assert (swept.voltage.shape, swept.loading.shape) == (dense.voltage.shape, dense.loading.shape)
    assert same(swept, dense, 1e-8)
    tight = tree.solve(grid, *power, tolerance=1e-13)
    assert same(tight, power_flow.solve(grid, *power, tolerance=1e-13), 1e-11)
    assert (tight.iterations >= swept.iterations).all()


@settings(max_examples=30)
@given(st.lists(st.floats(-80, 80), min_size=1, max_size=40), st.sampled_from([1e-8, 1e-3]))
def test_a_row_is_the_same_alone_and_in_any_company(kw: list[float], tolerance: float) -> None:
    """Neighbours in a block that iterate longer, or forever, change nothing: not even the last bit."""
    active = torch.tensor([[0.0, 1e4, 0.0], *([0.0, 0.5 * power, power] for power in kw)], dtype=torch.float64)
    together = tree.solve(FEEDER, active, 0.3 * active, tolerance)
    for row in range(len(active)):
        alone = tree.solve(FEEDER, active[row : row + 1], 0.3 * active[row : row + 1], tolerance)
        assert batch.equal(batch.take_rows(together, torch.tensor([row])), alone)


@given(st.floats(1e3, 1e12), st.floats(-1e12, 1e12))
def test_a_load_beyond_the_last_solvable_one_is_flagged_and_finite(kw: float, kvar: float) -> None:
    active = torch.tensor([[0.0, kw, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    reactive = torch.tensor([[0.0, 0.0, kvar], [0.0, 0.0, 0.0]], dtype=torch.float64)
    flow = tree.solve(FEEDER, active, reactive)
    assert flow.converged.tolist() == [False, True]
    assert flow.iterations[0] == tree.MAX_ITERATIONS
    assert flow.voltage.isfinite().all() and flow.loading.isfinite().all()


def test_what_is_no_number_is_not_converged_and_stays_in_its_row() -> None:
    active = torch.tensor([[0.0, torch.nan, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    flow = tree.solve(FEEDER, active, torch.zeros_like(active))
    assert flow.converged.tolist() == [False, True]
    assert flow.voltage[1].isfinite().all()


def test_bad_input_is_refused_before_compiled_code_reads_it() -> None:
    power = torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"reactive_kvar is torch\.float32"):
        tree.solve(FEEDER, power, power.float())
    for active, reactive in ((power[:, :2], power[:, :2]), (power, power[:1]), (power[0], power[0])):
        with pytest.raises(ValueError, match="has the shape"):
            tree.solve(FEEDER, active, reactive)


def test_views_and_leaves_that_want_gradients_are_read() -> None:
    active, reactive = draw(FEEDER, 20)
    expected = tree.solve(FEEDER, active, reactive)
    strided = torch.stack([active, reactive], dim=-1).requires_grad_()
    assert same(tree.solve(FEEDER, strided[..., 0], strided[..., 1]), expected, 0.0)


def test_a_model_of_single_precision_solves_in_double() -> None:
    power = draw(FEEDER, 3)
    assert same(tree.solve(batch.to(FEEDER, torch.float32), *power), tree.solve(FEEDER, *power), 0.0)


def test_threads_solve_at_the_same_time() -> None:
    active, reactive = draw(VILLAGE, 400)
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda part: tree.solve(VILLAGE, *part), zip(active.chunk(2), reactive.chunk(2)))
    assert batch.equal(batch.concatenate_rows(list(halves)), tree.solve(VILLAGE, active, reactive))


@pytest.mark.slow
def test_processes_may_compile_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import torch; from totalflex_env.grid import network, tree; "
        "grid = network.from_pandapower(network.two_house_feeder()); "
        "power = torch.ones(1, 3, dtype=torch.float64); print(tree.solve(grid, power, power).voltage.tolist())"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate()[0] for process in running}
    assert len(outputs) == 1 and all(process.returncode == 0 for process in running)
    assert list(tmp_path.rglob("*.nbc"))
