"""A tape that is ready to be played: recordings of several slots, compared and laid out in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env import kernels
from totalflex_env.tape import play
from totalflex_env.tape.record import Buffer, Call, Piece, Recorder, RecordingError

Whole = NDArray[np.int64]
_CONSTANTS, _SCRATCH, _RESULTS, _ARGUMENTS = range(4)  # bases; each argument has one of its own
_WORD = 8  # bytes
_LINE = 64  # bytes to which memory is aligned
_NUMPY = {
    torch.float64: np.dtype(np.float64),
    torch.int64: np.dtype(np.int64),
    torch.bool: np.dtype(np.bool_),
    torch.float32: np.dtype(np.float32),
    torch.int32: np.dtype(np.int32),
    torch.int8: np.dtype(np.int8),
}


@dataclass(frozen=True)
class Take:
    """A recording of one slot, and where it left what the function returned."""

    slot: int
    recorder: Recorder
    results: tuple[Piece, ...]


class _Place:
    """Where a contiguous tensor lies that a kernel is given."""

    def __init__(self, where: tuple[int, int], piece: Piece, start: int, growth: int) -> None:
        (self.base, offset), self._shape = where, piece.shape
        self._kind = _NUMPY[piece.dtype]
        self._size = self._kind.itemsize * math.prod(piece.shape)
        self._start, self._growth = offset + start, growth  # bytes in slot 0, bytes per slot
        self._memory: object = None
        self._bytes: NDArray[np.uint8]
        self._array: NDArray[Any]

    @property
    def stays(self) -> bool:
        """Whether it is the same memory in every slot and at every call."""
        return self.base < _ARGUMENTS and not self._growth

    def array(self, memory: Tensor, slot: int) -> NDArray[Any]:
        """Return it as an array on the memory of its base."""
        other = memory is not self._memory
        if other:
            self._bytes, self._memory = memory.numpy().reshape(-1).view(np.uint8), memory
        if other or self._growth:
            begin = self._start + self._growth * slot
            self._array = self._bytes[begin : begin + self._size].view(self._kind).reshape(self._shape)
        return self._array


@dataclass(frozen=True)
class _Call:
    """A kernel, how many instructions come before it, and its numbers in slot 0 and what they grow by."""

    after: int
    name: str
    arrays: tuple[list[NDArray[Any]], list[NDArray[Any]]]  # inputs, outputs
    moving: list[tuple[list[NDArray[Any]], int, _Place]]  # of these: where arrays have to be found anew for a slot
    scratch: int
    numbers: Whole
    growth: Whole

    def run(self, memory: Sequence[Tensor], slot: int) -> None:
        """Run the kernel on the memory of all bases."""
        for arrays, index, place in self.moving:
            arrays[index] = place.array(memory[place.base], slot)
        kernels.run(self.name, *self.arrays, self.scratch, (self.numbers + self.growth * slot).tolist())


class Deck:
    """Plays what recordings have in common; offsets and whole numbers that differ between them grow with the slot."""

    def __init__(self, takes: Sequence[Take]) -> None:
        slots, recorders = [take.slot for take in takes], [take.recorder for take in takes]
        buffers, calls = recorders[0].buffers, [recorder.calls for recorder in recorders]
        _same("buffers", [[(b.size, b.argument, b.constant is None) for b in each.buffers] for each in recorders])
        _same("results", [take.results for take in takes])
        _same("kernels", [[_told(call) for call in each] for each in calls])
        results = takes[0].results
        self._where, sizes = _layout(buffers, {piece.buffer for piece in results})
        rows = [np.array(recorder.rows, np.int64).reshape(-1, play.COLUMNS) for recorder in recorders]
        self._table, self._growth = self._instructions(*_growing(slots, rows))
        words = [np.concatenate([_words(buffer) for buffer in each.buffers]) for each in recorders]
        self._constants, self._steps = _growing(slots, words)
        self._moving = np.flatnonzero(self._steps)
        self._memory = [torch.from_numpy(self._constants.copy())]  # of every base
        self._memory += [torch.zeros(sizes[base] // _WORD, dtype=torch.int64) for base in (_SCRATCH, _RESULTS)]
        self._memory += [torch.empty(0)] * recorders[0].arguments
        self._bases = np.array([memory.data_ptr() for memory in self._memory], np.int64)
        self._calls = [self._call(slots, column) for column in zip(*calls)]
        self._views = [self._view(piece) for piece in results]

    def play(self, slot: int, arguments: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors that the function returns in `slot`, in memory of their own."""
        self._take(arguments)
        memory = self._memory
        memory[_CONSTANTS].numpy()[self._moving] = self._constants[self._moving] + self._steps[self._moving] * slot
        begin = 0
        for call in self._calls:
            play.play(self._table, self._growth, (begin, call.after), slot, self._bases)
            call.run(memory, slot)
            begin = call.after
        play.play(self._table, self._growth, (begin, len(self._table)), slot, self._bases)
        results = memory[_RESULTS].clone()
        seen = {dtype: results.view(dtype) for dtype in {view[0] for view in self._views}}
        return [seen[dtype].as_strided(shape, strides, begin) for dtype, shape, strides, begin in self._views]

    def _take(self, arguments: Sequence[Tensor]) -> None:
        """Find out where the arguments lie; most are the tensors of the slot before, and not looked at again."""
        for base, tensor in enumerate(arguments, _ARGUMENTS):
            if tensor is not self._memory[base]:
                self._memory[base] = tensor.contiguous()  # a copy is another tensor, so that it is made anew each time
                self._bases[base] = self._memory[base].data_ptr()

    def _view(self, piece: Piece) -> tuple[torch.dtype, tuple[int, ...], tuple[int, ...], int]:
        """How a result is seen in the memory of all results: type, shape, strides and first number."""
        like = torch.empty(piece.shape, dtype=piece.dtype)
        begin = (self._where[piece.buffer][1] + piece.start) // like.element_size()
        return piece.dtype, piece.shape, like.stride(), begin

    def _instructions(self, table: Whole, growth: Whole) -> tuple[Whole, Whole]:
        """The instructions with addresses for buffers, and what their offsets grow by."""
        columns = [play.FIRST + operand * play.PLACE for operand in range(play.OPERANDS)]
        starts = [column + 1 for column in columns]
        if np.delete(growth, starts, axis=1).any():
            raise RecordingError("instructions change with the slot")
        where = np.array(self._where, np.int64).reshape(-1, 2)
        for column in columns:
            table[:, column + 1] += where[table[:, column], 1]
            table[:, column] = where[table[:, column], 0]
        return table, np.ascontiguousarray(growth[:, starts])

    def _call(self, slots: Sequence[int], calls: Sequence[Call]) -> _Call:
        first, count = calls[0], len(calls[0].inputs)
        places = [[(piece.start) for piece in (*call.inputs, *call.outputs)] for call in calls]
        start, growth = _growing(slots, [np.array(each, np.int64) for each in places])
        numbers = _growing(slots, [np.array(call.numbers, np.int64) for call in calls])
        inputs: list[NDArray[Any]] = []
        outputs: list[NDArray[Any]] = []
        moving = []
        for index, piece in enumerate((*first.inputs, *first.outputs)):
            place = _Place(self._where[piece.buffer], piece, int(start[index]), int(growth[index]))
            arrays = inputs if index < count else outputs
            if not place.stays:
                moving.append((arrays, len(arrays), place))
            arrays.append(place.array(self._memory[place.base], 0) if place.stays else np.empty(0))
        return _Call(first.after, first.name, (inputs, outputs), moving, first.scratch, *numbers)


