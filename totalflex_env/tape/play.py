"""What plays a tape: a loop over instructions, each of them a loop over the elements of at most three tensors.

An instruction is a row of a table of int64 numbers: what to do, the four sizes of its loop, and four operands, the
result first. An operand is a place in memory: the number of a base address, bytes beyond it, the type of its numbers,
and how many bytes it moves along each size. Bytes beyond the base may grow with the slot.

Numbers are computed as float64 or as int64 and rounded to the type of the result. Nothing checks that an operand lies
inside its memory: what was recorded did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.extending import intrinsic

from totalflex_env.compiled import compiled

SIZES = 4
OPERANDS = 4
FIRST = 1 + SIZES  # column of the first operand
PLACE = 3 + SIZES  # columns of an operand: base, bytes, type, steps
BESIDE = FIRST + OPERANDS * PLACE  # two columns: bytes that an index of the second and of the third operand stands for
COLUMNS = BESIDE + 2

# What is the same for whole numbers.
(COPY, ADD, SUB, MUL, MIN, MAX, SELECT, NEG, ABS, SUM, SUM_OF_PRODUCTS, LEAST, MOST) = range(13)
# Comparisons and signs.
(LESS, AT_MOST, EQUAL, UNEQUAL, NOT, SIGN) = range(13, 19)
# What is for numbers with a point, the first of them also for whole ones.
(FLOOR_DIVIDE, DIV, EXP, SQRT, POWER, ROUND, FLOOR, CEIL, ERF, COS, TAN, ARCTAN, ARCCOS, HYPOT) = range(19, 33)
INTERPOLATE = 33
# What has indices as the second and third operand: into the source, or, of those that scatter, into the result.
(GATHER, SCATTER, SCATTER_SUM, SCATTER_LEAST) = range(34, 38)
WHOLE = 64
"""Added to an instruction that computes with whole numbers."""

FLOAT64, INT64, BOOL, FLOAT32, INT32, INT8 = range(6)


def _memory(kind: Any, seen: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What reads and what writes a number of this type at an address."""

    @intrinsic
    def read(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.load(builder.inttoptr(values[0], kind.as_pointer()))

        return seen(types.int64), generate

    @intrinsic
    def write(typing: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            builder.store(values[1], builder.inttoptr(values[0], kind.as_pointer()))
            return context.get_dummy_value()

        return types.void(types.int64, seen), generate

    return read, write


_read_float64, _write_float64 = _memory(ir.DoubleType(), types.float64)
_read_float32, _write_float32 = _memory(ir.FloatType(), types.float32)
_read_int64, _write_int64 = _memory(ir.IntType(64), types.int64)
_read_int32, _write_int32 = _memory(ir.IntType(32), types.int32)
_read_int8, _write_int8 = _memory(ir.IntType(8), types.int8)


@njit(error_model="numpy")
def _whole_at(address: Any, kind: Any) -> Any:
    """The whole number at an address."""
    if kind == INT64:
        return _read_int64(address)
    if kind == INT32:
        return types.int64(_read_int32(address))
    return types.int64(_read_int8(address))


@njit(error_model="numpy")
def _number_at(address: Any, kind: Any) -> Any:
    """The number at an address."""
    if kind == FLOAT64:
        return _read_float64(address)
    if kind == FLOAT32:
        return types.float64(_read_float32(address))
    return types.float64(_whole_at(address, kind))


@njit(error_model="numpy")
def _put(address: Any, kind: Any, value: Any) -> None:
    """Write a number, float64 or int64, as one of another type."""
    if kind == FLOAT64:
        _write_float64(address, types.float64(value))
    elif kind == FLOAT32:
        _write_float32(address, types.float32(value))
    elif kind == INT64:
        _write_int64(address, types.int64(value))
    elif kind == BOOL:
        _write_int8(address, types.int8(value != 0))
    elif kind == INT32:
        _write_int32(address, types.int32(value))
    else:
        _write_int8(address, types.int8(value))


@njit(error_model="numpy")
def _either(what: Any, a: Any, b: Any, c: Any, so_far: Any) -> Any:
    """What an instruction makes of numbers that are all float64 or all int64."""
    if what == MUL:
        return a * b
    if what == ADD:
        return a + b
    if what == SUB:
        return a - b
    if what == MIN:
        return a if a < b or a != a else b  # NaN if one of them is, as in torch
    if what == MAX:
        return a if a > b or a != a else b
    if what == SELECT:
        return b if a != 0 else c
    if what == NEG:
        return -a
    if what == ABS:
        return abs(a)
    if what in (SUM, SCATTER_SUM):
        return so_far + a
    if what == SUM_OF_PRODUCTS:
        return so_far + a * b
    if what in (LEAST, SCATTER_LEAST):
        return min(a, so_far)
    if what == MOST:
        return max(a, so_far)
    return a  # COPY, GATHER and SCATTER


@njit(error_model="numpy")
def _truth(what: Any, a: Any, b: Any) -> Any:
    """A comparison or a sign, -1, 0 or 1."""
    if what == LESS:
        return int(a < b)
    if what == AT_MOST:
        return int(a <= b)
    if what == EQUAL:
        return int(a == b)
    if what == UNEQUAL:
        return int(a != b)
    if what == NOT:
        return int(a == 0)
    return int(a > 0) - int(a < 0)


@njit(error_model="numpy")
def _of_numbers(what: Any, a: Any, b: Any, c: Any, so_far: Any) -> Any:
    """What an instruction makes of float64 numbers."""
    if what < LESS or what >= GATHER:
        return _either(what, a, b, c, so_far)
    if what == DIV:
        return a / b
    if what == EXP:
        return math.exp(a)
    if what == SQRT:
        return math.sqrt(a)
    if what == POWER:
        return math.pow(a, b)
    if what == ROUND:
        return np.rint(a)
    if what == FLOOR:
        return np.floor(a)
    if what == CEIL:
        return np.ceil(a)
    if what == ERF:
        return math.erf(a)
    if what == COS:
        return math.cos(a)
    if what == TAN:
        return math.tan(a)
    if what == ARCTAN:
        return math.atan(a)
    if what == ARCCOS:
        return math.acos(a)
    if what == HYPOT:
        return math.hypot(a, b)
    if what == FLOOR_DIVIDE:
        return np.floor(a / b)
    return a + c * (b - a) if abs(c) < 0.5 else b - (b - a) * (1.0 - c)  # INTERPOLATE


@njit(error_model="numpy")
def _line(what: int, count: int, at: Any, kinds: Any, steps: Any, beside: Any) -> None:
    """Carry out an instruction along its last size."""
    out, first, second, third = at
    for _ in range(count):
        place, source = out, first
        if what % WHOLE == GATHER:
            source += _whole_at(second, kinds[2]) * beside[0] + _whole_at(third, kinds[3]) * beside[1]
        elif what % WHOLE > GATHER:
            place += _whole_at(second, kinds[2]) * beside[0]
        if what >= WHOLE:
            a, b, c = _whole_at(source, kinds[1]), _whole_at(second, kinds[2]), _whole_at(third, kinds[3])
            if LESS <= what - WHOLE <= SIGN:
                _put(place, kinds[0], _truth(what - WHOLE, a, b))
            elif what - WHOLE == FLOOR_DIVIDE:
                _put(place, kinds[0], a // b)
            else:
                _put(place, kinds[0], _either(what - WHOLE, a, b, c, _whole_at(place, kinds[0])))
        else:
            x, y, z = _number_at(source, kinds[1]), _number_at(second, kinds[2]), _number_at(third, kinds[3])
            if LESS <= what <= SIGN:
                _put(place, kinds[0], _truth(what, x, y))
            else:
                _put(place, kinds[0], _of_numbers(what, x, y, z, _number_at(place, kinds[0])))
        out, first, second, third = out + steps[0], first + steps[1], second + steps[2], third + steps[3]


@njit(error_model="numpy")
def _quick_line(what: int, count: int, at: Any, steps: Any) -> None:
    """The same where all numbers are float64 and nothing is an index or a comparison: what most instructions are."""
    out, first, second, third = at
    for _ in range(count):
        x, y, z = _read_float64(first), _read_float64(second), _read_float64(third)
        _write_float64(out, _of_numbers(what, x, y, z, _read_float64(out)))
        out, first, second, third = out + steps[0], first + steps[1], second + steps[2], third + steps[3]


def _play(table: Any, growing: Any, part: Any, slot: int, bases: Any) -> None:
    at = np.empty(OPERANDS, np.int64)
    for r in range(part[0], part[1]):
        row = table[r]
        for k in range(OPERANDS):
            at[k] = bases[row[FIRST + k * PLACE]] + row[FIRST + k * PLACE + 1] + growing[r, k] * slot
        kinds = (row[FIRST + 2], row[FIRST + PLACE + 2], row[FIRST + 2 * PLACE + 2], row[FIRST + 3 * PLACE + 2])
        computed = row[0] < GATHER and not LESS <= row[0] <= SIGN
        quick = computed and kinds[0] + kinds[1] + kinds[2] + kinds[3] == 4 * FLOAT64
        beside = (row[BESIDE], row[BESIDE + 1])
        o, x, y, z = FIRST + 3, FIRST + PLACE + 3, FIRST + 2 * PLACE + 3, FIRST + 3 * PLACE + 3
        steps = (row[o + 3], row[x + 3], row[y + 3], row[z + 3])
        for i in range(row[1]):
            for j in range(row[2]):
                for k in range(row[3]):
                    start = (
                        at[0] + i * row[o] + j * row[o + 1] + k * row[o + 2],
                        at[1] + i * row[x] + j * row[x + 1] + k * row[x + 2],
                        at[2] + i * row[y] + j * row[y + 1] + k * row[y + 2],
                        at[3] + i * row[z] + j * row[z + 1] + k * row[z + 2],
                    )
                    if quick:
                        _quick_line(row[0], row[4], start, steps)
                    else:
                        _line(row[0], row[4], start, kinds, steps, beside)


play = compiled(_play, reordered=False)
"""Carry out the instructions table[part[0] : part[1]] in `slot` with the addresses `bases`."""
