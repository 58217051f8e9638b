"""The power flow of a radial grid as sweeps over its tree, sixteen rows at a time in the vector registers of the CPU.

The same equations as `grid.power_flow` in the form of `RadialTree`: backward, currents add up from the leaves to the
slack; forward, voltages fall from the slack to the leaves (Shirmohammadi et al., IEEE Trans. Power Systems 3(2), 1988).
That takes about 25 operations per node and iteration, where the dense matrix takes 8 per pair of nodes.

numba does not vectorise the sweeps by itself (a node's row might overlap its feeder's): they are written with a vector
type, `Lanes`, one number of each row of a block. How many rows that are is part of the type of an array of blocks: the
same source makes the code for blocks of sixteen rows and that for single ones, equal to the last bit.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.extending import intrinsic, models, overload, register_model
from torch import Tensor

from totalflex_env.compiled import compiled
from totalflex_env.grid_model import GridModel, Index, PowerFlow, Real

WIDTH = 16  # rows per block: two to eight registers, enough to hide the latency of a division
MAX_ITERATIONS = 120
TOLERANCE = 1e-8  # p.u.; what is then left of the error is below 1e-6 up to 98 % of the last solvable load
_NEVER_ZERO = 1e-60  # least squared voltage, so that rows without a solution wander but stay finite
_BLOCK = {width: np.dtype([("rows", np.float64, width)]) for width in (1, WIDTH)}


def solve(
    grid: GridModel,
    active_kw: Tensor,
    reactive_kvar: Tensor,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    into: tuple[Any, ...] | None = None,
) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    Consumption is float64 on the CPU; results carry no gradients. A row stops when the change of its voltages, taken
    together, is within the tolerance [p.u.], whatever the other rows do; where it never is, `converged` is False and
    the last iterate is returned, finite. Other threads may run meanwhile: the interpreter is not held.
    """
    rows, nodes, elements = active_kw.size(0), len(grid.node_names), len(grid.element_names)
    for name, power in (("active_kw", active_kw), ("reactive_kvar", reactive_kvar)):
        if power.dtype != torch.float64 or not power.is_cpu:
            raise TypeError(f"{name} is {power.dtype} on {power.device.type}, not float64 on the CPU")
        if power.shape != (rows, nodes):
            raise ValueError(f"{name} has the shape {tuple(power.shape)}, not (rows, {nodes})")
    width = WIDTH if rows >= WIDTH else 1
    consumption = tuple(power.detach().contiguous().numpy() for power in (active_kw, reactive_kvar))
    state = np.zeros((3, 2 * (nodes + 1)), _BLOCK[width])
    empty = np.empty((rows, nodes)), np.empty((rows, elements)), np.empty(rows, np.bool_), np.empty(rows, np.int64)
    found = into or empty  # where the caller wants the four results
    tree = grid.tree
    places = (tree.node, tree.feeder, tree.series, tree.current_by_kva, tree.no_load_magnitude)
    branches = (tree.near, tree.far, tree.charging, tree.loading)
    _solve_rows(places, branches, consumption, state, found, (width, float(tolerance), int(max_iterations)))
    return PowerFlow(*(torch.from_numpy(each) for each in found))


class _Lanes(types.Type):
    """The type of a vector of float64 numbers in compiled code."""

    def __init__(self, width: int) -> None:
        super().__init__(name=f"Lanes{width}")
        self.width = width


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.DoubleType(), kind.width))  # type: ignore[no-untyped-call]


def _width(kind: Any) -> int:
    """Numbers in the Lanes of this type, or in a block of this array of blocks; 0 of all other types."""
    if isinstance(kind, types.Array) and isinstance(kind.dtype, types.Record):
        return int(kind.dtype.size) // 8
    return kind.width if isinstance(kind, _Lanes) else 0