def _growing(slots: Sequence[int], numbers: Sequence[Whole]) -> tuple[Whole, Whole]:
    """What numbers are in slot 0 and grow by per slot, if they grow evenly."""
    if len({each.shape for each in numbers}) > 1:
        raise RecordingError("another number of operations in another slot")
    with np.errstate(over="ignore"):
        growth = (numbers[1] - numbers[0]) // (slots[1] - slots[0])
        begin = numbers[0] - growth * slots[0]
        if any((begin + growth * slot != each).any() for slot, each in zip(slots, numbers)):
            raise RecordingError("what does not grow evenly with the slot")
    return begin, growth


def _layout(buffers: Sequence[Buffer], returned: set[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Base and bytes beyond it of every buffer, and how many bytes each base has."""
    where, sizes = [], [0] * _ARGUMENTS
    for index, buffer in enumerate(buffers):
        if buffer.argument is not None:
            where.append((_ARGUMENTS + buffer.argument, 0))
            continue
        base = _CONSTANTS if buffer.constant is not None else _RESULTS if index in returned else _SCRATCH
        where.append((base, sizes[base]))
        unit = _WORD if base == _CONSTANTS else _LINE
        sizes[base] += -(-buffer.size // unit) * unit
    return where, sizes


def _words(buffer: Buffer) -> Whole:
    if buffer.constant is None:
        return np.zeros(0, np.int64)
    return np.concatenate([buffer.constant, np.zeros(-buffer.size % _WORD, np.uint8)]).view(np.int64)


def _told(call: Call) -> tuple[Any, ...]:
    """What of a call is the same in every slot."""
    pieces = [(piece.buffer, piece.shape, piece.dtype) for piece in (*call.inputs, *call.outputs)]
    return call.after, call.name, len(call.inputs), pieces, call.scratch


def _same(what: str, told: Sequence[Any]) -> None:
    if any(each != told[0] for each in told):
        raise RecordingError(f"other {what} in another slot")
