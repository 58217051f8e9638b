"""The power flow of a radial grid as sweeps over its tree, sixteen rows at a time in the vector registers of the CPU.

The same equations as `grid.power_flow` in the form of `RadialTree`: backward, currents add up from the leaves to the
slack; forward, voltages fall from the slack to the leaves (Shirmohammadi et al., IEEE Trans. Power Systems 3(2), 1988).
That takes about 25 operations per node and iteration, where the dense matrix takes 8 per pair of nodes.

numba compiles `_solve_rows` at the first call, for its one signature, and caches it beside this file or in the user's
cache. It does not vectorise the sweeps by itself (a node's row might overlap its feeder's): they are written with a
vector type, `Lanes`, that holds one number of each row of a block.
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

from totalflex_env.grid_model import GridModel, Index, PowerFlow, Real

WIDTH = 16  # rows per block: two to eight registers, enough to hide the latency of a division
MAX_ITERATIONS = 120
TOLERANCE = 1e-8  # p.u.; what is then left of the error is below 1e-6 up to 98 % of the last solvable load
_PAIR = 2 * WIDTH  # of a place: the real parts of its rows, then their imaginary parts
_NEVER_ZERO = 1e-60  # least squared voltage, so that rows without a solution wander but stay finite


def solve(
    grid: GridModel,
    active_kw: Tensor,
    reactive_kvar: Tensor,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    Consumption is float64 on the CPU; results carry no gradients. A row stops when the change of its voltages, taken
    together, is within the tolerance [p.u.], whatever the other rows do; where it never is, `converged` is False and
    the last iterate is returned, finite. Other threads may run meanwhile: the interpreter is not held.
    """
    for name, power in (("active_kw", active_kw), ("reactive_kvar", reactive_kvar)):
        if power.dtype != torch.float64 or power.device.type != "cpu":
            raise TypeError(f"{name} is {power.dtype} on {power.device.type}, not float64 on the CPU")
        if power.dim() != 2 or power.shape != (len(active_kw), len(grid.node_names)):
            raise ValueError(f"{name} has the shape {tuple(power.shape)}, not (rows, {len(grid.node_names)})")
    tree, rows = grid.tree, len(active_kw)
    consumption = _at_least_one_block(active_kw), _at_least_one_block(reactive_kvar)
    size = len(consumption[0])
    magnitudes = np.empty_like(consumption[0]), np.empty((size, len(grid.element_names)))
    solved = (*magnitudes, np.empty(size, np.bool_), np.empty(size, np.int64))
    places = (tree.node, tree.feeder, tree.series, tree.current_by_kva, tree.no_load_magnitude)
    branches = (tree.near, tree.far, tree.charging, tree.loading)
    _solve_rows(places, branches, consumption, solved, float(tolerance), int(max_iterations))
    return PowerFlow(*(torch.from_numpy(result[:rows]) for result in solved))


def _at_least_one_block(power: Tensor) -> Real:
    """Consumption [B, M], with rows of none up to a whole block."""
    given = power.detach().contiguous().numpy()
    missing = WIDTH - len(given)
    return given if missing <= 0 else np.concatenate([given, np.zeros((missing, given.shape[1]))])


class _LanesType(types.Type):
    """The type of a vector of WIDTH float64 numbers in compiled code."""


Lanes = _LanesType(name=f"Lanes{WIDTH}")
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_LANE = [ir.Constant(ir.IntType(32), lane) for lane in range(WIDTH)]


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


