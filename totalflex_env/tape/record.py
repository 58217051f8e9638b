"""What records a tape: the operations of torch as they happen, written down as instructions of `play`.

Memory is written down as buffers: the tensors that the recorded function is given, what operations compute, and all
else that operations read, which is taken to be constant. Views are the same buffer seen otherwise and leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from totalflex_env.tape import play

TYPES = {
    torch.float64: play.FLOAT64,
    torch.int64: play.INT64,
    torch.bool: play.BOOL,
    torch.float32: play.FLOAT32,
    torch.int32: play.INT32,
    torch.int8: play.INT8,
}
FACTORIES = {f"aten::{name}" for name in (
    "new_zeros", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like", "new_full", "scalar_tensor", "arange",
    "linspace",
)}  # fmt: skip
"""What makes constants, if they are constant."""
EMPTY = {"aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided"}
VIEWS = {f"aten::{name}" for name in (
    "select", "slice", "expand", "unsqueeze", "squeeze", "view", "_unsafe_view", "split", "split_with_sizes", "unbind",
    "permute", "t", "transpose", "detach", "alias", "lift_fresh", "as_strided", "diagonal", "unfold",
)}  # fmt: skip
Operand = Tensor | float | int | bool
Handler = Callable[..., None]
"""Writes an operation down, given a recorder, what the operation returned, and its arguments."""


class RecordingError(Exception):
    """A function does what cannot be written down; the message says what."""


@dataclass
class Buffer:
    """A piece of memory: that of an argument, the bytes of a constant, or neither where it is computed."""

    size: int  # bytes
    argument: int | None = None
    constant: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Piece:
    """A contiguous tensor in a buffer."""

    buffer: int
    start: int  # bytes
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Call:
    """A kernel that is called between two instructions."""

    after: int  # instructions
    name: str
    inputs: tuple[Piece, ...]
    outputs: tuple[Piece, ...]
    scratch: int
    numbers: tuple[int, ...]


class Recorder(TorchDispatchMode):
    """Writes down what torch does while it is entered; arguments are contiguous and own their memory."""

    def __init__(self, arguments: Sequence[Tensor], handlers: Mapping[str, Handler]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._handlers = handlers
        self.rows: list[list[int]] = []
        self.calls: list[Call] = []
        self.buffers = [Buffer(8, constant=np.zeros(8, np.uint8))]  # what operands are that an instruction lacks
        self.failure: str | None = None
        self.arguments = len(arguments)
        self._known: dict[int, int] = {0: 0}  # address of memory -> buffer; empty tensors have none
        self._alive: list[Tensor] = []  # so that no memory is used twice
        for place, tensor in enumerate(arguments):
            self._remember(tensor, Buffer(tensor.untyped_storage().nbytes(), argument=place))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what torch would, and write it down."""
        result = func(*args, **(kwargs or {}))
        if self.failure is None:
            try:
                self._write(func, result, args, kwargs or {})
            except RecordingError as failure:
                self.failure = f"{func}: {failure}"
        return result

    def _write(self, func: Any, result: Any, args: Any, kwargs: Any) -> None:
        name = func._schema.name
        if name == "totalflex::kernel":
            self._call(*args, **kwargs)
        elif name in self._handlers:
            self._handlers[name](self, result, *args, **kwargs)
        elif name in EMPTY:
            self.computed(result)
        elif name in FACTORIES:
            self.buffer(result)
        elif name not in VIEWS:
            raise RecordingError("not among the operations that can be")

    def _remember(self, tensor: Tensor, buffer: Buffer) -> int:
        self._alive.append(tensor)
        address = tensor.untyped_storage().data_ptr()
        if address != 0:
            self._known[address] = len(self.buffers)
            self.buffers.append(buffer)
        return self._known[address]

    def computed(self, tensor: Tensor) -> int:
        """Return the buffer of a tensor that is computed, a new one if its memory has not been seen."""
        found = self._known.get(tensor.untyped_storage().data_ptr())
        if found is None:
            return self._remember(tensor, Buffer(tensor.untyped_storage().nbytes()))
        if self.buffers[found].argument is not None or (found and self.buffers[found].constant is not None):
            raise RecordingError("writes over an argument or a constant")
        return found

    def buffer(self, tensor: Tensor) -> int:
        """Return the buffer of a tensor that is read; what has not been seen is a constant."""
        storage = tensor.untyped_storage()
        found = self._known.get(storage.data_ptr())
        if found is not None:
            return found
        content = torch.empty(0, dtype=torch.uint8).set_(storage).numpy().copy()
        return self._remember(tensor, Buffer(storage.nbytes(), constant=content))

    def piece(self, tensor: Tensor) -> Piece:
        """Return where a contiguous tensor lies."""
        if not tensor.is_contiguous():
            raise RecordingError("a kernel is given a tensor that is not contiguous")
        start = int(tensor.storage_offset()) * tensor.element_size()
        return Piece(self.buffer(tensor), start, tuple(tensor.shape), tensor.dtype)

    def result(self, tensor: Tensor) -> Piece:
        """Return where a tensor lies that the function returns, copied unless it is computed and contiguous."""
        found = self._known.get(tensor.untyped_storage().data_ptr())
        of = None if found is None else self.buffers[found]
        if of is None or of.argument is not None or of.constant is not None or not tensor.is_contiguous():
            tensor, original = torch.empty_like(tensor, memory_format=torch.contiguous_format), tensor
            self.emit(play.COPY, tensor, original)
        return self.piece(tensor)

    def _call(self, name: str, inputs: Any, outputs: Any, scratch: int = 0, numbers: Sequence[int] = ()) -> None:
        for tensor in outputs:
            self.computed(tensor)
        pieces = [tuple(self.piece(tensor) for tensor in group) for group in (inputs, outputs)]
        self.calls.append(Call(len(self.rows), name, pieces[0], pieces[1], scratch, tuple(numbers)))

    def emit(self, what: int, out: Tensor, *operands: Operand, beside: tuple[int, ...] = ()) -> None:
        """Write down an instruction over the shape of `out`, with which the operands are broadcast.

        It computes with whole numbers if no operand and no result has a point.
        """
        self.over(tuple(out.shape), what, out, *operands, beside=beside)

    def over(
        self, shape: tuple[int, ...], what: int, out: Tensor, *operands: Operand, beside: tuple[int, ...] = ()
    ) -> None:
        """Write down an instruction over any shape, with which all operands, `out` among them, are broadcast."""
        if 0 in shape:
            return
        self.computed(out)
        given = [out, *(each if isinstance(each, Tensor) else _scalar(each) for each in operands)]
        indexed = what >= play.GATHER
        if not any(tensor.dtype.is_floating_point for tensor in (given[:2] if indexed else given)):
            what += play.WHOLE
        loops = [axis for axis, size in enumerate(shape) if size > 1]
        if len(loops) > play.SIZES:
            raise RecordingError(f"{len(loops)} axes")
        lead = [0] * (play.SIZES - len(loops))
        row = [what, *(1 for _ in lead), *(shape[axis] for axis in loops)]
        for tensor in given:
            step, missing = tensor.element_size(), len(shape) - tensor.dim()
            strides = [
                0 if axis < missing or tensor.shape[axis - missing] == 1 else tensor.stride(axis - missing) * step
                for axis in loops
            ]
            row += [self.buffer(tensor), int(tensor.storage_offset()) * step, TYPES[tensor.dtype], *lead, *strides]
        row += ([0, 0, play.FLOAT64] + [0] * play.SIZES) * (play.OPERANDS - len(given))
        self.rows.append(row + [*beside, 0, 0][:2])


def _scalar(value: float | int | bool) -> Tensor:
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