def _operation(result: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function that writes LLVM an operation of compiled code, which returns Lanes unless `result` is told.

    The function is given the address for an array, and for a number a vector with that number in every lane.
    """

    def define(write: Callable[..., Any]) -> Callable[..., Any]:
        @intrinsic
        @functools.wraps(write)  # numba matches the arguments of a call with the signature of `write`
        def operation(typing: Any, *arguments: Any) -> Any:
            kinds = [types.intp if isinstance(kind, types.Integer) else kind for kind in arguments]
            width = max(map(_width, kinds))

            def plain(context: Any, builder: Any, kind: Any, value: Any) -> Any:
                if isinstance(kind, types.Array):
                    return context.make_array(kind)(context, builder, value).data
                return _vector(builder, [value] * width) if isinstance(kind, types.Float) else value

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                given = [plain(context, builder, *pair) for pair in zip(kinds, values)]
                return write(builder, *given) or context.get_dummy_value()  # only what returns nothing is void

            return (result or _Lanes(width))(*kinds), generate

        return operation

    return define


def _vector(builder: Any, numbers: list[Any]) -> Any:
    vector = ir.Constant(ir.VectorType(ir.DoubleType(), len(numbers)), ir.Undefined)
    for lane, number in enumerate(numbers):
        vector = builder.insert_element(vector, number, ir.IntType(32)(lane))
    return vector


def _call(builder: Any, name: str, *values: Any) -> Any:
    """Call a function of LLVM that works on all lanes."""
    kind = ir.FunctionType(values[0].type, [value.type for value in values])
    name = f"llvm.{name}.v{values[0].type.count}f64"
    return builder.call(builder.module.declare_intrinsic(name, (), kind), values)


def _arithmetic(symbol: Callable[[Any, Any], Any], instruction: Callable[..., Any]) -> None:
    """Let an operator of Lanes, or of a number and Lanes, be one instruction."""
    emit = _operation()(lambda builder, a, b: instruction(builder, a, b))

    @overload(symbol, strict=False)
    def implement(a: Any, b: Any) -> Any:
        return (lambda a, b: emit(a, b)) if isinstance(a, _Lanes) or isinstance(b, _Lanes) else None


_arithmetic(operator.add, ir.IRBuilder.fadd)
_arithmetic(operator.sub, ir.IRBuilder.fsub)
_arithmetic(operator.mul, ir.IRBuilder.fmul)
_arithmetic(operator.truediv, ir.IRBuilder.fdiv)
# Fused multiply-adds are said, not left to LLVM, whose choice might differ with the width: c + a b and c - a b.
_plus = _operation()(lambda builder, c, a, b: _call(builder, "fmuladd", a, b, c))
_minus = _operation()(lambda builder, c, a, b: _call(builder, "fmuladd", builder.fneg(a), b, c))
_root = _operation()(lambda builder, value: _call(builder, "sqrt", value))
_larger = _operation()(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
# What is kept in the lanes where a number is above the limit or no number at all; 0 elsewhere.
_where_above = _operation()(lambda builder, a, b, c: builder.select(builder.fcmp_unordered(">", a, b), c, c.type(None)))


@_operation(types.boolean)
def _any(builder: Any, number: Any) -> Any:
    """Whether a number is not 0 in some lane."""
    found = builder.fcmp_unordered("!=", number, ir.Constant(number.type, None))
    bits = builder.bitcast(found, ir.IntType(number.type.count))
    return builder.icmp_unsigned("!=", bits, bits.type(0))


@_operation()
def _load(builder: Any, blocks: Any, at: Any) -> Any:
    """A block of an array of blocks; arrays are contiguous and indexed as if they were flat."""
    vector = ir.VectorType(ir.DoubleType(), blocks.type.pointee.count // 8)
    return builder.load(builder.bitcast(builder.gep(blocks, [at]), vector.as_pointer()), align=8)


@_operation(types.void)
def _store(builder: Any, blocks: Any, at: Any, value: Any) -> None:
    """Write a block."""
    builder.store(value, builder.bitcast(builder.gep(blocks, [at]), value.type.as_pointer()), align=8)


@_operation()
def _gather(builder: Any, like: Any, array: Any, start: Any, stride: Any) -> Any:
    """The numbers array[start], array[start + stride], ...: of a column as many as a block of `like` holds."""
    ends = _steps(builder, start, stride, like.type.pointee.count // 8)
    return _vector(builder, [builder.load(builder.gep(array, [end])) for end in ends])


@_operation(types.void)
def _scatter(builder: Any, array: Any, start: Any, stride: Any, value: Any) -> None:
    """Write array[start], array[start + stride], ..."""
    for lane, end in enumerate(_steps(builder, start, stride, value.type.count)):
        builder.store(builder.extract_element(value, ir.IntType(32)(lane)), builder.gep(array, [end]))


def _steps(builder: Any, start: Any, stride: Any, count: int) -> list[Any]:
    return [builder.add(start, builder.mul(stride, stride.type(step))) for step in range(count)]


@njit(error_model="numpy")
def _pack(node: Index, source: Real, active: Real, reactive: Real, first: int, drawn: Any) -> None:
    """Current that each place would draw at u = 1 in the rows from `first` on, as blocks [places, 2]."""
    nodes = len(node)
    for place in range(1, nodes + 1):
        start = first * nodes + node[place - 1]
        kw, kvar = _gather(drawn, active, start, nodes), _gather(drawn, reactive, start, nodes)
        real, imaginary = source[place - 1, 0], source[place - 1, 1]
        _store(drawn, 2 * place, _plus(real * kw, imaginary, kvar))
        _store(drawn, 2 * place + 1, _minus(imaginary * kw, real, kvar))


@njit(error_model="numpy")
def _backward(feeder: Index, j: Any) -> None:
    """Add up the currents j, blocks [places, 2], from the leaves to the slack."""
    for place in range(len(feeder), 0, -1):
        at, to = 2 * place, 2 * feeder[place - 1]
        _store(j, to, _load(j, to) + _load(j, at))
        _store(j, to + 1, _load(j, to + 1) + _load(j, at + 1))


@njit(error_model="numpy")
def _forward(feeder: Index, series: Real, state: Any, moving: Any) -> Any:
    """Move the voltages of the lanes that are 1 in `moving`, set currents to what they then draw; squared change."""
    drawn, u, j = state
    squares = 0.0 * moving
    for place in range(1, len(feeder) + 1):
        at, fed_by = 2 * place, 2 * feeder[place - 1]
        r, x = series[place - 1, 0], series[place - 1, 1]
        j_real, j_imaginary, u_real, u_imaginary = _load(j, at), _load(j, at + 1), _load(u, at), _load(u, at + 1)
        # What the feeder has to add comes last: everything else can be computed before its voltage is known.
        d_real = _load(u, fed_by) + (_minus(r * j_real, x, j_imaginary) - u_real)
        d_imaginary = _load(u, fed_by + 1) + (_plus(r * j_imaginary, x, j_real) - u_imaginary)
        squares = _plus(_plus(squares, d_real, d_real), d_imaginary, d_imaginary)
        u_real, u_imaginary = _plus(u_real, moving, d_real), _plus(u_imaginary, moving, d_imaginary)
        _store(u, at, u_real)
        _store(u, at + 1, u_imaginary)
        inverse = 1.0 / _larger(_plus(u_real * u_real, u_imaginary, u_imaginary), _NEVER_ZERO)
        real, imaginary = u_real * inverse, u_imaginary * inverse  # of 1 / conj(u)
        s_real, s_imaginary = _load(drawn, at), _load(drawn, at + 1)
        _store(j, at, _minus(s_real * real, s_imaginary, imaginary))
        _store(j, at + 1, _plus(s_real * imaginary, s_imaginary, real))
    return squares


@njit(error_model="numpy")
def _iterate(feeder: Index, series: Real, state: Any, tolerance: float, limit: int) -> Any:
    """Iterate from u = 1 until every lane stops, or to the limit; iterations, and 1 in the lanes that did not stop."""
    drawn, u, j = state
    for block in range(len(u)):
        _store(u, block, 1.0 - block % 2)
        _store(j, block, _load(drawn, block))
    moving = _load(u, 0)
    iterations = 0.0 * moving
    for _ in range(limit):
        _backward(feeder, j)
        squares = _forward(feeder, series, state, moving)
        iterations, moving = iterations + moving, _where_above(squares, tolerance * tolerance, moving)
        if not _any(moving):
            break
    _backward(feeder, j)
    return iterations, moving


@njit(error_model="numpy")
def _squared(near: int, far: int, u: Any, j: Any, charging: Real, loading: Real) -> Any:
    """Squared loading at one end of an element, by the voltage at the block `near` and the current at `far`."""
    n_real, n_imaginary, l_real, l_imaginary = charging[0], charging[1], loading[0], loading[1]
    u_real, u_imaginary, j_real, j_imaginary = _load(u, near), _load(u, near + 1), _load(j, far), _load(j, far + 1)
    real = _minus(_plus(_minus(n_real * u_real, n_imaginary, u_imaginary), l_real, j_real), l_imaginary, j_imaginary)
    imaginary = _plus(_plus(_plus(n_real * u_imaginary, n_imaginary, u_real), l_real, j_imaginary), l_imaginary, j_real)
    return _plus(real * real, imaginary, imaginary)


@njit(error_model="numpy")
def _unpack(places: Any, branches: Any, state: Any, first: int, found: Any) -> None:
    """Write the magnitudes of the rows from `first` on."""
    (node, _, _, _, no_load), (near, far, charging, by_current) = places, branches
    (_, u, j), (voltage, loading, _, _) = state, found
    for place in range(1, len(node) + 1):
        real, imaginary = _load(u, 2 * place), _load(u, 2 * place + 1)
        magnitude = no_load[place - 1] * _root(_plus(real * real, imaginary, imaginary))
        _scatter(voltage, first * len(node) + node[place - 1], len(node), magnitude)
    for element in range(len(near)):
        up, down = 2 * near[element], 2 * far[element]
        begin = _squared(up, down, u, j, charging[0, element], by_current[0, element])
        end = _squared(up, down, u, j, charging[1, element], by_current[1, element])
        _scatter(loading, first * len(near) + element, len(near), _root(_larger(begin, end)))


def _solve_blocks(places: Any, branches: Any, power: Any, state: Any, found: Any, control: Any) -> None:
    """Solve block by block; the last block may share rows with the one before, which come out the same again."""
    (node, feeder, series, source, _), (width, tolerance, limit) = places, control
    blocks, rows, ends = (state[0], state[1], state[2]), len(power[0]), np.empty(2 * width)
    for block in range(0, rows, width):
        first = min(block, rows - width)
        _pack(node, source, power[0], power[1], first, blocks[0])
        iterations, moving = _iterate(feeder, series, blocks, tolerance, limit)
        _unpack(places, branches, blocks, first, found)
        _scatter(ends, 0, 1, moving)
        _scatter(ends, width, 1, iterations)
        for lane in range(width):
            found[2][first + lane], found[3][first + lane] = ends[lane] == 0.0, int(ends[width + lane])


_solve_rows = compiled(_solve_blocks, reordered=False)