def _operation(result: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function that writes LLVM, given addresses for arrays, an operation of compiled code of that result."""

    def define(write: Callable[..., Any]) -> Callable[..., Any]:
        @intrinsic
        @functools.wraps(write)  # numba matches the arguments of a call with the signature of `write`
        def operation(typing: Any, *arguments: Any) -> Any:
            kinds = [types.intp if isinstance(kind, types.Integer) else kind for kind in arguments]

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                plain = [
                    context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                    for kind, value in zip(kinds, values)
                ]
                return write(builder, *plain) or context.get_dummy_value()  # only what returns nothing is void

            return result(*kinds), generate

        return operation

    return define


def _arithmetic(symbol: Callable[[Any, Any], Any], instruction: Callable[..., Any]) -> None:
    """Let an operator of two Lanes be one instruction, which LLVM may contract to fused multiply-adds."""
    emit = _operation(Lanes)(lambda builder, a, b: instruction(builder, a, b, flags=("contract",)))

    @overload(symbol, strict=False)
    def implement(a: Any, b: Any) -> Any:
        return (lambda a, b: emit(a, b)) if a is Lanes and b is Lanes else None


_arithmetic(operator.add, ir.IRBuilder.fadd)
_arithmetic(operator.sub, ir.IRBuilder.fsub)
_arithmetic(operator.mul, ir.IRBuilder.fmul)
_arithmetic(operator.truediv, ir.IRBuilder.fdiv)


@_operation(Lanes)
def _larger(builder: Any, a: Any, b: Any) -> Any:
    """The larger of two numbers, lane by lane."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@_operation(Lanes)
def _root(builder: Any, value: Any) -> Any:
    """Square roots."""
    root = builder.module.declare_intrinsic(f"llvm.sqrt.v{WIDTH}f64", (), ir.FunctionType(_VECTOR, [_VECTOR]))
    return builder.call(root, [value])


@_operation(Lanes)
def _all(builder: Any, number: Any) -> Any:
    """The same number in every lane."""
    unset, zeros = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
    return builder.shuffle_vector(builder.insert_element(unset, number, _LANE[0]), unset, zeros)


@_operation(Lanes)
def _load(builder: Any, array: Any, start: Any) -> Any:
    """The numbers array[start : start + WIDTH]; arrays are float64, contiguous and indexed as if they were flat."""
    return builder.load(builder.bitcast(builder.gep(array, [start]), _VECTOR.as_pointer()), align=8)


@_operation(types.void)
def _store(builder: Any, array: Any, start: Any, value: Any) -> None:
    """Write array[start : start + WIDTH]."""
    builder.store(value, builder.bitcast(builder.gep(array, [start]), _VECTOR.as_pointer()), align=8)


@_operation(Lanes)
def _gather(builder: Any, array: Any, start: Any, stride: Any) -> Any:
    """The numbers array[start], array[start + stride], ...: a column of a block of rows."""
    lanes = ir.Constant(_VECTOR, ir.Undefined)
    for lane in _LANE:
        lanes = builder.insert_element(lanes, builder.load(builder.gep(array, [start])), lane)
        start = builder.add(start, stride)
    return lanes


@_operation(types.void)
def _scatter(builder: Any, array: Any, start: Any, stride: Any, value: Any) -> None:
    """Write array[start], array[start + stride], ..."""
    for lane in _LANE:
        builder.store(builder.extract_element(value, lane), builder.gep(array, [start]))
        start = builder.add(start, stride)


@njit(error_model="numpy")
def _pack(node: Index, source: Real, active: Real, reactive: Real, first: int, drawn: Real) -> None:
    """Current [places, 2, WIDTH] that each place would draw at u = 1 in the rows from `first` on."""
    nodes = len(node)
    for place in range(1, nodes + 1):
        at, start = _PAIR * place, first * nodes + node[place - 1]
        kw, kvar = _gather(active, start, nodes), _gather(reactive, start, nodes)
        real, imaginary = _all(source[place - 1, 0]), _all(source[place - 1, 1])
        _store(drawn, at, real * kw + imaginary * kvar)
        _store(drawn, at + WIDTH, imaginary * kw - real * kvar)


@njit(error_model="numpy")
def _backward(feeder: Index, j: Real) -> None:
    """Add up the currents j [places, 2, WIDTH] from the leaves to the slack."""
    for place in range(len(feeder), 0, -1):
        at, to = _PAIR * place, _PAIR * feeder[place - 1]
        _store(j, to, _load(j, to) + _load(j, at))
        _store(j, to + WIDTH, _load(j, to + WIDTH) + _load(j, at + WIDTH))


@njit(error_model="numpy")
def _forward(feeder: Index, series: Real, state: Any, step: Real, change: Real) -> None:
    """Move the voltages of the lanes whose step is 1, set currents to what they then draw, `change` to its square."""
    drawn, u, j = state
    squares, moving, one, least = _all(0.0), _load(step, 0), _all(1.0), _all(_NEVER_ZERO)
    for place in range(1, len(feeder) + 1):
        at, fed_by = _PAIR * place, _PAIR * feeder[place - 1]
        r, x = _all(series[place - 1, 0]), _all(series[place - 1, 1])
        j_real, j_imaginary, u_real, u_imaginary = (
            _load(j, at),
            _load(j, at + WIDTH),
            _load(u, at),
            _load(u, at + WIDTH),
        )
        d_real = _load(u, fed_by) + r * j_real - x * j_imaginary - u_real
        d_imaginary = _load(u, fed_by + WIDTH) + r * j_imaginary + x * j_real - u_imaginary
        squares = squares + d_real * d_real + d_imaginary * d_imaginary
        u_real, u_imaginary = u_real + moving * d_real, u_imaginary + moving * d_imaginary
        _store(u, at, u_real)
        _store(u, at + WIDTH, u_imaginary)
        inverse = one / _larger(u_real * u_real + u_imaginary * u_imaginary, least)
        real, imaginary = u_real * inverse, u_imaginary * inverse  # of 1 / conj(u)
        s_real, s_imaginary = _load(drawn, at), _load(drawn, at + WIDTH)
        _store(j, at, s_real * real - s_imaginary * imaginary)
        _store(j, at + WIDTH, s_real * imaginary + s_imaginary * real)
    _store(change, 0, squares)


@njit(error_model="numpy")
def _iterate(feeder: Index, series: Real, state: Any, tolerance: float, limit: int) -> Any:
    """Iterate from u = 1 until every lane stops, or to the limit; iterations [WIDTH], 0 where it did not stop."""
    drawn, u, j = state
    step, change, iterations = np.ones(WIDTH), np.empty(WIDTH), np.zeros(WIDTH, np.int64)
    for place in range(1, len(feeder) + 1):
        _store(u, _PAIR * place, _all(1.0))
        _store(u, _PAIR * place + WIDTH, _all(0.0))
    j[:] = drawn
    for iteration in range(1, limit + 1):
        _backward(feeder, j)
        _forward(feeder, series, state, step, change)
        for lane in range(WIDTH):
            if step[lane] == 1.0 and change[lane] <= tolerance * tolerance:
                step[lane], iterations[lane] = 0.0, iteration
        if not step.any():
            break
    _backward(feeder, j)
    return iterations


@njit(error_model="numpy")
def _squared(near: int, far: int, u: Real, j: Real, charging: Real, loading: Real) -> Any:
    """Squared loading at one end of an element, by the voltage at offset `near` and the current at offset `far`."""
    n_real, n_imaginary, l_real, l_imaginary = _all(charging[0]), _all(charging[1]), _all(loading[0]), _all(loading[1])
    u_real, u_imaginary, j_real, j_imaginary = (
        _load(u, near),
        _load(u, near + WIDTH),
        _load(j, far),
        _load(j, far + WIDTH),
    )
    real = n_real * u_real - n_imaginary * u_imaginary + l_real * j_real - l_imaginary * j_imaginary
    imaginary = n_real * u_imaginary + n_imaginary * u_real + l_real * j_imaginary + l_imaginary * j_real
    return real * real + imaginary * imaginary


@njit(error_model="numpy")
def _unpack(places: Any, branches: Any, state: Any, first: int, solved: Any) -> None:
    """Write the magnitudes of the rows from `first` on."""
    (node, _, _, _, no_load), (near, far, charging, by_current) = places, branches
    (_, u, j), (voltage, loading, _, _) = state, solved
    for place in range(1, len(node) + 1):
        real, imaginary = _load(u, _PAIR * place), _load(u, _PAIR * place + WIDTH)
        magnitude = _all(no_load[place - 1]) * _root(real * real + imaginary * imaginary)
        _scatter(voltage, first * len(node) + node[place - 1], len(node), magnitude)
    for element in range(len(near)):
        up, down = _PAIR * near[element], _PAIR * far[element]
        begin = _squared(up, down, u, j, charging[0, element], by_current[0, element])
        end = _squared(up, down, u, j, charging[1, element], by_current[1, element])
        _scatter(loading, first * len(near) + element, len(near), _root(_larger(begin, end)))


def _solve_blocks(places: Any, branches: Any, power: Any, solved: Any, tolerance: float, limit: int) -> None:
    """Solve block by block; the last block may share rows with the one before, which come out the same again."""
    (node, feeder, series, source, _), (_, _, converged, iterations) = places, solved
    size = _PAIR * (len(node) + 1)
    state = np.zeros(size), np.zeros(size), np.zeros(size)  # what is drawn at u = 1, u and j, each [places, 2, WIDTH]
    _store(state[1], 0, _all(1.0))
    for block in range(0, len(converged), WIDTH):
        first = min(block, len(converged) - WIDTH)
        _pack(node, source, power[0], power[1], first, state[0])
        steps = _iterate(feeder, series, state, tolerance, limit)
        _unpack(places, branches, state, first, solved)
        for lane in range(WIDTH):
            converged[first + lane] = steps[lane] > 0
            iterations[first + lane] = steps[lane] if steps[lane] > 0 else limit


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # neither this folder nor the user's cache can be written: compile in every process
        return njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


_solve_rows = _compiled(_solve_blocks)
