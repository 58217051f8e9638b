"""Functions of one row of a batch, written once and compiled for the CPU and for CUDA by numba.

Where torch would pass hundreds of times over the whole batch (to sort, to merge, to scan until something is found), a
kernel is a plain function of one row that reads and writes elements of arrays. It runs in a loop over the rows on the
CPU, and in a thread for each row on CUDA, where nobody waits for the result. Kernels are an operator of torch, so that
they can be traced and run on fake tensors. They carry no gradients.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numba import cuda
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.compiled import compiled

Arrays = Sequence[NDArray[Any]]
Loop = Callable[..., None]
"""Works on the rows from the first to an end in steps, a tuple; then come inputs, outputs, scratch and numbers."""

_THREADS = 64  # of a block on CUDA
_loops: dict[str, Loop] = {}
_count = itertools.count()
_library = torch.library.Library("totalflex", "DEF")
_library.define("kernel(str name, Tensor[] inputs, Tensor(a!)[] outputs, int scratch=0, int[] numbers=[]) -> ()")


def kernel(loop: Loop) -> Callable[..., None]:
    """Return a function of `inputs`, `outputs`, `scratch` and `numbers` that fills the outputs.

    All tensors are contiguous; the first output has the rows first. `scratch` says how many int64 numbers of memory a
    row needs, and `numbers` are whole numbers that are the same for all rows.
    """
    name = f"{loop.__module__}.{loop.__qualname__}"
    _loops[name] = compiled(loop)
    return functools.partial(torch.ops.totalflex.kernel.default, name)


def host(function: Loop, owner: object) -> Callable[..., None]:
    """Return the same of a function that is no kernel: it is called as it is, on the CPU, while `owner` lives."""
    name = f"host {next(_count)}"
    _loops[name] = function
    weakref.finalize(owner, _loops.pop, name)
    return functools.partial(torch.ops.totalflex.kernel.default, name)


def run(name: str, inputs: Arrays, outputs: Arrays, scratch: int = 0, numbers: Sequence[int] = ()) -> None:
    """Run a kernel by its name over all rows of arrays on the CPU."""
    room = np.empty((1, scratch), np.int64)
    _loops[name]((0, len(outputs[0]), 1), tuple(inputs), tuple(outputs), room, tuple(numbers))


def _run_on_cpu(
    name: str, inputs: list[Tensor], outputs: list[Tensor], scratch: int = 0, numbers: Sequence[int] = ()
) -> None:
    run(name, [tensor.numpy() for tensor in inputs], [tensor.numpy() for tensor in outputs], scratch, numbers)


def _run_on_cuda(
    name: str, inputs: list[Tensor], outputs: list[Tensor], scratch: int = 0, numbers: Sequence[int] = ()
) -> None:
    rows, device = len(outputs[0]), outputs[0].device
    room = torch.empty(rows, scratch, dtype=torch.int64, device=device)
    stream = cuda.external_stream(torch.cuda.current_stream(device).cuda_stream)
    arrays = [tuple([_on_device(tensor) for tensor in group]) for group in (inputs, outputs, [room])]
    _threads(name)[max(-(-rows // _THREADS), 1), _THREADS, stream](rows, *arrays, tuple(numbers))


def _run_on_nothing(
    name: str, inputs: list[Tensor], outputs: list[Tensor], scratch: int = 0, numbers: Sequence[int] = ()
) -> None:
    """Tensors without numbers: there is nothing to fill."""


def _on_device(tensor: Tensor) -> Any:
    """The same memory as an array of numba; torch orders the work on it by its stream."""
    return cuda.as_cuda_array(tensor, sync=False)  # type: ignore[no-untyped-call]


@functools.cache
def _threads(name: str) -> Any:
    """The loop compiled for CUDA, where each thread takes every n-th row."""
    loop = _loops[name]

    def threads(rows: int, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
        first, step = cuda.grid(1), cuda.gridsize(1)  # type: ignore[attr-defined]
        loop((first, rows, step), inputs, outputs, scratch[0], numbers)

    return cuda.jit(threads)  # type: ignore[no-untyped-call]


_library.impl("kernel", _run_on_cpu, "CPU")
_library.impl("kernel", _run_on_cuda, "CUDA")
_library.impl("kernel", _run_on_nothing, "Meta")
