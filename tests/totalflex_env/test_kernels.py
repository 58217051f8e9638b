"""Kernels: rows on the CPU, threads on a simulated GPU, nothing on tensors without numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import torch

from totalflex_env.kernels import kernel

SIMULATION = """
import numpy as np
from totalflex_env import kernels
from totalflex_env.market import merit_order

name = "totalflex_env.market.merit_order._clear_rows"
draw = np.random.default_rng(0)
rows, segments, houses = 5, 12, 3
members = np.array([[True, False, False], [True, True, True]])
fixed = draw.integers(-3, 4, (rows, houses))
book = (
    draw.integers(0, 5, (rows, segments)), draw.integers(-4, 8, (rows, segments)), draw.integers(0, houses, segments),
    fixed, fixed.sum(axis=1), np.sort(draw.integers(-3, 8, (rows, 2)), axis=1), draw.integers(0, 5, (rows, 2)),
    draw.integers(-6, 3, rows), draw.integers(0, 6, (rows, 2)), members, draw.integers(0, 6, rows),
)
size = merit_order.scratch_numbers(segments, 2, houses)
found = []
for run in (kernels._loops[name], None):
    award = tuple(np.empty(shape, np.int64) for shape in ((rows, segments), rows, (rows, houses)))
    if run is not None:
        run((0, rows, 1), book, award, np.empty((1, size), np.int64), ())
    else:
        kernels._threads(name)[1, 4](rows, book, award, (np.empty((rows, size), np.int64),), ())
    found.append(award)
assert all((one == other).all() for one, other in zip(*found))
print("the same award")
"""


@kernel
def _add(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    for row in range(rows[0], rows[1], rows[2]):
        scratch[row % len(scratch), 0] = numbers[0]
        outputs[0][row] = inputs[0][row].sum() + scratch[row % len(scratch), 0]


def test_every_row_is_filled() -> None:
    values, sums = torch.arange(6.0).reshape(3, 2), torch.empty(3)
    _add([values], [sums], 1, [10])
    assert sums.tolist() == [11.0, 15.0, 19.0]


def test_no_rows_are_no_work() -> None:
    _add([torch.empty(0, 2)], [torch.empty(0)], 1, [10])


def test_tensors_without_numbers_keep_their_shape() -> None:
    sums = torch.empty(3, device="meta")
    _add([torch.empty(3, 2, device="meta")], [sums], 1, [10])
    assert sums.shape == (3,)


def test_threads_of_a_gpu_do_what_the_loop_does() -> None:
    """numba's simulator runs the threads one after the other in Python; a real GPU was not at hand."""
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run([sys.executable, "-c", SIMULATION], env=simulated, capture_output=True, text=True, check=False)
    assert run.stdout == "the same award\n", run.stderr
